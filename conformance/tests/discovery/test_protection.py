"""What changes need beside the session cookie, as services of many makes ask for it."""

import secrets
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from discovery_people import Store
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.security import APIKeyCookie, OAuth2PasswordBearer
from pydantic import BaseModel

from auth_conformance.model import Need

Ask = Callable[[Request, str], bool]


class Person(BaseModel):
    handle: str
    passphrase: str


class Newcomer(Person):
    full_name: str


class Leaf(BaseModel):
    heading: str


def notebook(
    ask: Ask,
    *,
    cookie: str = "",
    csrf_path: str = "",
    header: str = "",
    logout_only: bool = False,
    granted: str = "",
) -> FastAPI:
    """Sign-up and login under names of their own; `ask` says whether a change is meant, or only a logout."""
    app, store = FastAPI(), Store()
    if granted:
        app.add_middleware(
            CORSMiddleware, allow_origins=["https://leaves.example"], allow_headers=["X-Trace", granted]
        )
    leaves: dict[str, tuple[str, str]] = {}
    tokens: dict[str, str] = {}
    scheme = APIKeyCookie(name="nb", auto_error=False)

    def caller(sid: Annotated[str | None, Depends(scheme)]) -> str:
        name = store.owner(sid)
        if name is None:
            raise HTTPException(401, "no")
        return name

    def meant(request: Request, name: Annotated[str, Depends(caller)]) -> str:
        if not ask(request, tokens[request.cookies["nb"]]):
            raise HTTPException(403, "not from here")
        return name

    @app.post("/v1/auth/enrol", status_code=201)
    def enrol(who: Newcomer) -> dict[str, str]:
        store.people[who.handle] = who.passphrase
        return {"handle": who.handle}

    @app.post("/v1/auth/sign-in")
    def sign_in(who: Person, response: Response) -> dict[str, bool]:
        sid = store.log_in(who.handle, who.passphrase)
        tokens[sid] = secrets.token_hex(12)
        response.set_cookie("nb", sid, httponly=True)
        if cookie:
            response.set_cookie(cookie, tokens[sid])
        if header:
            response.headers[header] = tokens[sid]
        return {"ok": True}

    if csrf_path:

        @app.get(csrf_path)
        def token(request: Request, _: Annotated[str, Depends(caller)]) -> dict[str, str]:
            return {"csrfToken": tokens[request.cookies["nb"]]}

    @app.get("/v1/account")
    def account(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"handle": name}

    if logout_only:

        @app.delete("/v1/auth/session", status_code=204)
        def sign_out(request: Request, _: Annotated[str, Depends(meant)]) -> None:
            del store.sessions[request.cookies["nb"]]

    writer = Depends(caller if logout_only else meant)

    @app.post("/v1/leaves", status_code=201)
    def create(leaf: Leaf, name: Annotated[str, writer]) -> dict[str, str]:
        leaf_id = secrets.token_hex(8)
        leaves[leaf_id] = (name, leaf.heading)
        return {"leafId": leaf_id, "heading": leaf.heading}

    @app.get("/v1/leaves/{leafId}")
    def read(leafId: str, name: Annotated[str, Depends(caller)]) -> dict[str, str]:  # noqa: N803 - as services write it
        if leaves.get(leafId, ("", ""))[0] != name:
            raise HTTPException(404, "no")
        return {"leafId": leafId, "heading": leaves[leafId][1]}

    return app


SHAPES: list[tuple[str, str, dict[str, Any], Ask]] = [
    (
        "cookie nb_guard",
        "X-nb-guard",
        {"cookie": "nb_guard"},
        lambda request, token: request.headers.get("x-nb-guard") == request.cookies.get("nb_guard") == token,
    ),
    (
        "/csrfToken",
        "X-CSRF-Token",
        {"csrf_path": "/v1/auth/csrf"},
        lambda request, token: request.headers.get("x-csrf-token") == token,
    ),
    (
        "header x-csrf",
        "X-CSRF",
        {"header": "X-CSRF"},
        lambda request, token: request.headers.get("x-csrf") == token,
    ),
    (
        "cookie nb_csrf",
        "X-Notebook-Csrf",
        {"cookie": "nb_csrf", "granted": "X-Notebook-Csrf"},
        lambda request, token: request.headers.get("x-notebook-csrf") == token,
    ),
    (
        "value XMLHttpRequest",
        "X-Requested-With",
        {},
        lambda request, _: request.headers.get("x-requested-with") == "XMLHttpRequest",
    ),
]


