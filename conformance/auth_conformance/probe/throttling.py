"""`must_throttle`: wrong passwords for one account, until the service does something about it."""

from __future__ import annotations

import asyncio
import math
import statistics
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import Exchange, Failed, Inconclusive, Outcome, Passed, Role, Verdict, Violation
from auth_conformance.oracles.normalise import masked
from auth_conformance.probe import lasting
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.lasting import IN_A_ROW, lasts
from auth_conformance.probe.sessions import Sessions
from auth_conformance.secret import Secret
from auth_conformance.transports.loopback import has_many_callers

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.target import Account, Login

# Requests on their way at the same time, and pause between groups of them at somebody else's machine: 5/s.
TOGETHER = 4
PAUSE = 0.8
# Answers that set the pace: delays must grow relative to these.
FIRST = 5
# A delay counts from this factor on, and from this many seconds on.
SLOWER = 4.0
SLOW = 1.0
# How many wrong passwords more are sent to see whether a first sign holds.
CONFIRMING = 4
# How often a sign is put to that test: the right password resets the counters of many services.
CONFIRMED = 3
# So often the right password is sent before the wrong ones.
RIGHT_BEFORE = 2
# Guesses at other things than passwords.
OTHER_GUESSES = 30
_SIGNS = {
    HTTPStatus.TOO_MANY_REQUESTS: "429",
    HTTPStatus.LOCKED: "423",
    HTTPStatus.SERVICE_UNAVAILABLE: "503",
}
_BEHIND = "# point the run at the service itself: something in front limits requests of every kind"


@dataclass(slots=True)
class Tempo:
    """How fast guesses go: slower once a limit on requests by the second was met, which stops no guessing."""

    together: int = TOGETHER
    pause: float = 0.0
    calm: bool = False

    def calm_down(self) -> None:
        """From now on one at a time, once a second."""
        self.together, self.pause, self.calm = 1, lasting.CALM, True


@dataclass(slots=True)
class Siege:
    """What wrong passwords led to. `sign` is the first effective reaction, None if there was none."""

    tried: int = 0
    evaluated: int = 0
    sign: str | None = None
    after: int = 0
    lasting: str = ""
    changed: tuple[int, str] | None = None
    confirmed: int = 0
    # Whether the tries on their way met a limit that let up at once.
    passing: bool = False
    # From how many seconds on an answer is slow, where slowness is the sign.
    slow: float = math.inf
    crashes: list[str] = field(default_factory=list)
    first: list[Answer] = field(default_factory=list)
    last: list[Answer] = field(default_factory=list)
    control: Answer | None = None

    @property
    def evidence(self) -> tuple[Exchange, ...]:
        """A few of many."""
        control = (self.control,) if self.control is not None else ()
        return tuple(answer.exchange for answer in (*self.first[:2], *self.last[-3:], *control))

    def too_few(self, operation: str) -> str:
        """Why fewer guesses were looked at than are needed to say anything."""
        why = f": {self.crashes[0]}" if self.crashes else ""
        return f"{operation} evaluated only {self.evaluated} of {self.tried} tries{why}."

    def endless(self, operation: str, tempo: Tempo) -> str:
        """What it means that nothing stopped the guesses."""
        message = (
            f"{operation} evaluated {self.evaluated} wrong passwords for one account without slowing down, "
            "and took the right one at once."
        )
        if tempo.calm:
            message += f" A limit on requests was met, and let through one every {tempo.pause:g} s."
        return message


