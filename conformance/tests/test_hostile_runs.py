"""The whole catalogue against targets that cannot be judged: nothing may pass, and nothing may be accused.

A target that mostly works costs as much as a sound one. So in a plain run each of those meets a part of the
catalogue, always the same, and two of them meet each check; `KILL_MATRIX=whole` sends everything at all.
"""

import os
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hostile.liars import LIARS
from hostile.targets import NOTHING_MAY_PASS, TARGETS, Reply, credentials_of, in_front_of
from services.serving import App, Message, Receive, Send

from auth_conformance import catalog
from auth_conformance.demo import bundled
from auth_conformance.discovery import locating
from auth_conformance.engine import conduct
from auth_conformance.loop import run_to_end
from auth_conformance.model import Failed, Run, Severity, Verdict, Violation
from auth_conformance.probe import lasting, mailing, sending
from auth_conformance.probe.objects import object_of
from auth_conformance.sdk import Check, Probe
from auth_conformance.settings import ConfigurationError
from auth_conformance.testing import FAST_HASHING, Flaw, find_flaw
from auth_conformance.transports.asgi import AsgiTransport

WHOLE = os.environ.get("KILL_MATRIX") == "whole"
# These let most requests through: a run goes all the way.
LIVELY = (
    "blocks_for_a_while",
    "forgets_everybody",
    "half_broken",
    "logs_out",
    "slow",
    "spa",
    "stale_cache",
    "waf_on_attack",
    "waf_on_suspicion",
)
MEETINGS = 2
# Judged by what an HTTP answer says, these could speak about a target that refuses attacks for other reasons.
FILTERED = {"TOK102", "TOK110", "TOK116", "KEY101"}


class Switch:
    """An honest application until it is thrown."""

    def __init__(self, honest: App, hostile: App) -> None:
        self._honest, self._hostile, self.thrown = honest, hostile, False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        chosen = self._hostile if self.thrown and scope["type"] != "lifespan" else self._honest
        await chosen(scope, receive, send)


def sent_at(name: str) -> list[Check]:
    """The checks that run against that target, in order of code. The roots go at all: they mask."""
    return [
        check
        for code, check in catalog.load().items()
        if WHOLE
        or name not in LIVELY
        or code in catalog.ROOTS
        or name in random.Random(code).sample(LIVELY, MEETINGS)
    ]


def run_against(
    make: Callable[[App], App],
    checks: list[Check],
    *,
    from_the_start: bool = False,
    flaw: Flaw | None = None,
    hangs: bool = True,
    patience: float = 0.2,
) -> Run:
    with pytest.MonkeyPatch.context() as patch, bundled(flaw=flaw, extra=FAST_HASHING) as (app, settings):
        switch = Switch(app, make(app))
        switch.thrown = from_the_start

        opened: list[AsgiTransport] = []

        def throw(_: object) -> None:
            switch.thrown = True
            if hangs:
                opened[0]._timeout = patience  # what hangs need not be waited for

        async def start(transport: AsgiTransport) -> None:
            opened.append(transport)
            await honest_start(transport)

        honest_start = AsgiTransport.start
        patch.setattr(AsgiTransport, "start", start)
        if hangs:
            # Most of these never come back, and no message comes: the tests would wait for minutes.
            patch.setattr(sending, "AT_ONCE", 0.01)
            patch.setattr(mailing, "SHORTEST", 0.1)
            patch.setattr(locating, "WARM_WITHIN", 1.0)
        hasty = settings.model_copy(update={"patience": 0.0})
        return run_to_end(conduct(hasty, checks, app=switch, on_target=throw))


def told(run: Run) -> str:
    return "\n".join(f"{item.rule.code} {item.name}: {item.verdict.reason}" for item in run.results)


@pytest.mark.parametrize("name", NOTHING_MAY_PASS)
def test_nothing_passes_and_nothing_fails_when_no_answer_is_worth_anything(name: str) -> None:
    run = run_against(NOTHING_MAY_PASS[name], sent_at(name), patience=0.05)
    assert {
        item.rule.code for item in run.results if item.name in {"passed", "failed", "errored"}
    } == set(), told(run)
    assert run.decision.exit_code == 3


@pytest.mark.parametrize("name", sorted(set(TARGETS) - set(NOTHING_MAY_PASS)))
def test_a_target_that_breaks_on_the_way_is_accused_of_nothing(name: str) -> None:
    run = run_against(TARGETS[name], sent_at(name), patience=0.1 if name == "hangs_after" else 0.2)
    # A cache that gives A's answer to B is a finding of its own (RFC 9111 §3.5), and no word of the service's.
    owned = {"WEB108"} if name == "stale_cache" else set()
    assert {item.rule.code for item in run.results if item.name in {"failed", "errored"}} == owned, told(run)


