"""An intranet tool behind HTTP Basic, in FastAPI's own way (`HTTPBasic`).

`GET /whoami` names the caller, `GET|PUT /drawer` is each person's own text. Every request carries the
password. Start: `services.basic_app:create_app`; alice and bob exist.

True faults: no limit on wrong passwords; a session cannot be ended, there being none; private answers
without `no-store`; a lone surrogate in JSON is a 500 (FastAPI's own error page cannot write it).
"""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from pydantic import BaseModel, Field
from services.people import PEOPLE, PasswordBook


class Drawer(BaseModel):
    text: str = Field("", max_length=1000)


def create_app(*, people: Mapping[str, str] = PEOPLE) -> FastAPI:
    app = FastAPI(title="Intranet")
    passwords = PasswordBook(people)
    drawers: dict[str, Drawer] = {}

    def caller(credentials: Annotated[HTTPBasicCredentials, Depends(HTTPBasic(realm="intranet"))]) -> str:
        if not passwords.accepts(credentials.username, credentials.password):
            raise HTTPException(401, "Wrong name or password", {"WWW-Authenticate": 'Basic realm="intranet"'})
        return credentials.username

    authenticated = Annotated[str, Depends(caller)]

    @app.get("/whoami")
    def whoami(name: authenticated) -> dict[str, str]:
        return {"name": name}

    @app.get("/drawer")
    def look(name: authenticated) -> Drawer:
        return drawers.get(name, Drawer())

    @app.put("/drawer")
    def fill(drawer: Drawer, name: authenticated) -> Drawer:
        drawers[name] = drawer
        return drawer

    return app
