"""`WWW-Authenticate` read by its grammar (RFC 9110 §11.6.1), not by what most servers happen to send."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# A token68 ends where the list element ends; otherwise `realm=x` would be one.
_TOKEN68 = re.compile(r"([A-Za-z0-9._~+/-]+=*)[ \t]*(?=,|$)")
_QUOTED = re.compile(r'"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*)"')
_BLANKS = re.compile(r"[ \t]*")
_GAP = re.compile(r"[ \t]*(?:,[ \t]*)*")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge: a scheme with a token68, or with parameters, or alone. Names in lower case."""

    scheme: str
    token68: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()

    def parameter(self, name: str) -> str | None:
        """Return the value of a parameter, None when it is absent."""
        return dict(self.parameters).get(name.lower())


def parse_challenges(value: str) -> tuple[Challenge, ...]:
    """Take the challenges in one header value apart. Raises ValueError that says what is wrong and where."""
    found: list[Challenge] = []
    place = _skip(_GAP, value, 0)
    while place < len(value):
        place = _element(value, place, found)
        following = _skip(_BLANKS, value, place)
        if following < len(value) and value[following] != ",":
            raise ValueError(f"no comma before {value[following : following + 20]!r}")
        place = _skip(_GAP, value, following)
    if not found:
        raise ValueError("it holds no challenge")
    return tuple(found)


def _element(value: str, place: int, found: list[Challenge]) -> int:
    """Read one list element: a parameter of the last challenge, or a new challenge."""
    parameter = _parameter(value, place)
    if parameter is not None:
        name, text, end = parameter
        last = found[-1] if found else None
        if last is None or not last.parameters:
            raise ValueError(f"the parameter {name} belongs to no scheme")
        found[-1] = _with(last, name, text)
        return end
    scheme = _TOKEN.match(value, place)
    if scheme is None:
        raise ValueError(f"no scheme at {value[place : place + 20]!r}")
    challenge, end = Challenge(scheme[0].lower()), scheme.end()
    after = value[end:]
    start = end + len(after) - len(after.lstrip(" "))
    if start > end:
        token = _TOKEN68.match(value, start)
        if token is not None:
            challenge, end = Challenge(challenge.scheme, token68=token[1]), token.end()
        elif (parameter := _parameter(value, start)) is not None:
            name, text, end = parameter
            challenge = _with(challenge, name, text)
    found.append(challenge)
    return end


def _parameter(value: str, place: int) -> tuple[str, str, int] | None:
    name = _TOKEN.match(value, place)
    if name is None:
        return None
    equals = _skip(_BLANKS, value, name.end())
    if equals >= len(value) or value[equals] != "=":
        return None
    start = _skip(_BLANKS, value, equals + 1)
    quoted = _QUOTED.match(value, start)
    if quoted is not None:
        return name[0].lower(), re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL), quoted.end()
    token = _TOKEN.match(value, start)
    if token is None:
        raise ValueError(f"the value of {name[0]} is neither a token nor a closed quoted string")
    return name[0].lower(), token[0], token.end()


def _with(challenge: Challenge, name: str, text: str) -> Challenge:
    if challenge.parameter(name) is not None:
        # RFC 9110 §11.2: each parameter name occurs once per challenge.
        raise ValueError(f"the parameter {name} occurs twice")
    return Challenge(challenge.scheme, None, (*challenge.parameters, (name, text)))


def _skip(pattern: re.Pattern[str], value: str, place: int) -> int:
    match = pattern.match(value, place)
    return match.end() if match else place
