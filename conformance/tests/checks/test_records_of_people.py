"""AUZ106 where people are read by their number: whether others may see an address is the owner's to say."""

import secrets
from typing import Annotated, Any

import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from services.people import PEOPLE


class Person(BaseModel):
    username: str
    password: str


def directory(shows: str) -> FastAPI:
    """People by number: it `shows` others everything, the name alone, or nothing; or lists all of them."""
    app, sessions = FastAPI(), dict[str, str]()
    numbers = dict(enumerate(PEOPLE, 7))

    def caller(sent: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
        if sent.credentials not in sessions:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return sessions[sent.credentials]

    Caller = Annotated[str, Depends(caller)]

    def record(number: int) -> dict[str, Any]:
        name = numbers[number]
        return {"id": number, "username": name, "phone": f"+49 30 {4_000_000 + number}"}

    @app.post("/login")
    def login(who: Person) -> dict[str, str]:
        if PEOPLE.get(who.username) != who.password:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        token = secrets.token_urlsafe(24)
        sessions[token] = who.username
        return {"access_token": token, "token_type": "bearer"}

    @app.get("/users/me")
    def me(name: Caller) -> dict[str, Any]:
        return record(next(number for number, other in numbers.items() if other == name))

    @app.get("/users/{user_id}")
    def read(user_id: int, name: Caller) -> dict[str, Any]:
        if user_id not in numbers or (numbers[user_id] != name and shows not in ("everything", "the name")):
            raise HTTPException(404, "nobody")
        found = record(user_id)
        return found if shows == "everything" or numbers[user_id] == name else {"username": found["username"]}

    @app.get("/logins")
    def logins(name: Caller) -> list[str]:
        return [
            token for token, other in sessions.items() if name == other or shows == "the logins of others"
        ]

    @app.get("/users")
    def everybody(name: Caller) -> dict[str, Any]:
        found = [record(number) for number in numbers]
        if shows == "a list of names":
            found = [{"id": item["id"], "username": item["username"]} for item in found]
        return {"users": found if shows.startswith("a list") else []}

    return app


@pytest.mark.parametrize(
    ("shows", "policy", "verdict"),
    [
        ("nothing", {}, "passed"),
        ("the logins of others", {}, "failed"),
        ("the name", {}, "passed"),
        ("everything", {}, "inconclusive"),
        ("a list of names", {}, "passed"),
        ("a list of records", {}, "inconclusive"),
        ("a list of records", {"privileged_operations": ["GET /users"]}, "passed"),
        ("everything", {"private_fields": ["phone"]}, "failed"),
        ("everything", {"public_operations": ["GET /users/{user_id}"]}, "passed"),
        ("everything", {"shown_fields": ["phone"]}, "passed"),
        ("a list of records", {"shown_fields": ["phone"]}, "passed"),
    ],
)
def test_what_others_are_shown_of_a_person(shows: str, policy: dict[str, Any], verdict: str) -> None:
    result = judged_as_found("AUZ106", directory(shows), policy=policy)
    assert result.name == verdict, said(result)
    if verdict == "inconclusive" and shows == "a list of records":
        assert (
            "GET /users lists people to everybody: another user is shown id and phone"
            in result.verdict.reason
        )
        assert 'privileged_operations = ["GET /users"]' in result.verdict.remedy
    elif verdict == "inconclusive":
        assert "GET /users/{user_id} shows another user phone of its owner" in result.verdict.reason
        assert 'private_fields = ["phone"]' in result.verdict.remedy
    assert verdict != "inconclusive" or 'shown_fields = ["phone"]' in result.verdict.remedy
