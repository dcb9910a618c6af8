"""What must hold after every step: credentials are presented and compared with the model."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import Severity
from auth_conformance.secret import Secret
from auth_fuzz import rules
from auth_fuzz.stories.ground import BrokenError, accepted
from auth_fuzz.stories.letters import Letters
from auth_fuzz.stories.model import Life

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from auth_conformance.credentials import Credential
    from auth_conformance.probe import Answer
    from auth_fuzz.stories.cast import Held

# What is presented to the witness.
_PRESENTED = ("bearer", "cookie", "basic", "key")
# After a step so many live credentials are presented, and at the end so many in all.
_ALIVE = 1
_LAST = 12


class Looks(Letters):
    """How what the service does is compared with the model."""

    async def audit(self, number: int) -> None:
        """Present one credential and compare with the model."""
        if self.held:
            await self._look(self.held[number % len(self.held)])

    async def sweep(self) -> None:
        """Present what must be dead since the last step, and of what must be alive what was not seen for longest."""
        self.book.now = self._now()
        for item in _in_turn(self.held):
            if self.book.demand(item.holding)[0] is Life.DEAD and item.demanded is not Life.DEAD:
                await self._look(item)
        alive = [item for item in self.alive(*_PRESENTED) if item.credential is not None]
        for item in sorted(alive, key=lambda one: one.looked)[:_ALIVE]:
            await self._look(item)

    async def audit_all(self) -> None:
        """Present everything that must be dead, and of the rest the newest, the newest first."""
        older = [item for item in self.held[:-_LAST] if self.book.demand(item.holding)[0] is Life.DEAD]
        for item in _in_turn([*older, *self.held[-_LAST:]]):
            await self._look(item)

    async def _look(self, held: Held) -> None:
        self.book.now = self._now()
        demanded, why = self.book.demand(held.holding)
        self._looks += 1
        held.looked, held.demanded = self._looks, demanded
        if demanded is Life.EITHER:
            return
        if held.credential is None:
            if demanded is Life.DEAD and held.mailed is not None:
                await self.redeem(held)
            elif demanded is Life.DEAD and not held.holding.used and why != "it has expired":
                await self._dead_refresh(held, why)
            return
        once_more = partial(self._present, held.credential, f"again: {held.holding.name}", fresh=True)
        answer = await self._present(held.credential, f"{held.holding.name} at the witness")
        for words, left in _left_behind(held) if demanded is Life.DEAD and why != "it has expired" else ():
            # What the login left in the browser besides may open as well, and had to end with it.
            if not answer.reply.ok:
                once_more = partial(self._present, left, f"again: {held.holding.name}", fresh=True)
                answer = await self._present(left, f"{held.holding.name}: {words} of its login")
        if answer.outcome is not None:
            return
        if answer.reply.ok:
            await self._opened_by(held, demanded, why, answer, once_more)
        elif demanded is Life.ALIVE and answer.status in {401, 403}:
            await self._refused(held, answer, once_more)

    async def _opened_by(
        self, held: Held, demanded: Life, why: str, answer: Answer, once_more: Callable[[], Awaitable[Answer]]
    ) -> None:
        actor = self.actor(held.holding.owner)
        principal = answer.exchange.reply.principal
        others = {item.principal for item in self.actors.values() if item is not actor} - {None}
        if demanded is Life.DEAD or principal in others:
            again = await once_more()
            if not again.reply.ok or again.reply.header("age") is not None:
                return
            self.tell(f"{held.holding.name} is presented", accepted(answer), accepted(again))
            place = self.searcher.witness.operation.name
            if principal in others:
                line = f"{held.holding.name} opens another account ({principal})"
                raise BrokenError(rules.MISTAKEN, line, place)
            if actor.former and why.startswith("its owner's account was deleted") and actor.present:
                line = f"{held.holding.name}, of the deleted account, opens the new one of that name"
                raise BrokenError(rules.MISTAKEN, line, place)
            severity = Severity.MEDIUM if why == "the password was changed" else None
            raise BrokenError(self._zombie, f"{held.holding.name} is alive, although {why}", place, severity)

    async def _refused(self, held: Held, answer: Answer, once_more: Callable[[], Awaitable[Answer]]) -> None:
        again = await once_more()
        waited = self.moved or self.searcher.skipped != self._skipped
        if again.reply.ok or again.outcome is not None or waited:
            # After a pause a session may be idle for too long: how long is the service's own business.
            held.holding.life = Life.EITHER
            return
        self.tell(f"{held.holding.name} is presented", answer, again)
        raise BrokenError(
            rules.KILLED,
            f"{held.holding.name} is dead, although nothing that happened may end it",
            self.searcher.witness.operation.name,
        )

    async def _dead_refresh(self, held: Held, why: str) -> None:
        answer, renewal = await self.renew(held, f"{held.holding.name} is presented")
        self.book.dead_presented(held.holding)
        # Told in any case: a refresh token that comes back may end other sessions (RFC 9700 §4.14.2).
        self.tell(f"{held.holding.name} is presented", answer)
        if renewal is not None:
            self._got_in()
            operation = self.target.refresh.operation.name if self.target.refresh else None
            raise BrokenError(
                self._zombie, f"{held.holding.name} still gives new tokens, although {why}", operation
            )


def _in_turn(held: Sequence[Held]) -> list[Held]:
    """The newest first, and what is used up by a look last: one that comes back may end its whole family for good."""
    newest = [*reversed(held)]
    return sorted(newest, key=lambda item: item.credential is None)


def _left_behind(held: Held) -> Iterator[tuple[str, Credential]]:
    """What a browser may still send of a login that has ended: its other cookies with the dead one, and alone.

    A logout takes the dead one away, and a service may look at the others only where that is missing.
    """
    if held.credential is None or not held.beside:
        return
    yield "all cookies", replace(held.credential, crumbs=(*held.credential.crumbs, *held.beside))
    if held.credential.carrier.kind is Kind.COOKIE:
        (name, value), *others = held.beside
        carrier = replace(held.credential.carrier, name=name)
        crumbs = (*held.credential.crumbs, *others)
        yield (
            "the other cookies",
            replace(held.credential, carrier=carrier, value=Secret(value), crumbs=crumbs),
        )
