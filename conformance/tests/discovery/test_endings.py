"""What ends a login or an account without being called so: tried with an account of the run's own, and observed."""

import secrets
from typing import Annotated, Any

import pytest
from discovery_people import PASSWORDS, Store, bearer_of
from fastapi import Body, Cookie, Depends, FastAPI, Form, HTTPException, Request, Response
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer, OAuth2PasswordBearer
from pydantic import BaseModel

from auth_conformance.credentials import Carrier, Credential, Kind
from auth_conformance.discovery import asking
from auth_conformance.model import Provenance
from auth_conformance.secret import Secret

Sent = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


class Guest(BaseModel):
    username: str
    password: str


def hotel(store: Store, *, leave: tuple[str, str], sign_up: bool = True, works: bool = True) -> FastAPI:
    """A login below /stay, `leave` (method and path) to end it, and a wave of the hand that does nothing."""
    app = FastAPI()

    def caller(sent: Sent) -> str:
        name = store.owner(sent.credentials if sent else None)
        if name is None or name not in store.people:
            raise HTTPException(401, "no")
        return name

    Caller = Annotated[str, Depends(caller)]

    if sign_up:

        @app.post("/stay/guests", status_code=201)
        def register(body: Guest) -> dict[str, str]:
            if body.username in store.people:
                raise HTTPException(409, "taken")
            store.people[body.username] = body.password
            return {"username": body.username}

    @app.post("/stay/login")
    def enter(body: Guest) -> dict[str, str]:
        return {"access_token": store.log_in(body.username, body.password)}

    @app.post("/stay/wave")
    def wave(_: Caller) -> dict[str, bool]:
        return {"waved": True}

    @app.api_route(leave[1], methods=[leave[0]], status_code=204)
    def go(_: Caller, sent: Sent) -> None:
        if works and sent is not None:
            del store.sessions[sent.credentials]

    @app.get("/guest")
    def me(name: Caller) -> dict[str, str]:
        return {"username": name}

    @app.delete("/guest", status_code=204)
    def gone(name: Caller) -> None:
        del store.people[name]

    return app


@pytest.fixture
def store() -> Store:
    return Store(dict(PASSWORDS))


@pytest.mark.parametrize("leave", [("DELETE", "/stay/login"), ("POST", "/stay/farewell")])
def test_what_ends_a_login_is_a_logout(learn: Any, store: Store, leave: tuple[str, str]) -> None:
    target = learn(hotel(store, leave=leave), kind="url").target
    assert [item.operation.name for item in target.logouts] == [" ".join(leave)]
    assert store.people.keys() >= PASSWORDS.keys(), "nothing was tried with the accounts that are not ours"


def test_the_account_that_was_tried_with_is_deleted_at_its_own_address(learn: Any, store: Store) -> None:
    target = learn(hotel(store, leave=("DELETE", "/stay/login")), kind="url").target
    assert target.delete_account is not None
    assert target.delete_account.name == "DELETE /guest"
    assert store.people.keys() == PASSWORDS.keys()


def test_the_deletion_of_what_a_login_makes_is_a_logout_that_may_not_work(learn: Any, store: Store) -> None:
    target = learn(hotel(store, leave=("DELETE", "/stay/login"), works=False), kind="url").target
    assert [item.operation.name for item in target.logouts] == ["DELETE /stay/login"]


def test_what_ends_nothing_is_no_logout(learn: Any, store: Store) -> None:
    target = learn(hotel(store, leave=("POST", "/stay/farewell"), works=False), kind="url").target
    assert target.logouts == ()


def test_nothing_is_tried_with_an_account_of_somebody(learn: Any, store: Store) -> None:
    lesson = learn(hotel(store, leave=("POST", "/stay/farewell"), sign_up=False), kind="url")
    assert lesson.target.logouts == ()
    assert not {"POST /stay/wave", "POST /stay/farewell"} & set(lesson.names())


@pytest.mark.parametrize("forgets", ["the cookie", "nothing"])
def test_a_hidden_logout_that_says_yes_and_ends_nothing_is_one(learn: Any, forgets: str) -> None:
    app, alive = FastAPI(openapi_url=None), dict[str, str]()

    def caller(request: Request) -> str:
        token = request.cookies.get("sid") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in alive:
            raise HTTPException(401, "no")
        return alive[token]

    @app.post("/login")
    def login(body: Guest, response: Response) -> dict[str, str]:
        if PASSWORDS.get(body.username) != body.password:
            raise HTTPException(401, "wrong")
        token = secrets.token_urlsafe(24)
        alive[token] = body.username
        if forgets == "the cookie":
            response.set_cookie("sid", token, httponly=True)
            return {}
        return {"access_token": token}

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name}

    @app.post("/logout")
    def leave(request: Request, response: Response) -> dict[str, str]:
        if forgets == "the cookie":
            response.delete_cookie("sid")
        else:
            caller(request)
        return {"message": "goodbye"}

    target = learn(app, kind="url").target
    assert [(item.operation.name, item.provenance) for item in target.logouts] == [
        ("POST /logout", Provenance.GUESSED)
    ]


class Worn(BaseModel):
    refresh: str


