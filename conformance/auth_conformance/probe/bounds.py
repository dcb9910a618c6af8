"""`must_bound_password_work`: huge passwords are refused before they are hashed, and logins leave room (CRD105)."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.model import Outcome, Role, Verdict
from auth_conformance.probe.core import Unclear
from auth_conformance.probe.knocking import Knocking, Tally, is_json, with_member
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Account, Login
    from auth_conformance.transports.message import HttpRequest

_SIZES = (1_000, 100_000, 1_000_000, 5_000_000)
_TWICE = 2
# A password may take so many times as long as the same bytes in a member that nobody reads, and so long at all.
_FACTOR, _LONGEST, _COUNTS = 5.0, 5.0, 0.25
_TOGETHER = 10
_ROUNDS = 12
_BLOCKED, _NOTICED = 10.0, 0.1
_CORES = 2
# How servers say that they read no more (RFC 9110 §15.5.14, RFC 6585 §5).
_TOO_LONG = {400, 413, 414, 422, 431}


@dataclass(frozen=True, slots=True)
class _Sized:
    words: str
    operation: str
    big: HttpRequest
    twin: HttpRequest | None


class Bounds(Knocking):
    """Sends much, and many at once."""

    async def must_bound_password_work(self) -> Verdict:
        """No length of a password buys work, and ten logins at once stop nobody else."""
        tally, login = Tally(), self.logins()[0]
        account = await self.victim()
        await self.right_login(login, account, "before")
        for number, size in enumerate(_SIZES):
            # Four wrong passwords each: what limits guesses must not be what is measured.
            account = await self.another_victim() if number else account
            for sized in self._sized(login, account, size):
                await self._weigh_size(sized, size, tally)
        await self._leave_room(login, await self.another_victim(), tally)
        await self.right_login(login, await self.another_victim(), "after")
        return self.concluded(
            tally, f"{tally.delivered} huge passwords took no longer than the same bytes elsewhere."
        )

    def _sized(self, login: Login, account: Account, size: int) -> Iterator[_Sized]:
        """Each place that takes a password, one after the other: together their requests would fill the memory."""
        text, short = Secret("a1B-" * (size // 4)), Secret(self.password())
        self.scene.recorder.redactor.learn(short)
        register = self.target.register
        yield self._beside_twin(
            "at login",
            login.operation.name,
            text,
            login.request(account.username, text),
            login.request(account.username, short),
        )
        if register is not None:
            fresh = self.unborn(text)
            yield self._beside_twin(
                "at registration",
                register.operation.name,
                text,
                register.request(fresh.username, text),
                register.request(fresh.username, short),
            )

    @staticmethod
    def _beside_twin(
        where: str, operation: str, text: Secret, request: HttpRequest, plain: HttpRequest
    ) -> _Sized:
        """The request, and one that carries as many bytes where nobody looks."""
        twin = with_member(plain, "ignored", text.reveal()) if is_json(plain) or plain.body else None
        return _Sized(f"a password of {len(text.reveal())} characters {where}", operation, request, twin)

    async def _weigh_size(self, sized: _Sized, size: int, tally: Tally) -> None:
        took: list[float] = []
        twins: list[float] = []
        answers: list[Answer] = []
        for _ in range(_TWICE):
            if sized.twin is not None:
                twin = await self.send(
                    sized.twin,
                    label=f"control: {size} characters in a member that nobody reads",
                    role=Role.CONTROL,
                    operation=sized.operation,
                    patient=False,
                )
                twins.append(twin.reply.took)
            answer = await self.send(
                sized.big, label=sized.words, role=Role.ATTACK, operation=sized.operation, patient=False
            )
            answers.append(answer)
            took.append(answer.reply.took)
        if all(answer.outcome is Outcome.CRASHED for answer in answers):
            tally.violate(sized.operation, f"{sized.operation} breaks on {sized.words}.", *answers)
            return
        if any(answer.outcome is Outcome.THROTTLED for answer in answers):
            tally.doubt(f"{sized.operation}: {sized.words} was limited.", "rate = 1  # requests per second")
            return
        if not all([await self._reaching(answer) for answer in answers]):
            tally.doubt(
                f"{sized.operation}: {sized.words} was answered {answers[0].status} by something before the service."
            )
            return
        quickest, usual = min(took), max(twins, default=_LONGEST)
        slow = quickest > _LONGEST or (bool(twins) and quickest > _FACTOR * usual and quickest > _COUNTS)
        if slow:
            message = (
                f"{sized.operation} works {quickest:.2f} s on {sized.words}, and {usual:.2f} s on its twin."
            )
            tally.violate(sized.operation, message, *answers)
        else:
            tally.delivered += 1

    async def _reaching(self, answer: Answer) -> bool:
        """Whether the application, or a bound on lengths, has answered: whom a filter turns away says nothing."""
        login = self.logins()[0]
        bounded = answer.status is None or answer.status in _TOO_LONG
        return bounded or answer.reply.granted or await self._is_own(login, answer)

    async def _leave_room(self, login: Login, account: Account, tally: Tally) -> None:
        """Others are answered while ten logins are hashed: hashing has left the event loop."""
        public = self.target.public
        if public is None:
            self.notes.append("no public operation is known: logins at the same time were not tried")
            return
        if (os.cpu_count() or 1) < _CORES:
            self.notes.append("this machine has one core: logins at the same time were not tried")
            return
        alone = [await self._polled() for _ in range(_ROUNDS)]
        worst: list[float] = []
        for attempt in range(_TWICE):
            others = [await self.another_victim() if attempt else account for _ in range(1)]
            crowd = [self._one_of_many(login, others[0]) for _ in range(_TOGETHER)]
            busy = asyncio.gather(*crowd)
            polled = [await self._polled() for _ in range(_ROUNDS)]
            await busy
            worst.append(_p95(polled))
        usual = statistics.median(alone)
        if min(worst) > _BLOCKED * _p95(alone) and min(worst) > _NOTICED:
            message = (
                f"{public.name} answers in {usual * 1000:.0f} ms, and in {min(worst) * 1000:.0f} ms while "
                f"{_TOGETHER} logins are hashed: they block the event loop."
            )
            tally.violate(login.operation.name, message)
        else:
            tally.delivered += 1

    async def _polled(self) -> float:
        if self.target.public is None:
            raise Unclear("No public operation is known.")
        started = time.perf_counter()
        await self.call(self.target.public, label="poll a public operation", role=Role.CONTROL)
        return time.perf_counter() - started

    async def _one_of_many(self, login: Login, account: Account) -> Answer:
        return await self.send(
            login.request(account.username, Secret(self.password())),
            label="one of ten wrong logins at once",
            role=Role.ATTACK,
            operation=login.operation.name,
            patient=False,
        )


def _p95(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
