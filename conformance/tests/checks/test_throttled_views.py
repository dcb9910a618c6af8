"""WEB107 where what the account sees of itself is not shown any more: two refusals for their number are alike, too."""

import asyncio
import json
import secrets
from collections import Counter
from typing import Annotated, Any

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Body, Depends, FastAPI, HTTPException
from services.people import PEOPLE

from auth_conformance import catalog
from auth_conformance.demo import bundled
from auth_conformance.engine import conduct
from auth_conformance.model import Result
from auth_conformance.testing import FAST_HASHING, find_flaw

# The crawl looks at each view twice before it calls anything.
BEFORE = 2


def enveloping(send: Any) -> Any:
    """Send the body in an envelope that says another id of the request each time."""

    async def wrapped(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message["headers"] if name != b"content-length"]
            await send({**message, "headers": kept})
        elif message.get("body"):
            envelope = {"data": json.loads(message["body"]), "meta": {"request_id": secrets.token_hex(8)}}
            await send({**message, "body": json.dumps(envelope).encode()})
        else:
            await send(message)

    return wrapped


def judged(path: str, most: int, status: int, *, wrapped: bool = False) -> Result:
    """WEB107 on an app where a link deletes a note; `path` is read so often, and answered `status` afterwards.

    What is `wrapped` stands in an envelope that says another id of the request each time.
    """
    with bundled(flaw=find_flaw("unsafe_get.2"), extra=FAST_HASHING) as (app, settings):
        seen = {"reads": 0, "known": 0}

        async def front(scope: dict[str, Any], receive: Any, send: Any) -> None:
            if (
                seen["known"]
                and scope["type"] == "http"
                and (scope["method"], scope["path"]) == ("GET", path)
            ):
                seen["reads"] += 1
                if seen["reads"] > most:
                    await send({"type": "http.response.start", "status": status, "headers": []})
                    await send({"type": "http.response.body", "body": b""})
                    return
            read = (scope.get("method"), scope.get("path")) == ("GET", path)
            await app(scope, receive, enveloping(send) if wrapped and read else send)  # type: ignore[operator] # ASGI

        def known(_: object) -> None:
            seen["known"] = 1

        hasty = settings.model_copy(update={"patience": 0.0})
        run = asyncio.run(conduct(hasty, [catalog.load()["WEB107"]], app=front, on_target=known))
        return run.results[0]


@pytest.mark.parametrize(("most", "status"), [(1, 429), (BEFORE, 429), (BEFORE, 502)])
def test_a_view_that_is_refused_by_and_by_shows_no_change(most: int, status: int) -> None:
    result = judged("/notes", most, status)
    assert result.name == "inconclusive", said(result)
    assert "GET /notes" in result.verdict.reason


def test_the_link_is_found_where_the_view_is_shown() -> None:
    result = judged("/notes", 1_000, 429)
    assert result.name == "failed", said(result)


def test_the_id_of_each_request_hides_no_change() -> None:
    """Views in an envelope with a request id all 'changed by itself', so that nothing was left to look at."""
    result = judged("/notes", 1_000, 429, wrapped=True)
    assert result.name == "failed", said(result)
    assert "changes by itself" not in said(result)


def test_a_view_that_shows_nothing_from_the_start_is_left_out_and_named() -> None:
    result = judged("/keys", 0, 502)
    assert result.name == "failed", said(result)
    assert "GET /keys shows the account nothing" in said(result)


def slow_list(lag: int, *, sweeps: bool) -> FastAPI:
    """Notes that the list shows after so many looks, as where a replica is asked; `sweeps`: a GET throws them away."""
    app, notes, looks = FastAPI(), dict[str, tuple[str, str]](), Counter[str]()
    caller = front_desk(app, people={**PEOPLE, "vera": "Vera-Tin-Whistle-3"})
    Caller = Annotated[str, Depends(caller)]

    @app.post("/notes", status_code=201)
    def write(name: Caller, text: Annotated[str, Body(embed=True)]) -> dict[str, str]:
        number = secrets.token_hex(6)
        notes[number] = (name, text)
        return {"id": number, "text": text}

    @app.get("/notes")
    def listed(name: Caller) -> list[dict[str, str]]:
        own = [number for number, (owner, _) in notes.items() if owner == name]
        shown = [number for number in own if looks[number] >= lag]
        looks.update(own)
        return [{"id": number, "text": notes[number][1]} for number in shown]

    @app.get("/notes/clear")
    def clear(name: Caller) -> dict[str, int]:
        own = [number for number, (owner, _) in notes.items() if owner == name and sweeps]
        return {"cleared": len([notes.pop(number) for number in own])}

    @app.get("/notes/{number}")
    def read(number: str, name: Caller) -> dict[str, str]:
        if notes.get(number, ("", ""))[0] != name:
            raise HTTPException(404, "none")
        return {"id": number, "text": notes[number][1]}

    return app


@pytest.mark.parametrize(
    ("lag", "sweeps", "verdict", "words"),
    [
        (1, False, "passed", "changed nothing in GET /me, GET /notes"),
        (1, True, "failed", "GET /notes/clear changes what the account sees of itself"),
        (2, False, "inconclusive", "and without it as well"),
    ],
)
def test_a_list_that_lags_behind_accuses_no_read_and_hides_none(
    monkeypatch: pytest.MonkeyPatch, lag: int, verdict: str, words: str, *, sweeps: bool
) -> None:
    monkeypatch.setenv("PASSWORD_OF_VERA", "Vera-Tin-Whistle-3")
    result = judged_as_found("WEB107", slow_list(lag, sweeps=sweeps), spares=("vera",))
    assert (result.name, words in result.verdict.reason) == (verdict, True), said(result)
