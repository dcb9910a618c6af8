"""What a gateway says while a worker starts or requests are too many is asked once more, and is no verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from one_login import ALICE, BEARER, JSON, scene_of

from auth_conformance import catalog
from auth_conformance.credentials import Credential
from auth_conformance.discovery.asking import Scout
from auth_conformance.model import Exchange, Outcome, Reply, Request, Role, Violation
from auth_conformance.oracles.entry import Baseline, Fingerprint
from auth_conformance.probe import Probe, Unclear
from auth_conformance.probe.holdings import Found, Holding
from auth_conformance.probe.mutations import Mutation
from auth_conformance.probe.steadiness import Heard, Steadiness, _voices
from auth_conformance.secret import Secret
from auth_conformance.settings import load
from auth_conformance.target import Operation, Switch, UserManagement
from auth_conformance.transports.message import HttpRequest, RawReply
from auth_conformance.transports.recorder import Recorder
from auth_conformance.transports.redaction import Redactor


class Gateway:
    """Says these statuses first, then lets everything through."""

    def __init__(self, *statuses: int) -> None:
        self.says, self.asked = list(statuses), 0

    async def send(self, request: HttpRequest) -> RawReply:
        self.asked += 1
        status = self.says.pop(0) if self.says else 200
        return RawReply(status, JSON, b'{"token": "t0ken-of-alice"}' if status == 200 else b"{}")

    async def close(self) -> None:
        pass


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited: nobody waits here."""
    naps: list[float] = []
    honest = asyncio.sleep

    async def nap(seconds: float, *_: Any) -> None:
        naps.append(seconds)
        await honest(0)

    monkeypatch.setattr(asyncio, "sleep", nap)
    return naps


def probe(gateway: Gateway, patience: float = 5.0) -> Probe:
    scene = scene_of(gateway, patience=patience)
    return Probe(scene, catalog.load()["TOK102"].rule)


@pytest.mark.parametrize(("status", "pause"), [(502, 0.1), (504, 0.1), (503, 1.0)])
def test_a_login_that_a_gateway_refused_is_tried_once_more(
    slept: list[float], status: int, pause: float
) -> None:
    gateway = Gateway(status)
    session = asyncio.run(probe(gateway).log_in(ALICE))
    assert session.credential.value.reveal() == "t0ken-of-alice"
    assert (slept, gateway.asked) == ([pause], 2)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_login_behind_a_gateway_that_stays_away_is_asked_twice_and_no_more(
    slept: list[float], status: int
) -> None:
    gateway = Gateway(*[status] * 9)
    answer, _ = asyncio.run(probe(gateway).try_login(ALICE, ALICE.password))
    assert answer.outcome is Outcome.CRASHED
    assert gateway.asked == 2
    assert len(slept) == 1


def test_an_attack_is_tried_again_only_where_an_honest_request_got_through_then(slept: list[float]) -> None:
    """A 502 may be what the attack has broken."""
    gateway = Gateway(502, 502, 200, 502)
    attacker = probe(gateway)

    async def asked(role: Role) -> int | None:
        return (await attacker.send(HttpRequest("GET", "/me"), label="ask", role=role)).status

    async def story() -> list[int | None]:
        return [await asked(role) for role in (Role.ATTACK, Role.CONTROL, Role.ATTACK)]

    assert asyncio.run(story()) == [502, 200, 200]
    assert gateway.asked == 5
    assert attacker.scene.crashes[0].exchange.reply.status == 502
    assert len(attacker.scene.crashes) == 1


@pytest.mark.parametrize(
    ("statuses", "pauses"),
    [
        ((502,), [0.1]),
        ((504,), [0.1]),
        ((503,), [1.0]),
        ((503, 503), [1.0, 4.0]),
        ((503, 503, 503), [1.0, 4.0]),
        ((500,), []),
    ],
)
def test_discovery_asks_a_login_again_that_a_gateway_refused(
    slept: list[float], statuses: tuple[int, ...], pauses: list[float]
) -> None:
    """A bare 503 is how nginx limits requests by the second: it is waited for as long as such limits last."""
    gateway = Gateway(*statuses)
    scout = Scout(Recorder(gateway, Redactor()), load({}), "run")
    sent = asyncio.run(scout.insist(HttpRequest("POST", "/login"), "log in"))
    assert slept == pauses
    assert gateway.asked == 1 + len(pauses)
    assert sent.reply.ok is (len(statuses) == len(pauses))


NOBODY = Reply(401, (("WWW-Authenticate", "Bearer"),), digest="log in", media_type="application/json")
WRONG = Reply(
    401, (("WWW-Authenticate", 'Bearer error="invalid_token"'),), digest="bad", media_type="application/json"
)
KNOWN = Baseline(
    Reply(200, digest="alice", principal="alice"), NOBODY, "alice", WRONG, (Fingerprint.of(WRONG),)
)


