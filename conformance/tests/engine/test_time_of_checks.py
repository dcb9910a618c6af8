"""What a check may take: time that it waits is not its own, and logins that live for seconds are made anew."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from one_login import JSON, scene_of

from auth_conformance import catalog, runner
from auth_conformance.model import Inconclusive, Passed, Result, Verdict
from auth_conformance.probe import Probe, Scene, Unclear
from auth_conformance.runner import run_all
from auth_conformance.sdk import Check
from auth_conformance.transports.message import HttpRequest, RawReply

PATTERN = catalog.load()["TOK102"]


class Service:
    """Tokens end after so many requests, whoever sends them; the first so many meet a limit.

    Seconds are counted in requests, so that a test does not depend on the machine; `says` is told in the answer.
    """

    def __init__(
        self, lives: int = 1000, says: float = 900, limited: int = 0, retry_after: str = "1"
    ) -> None:
        self.lives, self.says, self.limited, self.retry_after = lives, says, limited, retry_after
        self.ends: dict[str, int] = {}
        self._numbers = itertools.count(1)

    async def send(self, request: HttpRequest) -> RawReply:
        number = next(self._numbers)
        if number <= self.limited:
            return RawReply(429, (("Retry-After", self.retry_after),))
        if request.path == "/login":
            token = f"opaque-token-{len(self.ends)}"
            self.ends[token] = number + self.lives
            return RawReply(200, JSON, b'{"token": "%s", "expires_in": %g}' % (token.encode(), self.says))
        token = str(request.header("Authorization") or "").removeprefix("Bearer ")
        if self.ends.get(token, 0) >= number:
            return RawReply(200, JSON, b'{"name": "alice"}')
        return RawReply(401, JSON, b'{"detail": "no"}')

    async def close(self) -> None:
        pass


def made(procedure: Callable[[Probe], Awaitable[Verdict]], code: str, *, exclusive: bool = False) -> Check:
    rule = replace(PATTERN.rule, code=code, needs=(), masks=(), exclusive=exclusive)
    return Check(rule, procedure, __file__)


def ran(checks: list[Check], where: Scene) -> list[Result]:
    return asyncio.run(run_all(checks, where))


def test_waiting_for_a_limit_is_not_time_that_a_check_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits: for a limit that the check met itself, or for a login that another one is waiting for."""
    monkeypatch.setattr(runner, "LONGEST", 1.0)

    def asks(method: str) -> Check:
        async def procedure(probe: Probe) -> Verdict:
            await probe.send(HttpRequest(method, "/me"), label="ask")
            return Passed("answered")

        return made(procedure, f"DOC90{len(method)}")

    async def shares(probe: Probe) -> Verdict:
        await probe.credential()
        return Passed("logged in")

    checks = [asks("GET"), asks("POST"), *(made(shares, f"DOC91{number}") for number in range(2))]
    # One refusal for each request: the login of two checks is one.
    results = ran(checks, scene_of(Service(limited=3, retry_after="1.2")))
    assert [item.name for item in results] == ["passed"] * 4, results[0].verdict


def test_a_check_that_takes_too_long_is_stopped_though_it_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LONGEST", 0.5)

    async def dawdles(probe: Probe) -> Verdict:
        await probe.send(HttpRequest("GET", "/me"), label="ask")
        await asyncio.sleep(5)
        return Passed("at last")

    (result,) = ran([made(dawdles, "DOC901")], scene_of(Service(limited=1, retry_after="1")))
    started = "Stopped after 0.5 s, besides 1 s of waiting for limits: 2 requests had been sent, "
    assert result.verdict.reason.startswith(started), result.verdict.reason
    # A longer time for each request would stop it no later, and it was alone already.
    assert getattr(result.verdict, "remedy", "").startswith("# the service was too slow")


def test_a_check_that_was_not_alone_may_be_heard_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LONGEST", 0.05)

    async def dawdles(probe: Probe) -> Verdict:
        await asyncio.sleep(5)
        return Passed("at last")

    results = ran([made(dawdles, "DOC901"), made(dawdles, "DOC902")], scene_of(Service()))
    remedies = [getattr(item.verdict, "remedy", "").partition("  #")[0] for item in results]
    assert remedies == ['only = ["DOC901"]', 'only = ["DOC902"]']


async def asks_twenty_times(probe: Probe) -> Verdict:
    """What needs one living login for some time."""
    live = await probe.credential()
    baseline = await probe.baseline(probe.witness, live)
    for _ in range(20):
        await asyncio.sleep(0)
        await probe.must_live(probe.witness, live, baseline, "after")
    return Passed("it lived")


def test_a_login_that_dies_under_a_check_twice_is_made_anew_for_it_alone() -> None:
    """Eight checks at a time take longer than tokens of seconds live."""
    crowd = [made(asks_twenty_times, f"DOC90{number}") for number in range(4)]
    results = ran(crowd, scene_of(Service(lives=30, says=30)))
    assert [item.name for item in results] == ["passed"] * 4, results[0].verdict


@pytest.mark.parametrize(("says", "logins"), [(30, 2), (900, 1)])
def test_a_check_that_runs_alone_begins_with_a_whole_life_before_it(says: int, logins: int) -> None:
    used = []

    async def begins(probe: Probe) -> Verdict:
        used.append((await probe.credential()).value.reveal())
        return Passed("begun")

    ran([made(begins, f"DOC90{number}", exclusive=True) for number in range(2)], scene_of(Service(says=says)))
    assert len(set(used)) == logins


@pytest.mark.parametrize(("says", "told"), [(1, True), (900, False)])
def test_a_check_that_takes_longer_than_tokens_live_says_so(says: int, *, told: bool) -> None:
    """Where tokens are said to live for long, something else has ended them."""
    check = made(asks_twenty_times, "DOC901", exclusive=True)
    (result,) = ran([check], scene_of(Service(lives=9, says=says)))
    assert isinstance(result.verdict, Inconclusive)
    assert ("tokens live for 1 s here" in result.verdict.reason) is told
    assert ("access tokens live for some minutes" in result.verdict.remedy) is told


def test_what_is_unclear_while_its_login_lives_is_not_blamed_on_tokens() -> None:
    async def unclear(probe: Probe) -> Verdict:
        await probe.credential()
        raise Unclear("of something else")

    (result,) = ran([made(unclear, "DOC901", exclusive=True)], scene_of(Service(says=10)))
    assert result.verdict.reason == "of something else"