@pytest.mark.parametrize("name", ["waf_on_attack", "waf_on_suspicion"])
def test_a_filter_in_front_does_not_pass_for_the_application(name: str) -> None:
    run = run_against(TARGETS[name], [catalog.load()[code] for code in sorted({*catalog.ROOTS, *FILTERED})])
    passed = {item.rule.code for item in run.results if item.name == "passed"}
    expected = FILTERED if name == "waf_on_attack" else {"TOK110"}
    assert not passed & expected, told(run)


@pytest.mark.parametrize(
    ("name", "flaw"),
    [
        ("blocks_for_a_while", "foreign_object_readable"),
        ("blocks_for_a_while", "undeclared_surface.2"),
        ("blocks_for_a_while", "other_serialisation"),
        ("forgets_everybody", "assignable_privilege"),
        ("forgets_everybody", "believed_identity_header.2"),
        ("forgets_everybody", "half_checked_key.2"),
        ("forgets_everybody", "selecting_key_id"),
        ("forgets_everybody", "unsafe_get.2"),
        ("stale_cache", "costly_token"),
        ("stale_cache", "open_when_broken"),
    ],
)
def test_a_flaw_is_not_passed_while_everybody_is_refused(name: str, flaw: str) -> None:
    """A control before and one after a long series would not see it: there are controls in between."""
    seeded = find_flaw(flaw)
    own = sorted(seeded.caught_by)[:1]
    run = run_against(TARGETS[name], [catalog.load()[code] for code in own], flaw=seeded)
    assert {item.name for item in run.results} <= {"failed", "inconclusive"}, told(run)


@pytest.mark.parametrize("name", ["drops", "throttled", "unavailable", "waf", "same_page", "same_json"])
def test_a_target_that_was_never_usable_is_said_to_be_unusable(name: str) -> None:
    try:
        run = run_against(NOTHING_MAY_PASS[name], sent_at(name), from_the_start=True)
    except ConfigurationError as error:
        sentence = str(error).strip().splitlines()[0]  # lines of configuration may follow
    else:
        sentence = run.decision.sentence
        assert run.decision.exit_code in {2, 3}, told(run)
        assert run.count("passed") == 0, told(run)
    assert sentence
    assert "\n" not in sentence


def asked(name: str, *codes: str, flaw: str = "", from_the_start: bool = False) -> dict[str, str]:
    """How the checks of these codes came out against a liar."""
    checks = [catalog.load()[code] for code in codes]
    seeded = find_flaw(flaw) if flaw else None
    # A liar answers: on a busy machine that may take its time.
    run = run_against(LIARS[name], checks, flaw=seeded, from_the_start=from_the_start, hangs=False)
    assert not run.count("errored"), told(run)
    return {item.rule.code: item.name for item in run.results}


@pytest.mark.parametrize(("code", "flaw"), [("AUZ108", "unguarded_spelling.2"), ("KEY110", "escalating_key")])
def test_who_is_refused_for_a_moment_with_everybody_was_not_refused_what_was_asked(
    code: str, flaw: str
) -> None:
    """Three requests are fewer than lie between two controls: a 401 to who lives is looked at by itself."""
    assert asked("blinks", code, flaw=flaw)[code] in {"failed", "inconclusive"}


def test_an_owner_who_cannot_look_has_not_seen_that_nothing_changed() -> None:
    """The shelf of notes breaks when a stranger claims to delete, and was told as unharmed (AUZ107)."""

    def breaks(app: App) -> App:
        broken: list[bool] = []

        async def answer(scope: Message, receive: Receive, send: Send) -> None:
            if scope["path"].startswith("/notes/") and broken and scope["method"] == "GET":
                await Reply.json(500, {"error": "internal_error", "message": "Later."}).to(send)
                return
            claims = (b"x-http-method-override", b"DELETE") in scope["headers"]
            broken.extend([True] * (claims and not credentials_of(scope)))
            await app(scope, receive, send)

        return in_front_of(app, answer)

    (result,) = run_against(breaks, [catalog.load()["AUZ107"]], hangs=False).results
    assert result.name == "inconclusive", result.verdict.reason


def test_what_is_granted_and_done_later_was_not_refused() -> None:
    """A refresh token logs its owner out everywhere, some requests later: the look at once passed it."""
    assert asked("late", "TOK210", flaw="exchanged_token_kind.6") == {"TOK210": "inconclusive"}


def test_a_session_that_maintenance_shuts_out_was_not_ended_by_failed_logins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lasting, "CALM", 0.01)
    assert asked("under_maintenance", "CRD114") == {"CRD114": "inconclusive"}


@pytest.mark.parametrize("name", ["soft", "waf_json"])
def test_a_crash_that_a_200_may_wrap_or_a_filter_keeps_away_is_not_passed(name: str) -> None:
    assert asked(name, "ERR108", flaw="costly_token") == {"ERR108": "inconclusive"}


