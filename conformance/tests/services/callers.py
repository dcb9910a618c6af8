"""What small services of the tests share: a page that names its caller."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

Given = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


def names_its_caller(app: FastAPI, sessions: Mapping[str, str]) -> None:
    """Add `GET /me`, which names whose token it was given; `sessions` holds a name for each token that is alive."""

    @app.get("/me")
    async def me(given: Given) -> dict[str, str]:
        if given is None or given.credentials not in sessions:
            raise HTTPException(401, "log in", {"WWW-Authenticate": "Bearer"})
        return {"username": sessions[given.credentials]}
