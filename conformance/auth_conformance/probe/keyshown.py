"""`must_show_keys_once`: the whole key is told at its creation, and never again (checklist KEY108)."""

from __future__ import annotations

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
from auth_conformance.oracles.keys import public_start
from auth_conformance.oracles.pointer import resolve
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.stored import Stored, shown_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.credentials import Credential
    from auth_conformance.target import KeyManagement, Operation

# So many pages beside those of keys are searched.
PAGES = 5
# More characters of the secret than this are more than a reminder ("…cd3f").
REMINDER = 8


class KeyShown(Stored):
    """Searches for a key after its creation."""

    async def must_show_keys_once(self) -> Verdict:
        """Only the creation tells the key, in an answer that nobody stores. Raises Missing or Unclear."""
        keys = self.target.keys
        if keys is None:
            raise Missing("No operation that creates API keys is known.", "")
        made: list[tuple[Credential, Answer]] = []
        try:
            for _ in (1, 2):
                made.append(await self.make_key())
                witness, baseline = await self._key_witness(made[-1][0])
                await self.must_live(witness, made[-1][0], baseline, "after its creation")
            violations = self._storable(keys, made)
            searched: list[str] = []
            doubts: list[str] = []
            for who, operation in self._pages(keys):
                found = await self._searched(who, operation, keys, made)
                if isinstance(found, Violation):
                    violations.append(found)
                elif found:
                    doubts.append(found)
                else:
                    searched.append(operation.name)
        finally:
            for _, answer in made:
                await self.revoke_key(answer)
        evidence, notes = tuple(self.evidence), (*self.notes, *doubts)
        if violations:
            return Failed(tuple(violations), evidence, notes)
        if not searched:
            return Inconclusive("No page that may show keys gave an answer.", "", evidence, notes)
        reason = (
            f"Neither the keys nor digests of them are in {len(searched)} answers "
            f"({', '.join(dict.fromkeys(searched))}), and their creation says no-store."
        )
        return Passed(reason, evidence, notes)

    @staticmethod
    def _storable(keys: KeyManagement, made: list[tuple[Credential, Answer]]) -> list[Violation]:
        answers = [answer for _, answer in made]
        if any("no-store" in (item.reply.header("cache-control") or "").lower() for item in answers):
            return []
        message = (
            f"{keys.create.name} tells the key in an answer that may be stored (no Cache-Control: no-store)."
        )
        expected = Expectation("header", "Cache-Control", "no-store")
        proof = tuple(item.exchange for item in answers)
        return [Violation(keys.create.name, message, None, proof, expected)]

    def _pages(self, keys: KeyManagement) -> Iterator[tuple[str, Operation]]:
        """What may show a key: lists and records of keys, the profile, and other lists; as A, then as others."""
        base = keys.create.path.rstrip("/")
        reads = self.target.reads()
        own = [keys.listing] if keys.listing is not None else []
        own += [item for item in reads if item.path.startswith(f"{base}/{{") and item.path.count("{") == 1]
        plain = [item for item in reads if "{" not in item.path and item.protected and item not in own]
        near = [
            item
            for item in plain
            if any(word in item.path.lower() for word in ("key", "audit", "log", "token"))
        ]
        more = [self.witness.operation, *near, *plain]
        first = {item.name: item for item in reversed((*own, *more[: PAGES + len(near)]))}
        for operation in reversed(first.values()):
            yield "a", operation
        for who in ("b", "admin"):
            if who in self.target.accounts:
                for operation in own:
                    yield who, operation

    async def _searched(
        self, who: str, operation: Operation, keys: KeyManagement, made: list[tuple[Credential, Answer]]
    ) -> Violation | str | None:
        """The worst that the answers show of the two keys; "" text when no answer came, None when nothing shows."""
        try:
            login = await self.credential(self._login_kind(), who)
        except (Missing, Unclear) as reason:
            return f"{operation.name} as {who}: {reason}"
        faults = []
        # Where the keys were told the one time that is right, beside where they are told again.
        proof = [created.exchange for _, created in made]
        for key, created in made:
            parameter = operation.path.partition("{")[2].partition("}")[0]
            number = resolve(created.reply.json, keys.identifier) if keys.identifier else None
            if parameter and number is None:
                return f"{operation.name}: the id of a key is not known"
            answer = await self.call(
                operation,
                login,
                label=f"look for the key as {who}",
                role=Role.ATTACK,
                values={parameter: str(number)} if parameter else None,
            )
            if answer.judgement is not None:
                return f"{operation.name}: {answer.why}"
            if not answer.reply.ok and who == "a":
                return f"{operation.name} answers {answer.status}"
            faults.append(_shown_in(key.value.reveal(), shown_of(key.value.reveal(), created), answer))
            proof.append(answer.exchange)
        first, second = faults
        if first is None or second is None or first[1] != second[1]:
            return None
        severity, words = first
        worse = Severity.HIGH if who != "a" and severity is not Severity.LOW else severity
        reader = "its owner" if who == "a" else who.upper()
        return Violation(
            operation.name,
            f"{operation.name} shows {reader} {words}.",
            worse,
            tuple(proof),
            Expectation("no secret"),
        )


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
