"""The two people whom every service knows, and what the services that keep their state in memory share.

The services differ in shape, not in craft: passwords are Argon2id hashes, sessions are stored as digests,
and an unknown name costs as much as a wrong password.
"""

import hashlib
import secrets
import time
from collections.abc import Mapping

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

PEOPLE: Mapping[str, str] = {"alice": "alice-Tangerine-Lagoon-41", "bob": "bob-Velvet-Harbour-87"}
# Random, on no word list, and the same in every worker process.
SIGNING_SECRET = "b7f3c1a9e05d4826937f1c64da80be52c9417e6f0a3d58b2"

_LONGEST_PASSWORD = 256


class PasswordBook:
    """Names with password hashes."""

    def __init__(self, people: Mapping[str, str]) -> None:
        self._hasher = PasswordHash((Argon2Hasher(),))
        self._hashes = {name: self._hasher.hash(password) for name, password in people.items()}
        self._nobody = self._hasher.hash(secrets.token_hex())

    def accepts(self, name: str, password: str) -> bool:
        """Whether this is the person's password; unknown names take as long as known ones."""
        try:
            sane = len(password.encode()) <= _LONGEST_PASSWORD
        except UnicodeEncodeError:  # a lone surrogate can stand in JSON
            sane = False
        correct = self._hasher.verify(password if sane else "", self._hashes.get(name, self._nobody))
        return correct and sane and name in self._hashes


class FailureLimit:
    """Counts wrong passwords per name: after ten within a minute even the right one has to wait."""

    def __init__(self, allowed: int = 10, window: float = 60.0) -> None:
        self._allowed = allowed
        self._window = window
        self._failures: dict[str, list[float]] = {}

    def wait(self, name: str) -> int:
        """Seconds until the next attempt is heard; 0 is at once."""
        now = time.time()
        recent = [moment for moment in self._failures.get(name, []) if now - moment < self._window]
        if len(recent) < self._allowed:
            return 0
        return int(self._window - (now - recent[0])) + 1

    def failed(self, name: str) -> None:
        now = time.time()
        recent = [moment for moment in self._failures.get(name, []) if now - moment < self._window]
        self._failures[name] = [*recent, now]

    def succeeded(self, name: str) -> None:
        self._failures.pop(name, None)


class Sessions:
    """Opaque tokens of half an hour, stored as digests."""

    def __init__(self, lifetime: float = 1800.0) -> None:
        self.lifetime = lifetime
        self._sessions: dict[str, tuple[str, float]] = {}

    def open(self, name: str) -> str:
        token = secrets.token_urlsafe(32)
        self._sessions[_digest(token)] = (name, time.time() + self.lifetime)
        return token

    def owner(self, token: str | None) -> str | None:
        if token is None:
            return None
        name, end = self._sessions.get(_digest(token), (None, 0.0))
        return name if time.time() < end else None

    def close(self, token: str) -> None:
        self._sessions.pop(_digest(token), None)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
