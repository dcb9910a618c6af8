"""Which operations a document says are for administrators, by the words it uses about them."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Words that name a role above ordinary users wherever they stand. `staff`, `internal`, `manage` and the like are
# not here: too many services use them for what every user may do.
ROLE_WORDS = frozenset(
    {
        "admin",
        "admins",
        "administer",
        "administration",
        "administrative",
        "administrator",
        "administrators",
        "backoffice",
        "superadmin",
        "superuser",
        "superusers",
        "sysadmin",
        *("administración", "administracion", "administrador", "administradores", "administradora"),
        *("administração", "administracao", "administrateur", "administrateurs"),
        *("administratoren", "verwaltung", "amministratore", "amministratori", "amministrazione"),
        *("beheerder", "beheerders"),
    },
)
# Words beside which a sentence reserves an operation for somebody: a role is merely mentioned elsewhere in it.
_ONLY = (
    r"(?:only|restricted|requires?|solo|sólo|solamente|reservado|nur|uniquement|réservé|somente|apenas"
    r"|soltanto|alleen)"
)
_ASIDE = re.compile(r"[(\[]([^()\[\]]{1,60})[)\]]")
_RESERVED = re.compile(
    rf"\b{_ONLY}\b\W+(?:(?:to|for|by|an?|the|para|la|el|los|las|für|aux?|les|a|per|voor)\W+){{0,2}}(\w+)"
    r"|\b(\w+)\W+(?:role\W+)?only\b",
    re.IGNORECASE,
)
# Where applications keep such operations without telling in the document: first segments below a prefix.
GUESSES = ("admin", "admin/users", "admin/stats", "admin/config", "administration", "superuser", "backoffice")
_WORD = re.compile(r"[A-Z]?[a-zß-öø-ÿ]+|[A-Z]+(?![a-z])|\d+")


def role_word(texts: Iterable[str]) -> str | None:
    """Return the first word in the texts that names a role above ordinary users; None when none does."""
    for text in texts:
        for found in _WORD.finditer(text):
            word = found[0].lower()
            if word in ROLE_WORDS:
                return word
    return None


def reserved_for(summary: str) -> str | None:
    """The role that a summary reserves its operation for: `List accounts (admin)`, `Administrators only: …`."""
    said = [*_ASIDE.findall(summary), *(word for pair in _RESERVED.findall(summary) for word in pair if word)]
    return role_word(said)
