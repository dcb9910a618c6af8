"""`must_look_up_literally`: a key is compared, never run (checklist KEY106)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Failed, Masked, Passed, Role, Verdict, Violation
from auth_conformance.oracles.injection import Pause, delayed, error_text, pauses, phrases
from auth_conformance.probe.core import TRUST
from auth_conformance.probe.refusal import Attempt, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.credentials import Carrier
    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.probe.core import Answer

ROUNDS = 3


class Injection(Refusal):
    """Presents language where a value belongs."""

    async def must_look_up_literally(self) -> Verdict:
        """No text but the key itself gets in, delays, or comes back as an error of the database."""
        live = await self.credential(Kind.KEY)
        attempts = list(self._phrases(live))
        twin = Attempt("control: the same bytes in X-Probe", live, headers=(("X-Probe", "' OR '1'='1"),))
        # A filter may look at addresses alone: there their twin stands in a parameter that means nothing.
        asked = any(carrier.place == "query" for carrier in self._intakes(live))
        inert = Attempt(
            "control: the same bytes in another parameter", live, query=(("probe", "' OR '1'='1"),)
        )
        verdict = await self.must_refuse(
            attempts,
            credential=live,
            twin=(twin, inert) if asked else twin,
            must_hold=tuple(self._inert_phrases(live)),
        )
        if isinstance(verdict, Masked):
            return verdict
        found: list[Violation] = []
        baseline = await self.baseline(self.witness, live)
        found += await self._errors_shown(attempts, baseline)
        doubts: list[str] = []
        for carrier in self._intakes(live):
            for pause in pauses():
                seen = await self._delays(live.moved_to(carrier), pause, baseline)
                found += [seen] if isinstance(seen, Violation) else []
                doubts += [seen] if isinstance(seen, str) else []
        await self.must_live(self.witness, live, baseline, "at the end")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if isinstance(verdict, Failed):
            return replace(verdict, violations=(*verdict.violations, *found), evidence=evidence)
        if found:
            return Failed(tuple(found), evidence, notes)
        if isinstance(verdict, Passed):
            number = len(pauses()) * len(self._intakes(live))
            reason = f"{verdict.reason} None of {number} pairs was delayed, and no answer speaks SQL."
            return self.decided([], doubts, reason, "" if self.target.policy.trust_waf else TRUST)
        return verdict

    def _intakes(self, live: Credential) -> tuple[Carrier, ...]:
        """The places that take keys: a header, a query parameter, or one of each."""
        keys = [carrier for carrier in self.target.carriers if carrier.kind is Kind.KEY]
        carriers = [carrier for carrier in keys or [live.carrier] if carrier.place in ("header", "query")]
        return tuple(carriers[:2])

    def _inert_phrases(self, live: Credential) -> Iterator[Attempt]:
        """The key changed where the phrases change it, by letters: where that gets in, no query is to blame."""
        key, other = live.value.reveal(), self.word(8)
        last = "k" if not key.endswith("k") else "q"
        for label, text in (
            ("the beginning of the key with other letters", f"{key[:6]}{other}"),
            ("the key with another last character", f"{key[:-1]}{last}"),
            ("the key with more letters behind it", f"{key}{other}"),
        ):
            yield Attempt(f"control: {label}", live.with_value(text))

    def _phrases(self, live: Credential) -> Iterator[Attempt]:
        key = live.value.reveal()
        # Letters of base64url end in that wildcard now and then: in its own place it would be the key itself.
        told = len(key.rstrip("_"))
        values = {
            **phrases(),
            "the beginning of the key with a wildcard": f"{key[:6]}%",
            "the key with a wildcard for its last letter": f"{key[: told - 1]}_{key[told:]}",
            "the key with a true condition": f"{key}' AND '1'='1",
            "the key with a false condition": f"{key}' AND '1'='2",
        }
        carriers = self._intakes(live)
        for carrier in carriers:
            where = f"in the {carrier.place}"
            for label, text in values.items():
                yield Attempt(f"{label} {where}", live.with_value(text).moved_to(carrier))
        header = next((carrier for carrier in carriers if carrier.place == "header"), None)
        query = next((carrier for carrier in carriers if carrier.place == "query"), None)
        if header is not None:
            start = f"{header.prefix} " if header.prefix else ""
            raw = (start.encode() + b"\xed\xa0\x80", "half a character")
            yield Attempt(f"{raw[1]} in the header", headers=((header.name, raw[0]),))
            # HTTP parsers refuse these before the application runs (RFC 9110 §5.5).
            for label, value in (("a NUL", b"a\0b"), ("a line break", b"a\r\n b")):
                sent = ((header.name, start.encode() + value),)
                yield Attempt(f"{label} in the header", headers=sent, wire=True, core=False)
        if query is not None:
            name = query.name
            for label, pairs in (
                ("an operator in the name", ((f"{name}[$ne]", "x"),)),
                ("a list in the name", ((f"{name}[]", "x"),)),
                ("an empty key, twice", ((name, ""), (name, ""))),
                ("a NUL", ((name, "a\0b"),)),
                ("a line break", ((name, "a\r\nb"),)),
            ):
                yield Attempt(f"{label} in the query", query=pairs)

    async def _errors_shown(self, attempts: list[Attempt], baseline: Baseline) -> list[Violation]:
        """Answers that speak the language of a database, seen twice."""
        labels = {attempt.label: attempt for attempt in attempts}
        for exchange in [item for item in self.evidence if item.role is Role.ATTACK]:
            attempt = labels.get(exchange.label)
            if attempt is None or error_text(exchange.reply.body) is None:
                continue
            again = await self.attempt(
                self.witness, replace(attempt, label=f"again: {attempt.label}"), baseline, fresh=True
            )
            said = error_text(again.exchange.reply.body)
            if said is not None:
                message = f"{self.witness.operation.name} answers {attempt.label} with {said!r}."
                return [Violation(self.witness.operation.name, message, None, (exchange, again.exchange))]
        return []

    async def _delays(self, live: Credential, pause: Pause, baseline: Baseline) -> Violation | str | None:
        """Three times of three, or it was the machine; in words where the pair did not get through."""
        place = live.carrier.place
        proof: list[Answer] = []
        for _ in range(ROUNDS):
            pair = []
            for label, text in (("slow", pause.slow), ("quick", pause.quick)):
                named = f"a {label} condition for {pause.engine} in the {place}"
                attempt = Attempt(named, live.with_value(text))
                pair.append(await self.attempt(self.witness, attempt, baseline, fresh=True))
            if not delayed(pair[0].reply.took, pair[1].reply.took):
                through = (answer.rejected or answer.accepted or self._filtered(answer) for answer in pair)
                lost = next((answer for answer, came in zip(pair, through, strict=True) if not came), None)
                return f"{lost.exchange.label}: {lost.why}" if lost is not None else None
            proof += pair
        slow, quick = proof[-2].reply.took, proof[-1].reply.took
        message = (
            f"{self.witness.operation.name} runs what stands in the key ({place}): a slow condition for {pause.engine} "
            f"takes {slow:.1f} s, its twin {quick:.1f} s, three times of three."
        )
        return Violation(self.witness.operation.name, message, None, tuple(item.exchange for item in proof))
