"""What a run has made for people and not taken away yet: nobody wants to find that in their service afterwards."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.oracles.pointer import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from auth_conformance.target import Operation, Target
    from auth_conformance.transports.message import HttpRequest, RawReply

# What says of a body what it is, and goes with it.
_OF_BODIES = frozenset({"content-type", "content-length", "content-encoding"})


def note(
    target: Target,
    left: dict[tuple[str, str], tuple[str, HttpRequest]],
    request: HttpRequest,
    reply: RawReply,
) -> None:
    """Keep in `left` how to take away what a granted request has made; strike out what was taken away.

    By method and path: the name of the operation and its request.
    The request that takes it away carries what the one that made it carried: whoever made it may delete it.
    """
    asked = frozenset(_asked(target))
    if request.method == "DELETE" or _key(request, asked) in left:
        if reply.granted or reply.status in (404, 410):
            left.pop(_key(request, asked), None)
        return
    if not reply.ok or reply.soft:
        return
    for making in _makings(target):
        if request.method != making.create.method:
            continue
        values = _made_at(making.create, request)
        identifier = resolve(reply.json, making.identifier) if values is not None else None
        if values is None or not isinstance(identifier, str | int):
            continue
        away = _deletion(making, {**values, making.id_parameter: str(identifier)})
        headers = tuple(pair for pair in request.headers if pair[0].lower() not in _OF_BODIES)
        own = tuple(pair for pair in away.headers if pair[0].lower() in _OF_BODIES)
        away = replace(
            request,
            method=away.method,
            path=away.path,
            query=(*(pair for pair in request.query if pair[0] not in asked), *away.query),
            headers=(*headers, *own),
            body=away.body,
            fresh=False,
        )
        left[_key(away, asked)] = (making.delete.name, away)
        return


@dataclass(frozen=True, slots=True)
class _Making:
    """What makes something of a caller's, where its reply names that, and what takes it away."""

    create: Operation
    identifier: str
    delete: Operation
    id_parameter: str


def _makings(target: Target) -> Iterator[_Making]:
    for objects in (target.objects, *target.further):
        if objects is not None and objects.delete is not None:
            yield _Making(objects.create, objects.identifier, objects.delete, objects.id_parameter)
    keys = target.keys
    if keys is not None and keys.revoke is not None and keys.identifier is not None:
        yield _Making(keys.create, keys.identifier, keys.revoke, keys.id_parameter)


def _asked(target: Target) -> Iterator[str]:
    """The parameters of queries that name what is deleted."""
    for making in _makings(target):
        yield from making.delete.asks


def _key(request: HttpRequest, asked: frozenset[str]) -> tuple[str, str]:
    """What a request takes away: where the id stands in the body of a procedure or in a query, that tells."""
    body = (request.body or b"").decode("utf-8", "replace")
    named = "".join(f"?{name}={value}" for name, value in request.query if name in asked)
    return (
        request.method,
        f"{request.path}{named} {body}" if body and request.method == "POST" else request.path + named,
    )


def _made_at(create: Operation, request: HttpRequest) -> dict[str, str] | None:
    """The values in the path of a creation; None where something else is made.

    The same may be made below something else, too: `POST /projects/{id}/notes` beside `POST /notes`.
    """
    path = request.path
    if create.path != create.address:
        return {} if create.meant_by(request) else None
    same = "{" not in create.path and path.rstrip("/").endswith(
        f"/{create.path.rstrip('/').rpartition('/')[2]}"
    )
    return {} if same else create.values_in(path)


def _deletion(making: _Making, values: Mapping[str, str]) -> HttpRequest:
    """The bare request that deletes; the deletion may name its last parameter otherwise."""
    last = making.delete.path.rpartition("{")[2].partition("}")[0]
    return making.delete.request({**values, last: values[making.id_parameter]})
