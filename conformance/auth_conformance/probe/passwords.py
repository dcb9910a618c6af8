"""How passwords are compared: exactly, whole, and only for the account that they belong to."""

from __future__ import annotations

import html
import random
import re
import string
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from auth_conformance.model import Need, Outcome, Role, Severity, Verdict
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.knocking import MISSING, Knock, Knocking, Tally, with_member, with_password
from auth_conformance.probe.machines import Machines
from auth_conformance.probe.secondfactor import SecondFactor
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Account, Login
    from auth_conformance.transports.message import HttpRequest

# Characters that matter: both cases, inner and outer blanks, a tab, letters beyond ASCII, an emoji, an escape.
_PARTS = ("  Grün&Ä ", "\tñand9  ", "ﬁx %41 Ω", "🦊<b> ")
# Frameworks strip what forms send: whoever guesses gains nothing by it.
_STRIPPED = "the password without its outer blanks"
_LIMITS = (8, 16, 32, 56, 64, 72, 128, 256)
# Two texts whose raw SHA-256 digests begin with a NUL: whoever hands a raw digest to a function that stops at
# NUL compares nothing. Found by trying; a test proves it.
NUL_PAIR = ("plinth-Quorum7-vex-326", "plinth-Quorum7-vex-394")
_MULTIBYTE = 40
_BCRYPT = 72


