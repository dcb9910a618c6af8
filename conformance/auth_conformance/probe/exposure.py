"""What strangers are shown: documentation, the inside of the service, and secrets in its description."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Failed, Inconclusive, Need, Passed, Role, Severity, Verdict, Violation
from auth_conformance.oracles.documented import (
    careless_input,
    client_secret_of_grant,
    is_stored_secret,
    leaks,
    members,
    pairs,
    tokens,
)
from auth_conformance.oracles.schemas import json_schema_of
from auth_conformance.probe.described import Described
from auth_conformance.probe.guarded import beneath
from auth_conformance.probe.refusal import Attempt
from auth_conformance.secret import Secret
from auth_conformance.target import Account
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Operation

# How many documented values are tried as credentials: a wrong one may count towards a lock-out.
_TRIED = 5
_MOST = 40
_DOCUMENT = re.compile(r"openapi|swagger", re.IGNORECASE)
_MOVED = {301, 302, 303, 307, 308}


@dataclass(frozen=True, slots=True)
class Exposed:
    """A place where services show something: its path, what it would be, and how one knows it."""

    path: str
    what: str
    shows: re.Pattern[str]


@cache
def places() -> tuple[Exposed, ...]:
    """Read every place of `data/exposed_paths.toml`."""
    text = resources.files("auth_conformance").joinpath("data", "exposed_paths.toml").read_text("utf-8")
    return tuple(
        Exposed(entry["path"], entry["what"], re.compile(entry["shows"], re.IGNORECASE | re.MULTILINE))
        for entry in tomllib.loads(text)["path"]
    )


class Exposure(Described):
    """Sentences about what anybody can read."""

    async def must_show_only_what_it_declares(self) -> Verdict:
        """Documentation and insides are open to strangers only where the owner says so."""
        await self.must_answer()
        nowhere = await self._look(f"/{self.word(12)}", "control: an unknown path")
        seen: dict[str, tuple[Exposed, Answer]] = {}
        doubts: list[str] = []
        for place in (*places(), *self._beside_documents()):
            answer = await self._look(place.path, f"a stranger reads {place.path}")
            again = answer
            if answer.reply.ok or answer.judgement is not None:
                again = await self._look(place.path, f"again: a stranger reads {place.path}")
            # What breaks each time shows nothing; what breaks once, or was limited, nobody has seen.
            if again.judgement is not None and not (
                again.status == answer.status and again.broke and again.status
            ):
                doubts.append(f"GET {place.path} gave no usable answer ({again.why}).")
            elif again.judgement is not None:
                self.notes.append(f"GET {place.path} is broken ({again.status})")
            if answer.judgement is not None:
                answer = again
            if self._really_shown(place, answer, nowhere) and self._really_shown(place, again, nowhere):
                seen[place.path] = (place, again)
        await self.must_answer("after")
        declared = {name.partition(" ")[2] or name for name in self.target.policy.public_operations}
        violations = [
            self._opened_to_strangers(place, answer)
            for path, (place, answer) in seen.items()
            if self.target.policy.hide_docs and path not in declared
        ]
        evidence = tuple(self.evidence)
        if violations:
            return Failed(tuple(violations), evidence, tuple(self.notes))
        if doubts:
            return Inconclusive(doubts[0], "", evidence, (*self.notes, *doubts[1:]))
        listed = ", ".join(f"{place.what} at {path}" for path, (place, _) in seen.items())
        if listed and not self.target.policy.hide_docs:
            self.notes.append(f"strangers can read {listed}; [policy] hide_docs = true makes that a finding")
        told = (
            f"Strangers are shown what is declared: {listed}." if listed else "Strangers are shown nothing."
        )
        return Passed(told, evidence, tuple(self.notes))

    def _beside_documents(self) -> list[Exposed]:
        """The documents that were found, and what frameworks serve beside them (applications that are mounted)."""
        known = {item.path for item in places()}
        usual = {item.path: item for item in places()}
        paths = [item.path for item in self.target.documents if item.path is not None][:2]
        found = [Exposed(path, "the OpenAPI document", _DOCUMENT) for path in paths]
        for path in paths:
            base = path.rpartition("/")[0]
            found += [replace(usual[name], path=f"{base}{name}") for name in ("/docs", "/redoc")]
        return [item for item in found if item.path not in known]

    async def _look(self, path: str, label: str) -> Answer:
        """What a stranger gets there; with a slash at the end where the service sends people to it."""
        answer = await self.send(HttpRequest("GET", path), label=label, role=Role.ATTACK)
        aim = urlsplit(answer.reply.header("location") or "").path
        if answer.status in _MOVED and aim == f"{path}/":
            return await self.send(HttpRequest("GET", aim), label=f"{label}/", role=Role.ATTACK)
        return answer

    @staticmethod
    def _really_shown(place: Exposed, answer: Answer, nowhere: Answer) -> bool:
        # Field experience: some services answer every path with one page.
        same = (answer.status, answer.exchange.reply.digest) == (
            nowhere.status,
            nowhere.exchange.reply.digest,
        )
        return answer.reply.ok and not same and place.shows.search(answer.reply.text[:100_000]) is not None

    def _opened_to_strangers(self, place: Exposed, answer: Answer) -> Violation:
        message = f"GET {place.path} shows {place.what} to strangers, which the policy hides."
        severity = None
        privileged = self.target.policy.privileged_operations
        if place.what == "the OpenAPI document" and any(
            name in privileged or "/admin" in name for name in (item.name for item in self.target.operations)
        ):
            severity = Severity.LOW
            message += " It lists operations of administrators."
        return Violation(f"GET {place.path}", message, severity, (answer.exchange,))

    async def must_document_without_secrets(self) -> Verdict:
        """The document holds no credential that works, and marks the members that carry secrets."""
        await self.must_answer()
        violations: list[Violation] = []
        doubts: list[str] = []
        for document in self._documents():
            await self._still_says(document)
            for what, pointer in dict.fromkeys(leaks(document.raw)):
                message = f"The document holds {what} at {pointer}."
                violations.append(Violation(None, message, Severity.MEDIUM, tuple(self.evidence[-1:])))
            violations += await self._documented_pairs(pairs(document.raw)[:_TRIED], doubts)
            violations += await self._documented_tokens(tokens(document.raw)[:_TRIED], doubts)
        proof = tuple(self.evidence[:2])
        for operation in (item for item in self.target.operations if item.describable):
            violations += [
                Violation(operation.name, message, severity, proof)
                for message, severity in self._careless(operation)
            ]
        await self.must_answer("after")
        evidence = tuple(self.evidence)
        if violations:
            return Failed(_once(violations)[:_MOST], evidence, (*self.notes, *doubts))
        if doubts:
            return Inconclusive(doubts[0], self._remedy(Need.LOGIN), evidence, (*self.notes, *doubts[1:]))
        return Passed("No documented value works as a credential, and secret members are marked.", evidence)

    async def _documented_pairs(self, found: list[tuple[str, str]], doubts: list[str]) -> list[Violation]:
        """Try each pair once, and then the right password of A; one that logs in is tried again."""
        violations: list[Violation] = []
        login = next(iter(self.target.logins), None)
        if login is None or not found:
            doubts += ["The document names users with passwords, and no login is known."] if found else []
            return []
        for user, word in found:
            account = Account("a documented user", user, Secret(word))
            answers = []
            for number in range(2):
                answer, used = await self.try_login(
                    account,
                    account.password,
                    label=f"{'again: ' if number else ''}log in as documented",
                    role=Role.ATTACK,
                )
                answers.append(answer.exchange)
                if answer.judgement is not None:
                    doubts.append(
                        f"A documented user could not be tried at {login.operation.name}: {answer.why}."
                    )
                if used.read(answer.reply, account.label) is None:
                    break
            else:
                message = (
                    f"User name and password of an example in the document log in at {login.operation.name}."
                )
                violations.append(Violation(login.operation.name, message, Severity.HIGH, tuple(answers)))
        with self.doubting(doubts):
            await self.log_in(self.account(), label="control: the right password of A")
        return violations

    async def _documented_tokens(self, found: list[str], doubts: list[str]) -> list[Violation]:
        """Present documented tokens and keys at the witness, in every carrier that might take them."""
        if not found or self.target.witness is None or not self.kinds():
            doubts += (
                ["The document gives tokens as examples, and nothing is known that takes one."]
                if found
                else []
            )
            return []
        live = await self.credential()
        baseline = await self.baseline(self.witness, live)
        violations = []
        for text in found:
            self.scene.recorder.redactor.learn(Secret(text))
            wanted = {Kind.BEARER} if text.startswith("eyJ") else {Kind.KEY, Kind.BEARER}
            for carrier in [item for item in self.target.carriers if item.kind in wanted][:2]:
                attempt = Attempt("a documented value", Credential(carrier, Secret(text), "nobody"))
                answers = [await self.attempt(self.witness, attempt, baseline)]
                if not answers[0].accepted and not answers[0].rejected:
                    doubts.append(f"A documented value as {carrier.kind.value}: {answers[0].why}.")
                if answers[0].accepted:
                    answers.append(await self.attempt(self.witness, attempt, baseline, fresh=True))
                if len(answers) == 2 and answers[1].accepted:
                    message = (
                        f"A value that the document gives as an example is accepted as {carrier.kind.value}."
                    )
                    proof = tuple(item.exchange for item in answers)
                    violations.append(Violation(self.witness.operation.name, message, Severity.HIGH, proof))
        return violations

    def _careless(self, operation: Operation) -> Iterator[tuple[str, Severity]]:
        own = self._own_text(operation)
        for status, response in operation.responses.items():
            schema = json_schema_of(response) if isinstance(response, dict) else None
            for member in members(schema, operation.name) if str(status).startswith("2") else ():
                if member.name != own and is_stored_secret(member, reads=operation.method == "GET"):
                    yield f"{operation.name} documents {member.name} in its answers.", Severity.MEDIUM
        for schema in operation.bodies.values():
            unasked = client_secret_of_grant(schema)
            for member in members(schema, operation.name):
                missing = careless_input(member)
                if missing is not None and member.name != unasked:
                    yield f"{operation.name} takes {member.name} without {missing}.", Severity.LOW

    def _own_text(self, operation: Operation) -> str:
        """The member in which people keep a text of their own there, as in a vault; "" where there is none."""
        for objects in (self.target.objects, *self.target.further):
            if objects is not None and beneath(operation.path, objects.create.path):
                return objects.text_field.rpartition("/")[2]
        return ""


def _once(violations: list[Violation]) -> tuple[Violation, ...]:
    """One violation per operation, the gravest; the others are told beside it."""
    groups: dict[str | None, list[Violation]] = {}
    for violation in violations:
        groups.setdefault(violation.operation, []).append(violation)
    merged = []
    for group in groups.values():
        group.sort(key=lambda item: -(item.severity or Severity.INFO).rank)
        told = " ".join(dict.fromkeys(item.message for item in group))
        first = group[0]
        merged.append(Violation(first.operation, told[:600], first.severity, first.evidence))
    return tuple(merged)
