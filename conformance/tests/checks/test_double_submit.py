"""WEB104 where the CSRF token is in a cookie, too: compared with the header, bound to the session, or optional."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Annotated, Literal

import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, Form, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.security import APIKeyCookie
from services.people import PEOPLE

from auth_conformance.model import Result, Severity

KEY = secrets.token_bytes(16)
# Whether a change is meant, by the session and the CSRF token in cookie and header.
Meant = Callable[[str, str, str], bool]
SameSite = Literal["strict", "none"]


def bound(session: str) -> str:
    return hmac.new(KEY, session.encode(), hashlib.sha256).hexdigest()


def agree(_: str, crumb: str, token: str) -> bool:
    return bool(crumb) and crumb == token


def agree_if_any(_: str, crumb: str, token: str) -> bool:
    return not token or crumb == token


def is_its_own(session: str, crumb: str, token: str) -> bool:
    return hmac.compare_digest(bound(session), token) and crumb == token


def tearoom(
    meant: Meant,
    *,
    crumb: str = "crumb",
    own: bool = False,
    same_site: SameSite = "none",
    path: str = "/pots",
    visits: Literal["none", "told apart", "alike"] = "none",
    breaks: bool = False,
    field: Literal["", "cookie", "page"] = "",
) -> FastAPI:
    app, sessions, pots = FastAPI(), dict[str, str](), dict[str, tuple[str, str]]()
    scheme = APIKeyCookie(name="sid", auto_error=False)

    def guest(sid: Annotated[str | None, Depends(scheme)]) -> str:
        if sid not in sessions:
            raise HTTPException(401, "no")
        return sessions[sid]

    Guest = Annotated[str, Depends(guest)]

    visitors = dict[str, str]()

    @app.get("/login", include_in_schema=False)
    def page() -> HTMLResponse:
        visit, token = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        visitors[visit] = token
        form = (
            f'<form method="post" action="/login"><input type="hidden" name="csrf_token" value="{token}">'
            '<input name="username"><input type="password" name="password"></form>'
        )
        answer = HTMLResponse(form)
        answer.set_cookie("visit", visit, httponly=True, secure=True, samesite=same_site)
        return answer

    @app.post("/login")
    def login(
        request: Request,
        response: Response,
        username: Annotated[str, Form()],
        password: Annotated[str, Form()],
        csrf_token: Annotated[str, Form()] = "",
    ) -> dict[str, str]:
        if visits == "none" and request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise HTTPException(500 if breaks else 403, "not from here")
        if visits == "told apart" and visitors.get(request.cookies.get("visit", "")) != csrf_token:
            raise HTTPException(403, "no CSRF token of this visit")
        if visits == "alike" and csrf_token not in visitors.values():
            raise HTTPException(403, "no CSRF token of ours")
        if PEOPLE.get(username) != password:
            raise HTTPException(401, "no")
        sid = secrets.token_urlsafe(24)
        sessions[sid] = username
        response.set_cookie("sid", sid, httponly=True, secure=True, samesite=same_site)
        if field != "page":
            response.set_cookie(crumb, bound(sid) if own else secrets.token_hex(16), secure=True, path="/")
        return {"hello": username}

    @app.get("/me")
    def me(name: Guest) -> dict[str, str]:
        return {"username": name}

    @app.post(path, status_code=201)
    async def brew(request: Request, name: Guest, tea: Annotated[str, Form()]) -> dict[str, str]:
        sid, token = request.cookies["sid"], request.headers.get("x-csrf-token", "")
        if field:
            token = str((await request.form()).get("csrf_token", ""))
        if not meant(sid, token if field == "page" else request.cookies.get(crumb, ""), token):
            raise HTTPException(403, "not meant")
        number = secrets.token_hex(8)
        pots[number] = (name, tea)
        return {"id": number, "tea": tea}

    if field == "page":

        @app.get(path + "/new")
        def brewing(request: Request, _: Guest) -> HTMLResponse:
            token = bound(request.cookies["sid"])
            return HTMLResponse(
                f'<form method="post"><input type="hidden" name="csrf_token" value="{token}"></form>'
            )

    @app.get(path + "/{pot_id}")
    def read(pot_id: str, name: Guest) -> dict[str, str]:
        owner, tea = pots.get(pot_id, ("", ""))
        if owner != name:
            raise HTTPException(404, "nothing")
        return {"id": pot_id, "tea": tea}

    return app


def judged(app: FastAPI) -> Result:
    return judged_as_found("WEB104", app)


def test_a_token_that_is_only_compared_with_a_cookie_can_be_chosen() -> None:
    result = judged(tearoom(agree))
    assert (result.name, result.severity) == ("failed", Severity.LOW), said(result)
    assert "not that the page knows the session's" in result.verdict.reason


def test_a_cookie_that_nobody_else_can_plant_makes_the_comparison_enough() -> None:
    result = judged(tearoom(agree, crumb="__Host-crumb"))
    assert result.name == "passed", said(result)
    assert "of the page's choice, in cookie and header" in said(result)


def test_a_token_bound_to_the_session_passes() -> None:
    result = judged(tearoom(is_its_own, own=True))
    assert result.name == "passed", said(result)


@pytest.mark.parametrize(("same_site", "severity"), [("none", Severity.HIGH), ("strict", Severity.MEDIUM)])
def test_a_token_that_need_not_be_there_protects_nobody(same_site: SameSite, severity: Severity) -> None:
    result = judged(tearoom(agree_if_any, same_site=same_site))
    assert (result.name, result.severity) == ("failed", severity), said(result)
    assert "is carried out for a form" in result.verdict.reason


@pytest.mark.parametrize("same_site", ["none", "strict"])
def test_a_login_form_is_forged_with_the_visit_of_another_browser(same_site: SameSite) -> None:
    sound = judged(tearoom(is_its_own, own=True, same_site=same_site, visits="told apart"))
    assert sound.name == "passed", said(sound)
    alike = judged(tearoom(is_its_own, own=True, same_site=same_site, visits="alike"))
    assert (alike.name, alike.severity) == ("failed", Severity.MEDIUM), said(alike)
    assert "POST /login sets a session for a form" in alike.verdict.reason


# The token in a hidden field, which every page can write: whatever it is compared with.
FIELDS = ("cookie", "page")


@pytest.mark.parametrize("field", FIELDS)
def test_a_token_in_a_hidden_field_that_is_the_sessions_own_passes(field: Literal["cookie", "page"]) -> None:
    result = judged(tearoom(is_its_own, own=True, field=field))
    assert result.name == "passed", said(result)


def of_anybody(_: str, __: str, token: str) -> bool:
    return len(token) == len(bound(""))


def any_word(_: str, __: str, token: str) -> bool:
    return bool(token)


@pytest.mark.parametrize(
    ("meant", "same_site", "severity"),
    [
        (of_anybody, "none", Severity.HIGH),
        (any_word, "none", Severity.HIGH),
        (any_word, "strict", Severity.MEDIUM),
    ],
)
def test_a_field_that_takes_the_token_of_another_session_protects_nobody(
    meant: Meant, same_site: SameSite, severity: Severity
) -> None:
    result = judged(tearoom(meant, own=True, field="page", same_site=same_site))
    assert (result.name, result.severity) == ("failed", severity), said(result)
    assert "is carried out with" in result.verdict.reason


def test_a_field_that_is_compared_with_a_cookie_needs_a_planted_one() -> None:
    result = judged(tearoom(agree, field="cookie"))
    assert (result.name, result.severity) == ("failed", Severity.LOW), said(result)
    assert "of another user" in result.verdict.reason


def test_a_login_that_breaks_down_was_not_refused() -> None:
    result = judged(tearoom(is_its_own, own=True, breaks=True))
    assert result.name == "inconclusive", said(result)
    assert "a login by a form of another site" in result.verdict.reason


def test_changes_that_nobody_could_see_are_not_called_defended() -> None:
    # Who gets a role may do more: nothing is created there by a guess.
    result = judged(tearoom(is_its_own, own=True, path="/roles"))
    assert result.name == "inconclusive", said(result)
    assert "POST /roles was not forged" in result.verdict.reason
    assert "[objects]" in getattr(result.verdict, "remedy", "")
