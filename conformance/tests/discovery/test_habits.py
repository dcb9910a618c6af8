"""Habits of real services, each in an application of a few lines."""

import asyncio
import json
import secrets
import time
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import jwt
import pytest
from discovery_people import PASSWORDS, Credentials, Store, bearer_of, let_in
from fastapi import Body, Depends, FastAPI, Form, Header, HTTPException, Query, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery, HTTPBearer, OAuth2PasswordBearer
from pydantic import BaseModel, Field

from auth_conformance.credentials import Kind
from auth_conformance.discovery import asking, discover
from auth_conformance.discovery.locating import explained
from auth_conformance.discovery.tokens import csrf_header_named, csrf_pointer
from auth_conformance.model import Need, Provenance
from auth_conformance.settings import ConfigurationError, load
from auth_conformance.transports.http import HttpTransport
from auth_conformance.transports.recorder import Recorder
from auth_conformance.transports.redaction import Redactor


def test_a_form_whose_every_field_has_a_default(learn: Any) -> None:
    app, store = FastAPI(), Store()
    known_caller = bearer_of(store)

    @app.post("/auth/login")
    def login(username: Annotated[str, Form()] = "", password: Annotated[str, Form()] = "") -> dict[str, str]:
        return {"access_token": store.log_in(username, password)}

    @app.get("/me")
    def me(name: Annotated[str, known_caller]) -> dict[str, str]:
        return {"username": name}

    target = learn(app).target
    assert [login.encoding for login in target.logins] == ["form"]
    assert store.wrong == []


def test_a_single_page_fallback_is_no_answer(learn: Any) -> None:
    app, store = FastAPI(openapi_url=None), Store()

    @app.post("/api/auth/login")
    async def login(request: Request) -> dict[str, Any]:
        body = await request.json()
        return {"token": store.log_in(body.get("email", "").split("@")[0], body.get("password", ""))}

    @app.get("/api/me")
    def me(authorization: Annotated[str, Header()] = "") -> dict[str, Any]:
        name = store.owner(authorization.removeprefix("Token "))
        if name is None:
            raise HTTPException(403, "no")
        return {"user": {"email": f"{name}@example.com", "now": time.time()}}

    @app.get("/{path:path}")
    def page(path: str) -> HTMLResponse:
        return HTMLResponse("<!doctype html><title>App</title><div id=root></div>")

    @app.post("/{path:path}", include_in_schema=False)
    def nothing(path: str) -> JSONResponse:
        return JSONResponse({"detail": "Not Found"}, 404)

    accounts = {
        label: {"username": f"{name}@example.com", "password": {"env": f"PASSWORD_OF_{name.upper()}"}}
        for label, name in (("a", "alice"), ("b", "bob"))
    }
    target = learn(app, accounts, kind="url").target
    assert target.witness is not None
    assert (target.witness.operation.name, target.witness.identity) == ("GET /api/me", "/user/email")
    assert target.logins[0].user_field == "email"
    assert target.logins[0].carrier.prefix == "Token"
    assert not target.has_document
    assert [name for name in store.wrong if name in PASSWORDS] == []


def test_undeclared_security_read_from_a_header_by_hand(learn: Any) -> None:
    app, store = FastAPI(), Store()

    @app.post("/login")
    def login(body: Credentials) -> dict[str, Any]:
        return {
            "status": "ok",
            "result": {"tokens": {"access": {"token": store.log_in(body.username, body.password)}}},
        }

    @app.get("/whoami")
    def whoami(x_auth_token: Annotated[str | None, Header()] = None) -> dict[str, Any]:
        name = store.owner(x_auth_token)
        if name is None:
            raise HTTPException(401, "no")
        return {"status": "ok", "result": {"who": name, "at": time.time_ns(), "request": secrets.token_hex()}}

    target = learn(app).target
    assert target.logins[0].token == "/result/tokens/access/token"
    assert str(target.logins[0].carrier) == "header x-auth-token"
    assert target.witness is not None
    assert target.witness.identity == "/result/who"


@pytest.mark.parametrize("whole", [False, True], ids=["without data", "the same members for everybody"])
def test_refusals_that_are_200(learn: Any, *, whole: bool) -> None:
    app, store = FastAPI(), Store()
    nothing: dict[str, Any] = {"data": None} if whole else {}
    said = {"msg": "ok"} if whole else {}
    scheme = HTTPBearer(auto_error=False)

    @app.post("/login")
    def login(body: Credentials) -> dict[str, Any]:
        token = store.log_in(body.username, body.password, raising=False)
        return (
            {"code": 0, **said, "data": {"token": token}} if token else {"code": 7, "msg": "wrong", **nothing}
        )

    @app.get("/me")
    def me(token: Annotated[Any, Depends(scheme)]) -> dict[str, Any]:
        name = store.owner(token.credentials if token else None)
        return (
            {"code": 0, **said, "data": {"name": name}} if name else {"code": 401, "msg": "log in", **nothing}
        )

    target = learn(app).target
    assert target.witness is not None
    assert target.witness.identity == "/data/name"
    assert any('refusals = ["envelope"]' in fact.value for fact in target.facts)


