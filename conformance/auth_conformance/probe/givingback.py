"""`given_back`: declared spare accounts are enabled again, and get the passwords back that their owner knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.holdings import Holdings
from auth_conformance.probe.mailing import Mailing
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.target import Account


class GivingBack(Mailing):
    """Undoes what checks have to do to accounts that are somebody's."""

    async def given_back(self) -> list[str]:
        """Undo what this check did to declared spare accounts. Returns what could not be undone, for the notes."""
        return [*await self._enabled_again(), *await self._passwords_back()]

    async def _enabled_again(self) -> list[str]:
        """Accounts that the check has disabled; those that the run registered itself may stay so."""
        users = self.target.users
        keeper = Holdings(self.scene, self.rule)
        mine = {key: facts for key, facts in self.scene.shut.items() if key[0] == self.rule.code}
        told = []
        for key, facts in mine.items():
            del self.scene.shut[key]
            if self.target.register is not None or users is None:
                continue
            if users.enable is None:
                told.append(
                    f"{key[1]} stayed disabled: nobody is known who can enable it; see [users.enable]"
                )
                continue
            try:
                answer = await keeper.as_administrator(users.enable, facts, "enable the account again")
            except (Missing, Unclear) as reason:
                told.append(f"{key[1]} stayed disabled: {reason}")
                continue
            if not answer.granted:
                told.append(
                    f"{key[1]} stayed disabled: {users.enable.operation.name} answered {answer.status}"
                )
        return told

    async def _passwords_back(self) -> list[str]:
        """Set each declared spare account's own password again where a check has set another.

        Returns what could not be undone, for the notes: the password that such an account has is of this run,
        and nobody knows it afterwards.
        """
        told = []
        for own in self.target.expendables():
            now = next((made for made, _ in self.scene.made_accounts if made.label == own.label), own)
            if own.password in (None, now.password) or own.label in self.scene.altered:
                continue
            why = await self._password_back(own, now)
            if why:
                self.scene.altered.add(own.label)  # told once
                told.append(f"{own.label.removeprefix('x-')} kept a password that this run had set: {why}")
        return told

    async def _password_back(self, own: Account, now: Account) -> str:
        """By a change, else by a reset; "" once the own password lets them in, else why it does not."""
        reasons = []
        for way in (self._back_by_change, self._back_by_reset):
            try:
                await way(own, now)
                await self.log_in(own)
            except (Missing, Unclear) as reason:
                reasons.append(str(reason))
                continue
            self.now_known_by(own, own.password or Secret(""))
            return ""
        return " ".join(reasons)

    async def _back_by_change(self, own: Account, now: Account) -> None:
        name = self.password_change.form.operation.name
        credential = (await self.log_in(now)).credential
        label = f"give {own.label} its password back"
        answer = await self.change_password(now, own.password or Secret(""), credential, label)
        if not answer.granted:
            raise Unclear(f"{name} answered {answer.why or answer.status}.")

    async def _back_by_reset(self, own: Account, now: Account) -> None:
        confirm = self.recovery.confirm
        token = await self.reset_token(now)
        answer = await self.send(
            confirm.request(token, own.password, now.address),
            label=f"give {own.label} its password back",
            operation=confirm.form.operation.name,
        )
        if not answer.granted:
            raise Unclear(f"{confirm.form.operation.name} answered {answer.why or answer.status}.")
