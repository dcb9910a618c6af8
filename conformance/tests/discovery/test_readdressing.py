"""Changes of the e-mail address that are confirmed by mail, beside operations that look like them."""

import tomllib
from typing import Annotated, Any

import pytest
from discovery_people import Store, bearer_of, let_in
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from auth_conformance.discovery.writing import as_toml


class NewAddress(BaseModel):
    """What asks for a change."""

    new_email: str
    current_password: str


class Address(BaseModel):
    """As little as a change needs."""

    email: str


class Code(BaseModel):
    """What a message brought."""

    code: str


def service() -> tuple[FastAPI, Any]:
    app, store = FastAPI(), Store()
    known_caller = bearer_of(store)
    let_in(app, store, known_caller)

    @app.post("/verify-email")
    def verify(body: Code) -> None:
        raise HTTPException(400, "no")

    return app, known_caller


@pytest.mark.parametrize(
    ("ask", "confirm", "asked", "of_callers"),
    [
        ("/me/email", "/me/email/confirm", NewAddress, True),
        ("/change-email", "/change-email/verify", Address, False),
        ("/email/request", "/email/confirm", Address, True),
        ("/me/email", "/auth/confirm-new-email", Address, False),
    ],
)
def test_a_change_is_two_operations(
    learn: Any, ask: str, confirm: str, asked: type[BaseModel], of_callers: bool
) -> None:
    app, who = service()

    @app.post(ask)
    def change(body: asked, name: Annotated[str, who]) -> None:
        return None

    @app.post(confirm, dependencies=[who] if of_callers else [])
    def redeem(body: Code) -> None:
        raise HTTPException(400, "no")

    target = learn(app).target
    found = target.email_change
    assert found is not None
    assert (found.ask.operation.name, found.confirm.form.operation.name) == (f"POST {ask}", f"POST {confirm}")
    strict = asked is NewAddress
    assert (found.new, found.password) == (("new_email", "current_password") if strict else ("email", None))
    assert found.confirm.token == "code"
    assert target.verification.confirm.form.operation.name == "POST /verify-email"


def test_what_confirms_an_address_changes_none(learn: Any) -> None:
    app, who = service()

    @app.patch("/me")
    def profile(body: Address, name: Annotated[str, who]) -> None:
        return None

    @app.post("/emails/invite")
    def invite(body: Address, name: Annotated[str, who]) -> None:
        return None

    assert learn(app).target.email_change is None


def test_what_is_found_is_written_and_read_again(learn: Any) -> None:
    app, who = service()

    @app.put("/me/email")
    def change(body: NewAddress, name: Annotated[str, who]) -> None:
        return None

    @app.post("/me/email/confirm")
    def redeem(body: Code) -> None:
        raise HTTPException(400, "no")

    lesson = learn(app)
    text = as_toml(lesson.target, lesson.settings)
    given = tomllib.loads(text)["email_change"]
    assert (
        given["ask"] | {"operation": "PUT /me/email", "new": "new_email", "password": "current_password"}
        == given["ask"]
    )
    assert given["confirm"] | {"operation": "POST /me/email/confirm", "token": "code"} == given["confirm"]
    # As declared it is the same.
    assert learn(app, email_change=given).target.email_change.new == "new_email"
