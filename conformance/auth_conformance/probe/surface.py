"""`must_declare_its_surface`: everything that strangers reach, beside what is said to be for them."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from auth_conformance.model import (
    Expectation,
    Failed,
    Inconclusive,
    Passed,
    Provenance,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.canary import leaked
from auth_conformance.oracles.normalise import masked
from auth_conformance.oracles.pointer import put, strings
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.introspection import Introspection
from auth_conformance.probe.objects import object_of
from auth_conformance.target import Operation
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from auth_conformance.credentials import Credential

MOST_OPERATIONS = 150
# Files that stand beside applications, and the beginning of what proves them.
FILES = {
    "/.env": r"^[A-Z][A-Z0-9_]+\s*=",
    "/.git/HEAD": r"^ref: refs/",
    "/.git/config": r"^\[core\]",
    "/config.json": r'"(?:secret|password|database)',
    "/settings.py": r"^(?:import|from) ",
    "/backup.sql": r"(?i)create table|insert into",
    "/db.sqlite3": r"^SQLite format 3",
    "/server-status": r"(?i)apache server status",
}
# Ids, shapes and paths of operations that are for strangers by their nature.
OPEN_BY_NATURE = re.compile(
    r"(?i)log_?in|sign_?in|sign_?up|register|registration|token|session|refresh|forgot|reset|recover|verify|"
    r"verification|confirm|activate|resend|logout|health|healthz|sante|salud|saude|salute|gesundheit|ready|live|ping|version|status|jwks|well-known|"
    r"openapi|docs|redoc|oauth|callback|webhook|csrf|robots|favicon|static|assets"
)
# Hidden pages that tell nothing, and the documentation, which DOC108 judges.
HARMLESS = re.compile(
    r"(?i)docs|redoc|openapi|/(?:health|healthz|ready|readyz|live|livez|ping|version|favicon|robots)"
)


@cache
def _exposed() -> tuple[Mapping[str, str], ...]:
    text = resources.files("auth_conformance").joinpath("data", "exposed_paths.toml").read_text("utf-8")
    return tuple(tomllib.loads(text)["path"])


@dataclass(frozen=True, slots=True)
class Reached:
    """An operation that answered a stranger, and how grave that is."""

    operation: Operation
    why: str
    severity: Severity


def _leads_to_provider(answer: Answer) -> bool:
    """Whether it tells the address at which somebody else asks people who they are: who has no login yet needs it."""
    told = [text for text in strings(answer.reply.json).values() if isinstance(text, str)]
    asked = [parse_qs(text.partition("?")[2]) for text in told if "client_id=" in text]
    return any({"client_id", "response_type"} <= query.keys() for query in asked)


class Surface(Introspection):
    """Calls everything once, without a credential."""

    async def must_declare_its_surface(self) -> Verdict:
        """What answers strangers must be declared public. Raises Missing or Unclear."""
        await self.must_be_reachable()
        nowhere = await self._nowhere()
        if not self.target.guards:
            self.notes.append(
                "the routes of this service are not seen: of what no document lists, usual places alone were asked "
                "(an application in this process shows all of them)"
            )
        violations: list[Violation] = []
        doubts: list[str] = []
        undeclared: list[str] = []
        inventory = self._inventory()
        touched, harmless = await self._touched(inventory)
        violations += touched
        refused = len(harmless)
        for operation in inventory[:MOST_OPERATIONS]:
            await self.paced()
            if operation.name in harmless | {item.operation for item in touched}:
                continue
            answer = await self._by_nobody(operation, f"a stranger calls {operation.name}")
            if answer.judgement is not None:
                doubts.append(f"{operation.name}: {answer.why}")
            elif answer.status in (401, 403) or answer.reply.soft:
                refused += 1
            elif answer.reply.ok and not self._is_nowhere(answer, nowhere):
                outcome = await self._weighed(operation, answer)
                violations += [outcome] if isinstance(outcome, Violation) else []
                undeclared += [outcome] if isinstance(outcome, str) else []
            elif 300 <= (answer.status or 0) < 500:
                self._unproved(operation, answer, undeclared)
        violations += await self._beside(nowhere)
        violations += await self._introspected(doubts)
        await self.must_be_reachable()
        if inventory and not (violations or doubts or undeclared or refused):
            raise Unclear(
                "No operation refused strangers, and none answered them as an operation does: this proves nothing "
                "(what declares a credential and answers without one is DOC101's)."
            )
        return self._surface_verdict(violations, doubts, undeclared, refused)

    def _surface_verdict(
        self, violations: list[Violation], doubts: list[str], undeclared: list[str], refused: int
    ) -> Verdict:
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, (*notes, *undeclared))
        if undeclared:
            names = ", ".join(f'"{item.split(":")[0]}"' for item in undeclared)
            remedy = f"[policy]\npublic_operations = [{names}]  # those of them that are meant for strangers"
            more = f" (and {len(undeclared) - 1} more)" if len(undeclared) > 1 else ""
            return Inconclusive(undeclared[0] + more, remedy, evidence, (*notes, *undeclared[1:]))
        if doubts:
            return Inconclusive(doubts[0], "", evidence, notes)
        if not refused:
            raise Missing("Not applicable: every operation is declared public.", applicable=False)
        return Passed(f"{refused} operations refuse strangers; the others are for them.", evidence, notes)

    def _inventory(self) -> list[Operation]:
        """Return what is neither declared public nor for strangers by its nature; DOC101 has what declares security."""
        policy = self.target.policy.public_operations
        flows = {
            item.operation.name
            for item in (*self.target.logins, self.target.register, self.target.refresh)
            if item is not None
        }
        flows |= {step.operation.name for item in self.target.logins for step in item.before}
        # Who forgot the password has no login, and who confirms an address may have none yet.
        for flow in (self.target.recovery, self.target.verification):
            flows |= (
                {item.form.operation.name for item in (flow.ask, flow.confirm) if item} if flow else set()
            )
        # The token in the body is the credential there (RFC 7009 §2.1).
        flows |= {item.operation.name for item in self.target.logouts if item.refresh_field is not None}
        found = [
            item
            for item in self.target.operations
            if item.name not in policy | flows and not self._by_nature(item) and item.method != "HEAD"
        ]
        return sorted(found, key=lambda item: (item.method != "GET", item.method == "DELETE", item.name))

    @staticmethod
    def _by_nature(operation: Operation) -> bool:
        """Whether strangers need it: to get in, to come back, or to see that the service runs."""
        if operation.security or operation.provenance is not Provenance.OPENAPI:
            harmless = operation.path == "/" or HARMLESS.search(operation.path) is not None
            return operation.method == "GET" and not operation.security and harmless
        return operation.path == "/" or OPEN_BY_NATURE.search(operation.path) is not None

    async def _nowhere(self) -> Answer:
        """Learn what an unknown path gets: a page for everything is no operation."""
        return await self.send(
            HttpRequest("GET", f"/{self.word(10)}/{self.word(6)}"),
            label="control: an unknown path",
            role=Role.CONTROL,
        )

    @staticmethod
    def _is_nowhere(answer: Answer, nowhere: Answer) -> bool:
        if not nowhere.reply.ok:
            return False
        same = masked(answer.reply.text) == masked(nowhere.reply.text)
        return same or (answer.reply.media_type == nowhere.reply.media_type == "text/html")

    async def _by_nobody(self, operation: Operation, label: str, *, fresh: bool = False) -> Answer:
        request = operation.request()
        if self.scene.sampler is not None:
            # Ids that nobody has: a deletion by a stranger must find nothing.
            chance = type(self.rng)(f"{self.scene.seed}:{operation.name}")
            request = self.scene.sampler(operation, chance)
        return await self.send(
            replace(request, fresh=fresh), label=label, role=Role.ATTACK, operation=operation.name
        )

    async def _weighed(self, operation: Operation, answer: Answer) -> Violation | str | None:
        """Judge a success for a stranger: a finding where nothing can have meant it, else a question."""
        if operation.security:
            return None  # it declares a credential: DOC101's finding
        again = await self._by_nobody(operation, f"again: a stranger calls {operation.name}", fresh=True)
        if not again.reply.ok or by_cache(again.reply):
            return None
        hidden = operation.provenance is not Provenance.OPENAPI and self.target.has_document
        content = bool(answer.reply.body.strip()) and answer.reply.media_type != "text/html"
        if hidden and (content or operation.method != "GET"):
            grave = answer.reply.media_type == "application/json" or operation.method != "GET"
            message = (
                f"{operation.name} stands in no document and answers strangers {answer.status}"
                f"{': ' + answer.reply.media_type if answer.reply.media_type else ''}."
            )
            severity = Severity.CRITICAL if grave else Severity.MEDIUM
            proof = (answer.exchange, again.exchange)
            return Violation(operation.name, message, severity, proof, Expectation("refused"))
        if hidden:
            self.notes.append(f"{operation.name} shows strangers a page")
            return None
        if _leads_to_provider(answer):
            self.notes.append(f"{operation.name} tells strangers where to log in (RFC 6749 §4.1.1)")
            return None
        private = self._shows_addresses(answer, again) or await self._shows_private(operation)
        return private or (
            f"{operation.name}: answers strangers {answer.status}, and nothing says that it is meant for them"
        )

    def _shows_addresses(self, *answers: Answer) -> Violation | None:
        """A finding where a stranger who named nobody is told the e-mail address of somebody who has an account."""
        people = [self.target.accounts[label] for label in ("a", "b") if label in self.target.accounts]
        for person in people:
            address = person.address.lower()
            if "@" in address and all(address in answer.reply.text.lower() for answer in answers):
                operation = answers[0].exchange.operation
                message = f"{operation} shows strangers the e-mail address of {person.label}."
                proofs = tuple(answer.exchange for answer in answers)
                return Violation(operation, message, Severity.HIGH, proofs, Expectation("refused"))
        return None

    async def _shows_private(self, operation: Operation) -> Violation | None:
        """Whether it shows strangers what A has just written, which neither they nor B may read by its id."""
        objects = self.target.objects
        if objects is None or operation.method != "GET" or "{" in operation.path:
            return None
        proofs = []
        try:
            for prefix in ("", "again: "):
                mark = self.canary()
                values = {objects.id_parameter: await object_of(self, "a", mark)}
                others: list[Credential | None] = [None]
                if "b" in self.target.accounts:
                    others.append(await self.credential(owner="b"))
                closed = [
                    await self.call(
                        objects.read, other, label="control: is it private?", role=Role.CONTROL, values=values
                    )
                    for other in others
                ]
                if not all(answer.status in (401, 403, 404) for answer in closed):
                    return None
                answer = await self._by_nobody(
                    operation, f"{prefix}a stranger looks for what A wrote", fresh=bool(prefix)
                )
                if leaked(mark, answer.reply.text) is None:
                    return None
                proofs += [closed[0].exchange, answer.exchange]
        except (Missing, Unclear):
            return None
        message = (
            f"{operation.name} shows strangers what A wrote a moment ago; by its id neither they "
            "nor others read it."
        )
        return Violation(
            operation.name,
            message,
            Severity.HIGH,
            tuple(proofs),
            Expectation("refused", about=proofs[-1].number),
        )

    def _unproved(self, operation: Operation, answer: Answer, undeclared: list[str]) -> None:
        """Tell what was validated or looked up before anybody asked who calls."""
        if operation.security:
            return  # DOC101 tells
        told = (
            f"{operation.name}: answers strangers {answer.status}: validation or lookup before authentication"
        )
        if operation.provenance is not Provenance.OPENAPI and (answer.status or 0) in (404, 405):
            self.notes.append(told)
        elif (answer.status or 0) in (400, 404, 409, 415, 422):
            undeclared.append(told)

    async def _touched(self, inventory: list[Operation]) -> tuple[list[Violation], set[str]]:
        """Let a stranger change and delete an object that is there: what its owner reads afterwards decides (RR).

        Returns what was changed, and the names of the operations that left it alone, whatever they answered.
        """
        objects = self.target.objects
        known = {item.name for item in inventory if not item.security}
        changes = [item for item in (objects.update, objects.delete) if item is not None] if objects else []
        chosen = [item for item in changes if item.name in known]
        if objects is None or not chosen:
            return [], set()
        try:
            made = await self.call(
                objects.create, label="a stranger creates an object", body=objects.template
            )
            if made.reply.ok:
                self.notes.append(f"{objects.create.name} is for strangers: what they change may be theirs")
                return [], set()
            return await self._each_touched(chosen)
        except (Missing, Unclear) as reason:
            self.notes.append(f"whether strangers change what is there was not seen: {reason}")
            return [], set()

    async def _each_touched(self, changes: list[Operation]) -> tuple[list[Violation], set[str]]:
        found: list[Violation] = []
        harmless: set[str] = set()
        for operation in changes:
            touched, answer = await self._object_touched(operation, "a stranger calls")
            if touched:
                again, second = await self._object_touched(operation, "again: a stranger calls")
                message = (
                    f"{operation.name} did to an object of A what a stranger asked for ({answer.status})."
                )
                evidence = (answer.exchange, second.exchange)
                if again:
                    found.append(
                        Violation(
                            operation.name, message, Severity.CRITICAL, evidence, Expectation("refused")
                        )
                    )
            elif answer.status in (401, 403, 404):
                harmless.add(operation.name)
            elif answer.reply.ok and await self._owner_can(operation):
                self.notes.append(f"{operation.name} answers strangers {answer.status}, and does nothing")
                harmless.add(operation.name)
        return found, harmless

    async def _owner_can(self, operation: Operation) -> bool:
        """The control: the same call by the owner can be seen. What only hides an object shows nothing."""
        touched, _ = await self._object_touched(operation, "control: A calls", await self.credential())
        return touched

    async def _object_touched(
        self, operation: Operation, who: str, caller: Credential | None = None
    ) -> tuple[bool, Answer]:
        """Call it on a new object of A; whether A then finds it gone or changed. Raises Unclear."""
        objects = self.target.objects
        if objects is None:
            raise Missing("No objects are known.")
        values = {objects.id_parameter: await object_of(self, "a")}
        before = await self._read_by_owner(values)
        if not before.reply.ok:
            raise Unclear(f"{objects.read.name} does not show its owner the object ({before.status})")
        mark = self.canary()
        ends = objects.delete is not None and operation.name == objects.delete.name
        body = None if ends else put(dict(objects.template), objects.text_field, mark)
        answer = await self.call(
            operation,
            caller,
            label=f"{who} {operation.name} on what is there",
            role=Role.CONTROL if caller is not None else Role.ATTACK,
            values=values,
            body=body,
            fresh=who.startswith("again"),
        )
        after = await self._read_by_owner(values)
        if after.judgement is not None or answer.judgement is not None:
            raise Unclear(f"{operation.name}: {after.why or answer.why}")
        if not after.reply.ok and after.status not in (404, 410):
            raise Unclear(f"{objects.read.name} did not show its owner the object again ({after.status})")
        return after.status in (404, 410) or leaked(mark, after.reply.text) is not None, answer

    async def _read_by_owner(self, values: dict[str, str]) -> Answer:
        objects = self.target.objects
        if objects is None:
            raise Missing("No objects are known.")
        live = await self.credential()
        return await self.call(
            objects.read, live, label="the owner reads it", role=Role.CONTROL, values=values
        )

    async def _beside(self, nowhere: Answer) -> list[Violation]:
        """Ask for what is often left beside an application: metrics, debuggers, files."""
        known = {item.path for item in self.target.operations}
        found: list[Violation] = []
        for path, pattern, what, severity in _guesses():
            if path in known or f"GET {path}" in self.target.policy.public_operations:
                continue
            await self.paced()
            proofs = []
            for prefix in ("", "again: "):
                request = replace(HttpRequest("GET", path), fresh=bool(prefix))
                answer = await self.send(
                    request, label=f"{prefix}a stranger asks for {path}", role=Role.ATTACK
                )
                shown = answer.reply.ok and re.search(
                    pattern, answer.reply.text, re.IGNORECASE | re.MULTILINE
                )
                if not shown or self._is_nowhere(answer, nowhere):
                    break
                proofs.append(answer.exchange)
            else:
                found.append(
                    Violation(
                        f"GET {path}",
                        f"{path} shows strangers {what}.",
                        severity,
                        tuple(proofs),
                        Expectation("refused"),
                    )
                )
        return found


def _guesses() -> Iterator[tuple[str, str, str, Severity]]:
    for entry in _exposed():
        if "document" not in entry["what"]:  # what the documentation shows is DOC108's
            yield entry["path"], entry["shows"], entry["what"], Severity.MEDIUM
    for path, pattern in FILES.items():
        yield path, pattern, "a file that belongs to the application's inside", Severity.CRITICAL
