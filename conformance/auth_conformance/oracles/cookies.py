"""Set-Cookie lines taken apart as RFC 6265bis §5.6 orders it, without the semantics of a jar."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SetCookie:
    """One cookie as sent: attribute names in lower case, first to last; later ones win (RFC 6265bis)."""

    name: str
    value: str
    attributes: tuple[tuple[str, str], ...] = ()

    def attribute(self, name: str) -> str | None:
        """The last value of that attribute, "" when it has none, None when it is absent."""
        found = [value for key, value in self.attributes if key == name.lower()]
        return found[-1] if found else None

    @property
    def secure(self) -> bool:
        """Whether browsers send it over https only."""
        return self.attribute("secure") is not None

    @property
    def http_only(self) -> bool:
        """Whether scripts cannot read it."""
        return self.attribute("httponly") is not None

    @property
    def same_site(self) -> str | None:
        """`lax`, `strict`, `none`, another word, or None when absent."""
        value = self.attribute("samesite")
        return None if value is None else value.lower()


def parse_set_cookie(line: str) -> SetCookie | None:
    """Take one Set-Cookie header value apart; None for what a browser ignores (RFC 6265bis §5.6)."""
    pair, _, rest = line.partition(";")
    name, equals, value = pair.partition("=")
    if not equals:
        name, value = "", pair
    name, value = name.strip(" \t"), value.strip(" \t")
    if not name and not value:
        return None
    attributes = []
    for part in rest.split(";") if rest else []:
        key, _, text = part.partition("=")
        if key.strip(" \t"):
            attributes.append((key.strip(" \t").lower(), text.strip(" \t")))
    return SetCookie(name, value, tuple(attributes))
