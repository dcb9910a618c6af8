"""Two people's credentials in one request: refused, or one of them decides for every layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
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
from auth_conformance.oracles.pointer import resolve, strings
from auth_conformance.probe.bookkeeping import Bookkeeping, one_charged, one_named
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.objects import object_of
from auth_conformance.probe.schemes import Schemes, declares
from auth_conformance.probe.ways import Ways
from auth_conformance.transports.journal import Journal, open_journal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auth_conformance.target import Operation, Witness

REFUSED = "refused"
# From this level on (checklist MIX104) two identities must be refused, whichever decides.
_REFUSE = 3
# Requests with two identities whose counting is watched.
_COUNTED = 3
# So many exchanges are proof enough of one finding.
_MOST_EVIDENCE = 12
# Members of a profile that take any text and are nobody's name to log in with.
_FREE_TEXT = ("display", "full_name", "fullname", "first_name", "bio", "about", "nickname")


@dataclass(frozen=True, slots=True)
class Layer:
    """Whose rights one layer applied to a request with two identities: `a`, `b`, `both` or `refused`."""

    name: str
    winner: str
    answers: tuple[Answer, ...]
    identity: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """Two credentials of different people in one request, in this order."""

    first: Credential
    second: Credential

    @property
    def words(self) -> str:
        """The pair, for labels."""
        return f"{_where(self.first)} of {self.first.owner} with {_where(self.second)} of {self.second.owner}"

    @property
    def headers(self) -> tuple[tuple[str, str | bytes], ...]:
        """Both, in order; further headers of both, too."""
        return (*self.first.headers, *self.second.headers)

    @property
    def query(self) -> tuple[tuple[str, str], ...]:
        """The query of both."""
        return (*self.first.query, *self.second.query)

    def scheme_of(self, owner: str) -> str:
        """Where the credential of `owner` stands."""
        return _where(self.first if self.first.owner == owner else self.second)


class Mixing(Bookkeeping, Schemes):
    """Sentences about two identities at once. `_logged` is what was logged for such requests."""

    _journal: Journal | None = None
    _logged: tuple[str, ...] = ()

    async def must_not_mix_identities(self) -> Verdict:
        """Two people's credentials in one request are refused, or one of them decides for every layer."""
        with open_journal(self.scene.recorder.transport, self.target.log_file) as journal:
            self._journal = journal if journal.known else None
            if self._journal is None:
                self.notes.append("whom the log names was not seen: it cannot be read")
            return await self._must_follow_one()

    async def _must_follow_one(self) -> Verdict:
        ways = Ways(self)
        people = {owner: await self._credentials_of(owner, ways) for owner in ("a", "b")}
        live, baseline = await self._first_that_works()
        names = {"a": baseline.principal, "b": await self._name_of("b")}
        if None in names.values() or names["a"] == names["b"]:
            raise Unclear("The protected operation does not tell A and B apart.")
        owned = await self._owned_objects()
        pairs = self._pairs_of_people(people)
        if not pairs:
            missing = Missing("Not tested: no two credentials of A and B fit into one request.")
            raise ways.broken[0] if ways.broken else missing
        violations: list[Violation] = []
        unsure: list[str] = []
        seen: list[tuple[Pair, list[Layer]]] = []
        for pair in pairs:
            try:
                await self.paced()
                layers = await self._layers_of(pair, names, owned)
            except Unclear as reason:
                unsure.append(f"{pair.words}: {reason}")
                continue
            seen.append((pair, layers))
            split = _split(pair, layers)
            if split is not None:
                again = _split(pair, await self._layers_of(pair, names, owned, again=True))
                if again is None or again.severity is not split.severity:
                    unsure.append(f"{pair.words}: the layers disagreed once")
                else:
                    violations.append(
                        replace(split, evidence=(*split.evidence, *again.evidence)[:_MOST_EVIDENCE])
                    )
        if not violations:
            reversed_ = await self._reversed(seen, names, owned)
            violations += [reversed_] if isinstance(reversed_, Violation) else []
            unsure += [reversed_] if isinstance(reversed_, str) else []
        await self.must_live(self.witness, live, baseline, "after")
        taken = _let_in(seen)
        if taken and self.target.level >= _REFUSE:
            violations += [await self._taken_at_all(taken, names)] if not violations else []
        elif taken:
            told = "; ".join(pair.words for pair, _ in taken)
            self.notes.append(f"at level {_REFUSE} these would have to be refused: {told}")
        return ways.settled(self._told_of_pairs(violations, unsure, len(seen), len(taken)))

    async def _reversed(
        self, seen: list[tuple[Pair, list[Layer]]], names: dict[str, str | None], owned: dict[str, str]
    ) -> Violation | str | None:
        """What follows one scheme with one pair and another with the next, seen twice; a sentence when only once."""
        once = _reversal(seen)
        if once is None:
            return None
        pairs = (once.first, once.second)
        try:
            twice = _reversal(
                [(pair, await self._layers_of(pair, names, owned, again=True)) for pair in pairs]
            )
        except Unclear as reason:
            return f"{once.violation.message} Once: {reason}"
        if twice is None or twice.violation.message != once.violation.message:
            return f"{once.violation.message} Not so when asked again."
        return replace(
            once.violation, evidence=(*once.violation.evidence, *twice.violation.evidence)[:_MOST_EVIDENCE]
        )

    def _told_of_pairs(
        self, violations: list[Violation], unsure: list[str], seen: int, taken: int
    ) -> Verdict:
        evidence = tuple(self.evidence)
        notes = tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, (*notes, *unsure))
        if unsure:
            return Inconclusive(f"{unsure[0]} (and {len(unsure) - 1} more).", "", evidence, notes)
        how = f"{seen - taken} refused, {taken} decided by one of the two for every layer"
        return Passed(f"{seen} requests with two identities: {how}.", evidence, notes)

    async def _taken_at_all(self, taken: list[tuple[Pair, Layer]], names: dict[str, str | None]) -> Violation:
        """Two people's credentials are let in together, whoever decides: seen once more. Raises Unclear."""
        pair, layer = next(((pair, layer) for pair, layer in taken if layer.identity), taken[0])
        again = await self._who_by_both(pair, names, again=True)
        if again.winner == REFUSED:
            raise Unclear(f"{pair.words}: let in once, then refused")
        more = f" So do {len(taken) - 1} more pairs." if len(taken) > 1 else ""
        message = (
            f"{again.name} lets in {pair.words} and serves {again.winner}, as every layer does: two identities in "
            f"one request are not refused.{more}"
        )
        proof = tuple(answer.exchange for answer in (*layer.answers, *again.answers))
        return Violation(again.name, message, Severity.LOW, proof, Expectation("refused"))

    async def _credentials_of(self, owner: str, ways: Ways) -> list[Credential]:
        found = []
        for kind in self.kinds():
            try:
                credential = await self.credential(kind, owner)
            except (Missing, Unclear) as reason:
                ways.closed(f"no {kind.value} credential of {owner}", reason)
                continue
            found += [
                credential.moved_to(carrier) for carrier in self.target.carriers if carrier.kind is kind
            ]
        return found

    async def _name_of(self, owner: str) -> str | None:
        live = await self.credential(self._kind_at_witness(), owner)
        return (await self.baseline(self.witness, live)).principal

    def _kind_at_witness(self) -> Kind:
        return next((kind for kind in self.kinds() if self._taken_at_witness(kind)), self.preferred())

    def _taken_at_witness(self, kind: Kind) -> bool:
        return any(
            carrier.kind is kind and declares(self.witness.operation, carrier)
            for carrier in self.target.carriers
        )

    async def _owned_objects(self) -> dict[str, str]:
        """Make one object of each, which the other cannot read; empty where that cannot be shown."""
        objects = self.target.objects
        if objects is None:
            return {}
        owned = {owner: await object_of(self, owner) for owner in ("a", "b")}
        for owner, other in (("a", "b"), ("b", "a")):
            credential = await self.credential(owner=owner)
            for whose, identifier in owned.items():
                answer = await self.call(
                    objects.read,
                    credential,
                    label=f"control: {owner} reads the object of {whose}",
                    role=Role.CONTROL,
                    values=self.at(identifier),
                )
                if answer.reply.ok is not (whose == owner):
                    self.notes.append(f"objects prove nothing here: {owner} reading that of {other}")
                    return {}
        return owned

    def _pairs_of_people(self, people: dict[str, list[Credential]]) -> list[Pair]:
        """Find every two places that fit into one request, both ways round."""
        main = {kind: carrier for carrier in reversed(self.target.carriers) for kind in (carrier.kind,)}
        pairs = []
        for first in people["a"]:
            for second in people["b"]:
                one, other = first.carrier, second.carrier
                same_place = (one.place, one.name) == (other.place, other.name)
                # A second place of one scheme is tried against its first place only.
                spare = one.kind is not other.kind and (one != main[one.kind] or other != main[other.kind])
                declared = all(declares(self.witness.operation, carrier) for carrier in (one, other))
                if declared and not same_place and not spare:
                    pairs.append(Pair(first, second))
        return pairs

    async def _layers_of(
        self,
        pair: Pair,
        names: dict[str, str | None],
        owned: dict[str, str],
        *,
        again: bool = False,
    ) -> list[Layer]:
        self._logged = ()
        layers = [await self._who_by_both(pair, names, again=again)]
        second = self.target.second
        called = await self._called_by(second) if second is not None and second.identity else {}
        if called:
            layers.append(await self._who_by_both(pair, called, second, again=again))
        if owned:
            layers.append(await self._read_by_both(pair, owned, again=again))
            layers.append(await self._created_by_both(pair, again=again))
        if (layer := await self._profile_by_both(pair, again=again)) is not None:
            layers.append(layer)
        return [*layers, *await self._booked(pair, layers[0], again=again)]

    async def _booked(self, pair: Pair, identity: Layer, *, again: bool) -> list[Layer]:
        """Whom the log names and whose limit is charged, where the request was not refused."""
        if identity.winner == REFUSED:
            return []
        live = {owner: await self.credential(self._kind_at_witness(), owner) for owner in ("a", "b")}
        found: list[Layer] = []
        if self._journal is not None and self._logged:
            written = self._logged
            names = {owner: await self.names_in_lines(owner, who) for owner, who in live.items()}
            named = one_named(written, names)
            found += [Layer("the log", named, identity.answers, identity=True)] if named else []
        before = {owner: await self.left_of(who) for owner, who in live.items()}
        known = {owner: left for owner, left in before.items() if left is not None}
        if len(known) < len(live):
            return found
        sent = [await self._sent_by_both(pair, self.witness.operation, again=again) for _ in range(_COUNTED)]
        after = {owner: left for owner, who in live.items() if (left := await self.left_of(who)) is not None}
        charged = one_charged(known, after, len(sent)) if len(after) == len(known) else None
        return found + ([Layer("the rate limit", charged, tuple(sent), identity=True)] if charged else [])

    async def _called_by(self, witness: Witness) -> dict[str, str | None]:
        """How another operation calls A and B, which may be otherwise than the witness; empty where it cannot tell."""
        found: dict[str, str | None] = {}
        for owner in ("a", "b"):
            try:
                live = await self.credential(self._kind_at_witness(), owner)
                found[owner] = (await self.baseline(witness, live)).principal
            except (Missing, Unclear):
                return {}
        return found if None not in found.values() and found["a"] != found["b"] else {}

    async def _profile_by_both(self, pair: Pair, *, again: bool) -> Layer | None:
        """Change the profile and see whose it was: what the owners read afterwards decides (RR)."""
        found = self._profile_change()
        if found is None:
            return None
        operation, field = found
        text = f"conformance {self.word(12)}"
        answer = await self._sent_by_both(pair, operation, body={field: text}, again=again)
        if not answer.reply.ok:
            return Layer(operation.name, REFUSED, (answer,))
        seen = [answer]
        for owner in ("a", "b"):
            read = await self.call(
                self.witness.operation,
                await self.credential(owner=owner),
                label=f"{owner} reads the profile",
                role=Role.CONTROL,
            )
            seen.append(read)
            if text in strings(read.reply.json).values():
                return Layer(operation.name, owner, tuple(seen))
        raise Unclear(f"neither profile shows what {operation.name} wrote")

    def _profile_change(self) -> tuple[Operation, str] | None:
        """The operation that changes what the witness shows, and a member that takes free text."""
        for operation in self.target.operations:
            if operation.method != "PATCH" or operation.path != self.witness.operation.path:
                continue
            for schema in operation.bodies.values():
                for name in schema.get("properties") or {}:
                    if any(word in name.lower() for word in _FREE_TEXT):
                        return operation, str(name)
        return None

    async def _who_by_both(
        self,
        pair: Pair,
        names: dict[str, str | None],
        witness: Witness | None = None,
        *,
        again: bool,
    ) -> Layer:
        chosen = witness or self.witness
        answer = await self._sent_by_both(
            pair,
            chosen.operation,
            pointer=chosen.identity or None,
            again=again,
        )
        principal = answer.exchange.reply.principal
        if answer.reply.ok and witness is not None and principal not in names.values():
            # It may name the caller in another way than the witness does.
            raise Unclear(f"{chosen.operation.name} names {principal}")
        winner = next((owner for owner, name in names.items() if name == principal and answer.reply.ok), None)
        if winner is None and answer.reply.ok:
            raise Unclear(f"{chosen.operation.name} answers {answer.status} and names neither")
        return Layer(chosen.operation.name, winner or REFUSED, (answer,), identity=True)

    async def _read_by_both(self, pair: Pair, owned: dict[str, str], *, again: bool) -> Layer:
        objects = self.target.objects
        if objects is None:
            raise Unclear("no objects are known")
        answers = {
            owner: await self._sent_by_both(
                pair,
                objects.read,
                values=self.at(identifier),
                again=again,
            )
            for owner, identifier in owned.items()
        }
        readable = [owner for owner, answer in answers.items() if answer.reply.ok]
        winner = "both" if len(readable) == len(owned) else (readable[0] if readable else REFUSED)
        return Layer(objects.read.name, winner, tuple(answers.values()))

    async def _created_by_both(self, pair: Pair, *, again: bool) -> Layer:
        """Create one and see whose it is: what the owners read afterwards decides (RR)."""
        objects = self.target.objects
        if objects is None:
            raise Unclear("no objects are known")
        answer = await self._sent_by_both(pair, objects.create, body=dict(objects.template), again=again)
        identifier = resolve(answer.reply.json, objects.identifier)
        if not answer.reply.ok or identifier is None:
            return Layer(objects.create.name, REFUSED, (answer,))
        seen = [answer]
        for owner in ("a", "b"):
            read = await self.call(
                objects.read,
                await self.credential(owner=owner),
                label=f"{owner} reads what was created",
                role=Role.CONTROL,
                values=self.at(str(identifier)),
            )
            seen.append(read)
            if read.reply.ok:
                return Layer(objects.create.name, owner, tuple(seen))
        raise Unclear(f"neither can read what {objects.create.name} created")

    def _other_words(self, pair: Pair) -> tuple[tuple[str, str], ...]:
        """One cookie more, for a cache that looks at no query: it has an answer to the first of the two alone."""
        cookies = any(name.lower() == "cookie" for name, _ in pair.headers)
        return () if cookies else (("Cookie", f"visited={self.word(12)}"),)

    async def _sent_by_both(
        self,
        pair: Pair,
        operation: Operation,
        *,
        again: bool,
        body: object = None,
        values: Mapping[str, str] | None = None,
        pointer: str | None = None,
    ) -> Answer:
        mark = self._journal.mark() if self._journal is not None else 0
        answer = await self.call(
            operation,
            label=f"{'again: ' if again else ''}{pair.words} at {operation.name}",
            role=Role.ATTACK,
            headers=(*pair.headers, *(self._other_words(pair) if again else ())),
            query=pair.query,
            fresh=again,
            body=body,
            values=values,
            pointer=pointer,
        )
        if answer.judgement is not None:
            raise Unclear(f"{operation.name}: {answer.why}")
        if self._journal is not None and answer.reply.ok:
            self._logged += tuple(line.text for line in self._journal.since(mark) if line.own)
        return answer


