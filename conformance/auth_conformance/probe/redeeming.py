"""`must_redeem_once`: a reset token works once, for its account and purpose, for a short time (checklist CRD117)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from auth_conformance.credentials import Jwt
from auth_conformance.model import Inconclusive, Role, Severity, Skipped, Verdict
from auth_conformance.oracles.entropy import FEWEST, Sample, Weakness, estimate
from auth_conformance.probe.clockwork import Clockwork
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.knocking import Knocking, Tally, with_member
from auth_conformance.probe.unguessable import guessable, sample_of
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Account

_HOUR = 3600.0
_CODE = 600.0
_CODE_LENGTH = 10
_SLACK = 120.0
_ELSEWHERE = "elsewhere.invalid"


@dataclass(frozen=True, slots=True)
class Misuse:
    """One misuse of a token: `attempt` returns the answers when it changed a password, else None."""

    words: str
    attempt: Callable[[], Awaitable[tuple[Answer, Answer] | None]]
    severity: Severity | None = None


class Redeeming(Knocking, Clockwork):
    """Takes tokens out of mails, and uses them otherwise than meant.

    `_lent` are the declared accounts that were used, by label, with the passwords that they have by now.
    """

    _lent: Mapping[str, Account] = MappingProxyType({})
    _drawn: tuple[Sample, ...] = ()

    async def must_redeem_once(self) -> Verdict:
        """No misuse of a reset token may change a password, as logging in shows."""
        tally = Tally()
        await self._honest_reset(tally)
        operation = self.recovery.confirm.form.operation.name
        for misuse in self._misuses():
            try:
                first = await misuse.attempt()
                if first is None:
                    tally.delivered += 1
                    continue
                second = await misuse.attempt()
            except Missing as reason:
                self.notes.append(f"{misuse.words}: not tried: {reason}")
                continue
            except Unclear as reason:
                tally.doubt(f"{misuse.words}: {reason}", _remedy_of(reason))
                continue
            if second is None:
                tally.doubt(f"{operation}: {misuse.words} changed a password once, and then not.")
                continue
            tally.violate(
                operation,
                f"{operation}: {misuse.words} changed a password.",
                *first,
                *second,
                severity=misuse.severity,
            )
        await self._forged_host(tally)
        await self._chance(tally)
        return self.concluded(tally, f"{tally.delivered} misuses of reset tokens changed nothing.")

    def _misuses(self) -> list[Misuse]:
        return [
            Misuse("an older token, after a newer one was sent,", self._superseded, Severity.LOW),
            Misuse("a token that was used already", self._used_twice),
            Misuse("a token from before a change of the password", self._after_change),
            Misuse(
                "a token sent with the name of another account", self._for_another_account, Severity.CRITICAL
            ),
            Misuse("a token for confirming an address", self._of_other_purpose),
            Misuse("an old token", self._too_old),
            Misuse("a token in another case", self._respelled_case),
            Misuse("a token without its last character", self._cut),
            Misuse("an unsigned token", self._unsigned, Severity.CRITICAL),
        ]

    async def forgetful(self) -> Account:
        """An account that forgets its password: a new one, or the last one again where there is no other.

        Raises Missing where there is none at all.
        """
        try:
            account = await self.victim()
        except Missing:
            if not self._lent:
                raise
            return list(self._lent.values())[-1]
        if self.target.register is None:
            self._lent = {**self._lent, account.label: account}
        return account

    def _now_has(self, account: Account, password: Secret) -> None:
        self.now_known_by(account, password)
        if account.label in self._lent:
            self._lent = {**self._lent, account.label: replace(account, password=password)}

    async def _honest_reset(self, tally: Tally) -> None:
        """The honest way works, and the answer to the request holds no token. Raises Missing or Unclear."""
        account, ask = await self.forgetful(), self.recovery.ask
        operation = ask.form.operation.name

        async def send() -> Answer:
            return await self.send(
                ask.request(account), label="ask for a reset", role=Role.CONTROL, operation=operation
            )

        answer, letter = await self.mailed(account, send)
        if letter.token is None:
            raise Unclear(f"The message after {operation} holds nothing that looks like a token.")
        if letter.token in answer.reply.text:
            message = f"{operation} answers with the very token that only the mail may hold."
            tally.violate(operation, message, answer, severity=Severity.CRITICAL)
        self._drawn += (sample_of(self, letter.token, account),)
        changed = await self._redeem(account, account, Secret(letter.token), "control: the token of the mail")
        if changed is None:
            raise Unclear(
                f"{self.recovery.confirm.form.operation.name} did not change the password with the token of the mail."
            )

    async def _redeem(
        self,
        account: Account,
        owner: Account,
        token: Secret,
        words: str,
        *,
        moved: float = 0.0,
        name: bool = False,
    ) -> tuple[Answer, Answer] | None:
        """Redeem a token for `owner`; the answers when the new password logs `owner` in.

        `account` is whom the request names, where it names somebody.
        """
        confirm, login = self.recovery.confirm, self.logins()[0]
        new = Secret(self.password())
        for secret in (new, token):
            self.scene.recorder.redactor.learn(secret)
        request = confirm.request(token, new, account.address)
        if name:
            named = {"email": account.address, "username": account.username, "user_id": account.username}
            for member, value in named.items():
                request = with_member(request, member, value)
        answer = await self.send(
            request, label=words, role=Role.ATTACK, operation=confirm.form.operation.name, moved=moved
        )
        if answer.judgement is not None:
            raise Unclear(f"no orderly answer ({answer.why})")
        tried = await self.send(
            login.request(owner.username, new),
            label=f"log in with the password that was set by {words}".replace("control: ", ""),
            role=Role.ATTACK,
            operation=login.operation.name,
        )
        if await self.let_in(login, tried) is None:
            return None
        self._now_has(owner, new)
        return answer, tried

    async def _draw(self, account: Account) -> Secret:
        """A fresh reset token of this account, kept as a sample of what is mailed. Raises Missing or Unclear."""
        token = await self.reset_token(account)
        self._drawn += (sample_of(self, token.reveal(), account),)
        return token

    async def _chance(self, tally: Tally) -> None:
        """What was mailed shows no structure (ASVS V11.5.1). Codes that people type are short, and limited instead."""
        if any(len(item.value) < _CODE_LENGTH or Jwt.parse(item.value) is not None for item in self._drawn):
            self.notes.append("how the tokens are made was not judged: they are codes to type, or signed")
            return
        try:
            while len(self._drawn) < FEWEST and self.target.register is not None:
                await self._draw(await self.forgetful())
        except (Missing, Unclear) as reason:
            self.notes.append(f"how the tokens are made was not judged: {reason}")
            return
        if len(self._drawn) < FEWEST:
            self.notes.append(f"how the tokens are made was not judged: {len(self._drawn)} were seen")
            return
        operation = self.recovery.ask.form.operation.name
        found = await asyncio.to_thread(estimate, self._drawn)
        # The 122 bits of a random UUID are plenty for half an hour.
        if found.weakness is not Weakness.UUID:
            violation = guessable(found, "reset tokens", operation, self.evidence[-1:])
            tally.violations += [violation] if violation is not None else []
            tally.delivered += violation is None

    async def _superseded(self) -> tuple[Answer, Answer] | None:
        account = await self.forgetful()
        older, newer = await self._draw(account), await self._draw(account)
        if older == newer:
            raise Missing("both messages hold the same token")
        return await self._redeem(account, account, older, "an older token")

    async def _used_twice(self) -> tuple[Answer, Answer] | None:
        account = await self.forgetful()
        token = await self._draw(account)
        if await self._redeem(account, account, token, "control: a token for the first time") is None:
            raise Unclear("the token did not work the first time")
        return await self._redeem(account, account, token, "a token for the second time")

    async def _after_change(self) -> tuple[Answer, Answer] | None:
        account, _, login = await self.forgetful(), self.password_change, self.logins()[0]
        token, new = await self._draw(account), Secret(self.password())
        self.scene.recorder.redactor.learn(new)
        credential = await self.right_login(login, account, "before the change")
        answer = await self.change_password(account, new, credential)
        if not answer.granted:
            raise Unclear(f"the password could not be changed ({answer.why or answer.status})")
        self._now_has(account, new)
        return await self._redeem(account, account, token, "a token from before the change")

    async def _for_another_account(self) -> tuple[Answer, Answer] | None:
        account = await self.forgetful()
        try:
            other = await self.victim()
        except Missing as reason:
            raise Unclear("it takes two accounts that may be reset", _remedy_of(reason)) from reason
        token = await self._draw(account)
        return await self._redeem(other, other, token, "a token with another account's name", name=True)

    async def _of_other_purpose(self) -> tuple[Answer, Answer] | None:
        account = await self.forgetful()
        return await self._redeem(account, account, await self.verify_token(account), "a verification token")

    async def _too_old(self) -> tuple[Answer, Answer] | None:
        if not self.scene.recorder.clock.movable:
            raise Missing("the clock of this target cannot be moved")
        account = await self.forgetful()
        token = await self._draw(account)
        moved = (_CODE if len(token.reveal()) < _CODE_LENGTH else _HOUR) + _SLACK
        found = await self._redeem(
            account, account, token, f"a token {moved / 60:.0f} minutes old", moved=moved
        )
        if found is None:
            return None
        if not await self.clock_followed(await self.forgetful(), moved):
            raise Unclear("it works, but the service did not visibly follow the moved clock")
        return found

    async def _respelled_case(self) -> tuple[Answer, Answer] | None:
        account = await self.forgetful()
        token = (await self._draw(account)).reveal()
        if token.swapcase() == token:
            raise Missing("the token has no letters")
        return await self._redeem(account, account, Secret(token.swapcase()), "a token in another case")

    async def _cut(self) -> tuple[Answer, Answer] | None:
        account = await self.forgetful()
        token = (await self._draw(account)).reveal()
        return await self._redeem(account, account, Secret(token[:-1]), "a token without its last character")

    async def _unsigned(self) -> tuple[Answer, Answer] | None:
        account = await self.forgetful()
        token = Jwt.parse((await self._draw(account)).reveal())
        if token is None:
            raise Missing("reset tokens are no JWTs")
        for words, forged in (
            ("an unsigned token", token.with_header(alg="none").unsigned()),
            ("a token with a broken signature", token.with_flipped_signature()),
        ):
            found = await self._redeem(account, account, Secret(forged.text), words)
            if found is not None:
                return found
        return None

    async def _forged_host(self, tally: Tally) -> None:
        """The link of the mail leads where the service is, not where the request says."""
        ask = self.recovery.ask
        operation = ask.form.operation.name
        for header in ("X-Forwarded-Host", "Host"):
            answers: list[Answer] = []
            for _ in range(2):
                account = await self.forgetful()

                async def send(account: Account = account, header: str = header) -> Answer:
                    return await self.send(
                        ask.request(account).with_headers((header, _ELSEWHERE)),
                        label=f"ask for a reset with another {header}",
                        role=Role.ATTACK,
                        operation=operation,
                    )

                try:
                    answer, letter = await self.mailed(account, send)
                except Unclear:
                    break  # a host that is not ours is refused: no mail, no link
                if not any(host.endswith(_ELSEWHERE) for host in letter.hosts):
                    break
                answers.append(answer)
            if len(answers) == 2:
                message = f"{operation} mails a link to the host that the request names in {header}."
                tally.violate(operation, message, *answers)
            else:
                tally.delivered += 1


def _remedy_of(reason: Missing | Unclear) -> str:
    told = reason.verdict
    return told.remedy if isinstance(told, Skipped | Inconclusive) else ""