@pytest.mark.parametrize(("place", "header", "knobs", "ask"), SHAPES, ids=[item[0] for item in SHAPES])
def test_what_a_change_needs_is_found(
    learn: Any, place: str, header: str, knobs: dict[str, Any], ask: Ask
) -> None:
    target = learn(notebook(ask, **knobs), accounts={}).target
    login = target.logins[0]
    assert (login.csrf, login.csrf_header.lower()) == (place, header.lower())
    assert target.objects is not None
    assert target.objects.identifier == "/leafId"
    assert target.register is not None
    assert (target.register.operation.path, target.register.user_field) == ("/v1/auth/enrol", "handle")


def test_what_only_the_logout_needs_is_found(learn: Any) -> None:
    place, header, more, ask = SHAPES[1]
    target = learn(notebook(ask, **more, logout_only=True), accounts={}).target
    (login,) = target.logins
    assert (login.csrf, login.csrf_header) == (place, header)
    assert target.objects is not None, "which needs nothing of it"
    assert [(item.operation.name, item.provenance.value) for item in target.logouts] == [
        ("DELETE /v1/auth/session", "observed")
    ]


def test_nothing_is_added_where_the_session_suffices(learn: Any) -> None:
    target = learn(notebook(lambda *_: True), accounts={}).target
    assert target.objects is not None
    assert not target.logins[0].csrf_header


def test_a_header_that_is_the_same_for_everybody_is_no_token(learn: Any) -> None:
    ask = SHAPES[-1][3]
    target = learn(notebook(ask), accounts={}).target
    assert not target.logins[0].secret_proof
    guarded = learn(notebook(SHAPES[1][3], csrf_path="/v1/auth/csrf"), accounts={}).target
    assert guarded.logins[0].secret_proof
    assert guarded.logins[0].csrf_from is not None


def test_a_header_that_nothing_names_is_asked_for(learn: Any) -> None:
    ask: Ask = lambda request, token: request.headers.get("x-leaves-of-grass") == token  # noqa: E731 - one of many
    lines = learn(notebook(ask, cookie="nb_csrf"), accounts={}).target.remedies[Need.OBJECTS]
    assert 'operation = "POST /v1/auth/sign-in"' in lines
    assert 'csrf = "cookie nb_csrf"' in lines
    assert "put the header here that POST /v1/leaves wants" in lines


@pytest.mark.parametrize("named", [True, False])
def test_a_refusal_of_what_does_not_fit_is_none_for_want_of_a_token(learn: Any, *, named: bool) -> None:
    """It names what does not fit; or programs, which need no such token, are told the same."""
    app, store = FastAPI(), Store()

    def caller(
        sid: Annotated[str | None, Depends(APIKeyCookie(name="sid", auto_error=False))],
        token: Annotated[str | None, Depends(OAuth2PasswordBearer(tokenUrl="login", auto_error=False))],
    ) -> str:
        name = store.owner(sid or token)
        if name is None:
            raise HTTPException(401, "no")
        return name

    @app.post("/login")
    def login(who: Person, response: Response) -> dict[str, str]:
        response.set_cookie("sid", store.log_in(who.handle, who.passphrase))
        return {} if named else {"access_token": store.log_in(who.handle, who.passphrase)}

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"handle": name}

    @app.post("/leaves")
    def write(leaf: Leaf, name: Annotated[str, Depends(caller)]) -> None:
        if not named:
            raise HTTPException(400, "no book")
        raise RequestValidationError([{"type": "missing", "loc": ("query", "book"), "msg": "Field required"}])

    @app.get("/leaves/{leaf_id}")
    def read(leaf_id: int, name: Annotated[str, Depends(caller)]) -> Leaf:
        return Leaf(heading=name)

    target = learn(app).target
    assert target.witness is not None
    assert not [fact for fact in target.facts if fact.name == "CSRF"]
    assert "csrf" not in "".join(target.remedies.values())
