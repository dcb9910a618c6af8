"""Vectors of several checks on a service unlike the reference app, sound and unsound in one way each."""

from typing import Any

import pytest
from checks.club_app import SPARE, Club, LevelWish, PlainWish, judged
from checks.judging import said
from fastapi import HTTPException

from auth_conformance.model import Result, Severity


@pytest.fixture(autouse=True)
def password_of_the_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD_OF_SPARE", SPARE["spare"])


def broken(result: Result) -> list[str]:
    return [item.message for item in getattr(result.verdict, "violations", ())]


class OpenToStrangers(Club):
    def may_remove(self, slip: str, name: str | None) -> bool:
        return True


class Reusable(Club):
    def spent(self, token: str) -> None:
        """Nothing."""


def test_a_deletion_that_strangers_can_call_is_found_by_what_is_gone() -> None:
    result = judged("AUZ112", OpenToStrangers())
    assert (result.name, result.severity) == ("failed", Severity.CRITICAL), said(result)
    assert "DELETE /slips/{slip_id} did to an object of A" in result.verdict.reason


def test_a_deletion_that_answers_204_and_deletes_nothing_is_no_finding() -> None:
    result = judged("AUZ112", Club())
    assert "DELETE /slips" not in result.verdict.reason, said(result)
    assert "answers strangers 204, and does nothing" in said(result)


def test_one_account_is_enough_for_what_a_reset_token_does_to_it() -> None:
    club = Reusable()
    result = judged("CRD117", club)
    assert (result.name, result.severity) == ("failed", Severity.HIGH), said(result)
    assert "used already" in result.verdict.reason
    assert club.people["spare"] == SPARE["spare"], "the password that the tester knows is back"


def test_with_one_account_nothing_is_said_about_another() -> None:
    result = judged("CRD117", Club())
    assert result.name == "inconclusive", said(result)
    assert "two accounts" in result.verdict.reason
    assert "expendable" in getattr(result.verdict, "remedy", "")


def test_a_late_welcome_is_not_read_as_the_message_of_a_reset() -> None:
    """It came after the request for a reset, and its token was refused: what a reset leaves alive was not seen."""
    result = judged("LIF106", Club(joins=True, welcomes=True))
    assert (result.name, result.severity) == ("failed", Severity.HIGH), said(result)
    assert "after the password was reset" in result.verdict.reason


@pytest.mark.parametrize("tells_time", [True, False])
def test_an_old_reset_token_is_a_finding_where_the_clock_is_seen_to_move(*, tells_time: bool) -> None:
    """Members' badges are opaque: what shows that the service reads the moved clock is its own page about them."""
    result = judged("CRD117", Club(joins=True, tells_time=tells_time))
    found = [message for message in broken(result) if "an old token changed a password" in message]
    assert bool(found) is tells_time, said(result)
    assert ("did not visibly follow the moved clock" in said(result)) is not tells_time


class Generous(Club):
    def granted(self, held: list[str] | None, wanted: list[str]) -> list[str]:
        return wanted


TOLD = {
    "create": "POST /keys",
    "carrier": "header X-Club-Key",
    "body": {"label": "one", "permissions": "slips:read slips:write keys"},
}


@pytest.mark.parametrize("told", [{}, {"keys": TOLD}], ids=["listed", "one text"])
def test_keys_with_scopes_of_the_service_own_names_do_not_widen_themselves(told: dict[str, object]) -> None:
    wish = {"wish": PlainWish} if told else {}
    sound = judged("KEY110", Club(**wish), **told)
    assert sound.name == "passed", said(sound)
    assert "wider keys" in sound.verdict.reason
    result = judged("KEY110", Generous(**wish), **told)
    assert (result.name, result.severity) == ("failed", Severity.HIGH), said(result)
    assert "made a key with all scopes for a key that has only" in result.verdict.reason


class Rewriting(Club):
    def regranted(self, held: list[str] | None, wanted: list[str]) -> list[str]:
        return wanted


class Ranked(Club):
    def granted(self, held: list[str] | None, wanted: list[str]) -> list[str]:
        if held == ["look"] and wanted != ["look"]:
            raise HTTPException(403, "not yours to give")
        return wanted


def test_a_key_does_not_change_its_own_scopes() -> None:
    sound = judged("KEY110", Club(keys_change=True))
    assert sound.name == "passed", said(sound)
    asked = [item.label for item in sound.verdict.evidence]
    assert "a key with only slips:read changes its scopes" in asked
    result = judged("KEY110", Rewriting(keys_change=True))
    assert (result.name, result.severity) == ("failed", Severity.HIGH), said(result)
    assert "all scopes, on its own word" in result.verdict.reason


def test_a_key_does_not_change_its_owners_address() -> None:
    sound = judged("KEY110", Club(joins=True))
    assert sound.name == "passed", said(sound)
    assert "a new address" in sound.verdict.reason
    result = judged("KEY110", Club(joins=True, keys_rename=True))
    assert (result.name, result.severity) == ("failed", Severity.HIGH), said(result)
    assert "changed the address of its owner for a key" in result.verdict.reason


class WritingForReaders(Club):
    def may_write(self, held: list[str] | None) -> bool:
        return True


