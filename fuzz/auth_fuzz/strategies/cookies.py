"""Cookie headers (RFC 6265 §4.2): names, quotes, duplicates, prefixes, and texts near a live session id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from auth_conformance.model import Severity
from auth_fuzz.strategies.attack import Attack, Material
from auth_fuzz.strategies.texts import edited_texts

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def cookie_attacks(material: Material) -> SearchStrategy[Attack]:
    """Values near the live one, the live value under other names, and the sessions of two users at once."""
    name, text = material.live.carrier.name, material.text
    theirs = material.other.value.reveal() if material.other is not None else None

    def near(pair: tuple[str, str]) -> Attack:
        quoted = pair[0] == "in quotes"
        # Attributes of a Set-Cookie line do not travel back; a `;` ends the value (RFC 6265 §4.2.1).
        lawful = quoted or pair[1].split(";")[0].strip() == text
        return Attack(f"the cookie's value, {pair[0]}", ((("Cookie", f"{name}={pair[1]}")),), lawful=lawful)

    bare = name.removeprefix("__Host-").removeprefix("__Secure-")
    others = {
        name.upper(),
        name.lower(),
        name.swapcase(),
        bare,
        f"__Host-{bare}",
        f"__Secure-{bare}",
        f"{name}[]",
        f"{name}.0",
        f" {name} x",
        f"$Version=1; {name[:-1]}",
        f"{name}2",
        f"{name[:-1]}",
        f"x{name}",
    } - {name, ""}
    renamed = st.sampled_from(sorted(others)).map(
        lambda spelled: Attack(
            f"the live value in a cookie named {spelled!r}", (("Cookie", f"{spelled}={text}"),)
        )
    )
    choices: list[SearchStrategy[Attack]] = [edited_texts(text, theirs).map(near), renamed]
    if theirs is not None:
        pairs = [
            ("in one header, a's first", (("Cookie", f"{name}={text}; {name}={theirs}"),)),
            ("in one header, b's first", (("Cookie", f"{name}={theirs}; {name}={text}"),)),
        ]
        choices.append(
            st.sampled_from(pairs).map(
                lambda pair: Attack(
                    f"the session cookies of two users {pair[0]}", pair[1], severity=Severity.LOW
                )
            )
        )
    return st.one_of(choices)