class Throttling(Sessions):
    """Guesses passwords of accounts that were made for it."""

    async def must_throttle(self) -> Verdict:
        """Each login must slow or block guessing before the limit. Raises Missing without an expendable account."""
        violations: list[Violation] = []
        doubts: list[str] = []
        passed: list[str] = []
        tempo = Tempo(pause=0.0 if self.target.in_process else PAUSE)
        for login in self.distinct_logins():
            operation = login.operation.name
            try:
                siege = await self._besiege(login, tempo)
                await self._must_be_open()
            except Unclear as reason:
                # What one operation showed stands, whatever became of the next.
                doubts.append(f"{operation}: {reason}")
                continue
            except Missing as reason:
                if not (passed or violations or doubts):
                    raise
                self.notes.append(f"{operation} was not tried: {reason}")
                continue
            if siege.sign is not None:
                passed.append(f"{operation} after {siege.after} ({siege.sign}{siege.lasting})")
            elif siege.evaluated < self._tries():
                doubts.append(siege.too_few(operation))
            else:
                violations.append(Violation(operation, siege.endless(operation, tempo), None, siege.evidence))
        if self.target.keys is not None:
            await self._guess_keys()
        evidence, notes = tuple(self.evidence[:40]), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, notes)
        if doubts or not passed:
            return Inconclusive(doubts[0] if doubts else "No login could be tried.", "", evidence, notes)
        return Passed(f"Wrong passwords were answered by a limit: {'; '.join(passed)}.", evidence, notes)

    def _tries(self) -> int:
        return math.ceil(self.target.policy.throttle_limit * 1.5)

    async def _besiege(self, login: Login, tempo: Tempo) -> Siege:
        if self.target.witness is not None:
            await self.credential()  # later this address may be shut out
        victim = await self.victim()
        for when in ("before", "and again"):
            label = f"control {when}: the right password"
            if await self._right(login, victim, label, calm=True) is None:
                raise Unclear(f"{login.operation.name} refused the right password of a new account.")
        siege = Siege()
        times: list[float] = []
        while siege.evaluated < self._tries() and siege.tried < 2 * self._tries() and siege.sign is None:
            tries = (self._wrong(login, victim, siege.tried + place + 1) for place in range(tempo.together))
            siege.passing = False
            for answer in await asyncio.gather(*tries):
                siege.tried += 1
                if siege.sign is None:
                    await self._weigh(login, victim, siege, answer, times)
            if siege.passing:
                tempo.calm_down()
                times.clear()
            await asyncio.sleep(tempo.pause)
        if siege.sign is None:
            await self._final(login, victim, siege)
        if siege.sign is not None:
            await self._must_spare_others(login, siege, tempo)
            await self._which_key(login)
        return siege

    async def _weigh(
        self,
        login: Login,
        victim: Account,
        siege: Siege,
        answer: Answer,
        times: list[float],
    ) -> None:
        """Take one answer into account; a sign counts when it is effective."""
        # Who lets guesses wait longer than we wait for any answer slows them down, too.
        held_up = answer.reply.late and self._slower([*times, answer.reply.took]) is not None
        if (
            answer.outcome is Outcome.CRASHED
            and answer.status != HTTPStatus.SERVICE_UNAVAILABLE
            and not held_up
        ):
            if answer.reply.late:
                times.append(answer.reply.took)
            siege.crashes.append(answer.why)
            if len(siege.crashes) > self._tries() // 5:
                raise Unclear(
                    f"{login.operation.name} broke down under {siege.tried} wrong passwords ({answer.why}).",
                )
            return
        if login.read(answer.reply, victim.label) is not None:
            raise Unclear(f"{login.operation.name} accepted a wrong password: CRD101 says more.")
        times.append(answer.reply.took)
        status, number = answer.status or 0, siege.tried
        slowed = self._slower(times)
        if status in _SIGNS and not (siege.first and siege.first[0].status == status):
            sign = _SIGNS[HTTPStatus(status)]
            if siege.passing or not await self._holds(login, victim, siege):
                return
        elif slowed is not None and await self._slows(login, victim, siege, times):
            sign = slowed
            siege.slow = self._slow_from(times)
        else:
            siege.evaluated += 1
            self._compare_wording(siege, answer)
            (siege.first if len(siege.first) < FIRST else siege.last).append(answer)
            return
        after = answer.reply.header("retry-after")
        siege.control, siege.sign, siege.after = answer, sign, number
        siege.lasting = f", Retry-After {after}" if after else ""

    @staticmethod
    def _slower(times: list[float]) -> str | None:
        """Whether the latest answers are much slower than the first: serialised hashing is slow from the start."""
        if len(times) < FIRST + TOGETHER:
            return None
        pace, lately = statistics.median(times[:FIRST]), min(times[-TOGETHER:])
        if lately < Throttling._slow_from(times):
            return None
        return f"answers {lately / max(pace, 0.001):.0f} times slower"

    async def _slows(self, login: Login, victim: Account, siege: Siege, times: list[float]) -> bool:
        """Whether it is the service that takes its time: one try after the other is slow, and what is public is not.

        Requests that wait for a busy machine are slow as well, and hashing most of all.
        """
        enough, public = self._slow_from(times), self.target.public
        slow = siege.confirmed < CONFIRMED
        siege.confirmed += 1
        for _ in range(CONFIRMING if slow else 0):
            answer = await self._wrong(login, victim, siege.tried + 1)
            siege.tried += 1
            if answer.reply.took < enough:
                siege.evaluated += 1
                slow = False
                break
            if public is not None:
                beside = await self.send(public.request(), label="how long does what is public take?")
                slow = slow and beside.reply.took < enough / 2
        if not slow:
            del times[FIRST:]
        return slow

    @staticmethod
    def _slow_from(times: list[float]) -> float:
        """From how many seconds on an answer is slow beside the first ones."""
        pace = statistics.median(times[:FIRST])
        return max(SLOWER * pace, pace + SLOW)

    @staticmethod
    def _compare_wording(siege: Siege, answer: Answer) -> None:
        """Remember the last change of the answer.

        Whether it is a block, only the right password can tell, and trying that now would reset the
        service's counter.
        """
        if len(siege.first) < FIRST:
            return
        recent = (siege.last or siege.first)[-1]
        if _wording(answer) != _wording(recent):
            siege.changed = (
                siege.tried,
                f"another answer, {answer.status}, and the right password is refused too",
            )

    async def _holds(self, login: Login, victim: Account, siege: Siege) -> bool:
        """Whether a sign is more than a word: most tries meet it, also seldom ones, and the right password does."""
        if siege.confirmed >= CONFIRMED:
            return False
        siege.confirmed += 1

        async def refused() -> bool:
            answer = await self._wrong(login, victim, siege.tried + 1)
            siege.tried += 1
            limited = answer.status in _SIGNS
            siege.evaluated += not limited
            return limited

        met = [await refused() for _ in range(CONFIRMING)]
        if 2 * sum(met) < len(met):
            return False
        if not await lasts(refused):
            siege.passing = True
            return False
        return await self._right(login, victim, "the right password after the sign") is None

    async def _final(self, login: Login, victim: Account, siege: Siege) -> None:
        """After all tries: a right password that is refused now means a silent block."""
        right = await self._right(login, victim, "the right password after all tries", calm=True)
        if right is None:
            await self._must_be_open()
            silent = siege.tried, "a silent block: the right password is refused too"
            siege.after, siege.sign = siege.changed or silent
            return
        siege.control = right
        if await self._right(login, victim, "the right password, once more", calm=True) is None:
            raise Unclear(f"{login.operation.name} took the right password once and then refused it.")

    async def _right(
        self, login: Login, account: Account, label: str, *, calm: bool = False
    ) -> Answer | None:
        """Log in with the right password: the answer, or None when it was refused in an orderly way.

        `calm` tries again a moment later where a limit answered, which may be one on requests.
        """
        for number in range(IN_A_ROW if calm else 1):
            await asyncio.sleep(lasting.CALM if number else 0.0)
            password = account.password or Secret("")
            answer = await self._try_password(login, account, password, label, Role.CONTROL)
            if answer.status not in _SIGNS:
                break
        if answer.outcome is Outcome.CRASHED and answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
            raise Unclear(f"{login.operation.name} gave no orderly answer to {label} ({answer.why}).")
        credential = login.read(answer.reply, account.label)
        if credential is None:
            return None
        self.scene.recorder.redactor.learn(credential.value)
        return answer

    async def _wrong(self, login: Login, account: Account, number: int) -> Answer:
        password = Secret(self.password())
        return await self._try_password(login, account, password, f"wrong password {number}", Role.ATTACK)

    async def _try_password(
        self,
        login: Login,
        account: Account,
        password: Secret,
        label: str,
        role: Role,
    ) -> Answer:
        self.scene.recorder.redactor.learn(password)
        request = login.request(account.username, password)
        return await self.send(request, label=label, role=role, operation=login.operation.name, patient=False)

    async def _must_be_open(self) -> None:
        """See that the rest still answers: a dead or wholly limited service proves nothing. Raises Unclear."""
        await self.must_be_reachable()
        if self.target.witness is None:
            return
        live = await self.credential()
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, "after")

    async def _must_spare_others(self, login: Login, siege: Siege, tempo: Tempo) -> None:
        """The limit counts guesses: as many requests of another kind meet none. Raises Unclear.

        Who limits everything that an address asks for says nothing of guessing: from many addresses, or at the
        pace that is let through, it goes on. Who shuts an address out because of its guesses does limit them.
        """
        if self.target.witness is None:
            return
        # What logs in again, if it has to, may have to come from another address.
        name, besieged, live = login.operation.name, self.address, await self.alive()
        if await self._is_served(live, besieged, siege.slow):
            return
        if not (self.target.in_process or has_many_callers(self.target.address)):
            done = "refused" if siege.slow == math.inf else "slowed down"
            words = (
                f"{name}: after {siege.tried} tries everything from this address was {done}, not only guesses"
            )
            raise Unclear(f"{words}: whether guesses are what is counted could not be seen.", _BEHIND)
        elsewhere = self.another_address()
        as_many = siege.tried + RIGHT_BEFORE
        for start in range(0, as_many, tempo.together):
            together = min(tempo.together, as_many - start)
            asked = (self._is_served(live, elsewhere, siege.slow) for _ in range(together))
            served = await asyncio.gather(*asked)
            if not all(served):
                words = (
                    f"{name}: a limit on requests of every kind answered after {start + together} honest ones"
                )
                raise Unclear(f"{words}: whether guesses are limited could not be seen.", _BEHIND)
            await asyncio.sleep(tempo.pause)

    async def _is_served(self, live: Credential, address: str, slow: float) -> bool:
        """Whether the witness answers a live credential from this address, in less than `slow` seconds."""
        request = self.witness.operation.request().with_headers(*live.headers).with_query(*live.query)
        for number in range(2):  # a limit by the second lets up
            await asyncio.sleep(lasting.CALM if number else 0.0)
            answer = await self.send(
                replace(request, source=address),
                label="control: a request that guesses nothing, from the same address",
                role=Role.CONTROL,
                operation=self.witness.operation.name,
                patient=False,
            )
            if answer.reply.ok and answer.reply.took < slow:
                return True
        return False

    async def _which_key(self, login: Login) -> None:
        """Note whether the limit holds for the account or for the client as well."""
        neighbour = await self.disposable("another user") or self.target.accounts.get("b")
        if neighbour is None or neighbour.password is None:
            return
        try:
            free = await self._right(login, neighbour, "another account from the same client") is not None
        except Unclear as reason:
            self.notes.append(
                f"{login.operation.name}: whether the limit counts per client was not seen: {reason}"
            )
            return
        counts = "per account" if free else "per client: other accounts are refused too"
        self.notes.append(f"{login.operation.name}: the limit counts {counts}")

    async def _guess_keys(self) -> None:
        """Guess API keys for a while; keys of 128 random bits need no limit, so this is only told."""
        if self.target.witness is None:
            return
        try:
            key = await self.credential(Kind.KEY)
        except (Missing, Unclear) as reason:
            self.notes.append(f"API keys were not guessed: {reason}")
            return
        for number in range(OTHER_GUESSES):
            answer = await self.call(
                self.witness.operation,
                self.bland(key),
                label=f"wrong API key {number + 1}",
                role=Role.ATTACK,
            )
            if answer.outcome is Outcome.THROTTLED:
                self.notes.append(f"guessing API keys was limited after {number + 1}")
                return
        self.notes.append(
            f"{OTHER_GUESSES} wrong API keys met no limit, which is harmless if keys are long and random",
        )


def _wording(answer: Answer) -> str:
    text = "".join(character for character in masked(answer.reply.text) if not character.isdigit())
    return f"{answer.status} {text}"
