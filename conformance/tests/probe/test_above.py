"""What stands above the objects of a person is on a page that their login opens, whatever asks first."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from auth_conformance.credentials import Carrier, Credential, Kind
from auth_conformance.probe.above import above_for
from auth_conformance.secret import Secret
from auth_conformance.target import Account, Objects, Operation, Parent, Target, Witness

ME = Operation("GET", "/me")
NOTES = Objects(
    Operation("POST", "/people/{id}/notes"),
    Operation("GET", "/people/{id}/notes/{note}"),
    {},
    "text",
    "/id",
    "note",
    parents=(Parent("id", ME, "/id"),),
)


def held(kind: Kind) -> Credential:
    return Credential(Carrier(kind, "header", f"X-{kind.value}"), Secret("s3cret"), "a")


@pytest.mark.parametrize("apart", [True, False])
def test_a_key_that_opens_other_pages_is_not_asked_who_its_owner_is(apart: bool) -> None:
    cart = Witness(Operation("GET", "/cart"), "") if apart else None
    target = Target("url", "http://x", accounts={"a": Account("a", "alice")}, objects=NOTES, key_witness=cart)
    asked: list[Kind] = []

    async def once(key: object, make: Callable[[], Awaitable[Any]]) -> Any:
        return await make()

    async def credential(owner: str = "a") -> Credential:
        return held(Kind.BEARER)

    async def call(operation: Operation, caller: Credential, **more: Any) -> SimpleNamespace:
        asked.append(caller.carrier.kind)
        return SimpleNamespace(reply=SimpleNamespace(ok=True, json={"id": "7"}))

    scene = SimpleNamespace(once=once, parents={}, sharing=set(), target=target)
    core: Any = SimpleNamespace(target=target, scene=scene, credential=credential, call=call)
    assert asyncio.run(above_for(core, NOTES.create, held(Kind.KEY))) == {"id": "7"}
    assert asked == [Kind.BEARER if apart else Kind.KEY]
