"""The front desk of a small service: people log in and are known by a bearer token afterwards."""

import math
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint

Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


class Person(BaseModel):
    username: str
    password: str


class Sessions(dict[str, str]):
    """Whose each value is that a login gave; `people` are those who may log in, with their passwords."""

    def __init__(self, people: Mapping[str, str] = PEOPLE) -> None:
        super().__init__()
        self.people = people

    def opened(self, who: Person) -> str:
        """A new value for who gives the right password; else 401."""
        if self.people.get(who.username) != who.password:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        value = secrets.token_urlsafe(24)
        self[value] = who.username
        return value


def front_desk(
    app: FastAPI,
    *,
    me: str = "/me",
    people: Mapping[str, str] = PEOPLE,
    entry: type[Person] = Person,
    more: Callable[[str], dict[str, object]] = lambda _: {},
) -> Callable[[Bearer], str]:
    """Let `app` have a login that takes an `entry` and, at `me`, a page that names its caller and says `more` of them.

    Returns the dependency that gives the name.
    """
    logins = Sessions(people)

    def caller(bearer: Bearer) -> str:
        if bearer.credentials not in logins:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        return logins[bearer.credentials]

    @app.post("/login")
    def login(who: entry) -> dict[str, str]:
        return {"access_token": logins.opened(who)}

    @app.get(me)
    def page(name: Annotated[str, Depends(caller)]) -> dict[str, object]:
        return {"username": name, **more(name)}

    return caller


def ban(app: FastAPI, endured: int, *, tells_apart: bool = True, lasts: float = math.inf) -> None:
    """After so many refusals an address gets a page and 403 for everything; or every address does (fail2ban).

    Where a ban counts seconds, this one `lasts` for so many requests, so that a test does not depend on the clock.
    """
    refused, shown_out = Counter[str](), Counter[str]()

    async def shut(request: Request, call_next: RequestResponseEndpoint) -> Response:
        caller = request.client.host if request.client and tells_apart else "all"
        if refused[caller] >= endured and shown_out[caller] >= lasts:
            refused[caller] = shown_out[caller] = 0
        if refused[caller] >= endured:
            shown_out[caller] += 1
            return Response("<h1>Forbidden</h1>", 403, media_type="text/html")
        response = await call_next(request)
        refused[caller] += response.status_code == 401
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=shut)