def test_a_cookie_that_everybody_gets_is_no_credential(learn: Any) -> None:
    app, store = FastAPI(), Store()

    @app.middleware("http")
    async def visitor(request: Request, proceed: Any) -> Response:
        response: Response = await proceed(request)
        response.set_cookie("visitor", secrets.token_urlsafe(24))
        return response

    @app.post("/login")
    def login(body: Credentials, response: Response) -> dict[str, str]:
        response.set_cookie("sid", store.log_in(body.username, body.password), httponly=True, secure=True)
        return {"csrf_token": "c" * 20}

    @app.get("/me")
    def me(request: Request) -> dict[str, Any]:
        name = store.owner(request.cookies.get("sid"))
        if name is None:
            raise HTTPException(401, "no")
        return {"id": len(name), "login": name}

    target = learn(app).target
    assert [(item.cookie, item.carrier.kind, item.csrf) for item in target.logins] == [
        ("sid", Kind.COOKIE, "/csrf_token")
    ]
    assert target.witness is not None
    assert target.witness.identity == "/login"


def test_echoes_and_clocks_are_no_identity(learn: Any) -> None:
    app, store = FastAPI(), Store()
    scheme = OAuth2PasswordBearer(tokenUrl="login", auto_error=False)
    known_caller = bearer_of(store, scheme)

    @app.post("/login")
    def login(body: Credentials) -> dict[str, str]:
        return {"access_token": store.log_in(body.username, body.password)}

    @app.get("/debug")
    def debug(name: Annotated[str, known_caller], token: Annotated[str, Depends(scheme)]) -> dict[str, Any]:
        return {"id": token, "now": time.time_ns(), "name": secrets.token_hex(4)}

    target = learn(app).target
    assert target.witness is not None
    assert target.witness.identity == ""


def test_dangerous_gets_are_never_called(learn: Any) -> None:
    app, store = FastAPI(), Store()
    known_caller = bearer_of(store)
    called: list[str] = []

    @app.post("/login")
    def login(body: Credentials) -> dict[str, str]:
        return {"access_token": store.log_in(body.username, body.password)}

    for path in ("/auth/logout", "/reset-db", "/createDb", "/users/delete"):

        def handler(path: str = path) -> dict[str, str]:
            called.append(path)
            return {}

        app.get(path)(handler)

    @app.get("/me")
    def me(name: Annotated[str, known_caller]) -> dict[str, str]:
        return {"username": name}

    log = learn(app).names()
    assert "GET /me" in log
    assert not {"GET /reset-db", "GET /createDb", "GET /users/delete"} & set(log)


class NewUser(BaseModel):
    username: str = Field(min_length=3, max_length=20, pattern=r"^[a-z0-9]+$")
    email: str
    password: str = Field(min_length=8)
    password_confirm: str
    phone: str
    accept_terms: bool
    country: str = Field(pattern="^[A-Z]{2}$")


class Farewell(BaseModel):
    password: str
    confirm: bool


def registering(
    *, by_mail: bool = False, verified: bool = True, leave: tuple[str, str] | None = None
) -> tuple[FastAPI, Store]:
    """`leave` is by what people delete their account who are asked for the password; without it `DELETE /me` asks for
    nothing."""
    app, store = FastAPI(), Store({})
    known_caller = bearer_of(store)

    @app.post("/signup", status_code=201)
    def signup(new: NewUser) -> dict[str, str]:
        if new.password != new.password_confirm or not new.accept_terms or new.phone in store.phones:
            raise HTTPException(400, "no")
        store.phones.add(new.phone)
        store.people[new.email if by_mail else new.username] = new.password if verified else "nothing"
        return {"message": "welcome"}

    let_in(app, store, known_caller)

    def bye(name: Annotated[str, known_caller]) -> dict[str, str]:
        del store.people[name]
        return {}

    def farewell(body: Farewell, name: Annotated[str, known_caller]) -> dict[str, str]:
        if store.people[name] != body.password or not body.confirm:
            raise HTTPException(403, "wrong password")
        return bye(name)

    method, path = leave or ("DELETE", "/me")
    app.add_api_route(path, farewell if leave else bye, methods=[method])
    return app, store


@pytest.mark.parametrize("by_mail", [False, True])
def test_registration_with_everything_that_forms_ask_for(learn: Any, *, by_mail: bool) -> None:
    app, store = registering(by_mail=by_mail)
    target = learn(app, {}).target
    assert target.register is not None
    assert target.register.user_field == ("email" if by_mail else "username")
    assert target.accounts["a"].expendable
    assert "r4d2e1" in target.accounts["b"].username
    assert target.delete_account is not None
    assert len(store.people) == 2
    assert target.witness is not None
    assert target.witness.identity == "/username"


@pytest.mark.parametrize("leave", [("DELETE", "/me"), ("POST", "/account/close"), ("POST", "/me/delete")])
def test_who_deletes_an_account_is_asked_for_the_password(learn: Any, leave: tuple[str, str]) -> None:
    app, store = registering(leave=leave)
    target = learn(app, {}).target
    assert target.delete_account is not None
    assert target.delete_account.name == " ".join(leave)
    assert len(store.people) == 2, "the throw-away account is deleted"


