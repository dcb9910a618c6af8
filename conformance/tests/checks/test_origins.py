"""WEB101: a browser decides, not the presence of a header."""

from typing import Literal

import pytest
from checks.mixed_app import LISTED, create_app, judged, judged_all
from starlette.types import Receive, Scope, Send

from auth_conformance.model import Severity
from auth_conformance.probe.origins import Origins, strangers


def test_no_cors_at_all_keeps_everybody_out() -> None:
    result = judged("WEB101")
    assert result.name == "passed", result.verdict.reason
    assert "speaks of CORS" in result.verdict.reason


def test_a_login_that_met_a_limit_was_not_read() -> None:
    app = create_app(origins=[LISTED])

    async def limiting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "POST" or b"origin" not in dict(scope["headers"]):
            return await app(scope, receive, send)
        await send({"type": "http.response.start", "status": 429, "headers": [(b"retry-after", b"9999")]})
        return await send({"type": "http.response.body", "body": b""})

    (result,) = judged_all(["WEB101"], limiting)
    assert result.name == "inconclusive", result.verdict.reason
    assert "a wrong login by a page of" in result.verdict.reason


def test_a_list_that_is_kept_passes() -> None:
    result = judged("WEB101", origins=[LISTED], listed=[LISTED])
    assert result.name == "passed", result.verdict.reason
    assert f"{LISTED} works" in result.verdict.reason


@pytest.mark.parametrize("same_site", [None, "none"])
def test_everybody_with_cookies_is_critical(same_site: Literal["none"] | None) -> None:
    result = judged("WEB101", origins=["*"], listed=[LISTED], same_site=same_site)
    assert result.name == "failed"
    assert result.severity is Severity.CRITICAL


def test_a_cookie_that_stays_on_its_site_is_read_by_its_neighbours_only() -> None:
    """Browsers send it for pages of the same site: that is bad enough, and not what any page can do."""
    result = judged("WEB101", origins=["*"], listed=[LISTED], same_site="lax")
    assert result.name == "failed"
    assert result.severity is Severity.HIGH
    assert "SameSite=lax leaves to pages of the same site" in result.verdict.reason


def test_a_cookie_that_nobody_saw_set_may_be_sent_for_any_page(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unseen(_: Origins) -> str:
        return ""

    monkeypatch.setattr(Origins, "_reach_of_session", unseen)
    assert judged("WEB101", origins=["*"], listed=[LISTED]).severity is Severity.CRITICAL


def test_null_is_an_origin_like_any_other() -> None:
    result = judged("WEB101", origins=[LISTED, "null"], listed=[LISTED])
    assert result.name == "failed"
    assert "null" in result.verdict.reason


def test_strangers_never_include_a_listed_origin() -> None:
    listed = ("http://localhost", "https://app.example.com:8443")
    origins = {stranger.origin for stranger in strangers(listed, "abcdefgh")}
    assert not origins & set(listed)
    assert "https://appXexample.com" in {item.origin for item in strangers((LISTED,), "abcdefgh")}
