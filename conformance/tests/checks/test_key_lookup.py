"""KEY106: keys that are compared in part, statements that only take time, and filters that stop what looks like one."""

import asyncio
import hashlib
import sqlite3
import time
from typing import Annotated, Any

import pytest
from checks.judging import said
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.security import APIKeyHeader, APIKeyQuery

from auth_conformance import catalog
from auth_conformance.demo import bundled
from auth_conformance.engine import conduct
from auth_conformance.model import Masked, Result
from auth_conformance.settings import load
from auth_conformance.testing import FAST_HASHING, find_flaw

KEYS = {"alice": "key-of-alice-0123456789", "bob": "key-of-bob-0123456789"}


def stamped(seen: sqlite3.Connection, key: str) -> None:
    """What a service does that notes when a key was used, and does not care whether that worked."""
    try:
        seen.execute(f"UPDATE uses SET number = number + 1 WHERE key = '{key}'")  # noqa: S608 - the flaw
    except (sqlite3.Error, sqlite3.Warning):
        return


def depot(*, stamps: str = "", stops: str = "") -> FastAPI:
    """Takes keys in a header and in the query, and compares digests. `stamps` is the place (header, query) whose

    keys get into a statement that nothing is read from; `stops` is where a filter in front looks for quotes.
    """
    app = FastAPI()
    seen = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    seen.execute("CREATE TABLE uses (key TEXT, number INTEGER)")
    seen.execute("INSERT INTO uses VALUES ('of alice', 0)")
    seen.create_function("SLEEP", 1, lambda seconds: time.sleep(0.6 * seconds))
    seen.set_progress_handler(lambda: True, 200_000)  # no statement may keep this test busy
    owners = {hashlib.sha256(key.encode()).hexdigest(): name for name, key in KEYS.items()}

    @app.middleware("http")
    async def front(request: Request, proceed: Any) -> Response:
        hostile = {"header": str(request.headers), "query": request.url.query}.get(stops, "")
        if "OR '1" in hostile or "OR%20%271" in hostile or "OR+%271" in hostile:
            return HTMLResponse("<h1>Blocked</h1>", 406)
        answer: Response = await proceed(request)
        return answer

    def caller(
        header: Annotated[str | None, Depends(APIKeyHeader(name="X-API-Key", auto_error=False))],
        query: Annotated[str | None, Depends(APIKeyQuery(name="api_key", auto_error=False))],
    ) -> str:
        for place, key in (("header", header), ("query", query)):
            if key and place == stamps:
                stamped(seen, key)
        name = owners.get(hashlib.sha256((header or query or "").encode("utf-8", "replace")).hexdigest())
        if name is None:
            raise HTTPException(401, "no", {"WWW-Authenticate": "ApiKey"})
        return name

    @app.get("/me")
    def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"username": name}

    return app


def judged(app: FastAPI, **policy: bool) -> Result:
    """KEY106, where two people have keys and nobody logs in."""
    accounts = {
        label: {"username": name, "key": {"env": f"KEY_OF_{name}".upper()}}
        for label, name in zip("ab", KEYS, strict=True)
    }
    settings = load({"accounts": accounts, "policy": policy})
    return asyncio.run(conduct(settings, [catalog.load()["KEY106"]], app=app)).results[0]


def test_a_key_that_is_half_checked_is_no_part_of_a_query() -> None:
    """Other letters get in as well as a wildcard: no query is to blame."""
    with bundled(flaw=find_flaw("half_checked_key"), extra=FAST_HASHING) as (app, settings):
        verdict = asyncio.run(conduct(settings, [catalog.load()["KEY106"]], app=app)).results[0].verdict
    assert isinstance(verdict, Masked), verdict
    assert verdict.by == "KEY101"


@pytest.mark.parametrize("end", ["9", "_", "__"])
def test_keys_that_are_only_compared_pass_in_both_places(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.setitem(KEYS, "alice", f"key-of-alice-012345678{end}")
    monkeypatch.setenv("KEY_OF_ALICE", KEYS["alice"])
    result = judged(depot())
    assert result.name == "passed", said(result)
    assert "None of 6 pairs" in result.verdict.reason


@pytest.mark.parametrize("place", ["header", "query"])
def test_a_statement_that_only_takes_time_is_found_in_both_places(place: str) -> None:
    result = judged(depot(stamps=place))
    assert result.name == "failed", said(result)
    assert f"runs what stands in the key ({place}): a slow condition for MySQL" in result.verdict.reason


@pytest.mark.parametrize("place", ["header", "query"])
def test_a_filter_in_front_does_not_pass_for_the_application_unless_it_is_trusted(place: str) -> None:
    result = judged(depot(stops=place))
    assert result.name == "inconclusive", said(result)
    assert "A filter reacts" in result.verdict.reason
    assert "trust_waf = true" in result.verdict.remedy
    trusted = judged(depot(stops=place), trust_waf=True)
    assert trusted.name == "passed", said(trusted)
    assert "the policy trusts it" in said(trusted)
