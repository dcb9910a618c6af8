"""People with passwords and sessions, for applications of a few lines."""

from __future__ import annotations

import secrets

from fastapi import HTTPException

PASSWORDS = {"alice": "alice-Tangerine-Lagoon-41", "bob": "bob-Velvet-Harbour-87"}


class Store:
    """Who may log in, who is logged in, and whose password was wrong how often."""

    def __init__(self, people: dict[str, str] | None = None) -> None:
        self.people = dict(PASSWORDS) if people is None else people
        self.sessions: dict[str, str] = {}
        self.wrong: list[str] = []
        self.phones: set[str] = set()

    def log_in(self, name: str, password: str, *, raising: bool = True) -> str:
        if self.people.get(name) != password:
            self.wrong.append(name)
            if raising:
                raise HTTPException(401, "wrong")
            return ""
        token = secrets.token_urlsafe(24)
        self.sessions[token] = name
        return token

    def owner(self, token: str | None) -> str | None:
        return self.sessions.get(token or "")
