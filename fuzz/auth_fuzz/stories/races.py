"""Two things at once: whatever order the service finds for them, what comes of it must be legal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.model import Expectation, Role
from auth_fuzz import rules
from auth_fuzz.stories.ground import BrokenError, accepted, done
from auth_fuzz.stories.sessions import Sessions

if TYPE_CHECKING:
    from auth_conformance.probe import Answer
    from auth_conformance.transports.message import HttpRequest
    from auth_fuzz.stories.cast import Held


class Races(Sessions):
    """Steps that are sent at one moment."""

    async def _race(
        self, requests: Sequence[HttpRequest], label: str, operations: Sequence[str]
    ) -> tuple[Answer, ...]:
        """Send all at one moment: a rate or a limited number at a time would let them come one after the other.

        A limit that refuses one of them is not waited for, because what comes later is no part of the race.
        """
        race = await self.searcher.together_now(requests, label, operations, 0.0, moved=self.moved)
        # They are plain requests of the story, whatever held them back: only their moment is special, and a moved
        # clock. What breaks the model is the attack, here or later.
        special = f"clock moved by {self.moved:g} s" if self.moved else ""
        return tuple(
            replace(answer, exchange=replace(answer.exchange, special=special, role=Role.SETUP))
            for answer in race.answers
        )

    async def race_refresh(self, held: Held) -> None:
        """The same refresh token, twice at the same time: at most one client may get tokens."""
        if held.holding.used or not self.book.habits.refresh_rotates or self.target.policy.refresh_window:
            return
        flow, request = self._renewing(held)
        racing = await self._race([request] * 3, "three clients refresh", [flow.operation.name] * 3)
        pairs = [(answer, self.searcher.renewal(answer)) for answer in racing]
        given = [renewal for _, renewal in pairs if renewal is not None]
        held.holding.used = True
        distinct = {renewal.following.reveal() for renewal in given if renewal.following is not None}
        broken = len(given) > 1 and len(distinct) > 1
        answers = _together(
            *(accepted(answer) if broken and made is not None else answer for answer, made in pairs)
        )
        self.tell(f"three clients exchange {held.holding.name} at once", *answers)
        if broken:
            raise BrokenError(
                rules.RACE,
                f"{len(given)} clients got tokens of their own for one refresh token",
                self.target.refresh.operation.name if self.target.refresh else None,
                expected=Expectation("once", self._place_of_following(), about=answers[0].exchange.together),
            )
        for renewal in given:
            self._renewed(held, renewal)
        self.book.refreshed(held.holding)
        self.book.doubt_family(held.holding)

    def _place_of_following(self) -> str:
        """Where a refresh reply holds the next refresh token."""
        flow = self.target.refresh
        if flow is None or flow.place == "cookie":
            return f"cookie {flow.field if flow is not None else ''}"
        return flow.refresh or flow.token

    async def race_logout(self, held: Held, refresh: Held) -> None:
        """A logout and a refresh at once: in either order the session has ended."""
        logout = next((item for item in self.target.logouts if item.kind.value == held.holding.kind), None)
        if logout is None or held.credential is None or logout.refresh_field:
            return
        flow, request = self._renewing(refresh)
        leaving, body = logout.operation.request({}), logout.body(held.credential.value, refresh.refresh)
        if body is not None:
            leaving = logout.operation.carrying(leaving, body)
        leaving = leaving.with_headers(*held.credential.headers).with_query(*held.credential.query)
        out, renewed = await self._race(
            [leaving, request],
            "a logout and a refresh at once",
            [logout.operation.name, flow.operation.name],
        )
        renewal = self.searcher.renewal(renewed)
        self.tell(
            f"{held.holding.name} is logged out while {refresh.holding.name} is exchanged",
            *_together(out, renewed),
        )
        if renewal is not None:
            self.book.refreshed(refresh.holding)
            self._renewed(refresh, renewal)
        if done(out):
            self.book.logged_out(held.holding)

    async def race_logouts(self, held: Held) -> None:
        """The same session is logged out by several clients at once: it has ended, whoever came first."""
        logout = next((item for item in self.target.logouts if item.kind.value == held.holding.kind), None)
        if logout is None or held.credential is None or logout.refresh_field:
            return
        leaving, body = logout.operation.request({}), logout.body(held.credential.value, None)
        if body is not None:
            leaving = logout.operation.carrying(leaving, body)
        leaving = leaving.with_headers(*held.credential.headers).with_query(*held.credential.query)
        # An even number: two that turn something over leave it as it was.
        answers = await self._race([leaving] * 2, "two clients log out", [logout.operation.name] * 2)
        self.tell(f"two clients log {held.holding.name} out at once", *_together(*answers))
        if any(map(done, answers)):
            self.book.logged_out(held.holding)


def _together(*answers: Answer) -> list[Answer]:
    """The answers to requests that were sent at the same instant, each with that fact."""
    first = min(answer.exchange.number for answer in answers)
    return [replace(answer, exchange=replace(answer.exchange, together=first)) for answer in answers]
