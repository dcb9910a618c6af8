"""KEY110 where keys stand below the name of their owner, and where the creation does not say what a key may do."""

import secrets
from typing import Annotated, Any, Literal

import pytest
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field
from services.people import PEOPLE

from auth_conformance.model import Severity

Header = Annotated[str | None, Security(APIKeyHeader(name="X-Probe-Key", auto_error=False))]
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


class Person(BaseModel):
    username: str
    password: str


class Titled(BaseModel):
    title: str


class Wish(BaseModel):
    label: str
    kind: Literal["full", "limited"] = "full"
    scopes: list[str] = Field([], examples=[["plans:read", "plans:write"]])


def studio(  # noqa: PLR0915 - a service is many handlers
    *,
    places: str = "own",
    trims: bool = True,
    lists: bool = True,
    limited: int = 0,
    kinds: str = "",
    deletes: str = "",
    prints: str = "plans:read",
    room: int = 1_000,
) -> FastAPI:
    """Keys make keys. `places` is whose ("own" or "any"); `limited` is what they are answered, where they may not.

    With `kinds` one kind of key has all scopes whatever it asks for ("some"), or both have ("none" is limited).
    There are plans where it is said who `deletes` them: keys that may write, or "any" key;
    where it says "redraws" any key changes them, and those that may write delete them. `prints` is the scope for that.
    So many plans there is `room` for, torn up or not.
    """
    app = FastAPI()
    logins: dict[str, str] = {}
    keys: dict[str, dict[str, Any]] = {}

    def caller(bearer: Bearer, key: Header) -> tuple[str, dict[str, Any] | None]:
        if key in keys:
            return keys[key]["owner"], keys[key]
        if bearer is None or bearer.credentials not in logins:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        return logins[bearer.credentials], None

    Caller = Annotated[tuple[str, dict[str, Any] | None], Depends(caller)]

    @app.post("/login")
    def login(who: Person) -> dict[str, str]:
        if PEOPLE.get(who.username) != who.password:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "Bearer"})
        token = secrets.token_urlsafe(24)
        logins[token] = who.username
        return {"access_token": token}

    @app.get("/me")
    def me(who: Caller) -> dict[str, str]:
        return {"username": who[0]}

    @app.get("/people/{username}/keys")
    def listed(username: str, who: Caller) -> list[dict[str, Any]]:
        if username != who[0]:
            raise HTTPException(403, "not yours")
        shown = ("id", "label", "scopes") if lists else ("id", "label")
        return [{name: key[name] for name in shown} for key in keys.values() if key["owner"] == username]

    @app.post("/people/{username}/keys", status_code=201)
    def make(username: str, wish: Wish, who: Caller) -> dict[str, Any]:
        name, key = who
        if limited and key is not None:
            raise HTTPException(limited, "later", headers={"Retry-After": "60"})
        if username != name and not (places == "any" and key is not None and username in PEOPLE):
            raise HTTPException(403, "not yours")
        scopes = sorted(set(wish.scopes) & set(key["scopes"])) if trims and key is not None else wish.scopes
        if kinds == "none" or (kinds == "some" and wish.kind == "full" and key is None):
            scopes = ["plans:read", "plans:write"]
        made = f"pk_{secrets.token_hex(24)}"
        keys[made] = {
            "id": secrets.token_hex(6),
            "label": wish.label,
            "owner": username,
            "scopes": scopes,
        }
        shown = {"scopes": scopes} if kinds else {}
        return {"id": keys[made]["id"], "label": wish.label, "key": made, **shown}

    @app.delete("/people/{username}/keys/{key_id}", status_code=204)
    def end(username: str, key_id: str, who: Caller) -> None:
        found = next((value for value, key in keys.items() if key["id"] == key_id), None)
        if found is None or username != who[0] or keys[found]["owner"] != username:
            raise HTTPException(404, "no key")
        del keys[found]

    plans: dict[str, dict[str, str]] = {}
    drawn: list[str] = []

    def allowed(who: tuple[str, dict[str, Any] | None], scope: str) -> str:
        if who[1] is not None and scope not in who[1]["scopes"]:
            raise HTTPException(403, "not with this key")
        return who[0]

    def plan_of(plan: str, name: str) -> dict[str, str]:
        if plans.get(plan, {}).get("owner") != name:
            raise HTTPException(404, "no plan")
        return plans[plan]

    if deletes:

        @app.post("/plans", status_code=201)
        def draw(body: Titled, who: Caller) -> dict[str, str]:
            if len(drawn) >= room:
                raise HTTPException(507, "no room")
            made = {"id": secrets.token_hex(6), "owner": allowed(who, "plans:write"), "title": body.title}
            plans[made["id"]] = made
            drawn.append(made["id"])
            return made

        @app.get("/plans/{plan}")
        def look(plan: str, who: Caller) -> dict[str, str]:
            return plan_of(plan, allowed(who, "plans:read"))

        @app.get("/plans/{plan}/print")
        def show(plan: str, who: Caller) -> dict[str, str]:
            return plan_of(plan, allowed(who, prints) if prints else who[0])

        @app.patch("/plans/{plan}")
        def redraw(plan: str, body: Titled, who: Caller) -> dict[str, str]:
            found = plan_of(plan, allowed(who, "plans:read" if deletes == "redraws" else "plans:write"))
            found["title"] = body.title
            return found

        @app.delete("/plans/{plan}", status_code=204)
        def tear_up(plan: str, who: Caller) -> None:
            plan_of(plan, allowed(who, "plans:read" if deletes == "any" else "plans:write"))
            del plans[plan]

    return app


