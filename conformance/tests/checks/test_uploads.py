"""AUZ101 and AUZ102 where the objects are files that people send: multipart forms, and what is read of them."""

import secrets
from typing import Annotated, Any

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, File, HTTPException, Response, UploadFile
from pydantic import BaseModel


class Called(BaseModel):
    called: str


def archive(*, guarded: bool = True) -> FastAPI:
    """Scans below `/scans`; unguarded, anybody who knows its number gets the content of one, or deletes it."""
    app = FastAPI()
    scans: dict[str, dict[str, Any]] = {}

    Caller = Annotated[str, Depends(front_desk(app))]

    def scan_of(number: str, name: str, *, anybody: bool = False) -> dict[str, Any]:
        if number not in scans or (scans[number]["owner"] != name and not anybody):
            raise HTTPException(404, "no scan")
        return scans[number]

    @app.post("/scans", status_code=201)
    async def send(scan: Annotated[UploadFile, File()], name: Caller) -> dict[str, str]:
        number = secrets.token_hex(6)
        scans[number] = {"owner": name, "called": scan.filename, "content": await scan.read()}
        return {"id": number}

    @app.get("/scans/{number}")
    def about(number: str, name: Caller) -> dict[str, str]:
        return {"id": number, "called": scan_of(number, name)["called"]}

    @app.get("/scans/{number}/content")
    def content(number: str, name: Caller) -> Response:
        found = scan_of(number, name, anybody=not guarded)
        return Response(found["content"], media_type="application/octet-stream")

    @app.patch("/scans/{number}")
    def rename(number: str, body: Called, name: Caller) -> dict[str, str]:
        found = scan_of(number, name, anybody=not guarded)
        found["called"] = body.called
        return {"id": number, "called": body.called}

    @app.delete("/scans/{number}", status_code=204)
    def delete(number: str, name: Caller) -> None:
        scan_of(number, name, anybody=not guarded)
        del scans[number]

    return app


@pytest.mark.parametrize(
    ("code", "operations"),
    [
        ("AUZ101", ["GET /scans/{number}/content"]),
        ("AUZ102", ["DELETE /scans/{number}", "PATCH /scans/{number}"]),
    ],
)
@pytest.mark.parametrize("guarded", [True, False])
def test_files_that_people_send_are_objects_of_theirs(
    code: str, operations: list[str], *, guarded: bool
) -> None:
    result = judged_as_found(code, archive(guarded=guarded))
    assert result.name == ("passed" if guarded else "failed"), said(result)
    found = [item.operation for item in getattr(result.verdict, "violations", ())]
    assert sorted(found) == ([] if guarded else operations)


def test_members_are_added_beside_a_file() -> None:
    """AUZ105 read each body as JSON, and broke down at a form with a file."""
    result = judged_as_found("AUZ105", archive())
    assert result.name == "passed", said(result)
    assert "POST /scans" in said(result)
