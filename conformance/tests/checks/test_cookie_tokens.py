"""Token checks where the session cookie is the JWT: no header ever carries one."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import jwt
import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, Form, HTTPException, Request, Response
from fastapi.security import APIKeyCookie, OAuth2PasswordBearer
from pydantic import BaseModel
from services.people import PEOPLE

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Result, Severity
from auth_conformance.settings import load

KEY = secrets.token_hex(32)
Read = Callable[[str], Mapping[str, Any]]
# What is refused offline, what needs the true key, and what looks at all that a login gives.
CODES = (
    *("TOK102", "TOK110", "TOK112", "TOK119", "TOK124", "TOK127"),
    *("TOK201", "TOK202", "TOK204", "TOK210", "TOK211", "TOK213"),
)


def strict(text: str) -> Mapping[str, Any]:
    claims = jwt.decode(text, KEY, ["HS256"], options={"require": ["exp"]})
    if claims["use"] != "access":
        raise jwt.InvalidTokenError
    return claims


def for_anything(text: str) -> Mapping[str, Any]:
    return jwt.decode(text, KEY, ["HS256"], options={"require": ["exp"]})


def unsigned_too(text: str) -> Mapping[str, Any]:
    if jwt.get_unverified_header(text)["alg"] == "none":
        return jwt.decode(text, options={"verify_signature": False})
    return strict(text)


def without_an_end(text: str) -> Mapping[str, Any]:
    claims = jwt.decode(text, KEY, ["HS256"])
    if claims["use"] != "access":
        raise jwt.InvalidTokenError
    return claims


def for_ever(text: str) -> Mapping[str, Any]:
    claims = jwt.decode(text, KEY, ["HS256"], options={"verify_exp": False})
    if claims["use"] != "access" or "exp" not in claims:
        raise jwt.InvalidTokenError
    return claims


class Person(BaseModel):
    username: str
    password: str


def pantry(
    read: Read = strict,
    *,
    lifetime: int = 600,
    renews: bool = True,
    repeated: str = "",
    asks: str = "",
    dated: bool = True,
) -> FastAPI:
    """`repeated` is the header that has to repeat the `csrf` claim of a refresh token in its cookie.

    A pantry that `asks` takes the token under that name in the query as well. One that is not `dated` gives the same
    token at each login, and has a logout that tells browsers to forget it, and is declared to be for those logged in.
    """
    app = FastAPI()
    cookie = APIKeyCookie(name="access_token", auto_error=False)

    def caller(text: Annotated[str | None, Depends(cookie)], request: Request) -> str:
        try:
            name = read(text or request.query_params.get(asks, ""))["sub"]
        except (jwt.InvalidTokenError, KeyError):
            name = None
        if name not in PEOPLE:
            raise HTTPException(401, "no")
        return str(name)

    def token(name: str, use: str) -> str:
        now = int(time.time())
        claims = {"sub": name, "use": use, "jti": secrets.token_hex(8), "iat": now, "exp": now + lifetime}
        if not dated:
            claims = {"sub": name, "use": use, "exp": 4_000_000_000}
        if repeated and use == "refresh":
            claims["csrf"] = secrets.token_hex(16)
        return jwt.encode(claims, KEY)

    def signed_in(response: Response, name: str) -> dict[str, str]:
        response.headers["Cache-Control"] = "no-store"
        for cookie_name, use, path in (
            ("access_token", "access", "/"),
            *([("refresh_token", "refresh", "/refresh")] if renews else []),
        ):
            response.set_cookie(
                cookie_name, token(name, use), path=path, httponly=True, secure=True, samesite="strict"
            )
        return {"hello": name}

    @app.post("/login")
    def login(who: Person, response: Response) -> dict[str, str]:
        if PEOPLE.get(who.username) != who.password:
            raise HTTPException(401, "no")
        return signed_in(response, who.username)

    def refresh(
        request: Request,
        response: Response,
        text: Annotated[str | None, Depends(APIKeyCookie(name="refresh_token"))],
    ) -> dict[str, str]:
        try:
            claims = jwt.decode(text or "", KEY, ["HS256"])
        except jwt.InvalidTokenError:
            raise HTTPException(401, "no") from None
        if claims["use"] != "refresh" or (repeated and request.headers.get(repeated) != claims["csrf"]):
            raise HTTPException(401, "no")
        return signed_in(response, claims["sub"])

    if renews:
        app.post("/refresh")(refresh)

    def log_out(response: Response, _: Annotated[str | None, Depends(cookie)]) -> None:
        response.delete_cookie("access_token")

    if not dated:
        app.post("/logout", status_code=204)(log_out)

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name}

    return app


def judged(app: FastAPI, *codes: str) -> dict[str, Result]:
    accounts = {
        label: {"username": name, "password": {"env": f"PASSWORD_OF_{name}".upper()}}
        for label, name in zip("ab", PEOPLE, strict=False)
    }
    settings = load({"accounts": accounts}, start=Path("/"))
    checks = [catalog.load()[code] for code in codes]
    return {result.rule.code: result for result in asyncio.run(conduct(settings, checks, app=app)).results}


def test_tokens_in_a_cookie_are_forged_like_those_in_a_header() -> None:
    results = judged(pantry(), *CODES, "TOK301", "TOK303")
    told = {code: (result.name, result.verdict.reason) for code, result in results.items()}
    assert {code: told[code] for code in CODES if told[code][0] != "passed"} == {}
    # What is about the header stays where there is one.
    assert {told[code][0] for code in ("TOK301", "TOK303")} == {"skipped"}


@pytest.mark.parametrize(
    ("read", "code"),
    [
        (unsigned_too, "TOK110"),
        (without_an_end, "TOK202"),
        (for_ever, "TOK201"),
        (for_anything, "TOK210"),
    ],
)
def test_what_a_careless_reader_of_cookies_takes(read: Read, code: str) -> None:
    (result,) = judged(pantry(read), code).values()
    assert result.name == "failed", result.verdict


@pytest.mark.parametrize(("asks", "verdict"), [("", "passed"), ("jwt", "failed")])
def test_a_token_in_a_cookie_is_put_under_the_names_of_tokens_in_the_query(asks: str, verdict: str) -> None:
    (result,) = judged(pantry(asks=asks), "SES114").values()
    assert result.name == verdict, said(result)


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("SES102", ("passed", Severity.HIGH)),
        ("SES106", ("passed", Severity.LOW)),
        ("DOC101", ("failed", Severity.LOW)),
    ],
)
def test_one_token_for_all_logins_has_attributes_all_the_same(
    monkeypatch: pytest.MonkeyPatch, code: str, verdict: tuple[str, Severity]
) -> None:
    """No login can be ended alone (LIF101), and how the cookie is set is seen at each; its logout is open to all."""
    monkeypatch.setattr("auth_conformance.probe.sessions.NEXT_SECOND", 0)
    (result,) = judged(pantry(renews=False, dated=False), code).values()
    assert (result.name, result.severity) == verdict, result.verdict
    assert code != "DOC101" or "nobody's login ends by it" in result.verdict.reason


@pytest.mark.parametrize(
    ("hours", "renews", "verdict"), [(8, True, "failed"), (8, False, "passed"), (13, False, "failed")]
)
def test_a_cookie_that_is_never_renewed_may_last_a_day_of_work(
    hours: int, renews: bool, verdict: str
) -> None:
    (result,) = judged(pantry(lifetime=hours * 3_600, renews=renews), "TOK213").values()
    assert result.name == verdict, result.verdict


@pytest.mark.parametrize("repeated", ["", "X-CSRF-TOKEN"])
def test_a_refresh_cookie_whose_claim_a_header_has_to_repeat_is_found_and_used(repeated: str) -> None:
    accounts = {"a": {"username": "alice", "password": {"env": "PASSWORD_OF_ALICE"}}}
    found: list[str | None] = []

    async def look(scene: Any, _: object) -> None:
        refresh = scene.target.refresh
        found.append(refresh.csrf_header.upper() if refresh is not None else None)

    settings = load({"accounts": accounts}, start=Path("/"))
    app = pantry(repeated=repeated)
    run = asyncio.run(conduct(settings, [catalog.load()["LIF107"]], app=app, then=look))
    assert found == [repeated]
    # This service takes a refresh token for ever: who says so has used the cookie and its header.
    assert [result.name for result in run.results] == ["failed"], run.results[0].verdict.reason


@pytest.mark.parametrize("code", ["SES114", "DOC101"])
def test_a_cookie_that_the_document_calls_a_bearer_token_is_one(code: str) -> None:
    app, alive = FastAPI(), dict[str, str]()
    scheme = OAuth2PasswordBearer(tokenUrl="login", scheme_name="BearerOrCookie", auto_error=False)

    def caller(request: Request, token: Annotated[str | None, Depends(scheme)]) -> str:
        name = alive.get(token or request.cookies.get("access_token", ""))
        if name is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return name

    @app.post("/login")
    def login(username: Annotated[str, Form()], password: Annotated[str, Form()], response: Response) -> None:
        if PEOPLE.get(username) != password:
            raise HTTPException(401, "wrong")
        token = secrets.token_urlsafe(24)
        alive[token] = username
        response.set_cookie("access_token", token, httponly=True)

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name}

    result = judged_as_found(code, app)
    assert result.name == "passed", said(result)
