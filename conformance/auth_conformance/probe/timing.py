"""`must_take_the_same_time`: two kinds of request whose times must not tell which kind they were."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.model import Exchange, Failed, Inconclusive, Outcome, Passed, Role, Verdict, Violation
from auth_conformance.oracles.timing import LOOKS, Pair, Time, Timing, judge
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.derivations import Derived, counting
from auth_conformance.probe.knocking import Knocking
from auth_conformance.probe.likeness import Likeness
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.target import Account, Login
    from auth_conformance.transports.message import HttpRequest

# Wrong passwords per account: below the strictest usual limits (checklist CRD110).
PER_ACCOUNT = 5
# Where nobody can register, few accounts serve for all: the right password resets their counters each time.
BETWEEN = 3
_ACCOUNTS = 18
_QUIET = (
    'app = "module:app"  # if it is ASGI (Python): hashes are counted; or: run again when machines are idle'
)
# How often the hashes of either kind are counted.
_COUNTS = 2

Make = Callable[[], Awaitable["HttpRequest"]]


@dataclass(frozen=True, slots=True)
class TwoKinds:
    """Requests of two kinds at one operation: `left` of what is unknown, `right` of what is known."""

    operation: str
    left: str
    right: str
    make_left: Make
    make_right: Make
    looks: Sequence[int] = LOOKS
    fresh: bool = False


class Stopwatch(Likeness, Knocking):
    """Measures in pairs, in random order, against pairs of equals."""

    async def measured(self, kinds: TwoKinds) -> tuple[Timing, tuple[Exchange, ...]]:
        """Time both kinds until the answer is clear. Raises Unclear when limits or failures come first."""
        pairs: list[Pair] = []
        control: list[Pair] = []
        shown: tuple[Exchange, ...] = ()
        told: dict[str, int | None] = {}
        for look in kinds.looks:
            while len(pairs) < look:
                pair, shown = await self._timed_pair(kinds, kinds.make_left, kinds.make_right, told)
                pairs.append(pair)
                control.append((await self._timed_pair(kinds, kinds.make_left, kinds.make_left, told))[0])
            timing = judge(pairs, control)
            if timing.answer is not Time.UNCLEAR:
                break
        return timing, shown

    async def _timed_pair(
        self, kinds: TwoKinds, make_left: Make, make_right: Make, told: dict[str, int | None]
    ) -> tuple[Pair, tuple[Exchange, ...]]:
        left, right = (
            (await make_left(), f"timed: {kinds.left}"),
            (
                await make_right(),
                f"timed: {kinds.right if make_right is not make_left else kinds.left}",
            ),
        )
        # Connections of their own may come from anywhere: a limit per address is no matter of what is timed.
        source = f"127.{self.rng.randrange(1, 255)}.{self.rng.randrange(1, 255)}.7" if kinds.fresh else None
        order = [left, right] if self.rng.random() < 0.5 else [right, left]
        took: dict[int, float] = {}
        seen: list[Exchange] = []
        for sent in order:
            request, label = sent
            answer = await self.send(
                replace(request, fresh=kinds.fresh, source=source or request.source),
                label=label,
                role=Role.ATTACK,
                operation=kinds.operation,
                patient=False,
            )
            if answer.outcome is Outcome.THROTTLED:
                raise Unclear(
                    f"{kinds.operation} limited the requests before enough were timed: an attacker is bounded too.",
                    "rate = 1  # requests per second",
                )
            if answer.judgement is not None:
                raise Unclear(f"{kinds.operation} gave no orderly answer ({answer.why}).")
            if told.setdefault(label, answer.status) != answer.status:
                # A lock, or a filter that has had enough: its time is not that of a login.
                raise Unclear(
                    f"{kinds.operation} answered {label.removeprefix('timed: ')} {told[label]}, and later "
                    f"{answer.status}: what was timed is not one thing."
                )
            took[id(sent)] = answer.reply.took
            seen.append(answer.exchange)
        return (took[id(left)], took[id(right)]), tuple(seen)

    async def must_take_the_same_time(self) -> Verdict:
        """A login with an unknown name must cost what one with a known name costs."""
        logins = self.distinct_logins()
        if not logins:
            raise Missing("No login operation is known.")
        if not self.target.in_process:
            return await self._first_timed(logins)
        account = await self.expendable()
        counted = [(login, await self._counted(login, account)) for login in logins]
        verdicts = [verdict for _, verdict in counted if verdict is not None]
        failed = [verdict for verdict in verdicts if isinstance(verdict, Failed)]
        if failed:
            violations = tuple(violation for verdict in failed for violation in verdict.violations)
            return replace(failed[0], violations=violations)
        left = [login for login, verdict in counted if verdict is None]
        unclear = next((verdict for verdict in verdicts if isinstance(verdict, Inconclusive)), None)
        if unclear is not None or left:
            return unclear or await self._first_timed(left)
        reason = " ".join(verdict.reason for verdict in verdicts)
        return Passed(reason, tuple(self.evidence), tuple(self.notes))

    async def _first_timed(self, logins: Sequence[Login]) -> Verdict:
        """The verdict on the first of these logins: hundreds of wrong ones at each would be too many."""
        if len(logins) > 1:
            others = ", ".join(login.operation.name for login in logins[1:])
            self.notes.append(f"not timed: {others}")
        return await self._timed(logins[0])

    async def _timed(self, login: Login) -> Verdict:
        new = self.target.register is not None
        victims = [await self.expendable() for _ in range(_ACCOUNTS if new else 1)]
        for account in victims[:2]:
            await self.right_login(login, account, "before")
        uses = 0

        async def known() -> HttpRequest:
            nonlocal uses
            account = victims[(uses // PER_ACCOUNT) % len(victims)]
            if not new and uses and uses % BETWEEN == 0:
                await self.right_login(login, account, "between")
            uses += 1
            return login.request(account.username, self._wrong_secret())

        async def unknown() -> HttpRequest:
            return login.request(self._stranger(victims[0].username), self._wrong_secret())

        kinds = TwoKinds(login.operation.name, "an unknown name", "a known name", unknown, known)
        timing, shown = await self.measured(kinds)
        await self.right_login(login, victims[-1], "after")
        return self.timed_verdict(kinds, timing, shown)

    def timed_verdict(self, kinds: TwoKinds, timing: Timing, shown: tuple[Exchange, ...]) -> Verdict:
        """The verdict on one measurement."""
        notes = tuple(self.notes)
        sentence = f"{kinds.operation} takes for {kinds.left} and {kinds.right} {timing}"
        if timing.answer is Time.DIFFERENT:
            return Failed((Violation(kinds.operation, f"{sentence}.", None, shown),), shown, notes)
        if timing.answer is Time.SAME:
            return Passed(f"{sentence}: no difference that counts.", shown, notes)
        return Inconclusive(f"{sentence}: too close or too noisy to tell.", _QUIET, shown, notes)

    def _wrong_secret(self) -> Secret:
        wrong = Secret(self.password())
        self.scene.recorder.redactor.learn(wrong)
        return wrong

    # In this process: counted.

    async def _counted(self, login: Login, account: Account) -> Verdict | None:
        """The verdict from counts; None where no known function hashes passwords here."""
        await self.right_login(login, account, "before")
        known: list[Derived] = []
        unknown: list[Derived] = []
        shown: list[Exchange] = []
        for _ in range(_COUNTS):
            for name, found, words in (
                (account.username, known, "a known name"),
                (self._stranger(account.username), unknown, "an unknown name"),
            ):
                derived, exchange = await self._hashes(login, name, words)
                found.append(derived)
                shown.append(exchange)
        await self.right_login(login, account, "after")
        if not all(item.counts for item in known):
            self.notes.append("no known password hash was seen at work: the time was measured instead")
            return None
        operation, notes = login.operation.name, tuple(self.notes)
        if known[0].counts != known[1].counts or unknown[0].counts != unknown[1].counts:
            return Inconclusive(
                f"{operation} hashes differently each time: {known[0]}; {known[1]}.", "", tuple(shown), notes
            )
        if known[0].counts == unknown[0].counts:
            return Passed(
                f"{operation} computes for known and unknown names alike: {known[0]}.", tuple(shown), notes
            )
        message = f"{operation} computes {known[0]} for a known name, and for an unknown one {unknown[0]}."
        return Failed((Violation(operation, message, None, tuple(shown)),), tuple(shown), notes)

    async def _hashes(self, login: Login, name: str, words: str) -> tuple[Derived, Exchange]:
        with counting() as derived:
            answer = await self.send(
                login.request(name, self._wrong_secret()),
                label=f"{words} and a wrong password, hashes counted",
                role=Role.ATTACK,
                operation=login.operation.name,
                patient=False,
            )
        if answer.judgement is not None:
            raise Unclear(f"{login.operation.name} gave no orderly answer ({answer.why}).")
        return derived, answer.exchange
