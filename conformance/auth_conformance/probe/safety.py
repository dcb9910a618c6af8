"""`must_be_safe`: GET, HEAD and OPTIONS read, whatever their paths are called."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from auth_conformance.credentials import Kind
from auth_conformance.model import Failed, Inconclusive, Outcome, Passed, Role, Severity, Verdict, Violation
from auth_conformance.oracles.pointer import put, resolve
from auth_conformance.oracles.standing import flattened
from auth_conformance.probe.core import Answer, Unclear
from auth_conformance.probe.crosssite import CrossSite
from auth_conformance.probe.ranks import parameters
from auth_conformance.target import Operation

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.target import Account

# Words in the path, the summary or the id of a GET that is worth calling.
_TELLING = re.compile(
    r"(?:^|[^a-z])(delete|remove|destroy|logout|log_?out|sign_?out|revoke|reset|confirm|activate|deactivate|disable|enable"
    r"|create|update|add|set|cancel|approve|rotate|purge|clear|end)(?:[^a-z]|$)",
    re.IGNORECASE,
)
_ENDING = re.compile(r"log_?out|sign_?out|(?:^|[^a-z])(?:end|revoke)", re.IGNORECASE)
_MAILED = re.compile(r"verif|confirm|activat", re.IGNORECASE)
_MOST = 24
# So many changes are tried as a read of the same path that has what their body would have in its query.
_BOTH = 8


@dataclass(frozen=True, slots=True)
class State:
    """What an account sees of itself: per view its text, and whether its session lives.

    `lost` says what got no answer that shows anything: two refusals for the number of requests are alike, too.
    """

    alive: bool
    views: tuple[tuple[str, str], ...]
    lost: str = field(default="", compare=False)


class Safety(CrossSite):
    """Sentences about methods that only read."""

    # By view the members that are others in each answer, such as the id of a request: they tell of no change.
    _restless: Mapping[str, frozenset[str]] = MappingProxyType({})
    # Whether a list shows what was made a look later only: then no state is taken at the first look.
    _lags = False

    async def must_be_safe(self) -> Verdict:
        """A crawl over everything that can be read changes nothing that the account sees of itself."""
        kind = self._login_kind()
        account = await self.disposable("safe methods", kind) or await self.expendable()
        credential = (await self.sign_in(account, kind)).credential
        values = await self._belongings(credential)
        views = await self._steady_views(credential)
        violations: list[Violation] = []
        unsure: list[str] = []
        called = 0
        for operation, body in self._worth_calling():
            await self.paced()
            called += 1
            changed = await self._leaves_a_change((operation, body), account, kind, values, views)
            if isinstance(changed, Violation):
                violations.append(changed)
            elif changed:
                unsure.append(changed)
        if not violations:
            await self.must_answer("after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, (*notes, *unsure))
        if unsure:
            more = f" (and {len(unsure) - 1} more)" if len(unsure) > 1 else ""
            return Inconclusive(unsure[0] + more, "", evidence, notes)
        if not called or not views:
            return Inconclusive(
                "Nothing was found that could be called, or seen afterwards.", "", evidence, notes
            )
        names = ", ".join(item.name for item in views)
        return Passed(f"{called} safe requests changed nothing in {names}.", evidence, notes)

    def _worth_calling(self) -> list[tuple[Operation, Operation | None]]:
        """GETs whose names promise a change, and the paths of changes with GET and HEAD in place of their method.

        Beside what takes a body stands the operation that does: its members go into the query.
        """
        telling = [
            item
            for item in self.target.operations
            if item.method in ("GET", "HEAD")
            and _TELLING.search(f"{item.path} {item.summary} {item.operation_id}")
        ]
        reads = {item.path for item in self.target.operations if item.method == "GET"}
        changes = [item for item in self.target.operations if item.method not in ("GET", "HEAD", "OPTIONS")]
        tampered = [
            (replace(item, method=method, bodies={}, source=None), item if item.bodies else None)
            for item in changes
            if item.path not in reads
            for method in ("GET", "HEAD")
        ]
        # One handler for both methods reads what it needs from wherever it stands.
        both = [
            (replace(item, method="GET", bodies={}, source=None), item)
            for item in changes
            if item.path in reads and item.bodies and item.method == "POST"
        ]
        # Those that may end the session come last.
        telling.sort(key=lambda item: _ENDING.search(item.path) is not None)
        return [*tampered[:_MOST], *both[:_BOTH], *((item, None) for item in telling[:_MOST])]

    def _as_query(self, operation: Operation) -> tuple[tuple[str, str], ...]:
        """What the body of a change would say, for its query; nothing where the password would be another."""
        objects, change = self.target.objects, self.target.password_change
        if change is not None and change.form.operation.name == operation.name:
            return ()
        if objects is not None and objects.create.name == operation.name:
            body: object = put(dict(objects.template), objects.text_field, self.word(14))
        elif self.scene.sampler is not None:
            values = dict.fromkeys(parameters(operation), "0")
            sampled = self.scene.sampler(operation, self.rng, path_values=values)
            try:
                body = json.loads(sampled.body or b"{}")
            except ValueError:
                body = dict(parse_qsl((sampled.body or b"").decode("utf-8", "replace")))
        else:
            return ()
        pairs = body.items() if isinstance(body, dict) else ()
        return tuple((str(key), str(value)) for key, value in pairs if isinstance(value, (str, int, float)))

    def _views(self) -> list[Operation]:
        objects, keys, sessions = self.target.objects, self.target.keys, self.target.sessions
        listed = [
            self.witness.operation,
            objects.listing if objects is not None else None,
            keys.listing if keys is not None else None,
        ]
        listed.append(sessions.listing if sessions is not None else None)
        return [item for item in listed if item is not None and "{" not in item.path]

    async def _steady_views(self, credential: Credential) -> list[Operation]:
        """The views that show something, and the same twice: without a crawl nothing changes. Raises Unclear."""
        views = self._views()
        before = await self._state(credential, views)
        if not before.alive:
            raise Unclear(before.lost or "The account that was to crawl does not see itself.")
        settled = await self._state(credential, views)
        self._restless = _restless(before, settled)
        if any(view not in self._restless for view in _unlike(before, settled)):
            before, settled = settled, await self._state(credential, views)
            self._lags = not _unlike(before, settled)
        steady: list[Operation] = []
        for view, (name, first), (_, second) in zip(views, before.views, settled.views, strict=True):
            if not first.startswith("2"):
                self.notes.append(f"{name} shows the account nothing")
            elif settled.lost and not second.startswith("2"):
                raise Unclear(
                    f"A second look at what the account sees of itself got no answer: {settled.lost}."
                )
            elif first != second and name not in self._restless:
                self.notes.append(f"{name} changes by itself")
            else:
                steady.append(view)
        return steady

    async def _belongings(self, owner: Credential) -> dict[str, str]:
        """An object of the account, so that paths with ids lead to something that can be lost."""
        objects = self.target.objects
        if objects is None:
            return {}
        body = put(dict(objects.template), objects.text_field, self.word(14))
        answer = await self.call(objects.create, owner, label="an object that may be lost", body=body)
        identifier = resolve(answer.reply.json, objects.identifier)
        return self.at(str(identifier)) if isinstance(identifier, (str, int)) else {}

    async def _state(self, credential: Credential, views: list[Operation]) -> State:
        baseline = await self.baseline(self.witness, credential)
        me = await self.at_witness(
            credential, label="is the session alive?", role=Role.CONTROL, baseline=baseline
        )
        unanswered = (Outcome.THROTTLED, Outcome.CRASHED)
        lost = [f"{self.witness.operation.name}: {me.why}"] if me.outcome in unanswered else []
        seen = []
        for view in views:
            answer = await self.call(view, credential, label=f"see {view.name}", role=Role.CONTROL)
            lost += [f"{view.name}: {answer.why}"] if answer.outcome in unanswered else []
            text = masked_times(answer, self._restless.get(view.name, frozenset()))
            seen.append((view.name, f"{answer.status} {text}"))
        return State(me.accepted, tuple(seen), next(iter(lost), ""))

    async def _leaves_a_change(
        self,
        called: tuple[Operation, Operation | None],
        account: Account,
        kind: Kind,
        values: Mapping[str, str],
        views: list[Operation],
    ) -> Violation | str | None:
        """Call an operation (with the members of another's body) twice; what it changes, or why that is not known."""
        operation, body = called
        proofs = []
        for number in range(2):
            credential = (
                (await self.log_in(account, kind)).credential
                if number
                else await self._crawler(account, kind)
            )
            mine = {**values, **(await self._belongings(credential))}
            before = await self._settled_state(credential, views)
            if before.lost or not before.alive:
                why = before.lost or "the session that was to call it did not see itself"
                return f"{operation.name} was not called: {why}"
            path_values = {name: mine.get(name, "0") for name in parameters(operation)}
            request = operation.request(path_values).with_headers(*replace(credential, companions=()).headers)
            answer = await self.send(
                request.with_query(*credential.query, *(self._as_query(body) if body is not None else ())),
                label=f"{'again: ' * number}{operation.name}",
                role=Role.ATTACK,
                operation=operation.name,
            )
            if answer.outcome is Outcome.THROTTLED or answer.status is None:
                return f"{operation.name}: {answer.why}"
            # What broke down on the way may have changed something before.
            if 400 <= answer.status < 500:
                return None
            after = await self._state(credential, views)
            if after.lost:
                return f"after {operation.name}: {after.lost}"
            if after == before:
                return None
            if not after.alive:
                self.scene.forget(("crawler", account.label))
            proofs.append((answer, after))
        if await self._changes_by_itself(account, kind, views):
            return f"after {operation.name}, and without it as well, what the account sees of itself changed"
        answer, after = proofs[-1]
        severity = None if after.alive else Severity.LOW
        if _MAILED.search(operation.path):
            self.notes.append(f"{operation.name} changes something, as links in mails do")
            return None
        what = "ends the session" if not after.alive else "changes what the account sees of itself"
        exchanges = tuple(item[0].exchange for item in proofs)
        return Violation(operation.name, f"{operation.name} {what}.", severity, exchanges)

    async def _settled_state(self, credential: Credential, views: list[Operation]) -> State:
        if self._lags:
            await self._state(credential, views)
        return await self._state(credential, views)

    async def _changes_by_itself(self, account: Account, kind: Kind, views: list[Operation]) -> bool:
        """The twin: the same steps without the call. A list may show an object only a moment after it was made."""
        credential = (await self.log_in(account, kind)).credential
        await self._belongings(credential)
        before = await self._settled_state(credential, views)
        later = [await self._state(credential, views) for _ in range(2)]
        return any(state.lost or state != before for state in (before, *later))

    async def _crawler(self, account: Account, kind: Kind) -> Credential:
        """The session that crawls; a new one when something has ended it."""

        async def make() -> Credential:
            return (await self.log_in(account, kind)).credential

        found: Credential = await self.scene.once(("crawler", account.label), make)
        return found


_OF_USE = re.compile(r'"(?:last_\w+|\w*_?used_at|\w*seen\w*|updated_at)"\s*:\s*(?:"[^"]*"|null|\d+)')


def _unlike(first: State, second: State) -> list[str]:
    """The views that two looks saw otherwise."""
    return [name for (name, one), (_, two) in zip(first.views, second.views, strict=True) if one != two]


def _restless(first: State, second: State) -> dict[str, frozenset[str]]:
    """By view the members on which two looks disagree, where they agree on others: nothing was done between."""
    found = {}
    for (name, one), (_, two) in zip(first.views, second.views, strict=True):
        with contextlib.suppress(ValueError):
            before, after = (flattened(json.loads(text.partition(" ")[2])) for text in (one, two))
            restless = {pointer for pointer in before if before[pointer] != after.get(pointer)}
            if restless and before.keys() == after.keys() and restless != before.keys():
                found[name] = frozenset(restless)
    return found


def masked_times(answer: Answer, restless: frozenset[str] = frozenset()) -> str:
    """The body without what changes by itself, the members `restless` among it, and without counters of use."""
    told = answer.reply.text
    if restless:
        members = flattened(answer.reply.json).items()
        told = json.dumps({pointer: value for pointer, value in members if pointer not in restless})
    text = _OF_USE.sub('"-":0', told)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)?", "<time>", text)
