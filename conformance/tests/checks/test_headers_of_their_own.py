"""A service in words that no list has: its token travels in a plain header, and it tells little of its bodies."""

import itertools
from collections import Counter
from typing import Annotated, Any

import pytest
from checks.desk import Person, Sessions
from checks.judging import judged_as_found, said
from fastapi import Body, Depends, FastAPI, Header, HTTPException, Request
from services.people import PEOPLE


def turned_away(flaw: str, password: str, seen: Counter[str]) -> bool:
    """Whether a password is refused: "tires" takes one short one and no more, "hesitates" refuses digits alone once.

    With "closes" nobody can join after the fifth.
    """
    if flaw == "closes":
        seen[flaw] += 1
        return seen[flaw] > 5
    if flaw not in {"tires", "hesitates"} or not (len(password) < 18 or password.isdigit()):
        return False
    seen[flaw] += 1
    return (seen[flaw] == 1) is (flaw == "hesitates")


def written_down(flaw: str, password: str) -> str:
    """What is kept of a password: all of it, but "garbles" knows no letters beyond ASCII."""
    return password.encode("ascii", "replace").decode() if flaw == "garbles" else password


def awake(flaw: str, who: Person) -> Person:
    """Who logs in; with "shuts" nobody can who has a short password, for the login is away just then."""
    if flaw == "shuts" and len(who.password) < 18:
        raise HTTPException(503, "later")
    return who


def letters(header: str = "X-Tkn", *, required: bool = True, flaw: str = "") -> FastAPI:
    """Letters that are kept for their writers, and answered 400 where there is none.

    With the flaw "rewrites" or "burns" anybody may do that to one, and with "rewords" to what is noted
    on it; with "filter", "header" or "claim" the list is
    everybody's when it is asked for a title, and somebody's whom a declared header, or one of a proxy's, names.
    The flaws of `turned_away` and `awake` are about the passwords that it takes.
    """
    app = FastAPI()
    people = dict(PEOPLE)
    notes: dict[int, dict[str, Any]] = {}
    seen: Counter[str] = Counter()
    logins, kept, numbers = Sessions(people), dict[int, dict[str, Any]](), itertools.count(1)

    if required:

        def caller(word: Annotated[str, Header(alias=header)]) -> str:
            return known(word)
    else:

        def caller(word: Annotated[str, Header(alias=header)] = "") -> str:
            return known(word)

    def known(word: str) -> str:
        if word not in logins:
            raise HTTPException(401, "no")
        return logins[word]

    Caller = Annotated[str, Depends(caller)]

    def of(number: int, name: str) -> dict[str, Any]:
        if kept.get(number, {}).get("nev") != name:
            raise HTTPException(400, "no letter")
        return kept[number]

    @app.post("/reg")
    def join(who: Person) -> dict[str, str]:
        if who.username in people:
            raise HTTPException(409, "taken")
        if turned_away(flaw, who.password, seen):
            raise HTTPException(400, "not this one")
        people[who.username] = written_down(flaw, who.password)
        return {"nev": who.username}

    @app.post("/belepes")
    def enter(who: Person) -> dict[str, str]:
        return {"tkn": logins.opened(awake(flaw, who))}

    @app.get("/en")
    def me(name: Caller) -> dict[str, str]:
        return {"nev": name}

    @app.post("/level")
    def write(
        name: Caller, cim: Annotated[str, Body()], szoveg: Annotated[str, Body()] = ""
    ) -> dict[str, Any]:
        number = next(numbers)
        kept[number] = {"id": number, "nev": name, "cim": cim, "szoveg": szoveg}
        return kept[number]

    @app.get("/level")
    def listed(
        name: Caller, request: Request, cim: str = "", x_nev: Annotated[str | None, Header()] = None
    ) -> dict[str, Any]:
        if flaw == "header" and x_nev:
            name = x_nev
        if flaw == "claim":
            name = request.headers.get("X-Forwarded-User", name)
        everybody = flaw == "filter" and cim
        found = [
            item for item in kept.values() if (everybody or item["nev"] == name) and cim in ("", item["cim"])
        ]
        return {"asked": cim, "found": found}

    @app.delete("/level/{number}", status_code=204)
    def burn(number: int, name: Caller) -> None:
        if flaw != "burns":
            of(number, name)
        kept.pop(number, None)

    @app.get("/level/{number}")
    def read(number: int, name: Caller) -> dict[str, Any]:
        return of(number, name) | {"jegyzet": [item for item in notes.values() if item["level"] == number]}

    @app.post("/level/{number}/jegyzet")
    def note(number: int, name: Caller, szoveg: Annotated[str, Body(embed=True)]) -> dict[str, Any]:
        of(number, name)
        notes[len(notes)] = {"id": len(notes), "level": number, "nev": name, "szoveg": szoveg}
        return {"jegyzet": notes[len(notes) - 1]}

    @app.put("/jegyzet/{number}")
    def reword(number: int, name: Caller, szoveg: Annotated[str, Body(embed=True)]) -> None:
        if number not in notes or (flaw != "rewords" and notes[number]["nev"] != name):
            raise HTTPException(400, "no note")
        notes[number]["szoveg"] = szoveg

    @app.post("/level/{number}")
    def rewrite(
        number: int, name: Caller, cim: Annotated[str, Body()], szoveg: Annotated[str, Body()]
    ) -> dict[str, Any]:
        letter = kept[number] if flaw == "rewrites" and number in kept else of(number, name)
        letter.update(cim=cim, szoveg=szoveg)
        return letter

    return app


