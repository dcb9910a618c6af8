"""AUZ101, AUZ102, AUZ105 and AUZ110 where people have objects of two kinds, and those of the second are open."""

import secrets
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict

from auth_conformance.model import Failed, Inconclusive, Passed, Severity, Skipped
from auth_conformance.probe.additions import weight_of
from auth_conformance.probe.isolation import Isolation

_SHARED = "POST /teams/{team}/links was done by another user to an object that only its owner may see"


class Titled(BaseModel):
    title: str


class Guest(Titled):
    team_id: str


class Loose(Titled):
    model_config = ConfigDict(extra="allow")


def planner(
    *,
    guarded: bool,
    trusting: bool = False,
    welcoming: bool = False,
    deaf: bool = False,
    guests: str = "",
    beside: bool = False,
    shown: bool = False,
) -> FastAPI:
    """Teams, and plans below them in an envelope. Unguarded, a plan is found by its id alone below one's own team.

    A `trusting` one takes whatever members a plan is made with, a `welcoming` one plans of anybody below any team,
    a `deaf` one says yes to changes of teams and makes none.
    Where there are `guests`, they are invited by who owns the team ("own"), or by anybody ("any"). What is asked for
    about guests `beside` a team names it in its query or body; what is shared by a link shows nowhere. Where teams are
    `shown`, everybody may look at them.
    """
    app = FastAPI()
    teams: dict[str, dict[str, str]] = {}
    plans: dict[str, dict[str, Any]] = {}

    Caller = Annotated[str, Depends(front_desk(app))]

    def own_team(team: str, name: Caller) -> dict[str, str]:
        if teams.get(team, {}).get("owner") != name:
            raise HTTPException(404, "no team")
        return teams[team]

    Team = Annotated[dict[str, str], Depends(own_team)]

    def plan_of(plan: str, team: Team) -> dict[str, Any]:
        found = plans.get(plan)
        if found is None or (guarded and found["team"] != team["id"]):
            raise HTTPException(404, "no plan")
        return found

    Plan = Annotated[dict[str, Any], Depends(plan_of)]

    @app.post("/teams", status_code=201)
    def make_team(body: Titled, name: Caller) -> dict[str, str]:
        made = {"id": secrets.token_hex(6), "owner": name, "title": body.title}
        teams[made["id"]] = made
        return made

    @app.get("/teams/{team}")
    def read_team(team: str, name: Caller) -> dict[str, str]:
        return teams[team] if shown and team in teams else own_team(team, name)

    @app.patch("/teams/{team}")
    def change_team(body: Titled, team: Team) -> dict[str, str]:
        if not deaf:
            team["title"] = body.title
        return team

    @app.post("/teams/{team}/plans", status_code=201)
    def make_plan(body: Loose, team: str, name: Caller) -> dict[str, Any]:
        if not welcoming:
            own_team(team, name)
        more = (body.model_extra or {}) if trusting else {}
        made = {"reviewer": teams[team]["owner"], "is_active": True, **more}
        made |= {"id": secrets.token_hex(6), "team": team, "title": body.title}
        plans[made["id"]] = made
        return {"ok": True, "result": made}

    @app.get("/teams/{team}/plans/{plan}")
    def read_plan(plan: Plan) -> dict[str, Any]:
        return {"ok": True, "result": plan}

    @app.patch("/teams/{team}/plans/{plan}")
    def change_plan(body: Titled, plan: Plan) -> dict[str, Any]:
        plan["title"] = body.title
        return {"ok": True, "result": plan}

    if guests:
        invited: dict[str, list[dict[str, str]]] = {}

        def open_to(team: str, name: Caller) -> str:
            return team if guests == "any" and team in teams else own_team(team, name)["id"]

        Place = Annotated[str, Depends(open_to)]

        @app.post("/teams/{team}/links", status_code=201)
        def share(place: Place) -> dict[str, str]:
            return {"link": secrets.token_urlsafe(16)}

    if guests and beside:

        @app.post("/guests", status_code=201)
        def invite_to(body: Guest, name: Caller) -> dict[str, str]:
            made = {"id": secrets.token_hex(4), "title": body.title}
            invited.setdefault(open_to(body.team_id, name), []).append(made)
            return made

        @app.get("/guests")
        def list_guests_of(team_id: str, name: Caller) -> dict[str, Any]:
            return {"items": invited.get(open_to(team_id, name), []), "next": None}

    elif guests:

        @app.post("/teams/{team}/guests", status_code=201)
        def invite(body: Titled, place: Place) -> dict[str, str]:
            made = {"id": secrets.token_hex(4), "title": body.title}
            invited.setdefault(place, []).append(made)
            return made

        @app.get("/teams/{team}/guests")
        def list_guests(place: Place) -> dict[str, Any]:
            return {"items": invited.get(place, []), "next": None}

    return app


@pytest.mark.parametrize("guests", ["own", "any"])
@pytest.mark.parametrize(
    ("code", "beside", "words"),
    [
        ("AUZ101", False, ["GET /teams/{team}/guests answers another user as it does the owner"]),
        ("AUZ101", True, ["GET /guests answers another user as it does the owner"]),
        ("AUZ102", False, ["POST /teams/{team}/guests worked below another user's object", _SHARED]),
        ("AUZ102", True, ["POST /guests worked below another user's object", _SHARED]),
    ],
)
def test_what_hangs_on_an_object_and_has_no_place_of_its_own_is_judged(
    code: str, beside: bool, words: list[str], guests: str
) -> None:
    result = judged_as_found(code, planner(guarded=True, guests=guests, beside=beside))
    assert result.name == ("passed" if guests == "own" else "failed"), said(result)
    told = " ".join(item.message for item in getattr(result.verdict, "violations", ()))
    assert [word in told for word in words] == [guests == "any"] * len(words), told