class Passwords(Knocking):
    """Tries what is almost the password."""

    async def must_reject_wrong_passwords(self) -> Verdict:
        """Nothing but the right password of the right account logs in, in whatever type it comes."""
        other = await self.victim()
        tally = Tally()
        if self.target.register is None and len(self.target.expendables()) < 2:
            other = self._neighbour_of(other)
        twins = sorted(
            account.label
            for account in self.target.expendables()
            if account.label != other.label and account.password == other.password
        )
        if twins and self.target.register is None:
            tally.doubt(
                f"The accounts {other.label} and {twins[0]} have the same password: whether the password of one "
                "opens the other was not tried.",
                f'[accounts.{twins[0].removeprefix("x-")}]\npassword = {{ env = "ANOTHER_PASSWORD" }}  # of its own',
            )
        for login in self.logins():
            knocks = self._wrong_knocks(login, other)
            await self.must_stay_out(
                login, [item for item in knocks if not (twins and item.of_two)], self.another_victim, tally
            )
            await self.right_login(login, other, "at the end")
        if not other.expendable:
            self.forget_shared(other)  # a login may end the one before
        factor, machines = SecondFactor(self.scene, self.rule), Machines(self.scene, self.rule)
        for wrong in (factor.opened_without_code, machines.wrong_secrets_taken):
            with self.doubting(tally.doubts):
                try:
                    tally.violations += await wrong()
                except Missing as reason:
                    self.notes += [str(reason)] if reason.applicable else []
        self.evidence += [*factor.evidence, *machines.evidence]
        return self.concluded(
            tally, f"{tally.delivered} wrong passwords in {len(self.logins())} logins issued nothing."
        )

    def _neighbour_of(self, spare: Account) -> Account:
        """Who takes the part of the second person beside the only spare account: B, for one wrong login.

        Raises Missing where B is not known, or has the same password.
        """
        other = self.target.accounts.get("b")
        if other is None or other.password in (None, spare.password):
            raise Missing(
                "Nobody can register here, and this check needs two accounts with two passwords.",
                self._remedy(Need.EXPENDABLE) or self._remedy(Need.TWO_USERS),
            )
        return other

    def _wrong_knocks(self, login: Login, other: Account) -> list[Knock]:
        wrong = Secret(self.password())
        self.scene.recorder.redactor.learn(wrong)

        def given(value: object) -> Callable[[Account], HttpRequest]:
            def make(account: Account) -> HttpRequest:
                right = account.password or Secret("")
                # Alone in a list it would be no guess: parsers that coerce types take it out.
                sent = [wrong.reveal(), right.reveal()] if value == "listed" else value
                return with_password(login, login.request(account.username, right), sent)

            return make

        def text(words: str, value: Callable[[Account], str], *, of_two: bool = False) -> Knock:
            def make(account: Account) -> HttpRequest:
                return login.request(account.username, Secret(value(account)))

            return Knock(words, make, of_two=of_two)

        found = [
            text("a wrong password", lambda _: wrong.reveal()),
            text("an empty password", lambda _: ""),
            text("a single blank as password", lambda _: " "),
            text(
                "the password of another account", lambda _: (other.password or wrong).reveal(), of_two=True
            ),
            text("the user name as password", lambda account: account.username),
            Knock(
                "the right password under another account's name",
                lambda account: login.request(other.username, account.password or wrong),
                of_two=True,
            ),
        ]
        if login.encoding in ("json", "form"):
            found.append(Knock("no password at all", given(MISSING)))
        if login.encoding == "json":
            typed: dict[str, object] = {
                "null as password": None,
                "true as password": True,
                "an empty list as password": [],
                "a wrong and the right password in a list": "listed",
                'the condition {"$ne": ""} as password': {"$ne": ""},
                'the condition {"$gt": ""} as password': {"$gt": ""},
                "a number as password": 0,
            }
            found += [Knock(words, given(value)) for words, value in typed.items()]
        return found + self._code_knocks(login)

    def _code_knocks(self, login: Login) -> list[Knock]:
        """Where a code comes by mail: the right password with a wrong one, an empty one, and none."""
        marks = {"{{" + name + "}}" for name in login.mailed}
        members = [
            str(name) for name, value in login.template.items() if isinstance(value, str) and value in marks
        ]

        def instead(value: object) -> Callable[[Account], HttpRequest]:
            def make(account: Account) -> HttpRequest:
                request = login.request(account.username, account.password or Secret(""))
                return with_member(request, members[0], value)

            return make

        if not members:
            return []
        wrong = {
            "a wrong code": "".join(self.rng.choice("0123456789") for _ in range(6)),
            "an empty code": "",
        }
        return [
            *(Knock(f"the right password with {words}", instead(value)) for words, value in wrong.items()),
            Knock("the right password without a code", instead(MISSING)),
        ]

    # Byte for byte.

    async def must_compare_exactly(self) -> Verdict:
        """A password with every kind of character logs in as it was chosen, and in no other spelling."""
        login, tally = self.logins()[0], Tally()
        password = self._manifold()
        variants = _variants(password)
        made: list[Account] = []

        async def make() -> Account:
            answer, account = await self.registered(Secret(password))
            if answer.judgement is not None:
                raise Unclear(f"Registration gave no orderly answer ({answer.why}).")
            if not _granted(answer):
                raise Missing(
                    "Registration refuses passwords with blanks, accents and emoji: CRD107 says more."
                )
            made.append(account)
            return account

        try:
            first = await make()
        except Missing:
            password = self.password() + " aB%41&lt;"
            variants = _variants(password)
            self.notes.append("the full password was refused; a plainer one was used")
            first = await make()
        exact = await self._attempted(login, first)
        if exact.judgement is not None:
            raise Unclear(f"{login.operation.name} gave no orderly answer ({exact.why}).")
        if await self.let_in(login, exact) is None:
            again = await self._attempted(login, first)
            plain = await self.victim()
            await self.right_login(login, plain, "for a plain password")
            if await self.let_in(login, again) is None:
                tally.violate(
                    login.operation.name,
                    f"{login.operation.name} refuses the very password that was registered: it was changed silently.",
                    exact,
                    again,
                    severity=Severity.MEDIUM,
                )
            # A service that changed the password may take the changed one: that is the same root cause.
            return self.concluded(tally, "")
        knocks = [
            Knock(words, lambda account, spelled=spelled: login.request(account.username, Secret(spelled)))  # type: ignore[misc] # bound early on purpose
            for words, spelled in variants.items()
        ]
        self.scene.recorder.redactor.learn(Secret(password))
        await self.must_stay_out(login, knocks, make, tally)
        await self._normalised(login, first, password)
        return self.concluded(tally, f"{tally.delivered} other spellings of a password were refused.")

    async def _normalised(self, login: Login, account: Account, password: str) -> None:
        """Equal in NFC: NIST SP 800-63B-4 §3.1.1.2 allows to normalise, so this is only told."""
        decomposed = unicodedata.normalize("NFD", password)
        if decomposed == password:
            return
        answer = await self.send(
            login.request(account.username, Secret(decomposed)),
            label="the password in NFD",
            role=Role.CONTROL,
            operation=login.operation.name,
            patient=False,
        )
        if answer.judgement is not None:
            return
        word = "accepted" if await self.let_in(login, answer) is not None else "refused"
        self.notes.append(f"the canonically equivalent spelling (NFD) is {word}, and either is right")

    def _manifold(self) -> str:
        rng = random.Random(self.canary())
        letters = "".join(rng.choice(string.ascii_letters) for _ in range(6))
        return _PARTS[0] + letters[:3] + _PARTS[1] + letters[3:] + _PARTS[2] + _PARTS[3]

    async def _attempted(self, login: Login, account: Account) -> Answer:
        return await self.send(
            login.request(account.username, account.password or Secret("")),
            label="the password exactly as it was registered",
            role=Role.CONTROL,
            operation=login.operation.name,
        )

    # To the last character.

    async def must_use_whole_passwords(self) -> Verdict:
        """No beginning of a long password is enough, in characters or in bytes."""
        login, tally = self.logins()[0], Tally()
        longest = await self._longest()
        if longest is None:
            raise Unclear("Registration takes no password of 16 random characters.")
        password, refused = longest
        if refused:
            self.notes.append(f"registration refuses {refused}; {len(password)} characters were used")
        await self._prefixes(login, password, tally)
        accents = "é" * _MULTIBYTE
        tail = "-" + self.canary()
        await self._twins(login, accents + tail, {"72 bytes": accents[: _BCRYPT // 2]}, tally)
        await self._twins(login, NUL_PAIR[0], {"the same digest up to a NUL": NUL_PAIR[1]}, tally, core=False)
        for words, answer in tally.crashed:
            name = answer.exchange.operation
            again = await self._try(login, replace(answer.request, fresh=True), f"again: {words}", name)
            if answer.broke and again.broke:
                tally.violate(name, f"{words}: no orderly answer.", answer, again, severity=Severity.MEDIUM)
        return self.concluded(tally, f"{tally.delivered} beginnings of long passwords were refused.")

    async def _longest(self) -> tuple[str, str] | None:
        """The longest random password that registration takes, and what it refuses in an orderly way."""
        refused = ""
        for length in (300, 128, 72, 64, 40, 20):
            text = "".join(self.canary() for _ in range(length // 16 + 1))[:length]
            answer, _ = await self.registered(Secret(text), confirm="never")
            if answer.outcome is Outcome.THROTTLED:
                raise Unclear(f"Registration was limited ({answer.why}).")
            if _granted(answer):
                return text, refused
            if answer.judgement is None:
                refused = f"{length} characters"
            else:
                self.notes.append(f"{length} characters broke registration ({answer.why})")
        return None

    async def _prefixes(self, login: Login, password: str, tally: Tally) -> None:
        limits = [limit for limit in _LIMITS if limit < len(password)]
        other = "".join(self.canary() for _ in range(20))
        cut = {f"the first {limit} of {len(password)} characters": password[:limit] for limit in limits}
        cut |= {
            f"the first {limit} of {len(password)} characters with another tail": (
                password[:limit] + other[: len(password) - limit]
            )
            for limit in limits
        }
        await self._twins(login, password, cut, tally)

    async def _twins(
        self, login: Login, password: str, others: dict[str, str], tally: Tally, *, core: bool = True
    ) -> None:
        async def make() -> Account:
            answer, account = await self.registered(Secret(password))
            if not _granted(answer):
                raise Missing(f"Registration refused a password of {len(password)} characters.")
            return account

        knocks = [
            Knock(
                words,
                lambda account, text=text: login.request(account.username, Secret(text)),  # type: ignore[misc] # bound early on purpose
                core,
                Severity.LOW if words == _STRIPPED else None,
            )
            for words, text in others.items()
        ]
        try:
            await self.must_stay_out(login, knocks, make, tally)
        except Missing as reason:
            self.notes.append(str(reason))
        except Unclear as reason:
            tally.doubt(str(reason))


def _variants(password: str) -> dict[str, str]:
    """Spellings that careless code makes equal; those that change nothing are left out."""
    folded = unicodedata.normalize("NFKD", password).encode("ascii", "ignore").decode()
    found = {
        "the password in the other case": password.swapcase(),
        "the password in lower case": password.lower(),
        _STRIPPED: password.strip(),
        "the password with its inner blanks collapsed": re.sub(r"(?<=\S) {2,}(?=\S)", " ", password),
        # A blank at the end would only tell once more who strips them.
        "the password without its last character": password.rstrip()[:-1],
        "the password with one more character": password + "x",
        "the password, a NUL, and more": password + "\0x",
        "the password up to a NUL in its middle": password[: len(password) // 2] + "\0",
        "the password folded to ASCII": folded,
        "the password escaped for HTML": html.escape(password),
        "the password decoded from a URL": unquote(password),
    }
    return {words: text for words, text in found.items() if text != password}


def _granted(answer: Answer) -> bool:
    return answer.granted
