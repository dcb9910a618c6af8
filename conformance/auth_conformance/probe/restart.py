"""`must_survive_restart`: what one process of the service has ended, another one must refuse (checklist LIF116)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import (
    Exchange,
    Masked,
    Outcome,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.entry import Baseline, Fingerprint, classify, failure
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.holdings import NAMES, Holding, Holdings, told_once
from auth_conformance.probe.minting import Minting
from auth_conformance.probe.rotation import BLAND
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from auth_conformance.credentials import Credential
    from auth_conformance.target import Account
    from auth_conformance.transports.message import HttpRequest, Transport

# So many wrong passwords are sent to see a throttle; whether it is forgotten is a lesser matter.
WRONG = 12


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The service in another process, and how it is told."""

    transport: Transport
    label: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """An account for which no more passwords may be tried, and what a wrong one was answered before that."""

    account: Account
    usual: int | None


class Restart(Holdings, Minting):
    """Asks a second process of the service."""

    async def _in_another_process(self, environment: Mapping[str, Secret] | None = None) -> Elsewhere:
        """Open the second process. Raises Missing where none can be started."""
        if self.scene.second is None:
            raise Missing("Not tested: no second process can be started here.", 'restart = "module:app"')
        plain = {name: value.reveal() for name, value in (environment or {}).items()}
        transport, label = await self.scene.second(plain)
        if transport is None:
            raise Missing(
                f"Not tested: {label}.", 'restart = "module:app"  # or: replica = "https://second…"'
            )
        return Elsewhere(transport, label)

    async def _there(
        self,
        place: Elsewhere,
        request: HttpRequest,
        label: str,
        role: Role = Role.ATTACK,
        baseline: Baseline | None = None,
    ) -> Answer:
        """Send to the second process, judged beside what the first one answered."""
        sent = await self.scene.recorder.send(
            replace(request, fresh=True),
            label=f"{place.label}: {label}",
            role=role,
            pointer=self.witness.identity or None,
            transport=place.transport,
        )
        seen = sent.exchange.reply
        judgement = classify(seen, baseline) if baseline is not None else failure(seen)
        exchange = replace(sent.exchange, outcome=judgement.outcome if judgement else None)
        self.evidence.append(exchange)
        return Answer(request, sent.reply, exchange, judgement)

    async def _presents(
        self, place: Elsewhere, credential: Credential, label: str, role: Role = Role.ATTACK
    ) -> Answer:
        baseline = await self._baseline_there(place, credential)
        request = self.witness_for(credential, self.witness).operation.request()
        request = request.with_headers(*credential.headers).with_query(*credential.query)
        return await self._there(place, request, label, role, baseline)

    async def _baseline_there(self, place: Elsewhere, credential: Credential) -> Baseline:
        """What was learned here, with how the second process words a refusal: the way to it may be another one."""
        known = await self.baseline(self.witness, credential)

        async def learn() -> Baseline:
            wrong = self.bland(credential)
            operation = self.witness_for(credential, self.witness).operation
            request = operation.request().with_headers(*wrong.headers).with_query(*wrong.query)
            answer = await self._there(place, request, "learn: a bland wrong credential", Role.CONTROL)
            seen = answer.exchange.reply
            kinds = {refusal.media_type for refusal in known.refusals}
            if answer.judgement is not None or (seen.status or 0) < 400 or seen.media_type not in kinds:
                return known
            return replace(known, refusals=(*known.refusals, Fingerprint.of(seen)))

        key = ("baseline", place.label, id(place.transport), credential.carrier, credential.owner)
        learned: Baseline = await self.scene.once(key, learn)
        return learned

    async def must_survive_restart(self) -> Verdict:
        """What was revoked must stay revoked in another process of the service. Raises Missing or Unclear."""
        account = await self.disposable("lifecycle") or self.account()
        doubts: list[str] = []
        dead = await self._made_dead(account, doubts)
        still = [item.name for item in dead if (await self.presented(item, "before the restart")).accepted]
        if still:
            return Masked("LIF101", f"the {still[0]} was accepted before any restart", tuple(self.evidence))
        dead += await self._used_up(account)
        # Opened afterwards: a logout, or a refresh token that comes back, may end every login of the account.
        kept, key = await self._left_alive(account)
        throttled = await self._made_throttled()
        place = await self._in_another_process()
        violations: list[Violation] = []
        for credential in kept:
            found = await self._known_there(place, credential, account)
            violations += found
            if found:
                # Where even the living are unknown, refusals of the dead prove nothing.
                dead = [item for item in dead if item.credential.carrier.kind is not credential.carrier.kind]
        shown = [item for item in dead if item.refresh is None]
        for holding in shown:
            revived = await self._revived_there(place, holding, doubts)
            violations += [revived] if revived is not None else []
        violations += await self._forgotten_throttle(place, throttled)
        with self.doubting(doubts):
            await self._all_alive(place, kept, strange=bool(violations))
        if key is not None:
            await self._key_revoked(*key, "clean up: revoke the key")
        # Last: the same holds of these.
        for holding in (item for item in dead if item.refresh is not None):
            revived = await self._revived_there(place, holding, doubts)
            violations += [revived] if revived is not None else []
            with self.doubting(doubts):
                await self._refreshes_there(place, account, holding)
        if not account.expendable:
            self.forget_shared(account)
        names = ", ".join(dict.fromkeys(item.name for item in dead))
        reason = (
            f"{place.label.capitalize()} refused what had been revoked ({names}), and accepted what had not."
        )
        return self.decided(told_once(violations), doubts, reason)

    async def _left_alive(
        self, account: Account
    ) -> tuple[list[Credential], tuple[Credential, str | None] | None]:
        """One live credential of each kind that the account can have, and how to revoke the key among them."""
        found: list[Credential] = []
        for kind in dict.fromkeys(login.carrier.kind for login in self.target.logins):
            session = await self.sign_in(account, kind, found)
            await self._must_be_live(session, "before")
            found.append(session.credential)
        keys = self.target.keys
        if keys is None or keys.revoke is None:
            return found, None
        key, identifier = await self.key_of(found[0])
        await self.seen_alive(Holding(NAMES[Kind.KEY], key))
        return [*found, key], (found[0], identifier)

    async def _all_alive(self, place: Elsewhere, kept: Sequence[Credential], *, strange: bool) -> None:
        """See that both processes still let in what was not revoked. Raises Unclear."""
        for credential in kept:
            witness = self.witness_for(credential, self.witness)
            await self.must_live(witness, credential, await self.baseline(witness, credential), "after")
            label = "control after: a live credential"
            if not strange and not (await self._presents(place, credential, label, Role.CONTROL)).accepted:
                raise Unclear(
                    f"{place.label.capitalize()} let nobody in at the end: its refusals prove nothing."
                )

    async def _refreshes_there(self, place: Elsewhere, account: Account, like: Holding) -> None:
        """See that the second process renews a login of its own: it refused because of the token. Raises Unclear."""
        login = self.target.login(like.credential.carrier.kind) or self.target.logins[0]
        request = login.request(account.username, account.password or Secret(""))
        answer = await self._there(place, request, "log in", Role.CONTROL)
        token = login.read_refresh(answer.reply) or self.refresh_cookie(answer.reply)
        if token is None:
            raise Unclear(
                f"{place.label.capitalize()} let nobody in at the end ({answer.why or answer.status})."
            )
        self.scene.recorder.redactor.learn(token)
        renewed = await self._there(
            place, self.refresh_flow.request(token), "control after: a live refresh token", Role.CONTROL
        )
        if self.renewal(renewed) is None:
            raise Unclear(
                f"{place.label.capitalize()} refused a live refresh token: its refusals prove nothing."
            )

    async def _made_dead(self, account: Account, doubts: list[str]) -> list[Holding]:
        """Log out by each kind, and revoke a key: what comes of it must be dead."""
        dead: list[Holding] = []
        for logout in self._ways_out():
            session = await self.sign_in(account, logout.kind)
            await self._must_be_live(session, "before")
            await self._log_out(logout, session)
            dead.append(Holding(NAMES[logout.kind], session.credential))
            if session.refresh is not None and self.target.refresh is not None:
                dead.append(Holding("refresh token of an ended login", session.credential, session.refresh))
        keys = self.target.keys
        if keys is not None and keys.revoke is not None:
            login = (await self.log_in(account)).credential
            credential, identifier = await self.key_of(login)
            await self.seen_alive(Holding(NAMES[Kind.KEY], credential))
            answer = await self._key_revoked(login, identifier, "revoke a key")
            if answer.granted:
                dead.append(Holding(NAMES[Kind.KEY], credential))
            else:
                doubts.append(f"{keys.revoke.name} did not revoke the key ({answer.why or answer.status})")
        return dead

    async def _key_revoked(self, login: Credential, identifier: str | None, label: str) -> Answer:
        revoke = self.target.keys.revoke if self.target.keys is not None else None
        if revoke is None:
            raise Unclear("No operation is known that revokes a key.")
        return await self.call(revoke, login, label=label, values=revoke.naming(identifier or ""))

    async def _used_up(self, account: Account) -> list[Holding]:
        """A refresh token that was used and never came back: its reuse ends a login, which is another mark."""
        if self.target.refresh is None:
            return []
        for kind in dict.fromkeys(login.carrier.kind for login in self.target.logins):
            for purpose in ("control: ", ""):
                session = await self.sign_in(account, kind)
                if session.refresh is None:
                    break
                _, renewal = await self.renew(session.refresh, f"{purpose}use a refresh token up")
                if renewal is None:
                    raise Unclear(f"{self.refresh_flow.operation.name} refused a live refresh token.")
                holding = Holding("used refresh token", session.credential, session.refresh)
                if not purpose:
                    return [holding]
                if (await self.presented(holding, "before the restart")).accepted:
                    self.notes.append("a refresh token may be used twice in one process: LIF107 says more")
                    return []
        return []

    async def _made_throttled(self) -> Throttled | None:
        """Send wrong passwords for an expendable account until they are refused for their number."""
        try:
            account = await self.expendable()
        except (Missing, Unclear) as reason:
            self.notes.append(f"whether a throttle is forgotten was not tried: {reason}")
            return None
        usual: int | None = None
        for _ in range(WRONG):
            answer, _login = await self.try_login(account, Secret(self.password()), label="a wrong password")
            if answer.status == 429:
                return Throttled(account, usual)
            usual = usual or answer.status
        self.notes.append(
            f"{WRONG} wrong passwords were not throttled: whether that is forgotten was not seen"
        )
        return None

    async def _known_there(
        self, place: Elsewhere, credential: Credential, account: Account
    ) -> list[Violation]:
        """See that the second process knows a live credential; else say why refusals prove nothing. Raises Unclear."""
        answer = await self._presents(place, credential, "control: a live credential", Role.CONTROL)
        if answer.accepted:
            return []
        if answer.reply.status is None or answer.outcome in (Outcome.CRASHED, Outcome.THROTTLED):
            raise Unclear(f"{place.label.capitalize()} gave no usable answer ({answer.why}).")
        kind = credential.carrier.kind
        again = await self._presents(place, credential, "again: a live credential")
        proofs: tuple[Exchange, ...] = (answer.exchange, again.exchange)
        if kind is Kind.KEY:
            # Whether it has the same database was seen by the logins; since then it may have turned bad.
            if not (answer.rejected and again.rejected):
                raise Unclear(f"{place.label.capitalize()} gave a live key no clear answer ({again.why}).")
            proofs += (await self._new_there(place, account, self.target.logins[0].carrier.kind, again),)
            kept = "keys are kept in the memory of one process"
        else:
            proofs += (await self._new_there(place, account, kind, again),)
            kept = "the secret is made up at each start"
            if credential.jwt is None:
                kept = f"what it issued is kept in the memory of one process, or {kept}"
        message = f"{place.label.capitalize()} refused every {NAMES[kind]} issued before: {kept}."
        operation = self.witness_for(credential, self.witness).operation.name
        return [Violation(operation, message, Severity.LOW, proofs)]

    async def _new_there(self, place: Elsewhere, account: Account, kind: Kind, old: Answer) -> Exchange:
        """See that the second process knows the account and lets in what it issues itself. Raises Unclear."""
        login = self.target.login(kind) or self.target.logins[0]
        request = login.request(account.username, account.password or Secret(""))
        logged = await self._there(place, request, "log in", Role.CONTROL)
        there = login.read(logged.reply, account.label)
        if there is None:
            raise Unclear(
                f"{place.label.capitalize()} knows neither the credential nor the account: it has another database, "
                "perhaps one in memory.",
                'database = { env = "DATABASE_URL" }',
            )
        new = await self._presents(place, there, "control: a credential of its own", Role.CONTROL)
        if old.accepted or not new.accepted:
            raise Unclear(
                f"{place.label.capitalize()} accepts neither old nor new credentials clearly ({new.why})."
            )
        return new.exchange

    async def _revived_there(self, place: Elsewhere, holding: Holding, doubts: list[str]) -> Violation | None:
        proofs: list[Exchange] = []
        for prefix in ("", "again: "):
            label = f"{prefix}the revoked {holding.name}"
            if holding.refresh is not None:
                answer = await self._there(place, self.refresh_flow.request(holding.refresh), label)
                accepted = self.renewal(answer) is not None
                wrong = self.refresh_flow.request(Secret(BLAND))
                bland = await self._there(place, wrong, "control: a wrong refresh token", Role.CONTROL)
                refused = await self.is_refresh_refusal(answer, bland)
            else:
                answer = await self._presents(place, holding.credential, label)
                accepted, refused = answer.accepted, answer.rejected
            if not accepted:
                if not refused:
                    doubts.append(f"{label}, {place.label}: {answer.why or answer.status}")
                # A refresh token that gave tokens once is used up by that: once is enough.
                return (
                    None if not proofs or holding.refresh is None else self._revival(place, holding, proofs)
                )
            proofs.append(answer.exchange)
        return self._revival(place, holding, proofs)

    def _revival(self, place: Elsewhere, holding: Holding, proofs: list[Exchange]) -> Violation:
        message = (
            f"{place.label.capitalize()} accepted a revoked {holding.name}: the revocation is kept in memory."
        )
        operation = self.witness.operation.name
        if holding.refresh is not None:
            operation = self.refresh_flow.operation.name
        return Violation(operation, message, Severity.HIGH, tuple(proofs))

    async def _forgotten_throttle(self, place: Elsewhere, throttled: Throttled | None) -> list[Violation]:
        if throttled is None:
            return []
        login, name = self.target.logins[0], throttled.account.username
        proofs = []
        for prefix in ("", "again: "):
            request = login.request(name, Secret(self.password()))
            answer = await self._there(place, request, f"{prefix}a wrong password for a throttled name")
            if answer.status == 429:
                return []
            if answer.status != throttled.usual:
                self.notes.append(
                    f"whether the throttle is forgotten was not seen: {answer.why or answer.status}"
                )
                return []
            proofs.append(answer.exchange)
        still, _login = await self.try_login(
            throttled.account, Secret(self.password()), label="control: is the name throttled here?"
        )
        if still.status != 429:
            self.notes.append("the throttle ended by itself meanwhile: whether it is forgotten was not seen")
            return []
        message = f"{place.label.capitalize()} has forgotten how many wrong passwords were tried for a name."
        return [Violation(login.operation.name, message, Severity.LOW, (*proofs, still.exchange))]
