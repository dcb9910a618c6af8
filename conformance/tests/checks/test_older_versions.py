"""Two versions of a service side by side: what is guarded in the new one may be open in the old one."""

import itertools
from typing import Annotated, Any

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel


class Text(BaseModel):
    title: str


class Renaming(BaseModel):
    title: str | None = None


def archive(*, guarded: bool) -> FastAPI:
    """Files are renamed by the old version, which looks whose they are where it is `guarded`."""
    app, kept, numbers = FastAPI(), dict[str, tuple[str, str]](), itertools.count(1)
    Caller = Annotated[str, Depends(front_desk(app))]

    def mine(key: str, name: str) -> str:
        if kept.get(key, ("",))[0] != name:
            raise HTTPException(404, "no such file")
        return kept[key][1]

    @app.post("/api/v2/files", status_code=201)
    def make(body: Text, name: Caller) -> dict[str, Any]:
        key = f"f{next(numbers)}"
        kept[key] = name, body.title
        return {"id": key, "title": body.title}

    @app.get("/api/v2/files/{file_id}")
    def read(file_id: str, name: Caller) -> Text:
        return Text(title=mine(file_id, name))

    @app.post("/api/v1/files/{key}/rename")
    def rename(key: str, body: Renaming, name: Caller) -> Text:
        title = mine(key, name) if guarded or key not in kept else kept[key][1]
        kept[key] = kept[key][0], body.title or title
        return Text(title=kept[key][1])

    return app


@pytest.mark.parametrize(("guarded", "name"), [(True, "passed"), (False, "failed")])
def test_what_the_old_version_changes_is_its_owners(name: str, *, guarded: bool) -> None:
    result = judged_as_found("AUZ102", archive(guarded=guarded))
    assert result.name == name, said(result)
