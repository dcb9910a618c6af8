"""The same request in two ways must be the same person: by each scheme, behind a server, after a restart."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Need, Outcome, Role, Rule, Violation
from auth_conformance.probe import Missing, Unclear
from auth_conformance.transports.asgi import AsgiTransport, LifespanFailedError
from auth_conformance.transports.wire import NoWire
from auth_fuzz import rules
from auth_fuzz.documents import placeholders
from auth_fuzz.people import Person, collection_of

if TYPE_CHECKING:
    from auth_conformance.probe import Answer
    from auth_conformance.target import Operation
    from auth_fuzz.bridge import Bridge
    from auth_fuzz.ledger import Ledger
    from auth_fuzz.world import World

DIFFERENTIAL_RULES = (rules.SCHEMES, rules.SERVER, rules.RESTART, rules.ZOMBIE)
# What is compared where no client stands: a request in process, or the service before and after its restart.
_NOT_FROM_OUTSIDE = {rules.SERVER: "the application called in process", rules.RESTART: "a restart"}
_INTERACTIVE = {Kind.BEARER, Kind.COOKIE, Kind.BASIC}


@dataclass(frozen=True, slots=True)
class Ended:
    """A credential that was ended before the restart, and how."""

    credential: Credential
    how: str
    by: Answer


class Differential:
    """Compares answers that must agree. What differs goes to `ledger`."""

    def __init__(self, world: World, ledger: Ledger, bridge: Bridge, *, seed: int) -> None:
        self.world, self.ledger, self.bridge = world, ledger, bridge
        self.searcher = world.searcher
        self._rng = random.Random(f"{seed}:differential")

    async def run(self) -> None:
        """Compare schemes, then the server, then what a restart leaves. Raises Missing, Unclear."""
        people = [person for person in (self.world.a, self.world.b) if person is not None]
        for number, person in enumerate(people):
            # An operation may have changed a password or an address meanwhile: then it is somebody new.
            try:
                await self.searcher.equip(person)
            except (Missing, Unclear):
                people[number] = await self.searcher.meet(person.label)
            await self.searcher.put_down(people[number])
        self.world.a, self.world.b = people[0], people[1] if len(people) > 1 else None
        readable = self._readable()
        for operation in readable:
            for person in people:
                if not self.bridge.spent:
                    await self._schemes(operation, person)
        await self._server(readable, people)
        await self._restart(people)

    def _readable(self) -> list[Operation]:
        found = [
            operation
            for operation in self.world.plan()[0]
            if operation.method == "GET" and operation.protected
        ]
        self._rng.shuffle(found)
        return found

    # By each scheme.

    async def _schemes(self, operation: Operation, person: Person) -> None:
        values = self._values(operation, person)
        if values is None:
            return
        answers: dict[Kind, Answer] = {}
        for kind, credential in person.credentials.items():
            if not self._declared(operation, kind):
                continue
            answer = await self._read(operation, credential, values, f"{person.label} by {kind.value}")
            if answer.outcome is None:
                answers[kind] = answer
        seen = {kind: self._speaks_of(answer) for kind, answer in answers.items() if answer.reply.ok}
        if len(answers) < 2:
            return
        first = next(iter(seen), None)
        odd = next((kind for kind in seen if first is not None and seen[kind] != seen[first]), None)
        if odd is not None and first is not None:
            again = await self._read(operation, person.credentials[odd], values, f"again: by {odd.value}")
            if again.reply.ok and self._speaks_of(again) == seen[odd]:
                message = (
                    f"{operation.name} speaks of {_people(seen[first])} to {person.label} by {first.value}, "
                    f"and of {_people(seen[odd])} by {odd.value}."
                )
                self._broken(rules.SCHEMES, operation, message, (answers[first], answers[odd], again))
                return
        await self._rights(operation, person, values, answers)

    async def _rights(
        self, operation: Operation, person: Person, values: dict[str, str], answers: dict[Kind, Answer]
    ) -> None:
        """A login that is refused where another of the same person is served has other rights."""
        refused = [kind for kind in answers if kind in _INTERACTIVE and answers[kind].status == 403]
        served = [kind for kind in answers if answers[kind].reply.ok]
        if not refused or not served:
            self.ledger.tried(rules.SCHEMES, next(iter(answers.values())).exchange)
            return
        repeated = [
            await self._read(operation, person.credentials[kind], values, f"again: by {kind.value}")
            for kind in (refused[0], served[0])
        ]
        if repeated[0].status == 403 and repeated[1].reply.ok:
            ways = f"by {served[0].value} and forbids it by {refused[0].value}"
            message = f"{operation.name} serves {person.label} {ways}."
            evidence = (answers[refused[0]], answers[served[0]], *repeated)
            self._broken(rules.SCHEMES, operation, message, evidence)

    def _declared(self, operation: Operation, kind: Kind) -> bool:
        """Whether the document lets credentials of that kind in by themselves."""
        schemes = {carrier.scheme for carrier in self.world.target.carriers if carrier.kind is kind}
        return any(len(item) == 1 and item & schemes for item in operation.security or ())

    def _values(self, operation: Operation, person: Person) -> dict[str, str] | None:
        names = placeholders(operation.path)
        if not names:
            return {}
        known = person.ids.get(collection_of(operation), [])
        return {names[0]: known[-1]} if len(names) == 1 and known else None

    async def _read(
        self, operation: Operation, credential: Credential, values: dict[str, str], label: str
    ) -> Answer:
        self.searcher.forget()
        return await self.searcher.call(
            operation, credential, label=label, role=Role.ATTACK, values=values or None
        )

    def _speaks_of(self, answer: Answer) -> frozenset[str]:
        """Whose marks stand in a reply."""
        text = answer.reply.text
        return frozenset(
            person.label for person in self.world.people for mark in person.marks if mark in text
        )

    # Behind a server.

    async def _server(self, readable: list[Operation], people: list[Person]) -> None:
        wire = self.world.scene.wire
        if not self.world.target.in_process or wire is None or self.bridge.spent:
            return
        transport = await wire()
        if isinstance(transport, NoWire):
            self.ledger.of(rules.SERVER).absent = "no server could be started in front of the application"
            return
        for operation in readable:
            for person in people:
                values = self._values(operation, person)
                if values is None or self.bridge.spent:
                    continue
                for kind, credential in person.credentials.items():
                    inside = await self._read(operation, credential, values, f"{kind.value} in process")
                    outside = await self._behind(
                        operation, credential, values, f"{kind.value} behind a server"
                    )
                    if self._agree(inside, outside):
                        self.ledger.tried(rules.SERVER, outside.exchange)
                        continue
                    again = await self._behind(operation, credential, values, "again: behind a server")
                    once_more = await self._read(operation, credential, values, "again: in process")
                    if not self._agree(once_more, again):
                        message = (
                            f"{operation.name} answers {inside.status} to {person.label} by {kind.value} in process "
                            f"and {outside.status} behind a server, or speaks of somebody else."
                        )
                        self._broken(rules.SERVER, operation, message, (inside, outside, again))
                        return

    async def _behind(
        self, operation: Operation, credential: Credential, values: dict[str, str], label: str
    ) -> Answer:
        self.searcher.forget()
        return await self.searcher.call(
            operation, credential, label=label, role=Role.ATTACK, values=values or None, raw_wire=True
        )

    def _agree(self, one: Answer, other: Answer) -> bool:
        if one.outcome is not None or other.outcome is not None:
            return True  # throttled, or undelivered: nothing to compare
        return one.status == other.status and self._speaks_of(one) == self._speaks_of(other)

    # After a restart.

    async def _restart(self, people: list[Person]) -> None:
        transport = self.world.scene.recorder.transport
        entry = self.ledger.of(rules.RESTART)
        if not isinstance(transport, AsgiTransport):
            entry.absent = "the service runs elsewhere and cannot be restarted from here"
            return
        ended = await self._end_some()
        before = [
            (person, credential, await self._who(credential))
            for person in people
            for credential in person.credentials.values()
        ]
        if not ended:
            known = self.world.target.logouts or self.world.target.keys
            entry.absent = (
                "what was logged out or revoked is alive before a restart already: FUZ301 says more"
                if known
                else "no logout and no revocation of keys is known"
            )
            entry.remedy = "" if known else self.world.target.remedies.get(Need.LOGOUT, "")
            return
        await transport.close()
        try:
            await transport.start()
        except LifespanFailedError as error:
            self.world.restarts = False
            entry.absent = f"the application does not start twice in one process ({error})"
            self.bridge.end()
            return
        self.world.restarts = True
        alive = 0
        for person, credential, principal in before:
            answer = await self._look(credential, "after the restart")
            alive += answer.reply.ok
            found = answer.exchange.reply.principal
            if answer.reply.ok and principal is not None and found != principal:
                message = (
                    f"After a restart {person.label}'s {credential.carrier.kind.value} credential is {found}."
                )
                self._broken(rules.RESTART, self.searcher.witness.operation, message, (answer,))
        for item in ended:
            answer = await self._look(item.credential, f"after the restart: {item.how}")
            again = await self._look(item.credential, "again: after the restart")
            if answer.reply.ok and again.reply.ok:
                message = f"A {item.credential.carrier.kind.value} credential that {item.how} is alive after a restart."
                self._broken(rules.RESTART, self.searcher.witness.operation, message, (answer, again))
            else:
                self.ledger.tried(rules.RESTART, answer.exchange)
        if not alive:
            entry.notes.append("no credential outlived the restart: sessions are kept in memory")

    async def _who(self, credential: Credential) -> str | None:
        return (await self._look(credential, "before the restart")).exchange.reply.principal

    async def _look(self, credential: Credential, label: str) -> Answer:
        self.searcher.forget()
        return await self.searcher.ask_witness(credential, label, role=Role.ATTACK)

    async def _end_some(self) -> list[Ended]:
        """Log out of new sessions and revoke a new key: each must be refused now, before the restart."""
        found: list[Ended] = []
        person = self.world.a
        for logout in self.world.target.logouts:
            if self.world.target.login(logout.kind) is None or logout.refresh_field:
                continue
            try:
                session = await self.searcher.session_of(person.account, logout.kind)
            except (Missing, Unclear):
                continue
            lived = await self._look(session.credential, "control: it lives")
            answer = await self.searcher.call(
                logout.operation, session.credential, label="log out before the restart"
            )
            if lived.reply.ok and answer.reply.ok:
                found.append(Ended(session.credential, "was logged out", answer))
        keys = self.world.target.keys
        made = await self.searcher.issue_key(person)
        login = person.login()
        if (
            keys is not None
            and keys.revoke is not None
            and made is not None
            and made[1]
            and login is not None
        ):
            # What was looked up once may be remembered: it is used before it is ended.
            lived = await self._look(made[0], "control: it lives")
            answer = await self.searcher.call(
                keys.revoke,
                login,
                label="revoke a key before the restart",
                values={keys.id_parameter: made[1]},
            )
            if lived.reply.ok and answer.reply.ok:
                found.append(Ended(made[0], "was revoked", answer))
        return [item for item in found if not await self._lives_on(item)]

    async def _lives_on(self, ended: Ended) -> bool:
        """Whether what was just ended is alive: no restart is needed to see that it must not be."""
        answer = await self._look(ended.credential, f"what {ended.how}")
        again = await self._look(ended.credential, f"again: what {ended.how}") if answer.reply.ok else answer
        tolerated = self.world.target.policy.stateless_tolerance and ended.how == "was logged out"
        if answer.reply.ok and again.reply.ok and again.reply.header("age") is None and not tolerated:
            message = (
                f"A {ended.credential.carrier.kind.value} credential that {ended.how} "
                f"({ended.by.exchange.operation} → {ended.by.status}) is alive."
            )
            self._broken(rules.ZOMBIE, self.searcher.witness.operation, message, (ended.by, answer, again))
        return answer.reply.ok

    def _broken(self, rule: Rule, operation: Operation, message: str, answers: tuple[Answer, ...]) -> None:
        evidence = tuple(
            replace(item.exchange, outcome=Outcome.ACCEPTED) if item.reply.ok else item.exchange
            for item in answers
        )
        if rule in _NOT_FROM_OUTSIDE:
            evidence = tuple(
                replace(item, special=item.special or _NOT_FROM_OUTSIDE[rule]) for item in evidence
            )
        self.ledger.broken(rule, Violation(operation.name, message, None, evidence))


def _people(labels: frozenset[str]) -> str:
    return " and ".join(sorted(labels)) or "nobody"
