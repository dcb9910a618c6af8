"""`must_contain_query_keys`: a key in the URL is refused, or does not spread from there (checklist KEY103)."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Failed, Inconclusive, Passed, Role, Verdict, Violation
from auth_conformance.oracles.canary import leaked
from auth_conformance.oracles.pointer import resolve
from auth_conformance.oracles.scopes import scope_member
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.keyexpiry import KeyExpiry
from auth_conformance.probe.placing import QUERY_OF_KEYS, Placing
from auth_conformance.probe.refusal import Attempt
from auth_conformance.probe.schemes import declares

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.credentials import Carrier
    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Operation
    from auth_conformance.transports.message import HttpRequest


# What was logged so far.
_Lines = Callable[[], list[str]]


class KeyQuery(Placing, KeyExpiry):
    """Keys in URLs."""

    async def must_contain_query_keys(self) -> Verdict:
        """An undeclared place in the query refuses keys; a declared one keeps them. Raises Missing or Unclear."""
        live = await self.credential(Kind.KEY)
        declared = next(
            (item for item in self.target.carriers if item.kind is Kind.KEY and item.place == "query"), None
        )
        verdicts: list[Verdict] = []
        doubts: list[str] = []
        with self.doubting(doubts):
            if attempts := self.key_in_query(live):
                places = await self.witnesses_of(live)
                verdicts.append(await self.must_refuse(attempts, credential=live, at=places))
        with self.doubting(doubts):
            if declared is not None:
                verdicts.append(await self._contained(live.moved_to(declared)))
        with self.doubting(doubts):
            verdicts += await self._changes_by_query(live, declared)
        if doubts:
            verdicts.append(Inconclusive(doubts[0], "", tuple(self.evidence), tuple(self.notes)))
        verdict = self.gravest(verdicts)
        if not isinstance(verdict, Passed):
            return verdict
        if declared is not None:
            self.notes.append(
                f"the key may stand in the URL ({declared.name}), as declared; ASVS V14.2.1 advises against it"
            )
        return replace(verdict, notes=tuple(dict.fromkeys((*verdict.notes, *self.notes))))

    async def _changes_by_query(self, live: Credential, declared: Carrier | None) -> list[Verdict]:
        """By a key that has the right to make the change, where one can be made: the usual one may only read."""
        keys, objects = self.target.keys, self.target.objects
        if keys is None or objects is None:
            return await self._written_by_query(live, declared)
        member = scope_member(next(iter(keys.create.bodies.values()), {}).get("properties", {}))
        wanted = [item for item in objects.create.scopes if member is not None and item in member.known]
        body = {member.name: member.written(wanted)} if member is not None and wanted else {}
        try:
            strong, made = await self.make_key(body=body)
        except (Missing, Unclear) as reason:
            self.notes.append(f"no key of its own was made for changes: {reason}")
            return await self._written_by_query(live, declared)
        try:
            return await self._written_by_query(strong, declared)
        finally:
            await self.revoke_key(made)

    async def _written_by_query(self, live: Credential, declared: Carrier | None) -> list[Verdict]:
        """Changes are made by handlers of their own: those must refuse a key in the URL, too.

        Beside two controls: the key in its own place may make that change, and a stranger may not.
        """
        objects = self.target.objects
        if objects is None:
            return []
        create = objects.create
        attempts = [
            item
            for item in self.key_in_query(live)
            if not self.declared_at("query", item.query[0][0], create)
        ]
        if declared is not None and not declares(create, declared):
            label = f"the key in the query ({declared.name}), which this operation does not declare,"
            attempts.append(Attempt(label, query=((declared.name, live.value.reveal()),)))
        try:
            own = await self._changing_request(create, "control: the key in its own place", credential=live)
            # A wrong key, where nobody looks for one: whoever gets in is anybody.
            wrong = ((QUERY_OF_KEYS[-1], self.bland(live).value.reveal()),)
            stranger = await self._changing_request(create, "control: a stranger", query=wrong)
        except Unclear as reason:
            self.notes.append(f"no change was tried with the key in the query: {reason}")
            return []
        if not own.reply.ok or stranger.reply.ok:
            why = f"a key gets {own.status} for it, and a stranger {stranger.status}"
            self.notes.append(f"{create.name} shows nothing about keys in the query: {why}")
            return []
        tries = [await self._changed_by_query(create, attempt, objects.identifier) for attempt in attempts]
        violations = [item for item in tries if isinstance(item, Violation)]
        doubts = [item for item in tries if isinstance(item, str) and item]
        after = await self._changing_request(
            create, "control: the key in its own place, after", credential=live
        )
        if not after.reply.ok:
            doubts.append(f"{create.name} refused the key in its own place afterwards ({after.status}).")
        return [self.decided(violations, doubts, f"{create.name} took no key out of the query.")]

    async def _changing_request(
        self, create: Operation, label: str, *, role: Role = Role.CONTROL, again: bool = False, **parts: Any
    ) -> Answer:
        body = dict(self.target.objects.template) if self.target.objects is not None else {}
        return await self.call(
            create, label=f"{label}, at a change", role=role, body=body, fresh=again, **parts
        )

    async def _changed_by_query(
        self, create: Operation, attempt: Attempt, identifier: str
    ) -> Violation | str | None:
        """A violation when something was made twice; a text when that is unclear, None when it was refused."""
        proof = []
        for prefix in ("", "again: "):
            answer = await self._changing_request(
                create, prefix + attempt.label, role=Role.ATTACK, again=bool(prefix), query=attempt.query
            )
            if answer.judgement is not None:
                return f"{create.name}, {attempt.label}: {answer.why}"
            if not answer.reply.ok or resolve(answer.reply.json, identifier) is None:
                return None
            proof.append(answer.exchange)
        return Violation(create.name, f"{create.name} let in {attempt.label}.", None, tuple(proof))

    async def _contained(self, credential: Credential) -> Verdict:
        key = credential.value.reveal()
        baseline = await self.baseline(self.witness, credential)
        await self.must_live(self.witness, credential, baseline, "before")
        junk = await self.at_witness(
            self.bland(credential),
            label="control: a wrong key in the query",
            role=Role.CONTROL,
            baseline=baseline,
        )
        if not junk.rejected:
            raise Unclear(f"A wrong key in the query was not clearly refused: {junk.why}.")
        violations: list[Violation] = []
        with self._overheard() as lines:
            for label, operation, request in self._url_questions(credential):
                seen = [
                    await self.send(
                        replace(request, fresh=again),
                        label=f"{'again: ' if again else ''}{label}, with the key in the query",
                        role=Role.ATTACK,
                        operation=operation,
                    )
                    for again in (False, True)
                ]
                # A single-page application answers other paths with its public page: only data must not be stored.
                data = label in ("the witness", "a list")
                faults = [_spread(answer, key, data=data) for answer in seen]
                if all(faults):
                    proof = tuple(answer.exchange for answer in seen)
                    violations.append(Violation(operation, f"{operation}: {faults[0]}.", None, proof))
        logged = [line for line in lines() if leaked(key, line)]
        if len(logged) > 1:
            violations.append(
                Violation(self.witness.operation.name, "The log of the service holds the key from the query.")
            )
        await self.must_live(self.witness, credential, baseline, "after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, notes)
        reply = next(item for item in reversed(self.evidence) if item.role is Role.ATTACK).reply
        if reply.status is None:
            return Inconclusive(f"No answer came to a key in the query: {reply.error}.", "", evidence, notes)
        reason = (
            f"The key in the query ({credential.carrier.name}) comes back in no answer and no redirect, and "
            "answers to it may not be stored."
        )
        return Passed(reason, evidence, notes)

    def _url_questions(self, credential: Credential) -> Iterator[tuple[str, str, HttpRequest]]:
        """Requests whose answers tend to repeat the URL."""
        witness = self.witness.operation

        def with_key(operation: Operation) -> HttpRequest:
            return operation.request().with_query(*credential.query)

        yield "the witness", witness.name, with_key(witness)
        slashed = witness.address.rstrip("/") if witness.address.endswith("/") else f"{witness.address}/"
        yield "the path with the other slash", witness.name, replace(with_key(witness), path=slashed)
        listings = [self.target.objects.listing] if self.target.objects else []
        listings += [self.target.keys.listing] if self.target.keys else []
        for listing in filter(None, listings):
            if declares(listing, credential.carrier):
                yield "a list", listing.name, with_key(listing)
        unknown = f"{witness.address.rstrip('/').rpartition('/')[0]}/{self.word(12)}"
        yield "an unknown path", f"GET {unknown}", replace(with_key(witness), path=unknown)
        if self.target.objects is not None and declares(self.target.objects.create, credential.carrier):
            create = self.target.objects.create
            yield "a malformed body", create.name, with_key(create).with_json({"": []})

    @contextlib.contextmanager
    def _overheard(self) -> Iterator[_Lines]:
        """What the service writes to its log meanwhile: by its loggers in this process, or in `log_file`."""
        if self.target.in_process:
            handler = _Listener()
            root = logging.getLogger()
            root.addHandler(handler)
            try:
                yield lambda: handler.lines
            finally:
                root.removeHandler(handler)
            return
        path = Path(self.target.log_file) if self.target.log_file else None
        start = path.stat().st_size if path is not None and path.is_file() else 0
        if path is None:
            self.notes.append("the log of the service was not read: log_file is not declared")
        yield lambda: _tail(path, start) if path is not None else []


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(("auth_conformance", "httpx", "httpcore", "asyncio")):
            self.lines.append(record.getMessage())


def _tail(path: Path, start: int) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(1 << 20).decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _spread(answer: Answer, key: str, *, data: bool) -> str | None:
    """How an answer spreads the key that stood in its URL; None when it does not."""
    reply = answer.reply
    for name, value in reply.headers:
        if leaked(key, value):
            return f"the header {name} repeats the key from the URL"
    if leaked(key, reply.text):
        return "the body repeats the key from the URL"
    words = {word.strip().split("=")[0] for word in (reply.header("cache-control") or "").lower().split(",")}
    if not data or not reply.ok or reply.media_type == "text/html":
        return None
    if "no-store" not in words:
        return "the answer may be stored under a URL that holds the key (no Cache-Control: no-store)"
    if words & {"public", "s-maxage"}:
        return "the answer may be stored by shared caches under a URL that holds the key"
    return None
