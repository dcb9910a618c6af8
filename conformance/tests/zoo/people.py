"""The two people whom every service of the zoo knows, and three tools that its authors borrowed.

What is alike in all services is only what nobody should write twice: password hashes, opaque tokens and a
limit on guessing. Everything that a tester sees is each service's own.
"""

import hashlib
import hmac
import secrets
import time

PEOPLE = {"alice": "alice-Tangerine-Lagoon-41", "bob": "bob-Velvet-Harbour-87"}
MAIL = {f"{name}@example.com": password for name, password in PEOPLE.items()}
_ROUNDS = 20_000  # a real service takes thirty times as many; the zoo is started on every test run
_LONGEST = 512


class Book:
    """Names with salted password hashes; an unknown name costs as much as a wrong password."""

    def __init__(self, people: dict[str, str]) -> None:
        self._entries = {}
        self._nobody = self._made(secrets.token_hex())
        for name, password in people.items():
            self.add(name, password)

    @staticmethod
    def _made(password: str, salt: bytes = b"") -> tuple[bytes, bytes]:
        salt = salt or secrets.token_bytes(16)
        return salt, hashlib.pbkdf2_hmac("sha256", password.encode("utf-8", "replace"), salt, _ROUNDS)

    def add(self, name: str, password: str) -> None:
        self._entries[name] = self._made(password)

    def drop(self, name: str) -> None:
        self._entries.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def check(self, name: object, password: object) -> bool:
        if not isinstance(name, str) or not isinstance(password, str):
            name, password = "", ""
        salt, digest = self._entries.get(name, self._nobody)
        same = hmac.compare_digest(self._made(password[:_LONGEST], salt)[1], digest)
        return same and name in self._entries and len(password) <= _LONGEST


class Tokens:
    """Opaque tokens, kept as digests, each with its owner and its end."""

    def __init__(self, lifetime: float = 1800.0) -> None:
        self.lifetime = lifetime
        self._kept: dict[str, tuple[str, float]] = {}

    def issue(self, owner: str, prefix: str = "") -> str:
        token = prefix + secrets.token_urlsafe(32)
        self._kept[self._digest(token)] = (owner, time.time() + self.lifetime)
        return token

    def owner(self, token: str | None) -> str | None:
        name, end = self._kept.get(self._digest(token or ""), (None, 0.0))
        return name if time.time() < end else None

    def revoke(self, token: str | None) -> None:
        self._kept.pop(self._digest(token or ""), None)

    def revoke_all(self, owner: str) -> None:
        self._kept = {key: kept for key, kept in self._kept.items() if kept[0] != owner}

    @staticmethod
    def _digest(token: str) -> str:
        return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


class Brake:
    """How long a name has to wait after many wrong passwords, in whole seconds."""

    def __init__(self, allowed: int = 10, window: float = 30.0) -> None:
        self._allowed, self._window = allowed, window
        self._wrong: dict[str, list[float]] = {}

    def wait(self, name: str) -> int:
        recent = [moment for moment in self._wrong.get(name, []) if time.time() - moment < self._window]
        return 0 if len(recent) < self._allowed else int(self._window - (time.time() - recent[0])) + 1

    def wrong(self, name: str) -> None:
        self._wrong.setdefault(name, []).append(time.time())

    def right(self, name: str) -> None:
        self._wrong.pop(name, None)
