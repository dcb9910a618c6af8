"""ERR101, ERR103, ERR104, ERR108: sound passes, flawed fails, and what cannot be judged is not."""

from collections.abc import Callable
from typing import Any

import pytest
from checks.judging import judged_as_found, said
from checks.mixed_app import create_app, judged, judged_all
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth_conformance.model import Severity


@pytest.mark.parametrize("code", ["ERR101", "ERR103", "ERR104", "ERR108"])
def test_the_sound_service_passes(code: str) -> None:
    result = judged(code)
    assert result.name == "passed", result.verdict.reason


@pytest.mark.parametrize(
    ("challenge", "said"), [(None, "carries no WWW-Authenticate"), ('Bearer realm="x" error="y"', "no comma")]
)
def test_a_401_without_a_proper_challenge_fails(challenge: str | None, said: str) -> None:
    result = judged("ERR101", challenge=challenge)
    assert result.name == "failed"
    assert said in result.verdict.reason


def test_what_only_another_method_gets_is_told_of_that_method() -> None:
    app = create_app()

    @app.middleware("http")
    async def posting(request: Any, following: Any) -> Any:
        """Strangers are sent away with another 401 where they post to what can only be read."""
        if request.method == "POST" and request.url.path == "/me":
            return JSONResponse({"error": "none", "message": "no token"}, 401)
        return await following(request)

    result = {item.rule.code: item for item in judged_all(["AUZ107", "ERR101"], app)}["ERR101"]
    assert "POST /me answers 401, and it carries no WWW-Authenticate" in result.verdict.reason
    assert not any(finding.operation == "GET /me" for finding in result.findings)


@pytest.mark.parametrize("invalid", [403, 404, 422])
def test_a_wrong_credential_that_is_not_answered_401_fails(invalid: int) -> None:
    result = judged("ERR103", invalid=invalid)
    assert result.name == "failed"
    assert f"answered {invalid}, not 401" in " ".join(finding.message for finding in result.findings)


def test_the_defaults_of_the_framework_have_a_list_where_others_have_a_text() -> None:
    result = judged("ERR104", one_body=False)
    assert result.name == "failed"
    (finding,) = result.findings
    assert "422 (a missing field): `detail` is a list, elsewhere a text." in finding.message
    assert finding.severity is Severity.LOW


def test_declared_members_are_demanded() -> None:
    result = judged("ERR104", one_body=False, policy={"error_members": ["error", "message"]})
    assert {finding.severity for finding in result.findings} == {Severity.MEDIUM}
    assert "`detail` is a text, and there is no `error`" in result.verdict.reason


@pytest.mark.parametrize("crash_on", ["\ufffd", "Basic ", "%s%n"])
def test_a_credential_that_crashes_the_service_fails(crash_on: str) -> None:
    result = judged("ERR108", crash_on=crash_on)
    assert result.name == "failed", result.verdict.reason
    assert "GET /me breaks on" in result.verdict.reason


def test_a_login_may_refuse_in_pages_where_the_witness_speaks_json() -> None:
    result = judged("ERR108", page_refusals=True)
    assert result.name == "passed", result.verdict.reason


class Turning:
    """Answers in earnest until it is turned and a few more requests have come, then only this."""

    def __init__(self, status: int, after: int) -> None:
        self.app, self.status, self.left = create_app(), status, after
        self.turned = False

    def turn(self, _: object) -> None:
        self.turned = True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and self.turned:
            self.left -= 1
            if self.left < 0:
                await send({"type": "http.response.start", "status": self.status, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
        await self.app(scope, receive, send)


def limited(app: ASGIApp, meets: Callable[[list[bytes]], bool]) -> ASGIApp:
    """The same service behind a limit for requests whose `Authorization` headers are such."""

    async def limiting(scope: Scope, receive: Receive, send: Send) -> None:
        if not meets([value for name, value in scope.get("headers", ()) if name == b"authorization"]):
            return await app(scope, receive, send)
        await send({"type": "http.response.start", "status": 429, "headers": [(b"retry-after", b"9999")]})
        return await send({"type": "http.response.body", "body": b""})

    return limiting


def test_a_challenge_that_a_limit_kept_back_was_not_read() -> None:
    (result,) = judged_all(["ERR102"], limited(create_app(), lambda values: len(values) > 1))
    assert result.name == "inconclusive", said(result)
    assert "two Authorization headers at GET /me: 429" in result.verdict.reason


def test_a_value_that_met_a_limit_was_not_survived() -> None:
    app = create_app(crash_on="%s%n")
    (result,) = judged_all(["ERR108"], limited(app, lambda values: b"%s%n" in b"".join(values)))
    assert result.name == "inconclusive", said(result)
    assert "1 hostile credentials met a limit of the service" in result.verdict.reason


ALL = ["ERR101", "ERR103", "ERR104", "ERR108", "WEB101", "DOC101", "MIX101", "MIX104"]


@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_service_that_dies_on_the_way_is_neither_passed_nor_accused(status: int) -> None:
    turning = Turning(status, after=12)
    results = judged_all(ALL, turning, on_target=turning.turn)
    decided = {
        result.rule.code: result.verdict.reason for result in results if result.name in {"passed", "failed"}
    }
    assert not decided


class Cutting:
    """What stands in front of a service and passes on half of each body of one status."""

    def __init__(self, app: ASGIApp, status: int) -> None:
        self.app, self.status = app, status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen: list[int] = []

        async def cut(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.append(message["status"])
            elif seen == [self.status]:
                message = {**message, "body": message["body"][: len(message["body"]) // 2]}
            await send(message)

        await self.app(scope, receive, cut)


def test_a_body_that_was_cut_on_its_way_is_not_the_services() -> None:
    app = create_app()
    app.add_middleware(Cutting, status=404)
    result = judged_as_found("ERR104", app)
    assert result.name == "inconclusive", said(result)
    assert "cut short" in result.verdict.reason, said(result)
