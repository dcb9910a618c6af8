"""SES102-104, SES110, CRD109, CRD112, AUZ101, AUZ104, LIF101, LIF107: sound passes, wrong fails, unclear is neither."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from checks.account_app import ATTRIBUTES, House, Refused, create_app, judged, known, operation, violations
from hostile import targets
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from auth_conformance.credentials import Kind
from auth_conformance.model import Need, Result, Severity
from auth_conformance.probe import fixation, lasting, revocation, rotation, sessions, throttling
from auth_conformance.probe.accounts import as_it_was
from auth_conformance.target import Form, Mailing, Operation, Policy, Recovery, Redemption, Switch

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]
CODES = ("SES102", "SES103", "SES104", "SES110", "CRD109", "CRD112", "AUZ101", "AUZ104", "LIF101", "LIF107")


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "LATER_IN_PROCESS", 0.0)
    monkeypatch.setattr(lasting, "CALM", 0.05)
    for module in (sessions, fixation, rotation):
        monkeypatch.setattr(module, "NEXT_SECOND", 0.0)


@pytest.mark.parametrize("code", CODES)
def test_a_sound_service_passes(code: str) -> None:
    result = judged(code, House())
    assert result.name == "passed", result.verdict.reason


@pytest.mark.parametrize("code", CODES)
def test_one_account_is_enough_or_it_is_said_what_is_missing(code: str) -> None:
    target = known()
    alone = replace(target, accounts={"a": target.accounts["a"]}, register=None)
    result = judged(code, House(), alone)
    assert result.name == ("skipped" if code in {"CRD112", "AUZ101", "AUZ104"} else "passed"), (
        result.verdict.reason
    )


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(
    "name", ["same_page", "same_json_naming_alice", "throttled", "waf", "drops", "half_broken"]
)
def test_nothing_is_said_about_a_target_that_answers_nothing(code: str, name: str) -> None:
    result = judged(code, targets.TARGETS[name](create_app(House())))
    assert result.name in {"inconclusive", "skipped"}, result.verdict.reason


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", ["dies_after", "throttles_after", "logs_out"])
def test_a_target_that_breaks_on_the_way_is_accused_of_nothing(code: str, name: str) -> None:
    result = judged(code, targets.TARGETS[name](create_app(House())))
    assert result.name in {"inconclusive", "skipped", "passed"}, result.verdict.reason


class TestCookies:
    @pytest.mark.parametrize(
        ("attributes", "code"),
        [
            (ATTRIBUTES.replace("; Secure", ""), "SES102"),
            (ATTRIBUTES.replace("; Secure", "; Path=Secure"), "SES102"),
            (ATTRIBUTES.replace("; HttpOnly", ""), "SES103"),
            (ATTRIBUTES.replace("=Lax", "=Relaxed"), "SES104"),
            (ATTRIBUTES.replace("=Lax", "=None"), "SES104"),
            (ATTRIBUTES.replace("; SameSite=Lax", ""), "SES104"),
        ],
    )
    def test_each_attribute_counts(self, attributes: str, code: str) -> None:
        failed = [
            item
            for item in ("SES102", "SES103", "SES104")
            if judged(item, House(attributes=attributes)).name != "passed"
        ]
        assert failed == [code]

    def test_attributes_in_any_case_count(self) -> None:
        house = House(attributes=ATTRIBUTES.upper().replace("; ", ";"))
        assert all(judged(code, house).name == "passed" for code in ("SES102", "SES103", "SES104"))

    def test_a_declared_need_allows_none(self) -> None:
        house = House(attributes=ATTRIBUTES.replace("=Lax", "=None"))
        assert judged("SES104", house, known(policy=Policy(cross_site_cookie=True))).name == "passed"

    def test_without_a_cookie_there_is_nothing_to_judge(self) -> None:
        target = known()
        result = judged(
            "SES102", House(), replace(target, logins=target.logins[:1], carriers=target.carriers[:1])
        )
        assert result.name == "skipped"
        assert "no login sets a cookie" in result.verdict.reason

    def test_only_the_cookie_that_authenticates_counts(self) -> None:
        house = House()

        async def enter(request: Request) -> Response:
            body = await request.json()
            try:
                house.check(body["username"], body["password"])
            except Refused:
                return JSONResponse({"detail": "no"}, 401)
            answer = JSONResponse({})
            answer.set_cookie("csrf", secrets.token_urlsafe())
            answer.set_cookie("sid", house.open(body["username"], None), secure=True, httponly=True)
            return answer

        app = create_app(house)
        assert isinstance(app, Starlette)
        app.router.routes.insert(0, Route("/enter", enter, methods=["POST"]))
        target = known()
        only = replace(target, logins=target.logins[1:], register=None)
        assert judged("SES103", app, only).name == "passed"

    def test_the_session_of_starlette_is_seen_for_what_it_is(self) -> None:
        house = House()

        async def enter(request: Request) -> Response:
            body = await request.json()
            if house.passwords.get(body["username"]) != body["password"]:
                return JSONResponse({"detail": "no"}, 401)
            request.session.clear()
            request.session.update(user=body["username"], nonce=secrets.token_hex(4))
            return JSONResponse({})

        async def me(request: Request) -> Response:
            if "user" not in request.session:
                return JSONResponse({"detail": "no"}, 401)
            return JSONResponse({"username": request.session["user"]})

        async def leave(request: Request) -> Response:
            request.session.clear()
            return JSONResponse({})

        app = Starlette(
            routes=[
                Route("/enter", enter, methods=["POST"]),
                Route("/me", me),
                Route("/logout", leave, methods=["POST"]),
            ],
            middleware=[Middleware(SessionMiddleware, secret_key=secrets.token_hex(), session_cookie="sid")],
        )
        target = known()
        cookies = replace(
            target,
            logins=target.logins[1:],
            logouts=target.logouts[1:],
            register=None,
            refresh=None,
            public=None,
            operations=(),
        )
        assert judged("SES102", app, cookies).name == "failed"
        assert judged("SES103", app, cookies).name == "passed"
        result = judged("LIF101", app, cookies)
        assert list(violations(result).values()) == ["high"], result.verdict.reason
        result = judged("SES110", app, cookies)
        assert set(violations(result).values()) == {"medium"}, result.verdict.reason


class TestFixation:
    def test_a_session_that_the_attacker_chose(self) -> None:
        class Keeps(House):
            def open(self, name: str, presented: str | None) -> str:
                token = presented or secrets.token_urlsafe(24)
                self.sessions[token] = (name, "f")
                return token

        result = judged("SES110", Keeps())
        assert sorted(violations(result).values()) == ["critical", "medium", "medium"]
        assert "kept it" in result.verdict.reason

    def test_a_session_that_goes_on_beside_the_new_one(self) -> None:
        class Forgets(House):
            def open(self, name: str, presented: str | None) -> str:
                del presented
                return super().open(name, None)

        result = judged("SES110", Forgets())
        assert set(violations(result).values()) == {"medium"}


class TestLogin:
    def test_an_unknown_name_with_its_own_answer(self) -> None:
        class Tells(House):
            def check(self, name: str, password: str) -> None:
                if name not in self.passwords:
                    raise Refused(404, "no such user")
                super().check(name, password)

        result = judged("CRD109", Tells())
        assert result.name == "failed"
        assert "status: 404 or 401" in result.verdict.reason

    def test_an_answer_that_is_never_the_same(self) -> None:
        class Odd(House):
            def check(self, name: str, password: str) -> None:
                if self.passwords.get(name) != password:
                    raise Refused(401, "".join(secrets.choice("abcdefgh") for _ in range(10)))

        assert judged("CRD109", Odd()).name == "inconclusive"

    def test_an_early_lock_is_no_difference(self) -> None:
        class Strict(House):
            def check(self, name: str, password: str) -> None:
                if self.failures.get(name, 0) >= 3:
                    raise Refused(429)
                super().check(name, password)

        assert judged("CRD109", Strict()).name == "passed"

    def test_guessing_without_limit(self) -> None:
        class Patient(House):
            def check(self, name: str, password: str) -> None:
                self.failures.clear()
                super().check(name, password)

        result = judged("CRD112", Patient())
        assert result.name == "failed"
        assert "evaluated 10" in result.verdict.reason
        assert result.requests <= result.rule.budget

    @pytest.mark.parametrize("status", [401, 403, 423, 503])
    def test_a_block_is_a_block_however_it_is_said(self, status: int) -> None:
        class Blocks(House):
            def check(self, name: str, password: str) -> None:
                if self.failures.get(name, 0) >= 10:
                    raise Refused(status, "later")
                super().check(name, password)

        result = judged("CRD112", Blocks())
        assert result.name == "passed", result.verdict.reason

    def test_a_silent_block_is_one(self) -> None:
        class Silent(House):
            def check(self, name: str, password: str) -> None:
                if self.passwords.get(name) != password or self.failures.get(name, 0) >= 20:
                    self.failures[name] = self.failures.get(name, 0) + 1
                    raise Refused

        result = judged("CRD112", Silent())
        assert result.name == "passed"
        assert "silent block" in result.verdict.reason

    def test_a_limit_that_is_only_told_is_none(self) -> None:
        class Tells(House):
            def check(self, name: str, password: str) -> None:
                if self.passwords.get(name) != password:
                    self.failures[name] = self.failures.get(name, 0) + 1
                    raise Refused(401, "too many" if self.failures[name] > 10 else "no")

        assert judged("CRD112", Tells()).name == "failed"

    def test_growing_delays_are_a_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(throttling, "SLOW", 0.1)

        class Slow(House):
            def check(self, name: str, password: str) -> None:
                if self.failures.get(name, 0) >= 20:
                    time.sleep(0.2)
                if self.passwords.get(name) != password:
                    self.failures[name] = self.failures.get(name, 0) + 1
                    raise Refused

        target = known()
        result = judged("CRD112", Slow(), replace(target, logins=target.logins[:1]))
        assert result.name == "passed"
        assert "slower" in result.verdict.reason

    def test_a_machine_that_was_busy_for_a_while_is_no_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hashing waits for the processor: some answers come late, and the next ones do not."""
        monkeypatch.setattr(throttling, "SLOW", 0.1)

        class Busy(House):
            def check(self, name: str, password: str) -> None:
                if self.passwords.get(name) != password:
                    self.failures[name] = self.failures.get(name, 0) + 1
                    if 20 < self.failures[name] <= 20 + throttling.TOGETHER:
                        time.sleep(0.2)
                    raise Refused

        target = known()
        result = judged("CRD112", Busy(), replace(target, logins=target.logins[:1]))
        assert result.name == "failed", result.verdict.reason

    def test_a_service_that_breaks_under_guessing_is_not_judged(self) -> None:
        class Breaks(House):
            def check(self, name: str, password: str) -> None:
                if self.passwords.get(name) != password and self.failures.get(name, 0) >= 5:
                    raise Refused(500)
                self.failures[name] = self.failures.get(name, 0) + 1
                if self.passwords.get(name) != password:
                    raise Refused

        assert judged("CRD112", Breaks()).name == "inconclusive"


