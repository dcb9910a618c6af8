"""AUZ104 within what people share: who is let in to look makes nobody more, and certainly not oneself."""

import secrets
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from checks.desk import Person, front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from services.people import PEOPLE

from auth_conformance.model import Failed, Skipped
from auth_conformance.probe import invitations
from auth_conformance.probe.looking import Looking
from auth_conformance.transports.recorder import BudgetExceededError

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


class Blocked(BaseModel):
    username: str


def notes_of(app: FastAPI, inside: Any, allowed: Callable[[str, str, str], None], careless: str) -> None:
    """Notes below a club, whose editors write them; who only looks may do what is `careless`."""
    notes = dict[str, tuple[str, str]]()
    Within = Annotated[str, Depends(inside)]
    Caller = Annotated[str, Depends(app.state.desk)]

    def least(deed: str) -> str:
        return "viewer" if deed == careless else "editor"

    def shown(note: str, club: str) -> dict[str, str]:
        if notes.get(note, ("", ""))[0] != club:
            raise HTTPException(404, "no note")
        return {"id": note, "title": notes[note][1]}

    @app.post("/clubs/{club}/notes", status_code=201)
    def add(club: Within, body: Titled, name: Caller) -> dict[str, str]:
        allowed(least("add"), club, name)
        note = secrets.token_hex(8)
        notes[note] = club, body.title
        return shown(note, club)

    @app.get("/clubs/{club}/notes/{note}")
    def read(club: Within, note: str) -> dict[str, str]:
        return shown(note, club)

    @app.put("/clubs/{club}/notes/{note}")
    def write(club: Within, note: str, body: Titled, name: Caller) -> dict[str, str]:
        allowed(least("write"), club, name)
        shown(note, club)
        notes[note] = club, body.title
        return shown(note, club)

    @app.delete("/clubs/{club}/notes/{note}", status_code=204)
    def delete(club: Within, note: str, name: Caller) -> None:
        allowed(least("delete"), club, name)
        shown(note, club)
        del notes[note]


def welcoming(app: FastAPI) -> None:
    """Have a front desk where whoever comes may register."""
    people = dict(PEOPLE)
    app.state.desk = front_desk(app, people=people)

    @app.post("/register", status_code=201)
    def register(who: Person) -> dict[str, str]:
        people[who.username] = who.password
        return {"username": who.username}


def blocking(app: FastAPI) -> None:
    """Keep whom people block."""
    app.state.blocked = []

    @app.post("/blocks", status_code=201)
    def block(body: Blocked, _: Annotated[str, Depends(app.state.desk)]) -> dict[str, bool]:
        app.state.blocked.append(body.username)
        return {"ok": True}


def withdrawing(app: FastAPI, governed: Any, invited: dict[str, tuple[str, str, Part]], kept: str) -> None:
    """Owners take invitations back, unless that is what is `kept`."""

    @app.delete("/clubs/{club}/invitations/{invitation}", status_code=204)
    def take_back(club: Annotated[str, Depends(governed)], invitation: str) -> None:
        if invited.get(invitation[::-1], ("",))[0] != club:
            raise HTTPException(404, "no invitation")
        if kept != "invitation":
            del invited[invitation[::-1]]


def people_of(
    app: FastAPI, members: dict[str, dict[str, Part]], doors: tuple[Any, Any, Any], kept: str
) -> None:
    """Who is in a club: `doors` let in who reads it, who gives out roles, and who puts people out."""
    Inside = Annotated[str, Depends(doors[0])]
    Ruled = Annotated[str, Depends(doors[1])]
    Expelled = Annotated[str, Depends(doors[2])]
    spared = set[str]()

    @app.get("/clubs/{club}/members")
    def listed(club: Inside) -> list[dict[str, str]]:
        return [{"username": who, "role": role} for who, role in members[club].items()]

    @app.put("/clubs/{club}/members/{who}")
    def change(club: Ruled, who: str, body: Change) -> dict[str, str]:
        if who not in members[club]:
            raise HTTPException(404, "nobody")
        members[club][who] = body.role
        return {"role": body.role}

    @app.delete("/clubs/{club}/members/{who}", status_code=204)
    def put_out(club: Expelled, who: str) -> None:
        once = kept == "member once" and not spared
        spared.add(club)
        if kept != "member" and not once:
            members[club].pop(who, None)


