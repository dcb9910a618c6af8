"""Whatever happens inside a check becomes a verdict, and the whole run says nothing that is secret."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from secrecy import reports, spellings_of_secrets, tellers

from auth_conformance import catalog, concluding, runner
from auth_conformance.credentials import Carrier, Credential, Kind
from auth_conformance.demo import bundled
from auth_conformance.document import from_document, to_document
from auth_conformance.engine import conduct, finished
from auth_conformance.model import (
    Exchange,
    Expectation,
    Failed,
    Inconclusive,
    Need,
    Passed,
    Reply,
    Request,
    Result,
    Role,
    SourceLine,
    TargetSummary,
    Verdict,
    Violation,
)
from auth_conformance.probe import Missing, Probe, Scene, Unclear
from auth_conformance.probe.scene import Birth, Crash
from auth_conformance.runner import run_all, run_check
from auth_conformance.sdk import Check
from auth_conformance.secret import Secret
from auth_conformance.settings import load
from auth_conformance.target import Operation, Target
from auth_conformance.target.needs import NEEDED
from auth_conformance.testing import FAST_HASHING, find_flaw
from auth_conformance.transports.message import HttpRequest, RawReply, no_answer
from auth_conformance.transports.recorder import Recorder
from auth_conformance.transports.redaction import Redactor
from auth_reports.writing import FORMATS

PATTERN = catalog.load()["TOK102"]


class Always:
    """A transport that gives one answer."""

    def __init__(self, reply: RawReply) -> None:
        self.reply, self.sent = reply, 0

    async def send(self, request: HttpRequest) -> RawReply:
        self.sent += 1
        return self.reply

    async def close(self) -> None:
        pass


def scene(transport: Always | None = None, **target: object) -> Scene:
    recorder = Recorder(transport or Always(RawReply(200)), Redactor(), budget=50)
    return Scene(
        Target(
            "url", "http://x", carriers=(Carrier(Kind.BEARER, "header", "Authorization", "Bearer"),), **target
        ),
        recorder,
        "run",
    )  # type: ignore[arg-type]


def made(procedure: Callable[[Probe], Awaitable[Verdict]], code: str = "TOK999", **rule: object) -> Check:
    return Check(replace(PATTERN.rule, code=code, needs=(), masks=(), **rule), procedure, __file__)


def run(check: Check, where: Scene | None = None) -> Result:
    return asyncio.run(run_check(check, where or scene()))


def test_a_check_that_begins_anew_has_other_words() -> None:
    """What it had created is still there, and would be taken for what its next attack has done."""
    said: list[str] = []

    async def speaks(probe: Probe) -> Verdict:
        said.append(probe.word(14))
        return Passed("spoken", ())

    where, check = scene(), made(speaks)
    for _ in range(2):
        run(check, where)
    assert len(set(said)) == 2
    assert run(check, scene()).name == "passed"
    assert said[2] == said[0]  # and the first words of a run are those of its seed


def test_our_own_exception_is_errored_and_never_the_targets_fault() -> None:
    async def broken(probe: Probe) -> Verdict:
        raise KeyError("oops")

    result = run(made(broken))
    assert result.name == "errored"
    assert "KeyError" in getattr(result.verdict, "detail", "")


@pytest.mark.parametrize(("longest", "name"), [(300.0, "errored"), (0.01, "inconclusive")])
def test_only_our_own_deadline_says_that_a_check_was_stopped(
    monkeypatch: pytest.MonkeyPatch, longest: float, name: str
) -> None:
    async def broken(probe: Probe) -> Verdict:
        if longest < 1:
            await asyncio.sleep(30)
        raise TimeoutError("of something else")

    monkeypatch.setattr(runner, "LONGEST", longest)
    result = run(made(broken))
    assert result.name == name
    assert ("Stopped after" in result.verdict.reason) is (name == "inconclusive")


@pytest.mark.parametrize(
    ("conclusion", "name"),
    [(Unclear("a control failed"), "inconclusive"), (Missing("no login"), "skipped")],
)
def test_conclusions_become_verdicts(conclusion: Exception, name: str) -> None:
    async def concludes(probe: Probe) -> Verdict:
        raise conclusion

    assert run(made(concludes)).name == name


def test_a_check_that_spends_more_than_its_budget_is_inconclusive() -> None:
    async def greedy(probe: Probe) -> Verdict:
        for _ in range(10):
            await probe.call(Operation("GET", "/"), label="again")
        return Passed("done")

    transport = Always(RawReply(200))
    result = run(made(greedy, budget=4), scene(transport))
    assert result.name == "inconclusive"
    assert transport.sent == result.requests == 4
    assert len(result.verdict.evidence) == 4


def test_a_run_that_spends_its_budget_says_so() -> None:
    async def greedy(probe: Probe) -> Verdict:
        for _ in range(100):
            await probe.call(Operation("GET", "/"), label="again")
        return Passed("done")

    assert "50 requests" in run(made(greedy, budget=1000)).verdict.reason


def test_a_missing_need_is_not_tested_with_its_remedy_and_absence_is_not_applicable() -> None:
    check = PATTERN
    missing = run(check, scene(remedies={Need.WITNESS: "[witness]"}))
    assert missing.name == "skipped"
    assert getattr(missing.verdict, "applicable", None) is True
    assert getattr(missing.verdict, "remedy", "") == "[witness]"
    absent = run(check, scene(absent={Need.WITNESS: "nothing is protected."}))
    assert getattr(absent.verdict, "applicable", None) is False


@pytest.mark.parametrize(
    ("headers", "expected", "name"),
    [
        ((("Age", "0"),), None, "inconclusive"),
        ((("Cache-Status", "edge; hit"),), None, "inconclusive"),
        ((("X-Cache", "HIT from edge"),), None, "inconclusive"),
        ((("X-Cache", "MISS"), ("Cache-Status", "edge; fwd=miss")), None, "failed"),
        ((("Age", "0"),), Expectation("header", "Cache-Control", "no-store"), "failed"),
    ],
)
def test_what_a_cache_let_in_is_not_the_applications_fault(
    headers: tuple[tuple[str, str], ...], expected: Expectation | None, name: str
) -> None:
    async def caught(probe: Probe) -> Verdict:
        request = Request("GET", "http://x/me")
        shown = Exchange(1, "attack", Role.ATTACK, "GET /me", request, Reply(200, headers), 0.1)
        return Failed((Violation("GET /me", "let in", evidence=(shown,), expected=expected),))

    assert run(made(caught)).name == name


def test_a_failed_root_masks_without_a_single_request() -> None:
    async def fails(probe: Probe) -> Verdict:
        return Failed((Violation("GET /me", "let in"),))

    async def passes(probe: Probe) -> Verdict:
        await probe.call(Operation("GET", "/"), label="x")
        return Passed("fine")

    root = made(fails, "TOK101")
    root = Check(replace(root.rule, masks=("TOK110-TOK127",)), root.procedure, root.source)
    transport = Always(RawReply(200))
    results = asyncio.run(run_all([root, made(passes, "TOK111"), made(passes, "TOK201")], scene(transport)))
    assert {result.rule.code: result.name for result in results} == {
        "TOK101": "failed",
        "TOK111": "masked",
        "TOK201": "passed",
    }
    assert transport.sent == 1


def test_no_secret_of_a_run_with_findings_reaches_a_report() -> None:
    """That none of the clean run does is asked where it is made (test_kill)."""
    codes = {"TOK102", "KEY101", "LIF101", "SES110"}
    secrets: set[str] = set()

    async def learn(scene: Scene, _: object) -> None:
        secrets.update(spellings_of_secrets(scene.recorder.redactor))

    with bundled(flaw=find_flaw("unverified_signature"), extra=FAST_HASHING) as (app, settings):
        checks = [check for code, check in catalog.load().items() if code in codes]
        run = asyncio.run(conduct(settings, checks, app=app, then=learn))
    assert len(secrets) > 20
    assert not tellers(run, secrets)
    texts = reports(run)
    assert len(texts) > len(FORMATS)  # a regression test is among them
    data = json.loads(texts["json"])
    assert to_document(from_document(data)) == data


def test_an_app_of_before_covers_no_flaw_of_the_bundled_one() -> None:
    access = logging.getLogger("uvicorn.access")

    def left_behind(record: logging.LogRecord) -> bool:
        return False

    before = list(access.filters)
    access.addFilter(left_behind)
    try:
        with bundled():
            assert left_behind not in access.filters
            assert access.filters  # the app's own, which hides the query
        assert access.filters == [*before, left_behind]
    finally:
        access.removeFilter(left_behind)


def test_every_need_is_told_in_words() -> None:
    assert NEEDED.keys() == set(Need)
    assert all(
        words.startswith(("a ", "an ", "the ", "two ", "tokens ", "objects ", "what "))
        for words in NEEDED.values()
    )


def test_a_limit_that_outlasts_the_patience_of_a_run_names_the_line_that_waits_for_it() -> None:
    async def meets_a_limit(probe: Probe) -> Verdict:
        answer = await probe.send(
            HttpRequest("POST", "/login"), label="the right password", operation="POST /login"
        )
        raise Unclear(f"POST /login refused the right password ({answer.why or answer.status}).")

    for told, line in {"20": "patience = 21", "86400": "", "": "rate = 1"}.items():
        headers = (("Retry-After", told),) if told else ()
        met = scene(Always(RawReply(429, headers)))
        met.patience = 0.5 if told else 0.0
        result = run(made(meets_a_limit), met)
        assert result.name == "inconclusive"
        remedy = getattr(result.verdict, "remedy", "")
        assert remedy.startswith(line) if line else not remedy, (told, remedy)


def test_a_check_that_starved_is_heard_again_alone() -> None:
    together, heard = 0, []

    class Crowded(Always):
        """A service that answers one at a time and lets the others wait in vain."""

        async def send(self, request: HttpRequest) -> RawReply:
            nonlocal together
            together += 1
            try:
                await asyncio.sleep(0.01)
                return no_answer(10, 10) if together > 1 else self.reply
            finally:
                together -= 1

    async def asks(probe: Probe) -> Verdict:
        heard.append(probe.rule.code)
        answer = await probe.send(HttpRequest("GET", "/"), label="ask", operation="GET /")
        if answer.status is None:
            raise Unclear(f"ask: {answer.reply.error}")
        return Passed("answered")

    some = [made(asks, f"DOC90{number}", exclusive=False) for number in range(3)]
    results = asyncio.run(run_all(some, scene(Crowded(RawReply(200)))))
    assert [item.name for item in results] == ["passed"] * 3
    assert heard[3:] == sorted(heard[3:]), "heard again in order, and alone"
    assert heard[3:]

    heard.clear()
    silent = [*some, made(asks, "DOC905", exclusive=True)]
    results = asyncio.run(run_all(silent, scene(Always(no_answer(10, 10)))))
    assert [item.name for item in results] == ["inconclusive"] * 4
    assert len(heard) == len(silent) + 1, "one is heard again: the service answers nobody"

    late = run(some[0], scene(Always(no_answer(10, 10))))
    assert (late.name, getattr(late.verdict, "remedy", "")) == (
        "inconclusive",
        "timeout = 30  # seconds per request",
    )


def test_what_breaks_for_the_holder_of_a_live_credential_is_sent_to_nobody_again() -> None:
    live = Carrier(Kind.BEARER, "header", "Authorization", "Bearer")

    def crash(place: str, token: str, role: Role) -> Crash:
        request = HttpRequest("GET", place).with_headers(("Authorization", f"Bearer {token}"))
        shown = Exchange(
            1, f"{token} at {place}", role, f"GET {place}", Request("GET", place), Reply(501), 0.0
        )
        return Crash(shown.label, request, shown)

    async def replayed(crashes: list[Crash]) -> tuple[int, list[str], list[str]]:
        transport = Always(RawReply(200))
        where = scene(transport)
        where.issued(Credential(live, Secret("hers-is-alive"), "a"))
        probe, unsure = Probe(where, PATTERN.rule), list[str]()
        await probe._replayed_crashes(crashes, unsure)
        return transport.sent, unsure, probe.notes

    honest = crash("/plans", "hers-is-alive", Role.CONTROL)
    wrong = crash("/plans", "no-token", Role.CONTROL)
    attack, elsewhere = crash("/plans", "forged", Role.ATTACK), crash("/orders", "forged", Role.ATTACK)
    assert asyncio.run(replayed([honest, attack, wrong])) == (
        0,
        [],
        ["broke on an honest request as well: GET /plans (501)"],
    )
    sent, unsure, notes = asyncio.run(replayed([attack, wrong, elsewhere]))
    assert sent == 3
    assert unsure == [
        f"GET {place} crashed once at forged at {place}, and then not" for place in ("/plans", "/orders")
    ]
    assert notes == ["GET /plans crashed once at no-token at /plans, and then not"]


@pytest.mark.parametrize(
    ("expected", "place"),
    [
        (None, "deps.py"),
        (Expectation("refused"), "deps.py"),
        (Expectation("no secret"), "routes.py"),
        (Expectation("header", "Cache-Control", "no-store"), "routes.py"),
    ],
)
def test_what_an_answer_says_is_its_handlers_doing(expected: Expectation | None, place: str) -> None:
    operation: Any = SimpleNamespace(
        guard=SourceLine("deps.py", 60, "current_user"), source=SourceLine("routes.py", 12, "list_keys")
    )
    target: Any = SimpleNamespace(operation=lambda name: operation)
    verdict = Failed((Violation("GET /keys", "shows the key again", None, (), expected),))
    placed = concluding._placed(verdict, target, catalog.load()["KEY108"].rule)
    assert isinstance(placed, Failed)
    assert placed.violations[0].source is not None
    assert placed.violations[0].source.path == place


@pytest.mark.parametrize(("claims", "kept"), [({"iat": 1}, False), ({}, False), ({"iat": -3_600}, True)])
def test_a_shared_token_is_renewed_in_the_middle_of_its_life(claims: dict[str, int], *, kept: bool) -> None:
    """Tokens may live for seconds: a check that begins with an old one ends with a dead one."""

    async def asked() -> bool:
        now = int(time.time())
        said = {name: now + value for name, value in claims.items()} | {"exp": now + 20}
        token = jwt.encode(said, "k" * 32, algorithm="HS256")
        carrier = Carrier(Kind.BEARER, "header", "Authorization", "Bearer")
        issued = Credential(carrier, Secret(token), "a")
        shared, key = scene(), ("credential", Kind.BEARER, "a")

        async def make() -> Credential:
            return issued

        await shared.once(key, make)
        shared.born[issued.value] = Birth(time.monotonic() - 11, now - 1)
        shared.forget_aged(key)
        return bool(shared.shared_credentials())

    assert asyncio.run(asked()) is kept


def test_a_target_that_is_gone_is_told_with_the_request_that_met_it_last() -> None:
    """Services without a supervisor end at their first unhandled error: all that follows is no refusal."""

    def met(number: int, label: str, reply: Reply) -> Exchange:
        return Exchange(number, label, Role.ATTACK, "POST /login", Request("POST", "/login"), reply, 0.0)

    lived = met(1, "control", Reply(200))
    ended = met(2, "true as password", Reply(None, error="connection closed without an answer (EOFError)"))
    deaf = met(3, "null as password", Reply(None, error="no connection: All connection attempts failed"))
    rule = PATTERN.rule
    results = [
        Result(rule, Passed("x", (lived,)), rule.severity),
        Result(rule, Inconclusive("not let in (no connection: refused)", "", (ended, deaf)), rule.severity),
    ]
    told = concluding.gone(results)
    assert "since request 2 (POST /login: true as password): 1 of" in told
    assert concluding.gone(results[:1]) == ""
    back = met(4, "control", Reply(200))
    assert concluding.gone([*results, Result(rule, Passed("x", (back,)), rule.severity)]) == ""
    run = finished(
        TargetSummary("url", "x"), results, load({}), run_id="r", started=datetime.now(UTC), requests=4
    )
    assert run.notes == (told,)