@pytest.mark.parametrize("told", [{}, {"keys": TOLD}], ids=["listed", "one text"])
def test_a_key_that_says_it_reads_does_not_write(told: dict[str, object]) -> None:
    """The document names no scope for the operation: the name of the key's own scope says what it may not."""
    wish = {"wish": PlainWish} if told else {}
    result = judged("KEY110", WritingForReaders(**wish), **told)
    assert (result.name, result.severity) == ("failed", Severity.HIGH), said(result)
    assert "POST /slips works with a key that has only slips:read" in result.verdict.reason
    assert "changes beyond their scopes" in judged("KEY110", Club(**wish), **told).verdict.reason


@pytest.mark.parametrize("status", [429, 500])
def test_a_reading_key_that_meets_a_limit_or_a_crash_shows_nothing(status: int) -> None:
    result = judged("KEY110", Club(refuses_readers=status))
    assert result.name == "inconclusive", said(result)
    assert "POST /slips with a key that has only slips:read" in result.verdict.reason


@pytest.mark.parametrize("name", ["access_key", "access_token"])
def test_a_key_in_a_query_that_no_document_names_is_found(name: str) -> None:
    result = judged("KEY103", Club(key_in_query=name))
    assert result.name == "failed", said(result)
    assert f"the key in the query ({name})" in result.verdict.reason
    assert judged("KEY103", Club()).name == "passed"


def test_keys_of_one_level_out_of_several_do_not_make_each_other() -> None:
    for house in (Club(wish=LevelWish), Ranked(wish=LevelWish)):
        sound = judged("KEY110", house)
        assert sound.name == "passed", said(sound)
        assert "keys of another level" in sound.verdict.reason
    result = judged("KEY110", Generous(wish=LevelWish))
    assert (result.name, result.severity) == ("failed", Severity.HIGH), said(result)
    assert "makes a key with change for one with look, and the reverse" in result.verdict.reason


def test_scopes_that_nobody_names_are_asked_for() -> None:
    result = judged("KEY110", Club(wish=PlainWish))
    assert result.name == "inconclusive", said(result)
    assert "no two scopes for permissions are known" in result.verdict.reason
    assert "permissions = " in getattr(result.verdict, "remedy", "")


def test_five_thousand_items_at_once_are_too_many() -> None:
    sound = judged("WEB112", Club(joins=True))
    assert "5000 items at once" in [item.label for item in getattr(sound.verdict, "evidence", ())]
    result = judged("WEB112", Club(joins=True, most_at_once=1_000_000))
    batch = "POST /slips/batch takes 5000 items in one request."
    assert batch in broken(result), said(result)
    assert batch not in broken(sound), said(sound)


def test_what_refuses_every_time_took_nothing() -> None:
    mails = "POST /forgot took 60 reset mails of a stranger without a limit."
    assert mails in broken(judged("WEB112", Club(joins=True)))
    few = judged("WEB112", Club(joins=True, mails_each=5))
    assert mails not in broken(few), "a limit of each mailbox, of which answers say nothing"
    result = judged("WEB112", Club(joins=True, mails=False))
    assert not [message for message in broken(result) if "/forgot" in message], said(result)
    assert "POST /forgot did nothing when it was asked (403)" in said(result)


@pytest.mark.parametrize(("limit", "found"), [({"POST /login": 20}, True), ({}, False)])
def test_right_logins_keep_the_limit_that_was_declared(limit: dict[str, int], found: bool) -> None:
    result = judged("WEB112", Club(joins=True), policy={"request_limits": limit})
    assert any("POST /login declares a limit of 20" in message for message in broken(result)) == found, said(
        result
    )


def test_a_badge_that_goes_with_the_name_is_the_later_owner_of_it() -> None:
    sound = judged("LIF112", Club(joins=True))
    assert sound.name == "passed", said(sound)
    assert "not its later owner's" in sound.verdict.reason
    result = judged("LIF112", Club(joins=True, by_name=True))
    assert (result.name, result.severity) == ("failed", Severity.HIGH), said(result)
    assert "works as its later owner" in result.verdict.reason


def test_a_limit_of_logins_does_not_keep_a_name_from_being_given_out_again() -> None:
    result = judged("LIF112", Club(joins=True, by_name=True, closed_to_heirs=True), patience=0.1)
    assert result.name == "inconclusive", said(result)
    assert "Whether the name is given out again was not seen" in result.verdict.reason


class Flickering(dict[str, tuple[str, str, list[str]]]):
    """Keys, of which one that was given back is known once more when it is presented for the 21st time."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: dict[str, int] = {}

    def __delitem__(self, key: str) -> None:
        self.gone[key] = 0

    def __contains__(self, key: object) -> bool:
        if key not in self.gone:
            return super().__contains__(key)
        self.gone[str(key)] += 1
        return self.gone[str(key)] == 21


def test_a_revoked_key_that_is_let_in_once_afterwards_is_a_doubt() -> None:
    result = judged("LIF103", Club(keys=Flickering()))
    assert result.name == "inconclusive", said(result)
    assert "again: revoked key, some seconds later" in result.verdict.reason


@pytest.mark.parametrize(
    ("mails", "verdict"), [({"mails_each": 0}, "inconclusive"), ({"mails": False}, "passed")]
)
def test_a_mail_that_does_not_come_was_not_seen_to_lead_home(mails: dict[str, Any], verdict: str) -> None:
    """Whoever refuses a wrong name sends nothing; this one grants it, and nothing comes."""
    result = judged("WEB113", Club(joins=True, **mails), patience=0.1)
    assert result.name == verdict, said(result)
    assert "the link in a mail" in said(result)
