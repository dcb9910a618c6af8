"""SES102 to SES106, SES109, SES113: more doors than one, a CSRF cookie for everything, a step that fails."""

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any
from uuid import uuid4

import jwt
import pytest
from checks.judging import judged_as_found, said
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyCookie, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE

from auth_conformance.model import Severity

SOUND = {"secure": True, "httponly": True, "samesite": "strict", "path": "/"}


class Again(BaseModel):
    password: str


class Login(BaseModel):
    username: str
    password: str


def gallery(
    *,
    session: Mapping[str, Any] = SOUND,
    refresh: Mapping[str, Any] = SOUND,
    confirmed: Mapping[str, Any] = SOUND,
    tells_new: bool = False,
    double_submit: bool = False,
    worn: tuple[str, int] = ("", 0),
    name: str = "__Host-sid",
    make: Callable[[], str] = lambda: secrets.token_urlsafe(32),
    both: bool = False,
) -> FastAPI:
    """Apps log in at /token: a bearer token, renewed by a cookie. Browsers log in at /session: a session cookie.

    `session`, `refresh` and `confirmed` are the attributes of the cookies, the last those of a session that was
    confirmed by the password. `tells_new`: who renews reads the new refresh token in the body as well.
    `double_submit`: every request with a session repeats the cookie `csrf_token` in a header. `worn` is a path
    and how often it is answered: nobody gets an answer later. The session cookie
    is called `name`, and what `make` makes; of two the last is followed. `both`: the session is a bearer token as
    well, and who sends it both ways is refused.
    """
    app, calls = FastAPI(), dict[str, int]()
    sessions, tokens, chain = dict[str, str](), dict[str, str](), dict[str, str]()
    bearer, cookie = HTTPBearer(auto_error=False), APIKeyCookie(name=name, auto_error=False)

    @app.middleware("http")
    async def doors(request: Request, proceed: Any) -> Response:
        calls[request.url.path] = calls.get(request.url.path, 0) + 1
        if request.url.path == worn[0] and calls[request.url.path] > worn[1]:
            return JSONResponse({"detail": "out of order"}, 502)
        crumb = request.cookies.get("csrf_token", "none")
        if double_submit and name in request.cookies and request.headers.get("x-csrf-token") != crumb:
            return JSONResponse({"detail": "no CSRF token"}, 403)
        answer: Response = await proceed(request)
        return answer

    def caller(sid: Annotated[str | None, Depends(cookie)], token: Annotated[Any, Depends(bearer)]) -> str:
        who = tokens.get(token.credentials) if token is not None else sessions.get(sid or "")
        if who is None or (both and token is not None and sid):
            raise HTTPException(401, "nobody", {"WWW-Authenticate": "Bearer"})
        return who

    Caller = Annotated[str, Depends(caller)]

    def known(who: Login) -> str:
        if PEOPLE.get(who.username) != who.password:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return who.username

    def renewed(response: Response, who: str) -> dict[str, str]:
        token, following = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        tokens[token], chain[following] = who, who
        response.set_cookie("__Host-refresh_token", following, **refresh)
        told = {"refreshed": following} if tells_new and response.headers.get("x-renewed") else {}
        return {"access_token": token, "token_type": "bearer", **told}

    @app.post("/token")
    def token(who: Login, response: Response) -> dict[str, str]:
        return renewed(response, known(who))

    @app.post("/token/refresh")
    def renew(
        response: Response,
        text: Annotated[str | None, Depends(APIKeyCookie(name="__Host-refresh_token", auto_error=False))],
    ) -> dict[str, str]:
        who = chain.pop(text or "", None)
        if who is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        response.headers["X-Renewed"] = "yes"
        return renewed(response, who)

    @app.post("/session")
    def log_in(who: Login, response: Response) -> dict[str, str]:
        sessions[sid := make()] = known(who)
        response.set_cookie(name, sid, **session)
        if double_submit:
            response.set_cookie("csrf_token", secrets.token_urlsafe(16), secure=True, samesite="strict")
        if both:
            tokens[token := secrets.token_urlsafe(32)] = who.username
            return {"access_token": token, "token_type": "bearer"}
        return {"hello": who.username}

    @app.post("/session/confirm-password")
    def confirm(body: Again, request: Request, response: Response, who: Caller) -> dict[str, str]:
        if PEOPLE[who] != body.password:
            raise HTTPException(403, "no")
        sessions.pop(request.cookies.get(name, ""), None)
        sessions[sid := make()] = who
        response.set_cookie(name, sid, **confirmed)
        return {"hello": who}

    @app.get("/me")
    def me(who: Caller) -> dict[str, str]:
        return {"username": who}

    @app.post("/logout")
    def log_out(request: Request, who: Caller) -> dict[str, str]:
        sessions.pop(request.cookies.get(name, ""), None)
        return {"bye": who}

    return app


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in SOUND.items() if key != name}