def clubs(
    *,
    careless: bool = False,
    coded: bool = True,
    again: bool = False,
    counted: bool = False,
    written: str = "",
    kept: str = "",
    noted: str = "",
    inviting: str = "owner",
    expelling: str = "owner",
    opened: bool = False,
    breaks: bool = False,
    echoes: bool = False,
) -> FastAPI:
    """Owners let others in, who come at once or accept a code; `careless`, every member gives out roles.

    A code may work `again` and again, or be `counted`; what is `kept` is who was put out, an invitation that was taken
    back, or one for anybody. The title is `written` by the owner, or by anybody in it.
    Who only looks may "write", "delete" or "add" what is `noted` in it, and the `inviting` and the `expelling` is
    done from a role up. What is `opened` is read by whoever logs in, and a code that is not known `breaks` it.
    An invitation `echoes` whom it names, and people block others by that alone.
    """
    app = FastAPI()
    members, titles = dict[str, dict[str, Part]](), dict[str, str]()
    invited = dict[str, tuple[str, str, Part]]()
    welcoming(app)
    if echoes:
        blocking(app)
    Caller = Annotated[str, Depends(app.state.desk)]

    def inside(club: str, name: Caller) -> str:
        if name not in members.get(club, {}):
            raise HTTPException(404, "no club")
        return club

    def there(club: str, name: Caller) -> str:
        return club if opened and club in members else inside(club, name)

    Club = Annotated[str, Depends(inside)]
    Shown = Annotated[str, Depends(there)]

    def governed(club: Club, name: Caller) -> str:
        if members[club][name] != "owner":
            raise HTTPException(403, "owners only")
        return club

    Governed = Annotated[str, Depends(governed)]

    @app.post("/clubs", status_code=201)
    def found(body: Titled, name: Caller) -> dict[str, str]:
        club = secrets.token_hex(8)
        members[club], titles[club] = {name: "owner"}, body.title
        return {"id": club, "title": body.title}

    @app.get("/clubs/{club}")
    def look(club: Shown) -> dict[str, str]:
        return {"id": club, "title": titles[club]}

    def allowed(least: str, club: str, name: str) -> None:
        ranks = ["viewer", "editor", "owner"]
        if ranks.index(members[club][name]) < ranks.index(least):
            raise HTTPException(403, f"{least}s only")

    def expels(club: Club, name: Caller) -> str:
        allowed(expelling, club, name)
        return club

    if noted:
        notes_of(app, inside, allowed, noted)
    if written:

        @app.patch("/clubs/{club}")
        def write(
            club: Annotated[str, Depends(governed if written == "by the owner" else inside)], body: Titled
        ) -> dict[str, str]:
            titles[club] = body.title
            return {"id": club, "title": body.title}

    @app.get("/clubs/{club}/invitations")
    def awaited(club: Governed) -> list[str]:
        return [name for place, name, _ in invited.values() if place == club]

    @app.post("/clubs/{club}/invitations", status_code=201)
    def invite(club: Club, body: Invitation, name: Caller) -> dict[str, str]:
        allowed(inviting, club, name)
        code = f"{10_000_000 + len(invited)}" if counted else secrets.token_urlsafe(24)
        if not coded:
            members[club][body.username] = body.role
            return {"state": "in"}
        invited[code] = (club, body.username, body.role)
        return {"id": code[::-1], "code": code} | ({"username": body.username} if echoes else {})

    withdrawing(app, governed, invited, kept)

    @app.post("/invitations/accept")
    def accept(body: Acceptance, name: Caller) -> dict[str, bool]:
        if body.code not in invited or (invited[body.code][1] != name and kept != "anybody"):
            raise HTTPException(500 if breaks else 404, "no invitation")
        club, _, role = invited[body.code] if again else invited.pop(body.code)
        members[club][name] = role
        return {"ok": True}

    people_of(app, members, (inside, inside if careless else governed, expels), kept)
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
    ("noted", "told"),
    [
        ("nothing", ""),
        (
            "write",
            "PUT /clubs/{club}/notes/{note} let another user, whom the owner had let in as viewer, change",
        ),
        (
            "delete",
            "DELETE /clubs/{club}/notes/{note} let another user, whom the owner had let in as viewer, delete",
        ),
        ("add", "POST /clubs/{club}/notes let another user, whom the owner had let in as viewer, add to"),
    ],
)
def test_who_is_let_in_to_look_touches_nothing_below(noted: str, told: str) -> None:
    """Viewers of an organisation wrote its files, and only the organisation itself was tried."""
    result = judged_as_found("AUZ104", clubs(noted=noted))
    assert isinstance(result.verdict, Failed if told else Skipped), said(result)
    assert told in result.verdict.reason, said(result)


