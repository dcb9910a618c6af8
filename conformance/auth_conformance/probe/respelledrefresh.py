"""Refresh tokens in other spellings: used up, and ended, in every one of them (checklist LIF102)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.credentials import Jwt
from auth_conformance.model import Role, Violation
from auth_conformance.oracles.respelling import token_respellings
from auth_conformance.probe.core import Answer, Unclear
from auth_conformance.probe.holdings import Holdings
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.credentials import Kind
    from auth_conformance.probe.core import Session
    from auth_conformance.target import Account, Logout

# Each spelling costs a login; these are the ones that libraries take most often.
MOST_OF_REFRESH = 8
# So many further logins for a token that has the spelling: after five, one in four thousand is without.
_LOGINS = 5


class RespelledRefresh(Holdings):
    """Presents refresh tokens as somebody else would write them."""

    async def refresh_respelled(
        self,
        logout: Logout,
        account: Account,
        violations: list[Violation],
        doubts: list[str],
        tried: list[str],
    ) -> None:
        """A spelling that is accepted while the token lives must be dead when its original is. Raises Unclear."""
        if self.target.refresh is None or self.target.policy.refresh_window > 0:
            return
        first = await self.sign_in(account, logout.kind)
        if first.refresh is None:
            return
        await self.bland_refusal()
        for why in self._refresh_spellings(first.refresh):
            session = await self._with_spelling(account, logout.kind, why)
            _, renewal = await self._renewed_as(session, why, "before", Role.CONTROL)
            if renewal:
                tried.append(f"refresh token: {why}")
                await self._spent_by_original(account, logout.kind, why, violations, doubts)
                await self._ended_by_logout(account, logout, why, violations, doubts)

    def _refresh_spellings(self, token: Secret) -> list[str]:
        parsed = Jwt.parse(token.reveal())
        algorithm = parsed.algorithm if parsed is not None else ""
        return list(token_respellings(token.reveal(), algorithm))[:MOST_OF_REFRESH]

    async def _with_spelling(self, account: Account, kind: Kind, why: str) -> Session:
        """A login whose refresh token can be spelled this way: a fourth of all signatures have no `-` and no `_`."""
        session = await self.sign_in(account, kind)
        for _ in range(_LOGINS):
            if session.refresh is None or why in self._refresh_spellings(session.refresh):
                break
            session = await self.sign_in(account, kind)
        return session

    async def _renewed_as(
        self, session: Session, why: str, when: str, role: Role = Role.ATTACK
    ) -> tuple[Answer, bool]:
        """Present the session's refresh token in this spelling, or as it is where `why` is ""."""
        token = session.refresh or Secret("")
        parsed = Jwt.parse(token.reveal())
        other = token_respellings(token.reveal(), parsed.algorithm if parsed is not None else "").get(why)
        if why and other is None:
            raise Unclear(f"A refresh token has no spelling with {why}, unlike the one before.")
        label = f"{when}: a refresh token with {why}" if why else f"{when}: a refresh token as it is"
        answer, renewal = await self.renew(Secret(other) if other else token, label, role, fresh=True)
        return answer, renewal is not None

    async def _spent_by_original(
        self, account: Account, kind: Kind, why: str, violations: list[Violation], doubts: list[str]
    ) -> None:
        """Use the original up, see that it is, and present the other spelling."""
        operation = self.refresh_flow.operation.name
        proofs = []
        for _ in range(2):
            session = await self._with_spelling(account, kind, why)
            used, done = await self._renewed_as(session, "", "control", Role.CONTROL)
            if not done:
                doubts.append(f"{operation} refused a live refresh token ({used.why or used.status}).")
                return
            answer, again = await self._renewed_as(session, why, "after its use")
            if not again:
                if not await self.is_refresh_refusal(answer):
                    doubts.append(f"{answer.exchange.label}: {answer.why or answer.status}")
                return
            proofs += [used.exchange, answer.exchange]
        session = await self.sign_in(account, kind)
        await self._renewed_as(session, "", "control", Role.CONTROL)
        _, reusable = await self._renewed_as(session, "", "control, once more", Role.CONTROL)
        if reusable:
            self.notes.append("refresh tokens work again and again as they are: LIF107 says more")
            return
        message = f"{operation} takes a used refresh token again, written with {why}."
        violations.append(Violation(operation, message, None, tuple(proofs)))

    async def _ended_by_logout(
        self,
        account: Account,
        logout: Logout,
        why: str,
        violations: list[Violation],
        doubts: list[str],
    ) -> None:
        """Log out, see that the original has ended, and present the other spelling of another session's."""
        proofs = []
        for _ in range(2):
            session = await self._with_spelling(account, logout.kind, why)
            ended = await self._log_out(logout, session)
            answer, lives = await self._renewed_as(session, why, f"after {logout.operation.name}")
            if not lives:
                if not await self.is_refresh_refusal(answer):
                    doubts.append(f"{answer.exchange.label}: {answer.why or answer.status}")
                return
            proofs += [ended.exchange, answer.exchange]
        session = await self.sign_in(account, logout.kind)
        await self._log_out(logout, session)
        _, alive = await self._renewed_as(session, "", "control after the logout", Role.CONTROL)
        if alive:
            self.notes.append(
                f"{logout.operation.name} does not end the refresh token as it is: LIF101 says more"
            )
            return
        message = f"After {logout.operation.name} the refresh token was accepted, written with {why}."
        violations.append(Violation(logout.operation.name, message, None, tuple(proofs)))
