"""Services that call things as nobody expects: what they do is found by its shape."""

import secrets
from typing import Annotated, Any

import pytest
from discovery_people import Store, bearer_of, let_in
from fastapi import Cookie, Depends, FastAPI, Form, Header, HTTPException, Request, Response, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from auth_conformance.discovery.lifecycle import is_logout
from auth_conformance.model import Need
from auth_conformance.settings import ConfigurationError
from auth_conformance.target import Operation

Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


class Entrance(BaseModel):
    user: str
    passphrase: str


class Joining(Entrance):
    passphraseAgain: str  # noqa: N815 - as services write it
    plate: str


class Change(BaseModel):
    passphrase: str
    newPassphrase: str  # noqa: N815 - as services write it


class Lost(BaseModel):
    user: str


class Restoring(BaseModel):
    slip: str
    newPassphrase: str  # noqa: N815 - as services write it


def fleet() -> FastAPI:
    """Its document is at `/schema`, drivers join, refresh tokens are cookies, and sessions end."""
    app, store = FastAPI(openapi_url="/schema"), Store()
    renewable: dict[str, str] = {}

    def caller(credential: Bearer) -> str:
        name = store.owner(credential.credentials if credential else None)
        if name is None:
            raise HTTPException(401, "no")
        return name

    Caller = Annotated[str, Depends(caller)]

    def opened(response: Response, name: str) -> dict[str, Any]:
        cookie = secrets.token_urlsafe(24)
        renewable[cookie] = name
        response.set_cookie("__Secure-rt", cookie, max_age=900, httponly=True, secure=True)
        return {"data": {"token": store.log_in(name, store.people[name])}}

    @app.post("/sessions")
    def start(body: Entrance, response: Response) -> dict[str, Any]:
        store.log_in(body.user, body.passphrase)
        return opened(response, body.user)

    @app.post("/sessions/renew")
    def renew(request: Request, response: Response) -> dict[str, Any]:
        name = renewable.pop(request.cookies.get("__Secure-rt", ""), None)
        if name is None:
            raise HTTPException(401, "no")
        return opened(response, name)

    @app.post("/session/end")
    def end(name: Caller, credential: Bearer) -> dict[str, str]:
        store.sessions.pop(credential.credentials if credential else "")
        return {"ended": name}

    @app.post("/drivers", status_code=201)
    def join(body: Joining) -> dict[str, str]:
        if body.passphrase != body.passphraseAgain or body.user in store.people:
            raise HTTPException(409, "no")
        store.people[body.user] = body.passphrase
        return {"user": body.user}

    @app.post("/drivers/self/passphrase")
    def change(body: Change, name: Caller) -> dict[str, str]:
        if store.people[name] != body.passphrase:
            raise HTTPException(403, "no")
        store.people[name] = body.newPassphrase
        return {"user": name}

    @app.post("/drivers/lost", status_code=202)
    def lost(body: Lost) -> dict[str, str]:
        return {"sent": body.user}

    @app.post("/drivers/restore")
    def restore(body: Restoring) -> dict[str, str]:
        raise HTTPException(400, body.slip)

    @app.get("/drivers/self")
    def me(name: Caller) -> dict[str, str]:
        return {"user": name}

    @app.get("/crypto/keys")
    def keys() -> dict[str, Any]:
        return {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapi"}]}

    return app


def test_a_fleet_is_understood(learn: Any) -> None:
    target = learn(fleet(), kind="url").target
    assert target.has_document
    assert target.register is not None
    assert target.register.operation.name == "POST /drivers"
    assert target.refresh is not None
    assert (target.refresh.operation.name, target.refresh.field) == ("POST /sessions/renew", "__Secure-rt")
    assert [item.operation.name for item in target.logouts] == ["POST /session/end"]
    assert target.password_change is not None
    assert (target.password_change.current, target.password_change.new) == ("passphrase", "newPassphrase")
    assert target.recovery is not None
    assert (target.recovery.confirm.token, target.recovery.confirm.password) == ("slip", "newPassphrase")
    assert target.key_set is not None
    assert target.key_set.path == "/crypto/keys"
    assert not {Need.LOGOUT, Need.REGISTER, Need.PASSWORD_CHANGE, Need.REFRESH} & set(target.absent)


def test_a_revocation_by_the_book_is_a_logout(learn: Any) -> None:
    # RFC 7009 §2.1: the token stands in the form, and every answer is a success.
    app, store = FastAPI(), Store()

    @app.post("/oauth/token")
    def token(username: Annotated[str, Form()], password: Annotated[str, Form()]) -> dict[str, str]:
        return {"access_token": store.log_in(username, password), "token_type": "Bearer"}

    @app.post("/oauth/revoke")
    def revoke(token: Annotated[str, Form()]) -> dict[str, str]:
        store.sessions.pop(token, None)
        return {}

    @app.get("/me")
    def me(credential: Bearer) -> dict[str, str]:
        name = store.owner(credential.credentials if credential else None)
        if name is None:
            raise HTTPException(401, "no")
        return {"username": name}

    lesson = learn(app, kind="url")
    assert [(item.operation.name, item.refresh_field) for item in lesson.target.logouts] == [
        ("POST /oauth/revoke", "token")
    ]
    tried = store.sessions
    sent = [request for request, _ in lesson.log if request.path == "/oauth/revoke"]
    assert sent
    assert all((request.body or b"").decode().removeprefix("token=") not in tried for request in sent)


class Second(BaseModel):
    attempt: str
    pin: str


def test_a_second_step_is_told_and_no_password_lands_in_it(learn: Any) -> None:
    app, store = FastAPI(), Store()
    seen: list[str] = []

    @app.post("/auth/login")
    def first(body: Entrance) -> dict[str, str]:
        store.log_in(body.user, body.passphrase)
        return {"status": "pin", "attempt": secrets.token_urlsafe(18)}

    @app.post("/auth/pin")
    def second(body: Second) -> dict[str, str]:
        seen.append(body.pin)
        raise HTTPException(401, "no")

    with pytest.raises(ConfigurationError) as caught:
        learn(app)
    said = str(caught.value)
    assert "POST /auth/login took the password" in said
    assert "POST /auth/pin takes attempt from it and asks for pin, which no account says" in said
    assert "[[login.before]]" in said
    assert not seen
    assert not store.wrong


def test_a_declared_witness_that_refuses_b_is_told(learn: Any) -> None:
    app, store = FastAPI(), Store()
    caller = bearer_of(store)
    let_in(app, store, caller)

    @app.get("/staff/me")
    def staff(name: Annotated[str, caller]) -> dict[str, str]:
        if name != "alice":
            raise HTTPException(403, "staff only")
        return {"username": name}

    for path, told in (("/staff/me", ["GET /staff/me refuses it (403)"]), ("/me", [])):
        target = learn(app, witness={"operation": f"GET {path}"}).target
        assert [fact.value for fact in target.facts if fact.name == "account b"] == told


class Visit(BaseModel):
    mail: str
    secretWord: str  # noqa: N815 - as services write it


class Note(BaseModel):
    mail: str
    remark: str


class Sent(BaseModel):
    mail: str
    code: str


def test_the_only_other_text_of_a_login_is_the_password(learn: Any) -> None:
    app, store = FastAPI(), Store()
    remarks: list[str] = []

    @app.post("/v2/sign-in")
    def sign_in(body: Visit) -> dict[str, Any]:
        return {"data": {"session": {"jwt": store.log_in(body.mail, body.secretWord)}}}

    @app.post("/v2/sign-in/mailed")
    def by_mail(body: Sent) -> None:
        remarks.append(body.code)
        raise HTTPException(401, "no such code")

    @app.post("/v2/remarks")
    def remark(body: Note) -> None:
        remarks.append(body.remark)

    @app.get("/v2/profile")
    def profile(credential: Bearer) -> dict[str, str]:
        name = store.owner(credential.credentials if credential else None)
        if name is None:
            raise HTTPException(401, "no")
        return {"mail": name}

    target = learn(app, kind="url").target
    login = target.logins[0]
    assert (login.operation.name, login.user_field, login.password_field) == (
        "POST /v2/sign-in",
        "mail",
        "secretWord",
    )
    assert not set(remarks) & set(store.people.values())


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("POST /session/end", True),
        ("DELETE /session", True),
        ("POST /users/end", False),
        ("GET /sessions", False),
        ("POST /oauth/revoke", True),
        ("POST /licences/revoke", False),
    ],
)
def test_what_may_end_a_login(name: str, found: bool) -> None:
    method, path = name.split()
    assert is_logout(Operation(method, path, security=(frozenset({"x"}),))) is found