def with_csrf(name: str) -> dict[str, str]:
    """The login by session as its owner declares it, with the CSRF token that everything needs."""
    where = {"csrf": "cookie csrf_token", "csrf_header": "X-CSRF-Token"}
    return {"operation": "POST /session", "cookie": name, **where}


CODES = ("SES102", "SES103", "SES104", "SES105", "SES106")


@pytest.mark.parametrize("code", CODES)
def test_both_doors_are_looked_at(code: str) -> None:
    result = judged_as_found(code, gallery())
    assert result.name == "passed", said(result)
    assert "__Host-sid" in result.verdict.reason
    assert "__Host-refresh_token" in result.verdict.reason


def test_a_browser_that_was_given_a_token_too_sends_its_cookie_alone() -> None:
    login = [{"operation": "POST /session", "token": "/access_token"}]
    result = judged_as_found("SES103", gallery(both=True), login=login)
    assert result.name == "passed", said(result)


@pytest.mark.parametrize("ends", [True, False])
def test_a_token_of_ids_is_a_reference_where_its_logout_ends_it(ends: bool) -> None:
    """SES108: of the two cookies nobody learns who that is, and one of them is all that there is of the session."""
    app = gallery(
        make=lambda: jwt.encode({"sub": str(uuid4()), "jti": str(uuid4())}, secrets.token_bytes(32))
    )

    @app.middleware("http")
    async def keep(request: Request, proceed: Any) -> Response:
        if request.url.path == "/logout" and not ends:
            return JSONResponse({"bye": "somebody"})
        return await proceed(request)

    result = judged_as_found("SES108", app)
    assert (result.name, result.severity) == (("passed" if ends else "failed"), Severity.MEDIUM), said(result)


@pytest.mark.parametrize("code", CODES)
def test_a_csrf_cookie_that_every_request_repeats_in_a_header_is_no_session(code: str) -> None:
    """It has to be read by scripts for that, and has no prefix, though nobody gets in without it."""
    result = judged_as_found(code, gallery(double_submit=True), login=[with_csrf("__Host-sid")])
    assert result.name == "passed", said(result)
    assert "csrf_token" not in result.verdict.reason


@pytest.mark.parametrize(
    ("code", "knobs", "where"),
    [
        ("SES102", {"session": without("secure")}, "POST /session sets"),
        ("SES103", {"session": without("httponly")}, "POST /session sets"),
        ("SES103", {"refresh": without("httponly")}, "POST /token sets"),
        ("SES103", {"tells_new": True}, "POST /token/refresh: the body"),
        ("SES104", {"session": {**SOUND, "samesite": None}}, "POST /session sets"),
        ("SES104", {"confirmed": {**SOUND, "samesite": None}}, "POST /session/confirm-password sets"),
        ("SES105", {"confirmed": {**SOUND, "domain": "example.com"}}, "POST /session/confirm-password sets"),
        ("SES106", {"session": {**SOUND, "max_age": 90_000}}, "POST /session sets"),
    ],
)
def test_what_is_wrong_behind_any_door_is_found(code: str, knobs: dict[str, Any], where: str) -> None:
    result = judged_as_found(code, gallery(**knobs))
    assert result.name == "failed", said(result)
    assert result.verdict.reason.startswith(where), said(result)


@pytest.mark.parametrize("path", ["/token/refresh", "/session/confirm-password"])
def test_a_step_that_fails_leaves_a_doubt(path: str) -> None:
    """Discovery takes the first call at most: what the operation sets when it is asked again, nobody sees."""
    result = judged_as_found("SES102", gallery(worn=(path, 1)))
    assert result.name == "inconclusive", said(result)
    assert f"POST {path} was refused" in result.verdict.reason


def test_a_refused_step_does_not_hide_what_was_seen() -> None:
    result = judged_as_found("SES102", gallery(worn=("/token/refresh", 1), session=without("secure")))
    assert result.name == "failed", said(result)


def test_nobody_at_home_after_the_tours_is_a_doubt() -> None:
    """The last steps of a tour may have been answered by something else: the closing control sees that."""
    seen = dict[str, int]()
    app = gallery()

    @app.middleware("http")
    async def count(request: Request, proceed: Any) -> Response:
        seen[request.url.path] = seen.get(request.url.path, 0) + 1
        return await proceed(request)

    assert judged_as_found("SES102", app).name == "passed"
    result = judged_as_found("SES102", gallery(worn=("/session", seen["/session"] - 1)))
    assert result.name == "inconclusive", said(result)


def test_a_change_that_wants_an_unknown_csrf_token_is_told_how_to_declare_it() -> None:
    app = gallery()

    @app.middleware("http")
    async def shield(request: Request, proceed: Any) -> Response:
        if request.url.path.endswith("confirm-password") and request.headers.get("x-nonce") is None:
            return JSONResponse({"detail": "say where you come from"}, 403)
        return await proceed(request)

    result = judged_as_found("SES104", app)
    assert result.name == "inconclusive", said(result)
    assert "csrf_header" in result.verdict.remedy


