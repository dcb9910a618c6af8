"""One generated attack: what is presented, how it is told, and whether it may be let in all the same."""

from __future__ import annotations

from dataclasses import dataclass

from auth_conformance.credentials import Credential, SigningKey
from auth_conformance.model import Severity

Headers = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True)
class Attack:
    """What to send, in the place of a credential.

    `says` is the counterexample as people read it. A `lawful` attack may be accepted by the protocol (another
    spelling of the same bytes, a scheme word in lower case): for it only a crash counts. `severity` restates
    the rule's.
    """

    says: str
    headers: Headers = ()
    query: tuple[tuple[str, str], ...] = ()
    lawful: bool = False
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """What attacks are made from: a live credential, another user's, the signing key, times, who may be meant."""

    live: Credential
    other: Credential | None = None
    key: SigningKey | None = None
    now: float = 0.0
    leeway: float = 60.0

    @property
    def text(self) -> str:
        """The live credential's text."""
        return self.live.value.reveal()

    def bearing(self, value: str) -> tuple[Headers, tuple[tuple[str, str], ...]]:
        """Headers and query that carry `value` as the live credential is carried."""
        credential = self.live.with_value(value)
        # A CSRF token in the body is none of them.
        headers = tuple(pair for pair in credential.headers if not pair[0].startswith("body "))
        return headers, credential.query
