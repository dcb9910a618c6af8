"""Whether issued secrets can be guessed, judged from some of them (checklist TOK401, KEY107, SES107).

Statistics can refute and never certify: what is found is proof, and finding nothing in forty values says
nothing about the generator. So the answer is an upper bound: what is constant, tells the time, counts, or
names its owner is taken away, and the rest carries at most its length times the bits of its alphabet. A
public part beside enough chance is no fault.
"""

from __future__ import annotations

import itertools
import math
import re
import string
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from auth_conformance.oracles.keys import SEPARATORS, alphabet_size, common_start
from auth_conformance.oracles.recipes import recipe_of, without_checksum
from auth_conformance.oracles.recoding import BASE64, INSTANTS, decoded, plausible

# So many bits of chance put a value out of reach (ASVS V7.2.3, V11.5.1), and a random UUID has a few less.
ENOUGH = 128
UUID_BITS = 122
# Fewer values than this show nothing; more than this cost more than they tell.
FEWEST, MOST = 12, 40
# A name that is shorter stands in other texts by chance.
SHORTEST_WORD = 3
# The parts of signed values: itsdangerous, cookie-signature and their kind.
_SIGNATURES = {20, 32, 48, 64}
# What stands before a signature: itsdangerous, cookie-signature and JWT; Django; Rails; Tornado.
_MARKS = (".", ":", "--", "|")
_CLASSES = (string.digits, string.ascii_uppercase, string.ascii_lowercase)
_RUN = re.compile(r"\d{10,19}")


@dataclass(frozen=True, slots=True)
class Sample:
    """One issued value, when it was issued, and what its maker knew of its owner (name, address, id)."""

    value: str
    at: float = 0.0
    words: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Sample({len(self.value)} characters)"


class Weakness(Enum):
    """How issued values can be guessed."""

    REPEATED = "repeated"
    STRUCTURE = "structure"
    SHORT = "short"
    UUID = "uuid"


@dataclass(frozen=True, slots=True)
class Estimate:
    """At most `bits` of chance are in each of `samples` values; `weakness` is None when that is enough.

    `words` say what was found. `unsigned` are the bits without what stands after the last dot, where that may
    be a signature: it cannot be told from a secret, so it counts, and the number is for a note.
    """

    samples: int
    bits: float
    weakness: Weakness | None
    words: str
    prefix: str = ""
    checksum: bool = False
    unsigned: float | None = None


def renewed(samples: Sequence[Sample]) -> list[Sample]:
    """The samples without those that gave a person, the first of `words`, the value once more that they had last.

    A service may keep one reference token for each person, and show it at each login until it is revoked: that a
    value comes again says nothing of how it was made then. One that comes to somebody else is kept.
    """
    last: dict[tuple[str, ...], str] = {}
    kept: list[Sample] = []
    for sample in samples:
        owner = sample.words[:1]
        if last.get(owner) != sample.value:
            kept.append(sample)
        last[owner] = sample.value
    return kept


def estimate(samples: Sequence[Sample]) -> Estimate:
    """Judge values in the order of their issue. At least `FEWEST` of them say something."""
    bodies = [_without_signature(sample.value) for sample in samples]
    if not all(bodies):
        return _estimate(samples)
    # Who signs what is the same gets the same: of two logins in one second that says nothing, the key is the chance.
    once = list({sample.value: sample for sample in samples}.values())
    found = replace(_estimate(once), samples=len(samples))
    unsigned = [replace(item, value=body) for item, body in zip(samples, bodies, strict=True)]
    return replace(found, unsigned=_estimate(unsigned).bits)


def _without_signature(value: str) -> str:
    """What stands before what may be a signature; "" where nothing may be one."""
    for mark in _MARKS:
        body, found, last = value.strip('"').rpartition(mark)
        if found and body and any(len(raw) in _SIGNATURES for _, raw in decoded(last)):
            return body
    return ""


def _estimate(samples: Sequence[Sample]) -> Estimate:
    values = [sample.value for sample in samples]
    parts = _taken_apart(values)
    distinct = len(set(values))
    if distinct < len(values):
        words = f"{len(values)} values were issued, and only {distinct} of them differ"
        return parts.estimate(0.0, Weakness.REPEATED, words)
    found = recipe_of([(sample.at, sample.words) for sample in samples], parts.cores)
    if found is not None:
        return parts.estimate(0.0, Weakness.STRUCTURE, f"the value is {found}")
    if (version := _uuid_version(parts.cores)) is not None:
        return _uuid(parts, version)
    bits, reasons = min(
        (_rest(view, samples) for view in _views(parts.cores)), key=lambda item: (item[0], -len(item[1]))
    )
    said = f", where it holds {' and '.join(reasons)}" if reasons else ""
    words = f"at most {bits:.0f} bits of chance in each value{said}"
    if bits >= ENOUGH:
        return parts.estimate(bits, None, words)
    return parts.estimate(bits, Weakness.STRUCTURE if reasons else Weakness.SHORT, words)