def _let_in(seen: list[tuple[Pair, list[Layer]]]) -> list[tuple[Pair, Layer]]:
    """The pairs that a layer did not refuse, each with the first such layer."""
    found = [(pair, next((item for item in layers if item.winner != REFUSED), None)) for pair, layers in seen]
    return [(pair, layer) for pair, layer in found if layer is not None]


def _split(pair: Pair, layers: list[Layer]) -> Violation | None:
    """Say how layers disagree about one request: identity against rights is the worst."""
    identity, *others = layers
    for layer in others:
        if REFUSED in (layer.winner, identity.winner) or layer.winner == identity.winner:
            continue
        severity = Severity.HIGH if layer.identity else Severity.CRITICAL
        does = "names" if layer.identity else "acts for"
        message = f"With {pair.words}, {identity.name} says {identity.winner} and {layer.name} {does} {layer.winner}."
        proof = (*identity.answers, *layer.answers)
        place = identity.name if layer.name.startswith("the ") else layer.name
        return Violation(place, message, severity, tuple(answer.exchange for answer in proof))
    return None


@dataclass(frozen=True, slots=True)
class Reversal:
    """Two pairs in the same places, of which a layer follows one scheme with the first and another with the second."""

    first: Pair
    second: Pair
    violation: Violation


def _reversal(seen: list[tuple[Pair, list[Layer]]]) -> Reversal | None:
    """Find pairs whose winning scheme changes when people change places: no precedence at all."""
    winners: dict[tuple[frozenset[str], str], tuple[str, Pair, Layer]] = {}
    for pair, layers in seen:
        places = frozenset({_where(pair.first), _where(pair.second)})
        for layer in layers:
            if layer.winner not in ("a", "b"):
                continue
            scheme = pair.scheme_of(layer.winner)
            known = winners.setdefault((places, layer.name), (scheme, pair, layer))
            if known[0] != scheme:
                message = (
                    f"{layer.name} follows {known[0]} with {known[1].words}, and {scheme} with {pair.words}."
                )
                proof = tuple(answer.exchange for answer in (*known[2].answers, *layer.answers))
                return Reversal(known[1], pair, Violation(layer.name, message, Severity.HIGH, proof))
    return None


def _where(credential: Credential) -> str:
    return f"{credential.carrier.kind.value} in {credential.carrier.place} {credential.carrier.name}"