class Turns:
    """Two instances that take turns, and name themselves; they say these statuses."""

    def __init__(self, *statuses: int) -> None:
        self.says, self.asked = statuses, 0

    async def send(self, request: HttpRequest) -> RawReply:
        number = self.asked % 2
        self.asked += 1
        headers = (*JSON, ("X-Served-By", "ab"[number]))
        return RawReply(
            self.says[number], headers, b'{"name": "alice"}' if self.says[number] == 200 else b"{}"
        )

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("code", "token", "removed"),
    [
        ("TOK110", "eyJhbGciOiJub25lIn0.e30.", True),
        ("TOK110", "eyJ hbGci.e30.", False),  # odd to whoever reads headers: it need not be taken for a token
        ("TOK211", "eyJhbGciOiJub25lIn0.e30.", False),  # signed well, and its subject is nobody
    ],
)
def test_a_forged_token_that_is_answered_like_none_may_have_been_taken_out(
    code: str, token: str, *, removed: bool
) -> None:
    class Service:
        async def send(self, request: HttpRequest) -> RawReply:
            return RawReply(401, (*JSON, ("WWW-Authenticate", "Bearer")), b"{}")

        async def close(self) -> None:
            pass

    asking = Probe(scene_of(Service()), catalog.load()[code].rule)
    request = HttpRequest("GET", "/me", headers=(("Authorization", f"Bearer {token}"),))

    async def outcome(nobody: str) -> Outcome | None:
        plain = await asking.send(request, label="learn", role=Role.CONTROL)
        stranger = replace(plain.exchange.reply, headers=(("WWW-Authenticate", nobody),))
        known = replace(KNOWN, anonymous=stranger)
        return (await asking.send(request, label="forged", role=Role.ATTACK, baseline=known)).outcome

    assert asyncio.run(outcome("Bearer")) is (Outcome.INTERCEPTED if removed else Outcome.REJECTED)
    assert asyncio.run(outcome("Basic")) is Outcome.REJECTED


@pytest.mark.parametrize(
    ("statuses", "method", "outcome", "asked"),
    [
        ((401, 401), "GET", Outcome.REJECTED, 2),
        ((401, 200), "GET", Outcome.ACCEPTED, 2),
        ((401, 200), "POST", Outcome.REJECTED, 1),  # what writes is sent once
    ],
)
def test_what_one_instance_has_refused_is_asked_of_the_others(
    statuses: tuple[int, int], method: str, outcome: Outcome, asked: int
) -> None:
    service = Turns(*statuses)
    scene = scene_of(service)
    scene.instances["x-served-by"] = frozenset("ab")
    asking = Probe(scene, catalog.load()["TOK102"].rule)
    request = HttpRequest(method, "/me")

    async def ask() -> Outcome | None:
        known = {"label": "forged", "role": Role.ATTACK, "pointer": "/name"}
        return (await asking.send(request, baseline=KNOWN, **known)).outcome

    assert (asyncio.run(ask()), service.asked) == (outcome, asked)
    told = Steadiness(header="x-served-by", instances=frozenset("ab")).met_once(asking.evidence)
    assert told.startswith("1 of 1 attacks (forged)" if asked == 1 else "")
    assert bool(told) is (asked == 1)


class Says:
    """These statuses, one after the other; with a 200 it names its caller."""

    def __init__(self, *statuses: int) -> None:
        self.says = list(statuses)

    async def send(self, request: HttpRequest) -> RawReply:
        status = self.says.pop(0)
        return RawReply(status, JSON, b'{"name": "alice"}' if status == 200 else b"{}")

    async def close(self) -> None:
        pass


TOKEN = Credential(BEARER, Secret("t0ken-of-alice"), "a")


def test_an_owner_who_is_refused_the_list_has_not_seen_that_nothing_was_made() -> None:
    """One of several instances that knows nobody would have passed for the service that refuses forged requests."""
    asking = Probe(scene_of(Says(201, 401)), catalog.load()["WEB104"].rule)
    made = Mutation(Operation("POST", "/notes"), {}, "/title", "", listing=Operation("GET", "/notes"))

    async def ask() -> object:
        answer = await asking.call(made.operation, TOKEN, label="forged", role=Role.ATTACK)
        return await asking._came_into_being(made, TOKEN, "text", answer)

    with pytest.raises(Unclear, match="did not show its owner"):
        asyncio.run(ask())