def test_a_session_cookie_is_renewed_by_another_cookie(learn: Any) -> None:
    app, store = FastAPI(), Store()
    renewable: dict[str, str] = {}

    def opened(response: Response, name: str) -> None:
        response.set_cookie("hd_sid", store.log_in(name, store.people[name]), httponly=True)
        cookie = secrets.token_urlsafe(24)
        renewable[cookie] = name
        response.set_cookie("hd_refresh", cookie, path="/auth/refresh", httponly=True)

    @app.post("/auth/login", status_code=204)
    def login(body: Entrance, response: Response) -> None:
        store.log_in(body.user, body.passphrase)
        opened(response, body.user)

    @app.post("/auth/refresh", status_code=204)
    def renew(request: Request, response: Response) -> None:
        name = renewable.pop(request.cookies.get("hd_refresh", ""), None)
        if name is None:
            raise HTTPException(401, "no")
        opened(response, name)

    @app.get("/whoami")
    def me(request: Request) -> dict[str, str]:
        name = store.owner(request.cookies.get("hd_sid"))
        if name is None:
            raise HTTPException(401, "no")
        return {"user": name}

    refresh = learn(app).target.refresh
    assert refresh is not None
    assert (refresh.operation.name, refresh.place, refresh.field) == (
        "POST /auth/refresh",
        "cookie",
        "hd_refresh",
    )
    assert (refresh.token, refresh.refresh) == ("cookie hd_sid", "cookie hd_refresh")