def test_an_account_that_must_be_verified_first_is_said(learn: Any) -> None:
    app, _ = registering(verified=False)
    target = learn(app, {}).target
    assert target.register is None
    assert "cannot log in" in " ".join(fact.value for fact in target.facts)
    assert "[accounts.a]" in target.remedies[Need.REGISTER]


def test_a_wrong_password_is_one_sentence_and_few_tries(learn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    app, store = FastAPI(), Store()
    monkeypatch.setenv("WRONG", "not-the-Password-1")

    @app.post("/token")
    def form(username: Annotated[str, Form()] = "", password: Annotated[str, Form()] = "") -> dict[str, str]:
        return {"access_token": store.log_in(username, password)}

    @app.post("/login")
    def login(body: Credentials) -> dict[str, str]:
        return {"access_token": store.log_in(body.username, body.password)}

    @app.post("/api/session")
    def session(body: Credentials) -> dict[str, str]:
        return {"access_token": store.log_in(body.username, body.password)}

    with pytest.raises(ConfigurationError) as caught:
        learn(app, {"a": {"username": "alice", "password": {"env": "WRONG"}}})
    message = str(caught.value)
    assert "alice" in message
    assert "401" in message
    assert "WRONG" in message
    assert "not-the-Password-1" not in message
    assert "\n" not in message
    assert store.wrong.count("alice") <= 2


def test_the_second_account_may_not_be_wrong_either(learn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    app, store = registering()
    store.people.update(PASSWORDS)
    monkeypatch.setenv("WRONG", "not-the-Password-1")
    accounts = {
        "a": {"username": "alice", "password": {"env": "PASSWORD_OF_ALICE"}},
        "b": {"username": "bob", "password": {"env": "WRONG"}},
    }
    with pytest.raises(ConfigurationError, match=r"Account b \(bob\) cannot log in"):
        learn(app, accounts)


def test_nothing_to_begin_with_says_what_to_write(learn: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)no OpenAPI document.*\[\[login\]\]"):
        learn(FastAPI(openapi_url=None), {}, kind="url")


def test_one_account_alone_works(learn: Any) -> None:
    app, store = registering(verified=False)
    store.people.update(PASSWORDS)
    target = learn(app, {"a": {"username": "alice", "password": {"env": "PASSWORD_OF_ALICE"}}}).target
    assert target.witness is not None
    assert target.witness.identity == "/username"
    assert "b" not in target.accounts
    assert "[accounts.b]" in target.remedies[Need.TWO_USERS]


def test_a_document_behind_the_login(learn: Any) -> None:
    app, store = FastAPI(openapi_url=None), Store()
    known_caller = bearer_of(store)

    let_in(app, store, known_caller)

    @app.get("/openapi.json")
    def document(name: Annotated[str, known_caller]) -> dict[str, Any]:
        return app.openapi()

    target = learn(app, kind="url").target
    assert target.has_document
    assert Need.OPENAPI not in target.absent
    # What opened a door before the document could be read is what the document calls so.
    assert [carrier.scheme for carrier in target.carriers] == ["OAuth2PasswordBearer"]


def test_a_login_is_proved_by_the_document_behind_it(learn: Any) -> None:
    app, store = FastAPI(openapi_url=None), Store()
    known_caller = bearer_of(store)

    @app.post("/login")
    def login(body: Credentials) -> dict[str, str]:
        return {"access_token": store.log_in(body.username, body.password)}

    @app.get("/staff/card")
    def card(name: Annotated[str, known_caller]) -> dict[str, str]:
        return {"username": name}

    @app.get("/openapi.json")
    def document(name: Annotated[str, known_caller]) -> dict[str, Any]:
        return app.openapi()

    target = learn(app, kind="url").target
    assert target.witness is not None
    assert target.witness.operation.name == "GET /staff/card"
    assert target.logins[0].provenance is Provenance.OBSERVED
    assert target.logins[0].carrier.scheme == "OAuth2PasswordBearer"
    assert not [fact for fact in target.facts if fact.provenance is Provenance.GUESSED]


def test_mounted_applications_and_foreign_servers(learn: Any) -> None:
    store = Store()
    known_caller = bearer_of(store)
    inner = FastAPI(servers=[{"url": "https://api.example.com/"}])
    outer = FastAPI()
    outer.mount("/shop", inner)

    @inner.post("/login")
    def login(body: Credentials) -> dict[str, str]:
        return {"access_token": store.log_in(body.username, body.password)}

    @inner.get("/me")
    def me(name: Annotated[str, known_caller]) -> dict[str, str]:
        return {"username": name}

    lesson = learn(outer)
    assert lesson.target.witness is not None
    assert lesson.target.witness.operation.name == "GET /shop/me"
    assert lesson.target.witness.operation.source is not None
    assert lesson.target.logins[0].operation.name == "POST /shop/login"


def test_a_token_in_the_query_and_in_the_whole_body(learn: Any) -> None:
    app, store = FastAPI(), Store()

    @app.post("/login")
    def login(body: Credentials) -> str:
        return store.log_in(body.username, body.password)

    @app.get("/me")
    def me(token: Annotated[str, Depends(APIKeyQuery(name="auth", auto_error=False))] = "") -> dict[str, str]:
        name = store.owner(token)
        if name is None:
            raise HTTPException(401, "no")
        return {"username": name}

    target = learn(app).target
    assert str(target.logins[0].carrier) == "query auth"
    assert target.logins[0].token == ""


def test_a_login_that_says_wait(learn: Any) -> None:
    app, store = FastAPI(), Store()
    known_caller = bearer_of(store)
    first: list[float] = []

    @app.post("/login")
    def login(body: Credentials) -> Response:
        if not first:
            first.append(time.monotonic())
            return JSONResponse({"detail": "slow down"}, 429, {"Retry-After": "1"})
        assert time.monotonic() - first[0] > 0.9
        return JSONResponse({"access_token": store.log_in(body.username, body.password)})

    @app.get("/me")
    def me(name: Annotated[str, known_caller]) -> dict[str, str]:
        return {"username": name}

    assert learn(app).target.witness is not None


@pytest.mark.parametrize(("refusals", "told"), [(4, {}), (2, {"Retry-After": "0"}), (99, {})])
def test_a_login_that_is_limited_for_a_while(
    learn: Any, monkeypatch: pytest.MonkeyPatch, refusals: int, told: dict[str, str]
) -> None:
    monkeypatch.setattr(asking, "_STEPS", (0.01, 0.02, 0.03))
    app, store, asked = FastAPI(), Store(), list[int]()
    known_caller = bearer_of(store)

    @app.post("/login")
    def login(body: Credentials) -> Response:
        asked.append(1)
        if len(asked) <= refusals:
            return JSONResponse({"error": "Rate limit exceeded: 5 per 1 minute"}, 429, told)
        return JSONResponse({"access_token": store.log_in(body.username, body.password)})

    @app.get("/me")
    def me(name: Annotated[str, known_caller]) -> dict[str, str]:
        return {"username": name}

    if refusals == 99:
        with pytest.raises(ConfigurationError, match="It limits how often people log in"):
            learn(app)
        return
    target = learn(app).target
    assert {"a", "b"} <= target.accounts.keys()
    assert target.witness is not None
    limit = next((fact.value for fact in target.facts if fact.name == "login limit"), None)
    assert limit == ("POST /login answered 429: waited for 0.06 s" if not told else None)


def test_a_page_with_a_form_and_a_redirect(learn: Any) -> None:
    app, store = FastAPI(openapi_url=None), Store()

    @app.get("/login")
    def page() -> HTMLResponse:
        return HTMLResponse(
            '<form method="post" action="/login"><input type=hidden name="next" value="/dashboard">'
            '<input name="usr"><input name="pw" type="password"></form>'
        )

    @app.post("/login")
    def login(
        usr: Annotated[str, Form()], pw: Annotated[str, Form()], next_: Annotated[str, Form(alias="next")]
    ) -> Response:
        token = store.log_in(usr, pw, raising=False)
        if not token:
            return HTMLResponse("<form><input name=usr></form>wrong")
        response = RedirectResponse(next_, 303)
        response.set_cookie("session", token)
        return response

    @app.get("/me")
    def me(request: Request) -> Any:
        name = store.owner(request.cookies.get("session"))
        return {"name": name} if name else RedirectResponse("/login", 303)

    target = learn(app, kind="url").target
    assert (target.logins[0].user_field, target.logins[0].password_field) == ("usr", "pw")
    assert target.logins[0].template == {"next": "/dashboard"}
    assert target.witness is not None
    assert target.witness.identity == "/name"


def test_ready_made_tokens_open_what_needs_no_login(learn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    app, store = FastAPI(), Store()
    known_caller = bearer_of(store)
    monkeypatch.setenv("TOKEN_A", store.log_in("alice", PASSWORDS["alice"]))

    @app.get("/me")
    def me(name: Annotated[str, known_caller]) -> dict[str, str]:
        return {"username": name}

    target = learn(app, {"a": {"username": "alice", "token": {"env": "TOKEN_A"}}}).target
    assert target.witness is not None
    assert target.witness.identity == "/username"
    assert target.accounts["a"].ready.keys() == {Kind.BEARER}


def test_a_configuration_alone_is_enough(learn: Any) -> None:
    app, store = FastAPI(openapi_url=None), Store()

    @app.post("/x/7")
    async def login(request: Request) -> dict[str, Any]:
        body = await request.json()
        return {"a": [{"b": store.log_in(body["who"]["n"], body["what"])}]}

    @app.get("/x/8")
    def me(x_t: Annotated[str | None, Header()] = None, q: Annotated[str, Query()] = "") -> dict[str, Any]:
        name = store.owner((x_t or "").removeprefix("Zap "))
        if name is None:
            raise HTTPException(400, "no")
        return {"me": [name]}

    login_table = {
        "operation": "POST /x/7",
        "user_field": "/who/n",
        "password_field": "what",
        "token": "/a/0/b",
        "carrier": "header X-T Zap",
    }
    target = learn(
        app, kind="url", login=[login_table], witness={"operation": "GET /x/8", "identity": "/me/0"}
    ).target
    assert target.witness is not None
    assert target.witness.operation.name == "GET /x/8"
    assert str(target.logins[0].carrier) == "header X-T Zap"


def test_a_target_that_does_not_listen_is_one_sentence() -> None:
    address = "http://127.0.0.1:9"

    async def main() -> None:
        transport = HttpTransport(address, agent="tests")
        recorder = Recorder(transport, Redactor())
        try:
            await discover(recorder, load({}), kind="url", address=address, app=None, run_id="r")
        finally:
            await transport.close()

    with pytest.raises(
        ConfigurationError, match=r"http://127\.0\.0\.1:9 cannot be reached: nobody listens there"
    ):
        asyncio.run(main())


@pytest.mark.parametrize(
    ("error", "address", "told"),
    [
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "https://h:80", "is it http://h:80?"),
        ("connection closed without an answer (x)", "http://h:443", "write https://h:443"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate", "https://h", "let ca_file name"),
        ("[Errno -2] Name or service not known", "http://h", "there is no such host"),
    ],
)
def test_why_a_target_cannot_be_reached_says_what_to_try(error: str, address: str, told: str) -> None:
    assert told in explained(error, address)


def test_a_login_that_reads_the_query(learn: Any) -> None:
    app, store = FastAPI(), Store()
    known_caller = bearer_of(store)

    @app.post("/login")
    def login(username: str, password: str) -> dict[str, str]:
        return {"access_token": store.log_in(username, password)}

    @app.get("/me")
    def me(name: Annotated[str, known_caller]) -> dict[str, str]:
        return {"username": name}

    assert learn(app).target.logins[0].encoding == "query"


@pytest.mark.parametrize(
    ("path", "where", "tried"),
    [
        ("/orders", {"kind": "url", "address": "https://shop.example"}, False),
        ("/orders", {"kind": "url", "address": "https://shop.example", "allow_disruptive": True}, True),
        ("/orders", {"kind": "url", "address": "http://127.0.0.1:8000"}, True),
        ("/invites", {"kind": "url", "address": "http://127.0.0.1:8000"}, False),
        ("/invites", {"kind": "app"}, True),
    ],
)
def test_a_collection_that_may_cost_somebody_is_named_and_left_alone_unless_it_is_a_trial(
    learn: Any, *, path: str, where: dict[str, Any], tried: bool
) -> None:
    """An order costs money unless the service is on this machine; an invitation may arrive from there as well."""
    app, store, made = FastAPI(), Store(), dict[str, tuple[str, str]]()
    known_caller = bearer_of(store)

    @app.post("/login")
    def login(username: str, password: str) -> dict[str, str]:
        return {"access_token": store.log_in(username, password)}

    @app.post(path)
    def make(item: Annotated[str, Body(embed=True)], name: Annotated[str, known_caller]) -> dict[str, str]:
        number = str(len(made) + 1)
        made[number] = (name, item)
        return {"id": number, "item": item}

    @app.get(path + "/{number}")
    def read(number: str, name: Annotated[str, known_caller]) -> dict[str, str]:
        if made.get(number, ("", ""))[0] != name:
            raise HTTPException(404)
        return {"id": number, "item": made[number][1]}

    target = learn(app, **where).target
    assert bool(made) is tried
    assert (target.objects is not None) is tried
    lines = f'create = "POST {path}"\nread = "GET {path}/{{number}}"'
    assert (lines in target.remedies.get(Need.OBJECTS, "")) is not tried


@pytest.mark.parametrize(("demanded", "listed"), [(True, True), (False, True), (False, False)])
def test_a_collection_as_nest_describes_and_checks_it(learn: Any, *, demanded: bool, listed: bool) -> None:
    """A search is called required and is not; what is refused is told with the answer and the lines to change."""
    app, store, parcels = FastAPI(), Store(), dict[str, dict[str, str]]()
    known_caller = bearer_of(store)

    @app.post("/login")
    def login(username: str, password: str) -> dict[str, str]:
        return {"access_token": store.log_in(username, password)}

    @app.post("/parcels")
    def create(
        label: Annotated[str, Body()], code: Annotated[str, Body()], name: Annotated[str, known_caller]
    ) -> Any:
        if demanded:
            raise HTTPException(400, f"the code \x1b[31m{code!r} is none of ours, {name}")
        made = {"id": secrets.token_hex(8), "label": label}
        return parcels.setdefault(made["id"], made)

    @app.get("/parcels")
    def search(name: Annotated[str, known_caller], search: str | None = None) -> list[dict[str, str]]:
        return [item for item in parcels.values() if listed and name and (search or "") in item["label"]]

    @app.get("/parcels/{number}")
    def read(number: str, name: Annotated[str, known_caller]) -> dict[str, str]:
        return {**parcels[number], "owner": name}

    document = app.openapi()
    (word,) = document["paths"]["/parcels"]["get"]["parameters"]
    word |= {"required": True, "schema": {"type": "string"}}
    target = learn(app).target
    if demanded:
        lines = tomllib.loads(target.remedies[Need.OBJECTS])["objects"]
        assert lines["create"] == "POST /parcels"
        assert set(lines["body"]) == {"label", "code"}
        assert "it answered 400" in target.remedies[Need.OBJECTS]
        assert "is none of ours" in target.remedies[Need.OBJECTS]
    else:
        assert target.objects is not None
        assert target.objects.listing is not None
        assert [name for _, name, _ in target.objects.listing.fixed] == ([] if listed else ["search"])
        assert target.operation("GET /parcels") == target.objects.listing
        assert Need.OBJECTS not in target.remedies


def test_the_document_is_given_as_a_file_or_a_path_but_never_from_elsewhere(
    learn: Any, tmp_path: Path
) -> None:
    app, store = FastAPI(openapi_url="/deep/down/schema.json", docs_url=None, redoc_url=None), Store()
    known_caller = bearer_of(store)

    let_in(app, store, known_caller, "/entrance")

    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(app.openapi()))
    for given in (str(file), "/deep/down/schema.json", "https://testserver/deep/down/schema.json"):
        assert learn(app, kind="url", openapi=given).target.logins[0].operation.name == "POST /entrance"
    with pytest.raises(ConfigurationError, match="another host"):
        learn(app, kind="url", openapi="https://elsewhere.example/openapi.json")
    with pytest.raises(ConfigurationError, match="neither a file nor"):
        learn(app, kind="url", openapi="/nothing-there")


def test_a_document_that_only_a_page_links_to(learn: Any) -> None:
    app, store = FastAPI(openapi_url="/odd/place.json", docs_url="/docs"), Store()
    known_caller = bearer_of(store)

    let_in(app, store, known_caller, "/entrance")

    target = learn(app, kind="url").target
    assert target.has_document
    assert target.logins[0].operation.name == "POST /entrance"


@pytest.mark.parametrize("place", ["header", "catalogue"])
def test_a_document_that_the_protocol_points_at(learn: Any, place: str) -> None:
    """A Link of the front page (RFC 8631 §4.2), or the catalogue of interfaces of the host (RFC 9727 §2)."""
    app, store = FastAPI(openapi_url="/odd/place", docs_url=None, redoc_url=None), Store()
    known_caller = bearer_of(store)

    let_in(app, store, known_caller, "/entrance")

    if place == "header":

        @app.get("/", include_in_schema=False)
        def front() -> Response:
            link = '</about>; rel="author", </odd/place>; type="application/json"; rel="service-desc"'
            return Response(status_code=204, headers={"Link": link})
    else:

        @app.get("/.well-known/api-catalog", include_in_schema=False)
        def catalogue() -> Response:
            entry = {"anchor": "/", "service-desc": [{"href": "/odd/place", "type": "application/json"}]}
            return Response(json.dumps({"linkset": [entry]}), media_type="application/linkset+json")

    target = learn(app, kind="url").target
    assert target.has_document
    assert target.logins[0].operation.name == "POST /entrance"


def test_a_document_that_only_the_script_of_a_viewer_holds(learn: Any) -> None:
    """As Swagger UI is served by Express: a redirect to the page, and the document as data in its script."""
    app, store = FastAPI(openapi_url=None), Store()
    known_caller = bearer_of(store)

    let_in(app, store, known_caller, "/entrance")

    document = get_openapi(title="T", version="1", routes=app.routes)
    page = '<html><link href="./swagger-ui.css"><script src="./swagger-ui-init.js"></script></html>'

    @app.get("/api-docs/", include_in_schema=False)
    def viewer() -> Response:
        return Response(page, media_type="text/html")

    @app.get("/api-docs/swagger-ui-init.js", include_in_schema=False)
    def script() -> Response:
        text = f'let options = {{ "swaggerDoc": {json.dumps(document)}, "customOptions": {{}} }};'
        return Response(
            f"window.onload = () => {{ {text} SwaggerUIBundle(options) }}", media_type="text/javascript"
        )

    target = learn(app, kind="url").target
    assert [item.where for item in target.documents] == ["/api-docs/swagger-ui-init.js"]
    assert target.logins[0].operation.name == "POST /entrance"


def test_a_token_that_only_the_refusal_hands_over_opens_login_and_registration(learn: Any) -> None:
    """As Spring Security has it: 403 without a word of CSRF, the token in a cookie, and in JSON with its header."""
    app, store = FastAPI(), Store()
    known = APIKeyCookie(name="SID")

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        own = request.cookies.get("XSRF-TOKEN")
        if request.method != "GET" and (not own or request.headers.get("x-xsrf-token") != own):
            reply: Response = JSONResponse({"status": 403, "error": "Forbidden"}, 403)
        else:
            reply = await call_next(request)
        if not own:
            reply.set_cookie("XSRF-TOKEN", secrets.token_hex(16))
        return reply

    @app.post("/register", status_code=201)
    def register(body: Credentials) -> dict[str, str]:
        store.people[body.username] = body.password
        return {"username": body.username}

    @app.post("/login")
    def login(body: Credentials, response: Response) -> dict[str, str]:
        response.set_cookie("SID", store.log_in(body.username, body.password))
        return {"username": body.username}

    @app.get("/me")
    def me(sid: Annotated[str, Depends(known)]) -> dict[str, str]:
        if (name := store.owner(sid)) is None:
            raise HTTPException(401, "nobody")
        return {"username": name}

    target = learn(app).target
    assert [item.cookie for item in target.logins] == ["SID"]
    assert target.register is not None
    assert dict(target.register.headers) == {"X-XSRF-TOKEN": "{{csrf}}"}
    said = {"headerName": "X-CSRF-TOKEN", "parameterName": "_csrf", "token": "t" * 20}
    assert (csrf_pointer(said), csrf_header_named(said)) == ("/token", "X-CSRF-TOKEN")
    assert csrf_pointer({"token": "t" * 20}) is None


@pytest.mark.parametrize(("needed", "slash"), [("scopes", ""), ("expires_at", "/")])
def test_keys_are_made_used_and_revoked(learn: Any, needed: str, slash: str) -> None:
    app, store = FastAPI(), Store()
    keys: dict[str, str] = {}
    revoked: list[str] = []
    bearer = OAuth2PasswordBearer(tokenUrl="login", auto_error=False)
    header = APIKeyHeader(name="X-Acme-Key", auto_error=False)

    def caller(
        token: Annotated[str | None, Depends(bearer)], key: Annotated[str | None, Depends(header)]
    ) -> str:
        name = store.owner(token) or keys.get(key or "")
        if name is None:
            raise HTTPException(401, "no")
        return name

    known_caller = Depends(caller)

    class NewKey(BaseModel):
        label: str
        scopes: list[Literal["read", "write"]] = []
        expires_at: datetime | None = None

    let_in(app, store, known_caller)

    @app.post(f"/developer/api-keys{slash}", status_code=201)
    def make(new: NewKey, name: Annotated[str, known_caller]) -> dict[str, Any]:
        # A rule that the schema does not show.
        if not getattr(new, needed):
            raise HTTPException(422, "something is missing")
        key = "acme_" + secrets.token_urlsafe(24)
        keys[key] = name
        return {"data": {"id": 17, "plaintext": key, "prefix": key[:8]}}

    @app.delete(f"/developer/api-keys/{{key_id}}{slash}")
    def revoke(key_id: int, name: Annotated[str, known_caller]) -> dict[str, str]:
        keys.clear()
        revoked.append(str(key_id))
        return {}

    target = learn(app).target
    assert target.keys is not None
    assert target.keys.value == "/data/plaintext"
    assert target.keys.identifier == "/data/id"
    assert [str(carrier) for carrier in target.keys.carriers] == ["header X-Acme-Key"]
    assert target.keys.expiry_field == "expires_at"
    assert target.keys.revoke is not None
    assert revoked in (["17", "17"], ["17"])
    assert keys == {}


@pytest.mark.parametrize("word", ["Token", "Studio"])
@pytest.mark.parametrize("described", [False, True])
def test_the_word_before_a_key_is_that_of_the_challenge(learn: Any, word: str, *, described: bool) -> None:
    """A document can declare a key in Authorization, and not what stands before it (RFC 9110 §11.6.1).

    Its description may: the challenge then names another scheme, as where the first of several refuses.
    """
    app, store = FastAPI(), Store()
    keys: dict[str, str] = {}
    cookie = APIKeyCookie(name="sid", auto_error=False)
    said = f'API key with the prefix "{word}"' if described else None
    header = APIKeyHeader(name="Authorization", scheme_name="AccessToken", description=said, auto_error=False)
    challenge = "Session" if described else f'{word} realm="studio"'

    def caller(
        sid: Annotated[str | None, Depends(cookie)], sent: Annotated[str | None, Depends(header)]
    ) -> str:
        kind, _, key = (sent or "").partition(" ")
        name = store.owner(sid) or (keys.get(key) if kind == word else None)
        if name is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": challenge})
        return name

    known_caller = Depends(caller)

    @app.post("/login")
    def login(body: Credentials, response: Response) -> dict[str, bool]:
        response.set_cookie("sid", store.log_in(body.username, body.password), secure=True, httponly=True)
        return {"welcome": True}

    @app.get("/me")
    def me(name: Annotated[str, known_caller]) -> dict[str, str]:
        return {"username": name}

    @app.post("/me/tokens", status_code=201)
    def make(name: Annotated[str, known_caller]) -> dict[str, Any]:
        key = "st_" + secrets.token_urlsafe(24)
        keys[key] = name
        return {"id": 17, "secret": key}

    target = learn(app).target
    assert target.keys is not None
    assert [(str(item), item.scheme) for item in target.keys.carriers] == [
        (f"header Authorization {word}", "AccessToken")
    ]
    assert [item for item in target.carriers if item.scheme == "AccessToken"] == list(target.keys.carriers)


def test_the_signing_key_is_found_in_the_environment(learn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = secrets.token_hex(24)
    monkeypatch.setenv("SHOP_JWT", secret)
    app, store = FastAPI(), Store()

    @app.post("/login")
    def login(body: Credentials) -> dict[str, str]:
        store.log_in(body.username, body.password)
        return {"access_token": jwt.encode({"sub": body.username}, secret, "HS256")}

    @app.get("/me")
    def me(token: Annotated[str | None, Depends(OAuth2PasswordBearer(tokenUrl="login"))]) -> dict[str, str]:
        try:
            return {"username": jwt.decode(token or "", secret, ["HS256"])["sub"]}
        except jwt.PyJWTError:
            raise HTTPException(401, "no") from None

    lesson = learn(app)
    assert lesson.target.signing_keys[0].source == "environment variable SHOP_JWT"
    assert secret not in repr(lesson.target)
    assert lesson.target.remedies.keys().isdisjoint({Need.SIGNING_KEY})


def test_no_secret_is_in_any_fact(learn: Any) -> None:
    app, store = registering()
    target = learn(app, {}).target
    text = repr(target)
    for password in store.people.values():
        assert password not in text
    for token in store.sessions:
        assert token not in text


def test_discovery_stops_at_its_budget(learn: Any) -> None:
    app, store = FastAPI(), Store()
    known_caller = bearer_of(store)

    @app.post("/login")
    def login(body: Credentials) -> dict[str, str]:
        return {"access_token": store.log_in(body.username, body.password)}

    for number in range(400):

        def listing(name: Annotated[str, known_caller]) -> list[str]:
            return []

        app.get(f"/things/{number}/list")(listing)

    lesson = learn(app)
    assert len(lesson.log) <= 150
    assert lesson.target.witness is not None


def test_a_list_of_tokens_is_no_login_and_the_front_page_leads_to_one(learn: Any) -> None:
    """Who makes tokens has to be known already; where people log in is where the front page sends them."""
    app, store = FastAPI(openapi_url=None), Store()
    known = Depends(caller := _page_caller(store))

    @app.api_route("/api/token", methods=["GET", "POST"], dependencies=[known])
    def tokens() -> list[str]:
        return []

    @app.get("/api/me", dependencies=[known])
    def me(request: Request) -> dict[str, str]:
        return {"username": caller(request)}

    @app.get("/")
    def front() -> RedirectResponse:
        return RedirectResponse("/people/entrance/", 302)

    @app.get("/people/entrance/")
    def form() -> HTMLResponse:
        fields = '<input name="email"><input type="password" name="password">'
        return HTMLResponse(f'<form method="post" action="/people/entrance/">{fields}</form>')

    @app.post("/people/entrance/")
    def enter(email: Annotated[str, Form()], password: Annotated[str, Form()]) -> Response:
        reply = RedirectResponse("/", 302)
        reply.set_cookie("sid", store.log_in(email, password), httponly=True)
        return reply

    target = learn(app, kind="url").target
    assert [login.operation.name for login in target.logins] == ["POST /people/entrance/"]
    assert target.witness is not None


def _page_caller(store: Store) -> Any:
    def caller(request: Request) -> str:
        name = store.owner(request.cookies.get("sid"))
        if name is None:
            raise HTTPException(401, "Authentication credentials were not provided.")
        return name

    return caller


def test_a_declared_cookie_that_only_a_page_gives_out(learn: Any) -> None:
    """Frameworks with an interface for browsers document the cookie, and not the page where it is got."""
    app, store = FastAPI(), Store()
    bearer = OAuth2PasswordBearer(tokenUrl="login", auto_error=False)
    cookie = APIKeyCookie(name="sid", auto_error=False)

    def caller(
        request: Request,
        token: Annotated[str | None, Depends(bearer)],
        sid: Annotated[str | None, Depends(cookie)],
    ) -> str:
        name = store.owner(token) or store.owner(sid)
        if name is None and "text/html" in request.headers.get("accept", ""):
            raise HTTPException(401, '<a href="/browse/login/?next=/me">Log in</a>')
        if name is None:
            raise HTTPException(401, "no")
        return name

    @app.exception_handler(HTTPException)
    def refuse(request: Request, error: HTTPException) -> Response:
        return HTMLResponse(error.detail, error.status_code)

    let_in(app, store, Depends(caller))

    @app.get("/browse/login/", include_in_schema=False)
    def page() -> HTMLResponse:
        fields = "<input name=username><input name=password type=password>"
        return HTMLResponse(f"<form method=post action=/browse/login/>{fields}</form>")

    @app.post("/browse/login/", include_in_schema=False)
    def enter(username: Annotated[str, Form()], password: Annotated[str, Form()]) -> Response:
        answer = RedirectResponse("/me", 303)
        answer.set_cookie("sid", store.log_in(username, password))
        return answer

    @app.post("/browse/logout/", include_in_schema=False)
    def leave(request: Request) -> Response:
        store.sessions.pop(request.cookies.get("sid", ""), None)
        return RedirectResponse("/", 303)

    target = learn(app).target
    assert [(item.operation.name, item.carrier.kind) for item in target.logins] == [
        ("POST /login", Kind.BEARER),
        ("POST /browse/login/", Kind.COOKIE),
    ]
    assert [item.operation.name for item in target.logouts if item.kind is Kind.COOKIE] == [
        "POST /browse/logout/"
    ]
    assert store.wrong == []