def following(most: int, *, double_submit: bool = False, cached: bool = False) -> FastAPI:
    """A service that follows one of two session cookies so often, and refuses the two of them afterwards.

    `cached`: a cache says that it has answered them.
    """
    app, seen = gallery(name="sid", double_submit=double_submit), [0]

    @app.middleware("http")
    async def one_cookie(request: Request, proceed: Any) -> Response:
        line = "; ".join(request.headers.getlist("cookie"))
        seen[0] += (twice := line.count("sid=") > 1)
        if twice and seen[0] > most:
            return JSONResponse({"detail": "nobody"}, 401, {"WWW-Authenticate": "Bearer"})
        answer: Response = await proceed(request)
        if twice and cached:
            answer.headers["Age"] = "7"
        return answer

    return app


@pytest.mark.parametrize("double_submit", [False, True])
def test_one_of_two_cookies_is_followed_whatever_else_a_request_needs(double_submit: bool) -> None:
    """Without the CSRF token that A's page sends along, both cookies would be refused for the lack of it."""
    known = {"login": [with_csrf("sid")]} if double_submit else {}
    found = judged_as_found("SES113", following(1_000, double_submit=double_submit), **known)
    sound = judged_as_found("SES113", following(0, double_submit=double_submit), **known)
    assert (found.name, sound.name) == ("failed", "passed"), said(found) + said(sound)


@pytest.mark.parametrize(("most", "cached", "why"), [(1, False, "once of two times"), (99, True, "a cache")])
def test_two_cookies_that_are_followed_only_once_are_a_doubt(most: int, cached: bool, why: str) -> None:
    result = judged_as_found("SES113", following(most, cached=cached))
    assert result.name == "inconclusive", said(result)
    assert why in result.verdict.reason


@pytest.mark.parametrize(
    ("path", "after", "why"),
    [
        ("/me", 1_200, "a young session was refused, too"),
        ("/token/refresh", 400_000, "a young family was refused, too"),
        ("/nowhere", 0, "did not visibly follow"),
        ("/tired", 0, "a young session was refused, too"),
    ],
    ids=["sessions", "families", "a family in cookies that never ends", "after so many uses"],
)
def test_who_refuses_everybody_by_a_moved_clock_has_shown_no_limit(path: str, after: float, why: str) -> None:
    """SES115: old sessions and families are refused by then, and so are the young."""
    app, used, began = gallery(), dict[str, list[float]](), time.time()

    @app.middleware("http")
    async def dated(request: Request, proceed: Any) -> Response:
        where, now = request.url.path, time.time()
        uses = used.setdefault(request.headers.get("cookie", ""), [])
        uses += [now] * (where == "/me")
        tired = path == "/tired" and "cookie" in request.headers and len(uses) > 12
        idle = where == "/me" and now > (uses[-2:][0] if path == "/tired" else uses[0]) + 1_790
        if idle or tired or (where == path and now > began + after):
            return JSONResponse({"detail": "nobody"}, 401, {"WWW-Authenticate": "Bearer"})
        return await proceed(request)

    result = judged_as_found("SES115", app, policy={"session_idle": 1_800, "session_absolute": 14_400})
    assert result.name == "inconclusive", said(result)
    assert why in result.verdict.reason


def test_a_token_of_the_same_moment_is_not_told_as_a_session_that_was_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SES110: each login makes a token anew, which counts time in steps; the old one stays alive beside it."""
    monkeypatch.setattr("auth_conformance.probe.fixation.NEXT_SECOND", 0.15)
    monkeypatch.setattr("auth_conformance.probe.sessions.NEXT_SECOND", 0.15)
    result = judged_as_found("SES110", gallery(make=lambda: f"{int(time.time() * 8):040}"))
    assert (result.name, result.severity) == ("failed", Severity.MEDIUM), said(result)
    assert "left it alive beside the new one" in result.verdict.reason
    assert "kept it" not in said(result)


def test_a_session_that_could_not_be_ended_leaves_open_what_opens_for_an_ended_one() -> None:
    """ERR109: without a revoked credential nothing shows that a failing list of sessions denies one."""
    result = judged_as_found("ERR109", gallery(worn=("/logout", 1)), login=[{"operation": "POST /session"}])
    assert result.name == "inconclusive", said(result)
    assert "evoked cookie credential could not be had" in result.verdict.reason, said(result)


def test_nobody_guesses_a_private_key_that_signs_cookies() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    result = judged_as_found(
        "SES109", gallery(make=lambda: jwt.encode({"sid": secrets.token_hex(16)}, key, "ES256"))
    )
    assert result.name == "skipped", said(result)
    assert "a private key signs" in result.verdict.reason
