"""Services that want the code of a mail back before a new account may log in, with the mailbox as a folder."""

import asyncio
import secrets
from pathlib import Path
from typing import Annotated, Any

from discovery_people import Store
from fastapi import Cookie, Depends, FastAPI, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

from auth_conformance import catalog
from auth_conformance.credentials import Kind
from auth_conformance.discovery.advising import doctor
from auth_conformance.engine import conduct
from auth_conformance.model import Need
from auth_conformance.settings import load


class Newcomer(BaseModel):
    email: Annotated[str, Field(json_schema_extra={"format": "email"})]
    password: str


class Code(BaseModel):
    email: Annotated[str, Field(json_schema_extra={"format": "email"})]
    code: str


def service(outbox: Path, *, forgetful: bool = False) -> FastAPI:
    """Sign-ups get a mail with six digits, written into a folder as a development server does.

    With `forgetful` there is a login of browsers, too, which does not ask whether the address is confirmed.
    """
    app, store = FastAPI(), Store()
    waiting: dict[str, str] = {}

    @app.post("/api/signup", status_code=202)
    def sign_up(body: Newcomer) -> dict[str, str]:
        code = f"{secrets.randbelow(10**6):06}"
        waiting[body.email] = code
        store.people[body.email] = body.password
        letter = f"To: {body.email}\nSubject: Welcome\n\nHello,\n\nyour confirmation code is {code}.\n"
        (outbox / secrets.token_hex(4)).write_text(letter, "utf-8")
        return {"status": "we sent you a code"}

    @app.post("/api/signup/confirm")
    def confirm(body: Code) -> dict[str, bool]:
        if waiting.get(body.email) != body.code:
            raise HTTPException(400, "wrong code")
        del waiting[body.email]
        return {"confirmed": True}

    @app.post("/api/login")
    def login(body: Newcomer) -> dict[str, str]:
        token = store.log_in(body.email, body.password)
        if body.email in waiting:
            raise HTTPException(403, "confirm your address first")
        return {"access_token": token}

    if forgetful:

        @app.post("/api/session/login")
        def browser_login(body: Newcomer, response: Response) -> dict[str, bool]:
            response.set_cookie("sid", store.log_in(body.email, body.password))
            return {"in": True}

    @app.get("/api/me")
    def me(
        sent: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
        sid: Annotated[str | None, Cookie()] = None,
    ) -> dict[str, str]:
        name = store.owner(sent.credentials if sent else sid)
        if name is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return {"email": name}

    return app


def test_doctor_names_the_mailbox(learn: Any, tmp_path: Path) -> None:
    target = learn(service(tmp_path), {}).target
    assert "[mailbox]" in target.remedies[Need.REGISTER]
    assert "[verification.confirm]" not in target.remedies[Need.REGISTER], "that operation was found"
    assert "[mailbox]" in doctor(target, {Need.REGISTER: ["CRD111"]})


def test_the_mailbox_lets_a_run_make_its_own_accounts(tmp_path: Path) -> None:
    settings = load({"mailbox": {"folder": str(tmp_path)}}, start=tmp_path)
    rules = catalog.load()
    run = asyncio.run(
        conduct(settings, [rules[code] for code in ("TOK101", "CRD112")], app=service(tmp_path))
    )
    found = {result.rule.code: result.name for result in run.results}
    # CRD112 guesses at an account that it makes for that, and there is no limit: it got as far as that.
    assert found == {"TOK101": "passed", "CRD112": "failed"}, [item.verdict for item in run.results]
    assert run.target is not None
    assert any(fact.name == "account b" for fact in run.target.facts)


def test_a_login_that_forgot_to_ask_does_not_hide_that_others_ask(learn: Any, tmp_path: Path) -> None:
    target = learn(service(tmp_path, forgetful=True), {}, mailbox={"folder": str(tmp_path)}).target
    assert target.register is not None
    assert target.register.confirmed
    assert {login.carrier.kind for login in target.logins} == {Kind.BEARER, Kind.COOKIE}
