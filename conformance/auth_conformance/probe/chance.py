"""Values by chance: words, passwords and canaries, and credentials that are wrong in a given way."""

from __future__ import annotations

import random
import secrets
import string
from typing import TYPE_CHECKING

from auth_conformance.probe.answers import Missing

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential, Jwt


class Chance:
    """Chance comes from `rng`, which run and code seed: the same run makes the same values, canaries excepted."""

    rng: random.Random

    def jwt_of(self, credential: Credential) -> Jwt:
        """The token in a credential. Raises Missing when it is opaque."""
        token = credential.jwt
        if token is None:
            raise Missing(
                "Not applicable: the tokens of this service are opaque, not JWTs.", applicable=False
            )
        return token

    def respelled(self, text: str) -> list[tuple[str, str]]:
        """`text` with one character changed at the start, in the middle and at the end, each with its place."""
        places = {"first": 0, "middle": len(text) // 2, "last": len(text) - 1}
        return [
            (place, text[:index] + self._another(text[index]) + text[index + 1 :])
            for place, index in places.items()
            if self._another(text[index]) != text[index]
        ]

    def bland(self, credential: Credential) -> Credential:
        """A wrong credential of the same shape: each letter, digit and sign replaced by another of its kind."""
        return credential.with_value(
            "".join(self._another(character) for character in credential.value.reveal())
        )

    def _another(self, character: str) -> str:
        for alphabet in (string.ascii_lowercase, string.ascii_uppercase, string.digits):
            if character in alphabet:
                return self.rng.choice(alphabet.replace(character, ""))
        return character

    def word(self, length: int) -> str:
        """Random lower-case letters from the check's own chance."""
        return "".join(self.rng.choice(string.ascii_lowercase) for _ in range(length))

    def password(self) -> str:
        """A password that any sane policy takes: 20 characters of four kinds, with a canary in it."""
        return f"{self.canary()}-Q{self.rng.randrange(10, 99)}"

    def canary(self) -> str:
        """Sixteen random characters that occur nowhere by chance: from the system, not from the seed."""
        alphabet = string.ascii_letters + string.digits
        return "".join(secrets.choice(alphabet) for _ in range(16))