def test_what_takes_another_logins_refresh_token_is_no_logout_of_a_cookie(learn: Any) -> None:
    app, store = FastAPI(), Store()
    worn: set[str] = set()

    def caller(sent: Sent, request: Request) -> str:
        name = store.owner(sent.credentials if sent else request.cookies.get("sid"))
        if name is None:
            raise HTTPException(401, "no")
        return name

    @app.post("/token")
    def token(body: Guest) -> dict[str, str]:
        refresh = secrets.token_urlsafe(24)
        worn.add(refresh)
        return {"access": store.log_in(body.username, body.password), "refresh": refresh}

    @app.post("/token/blacklist")
    def blacklist(body: Worn) -> dict[str, str]:
        if body.refresh not in worn:
            raise HTTPException(400, "no such token")
        worn.discard(body.refresh)
        return {}

    @app.post("/session/login")
    def enter(body: Guest, response: Response) -> None:
        response.set_cookie("sid", store.log_in(body.username, body.password), httponly=True)

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name}

    target = learn(app, kind="url").target
    assert {login.carrier.kind for login in target.logins} == {Kind.BEARER, Kind.COOKIE}
    assert [(item.operation.name, item.kind) for item in target.logouts] == [
        ("POST /token/blacklist", Kind.BEARER)
    ]


def test_a_logout_that_wants_the_refresh_cookie_is_given_it(learn: Any) -> None:
    app, store = FastAPI(), Store()
    worn: dict[str, str] = {}

    def hand_out(response: Response, session: str, name: str) -> None:
        worn[refresh := secrets.token_urlsafe(24)] = name
        response.set_cookie("access", session, httponly=True)
        response.set_cookie("refresh", refresh, httponly=True)

    @app.post("/login")
    def login(body: Guest, response: Response) -> None:
        hand_out(response, store.log_in(body.username, body.password), body.username)

    def caller(access: Annotated[str | None, Depends(APIKeyCookie(name="access", auto_error=False))]) -> str:
        name = store.owner(access)
        if name is None:
            raise HTTPException(401, "no")
        return name

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name}

    def spent(refresh: Annotated[str, Cookie()] = "") -> str:
        if refresh not in worn:
            raise HTTPException(401, "the refresh token is missing")
        return worn.pop(refresh)

    @app.post("/refresh")
    def renew(response: Response, name: Annotated[str, Depends(spent)]) -> None:
        hand_out(response, store.log_in(name, store.people[name]), name)

    @app.post("/logout")
    def leave(
        name: Annotated[str, Depends(caller)], owner: Annotated[str, Depends(spent)]
    ) -> dict[str, bool]:
        return {"ok": name == owner}

    target = learn(app, kind="url").target
    (logout,) = target.logouts
    assert (logout.operation.name, logout.refresh_field) == ("POST /logout", "cookie refresh")
    session = Credential(Carrier(Kind.COOKIE, "cookie", "access"), Secret("a"))
    assert logout.leaving(session, Secret("b")).headers == (("Cookie", "access=a; refresh=b"),)
    assert logout.body(Secret("a"), Secret("b")) is None


@pytest.mark.parametrize("logins", [99, 3])
def test_hidden_endings_beside_operations_that_are_named_alike(
    learn: Any, monkeypatch: pytest.MonkeyPatch, logins: int
) -> None:
    """The document has a refresh of something else; and where the login is limited, a logout is named untried."""
    monkeypatch.setattr(asking, "_STEPS", (0.01,))
    app, store, renewable, entered = FastAPI(), Store(), dict[str, str](), list[str]()
    caller = bearer_of(store, OAuth2PasswordBearer(tokenUrl="api/v1/login", auto_error=False))

    def hand_out(name: str) -> dict[str, str]:
        renewable[refresh := secrets.token_urlsafe(24)] = name
        store.sessions[access := secrets.token_urlsafe(24)] = name
        return {"access_token": access, "refresh_token": refresh}

    @app.post("/api/v1/login", include_in_schema=False)
    def login(username: Annotated[str, Form()], password: Annotated[str, Form()]) -> dict[str, str]:
        if len(entered) >= logins:
            raise HTTPException(429, "slow down", {"Retry-After": "0"})
        if PASSWORDS.get(username) != password:
            raise HTTPException(401, "wrong")
        entered.append(username)
        return hand_out(username)

    @app.post("/api/v1/refresh", include_in_schema=False)
    def renew(body: Annotated[str, Body(embed=True, alias="refresh_token")]) -> dict[str, str]:
        if body not in renewable:
            raise HTTPException(401, "no")
        return hand_out(renewable.pop(body))

    @app.post("/api/v1/logout", include_in_schema=False)
    def leave(name: Annotated[str, caller]) -> dict[str, str]:
        store.sessions = {token: owner for token, owner in store.sessions.items() if owner != name}
        return {}

    @app.post("/api/v1/models/refresh")
    def reload(_: Annotated[str, caller], names: list[str]) -> list[str]:
        return names

    @app.delete("/api/v1/monitor/sessions")
    def forget(_: Annotated[str, caller]) -> None:
        """What machines said: no login."""

    @app.get("/api/v1/me")
    def me(name: Annotated[str, caller]) -> dict[str, str]:
        return {"username": name}

    lesson = learn(app, kind="url")
    target = lesson.target
    assert "DELETE /api/v1/monitor/sessions" not in lesson.names()
    assert target.refresh is not None
    assert target.refresh.operation.name == "POST /api/v1/refresh"
    facts = {fact.name: fact for fact in target.facts}
    assert [item.operation.name for item in target.logouts] == ["POST /api/v1/logout"]
    limited = facts["logout"].because.startswith("it is named so, and was not tried: POST /api/v1/login")
    assert limited is (logins == 3), facts["logout"]