class TestObjects:
    def test_a_note_that_everybody_with_an_account_reads(self) -> None:
        class Open(House):
            def note(self, number: str, name: str | None) -> str:
                if name is None or number not in self.notes:
                    raise Refused(404)
                return self.notes[number][1]

        result = judged("AUZ101", Open())
        assert result.name == "failed"
        assert "another user" in result.verdict.reason

    def test_a_spelling_that_the_owner_check_does_not_know(self) -> None:
        class Reads(House):
            def note(self, number: str, name: str | None) -> str:
                if not number.isdecimal() or number.startswith("0"):
                    return self.notes.get(number.strip("[] .json").lstrip("0"), ("", "?"))[1]
                return super().note(number, name)

        result = judged("AUZ101", Reads())
        assert result.name == "failed"
        assert "id " in result.verdict.reason

    def test_a_note_in_base64_is_still_the_note(self) -> None:
        class Encodes(House):
            def note(self, number: str, name: str | None) -> str:
                if number not in self.notes:
                    raise Refused(404)
                owner, text = self.notes[number]
                return text if owner == name else "x" + text.encode().hex()

        assert judged("AUZ101", Encodes()).name == "failed"

    def test_what_strangers_read_too_is_asked_about(self) -> None:
        class Public(House):
            def note(self, number: str, name: str | None) -> str:
                del name
                if number not in self.notes:
                    raise Refused(404)
                return self.notes[number][1]

        assert judged("AUZ101", Public()).name == "failed"
        target = known()
        assert target.objects is not None
        undeclared = replace(target.objects, read=replace(target.objects.read, security=None))
        result = judged("AUZ101", Public(), replace(target, objects=undeclared))
        assert result.name == "inconclusive"
        public = Policy(public_operations=frozenset({"GET /notes/{id}"}))
        assert judged("AUZ101", Public(), known(policy=public)).name == "skipped"

    def test_a_refusal_that_tells_is_a_note(self) -> None:
        class Tells(House):
            def note(self, number: str, name: str | None) -> str:
                if number in self.notes and name is not None and self.notes[number][0] != name:
                    raise Refused(403)
                return super().note(number, name)

        result = judged("AUZ101", Tells())
        assert result.name == "passed"
        assert "tells that a foreign object exists" in str(result.verdict)


