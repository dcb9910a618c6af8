"""`clock_followed`: whether a target reads the clock that was moved, by whatever it states anywhere (CC)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Jwt, Kind
from auth_conformance.model import Role
from auth_conformance.oracles.moments import Moment, moments, shift
from auth_conformance.probe.core import Core

if TYPE_CHECKING:
    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Account

# What is stated must move by this part of what the clock was moved by.
FOLLOWED = 0.5


class Clockwork(Core):
    """Reads what logins state, what the witness shows and what the list of one's logins says, by both clocks."""

    async def clock_followed(self, account: Account, moved: float, kind: Kind | None = None) -> bool:
        """Whether a moment that the service states moved with the clock. `moved` is in seconds.

        Raises Missing or Unclear when nobody can log in.
        """
        usual = await self._told_by_clock(account, 0.0, kind)
        ahead = await self._told_by_clock(account, moved, kind)
        return (shift(usual, ahead) or 0.0) >= FOLLOWED * moved

    async def _told_by_clock(self, account: Account, moved: float, kind: Kind | None) -> list[Moment]:
        session = await self.log_in(
            account, kind or self.preferred(), moved=moved, label="log in, to see the clock"
        )
        now = self.scene.recorder.clock.now()
        found = told(session.answer, now)
        listing = self.target.sessions.listing if self.target.sessions is not None else None
        for operation in (
            self.target.witness.operation if self.target.witness is not None else None,
            listing,
        ):
            if operation is None:
                continue
            answer = await self.call(
                operation,
                session.credential,
                label=f"what {operation.name} says by the clock",
                role=Role.CONTROL,
                moved=moved,
            )
            # The newest of many: a list has no fixed order, and older entries do not move.
            stated = max((item.at for item in moments(answer.reply.json, now)), default=None)
            if answer.reply.ok and stated is not None:
                found.append(Moment(f"/{operation.name}", stated, stated - now))
        return found


def told(answer: Answer, now: float) -> list[Moment]:
    """Every moment that an answer states: its members, the claims of its tokens, and the ends of its cookies."""
    found = [item for item in moments(answer.reply.json, now) if not item.pointer.endswith("/expires_in")]
    body = answer.reply.json
    for name, value in body.items() if isinstance(body, dict) else ():
        token = Jwt.parse(value) if isinstance(value, str) else None
        if token is not None:
            found += [
                replace(item, pointer=f"/{name}{item.pointer}") for item in moments(dict(token.claims), now)
            ]
    dates = {
        name.lower(): value for name, value in answer.reply.headers if name.lower() in ("date", "expires")
    }
    return found + [replace(item, pointer=f"/headers{item.pointer}") for item in moments(dates, now)]
