"""A site that stands below a prefix and sends every other path there: what is usual is looked for beside the login."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

from discovery_people import Store
from fastapi import Depends, FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from auth_conformance.credentials import Kind
from auth_conformance.discovery.doors import usual_paths
from auth_conformance.discovery.entrances import guessed_attempts
from auth_conformance.discovery.knowledge import Knowledge
from auth_conformance.settings import load
from auth_conformance.transports.message import RawReply

PAGE = '<form method="post" action="{}"><input name="username"><input name="password" type="password"></form>'


def site() -> FastAPI:
    app, store = FastAPI(openapi_url=None), Store()

    def caller(request: Request) -> str:
        name = store.owner(request.cookies.get("lab"))
        if name is None:
            raise HTTPException(403, "no")
        return name

    Caller = Annotated[str, Depends(caller)]

    @app.get("/lab/login")
    def form() -> HTMLResponse:
        return HTMLResponse(PAGE.format("/lab/login?next="))

    @app.post("/lab/login")
    def login(username: Annotated[str, Form()] = "", password: Annotated[str, Form()] = "") -> Response:
        token = store.log_in(username, password, raising=False)
        if not token:
            return HTMLResponse(PAGE.format("/lab/login") + "wrong", 403)
        response = RedirectResponse("/lab/start", 302)
        response.set_cookie("lab", token, path="/lab/", httponly=True)
        return response

    @app.get("/lab/")
    def front() -> RedirectResponse:
        return RedirectResponse("/lab/login", 302)

    @app.get("/lab/start")
    def start(request: Request) -> Response:
        known = store.owner(request.cookies.get("lab"))
        return RedirectResponse("/lab/bench/1" if known else "/lab/login", 302)

    @app.get("/lab/api/user")
    def user(name: Caller) -> dict[str, str]:
        return {"name": name}

    @app.get("/lab/{path:path}")
    @app.post("/lab/{path:path}")
    def nothing(path: str) -> Response:
        raise HTTPException(404, f"no {path}")

    @app.get("/{path:path}")
    @app.post("/{path:path}")
    def elsewhere(path: str) -> RedirectResponse:
        return RedirectResponse(f"/lab/{path}", 302)

    return app


def test_what_is_usual_is_found_below_the_prefix_of_the_login(learn: Any) -> None:
    target = learn(site(), kind="url").target
    assert [(item.operation.name, item.carrier.kind) for item in target.logins] == [
        ("POST /lab/login", Kind.COOKIE)
    ]
    assert target.witness is not None
    assert (target.witness.operation.name, target.witness.identity) == ("GET /lab/api/user", "/name")


def test_usual_paths_begin_beside_the_login() -> None:
    found = usual_paths("witness", ["/rest/v2/auth/login"])
    assert found.index("/rest/v2/auth/me") < found.index("/rest/v2/me") < found.index("/me")
    assert "/rest/v2/auth/auth/me" not in found
    assert not any("/auth/api/" in path for path in usual_paths("witness", ["/api/auth/login"]))


def test_the_action_of_a_form_is_found_below_an_address_with_a_path(tmp_path: Path) -> None:
    actions = ("/lab/login?next=", "https://lab.example/lab/login", "login", "")

    class Site:
        """The page of a login, whose form sends to one of `actions`."""

        action = ""

        async def insist(self, *_: object, **__: object) -> Any:
            reply = RawReply(403, (("content-type", "text/html"),), PAGE.format(self.action).encode())
            return type("Sent", (), {"reply": reply})

        ask = insist

        def exists(self, *_: object) -> bool:
            return True

        async def call(self, *_: object, **__: object) -> RawReply:
            return RawReply(404)

    for action in actions:
        Site.action = action
        known = Knowledge(load({}, start=tmp_path), "url", "https://lab.example/lab")
        scout: Any = Site()
        attempts = asyncio.run(guessed_attempts(scout, known, "alice"))
        assert attempts[0].operation.path == "/login", action