class OneNote(BaseModel):
    id: int


def procedures() -> FastAPI:
    """A session cookie with a CSRF token beside it, and everything by POST, named after what it belongs to."""
    app, store = FastAPI(), Store()

    def caller(
        sid: Annotated[str | None, Security(APIKeyCookie(name="sid", auto_error=False))],
        crumb: Annotated[str | None, Cookie(alias="sid-csrf")] = None,
        said: Annotated[str | None, Header(alias="X-CSRF-Token")] = None,
    ) -> str:
        name = store.owner(sid)
        if name is None:
            raise HTTPException(401, "no")
        if crumb is None or crumb != said:
            raise HTTPException(403, "no csrf token")
        return name

    Caller = Annotated[str, Depends(caller)]

    @app.post("/rpc/auth.login")
    def login(body: Entrance, response: Response) -> dict[str, bool]:
        response.set_cookie("sid", store.log_in(body.user, body.passphrase), httponly=True)
        response.set_cookie("sid-csrf", secrets.token_urlsafe(16))
        return {"ok": True}

    @app.post("/rpc/auth.whoami")
    def whoami(name: Caller) -> dict[str, str]:
        return {"login": name}

    @app.post("/rpc/auth.sessions")
    def sessions(name: Caller) -> list[dict[str, str]]:
        return [{"whose": name}]

    @app.post("/rpc/note.get")
    def note(body: OneNote, name: Caller) -> dict[str, str]:
        return {"text": f"note {body.id} of {name}"}

    return app


def test_who_does_everything_by_post_is_understood(learn: Any) -> None:
    target = learn(procedures(), kind="url").target
    assert target.witness is not None, target.facts
    assert target.witness.operation.name == "POST /rpc/auth.whoami"
    assert Need.SESSION_LIST not in target.absent
    assert Need.OBJECTS not in target.absent, "what bodies name is there, though nothing makes one"
    lines = target.remedies[Need.OBJECTS].splitlines()
    assert {'read = "POST /rpc/note.get"', 'id_member = "id"'} <= set(lines)
