"""A server-rendered site with a session cookie, whose OpenAPI document knows of no security at all.

`POST /login` takes the form fields `user` and `secret`, sets the HttpOnly cookie `sid` and answers 303 to
`/account`; a wrong login is a 200 page with the form. `GET /account` names the caller in HTML and carries
the CSRF token in `<meta name="csrf-token">`; without a session it is a 303 to `/login`. `POST
/account/motto` (form field `motto`) and `POST /logout` want the token back in `X-CSRF-Token`, else 403. The
cookies are read by hand. Start: `services.cookie_app:create_app`; alice and bob exist.

True faults: the cookie is not `Secure` unless `secure_cookie=True` (then plain http cannot carry it);
nothing ties the login form to the browser that fetched it (login CSRF, eased by SameSite=Lax). Ten wrong
passwords within a minute close an account for the rest of it, also to its owner.
"""

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from typing import Annotated

from fastapi import FastAPI, Form, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from services.people import PEOPLE, FailureLimit, PasswordBook, Sessions

_COOKIE = "sid"


class Visitors:
    """Who sits behind a request, by its cookie."""

    def __init__(self) -> None:
        self.sessions = Sessions()

    def caller(self, request: Request) -> str | None:
        return self.sessions.owner(request.cookies.get(_COOKIE))

    def caller_who_means_it(self, request: Request) -> str:
        name = self.caller(request)
        if name is None:
            raise HTTPException(401, "log in first")
        expected, offered = _csrf(request.cookies[_COOKIE]), request.headers.get("x-csrf-token", "")
        if not secrets.compare_digest(expected.encode(), offered.encode()):
            raise HTTPException(403, "the CSRF token is missing or wrong")
        return name


def create_app(*, people: Mapping[str, str] = PEOPLE, secure_cookie: bool = False) -> FastAPI:
    app = FastAPI(title="Members", docs_url=None, redoc_url=None)
    passwords, limit, visitors = PasswordBook(people), FailureLimit(), Visitors()
    sessions = visitors.sessions
    mottoes: dict[str, str] = {}

    @app.middleware("http")
    async def private(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await proceed(request)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'"
        return response

    @app.get("/login")
    def login_form() -> HTMLResponse:
        return HTMLResponse(_form(""))

    @app.post("/login")
    def log_in(
        request: Request,
        user: Annotated[str, Form(max_length=64)],
        secret: Annotated[str, Form(max_length=128)],
    ) -> Response:
        if wait := limit.wait(user):
            message = _form("Too many attempts, try again later.")
            return HTMLResponse(message, 429, {"Retry-After": str(wait)})
        if not passwords.accepts(user, secret):
            limit.failed(user)
            return HTMLResponse(_form("Name or password is wrong."))
        limit.succeeded(user)
        sessions.close(request.cookies.get(_COOKIE, ""))
        response = RedirectResponse("/account", 303)
        response.set_cookie(
            _COOKIE,
            sessions.open(user),
            max_age=int(sessions.lifetime),
            secure=secure_cookie,
            httponly=True,
            samesite="lax",
        )
        return response

    @app.get("/account")
    def account(request: Request) -> Response:
        name = visitors.caller(request)
        if name is None:
            return RedirectResponse("/login", 303)
        head = f'<meta name="csrf-token" content="{_csrf(request.cookies[_COOKIE])}">'
        motto = escape(mottoes.get(name, ""))
        return HTMLResponse(
            _page(head, f"<h1>Signed in as {escape(name)}</h1><blockquote>{motto}</blockquote>")
        )

    @app.post("/account/motto")
    def change_motto(request: Request, motto: Annotated[str, Form(max_length=200)]) -> Response:
        mottoes[visitors.caller_who_means_it(request)] = motto
        return RedirectResponse("/account", 303)

    @app.post("/logout")
    def log_out(request: Request) -> Response:
        visitors.caller_who_means_it(request)
        sessions.close(request.cookies[_COOKIE])
        response = RedirectResponse("/login", 303)
        response.delete_cookie(_COOKIE, secure=secure_cookie, httponly=True, samesite="lax")
        return response

    return app


def _csrf(session: str) -> str:
    return hashlib.sha256(f"csrf:{session}".encode()).hexdigest()


def _form(message: str) -> str:
    fields = '<input name="user"><input name="secret" type="password"><button>Log in</button>'
    return _page("", f'<form method="post" action="/login">{fields}</form><p>{message}</p>')


def _page(head: str, body: str) -> str:
    return f"<!doctype html><html><head><title>Members</title>{head}</head><body>{body}</body></html>"
