"""`must_look_alike`: two kinds of request whose answers must not tell which kind they were."""

from __future__ import annotations

import string
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.model import (
    Exchange,
    Expectation,
    Failed,
    Inconclusive,
    Need,
    Outcome,
    Passed,
    Role,
    Verdict,
    Violation,
)
from auth_conformance.oracles.similarity import Seen, compare
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.sessions import Sessions
from auth_conformance.secret import Secret
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from auth_conformance.target import Account, Login

# Wrong passwords per account between two right ones: the strictest services lock at three.
PER_ACCOUNT = 2


@dataclass(frozen=True, slots=True)
class Ask:
    """A request of one kind. `echoes` are its inputs, which may come back in the answer."""

    label: str
    request: HttpRequest
    echoes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kinds:
    """Requests of two kinds at one operation, to be sent in turn. `left` and `right` say what they are about.

    `control` is awaited just before and just after them: it proves that what is known is known. `after` is what made
    an account what the words say.
    """

    operation: str
    left: str
    right: str
    pairs: tuple[tuple[Ask, Ask], ...]
    control: Callable[[], Awaitable[None]] | None = None
    after: tuple[Exchange, ...] = ()


class Likeness(Sessions):
    """Compares answers kind against kind."""

    async def must_look_alike(self, kinds: Sequence[Kinds]) -> Verdict:
        """No part of the answers may always differ between the kinds. Needs two pairs of each (2 of 2)."""
        violations: list[Violation] = []
        doubts: list[str] = []
        compared = 0
        for kind in kinds:
            if kind.control is not None:
                await kind.control()
            left, right = await self._ask_in_turn(kind)
            if kind.control is not None and not _limited(kind, left, right):
                await kind.control()
            if min(len(left), len(right)) < 2:
                doubts.append(f"{kind.operation} limited the requests before two of each kind were answered.")
                continue
            compared += min(len(left), len(right))
            comparison = compare([seen for _, seen in left], [seen for _, seen in right])
            evidence = tuple(
                answer.exchange for pair in zip(left, right, strict=False) for answer, _ in pair
            )[:4]
            if comparison.differences:
                told = "; ".join(map(str, comparison.differences[:3]))
                message = f"{kind.operation} tells {kind.right} from {kind.left}: {told}."
                first, second = evidence[:2]
                expected = Expectation("alike", value=str(first.number), about=second.number)
                violations.append(
                    Violation(kind.operation, message, None, (*kind.after, *evidence), expected)
                )
            elif comparison.unstable:
                parts = ", ".join(comparison.unstable)
                doubts.append(
                    f"{kind.operation} answers {kind.left} differently each time ({parts}): nothing can be compared.",
                )
        await self.must_be_reachable()
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, notes)
        if doubts or not compared:
            reason = doubts[0] if doubts else "Nothing could be compared."
            return Inconclusive(reason, "", evidence, notes)
        operations = ", ".join(dict.fromkeys(kind.operation for kind in kinds))
        reason = f"{compared} pairs at {operations} were alike in status, headers, cookies and body."
        return Passed(reason, evidence, notes)

    async def _ask_in_turn(self, kind: Kinds) -> tuple[list[tuple[Answer, Seen]], list[tuple[Answer, Seen]]]:
        sides: tuple[list[tuple[Answer, Seen]], list[tuple[Answer, Seen]]] = ([], [])
        for number, pair in enumerate(kind.pairs):
            for side, ask in zip(sides, pair, strict=True):
                answer = await self.send(
                    replace(ask.request, fresh=number % 2 == 1),
                    label=ask.label,
                    role=Role.ATTACK,
                    operation=kind.operation,
                    patient=False,
                )
                if answer.outcome is Outcome.THROTTLED:
                    # A limit per name tells nothing while nobody has used it up on one side only.
                    return sides
                if answer.judgement is not None:
                    raise Unclear(f"{ask.label}: {answer.why}.")
                side.append((answer, _seen(answer, ask)))
        return sides

    # Wrong passwords: for names that exist and for names that do not.

    async def wrong_passwords(self) -> list[Kinds]:
        """Return pairs of a stranger's name and a known one, each with the same wrong password, per login.

        Each known account proves with its right password, just before and just after, that it is one.
        """
        kinds = []
        known = await self._known_names()
        for number, login in enumerate(self.distinct_logins()):
            # Four pairs at the first operation, two at the others: they share the counters of the accounts.
            accounts = known if number == 0 else known[:1]
            pairs = [pair for account in accounts for pair in self._pairs_for(login, account)]
            kinds.append(
                Kinds(
                    login.operation.name,
                    "unknown names",
                    "known names",
                    tuple(pairs),
                    self._right_passwords(login, accounts),
                ),
            )
        if not kinds:
            raise Missing("No login operation is known.", self.target.remedies.get(Need.LOGIN, ""))
        self.notes.append("disabled and locked accounts were not compared: none could be made")
        return kinds

    async def _known_names(self) -> list[Account]:
        made = [await self.disposable("likeness"), await self.disposable("likeness, second")]
        found = [account for account in made if account is not None]
        own = [
            account for label, account in self.target.accounts.items() if label in "ab" and account.password
        ]
        found = found if len(found) > 1 else own
        if not found:
            raise Missing("No account with a password is known.", self.target.remedies.get(Need.LOGIN, ""))
        return found

    def _right_passwords(self, login: Login, accounts: Sequence[Account]) -> Callable[[], Awaitable[None]]:
        """Return what logs in to all of them: it proves who is known, and resets their counters."""

        async def log_in() -> None:
            for account in accounts:
                await self._right_password(login, account)

        return log_in

    def _pairs_for(self, login: Login, account: Account) -> list[tuple[Ask, Ask]]:
        pairs = []
        for _ in range(PER_ACCOUNT):
            stranger = self._stranger(account.username)
            wrong = Secret(self.password())
            self.scene.recorder.redactor.learn(wrong)
            left, right = (
                Ask(
                    f"{whose} and a wrong password",
                    login.request(name, wrong),
                    (name, name.split("@")[0], wrong.reveal()),
                )
                for whose, name in (
                    ("an unknown name", stranger),
                    (f"the name of {account.label}", account.username),
                )
            )
            pairs.append((left, right))
        return pairs

    async def _right_password(self, login: Login, account: Account) -> None:
        password = account.password or Secret("")
        answer = await self.send(
            login.request(account.username, password),
            label=f"control: the right password of {account.label}",
            role=Role.CONTROL,
            operation=login.operation.name,
        )
        credential = login.read(answer.reply, account.label)
        if credential is None:
            raise Unclear(
                f"{login.operation.name} refused the right password ({answer.why or answer.status}).",
            )
        self.scene.recorder.redactor.learn(credential.value)

    def _stranger(self, name: str) -> str:
        """Return a name of the same length and shape that nobody has: letters for letters, digits for digits."""
        local, at, host = name.partition("@")
        letters = "qxzjkvw"  # rare ones, so that a short name is nobody's either
        made = "".join(
            self.rng.choice(letters)
            if character in string.ascii_lowercase
            else self.rng.choice(letters.upper())
            if character in string.ascii_uppercase
            else self.rng.choice(string.digits)
            if character in string.digits
            else character
            for character in local
        )
        return made + at + host


def _limited(kind: Kinds, left: Sequence[object], right: Sequence[object]) -> bool:
    return len(left) + len(right) < 2 * len(kind.pairs)


def _seen(answer: Answer, ask: Ask) -> Seen:
    return Seen(answer.status or 0, answer.reply.headers, answer.reply.text, ask.echoes)
