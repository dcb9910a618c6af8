"""People with passwords and sessions, for applications of a few lines."""

import secrets
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel

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


class Credentials(BaseModel):
    username: str
    password: str


def bearer_of(store: Store, scheme: Any = None, *, challenge: bool = False) -> Any:
    """The dependency that gives the name of who holds a token; with a `challenge` its refusals say what is wanted."""
    scheme = scheme or OAuth2PasswordBearer(tokenUrl="login", auto_error=False)

    def caller(token: Annotated[str | None, Depends(scheme)]) -> str:
        name = store.owner(token)
        if name is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"} if challenge else None)
        return name

    return Depends(caller)


def let_in(app: FastAPI, store: Store, known_caller: Any, path: str = "/login") -> None:
    """A login by JSON and a page that names its caller: what a test about something else needs of a service."""

    @app.post(path)
    def login(body: Credentials) -> dict[str, str]:
        return {"access_token": store.log_in(body.username, body.password)}

    @app.get("/me")
    def me(name: Annotated[str, known_caller]) -> dict[str, str]:
        return {"username": name}