@dataclass(frozen=True, slots=True)
class _Parts:
    prefix: str
    cores: list[str]
    checksum: bool

    def estimate(self, bits: float, weakness: Weakness | None, words: str) -> Estimate:
        return Estimate(len(self.cores), bits, weakness, words, self.prefix, self.checksum)


def _taken_apart(values: Sequence[str]) -> _Parts:
    """Take off what is no secret: the prefix that all share, and a checksum."""
    unsummed = without_checksum(values)
    bodies = unsummed or list(values)
    shared = common_start(bodies) if len(set(bodies)) > 1 else ""
    # `sk_live_` is a prefix; the first letters of values that happen to begin alike are constant anyway.
    cut = max((shared.rfind(mark) + 1 for mark in SEPARATORS), default=0)
    return _Parts(shared[:cut], [body[cut:] for body in bodies], unsummed is not None)


def _uuid_version(cores: Sequence[str]) -> int | None:
    versions = set()
    for core in cores:
        try:
            versions.add(uuid.UUID(core).version)
        except ValueError:
            return None
    # Of other random texts of 32 hexadecimal digits one in 64 claims to be a version; never all of them.
    return versions.pop() if len(versions) == 1 else None


def _uuid(parts: _Parts, version: int) -> Estimate:
    if version == 4:
        words = "random UUIDs (version 4), which carry 122 bits"
        return parts.estimate(UUID_BITS, Weakness.UUID, words)
    bits, what = {
        1: (14.0, "the time and the machine"),
        2: (14.0, "the time and the machine"),
        3: (0.0, "the digest of a name"),
        5: (0.0, "the digest of a name"),
        6: (62.0, "the time"),
        7: (74.0, "the time"),
    }.get(version, (UUID_BITS, "what its maker chose"))
    words = f"UUIDs of version {version}, which are made from {what}"
    return parts.estimate(bits, Weakness.STRUCTURE, words)


@dataclass(frozen=True, slots=True)
class _View:
    """The values in one reading: as characters, or as the bytes that they encode."""

    texts: list[str]
    size: int | None
    order: str = ""


def _views(cores: Sequence[str]) -> Iterator[_View]:
    """Every reading that fits all values."""
    is_base64 = set("".join(cores)) <= set(BASE64) and any(re.search(r"[G-Zg-z]", core) for core in cores)
    yield _View(list(cores), None, BASE64 if is_base64 and _all_decode(cores, "base64") else "")
    readings = [dict(decoded(core)) for core in cores]
    for name in readings[0] if readings else ():
        if all(name in reading for reading in readings):
            yield _View([reading[name].decode("latin-1") for reading in readings], 256)


def _all_decode(cores: Sequence[str], name: str) -> bool:
    return all(name in dict(decoded(core)) for core in cores)


def _rest(view: _View, samples: Sequence[Sample]) -> tuple[float, list[str]]:
    """The bits in what is left when everything is taken away that can be told, and what that was."""
    reasons: list[str] = []
    texts = view.texts
    for what, take in (("its owner", _without_words), ("the time", _without_times)):
        fewer = take(texts, samples)
        if fewer is not None:
            texts = fewer
            reasons.append(what)
    columns = _varying(texts)
    if columns is None:
        return _uneven(texts, view, reasons)
    ordered = [[_rank(view.order, symbol) for symbol in row] for row in zip(*columns, strict=True)]
    count, grown = len(columns), 0.0
    if len(samples) >= FEWEST and count:
        start = _rising([tuple(row) for row in ordered])
        end = _rising([tuple(reversed(row)) for row in ordered], suffix=True) if start < count else 0
        if start or end:
            reasons.append("a number that grows with each value")
            grown = _steps(columns[:start], view) + _steps(columns[count - end :], view)
        columns = columns[start : count - end]
    if columns and (close := _closest(columns)) is not None:
        reasons.append(f"no more difference between two values than {close} of {len(columns)} places")
        return close * _symbol_bits(columns, view), reasons
    return grown + len(columns) * _symbol_bits(columns, view), reasons


