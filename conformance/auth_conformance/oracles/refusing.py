"""A 2xx that says no by its protocol: GraphQL and JSON-RPC answer with errors in the body."""

from __future__ import annotations

from typing import Any

# What is said of such a service where a status was looked for.
IN_BODIES = "strangers are refused in the body of a 200, as GraphQL and JSON-RPC have it"
_GRAPHQL = frozenset({"data", "errors", "extensions"})


def refuses(status: int | None, data: Any) -> bool:
    """Whether the body of a 2xx holds errors, and nothing of what was asked for.

    Under another status it is the error body of a service that has chosen the same members.

    GraphQL (September 2025) §7.1: no member but `errors`, `data` and `extensions`, and each error has a `message`;
    JSON-RPC 2.0 §5.1: `error` instead of `result`.
    """
    if status is None or status // 100 != 2 or not isinstance(data, dict):
        return False
    if data.get("jsonrpc") == "2.0":
        return isinstance(data.get("error"), dict) and "result" not in data
    errors, given = data.get("errors"), data.get("data")
    told = isinstance(errors, list) and all(
        isinstance(item, dict) and isinstance(item.get("message"), str) for item in errors
    )
    nothing = given is None or (isinstance(given, dict) and all(item is None for item in given.values()))
    return bool(errors) and told and nothing and data.keys() <= _GRAPHQL