def test_what_got_in_past_a_cache_is_seen_by_asking_anew() -> None:
    assert asked("remembers", "ERR109", flaw="open_when_broken") == {"ERR109": "failed"}
    assert asked("remembers", "ERR109") == {"ERR109": "passed"}


def test_a_service_that_says_no_in_a_200_is_judged_by_what_it_lets_happen() -> None:
    """It never answers 401: its refusals pass all the same, and only their status is found fault with."""
    codes = ("ERR103", "LIF117", "TOK102")
    seen = asked("soft", *codes, from_the_start=True)
    assert {code for code, verdict in seen.items() if verdict == "failed"} == {"ERR103"}, seen
    assert {seen[code] for code in ("LIF117", "TOK102")} == {"passed"}, seen


def test_a_no_in_a_200_does_not_hide_that_a_limit_locks_people_out() -> None:
    """It has no status of its own there: that the right password is refused as well is its sign."""
    assert asked("soft", "CRD114", flaw="limit_as_weapon") == {"CRD114": "failed"}


def test_a_no_in_a_200_does_not_hide_that_a_forged_token_got_in() -> None:
    assert asked("soft", "TOK102", flaw="unverified_signature", from_the_start=True) == {"TOK102": "failed"}


@pytest.mark.parametrize("name", ["waf_200", "waf_403"])
def test_a_filter_that_stops_long_tokens_does_not_pass_for_a_frugal_service(name: str) -> None:
    seen = asked(name, "CRD103", "ERR108", flaw="costly_token")
    assert set(seen.values()) == {"inconclusive"}, seen


def test_what_a_filter_kept_away_is_told_in_the_verdict_of_a_pass() -> None:
    """An optional attack need not be delivered, and whoever reads only the verdict must not take it for refused."""
    run = run_against(LIARS["waf_403"], [catalog.load()["TOK101"]], hangs=False)
    (result,) = run.results
    assert result.name == "passed", told(run)
    assert "Not judged: a condition of SQL that is always true" in result.verdict.reason


def test_a_gateway_that_knows_its_names_says_nothing_of_the_service_behind_it() -> None:
    run = run_against(LIARS["knows_its_names"], [catalog.load()["WEB113"]], hangs=False)
    (result,) = run.results
    assert result.name == "inconclusive", told(run)
    assert "in front of the service" in result.verdict.reason
    assert "trust_waf" in getattr(result.verdict, "remedy", "")


def test_a_logout_that_takes_effect_later_is_told_as_that() -> None:
    run = run_against(LIARS["late"], [catalog.load()["LIF101"]], hangs=False)
    (result,) = run.results
    assert result.name == "failed", told(run)
    assert result.severity is Severity.MEDIUM
    assert "ends late" in result.verdict.reason


def test_a_logout_that_a_page_in_front_has_answered_is_not_the_service_s() -> None:
    """Called again, it ends the session."""
    assert asked("away", "LIF101") == {"LIF101": "inconclusive"}


@pytest.mark.parametrize("name", ["limits_one", "worker_down"])
def test_an_account_or_a_worker_that_is_out_of_order_decides_nothing(name: str) -> None:
    seen = asked(name, "AUZ101", "TOK102", flaw="foreign_object_readable")
    assert seen["AUZ101"] in {"failed", "inconclusive"}, seen
    assert seen["TOK102"] != "failed", seen


@pytest.mark.parametrize("code", ["CRD102", "CRD124"])
def test_what_a_filter_in_json_keeps_away_says_nothing_of_the_login(code: str) -> None:
    """Its 403 is JSON like the service's own errors, and answers the same bytes where nothing is, too."""
    run = run_against(LIARS["waf_json"], [catalog.load()[code]], hangs=False)
    (result,) = run.results
    assert result.name == "inconclusive", told(run)
    assert "in front of the service" in result.verdict.reason


def test_the_service_is_not_blamed_for_what_a_filter_says() -> None:
    """DOC104 reads what TOK101 was answered: a 403 of the filter is no refusal that the service should document."""
    run = run_against(LIARS["waf_json"], [catalog.load()[code] for code in ("DOC104", "TOK101")], hangs=False)
    assert run.results[0].name == "inconclusive", told(run)
    assert "in front of the service" in run.results[0].verdict.reason


def test_a_cache_that_says_nothing_of_itself_is_not_taken_for_a_logout_that_ends_nothing() -> None:
    """Asked in a way that no cache knows, the service refuses; where it does not, it is accused all the same."""
    run = run_against(LIARS["remembers"], [catalog.load()["LIF101"]], hangs=False)
    assert run.results[0].name == "inconclusive", told(run)
    assert "a cache in front" in run.results[0].verdict.reason
    assert asked("remembers", "LIF101", flaw="logout_that_ends_nothing") == {"LIF101": "failed"}


