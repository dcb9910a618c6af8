"""Which passwords a service takes, and which accounts it came with (checklist CRD106, CRD107, CRD119)."""

from __future__ import annotations

import contextlib
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from auth_conformance.model import Expectation, Need, Role, Severity, Verdict
from auth_conformance.oracles.examples import EXAMPLE_NAMES, example_accounts
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.knocking import Knock, Knocking, Tally
from auth_conformance.probe.seeded import Seeded
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Account

_LEAST = 8  # ASVS V6.2.1
_WISHED = 15  # NIST SP 800-63B-4 §3.1.1.2, for a password alone
_SAMPLES = 12
_SECOND_LEVEL = 2
# So much of an example is read, and so many accounts in examples are tried.
_EXAMPLE, _EXAMPLES = 100_000, 6
# So many passwords are guessed at a name that may be somebody's: fewer than lock an account anywhere usual.
_GUESSES = 4


@cache
def common_passwords() -> tuple[str, ...]:
    """Passwords that lead every published list."""
    text = resources.files("auth_conformance").joinpath("data", "common_passwords.txt").read_text("utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


@cache
def default_pairs() -> tuple[tuple[str, str], ...]:
    """Names and passwords that things come with."""
    text = resources.files("auth_conformance").joinpath("data", "default_accounts.toml").read_text("utf-8")
    return tuple((name, password) for name, password in tomllib.loads(text)["pairs"])


@dataclass(frozen=True, slots=True)
class Bad:
    """A password that nobody should be allowed to choose, and why."""

    words: str
    text: Callable[[Account], str]
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Entrance:
    """A place where people choose a password: `choose` makes an account choose one, and says whether it may."""

    operation: str
    start: Callable[[], Awaitable[Account]]
    choose: Callable[[Account, Secret, str], Awaitable[Answer]]


class PasswordPolicy(Knocking):
    """Chooses passwords."""

    async def must_refuse_weak_passwords(self) -> Verdict:
        """At each place where people choose a password: short, common and derived ones are refused."""
        tally = Tally()
        for number, entrance in enumerate(self._places_to_choose()):
            await self._weigh_policy(entrance, self._bad_passwords(brief=number > 0), tally)
        return self.concluded(
            tally, f"{tally.delivered} weak passwords were refused, and a random one was taken."
        )

    async def _weigh_policy(self, entrance: Entrance, bad: list[Bad], tally: Tally) -> None:
        try:
            await self._may_choose(entrance, "before")
            account = await entrance.start()
            for item in bad:
                text = item.text(account)
                answer = await entrance.choose(account, Secret(text), item.words)
                if answer.judgement is not None:
                    tally.doubt(f"{entrance.operation}: {item.words} got no orderly answer ({answer.why}).")
                elif not _taken(answer):
                    tally.delivered += 1
                elif not await self._really_set(account, text):
                    tally.delivered += 1  # a polite no, or a password that nobody can use
                    account = await entrance.start()
                else:
                    account = await entrance.start()
                    again = await entrance.choose(account, Secret(item.text(account)), f"again: {item.words}")
                    if _taken(again):
                        tally.violate(
                            entrance.operation,
                            f"{entrance.operation} takes {item.words}.",
                            answer,
                            again,
                            severity=item.severity,
                            expected=Expectation("refused"),
                        )
                    else:
                        tally.doubt(
                            f"{entrance.operation}: {item.words} was taken once and logged in, and was not taken "
                            f"again ({again.why or again.status})."
                        )
                    account = await entrance.start()
            await self._may_choose(entrance, "after")
            await self._note_short_ones(entrance)
        except Missing as reason:
            self.notes.append(f"{entrance.operation} was not tried: {reason}")
        except Unclear as reason:
            tally.doubt(f"{entrance.operation}: {reason}")

    async def _note_short_ones(self, entrance: Entrance) -> None:
        """Fourteen random characters are allowed, and told: NIST wants fifteen of a password that stands alone."""
        if self.scene.level < _SECOND_LEVEL:
            return
        words = f"a random password of {_WISHED - 1} characters"
        answer = await entrance.choose(await entrance.start(), Secret(self.canary()[: _WISHED - 1]), words)
        if _taken(answer):
            self.notes.append(f"{entrance.operation} takes {words}: NIST SP 800-63B-4 asks for {_WISHED}")

    async def _really_set(
        self, account: Account, password: str, label: str = "log in with the weak password"
    ) -> bool:
        """Whether the password was really set: a polite answer may refuse it. Raises Unclear."""
        login = self.logins()[0]
        answer = await self.send(
            login.request(account.username, Secret(password)),
            label=label,
            role=Role.ATTACK,
            operation=login.operation.name,
        )
        return await self.let_in(login, answer) is not None

    async def _may_choose(self, entrance: Entrance, when: str) -> None:
        account = await entrance.start()
        answer = await entrance.choose(account, Secret(self.password()), f"control {when}: a random password")
        if not _taken(answer):
            raise Unclear(f"a random password of 20 characters was refused ({answer.why or answer.status})")

    def _bad_passwords(self, *, brief: bool) -> list[Bad]:
        service = "".join(character for character in self.target.title if character.isalnum()) or "Service"
        year = datetime.now(UTC).year
        found = [
            Bad("an empty password", lambda _: "", Severity.HIGH),
            Bad("a password of one character", lambda _: self.word(1)),
            Bad("a password of seven random characters", lambda _: self.canary()[:7]),
        ]
        samples = list(common_passwords())
        self.rng.shuffle(samples)
        found += [
            Bad(f"the common password {text!r}", lambda _, text=text: text)  # type: ignore[misc] # bound early on purpose
            for text in samples[: 3 if brief else _SAMPLES]
        ]
        derived = [
            Bad(
                "a leaked password of 16 characters ('passwordpassword')",
                lambda _: "passwordpassword",
                Severity.LOW,
            ),
            Bad("a password made of the user name", _from_name, Severity.LOW),
            Bad("the user name as password", lambda account: account.username, Severity.LOW),
            Bad(
                "a password made of the service's name and the year",
                lambda _: f"{service}{year}",
                Severity.LOW,
            ),
        ]
        # Words of the context and leaked passwords are matters of level 2 (ASVS V6.2.11, V6.2.12).
        return found + (derived if self.scene.level >= _SECOND_LEVEL else [])

    def _places_to_choose(self) -> list[Entrance]:
        found = [self._chosen_at_registration()] if self.target.register is not None else []
        if self.target.password_change is not None:
            found.append(self._chosen_at_change())
        if self.target.recovery is not None and self.target.mailbox is not None:
            found.append(self._chosen_at_reset())
        if not found:
            raise Missing("No place is known where people choose a password.", self._remedy(Need.REGISTER))
        return found

    def _chosen_at_registration(self) -> Entrance:
        register = self.target.register
        name = register.operation.name if register is not None else ""

        async def start() -> Account:
            return self.unborn(Secret(self.password()))

        async def choose(account: Account, password: Secret, label: str) -> Answer:
            answer, _ = await self.registered(password, account.username, label, confirm="never")
            return answer

        return Entrance(name, start, choose)

    def _chosen_at_change(self) -> Entrance:
        change = self.password_change

        async def choose(account: Account, password: Secret, label: str) -> Answer:
            login = self.logins()[0]
            credential = await self.right_login(login, account, "to change it")
            answer = await self.change_password(account, password, credential, label)
            if _taken(answer):
                self.now_known_by(account, password)
            return answer

        return Entrance(change.form.operation.name, self.another_victim, choose)

    def _chosen_at_reset(self) -> Entrance:
        confirm = self.recovery.confirm

        async def choose(account: Account, password: Secret, label: str) -> Answer:
            token = await self.reset_token(account)
            answer = await self.send(
                confirm.request(token, password, account.address),
                label=label,
                operation=confirm.form.operation.name,
            )
            if _taken(answer):
                self.now_known_by(account, password)
            return answer

        return Entrance(confirm.form.operation.name, self.another_victim, choose)

    # Nothing but length.

    async def must_allow_any_characters(self) -> Verdict:
        """Random passwords of one kind of character, of any script, of 64 and 128 characters work."""
        tally, login = Tally(), self.logins()[0]
        plain = await self.victim()
        await self.right_login(login, plain, "before")
        for words, text, severity in self._monotonous():
            with self.doubting(tally.doubts, tally.remedies):
                await self._registers(words, text, severity, tally)
        await self._twice_as_long()
        await self.right_login(login, plain, "after")
        return self.concluded(tally, f"{tally.delivered} passwords of all kinds registered and logged in.")

    async def _registers(self, words: str, text: str, severity: Severity | None, tally: Tally) -> None:
        """Register with a password and log in with it; what fails must fail twice. Raises Unclear."""
        answer, why = await self._lives_with(words, text)
        if not why:
            tally.delivered += 1
            return
        operation = answer.exchange.operation
        again, reason = await self._lives_with(f"again: {words}", text)
        if not reason:
            tally.doubt(f"{operation}: {words} {why} once ({answer.status}), and not again.")
            return
        control, _ = await self._lives_with("control: a random password of all kinds", self.password())
        if not _taken(control):
            tally.doubt(
                f"{operation}: {words} {why} ({answer.status}), and by then a random password of all kinds was refused "
                f"as well ({control.status})."
            )
            return
        shown = " ".join(answer.reply.text.split())[:120]
        tally.violate(
            operation,
            f"{operation}: {words} {why} ({answer.status}: {self.scene.recorder.redactor.text(shown)}).",
            answer,
            again,
            severity=severity,
            expected=Expectation("accepted"),
        )

    async def _lives_with(self, words: str, text: str) -> tuple[Answer, str]:
        """What registering with this password is answered, and what fails: "" when it logs in. Raises Unclear."""
        answer, account = await self.registered(Secret(text), label=f"register with {words}")
        if answer.judgement is not None:
            raise Unclear(f"{answer.exchange.operation}: {words} got no orderly answer ({answer.why}).")
        if not _taken(answer):
            return answer, "was refused"
        taken = await self._really_set(account, text, f"log in with {words}")
        return answer, "" if taken else "was taken and does not log in"

    def _monotonous(self) -> list[tuple[str, str, Severity | None]]:
        rng = self.rng

        def many(alphabet: str, count: int) -> str:
            return "".join(rng.choice(alphabet) for _ in range(count))

        lower = "bcdfghjklmnpqrstvwxz"
        found: list[tuple[str, str, Severity | None]] = [
            ("20 random lower-case letters", many(lower, 20), None),
            ("20 random digits", many("0123456789", 20), None),
            ("random letters with blanks", " ".join(many(lower, 4) for _ in range(4)), None),
            ("emoji", many("🦊🌵🎈🚲🧊🍋🪁🐙🌙🧵", 16), None),
            ("Cyrillic letters", many("бвгджзклмнпрстфхцчшщ", 16), None),
        ]
        if self.scene.level >= _SECOND_LEVEL:  # ASVS V6.2.9
            found += [
                ("64 characters", many(lower + "23456789", 64), None),
                ("64 letters of two bytes each", many("àâäåæçèêëìîïñòôöøùûü", 64), None),
            ]
        return found

    async def _twice_as_long(self) -> None:
        """Twice the length that has to be allowed: where that does not work, it is told and no finding."""
        text = "".join(self.rng.choice("bcdfghjklmnpqrstvwxz23456789") for _ in range(128))
        try:
            answer, why = await self._lives_with("a password of 128 characters", text)
        except Unclear as reason:
            self.notes.append(f"128 characters were not judged: {reason}")
            return
        if why:
            self.notes.append(
                f"{answer.exchange.operation}: a password of 128 characters {why} ({answer.status})"
            )

    # What it came with.

    def _example_accounts(self) -> list[tuple[str, str]]:
        """The accounts in the examples of the source, where that is known: at its top, or that of its project."""
        if self.target.source is None:
            return []
        root = Path(self.target.source.root)
        project = any((root.parent / name).exists() for name in ("pyproject.toml", "setup.py", ".git"))
        found: list[tuple[str, str]] = []
        for folder in (root, *((root.parent,) if project else ())):
            for name in EXAMPLE_NAMES:
                with contextlib.suppress(OSError):
                    found += example_accounts((folder / name).read_text("utf-8", "replace")[:_EXAMPLE])
        return found[:_EXAMPLES]

    async def must_have_no_default_accounts(self) -> Verdict:
        """None of the accounts of templates and tutorials logs in, each tried once."""
        login, tally = self.logins()[0], Tally()
        a = self.account("a")
        domain = a.address.partition("@")[2] or "example.com"
        mine = {account.username for account in self.target.accounts.values()}
        pairs = [(name.format(domain=domain), password) for name, password in default_pairs()]
        if "@" in a.username:
            pairs = [(name if "@" in name else f"{name}@{domain}", password) for name, password in pairs]
        pairs += self._example_accounts()
        pairs = [pair for pair in dict.fromkeys(pairs) if pair[0] not in mine]
        # Somebody may really be called so: no wrong login of this check may lock them out.
        by_name: dict[str, list[tuple[str, str]]] = {}
        for pair in pairs:
            by_name.setdefault(pair[0], []).append(pair)
        pairs = [pair for mentioned in by_name.values() for pair in mentioned[:_GUESSES]]

        async def whoever() -> Account:
            return a

        knocks = [
            Knock(
                f"the account {name} with the password {password!r}",
                lambda _, name=name, password=password: login.request(name, Secret(password)),  # type: ignore[misc] # bound early on purpose
            )
            for name, password in pairs
        ]
        await self.must_stay_out(login, knocks, whoever, tally)
        tried = tally.delivered
        passwords = list(dict.fromkeys(password for _, password in pairs))
        seeded = Seeded(self.scene, self.rule)
        await seeded.must_hold_no_default_hash(login, passwords, tally)
        self.evidence += seeded.evidence
        self.notes += seeded.notes
        compared = tally.delivered - tried
        reason = f"{tried} accounts that things come with do not exist here."
        if compared:
            reason += f" {compared} stored hashes of other accounts are those of none of their passwords."
        return self.concluded(tally, reason)


def _from_name(account: Account) -> str:
    local = account.username.partition("@")[0]
    return (local + local)[: max(12, len(local))]


def _taken(answer: Answer) -> bool:
    return answer.granted