@pytest.mark.parametrize(
    ("statuses", "alive"),
    [
        ((401, 200), True),
        ((200, 200), True),
        ((401, 401), False),
        ((200, 401, 401), False),
        ((200, 401, 200), True),
    ],
)
def test_a_session_has_ended_when_it_is_refused_twice_in_a_row(
    statuses: tuple[int, ...], *, alive: bool
) -> None:
    service = Says(*statuses)
    asking = Probe(scene_of(service), catalog.load()["WEB104"].rule)
    answer = asyncio.run(asking._forged_out(TOKEN, KNOWN))
    assert (answer.accepted, answer.rejected, service.says) == (alive, not alive, [])


@pytest.mark.parametrize("late", [False, True])
def test_what_was_asked_first_of_an_account_that_ends_a_moment_later_accuses_nobody(
    monkeypatch: pytest.MonkeyPatch, *, late: bool
) -> None:
    held = [Holding("access token", TOKEN), Holding("API key", TOKEN)]
    done = SimpleNamespace(reply=RawReply(204), exchange=SimpleNamespace(), status=204)
    asked: list[str] = []

    async def presented(_: Probe, holding: Holding, when: str) -> Found:
        asked.append(when)
        return Found(holding is held[0] and not (late and len(asked) > 2))

    def giving(value: Any) -> Callable[..., Awaitable[Any]]:
        async def give(*_: Any, **__: Any) -> Any:
            return value

        return give

    scene = scene_of(Says())
    users = UserManagement(disable=Switch(Operation("PATCH", "/users/{id}")))
    accounts = {"a": ALICE, "admin": ALICE}
    scene = replace(scene, target=replace(scene.target, users=users, accounts=accounts))
    for name, value in (
        ("expendable", ALICE),
        ("holdings", held),
        ("facts_of", {}),
        ("as_administrator", done),
    ):
        monkeypatch.setattr(Probe, name, giving(value))
    monkeypatch.setattr(Probe, "presented", presented)
    doubts: list[str] = []
    found = asyncio.run(Probe(scene, catalog.load()["MIX102"].rule)._after_disabling(doubts))
    assert (len(found), len(doubts)) == ((0, 1) if late else (1, 0))
    assert len(asked) == 3


@pytest.mark.parametrize("page", [b"<p>an app for every path</p>", b"<p>what GET /me says</p>"])
def test_a_page_for_every_path_is_no_answer_of_an_operation(page: bytes) -> None:
    """Strangers who are refused get it as well: nothing was open to them."""

    class App:
        async def send(self, request: HttpRequest) -> RawReply:
            shown = page if request.path == "/me" else b"<p>an app for every path</p>"
            return RawReply(200, (("Content-Type", "text/html"),), shown)

        async def close(self) -> None:
            pass

    asking = Probe(scene_of(App()), catalog.load()["DOC101"].rule)

    async def ask() -> str:
        answer = await asking.send(HttpRequest("GET", "/me"), label="nobody", role=Role.ATTACK)
        return await asking._said_elsewhere(answer)

    assert asyncio.run(ask()).startswith(
        "200, with what is answered where nothing is" if b"every" in page else ""
    )
    assert bool(asyncio.run(ask())) is (b"every" in page)


@pytest.mark.parametrize(
    ("statuses", "refused"),
    [((401, 401, 401), None), ((401, 401, 200, 401), True)],
)
def test_a_scheme_is_refused_where_it_still_is_after_another_one_got_in(
    monkeypatch: pytest.MonkeyPatch, statuses: tuple[int, ...], *, refused: bool | None
) -> None:
    """For a moment everybody may be refused: a session store is away, an instance has other keys."""
    service = Says(*statuses)
    asking = Probe(scene_of(service), catalog.load()["MIX101"].rule)
    other = replace(TOKEN, value=Secret("another-t0ken"))

    async def by_any(_: object) -> tuple[Credential, Baseline]:
        return other, KNOWN

    monkeypatch.setattr(asking, "_baseline_by_any", by_any)
    ask = asking._let_in(asking.witness, TOKEN, KNOWN, "a header")
    if refused is None:
        with pytest.raises(Unclear, match="did not accept the live credential"):
            asyncio.run(ask)
    else:
        assert isinstance(asyncio.run(ask), Violation) is refused
    assert service.says == []


@pytest.mark.parametrize(("bodies", "voices"), [("aabaa", 1), ("abaab", 2)])
def test_a_body_that_is_seen_once_holds_an_id_of_its_own(bodies: str, voices: int) -> None:
    """Ids that look like words now and then are masked now and then: two versions of a service say each again."""

    def heard(question: str, body: str) -> Heard:
        reply = Reply(401, shape="{error:str}", digest=body)
        exchange = Exchange(1, "ask", Role.CONTROL, "GET /me", Request("GET", "/me"), reply, 0.1)
        return Heard(question, exchange, (401, "application/json", body), sound=True)

    assert len(set(_voices([heard("b", body) for body in bodies], "b"))) == voices
    assert len(set(_voices([heard("a", body) for body in bodies], "a"))) == 2, "a caller's name is no id"