@pytest.mark.parametrize("expelling", ["owner", "viewer"])
def test_who_is_let_in_to_look_puts_nobody_out(expelling: str) -> None:
    result = judged_as_found("AUZ104", clubs(expelling=expelling))
    told = "DELETE /clubs/{club}/members/{who} let another user, whom the owner had let in as viewer, put somebody else"
    assert (told in result.verdict.reason) is (expelling == "viewer"), said(result)


@pytest.mark.parametrize("inviting", ["owner", "viewer"])
def test_who_is_let_in_to_look_invites_nobody_as_more(inviting: str) -> None:
    result = judged_as_found("AUZ104", clubs(inviting=inviting))
    told = "POST /clubs/{club}/invitations let another user, whom the owner had let in as viewer, let somebody in as"
    assert (told in result.verdict.reason) is (inviting == "viewer"), said(result)


@pytest.mark.parametrize(
    ("code", "flaw", "words"),
    [
        ("LIF108", "", "An invitation that was used let nobody back in"),
        ("LIF108", "again", "POST /invitations/accept took an invitation that had been used"),
        ("LIF108", "kept member", "was granted, and whom the owner has put out goes on reading"),
        (
            "LIF108",
            "kept invitation",
            "took an invitation that DELETE /clubs/{club}/invitations/{invitation} had",
        ),
        ("TOK401", "", "codes of invitations (which POST /invitations/accept takes): at most"),
        ("TOK401", "counted", "POST /clubs/{club}/invitations issues codes of invitations"),
    ],
)
def test_the_codes_of_invitations_are_random_and_work_once(
    code: str, flaw: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invitations, "PAUSE", 0.0)
    name, _, what = flaw.partition(" ")
    result = judged_as_found(code, clubs(**{name: what or True} if flaw else {}))
    assert result.name == ("failed" if flaw else "passed"), said(result)
    assert words in result.verdict.reason, said(result)


@pytest.mark.parametrize(
    ("allowed", "verdict"), [(None, "inconclusive"), (False, "failed"), (True, "passed")]
)
def test_whether_an_invitation_is_for_anybody_is_for_its_service_to_say(
    allowed: bool | None,
    verdict: str,
) -> None:
    policy = {} if allowed is None else {"policy": {"open_invitations": allowed}}
    result = judged_as_found("LIF108", clubs(kept="anybody"), **policy)
    assert result.name == verdict, said(result)
    told = "POST /invitations/accept let another user in by an invitation that names somebody else"
    assert (told in result.verdict.reason) is (verdict != "passed"), said(result)
    assert ("nothing says" in result.verdict.reason) is (verdict == "inconclusive"), said(result)


@pytest.mark.parametrize(
    ("way", "verdict", "words"),
    [
        ({"opened": True}, "skipped", ""),
        ({"kept": "member once"}, "inconclusive", "goes on reading: once, and then not"),
        ({"breaks": True}, "inconclusive", "b accepts at POST /invitations/accept: no orderly answer"),
    ],
)
def test_what_an_invitation_did_is_seen_or_not_told(
    way: dict[str, Any], verdict: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clubs that everybody reads were told as ones that keep whom they put out; a 500 and a single look passed."""
    monkeypatch.setattr(invitations, "PAUSE", 0.0)
    result = judged_as_found("LIF108", clubs(**way))
    assert result.name == verdict, said(result)
    assert words in result.verdict.reason, said(result)


def test_whom_an_invitation_names_is_handed_to_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes a name alone was called with it: a block, or a reset of B's password."""
    monkeypatch.setattr(invitations, "PAUSE", 0.0)
    app = clubs(echoes=True)
    result = judged_as_found("LIF108", app)
    assert result.name == "passed", said(result)
    assert app.state.blocked == [], said(result)


def test_what_was_found_before_the_budget_is_used_up_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    async def too_much(_: Looking) -> None:
        raise BudgetExceededError("no more requests", of_run=False)

    monkeypatch.setattr(Looking, "done_by_looking", too_much)
    result = judged_as_found("AUZ104", clubs(careless=True))
    assert result.name == "failed", said(result)
