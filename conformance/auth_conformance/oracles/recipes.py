"""Secrets that somebody computed: digests of what others know too, seeded generators, and checksums."""

from __future__ import annotations

import base64
import hashlib
import random
import string
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from auth_conformance.oracles.recoding import decoded

_HASHES = ("md5", "sha1", "sha256")
# A digest may be cut; what is shorter than this fits one of many candidates by chance.
_SHORTEST = 12
_COUNTED = 20_000
_LOOKED_AT = 6
# How far the clock of the service may be from ours, in seconds, and in milliseconds around the request.
_SKEW = 30
_MOMENT = 1_500
# Seeds that people write down, and how many values of a generator are looked through.
_SEEDS = (*range(11), 42, 69, 99, 100, 123, 420, 1234, 1337, 12345, 31337, 123456, *range(2020, 2031))
_STREAM = 60
_ALPHABETS = {
    "ascii_lowercase": string.ascii_lowercase,
    "ascii_letters": string.ascii_letters,
    "letters and digits": string.ascii_letters + string.digits,
    "lower case and digits": string.ascii_lowercase + string.digits,
    "upper case and digits": string.ascii_uppercase + string.digits,
    "digits": string.digits,
    "hexadecimal digits": "0123456789abcdef",
}
_BASE62 = (
    string.digits + string.ascii_uppercase + string.ascii_lowercase,
    string.digits + string.ascii_lowercase + string.ascii_uppercase,
    string.digits + string.ascii_lowercase,
)


def recipe_of(origins: Sequence[tuple[float, tuple[str, ...]]], cores: Sequence[str]) -> str | None:
    """How these values can be computed by anybody, in words; None when no recipe gives one of them.

    `origins` are the moment of issue of each value and the words that describe its owner.
    """
    if min(map(len, cores), default=0) >= _SHORTEST:
        # All are made in one way: what is not seen in the first few is not there.
        counted = _counted({raw for core in cores[:_LOOKED_AT] for raw in _raw(core)})
        if counted is not None:
            return counted
        for (at, words), core in list(zip(origins, cores, strict=True))[:_LOOKED_AT]:
            for raw in _raw(core):
                for what, text in _candidates(at, words):
                    for name in _HASHES:
                        if (
                            hashlib.new(name, text.encode(), usedforsecurity=False).digest()[: len(raw)]
                            == raw
                        ):
                            return f"the {name} of {what}"
    return _seeded([at for at, _ in origins], cores)


def _raw(core: str) -> list[bytes]:
    return [raw for _, raw in decoded(core) if len(raw) >= _SHORTEST // 2]


def _counted(raws: set[bytes]) -> str | None:
    """Whether one of these begins the digest of a number up to 20,000, and of which kind."""
    lengths = {len(raw) for raw in raws}
    for name in _HASHES if raws else ():
        for number in range(_COUNTED):
            digest = hashlib.new(name, str(number).encode(), usedforsecurity=False).digest()
            if any(digest[:length] in raws for length in lengths):
                return f"the {name} of a small number"
    return None


def _candidates(at: float, words: Iterable[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        yield "what names its owner", word
    if not at:
        return
    now = int(at)
    for second in range(now - _SKEW, now + _SKEW + 1):
        yield "the time", str(second)
        for word in words:
            yield "its owner and the time", f"{word}{second}"
            yield "its owner and the time", f"{second}{word}"
            yield "its owner and the time", f"{word}:{second}"
    for moment in range(int(at * 1000) - _MOMENT, int(at * 1000) + _MOMENT):
        yield "the time in milliseconds", str(moment)


def _seeded(moments: Sequence[float], cores: Sequence[str]) -> str | None:
    """A generator of the module `random` whose seed is a number that people write, or the time."""
    wanted = set(cores)
    makers = list(_makers(cores))
    for maker in makers:
        for seed in _SEEDS:
            rng = random.Random(seed)
            if any(maker(rng) in wanted for _ in range(_STREAM)):
                return f"made by a random.Random whose seed is {seed}"
        for at, core in zip(moments, cores, strict=True):
            seeds = range(int(at) - 2, int(at) + 3) if at else ()
            if any(maker(random.Random(seed)) == core for seed in seeds):
                return "made by a random.Random whose seed is the time"
    return None


def _makers(cores: Sequence[str]) -> Iterator[Callable[[random.Random], str]]:
    """How people make texts of this shape with `random`. Short values come out right by chance."""
    lengths = {len(core) for core in cores}
    if len(lengths) != 1 or (length := lengths.pop()) < 8:
        return
    used = set("".join(cores))
    for letters in _ALPHABETS.values():
        if used <= set(letters):
            yield _choices(letters, length)
            yield _one_by_one(letters, length)
            break
    if used <= set("0123456789abcdef") and length % 2 == 0:
        yield lambda rng: f"{rng.getrandbits(length * 4):0{length}x}"
        yield lambda rng: rng.randbytes(length // 2).hex()
    if used <= set("0123456789abcdef-") and length == 36:
        yield lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _choices(letters: str, length: int) -> Callable[[random.Random], str]:
    return lambda rng: "".join(rng.choices(letters, k=length))


def _one_by_one(letters: str, length: int) -> Callable[[random.Random], str]:
    return lambda rng: "".join(rng.choice(letters) for _ in range(length))


def without_checksum(values: Sequence[str]) -> list[str] | None:
    """The values without their last characters, when those are a checksum of the others; else None."""
    for length in range(4, 11):
        if min(map(len, values), default=0) < length + 8:
            return None
        for spell in (_crc, _digest):
            if all(_ends_with_sum(value, length, spell) for value in values):
                return [value[:-length].rstrip("_-.") for value in values]
    return None


def _ends_with_sum(value: str, length: int, spell: Callable[[bytes, int], tuple[str, ...]]) -> bool:
    body, claimed = value[:-length], value[-length:]
    bodies = {body, body.rstrip("_-.")}
    # Some sum the whole beginning, some only what follows the prefix.
    bodies |= {part.rpartition(mark)[2] for part in tuple(bodies) for mark in "_-."}
    return any(claimed in spell(part.encode(), length) for part in bodies)


def _crc(data: bytes, length: int) -> tuple[str, ...]:
    number = zlib.crc32(data)
    texts = [f"{number:08x}", f"{number:08X}", str(number)]
    texts += [_in_base(number, digits).rjust(length, digits[0]) for digits in _BASE62]
    texts.append(base64.urlsafe_b64encode(number.to_bytes(4, "big")).decode().rstrip("="))
    return tuple(texts)


def _digest(data: bytes, length: int) -> tuple[str, ...]:
    found = []
    for name in _HASHES:
        raw = hashlib.new(name, data, usedforsecurity=False).digest()
        texts = (raw.hex(), base64.urlsafe_b64encode(raw).decode())
        found += [text[:length] for text in texts] + [texts[0][-length:]]
    return tuple(found)


def _in_base(number: int, digits: str) -> str:
    text = ""
    while number:
        number, place = divmod(number, len(digits))
        text = digits[place] + text
    return text
