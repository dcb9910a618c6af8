"""AUZ101, AUZ102 and AUZ103 where objects show no text of their maker's: measurements have a value and a unit."""

import secrets
from typing import Annotated, Any, Literal

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, Field


class Measurement(BaseModel):
    value: float = Field(gt=0)
    unit: Literal["mm", "kg"] = "mm"


def laboratory(forgets: str = "") -> FastAPI:
    """Measurements of people; whose they are is forgotten where they are read, listed, changed or deleted."""
    app, kept, seen = FastAPI(), dict[int, dict[str, Any]](), set[int]()
    Caller = Annotated[str, Depends(front_desk(app))]

    def shown(number: int) -> dict[str, Any]:
        return {"id": number, **{name: kept[number][name] for name in ("value", "unit", "state")}}

    def own(number: int, request: Request, name: Caller) -> int:
        mine = kept.get(number, {}).get("owner") == name
        if forgets == "once" and number in kept and not mine and number not in seen:
            seen.add(number)
            return number
        if number not in kept or not (mine or forgets in (request.method, "everything")):
            raise HTTPException(404, "no such measurement")
        return number

    Own = Annotated[int, Depends(own)]

    @app.post("/measurements", status_code=201)
    def create(body: Measurement, name: Caller) -> dict[str, Any]:
        number = secrets.randbelow(10**9)
        kept[number] = {"owner": name, "state": "new", **body.model_dump()}
        return shown(number)

    @app.get("/measurements")
    def listed(name: Caller) -> list[dict[str, Any]]:
        everybodys = forgets in ("the list", "everything")
        return [shown(number) for number, item in kept.items() if everybodys or item["owner"] == name]

    @app.get("/measurements/{number}")
    def read(number: Own) -> dict[str, Any]:
        return shown(number)

    @app.put("/measurements/{number}")
    def change(number: Own, body: Measurement) -> dict[str, Any]:
        kept[number] |= body.model_dump()
        return shown(number)

    @app.delete("/measurements/{number}", status_code=204)
    def delete(number: Own) -> None:
        del kept[number]

    return app


@pytest.mark.parametrize(
    ("code", "forgets", "operation"),
    [
        ("AUZ101", "GET", "GET /measurements/{number}"),
        ("AUZ102", "PUT", "PUT /measurements/{number}"),
        ("AUZ102", "DELETE", "DELETE /measurements/{number}"),
        ("AUZ103", "the list", "GET /measurements"),
    ],
)
def test_what_others_make_is_reached(code: str, forgets: str, operation: str) -> None:
    result = judged_as_found(code, laboratory(forgets))
    assert [finding.operation for finding in result.findings] == [operation], said(result)


def test_what_was_shown_once_is_neither_kept_nor_open() -> None:
    """B had been answered all that A is, and the second refusal made a pass of it."""
    result = judged_as_found("AUZ101", laboratory("once"))
    assert result.name == "inconclusive", said(result)
    assert "it got in once, and then not (404)" in result.verdict.reason, said(result)


@pytest.mark.parametrize("code", ["AUZ101", "AUZ102", "AUZ103"])
def test_what_is_ones_own_passes_and_what_may_be_everybodys_is_a_question(code: str) -> None:
    result = judged_as_found(code, laboratory())
    assert result.name == "passed", said(result)
    result = judged_as_found(code, laboratory("everything"))
    assert result.name == "inconclusive", said(result)
    assert "shared_objects = false" in getattr(result.verdict, "remedy", "")
