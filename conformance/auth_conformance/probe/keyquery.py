"""`must_contain_query_keys`: a key in the URL is refused, or does not spread from there (checklist KEY103)."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Failed, Inconclusive, Passed, Role, Verdict, Violation
from auth_conformance.oracles.canary import leaked
from auth_conformance.oracles.pointer import resolve
from auth_conformance.probe.core import Unclear
from auth_conformance.probe.placing import Placing
from auth_conformance.probe.schemes import declares

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Operation
    from auth_conformance.transports.message import HttpRequest


# What was logged so far.
_Lines = Callable[[], list[str]]


class KeyQuery(Placing):
    """Keys in URLs."""

    async def must_contain_query_keys(self) -> Verdict:
        """An undeclared place in the query refuses keys; a declared one keeps them. Raises Missing or Unclear."""
        live = await self.credential(Kind.KEY)
        declared = next(
            (item for item in self.target.carriers if item.kind is Kind.KEY and item.place == "query"), None
        )
        verdicts = []
        if attempts := self.key_in_query(live):
            verdicts.append(await self.must_refuse(attempts, credential=live))
        if declared is not None:
            verdicts.append(await self._contained(live.moved_to(declared)))
        else:
            verdicts += await self._written_by_query(live)
        verdict = self.gravest(verdicts)
        if isinstance(verdict, Passed) and declared is not None:
            note = f"the key may stand in the URL ({declared.name}), as declared; ASVS V14.2.1 advises against it"
            return replace(verdict, notes=(*verdict.notes, note))
        return verdict

    async def _written_by_query(self, live: Credential) -> list[Verdict]:
        """Changes are made by handlers of their own: those must refuse a key in the URL, too."""
        objects = self.target.objects
        if objects is None:
            return []
        for attempt in self.key_in_query(live)[:2]:
            proof = []
            for again in (False, True):
                answer = await self.call(
                    objects.create,
                    label=f"{'again: ' if again else ''}{attempt.label} of a change",
                    role=Role.ATTACK,
                    query=attempt.query,
                    body=dict(objects.template),
                    fresh=again,
                )
                proof.append(answer.exchange)
                if not answer.reply.ok or resolve(answer.reply.json, objects.identifier) is None:
                    break
            else:
                name = objects.create.name
                violation = Violation(name, f"{name} let in {attempt.label}.", None, tuple(proof))
                return [Failed((violation,), tuple(self.evidence), tuple(self.notes))]
        return []

    async def _contained(self, credential: Credential) -> Verdict:
        key = credential.value.reveal()
        baseline = await self.baseline(self.witness, credential)
        await self.must_live(self.witness, credential, baseline, "before")
        junk = await self.call(
            self.witness.operation,
            self.bland(credential),
            label="control: a wrong key in the query",
            role=Role.CONTROL,
            baseline=baseline,
            pointer=self.witness.identity or None,
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
        slashed = witness.path.rstrip("/") if witness.path.endswith("/") else f"{witness.path}/"
        yield "the path with the other slash", witness.name, replace(with_key(witness), path=slashed)
        listings = [self.target.objects.listing] if self.target.objects else []
        listings += [self.target.keys.listing] if self.target.keys else []
        for listing in filter(None, listings):
            if declares(listing, credential.carrier):
                yield "a list", listing.name, with_key(listing)
        unknown = f"{witness.path.rstrip('/').rpartition('/')[0]}/{self.word(12)}"
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