def _steps(columns: Sequence[Sequence[str]], view: _View) -> float:
    """The bits of chance that a growing number may hold: no more than its largest step.

    In bases that are no power of two one place belongs to the time and to chance, as in KSUIDs.
    """
    seen = set(itertools.chain.from_iterable(columns))
    classes = (kind for kind in _CLASSES if not seen.isdisjoint(kind))
    order = view.order or "".join(sorted(seen.union(*classes)))
    base = view.size or len(order)
    numbers = []
    for row in zip(*columns, strict=True):
        number = 0
        for symbol in row:
            number = number * base + (ord(symbol) if view.size is not None else order.index(symbol))
        numbers.append(number)
    return math.log2(max((abs(other - one) for one, other in itertools.pairwise(numbers)), default=1) or 1)


def _rank(order: str, symbol: str) -> int:
    return order.find(symbol) if order else ord(symbol)


def _varying(texts: Sequence[str]) -> list[tuple[str, ...]] | None:
    """The columns in which the values differ; None for values of several lengths."""
    if len({len(text) for text in texts}) > 1:
        return None
    return [column for column in zip(*texts, strict=True) if len(set(column)) > 1]


def _symbol_bits(columns: Sequence[Sequence[str]], view: _View) -> float:
    seen = set(itertools.chain.from_iterable(columns))
    if not seen:
        return 0.0
    if view.size is not None:
        return math.log2(view.size)
    # With twenty times as many characters as different ones, those that were never seen do not exist.
    settled = sum(map(len, columns)) >= 20 * len(seen)
    return math.log2(len(seen) if settled else max(alphabet_size(seen), len(seen)))


def _uneven(texts: Sequence[str], view: _View, reasons: list[str]) -> tuple[float, list[str]]:
    numbers = [_number(text) for text in texts]
    known = [number for number in numbers if number is not None]
    rising = len(known) == len(texts) >= FEWEST and all(
        one < other for one, other in itertools.pairwise(known)
    )
    bits = min(map(len, texts), default=0) * _symbol_bits([tuple("".join(texts))], view)
    if rising:
        span = max(known) - min(known)
        return min(bits, math.log2(span + 1)), [*reasons, "a number that grows with each value"]
    return bits, reasons


def _number(text: str) -> int | None:
    try:
        return int(text, 36)
    except ValueError:
        return None


def _rising(rows: Sequence[tuple[int, ...]], *, suffix: bool = False) -> int:
    """How many leading places make a number that grows from value to value; 0 if none do.

    Twelve random numbers are in ascending order once in 479,001,600 times.
    """
    width = len(rows[0])
    for length in range(1, width + 1 if not suffix else min(width, 12) + 1):
        heads = [row[:length] for row in rows]
        if suffix:
            heads = [tuple(reversed(head)) for head in heads]
        if all(one < other for one, other in itertools.pairwise(heads)):
            return length
    return 0


def _closest(columns: Sequence[Sequence[str]]) -> int | None:
    """In how many places the two most similar values differ, when that is far too few for chance."""
    rows = list(zip(*columns, strict=True))
    width = len(columns)
    if width < 16 or len(rows) > MOST * 2:
        return None
    least = min(
        sum(one != other for one, other in zip(first, second, strict=True))
        for first, second in itertools.combinations(rows, 2)
    )
    return least if least <= width // 4 else None


def _without_words(texts: Sequence[str], samples: Sequence[Sample]) -> list[str] | None:
    """The values without what names their owners; None unless all that could do so do."""
    shorter = []
    for text, sample in zip(texts, samples, strict=True):
        words = [word.casefold() for word in sample.words if len(word) >= SHORTEST_WORD]
        word = next((word for word in sorted(words, key=len, reverse=True) if word in text.casefold()), None)
        if word is None:
            return None
        at = text.casefold().index(word)
        shorter.append(text[:at] + text[at + len(word) :])
    return shorter


def _without_times(texts: Sequence[str], samples: Sequence[Sample]) -> list[str] | None:
    """The values without the moment of their issue; None unless all hold it at the same place."""
    moments = [sample.at for sample in samples]
    if not texts or not all(moments):
        return None
    runs = [_RUN.search(text) for text in texts]
    if all(run is not None and plausible(int(run[0]), at) for run, at in zip(runs, moments, strict=True)):
        return [
            text[: run.start()] + text[run.end() :]
            for text, run in zip(texts, runs, strict=True)
            if run is not None
        ]
    shortest = min(map(len, texts))
    for instant in INSTANTS:
        for start in range(shortest - instant.length + 1):
            end = start + instant.length
            if all(
                (number := instant.read(text[start:end])) is not None and plausible(number, at)
                for text, at in zip(texts, moments, strict=True)
            ):
                return [text[:start] + text[end:] for text in texts]
    return None
