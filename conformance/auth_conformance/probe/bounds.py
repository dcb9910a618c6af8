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
from auth_conformance.probe.derivations import counting
from auth_conformance.probe.knocking import Knocking, Tally, with_member
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from auth_conformance.credentials import Credential
    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Account, Login, Operation
    from auth_conformance.transports.message import HttpRequest

_SIZES = (1_000, 100_000, 1_000_000, 5_000_000)
_TWICE = 2
# A password may take so many times as long as the same bytes in a member that nobody reads, and so long at all.
_FACTOR, _LONGEST, _COUNTS = 5.0, 5.0, 0.25
_TOGETHER, _ACCOUNTS = 10, 3
# So many of them must have been worked on: what a limit turns away is quick.
_ENOUGH = 6
_ROUNDS = 12
_BLOCKED, _NOTICED, _SEEN = 10.0, 0.1, 0.03
# Between two polls, in seconds.
_GAP, _LARGEST_GAP = 0.005, 0.25
_CORES = 2
# Single logins, so many guesses for an account, and when others ask meanwhile: one of them waits for most of a hash.
_SINGLE, _GUESSES = 6, 2
_PARTS, _WAITED, _LITTLE, _TIMES, _LONG_BESIDE = (0.2, 0.4, 0.6, 0.8), 0.35, 0.2, 5.0, 6.0
_QUIET = 'app = "module:app"  # if it is ASGI (Python): hashes are seen; or: run again when machines are idle'
# How servers say that they read no more (RFC 9110 §15.5.14, RFC 6585 §5).
_LOST = {Outcome.CRASHED, Outcome.THROTTLED, Outcome.INTERCEPTED}
_TOO_LONG = {400, 413, 414, 422, 431}


