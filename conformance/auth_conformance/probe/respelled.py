"""`must_stay_ended`: what a logout or a revocation has ended, in every spelling that was accepted before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Carrier, Credential, Kind
from auth_conformance.model import Masked, Role, Verdict, Violation
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.respelling import token_respellings
from auth_conformance.probe.core import Answer, Unclear
from auth_conformance.probe.holdings import told_once
from auth_conformance.probe.respelledrefresh import RespelledRefresh

if TYPE_CHECKING:
    from auth_conformance.model import Exchange
    from auth_conformance.target import Account, Logout

# Spellings of one credential that are replayed twice each; more would cost more than they tell.
MOST_RESPELLED = 24


@dataclass(frozen=True, slots=True)
class Spelled:
    """The same credential, written otherwise."""

    why: str
    credential: Credential


class Respelled(RespelledRefresh):
    """Replays ended credentials as somebody else would write them."""

    async def must_stay_ended(self) -> Verdict:
        """No spelling of a credential may live on after it was ended. Raises Missing or Unclear."""
        account = await self.disposable("lifecycle") or self.account()
        violations: list[Violation] = []
        doubts: list[str] = []
        tried: list[str] = []
        for logout in self._ways_out():
            masked: Masked | None = None
            with self.doubting(doubts):
                masked = await self._logout_respelled(logout, account, violations, doubts, tried)
            if masked is not None:
                return masked
            with self.doubting(doubts):
                await self.refresh_respelled(logout, account, violations, doubts, tried)
        with self.doubting(doubts):
            await self._key_respelled(account, violations, doubts, tried)
        if not account.expendable:
            self.forget_shared(account)
        accepted = (
            f"{len(tried)} other spellings were accepted before ({', '.join(tried[:4])})" if tried else ""
        )
        reason = (
            f"{accepted}; none was after the credential had ended."
            if tried
            else "No other spelling is accepted at all, and the original is refused after it has ended."
        )
        return self.decided(told_once(violations), doubts, reason)

    def _spellings(self, credential: Credential) -> list[Spelled]:
        """List other texts, other words of the scheme, and other places for one credential."""
        text = credential.value.reveal()
        token = credential.jwt
        found = [
            Spelled(why, replace(credential, value=type(credential.value)(other)))
            for why, other in token_respellings(text, token.algorithm if token is not None else "").items()
        ]
        carrier = credential.carrier
        if carrier.prefix:
            found += [
                Spelled(f"the scheme as {word!r}", credential.moved_to(replace(carrier, prefix=word)))
                for word in (
                    carrier.prefix.lower(),
                    carrier.prefix.upper(),
                    f"{carrier.prefix} ",
                    "Token",
                    "JWT",
                )
                if word != carrier.prefix
            ]
        else:
            found.append(
                Spelled(
                    "in the other case", replace(credential, value=type(credential.value)(text.swapcase()))
                )
            )
        places = [item for item in self.target.carriers if item != carrier and item.kind is not Kind.BASIC]
        if carrier.kind is Kind.BEARER:
            places += [
                Carrier(Kind.BEARER, "query", "access_token"),  # RFC 6750 §2.3
                Carrier(Kind.BEARER, "cookie", "access_token"),
                Carrier(Kind.BEARER, "header", "Authorization"),
            ]
        if carrier.kind is Kind.COOKIE:
            places.append(Carrier(Kind.BEARER, "header", "Authorization", "Bearer"))
        found += [Spelled(f"as {place}", credential.moved_to(place)) for place in dict.fromkeys(places)]
        return found[:MOST_RESPELLED]

    async def _accepted_now(self, credential: Credential) -> list[Spelled]:
        """Return the spellings that get in while the credential lives: only those say something later."""
        found = []
        for spelled in self._spellings(credential):
            answer = await self._shown(spelled.credential, credential, f"before: {spelled.why}", Role.CONTROL)
            if answer.accepted:
                found.append(spelled)
        return found

    async def _shown(
        self, written: Credential, original: Credential, label: str, role: Role = Role.ATTACK
    ) -> Answer:
        witness = self.witness_for(original, self.witness)
        baseline = await self.baseline(witness, original)
        return await self.call(
            witness.operation,
            written,
            label=label,
            role=role,
            baseline=baseline,
            pointer=witness.identity or None,
            fresh=True,
        )

    async def _logout_respelled(
        self,
        logout: Logout,
        account: Account,
        violations: list[Violation],
        doubts: list[str],
        tried: list[str],
    ) -> Masked | None:
        """End one session by its original, replay the others; end one by another spelling, replay the original."""
        session = await self.sign_in(account, logout.kind)
        await self._must_be_live(session, "before")
        spelled = await self._accepted_now(session.credential)
        tried += [f"{logout.kind.value}: {item.why}" for item in spelled]
        ended = await self._log_out(logout, session)
        original = await self._shown(
            session.credential, session.credential, "control: the original afterwards", Role.CONTROL
        )
        if original.accepted:
            return Masked(
                "LIF101", "the logout ends nothing: its spellings say nothing more", tuple(self.evidence)
            )
        if not original.rejected:
            raise Unclear(f"The original got no clear answer after {logout.operation.name} ({original.why}).")
        for item in spelled:
            found = await self._admits_still(item, session.credential, ended.exchange, logout.operation.name)
            violations += [found] if isinstance(found, Violation) else []
            doubts += [found] if isinstance(found, str) else []
        for item in spelled:
            other = await self.sign_in(account, logout.kind, [session.credential])
            again = next(one for one in self._spellings(other.credential) if one.why == item.why)
            label = f"log out with {item.why}"
            answer = await self.call(logout.operation, again.credential, label=label, fresh=True)
            if not answer.reply.ok:
                continue
            replay = Spelled("the original", other.credential)
            found = await self._admits_still(replay, other.credential, answer.exchange, logout.operation.name)
            if isinstance(found, Violation):
                message = f"{logout.operation.name}, called with {item.why}, left the original alive."
                violations.append(replace(found, message=message))
            elif found is not None:
                doubts.append(f"{label}: {found}")
        return None

    async def _admits_still(
        self, spelled: Spelled, original: Credential, ended: Exchange, operation: str
    ) -> Violation | str | None:
        proofs = [ended]
        for prefix in ("", "again: "):
            answer = await self._shown(spelled.credential, original, f"{prefix}after the end: {spelled.why}")
            if answer.rejected:
                return None
            if not answer.accepted or by_cache(answer.reply):
                return f"after the end: {spelled.why}: {answer.why}"
            proofs.append(answer.exchange)
        kind = original.carrier.kind.value
        message = f"After {operation} the {kind} credential was accepted, written with {spelled.why}."
        return Violation(operation, message, None, tuple(proofs))

    async def _key_respelled(
        self, account: Account, violations: list[Violation], doubts: list[str], tried: list[str]
    ) -> None:
        """Revoke a key, and replay its spellings."""
        keys = self.target.keys
        if keys is None or keys.revoke is None:
            return
        login = (await self.log_in(account)).credential
        credential, identifier = await self.key_of(login)
        if identifier is None:
            return
        baseline = await self.baseline(self.witness, credential)
        await self.must_live(self.witness, credential, baseline, "before")
        spelled = await self._accepted_now(credential)
        tried += [f"key: {item.why}" for item in spelled]
        values = keys.revoke.naming(identifier)
        answer = await self.call(keys.revoke, login, label="revoke the key", values=values)
        if not answer.reply.ok:
            doubts.append(f"{keys.revoke.name} revoked nothing ({answer.why or answer.status})")
            return
        original = await self._shown(
            credential, credential, "control: the original key afterwards", Role.CONTROL
        )
        if not original.rejected:
            self.notes.append(f"the revoked key itself was not refused ({original.why}): LIF103 says more")
            return
        for item in spelled:
            found = await self._admits_still(item, credential, answer.exchange, keys.revoke.name)
            violations += [found] if isinstance(found, Violation) else []
            doubts += [found] if isinstance(found, str) else []
