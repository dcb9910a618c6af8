"""A FastAPI service behind a prefix that it does not know it has: a gateway sends it /backend, and `root_path` says so.

A login is HTTP Basic at one operation, which starts a session: Starlette's SessionMiddleware keeps everything in
a signed cookie, so that nothing ever ends before its time. Slashes at the end are redirected away with 307.
"""

import secrets
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import APIKeyCookie, HTTPBasic, HTTPBasicCredentials
from pydantic import BaseModel
from starlette.middleware.sessions import SessionMiddleware
from zoo.people import PEOPLE, Book, Brake

PREFIX = "/backend"


class Bookmark(BaseModel):
    address: str
    comment: str = ""


class Stored(Bookmark):
    number: int


def create_app() -> Any:
    book, brake = Book(PEOPLE), Brake()
    shelves: dict[str, dict[int, Stored]] = {}
    app = FastAPI(title="Bookmarks")
    app.add_middleware(
        SessionMiddleware,
        secret_key=secrets.token_hex(32),
        session_cookie="bookmarks",
        max_age=3600,
        https_only=True,
    )
    basic = HTTPBasic(realm="bookmarks", auto_error=False)
    cookie = APIKeyCookie(name="bookmarks", auto_error=False)

    def reader(request: Request, _: Annotated[str | None, Depends(cookie)]) -> str:
        name = request.session.get("name")
        if not isinstance(name, str):
            raise HTTPException(
                401, "Open a session first", {"WWW-Authenticate": 'Session realm="bookmarks"'}
            )
        return name

    Reader = Annotated[str, Depends(reader)]

    @app.post("/session/", tags=["session"], status_code=204)
    def open_session(request: Request, pair: Annotated[HTTPBasicCredentials | None, Depends(basic)]) -> None:
        wait = brake.wait(pair.username) if pair else 0
        if wait:
            raise HTTPException(429, "Too many attempts", {"Retry-After": str(wait)})
        if pair is None or not book.check(pair.username, pair.password):
            if pair is not None:
                brake.wrong(pair.username)
            raise HTTPException(
                401, "Wrong name or password", {"WWW-Authenticate": 'Basic realm="bookmarks"'}
            )
        brake.right(pair.username)
        request.session.clear()
        request.session["name"] = pair.username

    @app.delete("/session/", tags=["session"], status_code=204)
    def close_session(request: Request, name: Reader) -> None:
        request.session.clear()

    @app.get("/session/", tags=["session"])
    def show_session(name: Reader) -> dict[str, str]:
        return {"reader": name}

    @app.get("/bookmarks/", tags=["bookmarks"])
    def index(name: Reader) -> list[Stored]:
        return list(shelves.get(name, {}).values())

    @app.post("/bookmarks/", tags=["bookmarks"], status_code=201)
    def add(body: Bookmark, name: Reader) -> Stored:
        shelf = shelves.setdefault(name, {})
        stored = Stored(**body.model_dump(), number=secrets.randbelow(10**9))
        shelf[stored.number] = stored
        return stored

    def own(number: int, name: str) -> Stored:
        found = shelves.get(name, {}).get(number)
        if found is None:
            raise HTTPException(404, "Not Found")
        return found

    @app.get("/bookmarks/{number}", tags=["bookmarks"])
    def one(number: int, name: Reader) -> Stored:
        return own(number, name)

    @app.delete("/bookmarks/{number}", tags=["bookmarks"], status_code=204)
    def remove(number: int, name: Reader) -> Response:
        del shelves[name][own(number, name).number]
        return Response(status_code=204)

    @app.get("/about", tags=["about"])
    def about() -> dict[str, str]:
        return {"name": "Bookmarks"}

    async def gateway(scope: Any, receive: Any, send: Any) -> None:
        """Routes /backend to the service, tells it so, and knows nothing else."""
        if scope["type"] != "lifespan" and not scope["path"].startswith(f"{PREFIX}/"):
            await Response("default backend - 404", 404, media_type="text/plain")(scope, receive, send)
            return
        await app({**scope, "root_path": PREFIX}, receive, send)

    return gateway
