"""Access and refresh tokens where a token of another purpose belongs (checklist TOK210): reset, verify, logout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.model import Exchange, Failed, Inconclusive, Need, Passed, Role, Verdict, Violation
from auth_conformance.probe.core import Missing, Session, Unclear
from auth_conformance.probe.mailing import Mailing
from auth_conformance.probe.revocation import Revocation
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from auth_conformance.target import Account, Operation, Redemption

_KINDS = ("an access token", "a refresh token")


class Purposes(Revocation, Mailing):
    """Each token works for its own purpose, as what it changes shows."""

    _reset_granted = False

    async def presented_for_other_purposes(self) -> list[Verdict]:
        """What came of it where passwords are reset, addresses confirmed, and logins ended."""
        found: list[Verdict] = []
        if self.target.recovery is not None:
            reset = self.target.recovery.confirm

            async def resets(name: str, prefix: str) -> tuple[Exchange, ...]:
                return await self._reset_by_login(name, reset, prefix)

            sets = "for a reset token: whoever has one sets the password"
            verdict = await self._as_proven(reset.form.operation, _KINDS, resets, sets)
            found.append(await self._unless_deaf(verdict, reset))
        if self.target.verification is not None:
            confirm = self.target.verification.confirm

            async def confirms(name: str, prefix: str) -> tuple[Exchange, ...]:
                return await self._confirmed_by(name, confirm, prefix)

            shows = "for a token of a message: it confirms an address that nobody has read mail at"
            found.append(await self._as_proven(confirm.form.operation, _KINDS, confirms, shows))
        every = self.target.sessions.end_all if self.target.sessions is not None else None
        if every is not None:

            async def ends(name: str, prefix: str) -> tuple[Exchange, ...]:
                return await self._others_ended_by(name, every, prefix)

            found.append(await self._as_proven(every, _KINDS[1:], ends, "for an access token"))
        return found

    async def _as_proven(
        self,
        operation: Operation,
        names: tuple[str, ...],
        attack: Callable[[str, str], Awaitable[tuple[Exchange, ...]]],
        words: str,
    ) -> Verdict:
        """Failed where an attack worked twice. What could not be tried is noted, and not told as refused."""
        refused: list[str] = []
        for name in names:
            proofs: list[Exchange] = []
            try:
                for prefix in ("", "again: "):
                    shown = await attack(name, prefix)
                    if not shown:
                        break
                    proofs += shown
                else:
                    message = f"{operation.name} took {name} {words}."
                    return Failed((Violation(operation.name, message, None, tuple(proofs)),))
            except Missing as reason:
                self.notes.append(f"{name} at {operation.name} was not tried: {reason}")
                continue
            except Unclear as reason:
                told = reason.verdict
                remedy = told.remedy if isinstance(told, Inconclusive) else ""
                return Inconclusive(f"{operation.name}, {name} {words.partition(':')[0]}: {reason}", remedy)
            if proofs:
                return Inconclusive(f"{operation.name} took {name} once, and then not.")
            refused.append(name)
        return Passed(f"{operation.name} did not take {' or '.join(refused)}." if refused else "")

    async def _own_token(self, account: Account, name: str) -> tuple[Session, Secret]:
        session = await self.sign_in(account, self.token_kind)
        value = session.refresh if "refresh" in name else session.credential.value
        if value is None:
            raise Missing("the login gives none")
        return session, value

    # Resets.

    async def _reset_by_login(self, name: str, confirm: Redemption, prefix: str) -> tuple[Exchange, ...]:
        """Reset the password of a new account by a token of its login; the proof when the new one logs in."""
        account = await self.expendable()
        _, value = await self._own_token(account, name)
        label = f"{prefix}{name} as reset token"
        shown = await self._reset_shown(account, value, confirm, label, Role.ATTACK)
        if not shown and self._reset_granted:
            bland, label = Secret(self.word(24)), "control: a bland wrong token"
            await self._reset_shown(account, bland, confirm, label, Role.CONTROL)
            if not self._reset_granted:  # what is done later, or is only said to be done, is not refused
                raise Unclear(
                    "it was granted, unlike a bland wrong token, and the new password does not log in"
                )
        return shown

    async def _reset_shown(
        self, account: Account, value: Secret, confirm: Redemption, label: str, role: Role
    ) -> tuple[Exchange, ...]:
        new = Secret(self.password())
        self.scene.recorder.redactor.learn(new)
        request = confirm.request(value, new, account.address)
        answer = await self.send(request, label=label, role=role, operation=confirm.form.operation.name)
        if answer.judgement is not None:
            raise Unclear(f"no clear answer ({answer.why})")
        self._reset_granted = answer.granted
        tried, login = await self.try_login(
            account, new, label=f"log in with a password set by {label}", role=role
        )
        let_in = login.read(tried.reply, account.label) is not None
        return (answer.exchange, tried.exchange) if let_in else ()

    async def _unless_deaf(self, verdict: Verdict, confirm: Redemption) -> Verdict:
        """A passed `verdict` needs that the token of a message works in the same request."""
        if not isinstance(verdict, Passed) or not verdict.reason:
            return verdict
        operation = confirm.form.operation.name
        try:
            account = await self.expendable()
            token = await self.reset_token(account)
            worked = await self._reset_shown(
                account, token, confirm, "control: the token of the mail", Role.CONTROL
            )
        except Missing as reason:
            self.notes.append(f"that {operation} takes a reset token in this request was not seen: {reason}")
            return Passed("")
        except Unclear as reason:
            return Inconclusive(f"{operation}: {reason}")
        return verdict if worked else Inconclusive(f"{operation} refused the token of the mail, too.")

    # Confirmations.

    async def _confirmed_by(self, name: str, confirm: Redemption, prefix: str) -> tuple[Exchange, ...]:
        """Confirm the address of a newcomer by a token of its login: taken as the mailed one is, a bland one not."""
        account, mailed = await self.newcomer()
        try:
            _, value = await self._own_token(account, name)
        except Unclear as reason:
            raise Missing(f"who is not confirmed gets none ({reason})") from reason

        async def confirmed(token: Secret, label: str, role: Role) -> tuple[bool, Exchange]:
            request = confirm.request(token, account.password, account.address)
            answer = await self.send(request, label=label, role=role, operation=confirm.form.operation.name)
            if answer.judgement is not None:
                raise Unclear(f"no clear answer ({answer.why})")
            return answer.granted, answer.exchange

        bland, shown = await confirmed(
            Secret(self.word(len(mailed.reveal()))), "control: a bland wrong token", Role.CONTROL
        )
        if bland:
            raise Missing("a bland wrong token is answered in no other way")
        taken, seen = await confirmed(value, f"{prefix}{name} as the token of a message", Role.ATTACK)
        if taken:
            return shown, seen
        honest, _ = await confirmed(mailed, "control: the token of the mail", Role.CONTROL)
        if not honest:
            raise Unclear("the token of the mail was refused, too")
        return ()

    # Logouts. To end its own login is what a refresh token may do anywhere (RFC 7009 §2.1).

    async def _others_ended_by(self, name: str, operation: Operation, prefix: str) -> tuple[Exchange, ...]:
        """End all logins by a token of another kind: the proof when another one is over, as by an access token."""
        account = await self.disposable(f"logins of {self.rule.code}", self.token_kind)
        if account is None:
            raise Missing("it takes an account of its own", self._remedy(Need.REGISTER))
        first, value = await self._own_token(account, name)
        second = await self.sign_in(account, self.token_kind, [first.credential])
        await self._must_be_live(second, "before")
        attack = await self.call(
            operation,
            first.credential.with_value(value.reveal()),
            label=f"{prefix}{name} as access token at {operation.name}",
            role=Role.ATTACK,
            fresh=bool(prefix),
        )
        if attack.judgement is not None and not attack.rejected:
            raise Unclear(f"no clear answer ({attack.why})")
        if (over := await self._over_by_now(second, "after it")) is not None:
            return (attack.exchange, over)
        if attack.granted:  # what ends later, or is only said to end, is not refused
            raise Unclear(f"it was answered {attack.status}, and another login went on")
        # What an access token does there shows that a refresh token was really refused.
        await self.call(
            operation, first.credential, label="control: its access token there", role=Role.CONTROL
        )
        if await self._over_by_now(second, "after the control") is None:
            raise Missing("an access token ends nothing there")
        return ()

    async def _over_by_now(self, session: Session, when: str) -> Exchange | None:
        """The refusal of a login that is over; None while it lives. Raises Unclear."""
        answer = await self._replay_once(
            self.witness, session.credential, f"control: another login {when}", Role.CONTROL
        )
        if not answer.accepted and not answer.rejected:
            raise Unclear(f"another login {when}: {answer.why}")
        return answer.exchange if answer.rejected else None