@dataclass(frozen=True, slots=True)
class _Sized:
    """A place that takes a password.

    `make` gives an account, its request, and a twin of that for another one; `plain` the same for one, or for a new
    account, with a usual password.
    """

    words: str
    operation: str
    make: Callable[[], tuple[Account, HttpRequest, Account, HttpRequest | None]]
    plain: Callable[[Account], tuple[Account, HttpRequest]]


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
        """Each place that takes a password.

        At registration each request has a name of its own: of one that is taken nothing is hashed.
        """
        text, short = Secret("a1B-" * (size // 4)), Secret(self.password())
        self.scene.recorder.redactor.learn(short)
        words = f"a password of {len(text.reveal())} characters"

        def at_login() -> tuple[Account, HttpRequest, Account, HttpRequest | None]:
            twin = self._twin(login.request(account.username, short), text)
            return account, login.request(account.username, text), account, twin

        yield _Sized(
            f"{words} at login",
            login.operation.name,
            at_login,
            lambda other: (other, login.request(other.username, short)),
        )
        register = self.target.register
        if register is None:
            return

        def at_registration() -> tuple[Account, HttpRequest, Account, HttpRequest | None]:
            one, other = self.unborn(text), self.unborn(short)
            twin = self._twin(register.request(other.username, short), text)
            return one, register.request(one.username, text), other, twin

        def plainly(_: Account) -> tuple[Account, HttpRequest]:
            password = Secret(self.password())
            one = self.unborn(password)
            return one, register.request(one.username, password)

        yield _Sized(f"{words} at registration", register.operation.name, at_registration, plainly)

    @staticmethod
    def _twin(plain: HttpRequest, text: Secret) -> HttpRequest | None:
        """The request with as many bytes where nobody looks."""
        return with_member(plain, "ignored", text.reveal()) if plain.body else None

    async def _weigh_size(self, sized: _Sized, size: int, tally: Tally) -> None:
        twins: list[Answer] = []
        answers: list[Answer] = []
        for _ in range(_TWICE):
            one, big, other, same = sized.make()
            if same is not None:
                label = f"control: {size} characters in a member that nobody reads"
                twins.append(await self._timed_size(sized, other, same, label, Role.CONTROL))
            answers.append(await self._timed_size(sized, one, big, sized.words, Role.ATTACK))
        if all(answer.outcome is Outcome.CRASHED for answer in answers):
            tally.violate(
                sized.operation, f"{sized.operation} breaks on {sized.words}.", *answers, subject=sized.words
            )
            return
        if any(answer.outcome is Outcome.CRASHED for answer in answers):
            tally.doubt(f"{sized.operation}: {sized.words} got no orderly answer once ({answers[0].why}).")
            return
        if any(answer.outcome is Outcome.THROTTLED for answer in (*answers, *twins)):
            tally.doubt(f"{sized.operation}: {sized.words} was limited.", "rate = 1  # requests per second")
            return
        if not all([await self._reaching(answer) for answer in answers]):
            tally.doubt(
                f"{sized.operation}: {sized.words} was answered {answers[0].status} by something before the service."
            )
            return
        await self._compare_sizes(sized, answers, twins, tally)

    async def _compare_sizes(
        self, sized: _Sized, answers: list[Answer], twins: list[Answer], tally: Tally
    ) -> None:
        took = [answer.reply.took for answer in answers]
        beside = [twin.reply.took for twin in twins] or [_LONGEST] * _TWICE
        grown = [_grew(big, twin) for big, twin in zip(took, beside, strict=True)]
        if not any(grown):
            tally.delivered += 1
            return
        hashed = await self._usual_work(sized, tally)
        if hashed is None:
            return
        # Both times, beside each of its twins; what is so once may be the machine.
        quickest, slowest = min(took), max(took)
        if all(grown) and quickest > min(_FACTOR * max(hashed), _LONGEST):
            message = (
                f"{sized.operation} works {quickest:.2f} s on {sized.words}, {max(beside):.2f} s on its twin, "
                f"and {max(hashed):.2f} s on a usual one."
            )
            tally.violate(sized.operation, message, *answers)
        elif slowest <= min(_FACTOR * max(hashed), _LONGEST):
            tally.delivered += 1
        else:
            why = (
                f"{sized.words} took {quickest:.2f} to {slowest:.2f} s, usual ones up to {max(hashed):.2f} s"
            )
            tally.doubt(f"{sized.operation}: {why}: that tells nothing on a busy machine.", _QUIET)

    async def _usual_work(self, sized: _Sized, tally: Tally) -> list[float] | None:
        """How long a usual password takes there each time, in seconds; None where that is not known.

        A twin that was refused for its unknown member was not hashed: then the hash alone is many times as long.
        """
        other = await self.another_victim()
        answers = [
            await self._timed_size(sized, *sized.plain(other), "control: a usual password", Role.CONTROL)
            for _ in range(_TWICE)
        ]
        took = [answer.reply.took for answer in answers]
        lost = next((answer for answer in answers if answer.outcome in _LOST), None)
        if lost is not None:
            tally.doubt(f"{sized.operation}: a usual password got no orderly answer ({lost.why}).")
        elif max(took) > _LONGEST:
            tally.doubt(
                f"{sized.operation} takes {max(took):.1f} s on a usual password: longer ones were not compared."
            )
        else:
            return took
        return None

    async def _timed_size(
        self, sized: _Sized, account: Account, request: HttpRequest, label: str, role: Role
    ) -> Answer:
        answer = await self.send(request, label=label, role=role, operation=sized.operation, patient=False)
        register = self.target.register
        if register is not None and sized.operation == register.operation.name and answer.reply.granted:
            self.scene.made_accounts.append((account, None))
        return answer

    async def _reaching(self, answer: Answer) -> bool:
        """Whether the application, or a bound on lengths, has answered: whom a filter turns away says nothing."""
        login = self.logins()[0]
        bounded = answer.status is None or answer.status in _TOO_LONG
        return bounded or answer.reply.granted or await self._is_own(login, answer)

    async def _leave_room(self, login: Login, account: Account, tally: Tally) -> None:
        """Others are answered while ten logins are hashed: hashing has left the event loop."""
        polled = self.target.public or (self.target.witness.operation if self.target.witness else None)
        if (os.cpu_count() or 1) < _CORES or polled is None:
            why = "nothing that answers is known" if polled is None else "this machine has one core"
            tally.doubt(f"{why}: logins at the same time were not tried")
            return
        reader = None if self.target.public is not None else await self.credential()
        # Ten logins take several times as long as one before all are through; polls are spread over that.
        pause = min(max((await self._one_of_many(login, account)).reply.took / 2, _GAP), _LARGEST_GAP)
        alone = await self._polls(polled, reader, pause)
        worst: list[float] = []
        with counting() as derived:
            for _ in range(_TWICE):
                # Few wrong logins for each account: a limit on guesses would turn the others away.
                crowd_of = [await self.another_victim() for _ in range(_ACCOUNTS)]
                busy = asyncio.gather(
                    *(self._one_of_many(login, crowd_of[number % _ACCOUNTS]) for number in range(_TOGETHER))
                )
                times = await self._polls(polled, reader, pause)
                crowd = await busy
                worst.append(_p95(times))
                working = [answer for answer in crowd if answer.judgement is None]
                if len(working) < _ENOUGH:
                    tally.doubt(
                        f"{login.operation.name}: of {_TOGETHER} logins at once {_TOGETHER - len(working)} were not "
                        f"worked on ({next(answer.why for answer in crowd if answer.judgement)})."
                    )
                    return
        usual = statistics.median(alone)
        # In this process it is seen where hashes run: less needs to be noticed.
        counted = bool(derived.counts) and self.target.in_process
        if min(worst) <= max(_BLOCKED * usual, _SEEN if counted else _NOTICED):
            tally.delivered += 1
            return
        seen = (
            f"{polled.name} answers in {usual * 1000:.0f} ms, and in {min(worst) * 1000:.0f} ms while "
            f"{_TOGETHER} logins are hashed"
        )
        blocks = (
            derived.on_loop > 0 if counted else await self._one_login_blocks(login, usual, polled, reader)
        )
        if blocks is None:
            tally.doubt(
                f"{seen}: single logins do not tell whether they hold others up (too short, or the machine too busy).",
                _QUIET,
            )
        elif blocks:
            tally.violate(login.operation.name, f"{seen}: they block the event loop.", *working)
        else:
            self.notes.append(f"{seen}: busy processors, others are answered during a login")
            tally.delivered += 1

    async def _one_login_blocks(
        self, login: Login, usual: float, polled: Operation, reader: Credential | None
    ) -> bool | None:
        """Whether who asks during a single login waits for its end; None where that cannot be told.

        Ten hashes keep every processor busy, wherever they run; one leaves the others free. The same polls without a
        login are the twin: on a busy machine some of them wait as well.
        """
        lasted, waited, calm = list[float](), list[float](), list[float]()
        victim = await self.another_victim()
        for number in range(_SINGLE):
            victim = await self.another_victim() if number % _GUESSES == 0 and number else victim
            started = time.perf_counter()
            answer = await self._one_of_many(login, victim)
            lasted.append(time.perf_counter() - started)
            if answer.judgement is not None:
                return None
            busy = asyncio.create_task(self._one_of_many(login, victim))
            waited.append(await self._longest_wait(min(lasted), polled, reader))
            await busy
            calm.append(await self._longest_wait(min(lasted), polled, reader))
        long = statistics.median(lasted)
        if long < _LONG_BESIDE * usual:
            return None
        # All but one of the rounds, and more than in all but one of their twins: machines stop for a moment.
        wait, quiet = sorted(waited)[1], sorted(calm)[-2]
        if wait > max(_WAITED * long, _TIMES * usual, _TWICE * quiet):
            return True
        return False if statistics.median(waited) <= _LITTLE * long else None

    async def _longest_wait(self, long: float, polled: Operation, reader: Credential | None) -> float:
        """The longest wait of polls that are spread over `long` seconds, each from when it was due.

        A login looks things up before it hashes, so one poll could be through by then. An application in this process
        that blocks holds the one who asks up as well.
        """
        began, longest = time.perf_counter(), 0.0
        for part in _PARTS:
            due = began + part * long
            left = due - time.perf_counter()
            if left > 0:
                await asyncio.sleep(left)
                await self._polled(polled, reader)
                longest = max(longest, time.perf_counter() - due)
        return longest

    async def _polls(self, operation: Operation, reader: Credential | None, pause: float) -> list[float]:
        """How long each of some reads took from when it was due, a `pause` (seconds) after the one before.

        An application in this process that blocks holds the one who asks up as well.
        """
        took = []
        for _ in range(_ROUNDS):
            due = time.perf_counter() + pause
            await asyncio.sleep(pause)
            await self._polled(operation, reader)
            took.append(time.perf_counter() - due)
        return took

    async def _polled(self, operation: Operation, reader: Credential | None) -> float:
        """How long a plain read takes. Raises Unclear where it was not answered: a refusal is quick."""
        started = time.perf_counter()
        answer = await self.call(operation, reader, label="poll something that answers", role=Role.CONTROL)
        took = time.perf_counter() - started
        if not answer.reply.ok:
            raise Unclear(f"{operation.name} stopped answering ({answer.why or answer.status}).")
        return took

    async def _one_of_many(self, login: Login, account: Account) -> Answer:
        return await self.send(
            login.request(account.username, Secret(self.password())),
            label="a wrong login while others ask",
            role=Role.ATTACK,
            operation=login.operation.name,
            patient=False,
        )


def _grew(big: float, twin: float) -> bool:
    """Whether a password's length bought work, beside the same bytes where nobody reads them (seconds)."""
    return big > _LONGEST or (big > _FACTOR * twin and big > _COUNTS)


def _p95(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
