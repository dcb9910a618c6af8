"""`must_resolve_subjects_strictly` and `must_resolve_duplicates`: whom a verified token names.

Which claim names the caller is observed, not assumed: it differs between people, stays the same between two
tokens of one, and another person's value in it makes the service serve that person, or refuse.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import compact_json
from auth_conformance.model import (
    Expectation,
    Failed,
    Inconclusive,
    Need,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.caches import by_cache
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.minting import Forge, Minting
from auth_conformance.probe.refusal import Attempt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from auth_conformance.credentials import Credential
    from auth_conformance.target import Witness


_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")


class Subjects(Minting):
    """Signs tokens that name odd people."""

    async def must_resolve_subjects_strictly(self) -> Verdict:
        """Refuse every token whose subject this service would never have written. Raises Missing or Unclear."""
        forge = await self.forge()
        honest = await self.honest()
        name, theirs = await self._naming_claim(forge)
        mine = forge.token.claims[name]
        # Where nobody logs in the service need not know any of the people whom its issuer vouches for.
        believed = Need.LOGIN in self.target.absent and isinstance(mine, str)
        claims = self.fresh_claims(forge)
        rest = {key: value for key, value in claims.items() if key != name}
        attempts = [
            Attempt(f"a signed token without {name}", forge.credential(rest)),
            *(
                Attempt(
                    f"a signed token whose {name} is {label}",
                    forge.credential({**claims, name: value}),
                    severity=severity,
                )
                for label, value, severity in odd_subjects(mine, theirs)
                if not (believed and isinstance(value, str))
            ),
        ]
        if believed:
            self.notes.append(f"texts that nobody is called were not tried: who {name} is, the issuer says")
        return await self.must_refuse(
            attempts, credential=forge.live, controls=(honest,), nobody_is_somebody=True
        )

    async def _naming_claim(self, forge: Forge) -> tuple[str, object]:
        """The claim that names the caller, and B's value of it. Raises Missing or Unclear."""
        other = self.jwt_of(await self.credential(self.token_kind, "b")).claims
        again = self.jwt_of(await self.credential(self.token_kind, fresh=True)).claims
        mine = forge.token.claims
        differing = [
            name
            for name, value in mine.items()
            if name in other
            and value != other[name]
            and value == again.get(name)
            and isinstance(value, str | int)
            and not isinstance(value, bool)
        ]
        differing.sort(key=lambda name: name != "sub")
        if not differing:
            raise Missing(
                "Not applicable: nothing in the tokens names the caller; the service knows them by their text.",
                applicable=False,
            )
        baseline = await self.baseline(self.witness, forge.live)
        for name in differing:
            swapped = forge.credential({**self.fresh_claims(forge), name: other[name]})
            answer = await self.attempt(
                self.witness,
                Attempt(f"whom does {name} name? B's value in A's token", swapped),
                baseline,
                role=Role.CONTROL,
            )
            if not answer.accepted or answer.exchange.reply.principal != baseline.principal:
                return name, other[name]
        raise Unclear(f"None of the claims that name people ({', '.join(differing)}) decides who is served.")

    async def must_resolve_duplicates(self) -> Verdict:
        """Refuse repeated members, or follow the last one, everywhere alike. Raises Missing or Unclear."""
        forge = await self.forge()
        honest = await self.honest()
        name, theirs = await self._naming_claim(forge)
        documents = dict(self._repeating(forge, name, theirs))
        violations: list[Violation] = []
        unclear: list[str] = []
        seen: dict[str, dict[str, Answer]] = {label: {} for label in documents}
        for witness in self.witnesses:
            baseline = await self.baseline(witness, forge.live)
            await self.must_live(witness, forge.live, baseline, "before")
            control = await self.attempt(witness, honest, baseline, role=Role.CONTROL)
            if not control.accepted:
                raise Unclear(f"A token of our own with honest claims was not accepted ({control.why}).")
            for label, (credential, first) in documents.items():
                attempt = Attempt(f"a signed token with {label}", credential)
                answer = await self.attempt(witness, attempt, baseline)
                seen[label][witness.operation.name] = answer
                if not answer.accepted and not answer.rejected:
                    unclear.append(f"{label}: {answer.why}")
                elif self._first_followed(first, witness, answer, baseline.principal):
                    violation = await self._first_followed_again(first, witness, attempt, answer, forge)
                    violations += [violation] if violation else []
            await self.must_live(witness, forge.live, baseline, "after")
        naming = {label for label, (_, first) in documents.items() if first in ("as A", "another")}
        violations += [] if violations else list(self._read_apart(seen, naming))
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, notes)
        if unclear:
            return Inconclusive(unclear[0], "", evidence, notes)
        taken = sum(answer.accepted for answers in seen.values() for answer in answers.values())
        how = "refused" if not taken else "refused, or the last one counts, everywhere alike"
        return Passed(f"Repeated members are {how} ({len(documents)} tokens).", evidence, notes)

    @staticmethod
    def _first_followed(first: str, witness: Witness, answer: Answer, principal: str | None) -> bool:
        if first == "as A":
            # Without a name in it, the answer may be B's own.
            return answer.accepted and bool(witness.identity) and answer.exchange.reply.principal == principal
        return first == "accepted" and answer.accepted

    async def _first_followed_again(
        self, of: str, witness: Witness, attempt: Attempt, first: Answer, forge: Forge
    ) -> Violation | None:
        baseline = await self.baseline(witness, forge.live)
        again = await self.attempt(witness, attempt, baseline, fresh=True)
        if not again.accepted or by_cache(again.reply):
            raise Unclear(f"{attempt.label}: accepted once, then not, or by a cache ({again.why}).")
        message = f"{witness.operation.name} follows the first of two members: {attempt.label} ({again.why})."
        name = again.exchange.reply.principal
        # A service may also follow the last one, and serve whom that names.
        expected = Expectation("no text", value=name) if of == "as A" and name else None
        return Violation(witness.operation.name, message, None, (first.exchange, again.exchange), expected)

    @staticmethod
    def _read_apart(seen: Mapping[str, Mapping[str, Answer]], naming: set[str]) -> Iterator[Violation]:
        """Two operations that follow different members. What B may do is no proof: B may do less than A."""
        for label, answers in seen.items():
            (one, mine), *others = answers.items()
            for name, theirs in others:
                if label in naming:
                    who = {item.exchange.reply.principal for item in (mine, theirs)} - {None}
                    apart = mine.accepted and theirs.accepted and len(who) > 1
                else:
                    apart = mine.accepted != theirs.accepted and (mine.rejected or theirs.rejected)
                if apart:
                    message = (
                        f"{one} and {name} read a token with {label} differently ({mine.why}; {theirs.why})."
                    )
                    yield Violation(one, message, None, (mine.exchange, theirs.exchange))

    def _repeating(
        self, forge: Forge, name: str, theirs: object
    ) -> Iterator[tuple[str, tuple[Credential, str]]]:
        """Tokens with a repeated member, and what a reader that follows the first one does with each."""
        claims = self.fresh_claims(forge)
        mine = claims[name]
        rest = {key: value for key, value in claims.items() if key != name}

        def named(first: str, second: str) -> Credential:
            return forge.raw(f"{compact_json(rest)[:-1]},{first},{second}}}")

        key = compact_json(name)
        escaped = f'"{name[:-1]}\\u{ord(name[-1]):04x}"'
        a, b = compact_json(mine), compact_json(theirs)
        yield f"{name} of A, then of B", (named(f"{key}:{a}", f"{key}:{b}"), "as A")
        yield f"{name} of B, then of A", (named(f"{key}:{b}", f"{key}:{a}"), "another")
        yield f"{name} of A, then of B under an escaped name", (named(f"{key}:{a}", f"{escaped}:{b}"), "as A")
        end = claims.get("exp")
        if isinstance(end, int | float):
            others = compact_json({key: value for key, value in claims.items() if key != "exp"})[:-1]
            past = int(end) - 2 * forge.lifetime - 3_600
            yield (
                "an end to come, then one that is over",
                (forge.raw(f'{others},"exp":{end},"exp":{past}}}'), "accepted"),
            )
            yield (
                "an end that is over, then one to come",
                (forge.raw(f'{others},"exp":{past},"exp":{end}}}'), "refused"),
            )
        header = compact_json({key: value for key, value in forge.token.header.items() if key != "alg"})[1:-1]
        tail = f",{header}" if header else ""
        own = compact_json(forge.token.algorithm)
        yield (
            "the right alg, then a wrong one",
            (forge.raw_header(f'{{"alg":{own},"alg":"junk"{tail}}}', claims), "accepted"),
        )
        yield (
            "a wrong alg, then the right one",
            (forge.raw_header(f'{{"alg":"junk","alg":{own}{tail}}}', claims), "refused"),
        )


