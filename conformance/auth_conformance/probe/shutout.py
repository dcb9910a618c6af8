"""Addresses that are shut out: after some refused credentials many a service answers nothing from there for a while."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from auth_conformance.model import Role
from auth_conformance.transports.loopback import has_many_callers
from auth_conformance.transports.waiting import waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from auth_conformance.probe.core import Core
    from auth_conformance.probe.scene import Scene

REMEDY = (
    "patience = 120  # seconds: so long the end of a ban is waited for\n"
    "# or let what shuts addresses out spare this machine for the run"
)
# When it is asked whether a ban is over, in seconds after the time before.
_STEPS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
_BROKEN = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
_SAID = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})


async def shut_out(probe: Core) -> tuple[str, bool]:
    """Whether what is public is refused where the run calls from: in words ("" if not), and whether it has moved on.

    The run goes on from another address where there is one, else when the ban is over, if the patience of the run
    lasts so long: what was attacked meanwhile proves nothing, so the check has to begin anew. Three requests at most,
    and one for each look.
    """
    scene, public = probe.scene, probe.target.public
    if public is None:
        return "", False

    async def answered(source: str | None) -> tuple[bool, int | None, bool]:
        answer = await probe.send(
            replace(public.request(), source=source),
            label="control: is this address shut out?",
            role=Role.CONTROL,
            operation=public.name,
            patient=False,
        )
        return answer.reply.ok, answer.status, answer.reply.header("retry-after") is not None

    ours = scene.caller
    # Who names no address gets that of the check, or the run's: asked is what the next check will ask from.
    ok, status, limited = await answered(ours)
    # Who is broken says so to everybody: nobody is shut out by a 500.
    if ok or (status or 0) in _BROKEN:
        return "", False
    moved = False
    if probe.target.in_process or has_many_callers(probe.target.address):
        other = probe.another_address()
        moved, _, _ = await answered(other)
        if moved and scene.caller == ours:
            scene.caller = other
    if not moved and (status not in _SAID or limited):
        return (
            "",
            False,
        )  # dead, perhaps; or a limit that says when it ends (RFC 9110 §10.2.3): it is waited for
    if not moved:

        async def open_again() -> bool:
            return (await answered(scene.caller))[0]

        if await _over(scene, open_again):
            return "", True
    said = status or "no answer"
    words = f"Everything from this address was refused then, {public.name} as well ({said})"
    return f"{words}: it was shut out, as after many refused credentials.", moved


async def _over(scene: Scene, open_again: Callable[[], Awaitable[bool]]) -> bool:
    """Whether a ban ends within the patience of the run; one check looks, and the others stand in line.

    Once a ban has outlasted the patience nobody waits for it any more.
    """
    in_line, spent = scene.gate.locked(), 0.0
    with waiting():
        await scene.gate.acquire()
    try:
        if in_line and await open_again():
            return True
        for step in () if scene.banned else _STEPS:
            left = min(step, scene.patience - spent)
            if left <= 0:
                break
            spent += left
            with waiting():
                await asyncio.sleep(left)
            if await open_again():
                return True
        scene.banned = True
        return False
    finally:
        scene.gate.release()
