"""Messages that a service sends outside its answers: asked for, awaited, read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from auth_conformance.model import Need
from auth_conformance.oracles.mail import Letter, read
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.sessions import Sessions
from auth_conformance.secret import Secret
from auth_conformance.target import EmailChange, PasswordChange, Recovery, Verification
from auth_conformance.transports.mailbox import MailboxError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from auth_conformance.credentials import Credential
    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Account

# How often the mailbox is looked into, and how long at most, in seconds: mail is sent after the answer.
_EVERY = 0.05
# How long a message is waited for, in seconds: at least, however little patience there is, and at most.
SHORTEST, _LONGEST = 1.0, 5.0
# In this process messages are written before the answer is over, but where a thread or a queue sends them.
_IN_PROCESS = 0.2

# What supplies an e-mail change: it is a part of one check, and no need of its own.
EMAIL_CHANGE = """[email_change.ask]
operation = "POST /me/email"
new = "new_email"
[email_change.confirm]
operation = "POST /me/email/confirm"
token = "token"
"""


class Mailing(Sessions):
    """Reads the mailbox that the tester gave."""

    @property
    def password_change(self) -> PasswordChange:
        """How people change their password. Raises Missing."""
        if self.target.password_change is None:
            raise Missing("No password change is known.", self._remedy(Need.PASSWORD_CHANGE))
        return self.target.password_change

    async def change_password(
        self, account: Account, new: Secret, credential: Credential, label: str = "change the password"
    ) -> Answer:
        """What the owner of a login is answered who sets a new password for `account`. Raises Missing."""
        change = self.password_change
        request = change.request(account.password, new)
        return await self.send(
            request.with_headers(*credential.headers).with_query(*credential.query),
            label=label,
            operation=change.form.operation.name,
        )

    @property
    def recovery(self) -> Recovery:
        """How people reset their password. Raises Missing."""
        if self.target.recovery is None:
            raise Missing("No password reset is known.", self._remedy(Need.RESET))
        return self.target.recovery

    @property
    def verification(self) -> Verification:
        """How people confirm their address. Raises Missing."""
        if self.target.verification is None:
            raise Missing("No verification of addresses is known.", self._remedy(Need.VERIFY))
        return self.target.verification

    @property
    def email_change(self) -> EmailChange:
        """How people change their e-mail address by mail. Raises Missing."""
        if self.target.email_change is None:
            raise Missing("No change of the e-mail address by mail is known.", EMAIL_CHANGE)
        return self.target.email_change

    async def last_mail(self, account: Account) -> str | None:
        """The last message to this person; None when there is none. Raises Missing or Unclear."""
        if self.target.mailbox is None:
            raise Missing("No mailbox is known.", self._remedy(Need.MAILBOX))
        try:
            return await self.target.mailbox.last_to(account.address)
        except MailboxError as error:
            raise Unclear(f"The mailbox cannot be used: {error}.", self._remedy(Need.MAILBOX)) from error

    async def mailed(
        self, account: Account, send: Callable[[], Awaitable[Answer]], *, within: float = _LONGEST
    ) -> tuple[Answer, Letter]:
        """What `send` was answered, and the message that it led to. Raises Missing, or Unclear when none came."""
        before = await self._greeted(account)
        answer = await send()
        text = await self._next_mail(account, before, min(within, max(SHORTEST, self.scene.patience)))
        if text in (None, before):
            raise Unclear(
                f"{answer.exchange.operation} was answered {answer.status}, and no new message to "
                f"{account.label} came into the mailbox."
            )
        letter = read(text or "")
        for token in letter.tokens:
            self.scene.recorder.learn_mail(token, account.address, letter.text, answer.exchange)
        return answer, letter

    async def _next_mail(self, account: Account, before: str | None, within: float) -> str | None:
        """The next message with a token, or what there is when the time, in seconds, is over.

        A notice of what was done before (a password was changed) may come first. Raises Missing or Unclear.
        """
        waited, end = 0.0, within
        text = await self.last_mail(account)
        while waited < end and (text in (None, before) or read(text or "").token is None):
            if text not in (None, before) and end == within:
                end = min(within, waited + SHORTEST)
            await asyncio.sleep(_EVERY)
            waited += _EVERY
            text = await self.last_mail(account)
        return text

    async def _greeted(self, account: Account) -> str | None:
        """The last message to this person; to a new account, the one that registering sends, awaited.

        It is sent after the answer, too: what comes late would be read as the answer to what is asked for next.
        Whether there is one is seen once in a run. Raises Missing or Unclear.
        """
        text = await self.last_mail(account)
        made = any(made.address == account.address for made, _ in self.scene.made_accounts)
        if text is not None or self.target.register is None or not made:
            return text
        shortest = _IN_PROCESS if self.target.in_process else SHORTEST

        async def first(within: float = shortest) -> str | None:
            return await self._next_mail(account, None, within)

        greets = await self.scene.once("the message of a registration", first) is not None
        return await first(_LONGEST) if greets else None

    async def reset_token(self, account: Account, *, within: float = _LONGEST) -> Secret:
        """A fresh password reset token of this account, out of its mail. Raises Missing or Unclear."""
        ask = self.recovery.ask
        operation = ask.form.operation.name

        async def send() -> Answer:
            return await self.send(
                ask.request(account),
                label=f"ask for a password reset of {account.label}",
                operation=operation,
            )

        _, letter = await self.mailed(account, send, within=within)
        if letter.token is None:
            raise Unclear(f"The message after {operation} holds nothing that looks like a token.")
        return Secret(letter.token)

    async def mailed_tokens(self) -> dict[str, Secret]:
        """A reset and a verification token of one account, unused, where a mailbox gives them.

        Of an account made for it, else of A: what is not redeemed changes nothing.
        """
        found: dict[str, Secret] = {}
        if self.target.mailbox is None:
            return found
        for words, known, ask in (
            ("reset token", self.target.recovery, self.reset_token),
            ("verification token", self.target.verification, self.verify_token),
        ):
            account = await self.disposable(f"mailed tokens of {self.rule.code}") or self.target.accounts.get(
                "a"
            )
            if known is None or account is None:
                continue
            try:
                found[words] = await ask(account)
            except (Missing, Unclear) as reason:
                self.notes.append(f"no {words} was presented elsewhere: {reason}")
        return found

    async def verify_token(self, account: Account) -> Secret:
        """A fresh verification token of this account, out of its mail. Raises Missing or Unclear."""
        ask = self.verification.ask
        if ask is None:
            raise Missing("No operation sends the verification again.", self._remedy(Need.VERIFY))
        operation = ask.form.operation.name

        async def send() -> Answer:
            return await self.send(
                ask.request(account), label=f"ask for a verification of {account.label}", operation=operation
            )

        _, letter = await self.mailed(account, send)
        if letter.token is None:
            raise Unclear(f"The message after {operation} holds nothing that looks like a token.")
        return Secret(letter.token)

    async def newcomer(self) -> tuple[Account, Secret]:
        """A new account that is not confirmed, and the token that was mailed to it. Raises Missing or Unclear."""
        register = self.target.register
        if register is None:
            raise Missing("Nobody can register here.", self._remedy(Need.REGISTER))
        name = register.operation.name
        if self.target.mailbox is None:
            raise Missing("No mailbox is known.", self._remedy(Need.MAILBOX))
        account = await self.fresh_account(register)
        text = await self._next_mail(account, None, min(_LONGEST, max(SHORTEST, self.scene.patience)))
        letter = read(text or "")
        for token in letter.tokens:
            self.scene.recorder.redactor.learn(Secret(token))
        if letter.token is None:
            raise Unclear(f"No message with a token came to the account that {name} made.")
        return account, Secret(letter.token)
