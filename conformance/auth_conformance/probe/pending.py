"""Tokens that wait in somebody's mailbox while their account is shut: they must not open it again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.model import Exchange, Role
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.mailing import Mailing
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.target import Account, Redemption

# A service that mails nothing to a shut account has to be waited for, in seconds.
_NO_MAIL = 1.0


@dataclass(frozen=True, slots=True)
class Pending:
    """A token out of a message that was not used yet. `resets` tells that it sets a password."""

    name: str
    token: Secret
    redemption: Redemption
    resets: bool


@dataclass(frozen=True, slots=True)
class Reopened:
    """What a pending token led to: the account with the password that logs in, and the proof."""

    account: Account
    proofs: tuple[Exchange, ...]


class PendingTokens(Mailing):
    """Has tokens sent, and redeems them later."""

    async def pending(self, account: Account) -> list[Pending]:
        """Have every kind of token sent to this account; none where no mailbox can be read."""
        if self.target.mailbox is None:
            self.notes.append(
                "pending tokens of resets and verifications were not tried: no mailbox is known"
            )
            return []
        found = []
        try:
            if self.target.recovery is not None:
                token = await self.reset_token(account)
                found.append(
                    Pending("password reset token", token, self.target.recovery.confirm, resets=True)
                )
            verification = self.target.verification
            if verification is not None and verification.ask is not None:
                token = await self.verify_token(account)
                found.append(Pending("verification token", token, verification.confirm, resets=False))
        except (Missing, Unclear) as reason:
            self.notes.append(f"not every pending token was tried: {reason}")
        return found

    async def asked_when_shut(self, account: Account) -> list[Pending]:
        """Ask for a reset of an account that is shut: usually nothing comes, and that is right."""
        if self.target.mailbox is None or self.target.recovery is None:
            return []
        try:
            token = await self.reset_token(account, within=_NO_MAIL)
        except (Missing, Unclear):
            return []
        name = "password reset token that was sent afterwards"
        return [Pending(name, token, self.target.recovery.confirm, resets=True)]

    async def reopened(
        self, item: Pending, account: Account, when: str, doubts: list[str]
    ) -> Reopened | None:
        """Redeem it, and log in: None when the account stays shut."""
        new = Secret(self.password())
        self.scene.recorder.redactor.learn(new)
        operation = item.redemption.form.operation.name
        request = item.redemption.request(item.token, new if item.resets else None, account.address)
        answer = await self.send(
            request, label=f"redeem a {item.name} {when}", role=Role.ATTACK, operation=operation
        )
        if answer.judgement is not None:
            doubts.append(f"{operation}, a {item.name} {when}: {answer.why}")
        after = replace(account, password=new) if item.resets else account
        proofs = [answer.exchange]
        for prefix in ("", "again: "):
            label = f"{prefix}log in after a {item.name} was redeemed {when}"
            tried, login = await self.try_login(after, after.password, label=label, role=Role.ATTACK)
            if login.read(tried.reply, account.label) is None:
                doubts += [f"{label}: {tried.why}"] if tried.judgement is not None else []
                return None
            proofs.append(tried.exchange)
        return Reopened(after, tuple(proofs))
