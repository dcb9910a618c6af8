"""The front desk of a small service: people log in and are known by a bearer token afterwards."""

import secrets
from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE

Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


class Person(BaseModel):
    username: str
    password: str


def front_desk(
    app: FastAPI,
    *,
    me: str = "/me",
    people: Mapping[str, str] = PEOPLE,
    more: Callable[[str], dict[str, object]] = lambda _: {},
) -> Callable[[Bearer], str]:
    """Let `app` have a login and, at `me`, a page that names its caller and says `more` of them.

    Returns the dependency that gives the name.
    """
    logins: dict[str, str] = {}

    def caller(bearer: Bearer) -> str:
        if bearer.credentials not in logins:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        return logins[bearer.credentials]

    @app.post("/login")
    def login(who: Person) -> dict[str, str]:
        if people.get(who.username) != who.password:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        token = secrets.token_urlsafe(24)
        logins[token] = who.username
        return {"access_token": token}

    @app.get(me)
    def page(name: Annotated[str, Depends(caller)]) -> dict[str, object]:
        return {"username": name, **more(name)}

    return caller
