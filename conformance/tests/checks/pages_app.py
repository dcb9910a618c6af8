"""A site of pages: a form logs in, everything that changes something is a form with a hidden token, no document."""

import html
import secrets
from urllib.parse import parse_qs

from services.people import PEOPLE
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

SPARE = {name: f"{name}-Quill-Orchard-52" for name in ("carol", "dave", "erin")}
COOKIE = "__Host-lending"
Held = dict[str, str]


def page(body: str, status: int = 200) -> HTMLResponse:
    text = f"<!doctype html><html><head><title>Lending</title></head><body>{body}</body></html>"
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})


def form(action: str, inner: str, held: Held) -> str:
    hidden = f'<input type="hidden" name="_proof" value="{held["proof"]}">'
    return f'<form method="post" action="{action}">{hidden}{inner}<button>Go</button></form>'


async def sent(request: Request) -> dict[str, str]:
    body = parse_qs((await request.body()).decode())
    return {name: values[0] for name, values in body.items()}


class Lending:
    """The site. `flaw`: `keeps` the session at the login; `logout` ends nothing; `open` and `posts` are the change of
    the passphrase and the form for loans without a token; `unasked` changes without the old passphrase, and
    `outlives` is a change that ends no other session; `echoes` shows the form of the login again with the passphrase
    in it, where "asks again" shows it empty. "tires" answers each wrong passphrase with a limit."""

    def __init__(self, flaw: str = "") -> None:
        self.flaw = flaw
        self.sessions: dict[str, Held] = {}
        self.people = PEOPLE | SPARE
        self.loans: list[tuple[str, str]] = []

    def opened(self, answer: Response, **held: str) -> Response:
        sid = secrets.token_urlsafe(24)
        self.sessions[sid] = {"proof": secrets.token_urlsafe(24), **held}
        answer.set_cookie(COOKIE, sid, secure=True, httponly=True, samesite="none")
        return answer

    def held_by(self, request: Request) -> Held:
        return self.sessions.get(request.cookies.get(COOKIE, ""), {})

    async def home(self, request: Request) -> Response:
        del request
        return page("<a href='/signin'>Sign in</a>")

    async def form_of_login(self, request: Request) -> Response:
        held = self.held_by(request) or {"proof": secrets.token_urlsafe(24)}
        inner = '<input name="handle"><input type="password" name="passphrase">'
        answer = page(form("/signin", inner, held))
        return answer if self.held_by(request) else self.opened(answer, **held)

    def refused(self, held: Held, body: dict[str, str]) -> Response:
        if self.flaw not in ("asks again", "echoes"):
            answer = page("That did not match.", 429 if self.flaw == "tires" else 401)
            answer.headers["Retry-After"] = "900"
            return answer
        typed = html.escape(body.get("passphrase", "")) if self.flaw == "echoes" else ""
        again = f'<input name="handle"><input type="password" name="passphrase" value="{typed}">'
        return page(form("/signin", again, held))

    async def signin(self, request: Request) -> Response:
        held, body = self.held_by(request), await sent(request)
        if not held or body.get("_proof") != held["proof"]:
            return page("The form has expired.", 400)
        name = body.get("handle", "")
        if self.people.get(name) != body.get("passphrase"):
            return self.refused(held, body)
        answer = RedirectResponse("/desk", 303)
        if self.flaw == "keeps":
            held["name"] = name
            return answer
        self.sessions.pop(request.cookies[COOKIE])
        return self.opened(answer, name=name)

    def away(self, request: Request) -> Response:
        return RedirectResponse(f"/signin?then={request.url.path}", 302)

    async def desk(self, request: Request) -> Response:
        held = self.held_by(request)
        if "name" not in held:
            return self.away(request)
        hello = f"<h1>Good day, <b>{html.escape(held['name'])}</b></h1>"
        mine = "".join(f"<li>{html.escape(title)}</li>" for name, title in self.loans if name == held["name"])
        lend = form("/loans", '<input name="title" required>', held)
        leave = form("/leave", "", held).replace(">Go<", ">Sign out<")
        return page(f"{hello}<a href='/account'>Account</a><ul>{mine}</ul>{lend}{leave}")

    async def lend(self, request: Request) -> Response:
        held, body = self.held_by(request), await sent(request)
        if "name" not in held:
            return self.away(request)
        if self.flaw != "posts" and body.get("_proof") != held["proof"]:
            return page("The form has expired.", 400)
        self.loans.append((held["name"], body.get("title", "")))
        return RedirectResponse("/desk", 303)

    async def account(self, request: Request) -> Response:
        held = self.held_by(request)
        if "name" not in held:
            return self.away(request)
        inner = '<input type="password" name="old"><input type="password" name="new">'
        return page(f"<h1>Account</h1>{form('/account/passphrase', inner, held)}")

    async def change(self, request: Request) -> Response:
        held, body = self.held_by(request), await sent(request)
        if "name" not in held:
            return self.away(request)
        name = held["name"]
        if self.flaw != "open" and body.get("_proof") != held["proof"]:
            return page("The form has expired.", 400)
        if self.flaw != "unasked" and self.people[name] != body.get("old"):
            return page("Wrong passphrase", 400)
        self.people[name] = body.get("new", "")
        if self.flaw == "outlives":
            return RedirectResponse("/account", 303)
        others = [
            sid for sid, other in self.sessions.items() if other is not held and other.get("name") == name
        ]
        for sid in others:
            self.sessions.pop(sid)
        return RedirectResponse("/account", 303)

    async def leave(self, request: Request) -> Response:
        held, body = self.held_by(request), await sent(request)
        if not held or body.get("_proof") != held["proof"]:
            return page("The form has expired.", 400)
        if self.flaw != "logout":
            self.sessions.pop(request.cookies[COOKIE])
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(COOKIE, secure=True)
        return answer


def pages_app(*, flaw: str = "") -> Starlette:
    """The site, as an application."""
    site = Lending(flaw)
    return Starlette(
        routes=[
            Route("/", site.home),
            Route("/signin", site.form_of_login),
            Route("/signin", site.signin, methods=["POST"]),
            Route("/desk", site.desk),
            Route("/account", site.account),
            Route("/account/passphrase", site.change, methods=["POST"]),
            Route("/loans", site.lend, methods=["POST"]),
            Route("/leave", site.leave, methods=["POST"]),
        ]
    )