@pytest.mark.parametrize("deletes", ["", "writing"])
def test_keys_that_are_trimmed_unsaid_pass(deletes: str) -> None:
    result = judged_as_found("KEY110", studio(deletes=deletes))
    assert result.name == "passed", said(result)
    labels = [item.label for item in result.verdict.evidence]
    assert "a key makes one at B's place" in labels
    assert "a key revokes another key of its owner" in labels
    assert any("can revoke other keys" in note for note in result.verdict.notes), said(result)


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"trims": False}, "made a key with all scopes for a key that has only plans:read"),
        ({"trims": False, "kinds": "some"}, "made a key with all scopes for a key that has only plans:read"),
        ({"deletes": "any"}, "DELETE /plans/{plan} works with a key that has only plans:read"),
        ({"deletes": "redraws"}, "PATCH /plans/{plan} works with a key that has only plans:read"),
        (
            {"deletes": "writing", "prints": ""},
            "GET /plans/{plan}/print shows a key that has only plans:write what GET /plans/{plan} refuses it",
        ),
        ({"places": "any"}, "POST /people/{username}/keys made a key of B for a key of A"),
    ],
)
def test_keys_that_reach_further_are_found(knobs: dict[str, Any], words: str) -> None:
    result = judged_as_found("KEY110", studio(**knobs))
    assert (result.name, result.severity) == ("failed", Severity.HIGH), said(result)
    assert words in result.verdict.reason


def test_a_key_that_never_had_one_scope_alone_has_not_grown() -> None:
    result = judged_as_found("KEY110", studio(kinds="none"))
    assert result.name == "inconclusive", said(result)
    assert "Wider keys were not tried" in result.verdict.reason
    assert any("more scopes than were asked for" in note for note in result.verdict.notes), said(result)


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"lists": False}, "nothing shows the scopes of it"),
        ({"limited": 429}, "429"),
        ({"limited": 500}, "500"),
        ({"deletes": "writing", "room": 4}, "made no object to try keys on"),
    ],
)
def test_what_was_not_seen_is_neither_passed_nor_found(knobs: dict[str, Any], words: str) -> None:
    result = judged_as_found("KEY110", studio(**knobs), patience=0)
    assert result.name == "inconclusive", said(result)
    assert words in result.verdict.reason
