"""Issued values: what can be told about them from outside, and what never is told of sound ones."""

import base64
import hashlib
import itertools
import json
import random
import secrets
import string
import uuid
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth_conformance.oracles.entropy import ENOUGH, Sample, Weakness, estimate
from auth_conformance.oracles.recipes import without_checksum
from auth_conformance.oracles.recoding import BASE64, decoded, plausible

NOW = 1_772_366_400.25
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def samples(make: Callable[[int, float], str], count: int = 16, step: float = 0.67) -> list[Sample]:
    """Values made one after the other, each with the moment at which it was."""
    owners = (("alice@example.com", "alice"), ("bob@example.com", "bob"))
    return [
        Sample(make(number, NOW + number * step), NOW + number * step, owners[number % 2])
        for number in range(count)
    ]


def in_base(number: int, digits: str) -> str:
    text = ""
    while number:
        number, place = divmod(number, len(digits))
        text = digits[place] + text
    return text or digits[0]


def crc_suffixed(prefix: str, body: str) -> str:
    return prefix + body + in_base(zlib.crc32(body.encode()), BASE62).rjust(6, "0")


def crockford(number: int, length: int) -> str:
    return in_base(number, "0123456789ABCDEFGHJKMNPQRSTVWXYZ").rjust(length, "0")


SOUND: dict[str, Callable[[int, float], str]] = {
    "token_urlsafe(32)": lambda _, __: secrets.token_urlsafe(32),
    "128 bits in base64url": lambda _, __: secrets.token_urlsafe(16),
    "128 bits in hexadecimal": lambda _, __: secrets.token_hex(16),
    "160 bits in base32": lambda _, __: base64.b32encode(secrets.token_bytes(20)).decode(),
    "a prefix and 40 hexadecimal digits": lambda _, __: f"sk_live_{secrets.token_hex(20)}",
    "a public id and a secret": lambda _, __: f"rk_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}",
    "a row's number and a secret, as Laravel's Sanctum": lambda n, _: (
        f"{n + 7}|{''.join(secrets.choice(BASE62) for _ in range(40))}"
    ),
    "a checksum behind 30 characters, as GitHub's": lambda _, __: crc_suffixed(
        "ghp_", "".join(secrets.choice(BASE62) for _ in range(30))
    ),
    "a name and a secret": lambda n, _: f"{('alice', 'bob')[n % 2]}.{secrets.token_urlsafe(32)}",
    "the time and a secret": lambda _, at: f"{int(at * 1000)}.{secrets.token_urlsafe(24)}",
    "22 characters of base62": lambda _, __: "".join(secrets.choice(BASE62) for _ in range(22)),
    "KSUID: 128 bits behind the time": lambda _, at: in_base(
        int.from_bytes((int(at) - 1_400_000_000).to_bytes(4) + secrets.token_bytes(16)), BASE62
    ).rjust(27, "0"),
}

