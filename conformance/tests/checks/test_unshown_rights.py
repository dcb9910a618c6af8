"""AUZ105 where a right that is taken at registration shows nowhere, and no administrator is known to compare with."""

from typing import Annotated

from checks.desk import Person, front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from services.people import PEOPLE

from auth_conformance.model import Failed, Passed


class Newcomer(Person):
    is_superuser: bool = False


def club(*, believes: bool) -> FastAPI:
    """Who registers is shown by name alone; superusers may list the others."""
    app, people, chiefs = FastAPI(), dict(PEOPLE), set[str]()

    caller = front_desk(app, me="/users/me", people=people)

    def chief(name: Annotated[str, Depends(caller)]) -> str:
        if name not in chiefs:
            raise HTTPException(403, "not for you")
        return name

    @app.post("/users", status_code=201)
    def register(who: Newcomer) -> dict[str, str]:
        if who.username in people:
            raise HTTPException(409, "taken")
        people[who.username] = who.password
        if who.is_superuser and believes:
            chiefs.add(who.username)
        return {"username": who.username}

    @app.get("/users", dependencies=[Depends(chief)])
    def everybody() -> list[str]:
        return sorted(people)

    return app


def test_a_right_that_only_opens_is_found_without_an_administrator() -> None:
    result = judged_as_found("AUZ105", club(believes=True))
    assert isinstance(result.verdict, Failed), said(result)
    assert "is_superuser" in result.verdict.reason
    assert "GET /users" in result.verdict.reason


def test_what_is_not_believed_opens_nothing() -> None:
    result = judged_as_found("AUZ105", club(believes=False))
    assert isinstance(result.verdict, Passed), said(result)
