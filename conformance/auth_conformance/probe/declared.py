"""What the service enforces and accepts, held against what its document declares."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from auth_conformance.model import (
    Failed,
    Inconclusive,
    Passed,
    Provenance,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.normalise import same_structure
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.described import Described
from auth_conformance.probe.ways import Ways
from auth_conformance.secret import Secret
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auth_conformance.credentials import Carrier, Credential
    from auth_conformance.target import Operation, Published

# Operations asked without a declaration, and operations asked with every kind of credential.
_OPEN = 40
_ASKED = 8
_REFUSED = (401, 403)


class Declared(Described):
    """Sentences about security that the document does not show."""

    async def must_declare_what_it_enforces(self) -> Verdict:
        """What demands a credential says so, with the schemes that it takes, and the token URL is one."""
        await self.must_answer()
        live = await self.credential()
        found: list[Violation] = []
        unsure: list[str] = []
        undeclared = [item for item in self.target.operations if not item.security and item.describable]
        for operation in undeclared[:_OPEN]:
            await self.paced()
            outcome = await self._enforced_in_silence(operation, live)
            if isinstance(outcome, Violation):
                found.append(outcome)
            elif outcome is not None:
                unsure.append(outcome)
        ways = Ways(self)
        accepted, asked = await self._accepted_undeclared(ways, unsure)
        found += accepted
        for document in self.target.documents:
            found += await self._token_urls(document)
        await self.must_answer("after")
        evidence = tuple(self.evidence)
        notes = (*self.notes, *(f"not judged: {reason}" for reason in unsure))
        if found:
            once = {item.operation: item for item in reversed(found)}
            return Failed(tuple(once.values()), evidence, notes)
        if unsure:
            more = f" (and {len(unsure) - 1} more)" if unsure[1:] else ""
            return Inconclusive(f"{unsure[0]}{more}.", "", evidence, tuple(self.notes))
        told = f"{len(undeclared[:_OPEN])} operations that declare no credential demand none"
        told = told if undeclared else "Every operation declares a credential"
        if asked:
            told += f", and {asked} requests with credentials were taken where they are declared only"
        return ways.settled(Passed(f"{told}.", evidence, (*self.notes,)))

    async def _enforced_in_silence(self, operation: Operation, live: Credential) -> Violation | str | None:
        """An operation without declared security that refuses strangers and not the one with a credential."""
        if operation.method in ("HEAD", "OPTIONS", "TRACE") or operation.name in self.target.ending:
            return None  # a live credential that other checks share is shown to no logout
        if operation.name in {login.operation.name for login in self.target.logins}:
            return None  # what it demands stands in its body; who is logged in already may be told so
        safe = operation.method == "GET"
        if not safe and not operation.bodies:
            # What takes no body could do harm with a credential: nothing is known then but the refusal.
            return None
        request = operation.request(dict.fromkeys(_names(operation), "0"))
        # Nothing in the body: who is let through is told that it does not fit, and nothing happens.
        request = request if safe else self._with_passage(request.with_json({}))
        answers: list[Answer] = []
        for label, sent in (
            ("without a credential", request),
            ("with a credential", request.with_headers(*live.headers).with_query(*live.query)),
            ("again without a credential", request),
        ):
            answer = await self.send(
                sent, label=f"{operation.name} {label}", role=Role.ATTACK, operation=operation.name
            )
            if answer.judgement is not None:
                return await self._broken_or_unclear(answer)
            answers.append(answer)
            if answers[0].status not in _REFUSED:
                return None
        stranger, known, again = answers
        if known.status in _REFUSED or again.status != stranger.status:
            return None
        if live.companions and not safe:
            alone = request.with_headers(*replace(live, companions=()).headers)
            told = f"{operation.name} with the credential, and no CSRF token"
            answer = await self.send(alone, label=told, role=Role.CONTROL, operation=operation.name)
            if answer.status == stranger.status:
                self.notes.append(
                    f"{operation.name} answers {stranger.status} for want of a CSRF token, to everybody"
                )
                return None
        hidden = (
            " It is not in the document at all." if operation.provenance is not Provenance.OPENAPI else ""
        )
        message = (
            f"{operation.name} declares no credential and answers {stranger.status} to strangers, "
            f"{known.status} to a credential.{hidden}"
        )
        return Violation(operation.name, message, None, tuple(item.exchange for item in answers))

    async def _broken_or_unclear(self, answer: Answer) -> str | None:
        """Why nothing can be said of a request; None, and a note, where it breaks the service each time."""
        label, name = answer.exchange.label, answer.exchange.operation
        if answer.broke and answer.status:
            again = await self.send(
                replace(answer.request, fresh=True), label=f"again: {label}", role=Role.ATTACK, operation=name
            )
            if again.broke and again.status == answer.status:
                self.notes.append(
                    f"{label} is answered {answer.status} each time: whom it refuses, nothing shows"
                )
                return None
        return f"{label}: {answer.why}"

    def _with_passage(self, request: HttpRequest) -> HttpRequest:
        """A stranger's change with the CSRF token that strangers are given, where their changes need one."""
        steps, headers = next((item.passage for item in self.target.logins if item.passage[1]), ((), {}))
        nobody = tuple(step.step("", Secret("")) for step in steps)
        return replace(request, before=nobody).with_headers(*headers.items())

    async def _accepted_undeclared(self, ways: Ways, unsure: list[str]) -> tuple[list[Violation], int]:
        """Credentials of every known carrier at protected operations that do not declare that carrier; how many."""
        asked = [self.witness.operation]
        asked += [
            item
            for item in self.target.reads()
            if "{" not in item.path and item.protected and item not in asked
        ][:_ASKED]
        demanded = {item.name: frozenset[str]().union(*(item.security or ())) for item in asked}
        held: dict[Carrier, Credential] = {}
        for carrier in self.target.carriers:
            if not any(schemes and carrier.scheme not in schemes for schemes in demanded.values()):
                continue
            try:
                held[carrier] = (await self.credential(carrier.kind)).moved_to(carrier)
            except (Missing, Unclear) as reason:
                ways.closed(f"{carrier.kind.value} in {carrier.place} {carrier.name}", reason)
        found: list[Violation] = []
        count = 0
        for operation in asked:
            declared = demanded[operation.name]
            for carrier, credential in held.items() if declared else ():
                if carrier.scheme in declared:
                    continue
                await self.paced()
                count += 1
                taken = await self._taken(operation, carrier, credential)
                if isinstance(taken, Violation):
                    found.append(taken)
                elif taken is not None:
                    unsure.append(taken)
        return found, count

    async def _taken(
        self, operation: Operation, carrier: Carrier, credential: Credential
    ) -> Violation | str | None:
        answers = [
            await self.call(operation, who, label=f"{operation.name} {label}", role=Role.ATTACK, fresh=fresh)
            for label, who, fresh in (
                ("without a credential", None, False),
                (f"with {carrier.kind.value} in {carrier.place} {carrier.name}", credential, False),
                (f"again with {carrier.kind.value} in {carrier.place} {carrier.name}", credential, True),
            )
        ]
        for answer in answers:
            if answer.judgement is not None:
                return await self._broken_or_unclear(answer)
        stranger, first, second = answers
        if stranger.status not in _REFUSED or not first.reply.ok or not second.reply.ok:
            return None
        if not same_structure(first.exchange.reply.shape, second.exchange.reply.shape):
            return None
        alike = (
            item for item in self.target.carriers if (item.kind, item.place) == (carrier.kind, carrier.place)
        )
        namesake = next((item for item in alike if item.scheme), None)
        severity = Severity.LOW if namesake is not None and not carrier.scheme else None
        declared = " or ".join(sorted(frozenset[str]().union(*(operation.security or ()))))
        wrong = (
            f" The document calls it {namesake.name}."
            if severity is not None and namesake is not None
            else ""
        )
        message = (
            f"{operation.name} declares {declared} and takes a {carrier.kind.value} credential "
            f"in the {carrier.place} {carrier.name}.{wrong}"
        )
        return Violation(operation.name, message, severity, tuple(item.exchange for item in answers))

    async def _token_urls(self, document: Published) -> list[Violation]:
        """Token URLs of password flows that lead nowhere."""
        found = []
        components = document.raw.get("components")
        schemes = components.get("securitySchemes") if isinstance(components, dict) else None
        for name, scheme in schemes.items() if isinstance(schemes, dict) else ():
            url = _token_url(scheme)
            path = None if url is None else _own_path(url, document, self.target.address)
            if path is None:
                continue
            answers = [
                await self.send(
                    HttpRequest("POST", path).with_form((("grant_type", "password"),)),
                    label=f"{'again: ' if number else ''}the token URL of {name}",
                    role=Role.ATTACK,
                )
                for number in range(2)
            ]
            if all(answer.status in (404, 405) for answer in answers):
                message = (
                    f"The scheme {name} names {url} as its token URL, which answers {answers[0].status}."
                )
                proof = tuple(answer.exchange for answer in answers)
                found.append(Violation(f"POST {path}", message, Severity.LOW, proof))
        return found


def _names(operation: Operation) -> list[str]:
    return [part.split("}")[0] for part in operation.path.split("{")[1:]]


def _token_url(scheme: object) -> str | None:
    flows: Mapping[str, object] = scheme.get("flows") or {} if isinstance(scheme, dict) else {}
    flow = flows.get("password") if isinstance(flows, dict) else None
    url = flow.get("tokenUrl") if isinstance(flow, dict) else None
    return url if isinstance(url, str) and url else None


def _own_path(url: str, document: Published, address: str) -> str | None:
    """The path below the target that a token URL names; None for another host (RFC 3986 §5, OpenAPI 3.1 §4.6)."""
    own = urlsplit(address) if "://" in address else urlsplit("")
    base = f"{document.base}/" if document.base else "/"
    try:
        parts = urlsplit(urljoin(f"http://own.invalid{base}", url))
    except ValueError:
        return None
    if parts.netloc not in ("own.invalid", own.netloc):
        return None
    return parts.path.removeprefix(own.path.rstrip("/")) or "/"
