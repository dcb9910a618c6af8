"""`must_show_keys_once`: the whole key is told at its creation, and never again (checklist KEY108)."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from auth_conformance.model import (
    Expectation,
    Failed,
    Inconclusive,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.disclosure import Form, Search, gravest
from auth_conformance.oracles.documented import members
from auth_conformance.oracles.keys import public_start
from auth_conformance.oracles.pointer import resolve, strings
from auth_conformance.oracles.schemas import json_schema_of
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.machines import Machines
from auth_conformance.probe.stored import Stored, shown_of
from auth_conformance.secret import Secret
from auth_conformance.target.operations import HOLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.credentials import Credential
    from auth_conformance.target import KeyManagement, Operation

# So many pages beside those of keys are searched.
PAGES = 5
# So many pages whose path or schema speaks of keys.
NEAR = 6
# More characters of the secret than this are more than a reminder ("…cd3f").
REMINDER = 8
# In a page without members an id this short stands by chance.
_MARK = 4
_NEAR_WORDS = ("key", "audit", "log", "token")

# Two new keys, each with the answer that told it.
Made = list[tuple["Credential", Answer]]


class _Weight(Enum):
    """What it means that a page was not read."""

    LIST = "the keys that exist"
    OWN = "what a person may always see"
    FOREIGN = "those of another person"
    NEAR = "it speaks of keys"
    OTHER = "what else there is"

    def doubted(self, answer: Answer) -> bool:
        """Whether it leaves a doubt that `answer` could not be read: who may not see a page is refused it."""
        if self in (_Weight.FOREIGN, _Weight.NEAR):
            return answer.judgement is not None or (self is _Weight.FOREIGN and answer.status == 401)
        return self is not _Weight.OTHER


@dataclass(frozen=True, slots=True)
class _Page:
    """What may show a key, and to whom."""

    who: str
    operation: Operation
    weight: _Weight


class KeyShown(Stored):
    """Searches for a key after its creation."""

    async def must_show_keys_once(self) -> Verdict:
        """Only the creation tells the key, in an answer that nobody stores. Raises Missing or Unclear."""
        keys = self.target.keys
        if keys is None:
            return await self._told_each_time()
        made: Made = []
        searched: list[str] = []
        doubts: list[str] = []
        try:
            for _ in (1, 2):
                made.append(await self.make_key())
                witness, baseline = await self._key_witness(made[-1][0])
                await self.must_live(witness, made[-1][0], baseline, "after its creation")
            violations = self._storable(keys, made)
            for page in self._pages(keys):
                with self.doubting(doubts):
                    found = await self._searched(page, keys, made)
                    if isinstance(found, Violation):
                        violations.append(found)
                    elif found:
                        self.notes.append(found)
                    else:
                        searched.append(page.operation.name)
            with self.doubting(doubts):
                await self.must_live(witness, made[-1][0], baseline, "after")
            if self.target.clients is not None:
                with self.doubting(doubts), contextlib.suppress(Missing):
                    violations += await self._of_clients()
        finally:
            for _, answer in made:
                await self.revoke_key(answer)
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, (*notes, *doubts))
        if doubts or not searched:
            first = doubts[0] if doubts else "No page that may show keys gave an answer."
            return Inconclusive(first, "", evidence, (*notes, *doubts[1:]))
        reason = (
            f"Neither the keys nor digests of them are in {len(searched)} answers "
            f"({', '.join(dict.fromkeys(searched))}), and their creation says no-store."
        )
        return Passed(reason, evidence, notes)

    async def _of_clients(self) -> list[Violation]:
        """Where the secret of a client stands after its creation. Raises Missing or Unclear."""
        machines = Machines(self.scene, self.rule)
        shown = await machines.secrets_shown_again()
        self.evidence += machines.evidence
        return shown

    async def _told_each_time(self) -> Verdict:
        """Keys that no operation makes beside others: they are told again and again. Raises Missing or Unclear."""
        told = self.target.told_key
        if told is None and self.target.clients is not None:
            shown = await self._of_clients()
            if shown:
                return Failed(tuple(shown), tuple(self.evidence), tuple(self.notes))
            reason = "Neither the list of clients nor the record of one tells its secret again."
            return Passed(reason, tuple(self.evidence), tuple(self.notes))
        if told is None:
            raise self.without_keys()
        proofs = []
        for again in ("", "again: "):
            login = await self.credential(self._login_kind())
            answer = await self.call(
                told.operation, login, label=f"{again}read the key", role=Role.ATTACK, fresh=bool(again)
            )
            key = resolve(answer.reply.json, told.pointer)
            if not answer.reply.ok or not isinstance(key, str):
                raise Unclear(f"{told.operation.name} told no key ({answer.why or answer.status}).")
            self.scene.recorder.redactor.learn(Secret(key))
            proofs.append(answer.exchange)
        message = f"{told.operation.name} shows its owner the whole key each time."
        violation = Violation(told.operation.name, message, None, tuple(proofs))
        return Failed((violation,), tuple(self.evidence), tuple(self.notes))

    @staticmethod
    def _storable(keys: KeyManagement, made: Made) -> list[Violation]:
        answers = [answer for _, answer in made]
        if any("no-store" in (item.reply.header("cache-control") or "").lower() for item in answers):
            return []
        message = (
            f"{keys.create.name} tells the key in an answer that may be stored (no Cache-Control: no-store)."
        )
        expected = Expectation("header", "Cache-Control", "no-store")
        proof = tuple(item.exchange for item in answers)
        return [Violation(keys.create.name, message, None, proof, expected)]

    def _pages(self, keys: KeyManagement) -> Iterator[_Page]:
        """What may show a key: lists and records of keys, the profile, and other lists; as A, then as others."""
        below = f"{keys.create.path.rstrip('/')}/{{"
        revoked = keys.revoke.path if keys.revoke is not None else None
        reads = self.target.reads()
        own = [_Page("a", keys.listing, _Weight.LIST)] if keys.listing is not None else []
        for item in reads:
            record = item.path == revoked or (
                item.path.startswith(below) and item.path.rstrip("/").endswith("}")
            )
            if record and len(_left_open(item, keys)) == 1:
                own.append(_Page("a", item, _Weight.OWN))
        taken = {page.operation.name for page in own}
        plain = [
            item for item in reads if not _left_open(item, keys) and item.protected and item.name not in taken
        ]
        near = [item for item in plain if _speaks_of_keys(item, keys)][:NEAR]
        profile = self.target.witness.operation if self.target.witness is not None else self.witness.operation
        yield from own
        yield _Page("a", profile, _Weight.OWN)
        yield from (_Page("a", item, _Weight.NEAR) for item in near if item != profile)
        others = [item for item in plain if item not in near and item != profile]
        yield from (_Page("a", item, _Weight.OTHER) for item in others[:PAGES])
        for who in ("b", "admin"):
            if who in self.target.accounts:
                yield from (_Page(who, page.operation, _Weight.FOREIGN) for page in own)
        if "admin" in self.target.accounts:
            yield from (_Page("admin", item, _Weight.NEAR) for item in near if item != profile)

    async def _searched(self, page: _Page, keys: KeyManagement, made: Made) -> Violation | str | None:
        """The worst that the page shows of the keys; why nothing could be read, None when nothing shows.

        Raises Unclear where a page that matters was not read.
        """
        name = page.operation.name
        try:
            login = await self.credential(self._login_kind(), page.who)
        except Missing as reason:
            return f"{name} as {page.who}: {reason}"
        answer = await self._read(page, login, keys, made[-1])
        why = _unread(page, answer, _marks(made))
        if why and page.weight.doubted(answer):
            raise Unclear(f"{name} {why}: what it shows is not known.")
        if why:
            return f"{name} {why}"
        first = _faults(made, answer)
        if not first:
            return None
        again = await self._read(page, login, keys, made[-1])
        both = [fault for fault in _faults(made, again) if fault in first]
        if not both:
            raise Unclear(f"{name} showed {first[0][1]}, and then did not.")
        severity, words = both[0]
        worse = Severity.HIGH if page.who != "a" and severity is not Severity.LOW else severity
        reader = "its owner" if page.who == "a" else page.who.upper()
        # Where the keys were told the one time that is right, beside where they are told again.
        proof = (*(created.exchange for _, created in made), answer.exchange, again.exchange)
        return Violation(name, f"{name} shows {reader} {words}.", worse, proof, Expectation("no secret"))

    async def _read(
        self, page: _Page, login: Credential, keys: KeyManagement, newest: tuple[Credential, Answer]
    ) -> Answer:
        """The page as its reader gets it with a login or, where that is not what it takes, with the key."""
        operation, (key, created) = page.operation, newest
        values: dict[str, str] = {}
        number = resolve(created.reply.json, keys.identifier) if keys.identifier else None
        for parameter in _left_open(operation, keys):
            if number is None:
                raise Unclear(
                    f"{operation.name}: the id of a key is not known.",
                    '[keys]\nidentifier = "/id"  # where the reply to the creation holds it',
                )
            values[parameter] = str(number)
        if page.who != "a" and keys.owner_parameter and f"{{{keys.owner_parameter}}}" in operation.path:
            values[keys.owner_parameter] = self.account().username
        label = f"look for the key as {page.who}"
        answer = await self.call(operation, login, label=label, role=Role.ATTACK, values=values)
        refused = answer.status in (401, 403) and page.who == "a"
        if refused and login.carrier.kind is not key.carrier.kind and page.weight is not _Weight.LIST:
            label = "look for the key with the key itself"
            with_key = await self.call(operation, key, label=label, role=Role.ATTACK, values=values)
            return with_key if with_key.reply.ok else answer
        return answer


def _left_open(operation: Operation, keys: KeyManagement) -> list[str]:
    """The path parameters of an operation, without the one that says whose keys they are."""
    return [name for name in HOLE.split(operation.path)[1::2] if name != keys.owner_parameter]


def _speaks_of_keys(operation: Operation, keys: KeyManagement) -> bool:
    """Whether the path says so, or the answers are declared to have the member that tells a new key."""
    if any(word in operation.path.lower() for word in _NEAR_WORDS):
        return True
    told = keys.value.rpartition("/")[2]
    for status, response in operation.responses.items():
        if str(status).startswith("2") and isinstance(response, dict):
            declared = members(json_schema_of(response), operation.name)
            if any(member.name == told for member in declared):
                return True
    return False


def _marks(made: Made) -> set[str]:
    """What tells the newest key from the other beside the key itself: its id, its public part."""
    (_, earlier), (key, created) = made
    others = {str(value) for value in strings(earlier.reply.json).values()}
    mine = {str(value) for value in strings(created.reply.json).values()} - others
    return {text for text in mine if text and key.value.reveal() not in text}


def _unread(page: _Page, answer: Answer, marks: set[str]) -> str:
    """Why the answer says nothing about what the page shows; "" when it does."""
    if answer.judgement is not None:
        return f"gave {page.who.upper()} no usable answer ({answer.why})"
    if page.weight is _Weight.FOREIGN:
        # A refusal shows nothing; but without a login nobody would be refused anything else.
        return f"does not know the login of {page.who.upper()} (401)" if answer.status == 401 else ""
    if not answer.reply.ok:
        return f"answers {answer.status}"
    if page.weight is _Weight.LIST and marks and not _lists(answer, marks):
        return "does not list a key that has just been made"
    return ""


def _lists(answer: Answer, marks: set[str]) -> bool:
    if answer.reply.json is not None:
        return not marks.isdisjoint(str(value) for value in strings(answer.reply.json).values())
    return any(len(mark) >= _MARK and mark in answer.reply.text for mark in marks)


def _faults(made: Made, answer: Answer) -> list[tuple[Severity, str]]:
    found = [
        _shown_in(key.value.reveal(), shown_of(key.value.reveal(), created), answer) for key, created in made
    ]
    return sorted((fault for fault in found if fault is not None), key=lambda fault: fault[0], reverse=True)


def _shown_in(key: str, shown: str, answer: Answer) -> tuple[Severity, str] | None:
    texts = [answer.reply.text, *(value for _, value in answer.reply.headers)]
    public = max(shown, public_start(key), key=len)
    secret = key[len(public) :]
    traces = [
        ("", trace) for text in texts for trace in (*Search(key).traces(text), *Search(secret).traces(text))
    ]
    # A piece of the whole key that is its public part shows nothing.
    traces = [
        item for item in traces if item[1].form is not Form.PART or item[1].length > len(public) + REMINDER
    ]
    worst = gravest(traces)
    if worst is None:
        return None
    match worst[1].form:
        case Form.CLEAR:
            return Severity.MEDIUM, "the whole key again"
        case Form.ENCODED:
            return Severity.MEDIUM, f"the whole key again, {worst[1].how}"
        case Form.PART:
            return Severity.MEDIUM, "most of the key again"
        case _:
            return Severity.LOW, f"a digest of the key ({worst[1].how})"
