"""The Authorization header (RFC 9110 §11.6.2): scheme words, blanks, lists, and what stands around a token."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from auth_conformance.model import Severity
from auth_fuzz.strategies.attack import Attack, Material

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

SCHEMES = (
    "Basic",
    "Token",
    "Digest",
    "JWT",
    "ApiKey",
    "Negotiate",
    "Bearer:",
    "BearerX",
    "XBearer",
    "Bearer=",
    "Bear",
    "B",
    "",
    "Bearer Bearer",
    "Basic Bearer",
    "Bearer Basic",
    "Bearer x",
)
AFTER = (", Bearer x", " x", ",x", ";x", "; charset=utf-8", " realm=x", "#", "?", "&a=b", " Bearer")
_WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=8)


def authorization_attacks(material: Material) -> SearchStrategy[Attack]:
    """The live token in headers that are no bearer credential, two users' tokens at once, damaged ones anywhere."""
    text, prefix = material.text, material.live.carrier.prefix
    name = material.live.carrier.name

    def said(scheme: str, blank: str, tail: str) -> Attack:
        value = f"{scheme}{blank}{text}{tail}"
        lawful = scheme.strip().lower() == prefix.lower() and not tail.strip() and blank.strip(" ") == ""
        return Attack(
            f"the header {scheme!r}, {blank!r}, the live token, {tail!r}",
            ((name, value),),
            lawful=lawful or value == text == "",
            severity=Severity.MEDIUM if not lawful else None,
        )

    schemes = st.one_of(st.sampled_from(SCHEMES), _WORDS, st.just(prefix), st.just(prefix.lower()))
    blanks = st.sampled_from([" ", "  ", "", ":", "=", ",", " , "])
    tails = st.one_of(st.just(""), st.sampled_from(AFTER))
    choices: list[SearchStrategy[Attack]] = [st.builds(said, schemes, blanks, tails)]
    if material.other is not None:
        theirs = material.other.value.reveal()
        pairs = [
            ("two headers, a's first", ((name, f"{prefix} {text}"), (name, f"{prefix} {theirs}"))),
            ("two headers, b's first", ((name, f"{prefix} {theirs}"), (name, f"{prefix} {text}"))),
            ("one header", ((name, f"{prefix} {text}, {prefix} {theirs}"),)),
        ]
        choices.append(
            st.sampled_from(pairs).map(
                lambda pair: Attack(f"the tokens of two users in {pair[0]}", pair[1], severity=Severity.LOW)
            )
        )
    if text:
        choices.append(_damaged(name, prefix, text))
    return st.one_of(choices)


def _damaged(name: str, prefix: str, text: str) -> SearchStrategy[Attack]:
    """A damaged token where only an unusual way through the code leads to it: RFC 9110 §5.3 and §11.1.

    Scheme words are the same in any case, and a header may wrongly come twice. Who looks at one of two headers and
    trusts the other, or reads one spelling with care and another without, is found with a token that no way may
    let in.
    """
    front, dot, signature = text.rpartition(".")
    where = len(text) // 2
    opaque = f"{text[:where]}{'A' if text[where] != 'A' else 'B'}{text[where + 1 :]}"
    # A signature that is the same every time: what follows from a live token can be exported as a test.
    broken = f"{front}.{'A' * len(signature)}" if dot and signature else opaque
    spelled = st.sampled_from([prefix, prefix.lower(), prefix.upper(), prefix.swapcase()])
    called = st.sampled_from([name, name.lower(), name.upper()])
    blanks = st.sampled_from([" ", "  ", "\t"])

    def alone(header: str, scheme: str, blank: str) -> Attack:
        value = f"{scheme}{blank}{broken}"
        return Attack(
            f"a damaged token in the header {header!r} as {scheme!r}, {blank!r}",
            ((header, value),),
            severity=Severity.CRITICAL,
        )

    def twice(beside: str, scheme: str, header: str, first: bool) -> Attack:  # noqa: FBT001 - drawn
        pair = ((name, f"{prefix} {beside}"), (header, f"{scheme} {broken}"))
        says = f"a damaged token in the header {header!r} as {scheme!r}"
        return Attack(
            f"{says}, {'after' if first else 'before'} {'the same' if beside == broken else 'none'} in another one",
            pair if first else pair[::-1],
            severity=Severity.CRITICAL,
        )

    beside = st.sampled_from(["null", broken])
    return st.one_of(
        st.builds(alone, called, spelled, blanks), st.builds(twice, beside, spelled, called, st.booleans())
    )


def basic_attacks(material: Material) -> SearchStrategy[Attack]:
    """Basic credentials (RFC 7617 §2) near live ones: other passwords, other encodings, other grammar."""
    try:
        user, _, password = base64.b64decode(material.text).decode().partition(":")
    except ValueError:
        user, password = "", material.text

    def encoded(says: str, pair: str) -> Attack:
        value = base64.b64encode(pair.encode("utf-8", "surrogatepass")).decode()
        headers, query = material.bearing(value)
        return Attack(says, headers, query, lawful=pair == f"{user}:{password}")

    shapes = st.sampled_from(
        [
            ("no password", f"{user}:"),
            ("no colon", user),
            ("no user", f":{password}"),
            ("the password in capitals", f"{user}:{password.swapcase()}"),
            ("two passwords", f"{user}:{password}:{password}"),
            ("a colon in front", f":{user}:{password}"),
            ("nothing but a colon", ":"),
            ("nothing", ""),
            ("a NUL and more after the password", f"{user}:{password}\0x"),
        ]
    )
    cut = st.integers(0, max(len(password) - 1, 0)).map(
        lambda size: (
            f"the first {size} of {len(password)} characters of the password",
            f"{user}:{password[:size]}",
        )
    )
    other = st.text(max_size=12).map(lambda made: (f"the password {made!r}", f"{user}:{made}"))
    return st.one_of(shapes, cut, other).map(lambda pair: encoded(f"Basic with {pair[0]}", pair[1]))
