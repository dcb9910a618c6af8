"""One operation under generated requests: each that is served is sent again by those who must not be served."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from auth_conformance.model import Role
from auth_conformance.transports.recorder import EXCERPT
from auth_fuzz import rules
from auth_fuzz.documents import document_of
from auth_fuzz.operations.engine import Source
from auth_fuzz.operations.forms import chosen, form_of
from auth_fuzz.operations.ground import ways
from auth_fuzz.operations.lessers import Lessers

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.probe import Answer
    from auth_conformance.transports.message import HttpRequest, RawReply

# Rules that are decided operation by operation.
OPERATION_RULES = (
    rules.REACH,
    rules.STRANGER,
    rules.FORGED,
    rules.FOREIGN_READ,
    rules.FOREIGN_WRITE,
    rules.CRASH,
    rules.UNEVEN,
    rules.SECRET,
    rules.ALTERNATIVE,
    rules.LESSER,
)
# What served requests get in turn, and how often each before it is dealt anew.
_DECK = {
    "bland": 1,
    "forged": 5,
    "alternatives": 1,
    "other": 1,
    "lesser": 1,
    "dressed": 3,
    "ids": 1,
    "none": 1,
    "ended": 1,
    "named": 1,
}
# What the first request that is served gets before all else: what is found most often, and a short search may end soon.
_FIRST = ("other",)
# What each further form of request gets that is served for the first time, and how many forms do.
_OF_A_FORM = ("none", "other", "ended")
_FORMS = 6
# Attacks per served request; the next served request gets others.
_ATTACKS = 5
# While there is time served requests are sent again, up to so many times the examples.
_AGAIN = 4
# Longest time, in seconds, and most requests to bring the caller back to life when the search is over.
_SETTLING = (10.0, 30)
# Served requests that are kept, to be sent again.
_KEPT = 8


class OperationSearch(Lessers):
    """Fuzzes one operation. What it finds goes to `ledger`."""

    def run(self) -> None:
        """Search until the examples or the time are used up. Blocks: for a thread of its own."""
        document = document_of(self.operation, self.searcher.target.carriers)
        Source(document, self._handle, self.bridge, self._seed, self._examples).exhaust()
        self._ask_the_administrator()
        if self._caller is self.world.admin and not self._by_admin:
            # Few parameters give few requests: they were over before anybody else was asked.
            Source(document, self._handle, self.bridge, self._seed, self._examples).exhaust()
        if not self._served and self._long is not None:
            self._served, self._only_long = [self._long], True
        # Few parameters give few requests: those that were served are sent again, with other attacks.
        while self._served and self._turn < _AGAIN * self._examples and not self.bridge.spent:
            self.bridge.run(self._handle(self._rng.choice(self._served)))
        # What was served last may have ended a credential that the next search needs.
        self.bridge.resume(time.monotonic() + _SETTLING[0], _SETTLING[1])
        self.bridge.run(self._mend())
        self._why_no_lesser()

    async def _handle(self, request: HttpRequest) -> RawReply:
        async with self._lock:
            return await self._case(request)

    async def _case(self, request: HttpRequest) -> RawReply:
        """One generated request: by the caller, and if that is served, by everybody else."""
        self._turn += 1
        self.searcher.forget()
        request = await self._addressed(self._steered(request))
        if self.operation.method == "DELETE":
            request = await self._fresh(request)
        live = self._live()
        good = await self._send(request, live, f"control: {self._who()}", Role.CONTROL)
        self._count(good, live)
        self._served_by[ways(live)] += good.reply.ok
        # Of a body that is longer the report has the beginning only, and its finding no test: a short one does as well.
        long = len(request.body or b"") >= EXCERPT and not self._only_long
        if good.reply.ok:
            if long:
                self._long = request
            elif len(self._served) < _KEPT:
                self._served.append(request)
            self.world.things.harvest(self._caller, self.operation, request, good.reply)
        self._look_for_secrets(good, live)
        if good.reply.ok and not long and self.operation.name not in self.world.exercised:
            await self._attack(request, live, good)
        elif not good.reply.ok and self._anonymous is None:
            await self._refused_everywhere(request, live)
        if good.status == 401 or self.reach.served == 1:
            await self._mend()
        return good.reply

    def _steered(self, request: HttpRequest) -> HttpRequest:
        """Once something is served, the request with a choice that was not made yet: chance may never make it."""
        self._unmet = [choice for choice in self._unmet if choice not in request.query]
        if not self._served or not self._unmet or len(self._forms) >= _FORMS:
            return request
        return chosen(request, self._unmet.pop(0))

    # Attacks.

    async def _attack(self, request: HttpRequest, live: tuple[Credential, ...], good: Answer) -> None:
        if self._anonymous is None:
            await self._as_stranger(request, good, (), "no credential", rules.STRANGER)
        form = form_of(self.operation, request)
        if form not in self._forms and len(self._forms) < _FORMS:
            self._pending[:0] = _OF_A_FORM if self._forms else _FIRST
            self._forms.add(form)
        for attack in (*self._next_attacks(), "dressed"):
            if self.bridge.spent:
                return
            await self._one_attack(attack, request, live, good)

    async def _one_attack(
        self, attack: str, request: HttpRequest, live: tuple[Credential, ...], good: Answer
    ) -> None:
        attacks: dict[str, Callable[[], Awaitable[None]]] = {
            "bland": lambda: self._as_stranger(
                request,
                good,
                tuple(self.searcher.bland(item) for item in live),
                "a meaningless credential",
                rules.STRANGER,
            ),
            "forged": lambda: self._forged(request, live, good),
            "dressed": lambda: self._dressed(request, live, good),
            "ids": lambda: self._ids_of_others(request),
            "lesser": lambda: self._as_lesser(request, good),
            "alternatives": lambda: self._alternatives(request, good),
            "other": lambda: self._as_other(request, good),
            "none": lambda: self._as_stranger(request, good, (), "no credential", rules.STRANGER),
            "ended": lambda: self._ended(request, good),
            "named": lambda: self._in_the_name_of(request),
        }
        await attacks[attack]()

    def _next_attacks(self) -> list[str]:
        if len(self._pending) < _ATTACKS:
            deck = [name for name, times in _DECK.items() for _ in range(times)]
            self._rng.shuffle(deck)
            self._pending += deck
        taken, self._pending = self._pending[:_ATTACKS], self._pending[_ATTACKS:]
        return taken
