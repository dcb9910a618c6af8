"""AUZ104 within what people share: who is let in to look makes nobody more, and certainly not oneself."""

import secrets
from typing import Annotated, Literal

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel

from auth_conformance.model import Failed, Skipped

Part = Literal["owner", "editor", "viewer"]


class Titled(BaseModel):
    title: str


class Invitation(BaseModel):
    username: str
    role: Part = "viewer"


class Change(BaseModel):
    role: Part


class Acceptance(BaseModel):
    code: str


def clubs(
    *,
    careless: bool = False,
    coded: bool = True,
    again: bool = False,
    counted: bool = False,
    written: str = "",
) -> FastAPI:
    """Owners let others in, who come at once or accept a code; `careless`, every member gives out roles.

    A code may work `again` and again, or be `counted`. The title is `written` by the owner, or by anybody in it.
    """
    app = FastAPI()
    members, titles = dict[str, dict[str, Part]](), dict[str, str]()
    invited = dict[str, tuple[str, str, Part]]()
    Caller = Annotated[str, Depends(front_desk(app))]

    def inside(club: str, name: Caller) -> str:
        if name not in members.get(club, {}):
            raise HTTPException(404, "no club")
        return club

    Club = Annotated[str, Depends(inside)]

    def governed(club: Club, name: Caller) -> str:
        if members[club][name] != "owner":
            raise HTTPException(403, "owners only")
        return club

    Governed = Annotated[str, Depends(governed)]
    Ruled = Annotated[str, Depends(inside if careless else governed)]

    @app.post("/clubs", status_code=201)
    def found(body: Titled, name: Caller) -> dict[str, str]:
        club = secrets.token_hex(8)
        members[club], titles[club] = {name: "owner"}, body.title
        return {"id": club, "title": body.title}

    @app.get("/clubs/{club}")
    def look(club: Club) -> dict[str, str]:
        return {"id": club, "title": titles[club]}

    if written:

        @app.patch("/clubs/{club}")
        def write(
            club: Annotated[str, Depends(governed if written == "by the owner" else inside)], body: Titled
        ) -> dict[str, str]:
            titles[club] = body.title
            return {"id": club, "title": body.title}

    @app.post("/clubs/{club}/invitations", status_code=201)
    def invite(club: Governed, body: Invitation) -> dict[str, str]:
        code = f"{10_000_000 + len(invited)}" if counted else secrets.token_urlsafe(24)
        if not coded:
            members[club][body.username] = body.role
            return {"state": "in"}
        invited[code] = (club, body.username, body.role)
        return {"code": code}

    @app.post("/invitations/accept")
    def accept(body: Acceptance, name: Caller) -> dict[str, bool]:
        if invited.get(body.code, ("", ""))[1] != name:
            raise HTTPException(404, "no invitation")
        club, _, role = invited[body.code] if again else invited.pop(body.code)
        members[club][name] = role
        return {"ok": True}

    @app.get("/clubs/{club}/members")
    def listed(club: Club) -> list[dict[str, str]]:
        return [{"username": who, "role": role} for who, role in members[club].items()]

    @app.put("/clubs/{club}/members/{who}")
    def change(club: Ruled, who: str, body: Change) -> dict[str, str]:
        if who not in members[club]:
            raise HTTPException(404, "nobody")
        members[club][who] = body.role
        return {"role": body.role}

    @app.delete("/clubs/{club}/members/{who}", status_code=204)
    def put_out(club: Governed, who: str) -> None:
        members[club].pop(who, None)

    return app


@pytest.mark.parametrize("coded", [True, False])
@pytest.mark.parametrize("careless", [True, False])
def test_who_is_let_in_to_look_becomes_no_more(*, careless: bool, coded: bool) -> None:
    result = judged_as_found("AUZ104", clubs(careless=careless, coded=coded))
    assert isinstance(result.verdict, Failed if careless else Skipped), said(result)
    told = "PUT /clubs/{club}/members/{who} let another user, whom the owner had let in as viewer, become"
    assert (told in result.verdict.reason) is careless, said(result)


@pytest.mark.parametrize("written", ["by the owner", "by anybody in it"])
def test_who_is_let_in_to_look_changes_nothing(written: str) -> None:
    result = judged_as_found("AUZ104", clubs(written=written))
    told = "PATCH /clubs/{club} let another user, whom the owner had let in as viewer, change what the owner reads"
    assert (told in result.verdict.reason) is (written == "by anybody in it"), said(result)


@pytest.mark.parametrize(
    ("code", "flaw", "words"),
    [
        ("LIF108", "", "An invitation that was used let nobody back in"),
        ("LIF108", "again", "POST /invitations/accept took an invitation that had been used"),
        ("TOK401", "", "codes of invitations (which POST /invitations/accept takes): at most"),
        ("TOK401", "counted", "POST /clubs/{club}/invitations issues codes of invitations"),
    ],
)
def test_the_codes_of_invitations_are_random_and_work_once(code: str, flaw: str, words: str) -> None:
    result = judged_as_found(code, clubs(**{flaw: True} if flaw else {}))
    assert result.name == ("failed" if flaw else "passed"), said(result)
    assert words in result.verdict.reason, said(result)
