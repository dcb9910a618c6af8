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
    },
)
# Where applications keep such operations without telling in the document: first segments below a prefix.
GUESSES = ("admin", "admin/users", "admin/stats", "admin/config", "administration", "superuser", "backoffice")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def role_word(texts: Iterable[str]) -> str | None:
    """Return the first word in the texts that names a role above ordinary users; None when none does."""
    for text in texts:
        for found in _WORD.finditer(text):
            word = found[0].lower()
            if word in ROLE_WORDS:
                return word
    return None
