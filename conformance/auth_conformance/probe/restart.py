"""`must_survive_restart` and `must_rotate_signing_keys`: the same service in another process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import (
    Exchange,
    Failed,
    Masked,
    Outcome,
    Passed,
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
    from collections.abc import Mapping

    from auth_conformance.credentials import Credential
    from auth_conformance.target import Account
    from auth_conformance.transports.message import HttpRequest, Transport

# So many wrong passwords are sent to see a throttle; whether it is forgotten is a lesser matter.
WRONG = 12
ROTATION = """[rotation.overlap]  # a new key is current, the old one still verifies
SECRET_KEY = { env = "NEW_SECRET_KEY" }
PREVIOUS_SECRET_KEYS = { env = "SECRET_KEY" }
[rotation.after]  # the old one is gone
SECRET_KEY = { env = "NEW_SECRET_KEY" }"""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The service in another process, and how it is told."""

    transport: Transport
    label: str


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
        request = self.witness.operation.request()
        request = request.with_headers(*credential.headers).with_query(*credential.query)
        return await self._there(place, request, label, role, baseline)

    async def _baseline_there(self, place: Elsewhere, credential: Credential) -> Baseline:
        """What was learned here, with how the second process words a refusal: the way to it may be another one."""
        known = await self.baseline(self.witness, credential)

        async def learn() -> Baseline:
            wrong = self.bland(credential)
            request = self.witness.operation.request().with_headers(*wrong.headers).with_query(*wrong.query)
            answer = await self._there(place, request, "learn: a bland wrong credential", Role.CONTROL)
            seen = answer.exchange.reply
            kinds = {refusal.media_type for refusal in known.refusals}
            if answer.judgement is not None or (seen.status or 0) < 400 or seen.media_type not in kinds:
                return known
            return replace(known, refusals=(*known.refusals, Fingerprint.of(seen)))

        key = ("baseline", place.label, id(place.transport), credential.carrier, credential.owner)
        learned: Baseline = await self.scene.once(key, learn)
        return learned

    # Revocations.

    async def must_survive_restart(self) -> Verdict:
        """What was revoked must stay revoked in another process of the service. Raises Missing or Unclear."""
        account = await self.disposable("lifecycle") or self.account()
        dead = await self._made_dead(account)
        # Opened afterwards: a logout may end every login of the account.
        kept = await self.sign_in(account, self.target.logins[0].carrier.kind)
        await self._must_be_live(kept, "before")
        still = [item.name for item in dead if (await self.presented(item, "before the restart")).accepted]
        if still:
            return Masked("LIF101", f"the {still[0]} was accepted before any restart", tuple(self.evidence))
        throttled = await self._made_throttled()
        place = await self._in_another_process()
        violations = await self._known_there(place, kept.credential, account)
        doubts: list[str] = []
        if not violations:
            for holding in dead:
                found = await self._revived_there(place, holding, doubts)
                violations += [found] if found is not None else []
            violations += await self._forgotten_throttle(place, throttled)
        await self._must_be_live(kept, "after")
        if not account.expendable:
            self.forget_shared(account)
        names = ", ".join(dict.fromkeys(item.name for item in dead))
        reason = (
            f"{place.label.capitalize()} refused what had been revoked ({names}), and accepted what had not."
        )
        return self.decided(told_once(violations), doubts, reason)

    async def _made_dead(self, account: Account) -> list[Holding]:
        """Log out by each kind, use a refresh token up, and revoke a key: what comes of it must be dead."""
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
            values = dict.fromkeys(
                (part.split("}")[0] for part in keys.revoke.path.split("{")[1:]), identifier or ""
            )
            answer = await self.call(keys.revoke, login, label="revoke a key", values=values)
            if answer.reply.ok:
                dead.append(Holding(NAMES[Kind.KEY], credential))
        return dead

    async def _made_throttled(self) -> Account | None:
        """Send wrong passwords for an expendable account until they are refused for their number."""
        try:
            account = await self.expendable()
        except (Missing, Unclear):
            return None
        for _ in range(WRONG):
            answer, _login = await self.try_login(account, Secret(self.password()), label="a wrong password")
            if answer.status == 429:
                return account
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
        login = self.target.logins[0]
        request = login.request(account.username, account.password or Secret(""))
        logged = await self._there(place, request, "log in", Role.CONTROL)
        there = login.read(logged.reply, account.label)
        if there is None:
            raise Unclear(
                f"{place.label.capitalize()} knows neither the credential nor the account: it has another database, "
                "perhaps one in memory.",
                'database = { env = "DATABASE_URL" }',
            )
        again = await self._presents(place, credential, "again: a live credential")
        new = await self._presents(place, there, "control: a credential of its own", Role.CONTROL)
        if again.accepted or not new.accepted:
            raise Unclear(
                f"{place.label.capitalize()} accepts neither old nor new credentials clearly ({new.why})."
            )
        told = f"{place.label.capitalize()} refused every credential issued before"
        kept = "the secret is made up at each start"
        if credential.jwt is None:
            kept = f"what it issued is kept in the memory of one process, or {kept}"
        message = f"{told}: {kept}."
        proofs = (answer.exchange, again.exchange, new.exchange)
        return [Violation(self.witness.operation.name, message, Severity.LOW, proofs)]

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

    async def _forgotten_throttle(self, place: Elsewhere, account: Account | None) -> list[Violation]:
        if account is None:
            return []
        login = self.target.logins[0]
        proofs = []
        for prefix in ("", "again: "):
            request = login.request(account.username, Secret(self.password()))
            answer = await self._there(place, request, f"{prefix}a wrong password for a throttled name")
            if answer.status == 429 or answer.status is None:
                return []
            proofs.append(answer.exchange)
        message = f"{place.label.capitalize()} has forgotten how many wrong passwords were tried for a name."
        return [Violation(login.operation.name, message, Severity.LOW, tuple(proofs))]

    # Signing keys.

    async def must_rotate_signing_keys(self) -> Verdict:
        """New tokens take the new key, old ones live during the overlap, and a removed key verifies nothing."""
        rotation = self.target.rotation
        if rotation is None:
            raise Missing("Not tested: how the signing key is rotated is not known.", ROTATION)
        forge = await self.forge()
        account = await self.disposable("lifecycle") or self.account()
        session = await self.sign_in(account, self.token_kind)
        await self._must_be_live(session, "before")
        overlap, after = rotation
        violations: list[Violation] = []
        place = await self._in_another_process(overlap)
        new = await self._logged_in_there(place, account)
        violations += await self._during_overlap(place, session.credential, new)
        last = await self._in_another_process(after)
        await self._logged_in_there(last, account)
        forged = forge.credential(self.fresh_claims(forge))
        for label, credential in (
            ("a token of the removed key", session.credential),
            ("a new one of ours with it", forged),
        ):
            violations += await self._must_be_refused_there(last, credential, label)
        await self._must_be_live(session, "after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(told_once(violations), evidence, notes)
        reason = "New tokens took the new key, old ones lived during the overlap, and the removed key verified nothing."
        return Passed(reason, evidence, notes)

    async def _logged_in_there(self, place: Elsewhere, account: Account) -> Credential:
        """Log in at the second process: it lives, and its own tokens get in. Raises Unclear."""
        login = self.target.login(self.token_kind)
        if login is None:
            raise Missing("No login that issues tokens is known.")
        request = login.request(account.username, account.password or Secret(""))
        answer = await self._there(place, request, "log in", Role.CONTROL)
        credential = login.read(answer.reply, account.label)
        if credential is None:
            raise Unclear(f"{place.label.capitalize()} let nobody in ({answer.why or answer.status}).")
        self.scene.recorder.redactor.learn(credential.value)
        seen = await self._presents(place, credential, "control: a token of its own", Role.CONTROL)
        if not seen.accepted:
            raise Unclear(f"{place.label.capitalize()} refused a token of its own ({seen.why}).")
        return credential

    async def _during_overlap(self, place: Elsewhere, old: Credential, new: Credential) -> list[Violation]:
        operation = self.witness.operation.name
        violations: list[Violation] = []
        answers = [
            await self._presents(place, old, f"{again}a token of the old key") for again in ("", "again: ")
        ]
        if all(answer.rejected for answer in answers):
            message = "A token of the old key was refused while that key was still to verify."
            proofs = tuple(answer.exchange for answer in answers)
            violations.append(Violation(operation, message, Severity.MEDIUM, proofs))
        token = self.jwt_of(new)
        key = next((item for item in self.target.signing_keys if item.verifies(token)), None)
        if key is not None:
            message = "New tokens are signed with the old key after the rotation."
            violations.append(Violation(operation, message, Severity.MEDIUM, (answers[0].exchange,)))
            return violations
        original = self.jwt_of(old)
        mine = next(item for item in self.target.signing_keys if item.verifies(original))
        if "kid" in token.header and token.header.get("kid") != original.header.get("kid"):
            mixed = original.with_header(kid=token.header["kid"]).signed(mine, original.algorithm)
            label = "the old key under the new key's kid"
            violations += await self._must_be_refused_there(place, old.with_value(mixed.text), label)
        return violations

    async def _must_be_refused_there(
        self, place: Elsewhere, credential: Credential, label: str
    ) -> list[Violation]:
        baseline = await self._baseline_there(place, await self.credential(self.token_kind))
        request = self.witness.operation.request().with_headers(*credential.headers)
        proofs = []
        for prefix in ("", "again: "):
            answer = await self._there(place, request, prefix + label, Role.ATTACK, baseline)
            if answer.rejected:
                return []
            if not answer.accepted:
                raise Unclear(f"{place.label.capitalize()} gave no clear answer to {label} ({answer.why}).")
            proofs.append(answer.exchange)
        message = f"{place.label.capitalize()} accepted {label}."
        return [Violation(self.witness.operation.name, message, Severity.HIGH, tuple(proofs))]
