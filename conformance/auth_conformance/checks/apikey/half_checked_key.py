"""KEY101."""

import string
from collections.abc import Iterator

from auth_conformance.oracles.keys import SEPARATORS, public_start, shown_parts
from auth_conformance.oracles.pointer import strings
from auth_conformance.sdk import (
    API,
    ASVS,
    CWE,
    RFC,
    WSTG,
    Attempt,
    Kind,
    Missing,
    Need,
    Probe,
    Severity,
    Unclear,
    Verdict,
    check,
)


@check(
    "KEY101",
    "api-key-verified-in-full",
    title="API key accepted that is not exactly the one that was issued",
    severity=Severity.CRITICAL,
    level=1,
    budget=50,
    needs=(Need.WITNESS, Need.API_KEY),
    references=(
        ASVS("6.3.4"),
        ASVS("7.2.1"),
        ASVS("13.2.3"),
        RFC(9110, "5.5"),
        API(2),
        CWE(303),
        CWE(306),
        CWE(187),
        WSTG("ATHN-04"),
    ),
)
async def half_checked_key(probe: Probe) -> Verdict:
    """Only the exact and complete key of an existing, active record must authenticate.

    Why: keys are looked up by a public prefix or id; a service that stops there accepts what stands in
        lists, logs and screenshots.
    How: present the live key with characters changed at several places, shortened, lengthened, in another
        case, cut to its public part, joined with another user's tail, quoted, and twice; and its id.
    Fix: look up by prefix, then compare the digest of the whole key:
        `if not hmac.compare_digest(row.key_digest, sha256(presented)): raise invalid_key()`.
    """
    live = await probe.credential(Kind.KEY)
    key = live.value.reveal()
    start, other = _beginning(key), await _other(probe)
    ids, listed = await _listed(probe)
    random = probe.bland(live).value.reveal()
    values = {
        "an empty key": "",
        "random text of the same shape": random,
        "the public part of the key with a random secret": start + random[len(start) :],
        **{f"the key with its {place} character changed": text for place, text in _changed(probe, key)},
        "the key without its last character": key[:-1],
        "half of the key": key[: len(key) // 2],
        "the key with one character more": f"{key}a",
        "the key with a blank in front, in quotes": f'" {key}"',
        "the key in quotes": f'"{key}"',
        "the key with a blank behind, in quotes": f'"{key} "',
        "the key twice, with a comma": f"{key},{key}",
        **{f"the public part of the key ({len(text)} characters)": text for text in _public(key, listed)},
        **{f"an id from the list of keys ({number})": text for number, text in enumerate(ids, 1)},
    }
    if other is not None:
        # Where all keys begin alike, a longer beginning is needed: the mixture must be nobody's key.
        cuts = (len(start), len(key) // 2)
        mixed = [key[:cut] + other[cut:] for cut in cuts if key[:cut] != other[:cut]]
        if mixed and mixed[0] != key:
            values["the beginning of the key with the tail of another user's"] = mixed[0]
    # RFC 9110 §5.5 takes outer blanks off a header value: on the wire this one is the empty key once more.
    blanks = Attempt("blanks as key", live.with_value("   "), core=False, wire=True)
    attempts = [Attempt("no credential"), blanks]
    attempts += [Attempt(label, live.with_value(text)) for label, text in values.items() if text != key]
    attempts += [
        Attempt(f"the key in {case} case", live.with_value(text), severity=Severity.MEDIUM)
        for case, text in (("swapped", key.swapcase()), ("lower", key.lower()), ("upper", key.upper()))
        if text != key
    ]
    last = key[:-1] + _another(probe, key[-1])
    attempts.append(
        Attempt("the key with its last character changed", live.with_value(last), severity=Severity.LOW)
    )
    return await probe.must_refuse(attempts, credential=live)


def _changed(probe: Probe, key: str) -> Iterator[tuple[str, str]]:
    """Change one character at a time; the last alone would not do: its low bits may be padding of base64."""
    places = {"first": 0, "first secret": len(_beginning(key)), "middle": len(key) // 2}
    places |= {"fifth last": len(key) - 5, "fourth last": len(key) - 4}
    for name, index in places.items():
        if 0 <= index < len(key):
            yield name, key[:index] + _another(probe, key[index]) + key[index + 1 :]


def _another(probe: Probe, character: str) -> str:
    # Never the same letter in the other case: that is a vector of its own, and a lesser flaw.
    return probe.rng.choice(
        [other for other in string.ascii_letters + string.digits if other.lower() != character.lower()]
    )


def _beginning(key: str) -> str:
    """Return what a look-up may go by: the public part, or where nothing separates one, some characters."""
    return public_start(key) or key[: min(8, len(key) // 3)]


def _public(key: str, listed: list[str]) -> list[str]:
    """Cut the key to what is no secret: what lists show of it, and what stands before each separator."""
    start = _beginning(key)
    cut = [start[:index] for index, character in enumerate(start) if character in SEPARATORS]
    parts = (*shown_parts(key, listed), start, *cut)
    return [text for text in dict.fromkeys(parts) if 0 < len(text) < len(key)][:4]


async def _other(probe: Probe) -> str | None:
    """B's key, if B has one."""
    try:
        return (await probe.credential(Kind.KEY, "b")).value.reveal()
    except (Missing, Unclear):
        return None


async def _listed(probe: Probe) -> tuple[list[str], list[str]]:
    """What the list of keys says: ids, and every text. Nothing where there is no list."""
    keys = probe.target.keys
    if keys is None or keys.listing is None:
        return [], []
    try:
        login = await probe.credential(next(kind for kind in probe.kinds() if kind is not Kind.KEY))
    except (Missing, Unclear, StopIteration):
        return [], []
    answer = await probe.call(keys.listing, login, label="the list of keys")
    found = strings(answer.reply.json)
    last = (keys.identifier or "").rpartition("/")[2]
    ids = [str(value) for pointer, value in found.items() if last and pointer.endswith(f"/{last}")]
    return ids[:2], [value for value in found.values() if isinstance(value, str)]
