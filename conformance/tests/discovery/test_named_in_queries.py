"""AUZ101, AUZ102, AUZ103 and AUZ110 where queries name what is meant: `GET /vehicle?id=…`; keys that are ended so."""

import secrets
import tomllib
from pathlib import Path
from typing import Annotated, Any

import pytest
from discovery_people import PASSWORDS, Store, bearer_of, let_in
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.security import APIKeyHeader
from pydantic import BaseModel
from test_parents import verdicts

from auth_conformance.discovery.writing import as_toml
from auth_conformance.model import Failed, Passed


class New(BaseModel):
    callsign: str


class Several(BaseModel):
    ids: list[str]


class Shown(New):
    number: str


def garage(*, careless: str = "") -> FastAPI:
    """Vehicles that queries name; a `careless` operation does not ask whose one is, or shows a person's to all."""
    app, store = FastAPI(), Store()
    vehicles, keys = dict[str, tuple[str, str]](), dict[str, tuple[str, str]]()
    app.state.vehicles, app.state.keys = vehicles, keys
    header = APIKeyHeader(name="X-Key", auto_error=False)
    person = bearer_of(store, challenge=True)
    let_in(app, store, person)

    def found(name: str, vehicle: str, operation: str) -> str:
        if vehicle not in vehicles or (vehicles[vehicle][0] != name and careless != operation):
            raise HTTPException(404, "no such vehicle")
        return vehicle

    def shown(vehicle: str) -> dict[str, str]:
        return {"number": vehicle, "callsign": vehicles[vehicle][1]}

    Caller = Annotated[str, person]
    Wanted = Annotated[str, Query(alias="id", min_length=8)]

    @app.post("/vehicles", status_code=201)
    def add(body: New, name: Caller) -> dict[str, str]:
        vehicle = secrets.token_hex(8)
        vehicles[vehicle] = (name, body.callsign)
        return shown(vehicle)

    @app.get("/vehicles")
    def listing(name: Caller) -> list[dict[str, str]]:
        return [shown(item) for item, (owner, _) in vehicles.items() if owner == name]

    @app.get("/vehicle")
    def one(wanted: Wanted, name: Caller) -> dict[str, str]:
        return shown(found(name, wanted, "GET"))

    @app.patch("/vehicle")
    def merge(wanted: Wanted, body: New, name: Caller) -> dict[str, str]:
        vehicles[wanted] = (vehicles[found(name, wanted, "PATCH")][0], body.callsign)
        return shown(wanted)

    @app.delete("/vehicle")
    def remove(wanted: Wanted, name: Caller) -> None:
        del vehicles[found(name, wanted, "DELETE")]

    @app.post("/vehicles/lookup")
    def lookup(body: Several, name: Caller) -> list[Shown]:
        mine = [item for item in body.ids if item in vehicles and vehicles[item][0] in (name, careless)]
        return [Shown(number=item, callsign=vehicles[item][1]) for item in mine]

    @app.get("/by-key")
    def by_key(key: Annotated[str | None, Depends(header)]) -> dict[str, str]:
        name = next((owner for owner, value in keys.values() if value == key), None)
        if name is None:
            raise HTTPException(401, "no")
        return {"username": name}

    @app.post("/keys", status_code=201)
    def make_key(name: Caller) -> dict[str, str]:
        number, value = secrets.token_hex(4), f"key_{secrets.token_urlsafe(24)}"
        keys[number] = (name, value)
        return {"id": number, "key": value}

    @app.delete("/keys")
    def end_key(key_id: str, name: Caller) -> None:
        if keys.get(key_id, ("",))[0] != name:
            raise HTTPException(404, "no")
        del keys[key_id]

    return app


@pytest.fixture(autouse=True)
def passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, password in PASSWORDS.items():
        monkeypatch.setenv(f"PASSWORD_OF_{name.upper()}", password)


def test_what_queries_name_is_found_and_written_down(learn: Any) -> None:
    app = garage()
    lesson = learn(app)
    objects, keys = lesson.target.objects, lesson.target.keys
    found = [objects.create, objects.read, objects.listing, objects.update, objects.delete]
    assert [item.name for item in found] == [
        "POST /vehicles",
        "GET /vehicle",
        "GET /vehicles",
        "PATCH /vehicle",
        "DELETE /vehicle",
    ]
    assert (objects.id_parameter, objects.identifier) == ("?id", "/number")
    assert (keys.revoke.name, keys.id_parameter) == ("DELETE /keys", "?key_id")
    assert app.state.vehicles == app.state.keys == {}, "what was made is taken away again"
    written = tomllib.loads(as_toml(lesson.target, lesson.settings))
    again = learn(garage(), objects=written["objects"], keys=written["keys"]).target
    assert (again.objects.read, again.objects.update, again.objects.delete) == tuple(
        getattr(objects, name) for name in ("read", "update", "delete")
    )
    assert (again.keys.revoke, again.keys.id_parameter) == (keys.revoke, keys.id_parameter)


@pytest.mark.parametrize(
    ("careless", "codes"),
    [
        ("", ("AUZ101", "AUZ102", "AUZ103", "AUZ110")),
        ("GET", ("AUZ101",)),
        ("alice", ("AUZ101",)),
        ("PATCH", ("AUZ102",)),
        ("DELETE", ("AUZ102",)),
    ],
)
def test_people_are_kept_apart_where_queries_name_things(
    careless: str, codes: tuple[str, ...], tmp_path: Path
) -> None:
    app = garage(careless=careless)
    found = verdicts(app, tmp_path, *codes)
    kind = Failed if careless else Passed
    assert {code: type(verdict) for code, verdict in found.items()} == dict.fromkeys(codes, kind), found
    if careless:
        names = {"POST /vehicles/lookup" if careless == "alice" else f"{careless} /vehicle"}
        assert {item.operation for item in found[codes[0]].violations} == names
    else:
        assert app.state.vehicles == {}