@pytest.mark.parametrize("flaw", ["", "confused_parameter_source"])
def test_a_cache_that_gives_to_others_what_one_was_answered_is_named_as_that(flaw: str) -> None:
    """It is a finding of its own (RFC 9111 §3.5), and says nothing of who is let in by the service."""
    codes = ("AUZ101", "AUZ110", "KEY101", "TOK102", "WEB108")
    run = run_against(
        LIARS["by_path"],
        [catalog.load()[code] for code in codes],
        flaw=find_flaw(flaw) if flaw else None,
        hangs=False,
    )
    seen = {item.rule.code: item for item in run.results}
    assert seen.pop("WEB108").name == "failed", told(run)
    for item in seen.values():
        assert item.name == "inconclusive", told(run)
        assert "whoever asks for the same path next" in item.verdict.reason
        assert "behind no cache" in getattr(item.verdict, "remedy", "")


def test_a_cache_that_looks_at_no_query_is_not_taken_for_a_logout_that_ends_nothing() -> None:
    run = run_against(LIARS["ignores_query"], [catalog.load()["LIF101"]], hangs=False)
    assert run.results[0].name == "inconclusive", told(run)
    assert "a cache in front" in run.results[0].verdict.reason
    assert asked("ignores_query", "LIF101", flaw="logout_that_ends_nothing") == {"LIF101": "failed"}


def test_a_key_that_a_cache_remembers_is_not_taken_for_one_that_outlives_its_end() -> None:
    """It has no scheme to spell in another way, and the clock of the service is moved: asked anew all the same."""
    seen = asked("ignores_query", "KEY111", "MIX104")  # whose second credential stands in the query
    assert set(seen.values()) == {"inconclusive"}, seen
    assert asked("ignores_query", "KEY111", flaw="immortal_key") == {"KEY111": "failed"}


def test_that_an_owner_reads_what_was_there_before_says_nothing_where_reads_are_behind() -> None:
    """A replica that lags, a cache of each caller's answers, a queue: the change was made, and nobody has seen it."""
    checks = [catalog.load()["AUZ110"]]
    run = run_against(LIARS["lags"], checks, flaw=find_flaw("confused_parameter_source"), hangs=False)
    (result,) = run.results
    assert result.name == "inconclusive", told(run)
    assert "before another login of the same person had changed it" in result.verdict.reason


def test_a_session_that_only_a_replica_still_shows_is_not_accused_of_having_no_limit() -> None:
    """By the moved clock the login that all share is over as well: it could not show that the cache was asked anew."""
    assert asked("lags", "SES115") == {"SES115": "inconclusive"}


def test_half_a_body_does_not_show_its_owner_that_somebody_has_changed_it() -> None:
    assert asked("tears", "AUZ102", "AUZ110") == {"AUZ102": "passed", "AUZ110": "passed"}


async def _blames_a_change(probe: Probe) -> Verdict:
    """As a check does that changes something by an id which it has read before."""
    change = probe.target.operation("PATCH /notes/{note_id}")
    assert change is not None
    values = probe.at(await object_of(probe, "a"))
    answer = await probe.call(
        change, await probe.credential(), label="a change", body={"title": "x"}, values=values
    )
    violation = Violation(change.name, "The change reached somebody else.", None, (answer.exchange,))
    return Failed((violation,), tuple(probe.evidence))


@pytest.mark.parametrize(("name", "verdict"), [("by_path", "inconclusive"), ("ignores_query", "failed")])
def test_what_was_done_by_an_id_that_such_a_cache_may_have_told_blames_nobody(
    name: str, verdict: str
) -> None:
    blaming = replace(catalog.load()["AUZ102"], procedure=_blames_a_change)
    run = run_against(LIARS[name], [blaming], hangs=False)
    assert [item.name for item in run.results] == [verdict], told(run)


@pytest.mark.parametrize(
    ("name", "verdict", "told"),
    [
        ("repeats", "inconclusive", "gives old answers again"),
        ("two_versions", "inconclusive", "More than one version"),
        ("two_instances", "passed", ""),
        ("other_seeds", "passed", ""),
        ("one_for_strangers", "inconclusive", "not all of them were attacked"),
    ],
)
def test_what_more_than_one_voice_answers_passes_only_where_each_was_attacked(
    name: str, verdict: str, told: str
) -> None:
    run = run_against(LIARS[name], [catalog.load()["DOC108"]], hangs=False)
    (result,) = run.results
    assert result.name == verdict
    assert told in result.verdict.reason


def test_two_instances_that_take_turns_are_both_met_by_a_check_that_sends_an_even_number_of_requests() -> (
    None
):
    """What writes is sent to each of them when the check is asked again, one request later."""
    assert asked("two_instances", "AUZ102") == {"AUZ102": "passed"}
