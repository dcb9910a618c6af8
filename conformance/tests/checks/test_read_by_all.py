"""AUZ101, AUZ102 and AUZ103 where everybody who logs in reads all articles, and their authors alone change them."""

import secrets
import tomllib
from typing import Annotated, Any

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Body, Depends, FastAPI, HTTPException

_READS = ["GET /articles", "GET /articles/{number}"]


def magazine(*, kept: str = "", forgets: str = "") -> FastAPI:
    """Articles; what is `kept` to their authors besides changes, and the change that `forgets` whose they are."""
    app, articles = FastAPI(), dict[str, dict[str, str]]()
    Caller = Annotated[str, Depends(front_desk(app))]

    def found(number: str, name: str, what: str) -> dict[str, str]:
        if number not in articles:
            raise HTTPException(404, "no such article")
        if articles[number]["author"] != name and what not in (forgets, "read" if kept != "read" else ""):
            raise HTTPException(403, "not yours")
        return articles[number]

    @app.post("/articles", status_code=201)
    def write(text: Annotated[str, Body(embed=True)], name: Caller) -> dict[str, str]:
        number = secrets.token_hex(8)
        articles[number] = {"id": number, "text": text, "author": name}
        return articles[number]

    @app.get("/articles")
    def listed(name: Caller) -> list[dict[str, str]]:
        return [item for item in articles.values() if kept != "list" or item["author"] == name]

    @app.get("/articles/{number}")
    def read(number: str, name: Caller) -> dict[str, str]:
        return found(number, name, "read")

    @app.patch("/articles/{number}")
    def change(number: str, text: Annotated[str, Body(embed=True)], name: Caller) -> dict[str, str]:
        found(number, name, "change")["text"] = text
        return articles[number]

    @app.delete("/articles/{number}", status_code=204)
    def delete(number: str, name: Caller) -> None:
        del articles[found(number, name, "deletion")["id"]]

    return app


@pytest.mark.parametrize(
    ("code", "knobs", "policy", "verdict"),
    [
        ("AUZ101", {}, {}, "inconclusive"),
        ("AUZ103", {}, {}, "inconclusive"),
        ("AUZ102", {}, {}, "passed"),
        ("AUZ101", {}, {"shared_objects": False}, "failed"),
        ("AUZ101", {"kept": "list"}, {}, "failed"),
        ("AUZ103", {"kept": "read"}, {}, "failed"),
        ("AUZ101", {"forgets": "deletion"}, {}, "failed"),
        ("AUZ102", {"forgets": "change"}, {"public_operations": _READS}, "failed"),
    ],
)
def test_what_all_may_read_is_asked_and_what_they_change_is_not(
    code: str, knobs: dict[str, Any], policy: dict[str, Any], verdict: str
) -> None:
    result = judged_as_found(code, magazine(**knobs), policy=policy)
    assert result.name == verdict, said(result)
    if verdict == "inconclusive":
        assert "whether all may read them, nothing says" in said(result)
        remedy = getattr(result.verdict, "remedy", "")
        assert tomllib.loads(remedy) == {"policy": {"shared_objects": False}}  # one answer, not both