WEAK: dict[str, tuple[Callable[[int, float], str], Weakness]] = {
    "a counter in base 36": (
        lambda n, _: in_base(n + 1_000_000, string.digits + string.ascii_lowercase),
        Weakness.STRUCTURE,
    ),
    "a counter that grows by one digit": (lambda n, _: str(n + 95), Weakness.STRUCTURE),
    "a counter in hexadecimal, padded": (lambda n, _: f"{n + 4_000:032x}", Weakness.STRUCTURE),
    "a counter in base64": (
        lambda n, _: base64.b64encode(f"session-{n + 100}".encode()).decode(),
        Weakness.STRUCTURE,
    ),
    "twelve letters": (
        lambda _, __: "rk_" + "".join(random.choices(string.ascii_lowercase, k=12)),
        Weakness.SHORT,
    ),
    "64 bits": (lambda _, __: secrets.token_hex(8), Weakness.SHORT),
    "120 bits": (lambda _, __: secrets.token_urlsafe(15), Weakness.SHORT),
    "24 lower-case letters and digits": (
        lambda _, __: "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(24)),
        Weakness.SHORT,
    ),
    "a random UUID": (lambda _, __: str(uuid.uuid4()), Weakness.UUID),
    "a random UUID without hyphens, prefixed": (lambda _, __: f"key_{uuid.uuid4().hex}", Weakness.UUID),
    "a UUID of the time": (lambda _, __: str(uuid.uuid1()), Weakness.STRUCTURE),
    "a UUID of a name": (lambda n, _: str(uuid.uuid5(uuid.NAMESPACE_DNS, str(n))), Weakness.STRUCTURE),
    "a ULID": (
        lambda _, at: crockford(int(at * 1000), 10) + crockford(secrets.randbits(80), 16),
        Weakness.STRUCTURE,
    ),
    "PHP's uniqid": (lambda _, at: f"{int(at):08x}{int(at % 1 * 1e6):05x}", Weakness.STRUCTURE),
    "an ObjectId": (
        lambda n, at: f"{int(at):08x}" + "5f3a9c21d0" + f"{n + 8_000_000:06x}",
        Weakness.STRUCTURE,
    ),
    "the MD5 of a counter": (
        lambda n, _: hashlib.md5(str(n).encode(), usedforsecurity=False).hexdigest(),
        Weakness.STRUCTURE,
    ),
    "the SHA-256 of name and time": (
        lambda n, at: hashlib.sha256(f"{('alice', 'bob')[n % 2]}{int(at)}".encode()).hexdigest(),
        Weakness.STRUCTURE,
    ),
    "the SHA-1 of the milliseconds in base64": (
        lambda _, at: base64.urlsafe_b64encode(
            hashlib.sha1(str(int(at * 1000)).encode(), usedforsecurity=False).digest()
        ).decode(),
        Weakness.STRUCTURE,
    ),
    "name and time in base64": (
        lambda n, at: base64.b64encode(f"{('alice', 'bob')[n % 2]}:{at:.3f}".encode()).decode(),
        Weakness.STRUCTURE,
    ),
    "few places that change": (
        lambda n, _: f"{n:03x}" + hashlib.sha256(b"boot").hexdigest()[:40] + secrets.token_hex(2),
        Weakness.STRUCTURE,
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_values_are_accused_of_nothing(name: str) -> None:
    for count in (12, 40):
        found = estimate(samples(SOUND[name], count))
        assert found.weakness is None, found
        assert found.bits >= ENOUGH


@pytest.mark.parametrize("name", WEAK)
def test_weak_values_are_told(name: str) -> None:
    make, weakness = WEAK[name]
    for count in (12, 40):
        found = estimate(samples(make, count))
        assert found.weakness in {weakness, Weakness.SHORT if weakness is Weakness.STRUCTURE else weakness}, (
            found
        )
        assert found.bits < ENOUGH


def test_a_value_twice_is_the_worst() -> None:
    found = estimate(samples(lambda n, _: hashlib.sha256(str(n // 2 + 90_000).encode()).hexdigest()))
    assert found.weakness is Weakness.REPEATED
    assert "only 8 of them differ" in found.words


@pytest.mark.parametrize("seed", [0, 42, 1234])
def test_a_seeded_generator_is_recognised(seed: int) -> None:
    rng = random.Random(seed)
    made = ["".join(rng.choices(string.ascii_letters + string.digits, k=32)) for _ in range(30)]
    found = estimate([Sample(value, NOW) for value in made[14:]])
    assert found.weakness is Weakness.STRUCTURE
    assert f"seed is {seed}" in found.words


def test_a_generator_seeded_by_the_time_is_recognised() -> None:
    found = estimate(samples(lambda _, at: f"{random.Random(int(at)).getrandbits(160):040x}", step=1.5))
    assert "seed is the time" in found.words


def test_a_checksum_is_no_chance_and_no_weakness() -> None:
    found = estimate(samples(SOUND["a checksum behind 30 characters, as GitHub's"]))
    assert (found.checksum, found.prefix) == (True, "ghp_")
    short = estimate(samples(lambda _, __: crc_suffixed("k_", secrets.token_hex(8))))
    assert short.checksum
    assert short.bits <= 64


def test_what_may_be_a_signature_counts_and_is_noted() -> None:
    found = estimate(samples(lambda n, _: f"{n + 100}.{secrets.token_hex(32)}"))
    assert found.weakness is None
    assert found.unsigned is not None
    assert found.unsigned < 16


def test_no_secret_is_printed() -> None:
    assert "hunter" not in repr(Sample("hunter2hunter2"))
    assert all(
        value not in estimate(samples(make)).words
        for make, _ in WEAK.values()
        for value in (sample.value for sample in samples(make, 2))
    )


@settings(max_examples=40)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=14))
def test_no_values_break_the_estimate(values: list[str]) -> None:
    found = estimate([Sample(value, NOW, ("alice",)) for value in values])
    assert found.samples == len(values)
    assert found.bits >= 0


@given(st.binary(min_size=2, max_size=40))
def test_every_encoding_is_read_back(raw: bytes) -> None:
    assert ("hexadecimal", raw) in decoded(raw.hex())
    for text in (
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
    ):
        assert ("base64", raw) in decoded(text)
    if len(raw) >= 10:
        assert ("base32", raw) in decoded(base64.b32encode(raw).decode())


@given(st.text(BASE64, max_size=30))
def test_only_proper_encodings_are_read(text: str) -> None:
    for name, raw in decoded(text):
        again = {
            "hexadecimal": raw.hex(),
            "base64": base64.urlsafe_b64encode(raw).decode().rstrip("="),
            "base32": base64.b32encode(raw).decode().rstrip("="),
        }[name]
        assert again.casefold() == text.casefold()


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_moments_are_known_in_every_unit(unit: int) -> None:
    assert plausible(int(NOW * unit), NOW)
    assert not plausible(int((NOW - 200_000) * unit), NOW)


def test_no_checksum_is_seen_where_there_is_none() -> None:
    assert without_checksum([secrets.token_hex(20) for _ in range(12)]) is None
    assert without_checksum(["short", "values"]) is None


def test_growing_values_are_told_from_random_ones() -> None:
    made = [secrets.token_bytes(4) + secrets.token_bytes(16) for _ in range(16)]
    assert not any(one >= other for one, other in itertools.pairwise(sorted(made)))
    assert estimate([Sample(raw.hex(), NOW) for raw in made]).weakness is None
    assert estimate([Sample(raw.hex(), NOW) for raw in sorted(made)]).bits < 160


@pytest.mark.parametrize("seed", [14, 23, 28, 64, 90, 125])
def test_a_place_that_belongs_to_the_time_and_to_chance_keeps_its_chance(seed: int) -> None:
    # The first places of these grow from value to value, and the last of them holds bits of the secret.
    rng = random.Random(seed)

    def ksuid(_: int, at: float) -> str:
        number = int.from_bytes((int(at) - 1_400_000_000).to_bytes(4) + rng.randbytes(16))
        return in_base(number, BASE62).rjust(27, "0")

    assert estimate(samples(ksuid, 12)).weakness is None


def test_what_a_bar_divides_from_its_signature_is_signed_also_in_quotes() -> None:
    def signed(number: int, at: float) -> str:
        return f'"2|1:0|10:{int(at)}|9:lab-login|44:{"c0" * 22}|{secrets.token_hex(32)}"'

    made = samples(signed)
    found = estimate([*made, *made[:5]])
    assert found.weakness is None, found.words


def test_signed_values_of_one_second_are_the_same_and_no_easier_to_guess() -> None:
    def signed(number: int, at: float) -> str:
        mark = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        body = base64.urlsafe_b64encode(
            json.dumps({"_auth_user_id": 1, "_auth_user_hash": "f0" * 32}).encode()
        )
        return f"{body.decode().rstrip('=')}:{int(at)}:{mark}"

    made = samples(signed)
    found = estimate([*made, *made[:5]])
    assert found.weakness is None, found.words
    assert found.unsigned == 0
