"""Values that a schema allows: the same for the same seed, sensible for the member that they are for."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.names import mentions, names, rank
from auth_conformance.discovery.patterns import compiled, matching
from auth_conformance.discovery.schemas import merged, type_of

if TYPE_CHECKING:
    import random

_DEEPEST = 8
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_LONG = 10_000
_BORN = "1990-04-05"
# Any date will do as long as it is in the future for an expiry and fixed for the same seed.
_FORMATS = {
    "date-time": "2031-04-05T06:07:08Z",
    "date": "2031-04-05",
    "time": "06:07:08Z",
    "duration": "P1D",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uri-reference": "/",
    "hostname": "example.com",
    "ipv4": "192.0.2.7",
    "ipv6": "2001:db8::7",
    "byte": "c2FtcGxl",
    "binary": "sample",
    "json-pointer": "/sample",
    "regex": "sample",
}


def sample(schema: Any, rng: random.Random, name: str = "", *, depth: int = 0) -> Any:
    """A value that `schema` allows. `name` is the member it is for, which makes texts sensible.

    Only required members are given. A schema that cannot be read gives a short text.
    """
    if not isinstance(schema, Mapping):
        return _word(rng)
    schema = merged(schema)
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(listed, list) and listed:
        return next((value for value in listed if value is not None), None)
    given = _given(schema, name)
    return _of_type(schema, rng, name, depth) if given is None else given


def _of_type(schema: Mapping[str, Any], rng: random.Random, name: str, depth: int) -> Any:
    match type_of(schema):
        case "object":
            return _object(schema, rng, depth)
        case "array":
            return _array(schema, rng, name, depth)
        case "integer":
            return _integer(schema, rng)
        case "number":
            return _number(schema, rng)
        case "boolean":
            return mentions(name, names("fields", "agree"))
        case "null":
            return None
        case _:
            return _text(schema, rng, name)


def _given(schema: Mapping[str, Any], name: str) -> Any:
    """An example or default of the schema, unless it would name somebody."""
    identifying = any(
        rank(name, names("fields", key)) is not None for key in ("user", "password", "email", "phone")
    )
    if (
        identifying
        or type_of(schema) in ("object", "array")
        or schema.get("format") in ("email", "uuid", "password")
    ):
        return None
    examples = schema.get("examples")
    first = examples[0] if isinstance(examples, list) and examples else None
    for value in (schema.get("default"), schema.get("example"), first):
        if isinstance(value, (str, int, float, bool)) and _fits(value, schema):
            return value
    return None


def _fits(value: object, schema: Mapping[str, Any]) -> bool:
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
    kind = kinds.get(type_of(schema), str)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):  # type: ignore[arg-type]
        return False
    if isinstance(value, str):
        pattern = compiled(schema.get("pattern"))
        return _least_of(schema) <= len(value) <= most_of(schema) and (
            pattern is None or bool(pattern.search(value))
        )
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return True
    low, high = bounds(schema)
    return low <= value <= high and not _excluded(value, schema)


def _excluded(value: float, schema: Mapping[str, Any]) -> bool:
    # In OpenAPI 3.0 both are flags, and 1 equals true.
    ends = [schema.get(key) for key in ("exclusiveMinimum", "exclusiveMaximum")]
    return value in [end for end in ends if end is not True] or bool(
        schema.get("multipleOf") and value % schema["multipleOf"]
    )


def _object(schema: Mapping[str, Any], rng: random.Random, depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    required = schema.get("required")
    wanted = [str(name) for name in required] if isinstance(required, list) else []
    if depth >= _DEEPEST:
        return {}
    made = {name: sample(properties.get(name, {}), rng, name, depth=depth + 1) for name in wanted}
    least = schema.get("minProperties", 0)
    for name, inner in properties.items():
        if not isinstance(least, int) or len(made) >= least:
            break
        made.setdefault(str(name), sample(inner, rng, str(name), depth=depth + 1))
    extra = schema.get("additionalProperties")
    while isinstance(least, int) and len(made) < min(least, 20) and extra is not False:
        made[_word(rng)] = sample(extra if isinstance(extra, Mapping) else {}, rng, depth=depth + 1)
    return made


def _array(schema: Mapping[str, Any], rng: random.Random, name: str, depth: int) -> list[Any]:
    least = schema.get("minItems", 0)
    least = least if isinstance(least, int) else 0
    if depth >= _DEEPEST:
        return []
    first = schema.get("prefixItems")
    made = [
        sample(item, rng, name, depth=depth + 1)
        for item in (first if isinstance(first, list) else [])[:least]
    ]
    choices = schema.get("items", {})
    listed = choices.get("enum") if isinstance(choices, Mapping) else None
    for place in range(len(made), min(least, 50)):
        if schema.get("uniqueItems") and isinstance(listed, list) and place < len(listed):
            made.append(listed[place])
        else:
            made.append(sample(choices, rng, name, depth=depth + 1))
    return made


def bounds(schema: Mapping[str, Any]) -> tuple[float, float]:
    """The smallest and the largest number that a schema allows, exclusive ends not taken off."""

    def number(key: str, default: float) -> float:
        value = schema.get(key)
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else default

    low = max(number("minimum", -math.inf), number("exclusiveMinimum", -math.inf))
    high = min(number("maximum", math.inf), number("exclusiveMaximum", math.inf))
    return low, high


def _integer(schema: Mapping[str, Any], rng: random.Random) -> int:
    low, high = bounds(schema)
    least = math.ceil(low) if low > -math.inf else None
    most = math.floor(high) if high < math.inf else None
    if least is not None and (
        schema.get("exclusiveMinimum") == least or schema.get("exclusiveMinimum") is True
    ):
        least += 1
    if most is not None and (
        schema.get("exclusiveMaximum") == most or schema.get("exclusiveMaximum") is True
    ):
        most -= 1
    if least is None:
        least = min(1, most if most is not None else 1)
    if most is None:
        most = least + 99
    value = rng.randint(least, max(least, min(most, least + 99)))
    step = schema.get("multipleOf")
    if isinstance(step, int) and step > 0:
        value = -(-least // step) * step
    return value


def _number(schema: Mapping[str, Any], rng: random.Random) -> float:
    """A whole one where there is one: documents of JavaScript services call integers numbers (@nestjs/swagger)."""
    low, high = bounds(schema)
    step = schema.get("multipleOf")
    if isinstance(step, float) and step > 0 and not step.is_integer():
        return step * math.ceil((low if low > -math.inf else 0) / step + (0 if low == -math.inf else 1e-9))
    whole = _integer({**schema, "multipleOf": int(step)} if isinstance(step, float) else schema, rng)
    if low <= whole <= high and not _excluded(whole, schema):
        return whole
    least = low if low > -math.inf else min(1.0, high - 1)
    most = high if high < math.inf else least + 99
    return least + (most - least) * rng.choice((0.25, 0.5, 0.75))


def _least_of(schema: Mapping[str, Any]) -> int:
    value = schema.get("minLength", 0)
    return value if isinstance(value, int) else 0


def most_of(schema: Mapping[str, Any]) -> int:
    """How many characters a schema allows at most."""
    value = schema.get("maxLength", _LONG)
    return value if isinstance(value, int) else _LONG


def _text(schema: Mapping[str, Any], rng: random.Random, name: str) -> str:
    least, most = _least_of(schema), most_of(schema)
    pattern = compiled(schema.get("pattern"))
    text = _named(str(schema.get("format") or ""), name, rng)
    if schema.get("format") in _FORMATS or schema.get("format") == "uuid":
        return text
    if len(text) < least:
        text = _stretched(text, least)
    text = text[:most]
    if pattern is not None and not pattern.search(text):
        made = matching(pattern, rng, least, most)
        return text if made is None else made
    return text


def _stretched(text: str, least: int) -> str:
    if "@" in text:
        local, _, host = text.partition("@")
        return local + "a" * (least - len(text)) + "@" + host
    return text + "a" * (least - len(text))


def _named(form: str, name: str, rng: random.Random) -> str:
    if form.startswith("date") and mentions(name, names("fields", "birth")):
        # Somebody grown up: services that ask for it refuse children.
        return _BORN + _FORMATS[form].removeprefix(_FORMATS["date"])
    if form in _FORMATS:
        return _FORMATS[form]
    if form.startswith("uuid"):
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))
    if form == "email" or (not form and rank(name, names("fields", "email")) is not None):
        return f"{_word(rng)}@example.com"
    if (
        form == "password"
        or rank(name, (*names("fields", "password"), *names("fields", "confirm"))) is not None
    ):
        return f"Ua7!{_word(rng)}-{_word(rng)}"
    if rank(name, names("fields", "phone")) is not None:
        return f"+1415555{rng.randint(1000, 9999)}"
    if mentions(name, ("url", "uri", "link", "website")):
        return "https://example.com/"
    return _word(rng)


def _word(rng: random.Random) -> str:
    return "".join(rng.choice(_ALPHABET) for _ in range(8))
