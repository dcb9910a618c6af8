"""Spellings of a name that some later step may take for the same name (RFC 8265 §3, checklist CRD115)."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_CIRCLED = {chr(97 + place): chr(0x24D0 + place) for place in range(26)}
_WIDE = {chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)}
# Letters of their own, which no normalisation of RFC 8265 folds: only what reaches the owner counts.
_UNFOLDED = ("with a dotless i", "with a dotted capital I")
_CYRILLIC = {"a": "а", "e": "е", "o": "о", "p": "р"}


@dataclass(frozen=True, slots=True)
class Spelling:
    """Another spelling. `harmless` ones may coexist: nothing makes them equal, people only mistake them."""

    words: str
    text: str
    harmless: bool = False


def respelled(name: str) -> list[Spelling]:
    """Other spellings of a name or an address; the local part is changed, the domain only where that is said."""
    local, at, host = name.partition("@")
    rest = at + host
    middle = len(local) // 2
    inner = {
        "in upper case": local.upper(),
        "in mixed case": local.capitalize(),
        "with a leading blank": " " + local,
        "with an inner blank": f"{local[:middle]} {local[middle:]}",
        "in full-width letters": "".join(_WIDE.get(character, character) for character in local),
        "in circled letters": "".join(_CIRCLED.get(character, character) for character in local),
        "with a dotless i": local.replace("i", "ı", 1),
        "with a dotted capital I": local.replace("i", "İ", 1),
        "with a ligature": local.replace("ff", "ﬀ", 1),
        "with a zero-width space": f"{local[:middle]}\u200b{local[middle:]}",
        "with a zero-width joiner": f"{local[:middle]}\u200d{local[middle:]}",
        "with a soft hyphen": f"{local[:middle]}\u00ad{local[middle:]}",
    }
    found = [
        Spelling(words, text + rest, harmless=words in _UNFOLDED)
        for words, text in inner.items()
        if text != local
    ]
    found += [
        Spelling("with a trailing blank", name + " "),
        Spelling("with a trailing tab", name + "\t"),
        Spelling("with a trailing no-break space", name + "\u00a0"),
        # The dot ends a domain name, which it does not change; of a name it is a part.
        Spelling("with a trailing dot", name + ".", harmless=not at),
        Spelling("with a NUL and more", name + "\0x"),
    ]
    cyrillic = "".join(_CYRILLIC.get(character, character) for character in local)
    if cyrillic != local:
        found.append(Spelling("in Cyrillic look-alikes", cyrillic + rest, harmless=True))
    return found


# Columns end here more often than anywhere else.
LONGEST = 255
_LABEL = 63


def awkward_pairs(core: str, *, email: bool) -> list[tuple[str, Spelling]]:
    """Names that only some services take, each with another that a later step may take for it.

    The first has as many characters as a column often holds, and the other one more; in the second a letter is
    written in one piece and in two.
    """
    host = "@example.com" if email else ""
    if email:
        left = LONGEST - len(core) - len(host)
        labels = []
        while left > 1:
            # No label of a single letter, and a dot after each.
            size = min(_LABEL, left - 1) if left - 1 - _LABEL not in (1, 2) else _LABEL - 2
            labels.append("a" * size)
            left -= size + 1
        long = f"{core}@{'.'.join([*labels, host[1:]])}"
        long += "m" * (LONGEST - len(long))
    else:
        long = core + "a" * (LONGEST - len(core))
    return [
        (long, Spelling("with one character beyond the 255th", long + "x")),
        (f"{core}\u00e9{host}", Spelling("with an accent of its own", f"{core}e\u0301{host}")),
    ]


def same_by_rule(first: str, second: str) -> bool:
    """Whether usual steps make two names equal: compatibility normalisation, case, blanks, invisible characters."""
    return _canonical(first) == _canonical(second)


def _canonical(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).casefold().replace("ı", "i").replace("i\u0307", "i")
    kept = "".join(
        character
        for character in text.partition("\0")[0]
        if not character.isspace() and unicodedata.category(character) not in {"Cf", "Cc"}
    )
    return kept.rstrip(".")
