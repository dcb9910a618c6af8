"""Documents that lack the trailing slash which the service wants, or have one too many.

The service then redirects (307, 308), and a request with a credential must not follow a redirect (RFC 9110 §15.4 leaves
that to the client; ours never does). So the paths are put right once, where every answer asks for the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_conformance.discovery.doors import stranger
from auth_conformance.model import Provenance

if TYPE_CHECKING:
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.target import Operation

_ASKED = 3


async def settle_slashes(scout: Scout, known: Knowledge) -> None:
    """Ask some plain operations; when each is sent to its twin with (or without) the slash, correct all paths."""
    plain = [
        operation
        for operation in known.operations.values()
        if operation.method == "GET" and "{" not in operation.path and len(operation.path) > 1
    ]
    wanted: set[str] = set()
    for operation in plain[:_ASKED]:
        reply = await stranger(scout, known, operation)
        target = urlsplit(reply.header("location") or "").path
        if reply.status not in {301, 302, 307, 308} or target.rstrip("/") != operation.path.rstrip("/"):
            return
        wanted.add("/" if target.endswith("/") else "")
    if len(wanted) != 1 or not plain:
        return
    ending = wanted.pop()
    corrected = [_ended(operation, ending) for operation in known.operations.values()]
    known.operations = {operation.name: operation for operation in corrected}
    known.say(
        "paths",
        "with a slash at the end" if ending else "without a slash at the end",
        Provenance.OBSERVED,
        "the service redirects what the document says",
    )


def _ended(operation: Operation, ending: str) -> Operation:
    return (
        replace(operation, path=operation.path.rstrip("/") + ending) if len(operation.path) > 1 else operation
    )