def test_people_may_have_a_word_about_what_they_are_shown() -> None:
    found: Any = judged_as_found(
        "AUZ102", planner(guarded=True, guests="any", beside=True, shown=True)
    ).verdict
    assert isinstance(found, Passed), found


@pytest.mark.parametrize(
    ("code", "operation"),
    [("AUZ101", "GET /teams/{team}/plans/{plan}"), ("AUZ102", "PATCH /teams/{team}/plans/{plan}")],
)
def test_the_second_kind_of_object_is_judged_too(code: str, operation: str) -> None:
    found: Any = judged_as_found(code, planner(guarded=False)).verdict
    assert isinstance(found, Failed)
    assert [violation.operation for violation in found.violations] == [operation]


def test_nobody_puts_an_object_below_what_is_anothers() -> None:
    found: Any = judged_as_found("AUZ102", planner(guarded=True, welcoming=True)).verdict
    assert isinstance(found, Failed)
    assert [violation.operation for violation in found.violations] == ["POST /teams/{team}/plans"]
    assert "A finds it there" in found.violations[0].message


def test_a_change_that_has_no_effect_on_an_object_of_ones_own_shows_nothing() -> None:
    result = judged_as_found("AUZ102", planner(guarded=True, deaf=True))
    assert isinstance(result.verdict, Inconclusive), said(result)
    assert "b changes it with PATCH: the same, on one's own object, was answered 200 and changed nothing" in (
        result.verdict.reason
    )


@pytest.mark.parametrize(
    ("trusting", "breaks", "verdict"),
    [(False, False, "passed"), (True, False, "failed"), (True, True, "inconclusive")],
)
def test_whoever_makes_an_object_is_its_owner_whatever_that_is_called(
    *, trusting: bool, breaks: bool, verdict: str
) -> None:
    """`breaks`: nobody can list any more once something was made for somebody else."""
    app, notes = FastAPI(), dict[str, dict[str, str]]()
    Caller = Annotated[str, Depends(front_desk(app))]

    class Note(Titled):
        keeper: str = ""

    def own(note: str, name: Caller) -> dict[str, str]:
        if notes.get(note, {}).get("keeper") != name:
            raise HTTPException(404, "no note")
        return notes[note]

    @app.post("/notes", status_code=201)
    def make(body: Note, name: Caller) -> dict[str, str]:
        key = secrets.token_hex(6)
        keeper = body.keeper if trusting and body.keeper else name
        notes[key] = {"id": key, "keeper": keeper, "title": body.title, "maker": name}
        return notes[key]

    @app.get("/notes/{note}")
    def read(found: Annotated[dict[str, str], Depends(own)]) -> dict[str, str]:
        return found

    @app.get("/notes")
    def listed(name: Caller) -> list[dict[str, str]]:
        if breaks and any(item["keeper"] != item["maker"] for item in notes.values()):
            raise HTTPException(500, "no lists today")
        return [item for item in notes.values() if item["keeper"] == name]

    result = judged_as_found("AUZ110", app)
    assert result.name == verdict, said(result)
    assert ("a creation with keeper of A in one place" in result.verdict.reason) == trusting


@pytest.mark.parametrize("code", ["AUZ101", "AUZ102", "AUZ110"])
def test_sound_objects_of_two_kinds_pass(code: str) -> None:
    result = judged_as_found(code, planner(guarded=True))
    assert isinstance(result.verdict, Passed), said(result)
    assert "Likewise the objects of POST /teams/{team}/plans." in result.verdict.reason


def test_members_of_the_second_kind_of_object_may_not_be_set() -> None:
    found: Any = judged_as_found("AUZ105", planner(guarded=True, trusting=True)).verdict
    assert isinstance(found, Failed)
    (violation,) = found.violations
    assert violation.operation == "POST /teams/{team}/plans"
    assert "reviewer is read as what was sent" in violation.message
    assert violation.severity is Severity.HIGH


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("isModerator", Severity.HIGH),
        ("can_export", Severity.HIGH),
        ("ownerId", Severity.HIGH),
        ("balance", Severity.HIGH),
        ("start_training_on_update", Severity.MEDIUM),
        ("colourScheme", Severity.MEDIUM),
    ],
)
def test_a_member_is_as_grave_as_its_name_tells(name: str, severity: Severity) -> None:
    assert weight_of(name) is severity


def test_members_in_an_envelope_are_known_before_they_are_compared() -> None:
    result = judged_as_found("AUZ105", planner(guarded=True))
    assert isinstance(result.verdict, Passed), said(result)
    assert "POST /teams/{team}/plans" in result.verdict.reason


def test_what_only_the_second_kind_of_object_allows_decides() -> None:
    here: Any = SimpleNamespace(notes=[], evidence=[])
    objects: Any = SimpleNamespace(create=SimpleNamespace(name="POST /teams/{team}/plans"))
    nothing = Skipped("No operation changes an object.", applicable=False)
    together = Isolation._together
    passed = together(here, nothing, Passed("3 ways changed nothing."), objects)
    assert isinstance(passed, Passed)
    assert "not judged: the first collection: No operation changes an object." in passed.notes
    assert isinstance(together(here, nothing, Inconclusive("gone"), objects), Inconclusive)
    assert together(here, nothing, Skipped("none", applicable=False), objects) is nothing
    # What could be judged with one more line of configuration is not judged by another collection.
    missing = Skipped("The objects of b are not known.", "[objects]")
    assert together(here, missing, Passed("3 ways changed nothing."), objects) is missing
