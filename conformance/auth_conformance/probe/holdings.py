"""Everything by which one account gets in, and whether each of it still does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Exchange, Outcome, Role, Severity, Violation
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.pointer import put, resolve
from auth_conformance.oracles.scopes import scope_member
from auth_conformance.probe.answers import Shut
from auth_conformance.probe.core import Answer, Missing, Session, Unclear
from auth_conformance.probe.revocation import Revocation
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.target import Account, Operation, Switch

NAMES = {
    Kind.BEARER: "access token",
    Kind.COOKIE: "session cookie",
    Kind.KEY: "API key",
    Kind.BASIC: "password in Basic",
}


@dataclass(frozen=True, slots=True)
class Holding:
    """One credential of an account. A refresh token has no place at the witness: then `refresh` is set.

    `login` is the access token or cookie that came with a refresh token.
    """

    name: str
    credential: Credential
    refresh: Secret | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a holding: it got in (twice), it was refused, or why that is unclear."""

    accepted: bool
    unclear: str = ""
    principal: str | None = None
    proofs: tuple[Exchange, ...] = ()


class Holdings(Revocation):
    """Collects what one account holds, and presents it again."""

    async def holdings(self, account: Account, *, keys: bool = True) -> list[Holding]:
        """Log in by each kind of login and create a key; each is seen to get in. Raises Missing or Unclear."""
        found: list[Holding] = []
        taken: list[Credential] = []
        for kind in dict.fromkeys(login.carrier.kind for login in self.target.logins):
            # What ends, ends for the whole account: that other logins have the same credential is no harm.
            session = await self.sign_in(account, kind, taken, ends=False)
            taken.append(session.credential)
            found += await self._issued(session, kind)
        if not found:
            raise Missing("No login is known.")
        if keys and self.target.keys is not None:
            try:
                found.append(Holding(NAMES[Kind.KEY], (await self.key_of(found[0].credential))[0]))
            except Shut as reason:
                self.notes.append(f"no key was among what the account holds: {reason}")
        return [item if item.refresh is not None else await self.seen_alive(item) for item in found]

    async def _issued(self, session: Session, kind: Kind) -> list[Holding]:
        """What one login issued. Raises Unclear.

        Its refresh token is seen to live first, and may take the place of the access token that it came with:
        then the one that it gave is what the account holds.
        """
        credential = session.credential
        if session.refresh is None or self.target.refresh is None:
            return [Holding(NAMES[kind], credential)]
        baseline = await self.baseline(self.witness, credential)
        await self.must_live(self.witness, credential, baseline, "before")
        refresh = await self.seen_alive(Holding("refresh token", credential, session.refresh))
        left = await self._replay_once(
            self.witness, credential, "control: what a refresh leaves of the login", Role.CONTROL
        )
        return [Holding(NAMES[kind], refresh.credential if left.rejected else credential), refresh]

    async def seen_alive(self, holding: Holding, when: str = "before") -> Holding:
        """See that it gets in; return it, a refresh token as the one that followed it. Raises Unclear."""
        if holding.refresh is None:
            baseline = await self.baseline(self.witness, holding.credential)
            await self.must_live(self.witness, holding.credential, baseline, when)
            return holding
        answer, renewal = await self.renew(holding.refresh, f"control {when}: refresh", Role.CONTROL)
        if renewal is None:
            raise Unclear(
                f"{self.refresh_flow.operation.name} refused a live refresh token ({answer.why or answer.status})."
            )
        given = renewal.access if holding.credential.carrier.kind is Kind.BEARER else renewal.cookie
        credential = holding.credential if given is None else replace(holding.credential, value=given)
        return replace(holding, credential=credential, refresh=renewal.following or holding.refresh)

    async def key_of(self, login: Credential) -> tuple[Credential, str | None]:
        """Create an API key with this login; return it with its identifier. Raises Missing or Unclear."""
        keys = self.target.keys
        if keys is None:
            raise self.without_keys()
        body = {**keys.template, **rights_of(keys.create)}
        answer = await self.call(keys.create, login, label=f"create an API key of {login.owner}", body=body)
        required = next(iter(keys.create.bodies.values()), {}).get("required", [])
        least = {name: value for name, value in body.items() if name in required}
        for less in (dict(keys.template), least):
            if not answer.reply.ok and answer.judgement is None and less != body:
                # The first asks for every right, and this login may have fewer.
                answer = await self.call(
                    keys.create, login, label=f"create an API key of {login.owner}, with less", body=less
                )
        value = resolve(answer.reply.json, keys.value)
        if not answer.reply.ok or not isinstance(value, str):
            clean = answer.judgement is None and 400 <= (answer.status or 0) < 500
            why = f"{keys.create.name} did not create a key ({answer.why or answer.status})."
            raise Shut(why) if clean else Unclear(why)
        self.scene.recorder.redactor.learn(Secret(value))
        identifier = resolve(answer.reply.json, keys.identifier) if keys.identifier else None
        named = str(identifier) if isinstance(identifier, (str, int)) else None
        return Credential(keys.carriers[0], Secret(value), login.owner), named

    async def presented(self, holding: Holding, when: str) -> Found:
        """Present it: it got in when it does so twice, the second time on a new connection."""
        if holding.refresh is not None:
            return await self._refresh_presented(holding, when)
        proofs: list[Exchange] = []
        answer: Answer | None = None
        for prefix in ("", "again: "):
            label = f"{prefix}{holding.name} {when}"
            answer = await self._replay_once(self.witness, holding.credential, label)
            if answer.rejected:
                return Found(False, f"{label}: refused only the second time" if prefix else "")
            lessened = answer.outcome is Outcome.AMBIGUOUS and answer.reply.ok
            if lessened and not await self._may_write(holding.credential):
                return Found(False, f"{label}: {answer.why}, and nothing shows what it may do")
            if not answer.accepted and not lessened:
                return Found(False, f"{label}: {answer.why}")
            if by_cache(answer.reply):
                return Found(False, f"{label}: a cache answered in the application's place (Age)")
            proofs.append(answer.exchange)
        principal = answer.exchange.reply.principal if answer is not None else None
        return Found(True, "", principal, tuple(proofs))

    async def _refresh_presented(self, holding: Holding, when: str) -> Found:
        label = f"{holding.name} {when}"
        answer, renewal = await self.renew(holding.refresh or Secret(""), label, Role.ATTACK, fresh=True)
        if renewal is None:
            refused = await self.is_refresh_refusal(answer)
            return Found(
                False, "" if refused else f"{label}: no clear answer ({answer.why or answer.status})"
            )
        proofs = [answer.exchange]
        principal: str | None = None
        if renewal.access is not None and holding.credential.carrier.kind is Kind.BEARER:
            child = replace(holding.credential, value=renewal.access)
            used = await self._replay_once(self.witness, child, f"what the {label} gave")
            proofs.append(used.exchange)
            principal = used.exchange.reply.principal
            if used.rejected:
                return Found(False, f"{label}: it gave tokens, and they were refused")
        return Found(True, "", principal, tuple(proofs))

    async def _may_write(self, credential: Credential) -> bool:
        """Whether the credential creates an object: a 200 with less in it may be a refusal, this is none."""
        objects = self.target.objects
        if objects is None:
            return False
        body = put(dict(objects.template), objects.text_field, self.canary())
        answer = await self.call(
            objects.create, credential, label="does it still write?", body=body, role=Role.ATTACK
        )
        # A 200 to everything would be no proof: what was made has an id.
        return answer.reply.ok and resolve(answer.reply.json, objects.identifier) is not None

    def severity_of(self, holding: Holding) -> Severity | None:
        """Return how bad it is that this holding lives on: a declared stateless token that dies soon is less so."""
        token = holding.credential.jwt
        tolerance = self.target.policy.stateless_tolerance
        if (
            holding.refresh is not None
            or not tolerance
            or holding.name != NAMES[Kind.BEARER]
            or token is None
        ):
            return None
        end = token.claims.get("exp")
        soon = isinstance(end, (int, float)) and end - self.scene.recorder.clock.now() <= tolerance
        return Severity.MEDIUM if soon else None

    async def lived_on(
        self,
        holdings: list[Holding],
        when: str,
        operation: str,
        doubts: list[str],
        *,
        severity: Severity | None = None,
        shown: tuple[Exchange, ...] = (),
    ) -> list[Violation]:
        """Present all holdings; each that gets in is a violation, each unclear one a doubt."""
        violations: list[Violation] = []
        late: list[tuple[Holding, Found]] = []
        for holding in holdings:
            found = await self.presented(holding, when)
            if found.accepted:
                who = f" as {found.principal}" if found.principal else ""
                message = f"The {holding.name} was accepted {when}{who}."
                proofs = (*shown, *found.proofs)
                violations.append(
                    Violation(operation, message, severity or self.severity_of(holding), proofs)
                )
                late.append((holding, found))
            elif found.unclear:
                doubts.append(found.unclear)
        if any(holding.refresh is not None for holding, _ in late):
            return violations  # using it may have ended what else there was
        if late:
            await asyncio.sleep(self._logout_pause)
        for number, (holding, _) in enumerate(late):
            if (await self.presented(holding, f"{when}, some seconds later")) == Found(
                accepted=False, unclear=""
            ):
                # Some services tell their replicas, or empty their caches, a moment later.
                message = f"The {holding.name} was accepted right {when}, and refused some seconds later."
                violations[number] = replace(violations[number], message=message, severity=Severity.MEDIUM)
        return violations

    # Accounts, as an administrator sees and changes them.

    async def as_administrator(self, switch: Switch, facts: dict[str, str], label: str) -> Answer:
        """Do it to the account with these facts. Raises Missing or Unclear."""
        admin = await self.credential(owner="admin")
        name = switch.operation.path.split("{")[1].split("}")[0]
        value = self.called(facts, name)
        if value is None:
            raise Unclear(
                f"{self.witness.operation.name} does not show what {switch.operation.name} calls {name}."
            )
        body: dict[str, object] | None = dict(switch.body) if switch.body else None
        if switch.operation.method == "PUT" and body is not None:
            properties = next(iter(switch.operation.bodies.values()), {}).get("properties", {})
            body = {**{key: facts[key] for key in properties if key in facts}, **body}
        answer = await self.call(switch.operation, admin, label=label, values={name: value}, body=body)
        users = self.target.users
        if users is not None and answer.granted and switch == users.disable:
            self.scene.shut[self.rule.code, value] = facts
        elif users is not None and answer.granted and switch in (users.enable, users.delete):
            self.scene.shut.pop((self.rule.code, value), None)
        return answer


def told_once(violations: list[Violation]) -> tuple[Violation, ...]:
    """Return one violation per operation: the first way is told, the others are counted, the gravest counts."""
    groups: dict[str | None, list[Violation]] = {}
    for violation in violations:
        groups.setdefault(violation.operation, []).append(violation)
    merged = []
    for group in groups.values():
        severities = [item.severity for item in group]
        told = list(dict.fromkeys(item.message for item in group))
        more = f" {len(told) - 3} more ways." if len(told) > 3 else ""
        merged.append(
            replace(
                group[0],
                message=" ".join(told[:3]) + more,
                severity=None if None in severities else max(item for item in severities if item is not None),
                evidence=tuple(dict.fromkeys(exchange for item in group for exchange in item.evidence)),
            )
        )
    return tuple(merged)


def rights_of(operation: Operation) -> dict[str, object]:
    """Return the member of a key that lists rights, with every right that its schema names.

    Of levels of which a key has one, nobody knows which is the highest.
    """
    member = scope_member(next(iter(operation.bodies.values()), {}).get("properties", {}))
    if member is None or member.single or not member.known:
        return {}
    return {member.name: member.written(member.known)}