class TestPrivilege:
    def test_no_guard_at_all(self) -> None:
        class Unguarded(House):
            def guard(self, name: str) -> None:
                del name

        result = judged("AUZ104", Unguarded())
        assert {finding.operation for finding in result.findings} == {
            "GET /admin/people",
            "DELETE /admin/people/{username}",
        }
        assert "its effect was seen" in str(violations(result))

    @pytest.mark.parametrize("declared", [False, True])
    @pytest.mark.parametrize("open_to_all", [False, True])
    def test_a_creation_whose_effect_nobody_can_see(self, *, declared: bool, open_to_all: bool) -> None:
        class Announces(House):
            anybody_announces = open_to_all

        announce = operation("POST /admin/notices")
        policy = Policy(privileged_operations=frozenset({announce.name} if declared else ()))
        target = known(operations=(*known().operations, announce), policy=policy)
        result = judged("AUZ104", Announces(), target)
        known_wrong = "failed" if declared else "inconclusive"
        expected = known_wrong if open_to_all else "passed"
        assert result.name == expected, result.verdict.reason
        if expected == "inconclusive":
            assert 'privileged_operations = ["POST /admin/notices"]' in result.verdict.remedy

    def test_hiding_is_refusing(self) -> None:
        class Hides(House):
            def guard(self, name: str) -> None:
                if name != "root":
                    raise Refused(404)

        result = judged("AUZ104", Hides())
        assert result.name == "passed", result.verdict.reason

    def test_validation_before_authorisation_proves_nothing(self) -> None:
        class Validates(House):
            def guard(self, name: str) -> None:
                if name != "root":
                    raise Refused(422)

        assert judged("AUZ104", Validates()).name == "inconclusive"

    def test_without_an_administrator_only_what_is_declared_is_judged(self) -> None:
        target = known()
        plain = replace(target, accounts={key: target.accounts[key] for key in "ab"})
        assert judged("AUZ104", House(), plain).name == "skipped"
        declared = frozenset({"GET /admin/people"})
        judgement = judged("AUZ104", House(), replace(plain, policy=Policy(privileged_operations=declared)))
        assert judgement.name == "passed", judgement.verdict.reason
        changes = frozenset({"DELETE /admin/people/{username}"})
        judgement = judged("AUZ104", House(), replace(plain, policy=Policy(privileged_operations=changes)))
        assert judgement.name == "inconclusive"

    @pytest.mark.parametrize(
        ("guards_deletion", "expected"), [(True, "passed"), (False, "inconclusive")], ids=["sound", "flawed"]
    )
    def test_an_area_whose_name_says_nothing(self, *, guards_deletion: bool, expected: str) -> None:
        """What refuses A and lets an administrator in is found by its answers, and so is what lies beneath it."""

        class Forgetful(House):
            def guard(self, name: str) -> None:
                if guards_deletion or not self.deletes:
                    super().guard(name)

            deletes = False

        house = Forgetful()
        app = create_app(house)

        async def renamed(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"].startswith("/kontor/"):
                house.deletes = scope["method"] == "DELETE"
                scope = {**scope, "path": scope["path"].replace("/kontor/", "/admin/", 1)}
            await app(scope, receive, send)

        beneath = (operation("GET /kontor/people"), operation("DELETE /kontor/people/{username}"))
        others = tuple(item for item in known().operations if "/admin/" not in item.path)
        result = judged("AUZ104", renamed, known(operations=(*others, *beneath)))
        assert result.name == expected, result.verdict.reason
        if expected == "inconclusive":
            assert "nothing says who may" in result.verdict.reason
            assert 'privileged_operations = ["DELETE /kontor/people/{username}"]' in result.verdict.remedy
        else:
            assert result.verdict.reason.startswith("2 privileged operations refused")

    def test_nothing_named_is_nothing_tested(self) -> None:
        result = judged("AUZ104", House(), known(operations=()))
        assert result.name in {"skipped", "inconclusive", "passed"}
        target = known(operations=())
        alone = replace(target, accounts={"a": target.accounts["a"]})
        assert judged("AUZ104", House(), alone).name == "skipped"

    def test_what_may_be_for_administrators_is_offered_by_its_name(self) -> None:
        reports = operation("GET /reports", security=(frozenset({"x"}),))
        others = tuple(item for item in known().operations if "/admin/" not in item.path)
        target = known(operations=(*others, reports))
        told = judged("AUZ104", House(), replace(target, accounts={"a": target.accounts["a"]}))
        assert told.name == "skipped", told.verdict.reason
        assert 'privileged_operations = ["GET /reports"]' in told.verdict.remedy


class TestLogout:
    def test_a_logout_that_only_clears_the_cookie(self) -> None:
        class Forgets(House):
            def end(self, token: str) -> None:
                del token

        result = judged("LIF101", Forgets())
        assert len(violations(result)) == 3
        assert "all 21 times" in str(violations(result))

    def test_a_refresh_token_that_goes_on(self) -> None:
        class Half(House):
            def end(self, token: str) -> None:
                self.sessions.pop(token)

        result = judged("LIF101", Half())
        assert list(violations(result)) == [
            "After POST /logout the refresh token of the ended session still gave new tokens."
        ]

    def test_a_token_that_the_tester_s_own_refresh_replaces_does_not_end_late(self) -> None:
        class Replaces(House):
            def end(self, token: str) -> None:
                del token

            def rotate(self, refresh: str) -> tuple[str, str]:
                family = self.refreshes.get(refresh, ("", ""))[1]
                self.sessions = {key: value for key, value in self.sessions.items() if value[1] != family}
                return super().rotate(refresh)

        found = violations(judged("LIF101", Replaces()))
        assert all("late" not in message for message in found), found
        assert set(found.values()) == {"high"}, found

    def test_a_worker_that_does_not_know(self) -> None:
        class Workers(House):
            turn = 0
            ended: tuple[str, ...] = ()

            def caller(self, token: str | None) -> str:
                self.turn += 1
                if self.turn % 4 == 0 and token in self.ended:
                    raise Refused
                return super().caller(token)

            def end(self, token: str) -> None:
                self.ended = (*self.ended, token)
                family = self.sessions[token][1]
                self.refreshes = {key: value for key, value in self.refreshes.items() if value[1] != family}

        assert "some workers" in judged("LIF101", Workers()).verdict.reason

    def test_what_one_kind_has_shown_stands_though_the_other_cannot_log_out(self) -> None:
        """Bearer tokens are ended by their text, so that one with padding behind it lives on."""

        class Texts(House):
            cookies: frozenset[str] = frozenset()
            ended: frozenset[str] = frozenset()

            def open(self, name: str, presented: str | None) -> str:
                token = super().open(name, presented)
                self.cookies |= {token}
                return token

            def caller(self, token: str | None) -> str:
                if token in self.ended:
                    raise Refused
                return super().caller((token or "").rstrip("="))

            def end(self, token: str) -> None:
                if token.rstrip("=") in self.cookies:
                    raise Refused(403)
                self.ended |= {token}

        result = judged("LIF102", Texts())
        assert result.name == "failed", result.verdict.reason

    def test_a_logout_that_ends_everybody(self) -> None:
        class Clears(House):
            def end(self, token: str) -> None:
                del token
                self.sessions.clear()

        result = judged("LIF101", Clears())
        assert "another user" in result.verdict.reason

    def test_a_logout_that_ends_all_sessions_of_its_user_is_sound(self) -> None:
        class Everywhere(House):
            def end(self, token: str) -> None:
                name = self.sessions[token][0]
                self.sessions = {key: value for key, value in self.sessions.items() if value[0] != name}
                self.refreshes = {key: value for key, value in self.refreshes.items() if value[0] != name}

        result = judged("LIF101", Everywhere())
        assert result.name == "passed", result.verdict.reason

    def test_no_way_out_is_a_finding_with_evidence_and_a_question_without(self) -> None:
        absent = known(logouts=(), absent={Need.LOGOUT: "all routes were read."})
        assert list(violations(judged("LIF101", House(), absent)).values()) == ["medium"]
        assert judged("LIF101", House(), known(logouts=())).name == "skipped"

    def test_a_logout_that_refuses_is_unclear(self) -> None:
        class Refuses(House):
            def end(self, token: str) -> None:
                raise Refused(403)

        assert judged("LIF101", Refuses()).name == "inconclusive"


class TestRefresh:
    def test_a_token_that_works_again(self) -> None:
        class Reusable(House):
            def rotate(self, refresh: str) -> tuple[str, str]:
                if refresh not in self.refreshes:
                    raise Refused
                return self.issue(*self.refreshes[refresh])

        result = judged("LIF107", Reusable())
        assert (
            violations(result)["POST /refresh accepted a refresh token that had been used already."] == "high"
        )

    def test_no_rotation_at_all(self) -> None:
        class Fixed(House):
            def rotate(self, refresh: str) -> tuple[str, str]:
                if refresh not in self.refreshes:
                    raise Refused
                token, _ = self.issue(*self.refreshes[refresh])
                return token, refresh

        assert "again and again" in judged("LIF107", Fixed()).verdict.reason

    def test_a_family_that_survives(self) -> None:
        class Survives(House):
            def rotate(self, refresh: str) -> tuple[str, str]:
                self.used.clear()
                return super().rotate(refresh)

        assert list(violations(judged("LIF107", Survives())).values()) == ["medium"]

    def test_an_access_token_in_its_place(self) -> None:
        class Confused(House):
            def rotate(self, refresh: str) -> tuple[str, str]:
                if refresh in self.sessions:
                    return self.issue(*self.sessions[refresh])
                return super().rotate(refresh)

        found = violations(judged("LIF107", Confused()))
        assert "POST /refresh took an access token for a refresh token." in found

    def test_a_declared_window_is_waited_out(self) -> None:
        class Graceful(House):
            def rotate(self, refresh: str) -> tuple[str, str]:
                if refresh in self.used and time.monotonic() - self.when[refresh] < 0.3:
                    name = next(
                        name for name, family in self.sessions.values() if family == self.used[refresh]
                    )
                    return self.issue(name, self.used[refresh])
                answer = super().rotate(refresh)
                self.when[refresh] = time.monotonic()
                return answer

            def __init__(self) -> None:
                super().__init__()
                self.when: dict[str, float] = {}

        assert judged("LIF107", Graceful()).name == "failed"
        assert judged("LIF107", Graceful(), known(policy=Policy(refresh_window=0.3))).name == "passed"
        result = judged("LIF107", Graceful(), known(policy=Policy(refresh_window=60)))
        assert result.name == "inconclusive"

    def test_without_a_login_that_gives_one_it_is_missing(self) -> None:
        target = known()
        cookies = tuple(login for login in target.logins if login.carrier.kind is Kind.COOKIE)
        assert judged("LIF107", House(), replace(target, logins=cookies)).name == "skipped"


class TestProfile:
    """A profile that is shown at one path and changed at another."""

    CHANGED = operation(
        "PATCH /settings/profile",
        security=(frozenset({"x"}),),
        bodies={"application/json": {"type": "object", "properties": {"nickname": {"type": "string"}}}},
    )

    def judged(self, house: House) -> Result:
        return judged("AUZ105", house, known(operations=(*known().operations, self.CHANGED), objects=None))

    def test_it_is_found_by_the_members_that_the_witness_shows(self) -> None:
        class Trusting(House):
            def describe(self, name: str, body: dict[str, Any]) -> None:
                self.profile(name).update({key: body[key] for key in ("nickname", "role") if key in body})

        result = self.judged(Trusting())
        assert result.name == "failed", result.verdict.reason
        assert [item.operation for item in result.findings] == ["PATCH /settings/profile"]
        assert "role" in result.verdict.reason

    def test_one_that_takes_only_what_is_meant_passes_and_is_named(self) -> None:
        result = self.judged(House())
        assert result.name == "passed", result.verdict.reason
        assert "PATCH /settings/profile" in result.verdict.reason


class TestFeed:
    """An operation that says nothing about who may call it."""

    def judged(self, house: House) -> Result:
        return judged(
            "AUZ112",
            house,
            known(operations=(*known().operations, operation("GET /feed")), has_document=True),
        )

    def test_what_one_person_keeps_is_not_for_strangers(self) -> None:
        class Open(House):
            def feed(self) -> list[str]:
                return [text for _, text in self.notes.values()]

        result = self.judged(Open())
        assert [(item.operation, item.severity) for item in result.findings] == [("GET /feed", Severity.HIGH)]

    @pytest.mark.parametrize(("known_flow", "expected"), [(True, "passed"), (False, "inconclusive")])
    def test_who_forgot_the_password_is_a_stranger(self, *, known_flow: bool, expected: str) -> None:
        house, ask, redeem = create_app(House()), operation("POST /hilfe"), operation("POST /hilfe/ende")

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"].startswith("/hilfe"):
                await JSONResponse({"status": "if there is an account, a mail is on its way"}, 202)(
                    scope, receive, send
                )
            else:
                await house(scope, receive, send)

        flow = Recovery(Mailing(Form(ask), "email"), Redemption(Form(redeem), "code", "password"))
        target = known(
            operations=(*known().operations, ask, redeem),
            has_document=True,
            recovery=flow if known_flow else None,
        )
        result = judged("AUZ112", app, target)
        assert result.name == expected, result.verdict.reason
        assert known_flow or "POST /hilfe" in result.verdict.reason
        # A target by its address: what its document leaves out is not known.
        assert "the routes of this service are not seen" in str(getattr(result.verdict, "notes", ()))

    def test_what_everybody_may_read_is_a_question(self) -> None:
        class Magazine(House):
            def feed(self) -> list[str]:
                return [text for _, text in self.notes.values()]

            def note(self, number: str, name: str | None) -> str:
                return self.notes[number][1]

        result = self.judged(Magazine())
        assert result.name == "inconclusive", result.verdict.reason
        assert "public_operations" in getattr(result.verdict, "remedy", "")


def instead_at_login(answer: Callable[[bytes], Handler | None]) -> Handler:
    """The house, where `answer` may give what answers a login with this body in its place."""
    house = create_app(House())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/login":
            await house(scope, receive, send)
            return
        message = await receive()
        given = iter([message])

        async def again() -> Message:
            return next(given, None) or await receive()

        await (answer(message.get("body", b"")) or house)(scope, again, send)

    return app


class TestOddInput:
    """What a service does with a NUL at login."""

    def judged(self, oddly: Handler) -> Result:
        def odd(body: bytes) -> Handler | None:
            return oddly if b"\\u0000" in body else None

        return judged("CRD124", instead_at_login(odd), timeout=0.2)

    def test_a_crash_is_a_finding(self) -> None:
        async def crash(scope: Scope, receive: Receive, send: Send) -> None:
            await JSONResponse({"detail": "oops"}, 500)(scope, receive, send)

        assert "POST /login breaks on the name at login: a NUL." in violations(self.judged(crash))

    def test_no_answer_in_time_is_a_doubt(self) -> None:
        async def hang(scope: Scope, receive: Receive, send: Send) -> None:
            await asyncio.Event().wait()

        found = violations(self.judged(hang))
        assert found, "the names that registration stores are found as before"
        assert "POST /login breaks on the name at login: a NUL." not in found


class TestConditions:
    """A condition behind a name at the login: run by a database, or stopped by a firewall."""

    def judged(self, answer: Callable[[bytes], Response | None]) -> Result:
        return judged("CRD102", instead_at_login(answer))

    def test_a_database_that_runs_it_is_a_finding(self) -> None:
        def runs(body: bytes) -> Response | None:
            return JSONResponse({"detail": "no such user"}, 401) if b"'1'='2" in body else None

        # The honest house refuses the name with the true condition in other words.
        assert "POST /login tells a true condition in a name from a false one." in violations(
            self.judged(runs)
        )

    @pytest.mark.parametrize("known", [b"' AND '1'='1", b"' AND"])
    def test_a_firewall_is_none(self, known: bytes) -> None:
        def stops(body: bytes) -> Response | None:
            page = f"<h1>Blocked</h1><p>Incident {secrets.token_hex(6)}</p>"
            return HTMLResponse(page, 403) if known in body else None

        result = self.judged(stops)
        assert result.name == "inconclusive", result.verdict.reason

    def test_neither_is_one_that_speaks_json_and_numbers_its_refusals(self) -> None:
        def stops(body: bytes) -> Response | None:
            refused = {"detail": f"blocked, incident {secrets.token_hex(6)}"}
            return JSONResponse(refused, 403) if b"' AND" in body else None

        result = self.judged(stops)
        assert result.name == "inconclusive", result.verdict.reason


def test_a_demotion_gives_the_role_back_that_the_account_had() -> None:
    call = Switch(Operation("PUT", "/people/{name}/role"), {"role": "user", "note": "x", "active": True})
    facts = {"sub": "carol", "role": "member"}
    assert as_it_was(call, facts).body == {"role": "member", "note": "x", "active": True}