# A header that is called as what the login gives, or as nothing in particular.
@pytest.mark.parametrize(("header", "required"), [("X-Tkn", True), ("X-Tkn", False), ("X-Belepo", True)])
def test_what_a_change_demands_and_the_creation_does_not_is_made_up(header: str, *, required: bool) -> None:
    result = judged_as_found("AUZ102", letters(header, required=required))
    assert result.name == "passed", said(result)
    result = judged_as_found("AUZ102", letters(header, required=required, flaw="rewrites"))
    assert result.name == "failed", said(result)


@pytest.mark.parametrize(
    ("code", "flaw", "word"),
    [
        ("AUZ103", "", ""),  # its answer repeats what was asked for
        ("AUZ103", "filter", "cim is A's text"),
        ("AUZ103", "header", "x-nev is A's"),
        ("AUZ103", "claim", "headers that name A"),
        ("AUZ102", "rewords", "PUT /jegyzet/{number} worked on what another user had put below an object"),
        ("AUZ102", "burns", "its owner does not find it any more (400)"),
    ],
)
def test_what_others_do_is_seen(code: str, flaw: str, word: str) -> None:
    result = judged_as_found(code, letters(flaw=flaw))
    assert result.name == ("failed" if flaw else "passed"), said(result)
    assert word in said(result)


def test_who_takes_the_members_of_a_login_may_make_accounts() -> None:
    result = judged_as_found("CRD106", letters())
    assert "POST /reg takes" in said(result)


@pytest.mark.parametrize(
    ("code", "flaw", "word"),
    [
        ("CRD106", "tires", "was not taken again"),
        ("CRD106", "shuts", "log in with the weak password: no orderly answer"),
        ("CRD107", "hesitates", "was refused once (400), and not again"),
        ("CRD107", "shuts", "no orderly answer"),
        ("CRD107", "closes", "by then a random password of all kinds was refused as well"),
    ],
)
def test_what_happened_once_is_a_doubt(code: str, flaw: str, word: str) -> None:
    result = judged_as_found(code, letters(flaw=flaw))
    assert (result.name, word in said(result)) == ("inconclusive", True), said(result)


def test_a_password_that_is_taken_and_does_not_log_in_was_not_allowed() -> None:
    result = judged_as_found("CRD107", letters(flaw="garbles"))
    assert result.name == "failed", said(result)
    assert "emoji was taken and does not log in" in said(result)


@pytest.mark.parametrize("code", ["LIF106", "LIF108"])
def test_what_nobody_can_do_need_not_be_told(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI()
    monkeypatch.setenv("PASSWORD_OF_VERA", "Vera-Tin-Whistle-3")
    logins = Sessions({**PEOPLE, "vera": "Vera-Tin-Whistle-3"})

    @app.post("/login")
    def login(who: Person) -> dict[str, str]:
        return {"token": logins.opened(who)}

    @app.get("/me")
    def me(x_token: Annotated[str, Header()]) -> dict[str, str]:
        if x_token not in logins:
            raise HTTPException(401, "no")
        return {"username": logins[x_token]}

    result = judged_as_found(code, app, spares=("vera",))
    assert result.verdict.reason.startswith("Not applicable: "), said(result)
    assert not result.verdict.applicable
