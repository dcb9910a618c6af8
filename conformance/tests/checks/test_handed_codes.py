"""TOK401 and LIF108 on what people are handed to pass on: share links, and codes that log another device in."""

import itertools
import secrets
from typing import Annotated

import pytest
from checks.desk import Person, front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from services.people import PEOPLE


class Titled(BaseModel):
    title: str


class Link(BaseModel):
    slip: str


class Code(BaseModel):
    pairing: str


class Login(BaseModel):
    access_token: str


def album(*, counted: bool = False, again: bool = False) -> FastAPI:
    """Pictures that a link shows to whoever has it, `counted` ones by number; a code that works `again` and again."""
    app = FastAPI()
    pictures, links, codes = dict[str, tuple[str, str]](), dict[str, str](), dict[str, str]()
    numbers = itertools.count(70_000_001)
    app.state.links = links
    caller = front_desk(app)
    log_in = next(route.endpoint for route in app.routes if getattr(route, "path", "") == "/login")
    Caller = Annotated[str, Depends(caller)]

    def own(picture: str, name: Caller) -> str:
        if pictures.get(picture, ("",))[0] != name:
            raise HTTPException(404, "no picture")
        return picture

    Picture = Annotated[str, Depends(own)]

    @app.post("/pictures", status_code=201)
    def keep(body: Titled, name: Caller) -> dict[str, str]:
        picture = secrets.token_hex(8)
        pictures[picture] = (name, body.title)
        return {"id": picture, "title": body.title}

    @app.get("/pictures/{picture}")
    def look(picture: Picture) -> dict[str, str]:
        return {"id": picture, "title": pictures[picture][1]}

    @app.post("/pictures/{picture}/links", status_code=201)
    def share(picture: Picture) -> Link:
        slip = str(next(numbers)) if counted else secrets.token_urlsafe(24)
        links[slip] = picture
        return Link(slip=slip)

    @app.get("/shared/{slip}")
    def shared(slip: str) -> Titled:
        if slip not in links:
            raise HTTPException(404, "no such link")
        return Titled(title=pictures[links[slip]][1])

    @app.post("/devices", status_code=201)
    def another_device(name: Caller) -> Code:
        code = secrets.token_urlsafe(24)
        codes[code] = name
        return Code(pairing=code)

    @app.post("/devices/pair")
    def pair(body: Code) -> Login:
        name = codes.get(body.pairing) if again else codes.pop(body.pairing, None)
        if name is None:
            raise HTTPException(401, "no such code")
        return Login.model_validate(log_in(Person(username=name, password=PEOPLE[name])))

    return app


@pytest.mark.parametrize(
    ("code", "flaw", "words"),
    [
        ("TOK401", "counted", "POST /pictures/{picture}/links issues values of slip"),
        ("LIF108", "", "20 uses of one login code token were granted at most once"),
        ("LIF108", "again", "POST /devices/pair gave a login for a code that had been used"),
    ],
)
def test_what_is_handed_out_to_be_passed_on_is_judged(code: str, flaw: str, words: str) -> None:
    result = judged_as_found(code, album(**{flaw: True} if flaw else {}))
    assert result.name == ("failed" if flaw else "passed"), said(result)
    assert words in result.verdict.reason, said(result)


def test_a_link_is_judged_and_nobody_is_told_it() -> None:
    app = album()
    result = judged_as_found("TOK401", app)
    assert result.name == "passed", said(result)
    assert "values of slip (which GET /shared/{slip} takes from anybody): at most" in result.verdict.reason
    shown = repr(result.verdict.evidence)
    assert "/shared/‹sha256:" in shown
    assert not [slip for slip in app.state.links if slip in shown]