def odd_subjects(mine: Any, theirs: object) -> Iterator[tuple[str, object, Severity | None]]:
    """Subjects that a service which issued `mine` never writes: what is odd, the value, a milder severity.

    Another spelling of the caller's own subject harms nobody else yet: that is milder than a stranger's.
    """
    yield "null", None, None
    yield "empty", "", None
    yield "a blank", " ", None
    yield "unknown", "no-such-subject-7f3a" if isinstance(mine, str) else 2_000_000_011, None
    yield "true", True, None
    yield "SQL", "' OR '1'='1", None
    yield "a wildcard", "%", None
    yield "another person's in an object", {"id": theirs}, None
    milder = Severity.MEDIUM
    yield "A's in a list", [mine], milder
    yield "A's in an object", {"id": mine}, milder
    text = str(mine)
    if text.isascii() and text.isdecimal():
        number = int(text)
        spellings: dict[str, object] = {
            "A's as a number": number,
            "A's as a fraction": float(number),
            "A's as a text": text,
            "A's with a leading zero": f"0{text}",
            "A's with a blank before it": f" {text}",
            "A's with a plus sign": f"+{text}",
            "A's with an underscore": f"{text[0]}_{text[1:]}" if len(text) > 1 else f"0_{text}",
            "A's in Arabic-Indic digits": "".join(chr(0x660 + int(digit)) for digit in text),
        }
    else:
        spellings = {
            # RFC 9562 §4: the digits of a UUID mean the same in either case.
            **({} if _UUID.fullmatch(text) else {"A's in another case": text.swapcase()}),
            "A's with a blank before it": f" {text}",
            "A's with a blank behind it": f"{text} ",
        }
    spellings |= {
        "A's with a NUL behind it": f"{text}\0",
        "A's with a zero-width space": f"{text}\u200b",
        "A's with half a surrogate": f"{text}\ud800",
    }
    for label, value in spellings.items():
        if type(value) is not type(mine) or value != mine:
            yield label, value, milder
