"""What an earlier look left out: disabled accounts at login, and guessing at what else opens an account."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from auth_conformance.model import Exchange, Failed, Outcome, Passed, Role, Severity, Verdict, Violation
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.holdings import Holdings
from auth_conformance.probe.knocking import Knocking
from auth_conformance.probe.likeness import Kinds, Likeness
from auth_conformance.probe.secondfactor import SecondFactor
from auth_conformance.probe.throttling import Throttling
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Account, Login
    from auth_conformance.transports.message import HttpRequest

# How many wrong tokens, codes and current passwords are tried: a bounded loop (checklist CRD112).
OTHER_TRIES = 30
# A secret of fewer characters can be guessed where nobody counts.
SHORT = 12


@dataclass(frozen=True, slots=True)
class Guess:
    """A place where something that opens an account can be guessed. `short` says that a guess may well hit.

    `right` presents what was guessed at: None where it is refused by now, as after too many tries it should be.
    """

    words: str
    operation: str
    attempt: Callable[[int], Awaitable[Answer]]
    short: bool
    right: Callable[[], Awaitable[Answer | None]] | None = None


class Barred(Likeness, Throttling, Knocking):
    """Asks about accounts that are shut, and guesses codes."""

    async def wrong_passwords_of_all(self) -> list[Kinds]:
        """Wrong passwords of unknown and known names, and of the name of a disabled account where one can be made."""
        kinds = await self.wrong_passwords()
        self.notes = [note for note in self.notes if "disabled and locked accounts" not in note]
        self.notes.append("locked accounts were not compared: locking one is left to CRD112")
        login = self.distinct_logins()[0]
        for words, make in (
            ("names of disabled accounts", self._shut_account),
            ("names of unconfirmed accounts", self._unconfirmed_account),
        ):
            try:
                account, made = await make()
            except (Missing, Unclear) as reason:
                self.notes.append(f"{words} were not compared: {reason}")
                continue
            pairs = tuple(self._pairs_for(login, account))
            kinds.append(Kinds(login.operation.name, "unknown names", words, pairs, after=(made,)))
        return kinds

    async def _unconfirmed_account(self) -> tuple[Account, Exchange]:
        """An account whose owner has not redeemed the token that was mailed, and how. Raises Missing or Unclear."""
        register = self.target.register
        if register is None or not register.confirmed:
            raise Missing("new accounts can log in at once, or none can be made")
        account = await self.fresh_account(register)
        return account, self.evidence[-1]

    async def _shut_account(self) -> tuple[Account, Exchange]:
        """An account that an administrator has disabled, and how. Raises Missing or Unclear."""
        users = self.target.users
        if users is None or users.disable is None or "admin" not in self.target.accounts:
            raise Missing("no way is known to disable an account")
        account = await self.expendable()
        session = await self.log_in(account)
        keeper = Holdings(self.scene, self.rule)
        facts = await keeper.facts_of(session.credential)
        answer = await keeper.as_administrator(users.disable, facts, "an administrator disables an account")
        if not answer.reply.ok:
            raise Unclear(f"{users.disable.operation.name} disabled nobody ({answer.why or answer.status})")
        return account, answer.exchange

    async def must_throttle_everything(self) -> Verdict:
        """Logins must be limited; so must be what else can be guessed: mailed codes and current passwords."""
        verdict = await self.must_throttle()
        violations: list[Violation] = []
        for guess in await self._guesses():
            found = await self._guess_at(guess)
            violations += [found] if found is not None else []
        notes = tuple(dict.fromkeys((*verdict_notes(verdict), *self.notes)))
        if isinstance(verdict, Failed):
            return replace(verdict, violations=(*verdict.violations, *violations), notes=notes)
        if violations:
            return Failed(tuple(violations), tuple(self.evidence[-40:]), notes)
        return replace(verdict, notes=notes) if isinstance(verdict, Passed) else verdict

    async def _guesses(self) -> list[Guess]:
        found: list[Guess] = []
        for collect in (
            *(self._guess_reset, self._guess_verify, self._guess_code),
            *(self._guess_factor, self._guess_current),
        ):
            try:
                guess = await collect()
            except (Missing, Unclear) as reason:
                self.notes.append(f"not guessed at: {reason}")
                continue
            if guess is not None:
                found.append(guess)
        return found

    async def _guess_reset(self) -> Guess | None:
        recovery = self.target.recovery
        if recovery is None:
            return None
        account = await self.another_victim()
        model = (await self.reset_token(account)).reveal() if self.target.mailbox is not None else None
        new = Secret(self.password())
        name = recovery.confirm.form.operation.name

        async def attempt(number: int) -> Answer:
            request = recovery.confirm.request(Secret(self._like_token(model)), new, account.address)
            return await self._sent_guess(request, f"wrong reset token {number}", name)

        async def right() -> Answer | None:
            request = recovery.confirm.request(Secret(model or ""), new, account.address)
            answer = await self._sent_guess(request, "control: the right token after the guesses", name)
            answered, login = await self.try_login(account, new, label="log in with the new password")
            if answered.judgement is not None or await self.let_in(login, answered) is None:
                return None
            self.now_known_by(account, new)
            return answer

        return Guess("reset tokens", name, attempt, model is not None and len(model) < SHORT, right)

    async def _guess_verify(self) -> Guess | None:
        verification = self.target.verification
        if verification is None:
            return None
        account = await self.another_victim()
        asked = self.target.mailbox is not None and verification.ask is not None
        model = (await self.verify_token(account)).reveal() if asked else None
        name = verification.confirm.form.operation.name

        async def attempt(number: int) -> Answer:
            request = verification.confirm.request(Secret(self._like_token(model)), None, account.address)
            return await self._sent_guess(request, f"wrong verification token {number}", name)

        async def right() -> Answer | None:
            request = verification.confirm.request(Secret(model or ""), None, account.address)
            answer = await self._sent_guess(request, "control: the right token after the guesses", name)
            return answer if answer.granted else None

        return Guess("verification tokens", name, attempt, model is not None and len(model) < SHORT, right)

    async def _guess_code(self) -> Guess | None:
        """Guess the code that a login mails: who knows the password must not find it by trying."""
        login = next((item for item in self.distinct_logins() if item.mailed), None)
        if login is None:
            return None
        account = await self.another_victim()
        values, model = await self._begun(login, account)
        request = replace(login.request(account.username, account.password or Secret("")), before=())

        def carrying(code: str) -> HttpRequest:
            return request.filled({**values, **dict.fromkeys(login.mailed, code)})

        name = login.operation.name

        async def attempt(number: int) -> Answer:
            return await self._sent_guess(carrying(self._like_token(model)), f"wrong code {number}", name)

        async def right() -> Answer | None:
            answer = await self._sent_guess(
                carrying(model), "control: the right code after the guesses", name
            )
            # A limit that meets the right one as well is what the guesses were for.
            if answer.judgement is not None or await self.let_in(login, answer) is None:
                return None
            return answer

        return Guess("codes of a login", name, attempt, len(model) < SHORT, right)

    async def _guess_factor(self) -> Guess | None:
        """Guess the code of an authenticator: who knows the password must not find one by trying."""
        factor = SecondFactor(self.scene, self.rule)
        if not factor.known:
            return None
        who = await factor.enrol()
        given = await factor.half(who)
        name = factor.finishing(given)[0].name
        refusals: list[Answer] = []

        async def attempt(number: int) -> Answer:
            nonlocal given
            label = f"wrong code of an authenticator {number}"
            answer = await factor.finish(given, factor.wrong_code(who, number), label, Role.ATTACK)
            if refusals and answer.status != refusals[0].status and answer.judgement is None:
                given = await factor.half(
                    who
                )  # it was good for so many tries, and the password gives another
            refusals.append(answer)
            return answer

        async def right() -> Answer | None:
            answer, _ = await factor.log_in_with_both(who)
            return answer

        return Guess("codes of an authenticator", name, attempt, who.seed.digits < SHORT, right)

    async def _begun(self, login: Login, account: Account) -> tuple[dict[str, str], str]:
        """What the steps before a login gave for it, and the code that was mailed. Raises Missing or Unclear."""
        values: dict[str, str] = {}
        cookies: dict[str, str] = {}
        code = ""
        for part in login.before:
            step = part.step(account.username, account.password or Secret(""))
            request = step.request.filled(values).with_cookies(cookies)
            name = part.operation.name
            ask = partial(self.send, request, label="the first step of a login", operation=name)
            if step.mailed:
                answer, letter = await self.mailed(account, ask)
                code = letter.token or ""
            else:
                answer = await ask()
            values |= step.read(answer.reply)
            cookies |= answer.reply.cookies
        for value in (*values.values(), code):
            self.scene.recorder.redactor.learn(Secret(value))
        if not code:
            raise Unclear(f"no code came by mail for {login.operation.name}")
        return values, code

    async def _guess_current(self) -> Guess | None:
        change = self.target.password_change
        if change is None or change.current is None:
            return None
        account = await self.another_victim()
        credential = await self.right_login(self.distinct_logins()[0], account, "before guesses")
        new, name = Secret(self.password()), change.form.operation.name

        async def attempt(number: int) -> Answer:
            request = change.request(Secret(self.password()), new)
            request = request.with_headers(*credential.headers).with_query(*credential.query)
            return await self._sent_guess(request, f"wrong current password {number}", name)

        return Guess("the current password", name, attempt, short=False)

    async def _sent_guess(self, request: HttpRequest, label: str, operation: str) -> Answer:
        return await self.send(request, label=label, role=Role.ATTACK, operation=operation, patient=False)

    def _like_token(self, model: str | None) -> str:
        """A wrong token of the same shape as a real one."""
        if model is None:
            return self.canary() + self.canary()
        return "".join(self._another(character) for character in model)

    async def _guess_at(self, guess: Guess) -> Violation | None:
        """A violation where short codes can be guessed without limit; the rest is told in a note."""
        answers = []
        for number in range(1, OTHER_TRIES + 1):
            try:
                answer = await guess.attempt(number)
            except Unclear as reason:
                self.notes.append(f"{guess.operation}: guessing {guess.words} ended after {number}: {reason}")
                return None
            if answer.outcome is Outcome.THROTTLED or answer.status == 423:
                self.notes.append(f"{guess.operation}: guessing {guess.words} was limited after {number}")
                return None
            if answer.judgement is not None:
                self.notes.append(f"{guess.operation}: guessing {guess.words} broke it ({answer.why})")
                return None
            answers.append(answer)
        if not guess.short:
            self.notes.append(
                f"{guess.operation}: {OTHER_TRIES} guesses at {guess.words} met no limit"
                + (", which is harmless if they are long and random" if "token" in guess.words else "")
            )
            return None
        right = None
        with contextlib.suppress(Unclear):
            right = await guess.right() if guess.right is not None else None
        if right is None:
            self.notes.append(
                f"{guess.operation}: after {OTHER_TRIES} guesses the right one was refused, too"
            )
            return None
        answers.append(right)
        message = (
            f"{guess.operation} took {OTHER_TRIES} guesses at a code of under {SHORT} characters, "
            "and then the right one."
        )
        evidence = tuple(answer.exchange for answer in (*answers[:2], *answers[-2:]))
        return Violation(guess.operation, message, Severity.HIGH, evidence)


def verdict_notes(verdict: Verdict) -> tuple[str, ...]:
    """The notes of a verdict, where its kind has any."""
    return tuple(getattr(verdict, "notes", ()))
