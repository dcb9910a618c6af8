"""Other spellings of an object's identifier, which a lookup may understand where the comparison does not."""

from __future__ import annotations

import random
import re
import string

# Texts of this length may begin with a time.
_TIMED = 12
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


def spellings(identifier: str) -> dict[str, str]:
    """Return other texts that some reader takes for the same identifier, each with the reason to try it."""
    found = {
        "as an array": f"[{identifier}]",
        "with a blank behind it": f"{identifier} ",
        "with a blank before it": f" {identifier}",
        "with a dot behind it": f"{identifier}.",
        "with an extension": f"{identifier}.json",
    }
    if re.fullmatch(r"\d+", identifier, re.ASCII):
        found |= {
            "with a sign": f"+{identifier}",
            "with a leading zero": f"0{identifier}",
            "as a decimal fraction": f"{identifier}.0",
            "with an underscore": f"{identifier[0]}_{identifier[1:]}"
            if len(identifier) > 1
            else f"0_{identifier}",
            "in exponential notation": f"{identifier}e0",
        }
    elif _UUID.fullmatch(identifier):
        found |= {
            "in braces": "{" + identifier + "}",
            "as a URN": f"urn:uuid:{identifier}",
            "without hyphens": identifier.replace("-", ""),
        }
    if identifier.swapcase() != identifier:
        found["in the other case"] = identifier.swapcase()
    return found


def is_uuid(identifier: str) -> bool:
    """Whether the identifier is written as a UUID (RFC 9562 §4)."""
    return _UUID.fullmatch(identifier) is not None


def another_id(identifier: str, rng: random.Random) -> str:
    """An identifier of the same make that no object has: what a service reads of its form is as in the given one.

    Of UUIDs the version stays (RFC 9562 §4.2), of other texts each character's alphabet and the characters in use: a
    ULID has no I, L, O or U, and begins with its time.
    """
    if is_uuid(identifier):
        return identifier[:-12] + f"{rng.getrandbits(48):012x}"
    if identifier.isdecimal():
        return str(int(identifier) + rng.randrange(100_000, 900_000))
    kept = len(identifier) // 3 if len(identifier) >= _TIMED else 0
    return identifier[:kept] + "".join(
        _another(character, identifier, rng) for character in identifier[kept:]
    )


def _another(character: str, text: str, rng: random.Random) -> str:
    for alphabet in (string.ascii_lowercase, string.ascii_uppercase, string.digits):
        if character in alphabet:
            used = sorted(set(text).intersection(alphabet) - {character})
            return rng.choice(used or alphabet.replace(character, ""))
    return character
