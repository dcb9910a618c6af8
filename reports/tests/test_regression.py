"""An exported test fails on the service with the flaw and passes on the one without."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from auth_conformance import catalog
from auth_conformance.demo import bundled, private_key
from auth_conformance.document import from_document, to_document
from auth_conformance.engine import conduct
from auth_conformance.model import (
    INSIDE,
    Derivation,
    Exchange,
    Expectation,
    Failed,
    Finding,
    Outcome,
    Reply,
    Request,
    Role,
    Run,
    Signing,
    Violation,
)
from auth_conformance.testing import FAST_HASHING, find_flaw
from auth_conformance.transports.wire import Served, serve_app
from auth_reports.regression import (
    LISTING,
    NotWritten,
    Regression,
    earlier,
    export,
    regression,
    summary,
    told,
)
from auth_reports.regression.steps import steps_to

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

WEAK = {
    # The same in the run and behind the servers: a forged header may carry the key's id.
    "SECRET_KEY": hashlib.sha256(b"regression tests").hexdigest(),
    # An administrator is nobody whom a test can register.
    "ADMIN_PASSWORD": "the operator of the regression tests",
    **FAST_HASHING,
}


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The reference app on loopback, by a loop of its own, until the block is left."""
    loop = asyncio.new_event_loop()
    ready: list[Served] = []
    started, done = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with app.router.lifespan_context(app), serve_app(app) as server:
            ready.append(server)
            started.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(20)
    try:
        yield ready[0].url
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(20)
        loop.close()


@pytest.fixture(scope="module")
def sound() -> Iterator[str]:
    """The service without a flaw."""
    with bundled(extra=WEAK) as (app, _), served(app) as url:
        yield url


def outcome(folder: Path, url: str) -> int:
    """The exit code of pytest on the exported files, in a process that knows nothing of ours."""
    environment = {"BASE_URL": url, "PATH": os.environ["PATH"], "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    (folder / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, timeout=120)
    assert done.returncode in (0, 1), done.stdout.decode()
    return done.returncode


def newest_mail(script: Path, folder: str) -> str:
    """A command that prints the newest message in a folder to the address in its last argument."""
    script.write_text(
        "import pathlib, sys\n"
        "mails = sorted(pathlib.Path(sys.argv[1]).iterdir(), key=lambda path: path.stat().st_mtime_ns)\n"
        "print(next((text for path in mails[::-1] if sys.argv[2] in (text := path.read_text())), ''))\n"
    )
    return shlex.join([sys.executable, str(script), folder])


def passes(path: Path, url: str, **environment: str) -> bool:
    """Whether one exported test passes, in this process: many of them are not worth a process each."""
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        known = {"SIGNING_KEY": WEAK["SECRET_KEY"], "PASSWORD_ROOT_OPERATOR": WEAK["ADMIN_PASSWORD"]}
        for name, value in {"BASE_URL": url, **known, **environment}.items():
            patch.setenv(name, value)
        exec(compile(path.read_text("utf-8"), path.name, "exec"), names)  # noqa: S102 - what users would run
    try:
        next(value for name, value in names.items() if name.startswith("test_"))()
    except AssertionError:
        return False
    return True


def exported(
    flaw: str, code: str, folder: Path, algorithm: str = "HS256", **environment: str
) -> tuple[Run, list[bool]]:
    """Export the findings of one check on the flawed service, and run the tests there."""
    with bundled(algorithm=algorithm, flaw=find_flaw(flaw), extra=WEAK) as (app, settings):
        run = from_document(to_document(asyncio.run(conduct(settings, [catalog.load()[code]], app=app))))
        written, left = export(run, folder)
        assert written, left
        with served(app) as url:
            return run, [passes(path, url, **environment) for path in written]


# One of each kind of assertion and of each way to a credential; REGRESSION_MATRIX=whole proves them all.
FLAWS = [
    ("key_shown_again.2", "KEY108"),
    ("cookie_over_plain_http", "SES102"),
    ("forgeable_session", "SES101"),
    ("foreign_object_writable", "AUZ102"),
    ("inconsistent_error_body", "ERR104"),
    ("reusable_refresh_token", "LIF107"),
    ("expired_token.2", "TOK201"),
    ("unguarded_privileged_function.2", "AUZ104"),
    ("revealing_login_error.3", "CRD109"),
    ("trusted_host_header.3", "WEB113"),
    ("embedded_key", "TOK116"),
]
MORE_FLAWS = [
    ("revealing_login_error", "CRD109"),
    ("recycled_identity", "LIF112"),
    ("foreign_object_readable.2", "AUZ103"),
    ("public_key_as_secret.2", "TOK113"),
    ("loose_subject.2", "TOK211"),
    ("other_serialisation", "TOK124"),
    ("other_serialisation.2", "TOK124"),
    ("ignored_bad_credential", "MIX103"),
    ("session_id_kept_at_login", "SES110"),
    ("misleading_status", "ERR103"),
    ("tampered_method", "AUZ107"),
    ("undeclared_surface", "AUZ112"),
    ("escalating_key", "KEY110"),
    ("body_of_any_type", "WEB105"),
    ("forgeable_request", "SES104"),
    ("exchanged_credential_kind", "MIX105"),
    ("exchanged_credential_kind", "SES114"),
    ("token_outside_header", "TOK303"),
    ("foreign_audience", "TOK208"),
    ("unlisted_algorithm", "TOK112"),
    ("respelled_signature", "TOK127"),
    ("meaningless_token.2", "TOK101"),
    ("believed_identity_header", "AUZ109"),
    ("foreign_object_readable.3", "AUZ101"),
    ("ignored_scope.2", "AUZ111"),
    ("spreading_key", "KEY103"),
    ("excessive_response", "AUZ106"),
    ("undocumented_intake", "MIX106"),
    ("unchallenged_refusal", "ERR101"),
    ("cacheable_secret", "WEB108"),
    ("overgenerous_cors", "WEB103"),
    ("key_shown_again", "KEY108"),
    ("unguarded_privileged_function", "AUZ104"),
    ("assignable_privilege", "AUZ105"),
    ("revealing_login_error.2", "CRD109"),
    ("known_address_told", "CRD111"),
    ("trusted_host_header.2", "ERR107"),
    ("echoed_credential.2", "ERR107"),
    ("misleading_status.3", "ERR103"),
    ("hidden_sessions.2", "LIF117"),
    ("revoked_key_alive", "LIF104"),
    ("unsafe_get.3", "WEB104"),
]


@pytest.mark.parametrize(
    ("flaw", "code"), FLAWS + (MORE_FLAWS if os.environ.get("REGRESSION_MATRIX") == "whole" else [])
)
def test_it_fails_on_the_flaw_and_passes_without(flaw: str, code: str, tmp_path: Path, sound: str) -> None:
    _, flawed = exported(flaw, code, tmp_path)
    assert not any(flawed)
    assert all(passes(path, sound) for path in tmp_path.glob("*.py"))
    listing = (tmp_path / LISTING).read_text("utf-8")
    assert all(f"`{path.name}`" in listing for path in tmp_path.glob("*.py"))


def test_a_member_that_stands_twice_is_written_twice(tmp_path: Path, sound: str) -> None:
    _, flawed = exported("repeated_member", "TOK123", tmp_path)
    assert flawed == [False, False]
    assert all(passes(path, sound) for path in tmp_path.glob("*.py"))
    # Who reads the last one is sound as well, and serves whom that names.
    with bundled(flaw=find_flaw("repeated_member.sound"), extra=WEAK) as (app, _), served(app) as url:
        assert all(passes(path, url) for path in tmp_path.glob("*.py"))


def test_a_plain_pytest_runs_it(tmp_path: Path, sound: str) -> None:
    _, flawed = exported("unsigned_token", "TOK110", tmp_path)
    assert flawed == [False]
    assert outcome(tmp_path, sound) == 0


def test_a_token_signed_with_the_secret_is_signed_anew(sample: ModuleType, tmp_path: Path) -> None:
    run = sample.run()
    finding = next(item for item in run.findings if item.code == "TOK110")
    signing = Signing("c0ffee", "sha256", claims='{"aud":"\\"\\\\"}', moments=(("exp", -60),), fresh=("jti",))
    recipe = Derivation("9d11e0c5aa42", "4f0c2a9be1d7", (), parts=True, signed=signing)
    evidence = tuple(
        replace(item, request=replace(item.request, derived=(recipe,) if item.role is Role.ATTACK else ()))
        for item in finding.evidence
    )
    run = replace(
        run,
        results=tuple(
            replace(
                result,
                verdict=replace(
                    result.verdict,
                    violations=tuple(
                        replace(item, evidence=evidence) for item in result.verdict.violations[:1]
                    ),
                ),
            )
            for result in run.results
            if result.rule.code == "TOK110" and isinstance(result.verdict, Failed)
        ),
    )
    run = from_document(to_document(run))
    made = regression(run.findings[0], run)
    assert not isinstance(made, NotWritten), made
    assert 'claims={"aud": "\\"\\\\"}, moments={"exp": -60}, fresh=["jti"]' in made.text
    assert made.environment == ("SIGNING_KEY", "TOKEN")
    path = tmp_path / made.name
    path.write_text(made.text, "utf-8")
    # Nothing in the finding shows that the key is the right one, so the test does: a wrong one would pass for ever.
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGNING_KEY", "wrong")
        patch.setenv("TOKEN", "a.e30.c")
        exec(compile(made.text, path.name, "exec"), names)  # noqa: S102 - what users would run
    with pytest.raises(AssertionError, match="SIGNING_KEY is not the key"):
        next(value for name, value in names.items() if name.startswith("test_"))()
    forged = names["signed"](
        "a.eyJqdGkiOiAxfQ.c", "key", algorithm="sha256", moments={"exp": 0}, fresh=["jti"]
    )
    read = jwt.decode(forged.replace("a.", "eyJhbGciOiJIUzI1NiJ9.", 1), options={"verify_signature": False})
    assert read["jti"] != 1
    assert read["exp"] > 1


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_token_signed_with_the_private_key_is_signed_anew(algorithm: str, tmp_path: Path) -> None:
    pem = tmp_path / "key.pem"
    files = {"SIGNING_KEY_FILE": str(pem)}
    key = private_key(algorithm)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(WEAK, "JWT_PRIVATE_KEY", key)
        # As editors leave a file; and the service got its key without a line break.
        pem.write_text(f"{key.strip()}\n", "utf-8")
        run, flawed = exported("immortal_token", "TOK202", tmp_path, algorithm, **files)
        assert flawed == [False]
        (path,) = tmp_path.glob("*.py")
        with bundled(algorithm=algorithm, extra=WEAK) as (app, _), served(app) as url:
            assert passes(path, url, **files)
            pem.write_text(private_key(algorithm), "utf-8")
            assert not passes(path, url, **files)  # another key: a refusal would prove nothing
    assert "a file in PEM with the key" in path.read_text("utf-8")
    assert key.splitlines()[1] not in json.dumps(to_document(run))


def test_a_token_that_is_mailed_is_read_by_a_command(tmp_path: Path) -> None:
    def tried(path: Path, app: Any, settings: Any) -> bool:
        with served(app) as url:
            return passes(
                path, url, MAILBOX_COMMAND=newest_mail(tmp_path / "newest", settings.mailbox.folder)
            )

    with bundled(flaw=find_flaw("password_change_ends_nothing"), extra=WEAK) as (app, settings):
        run = asyncio.run(conduct(settings, [catalog.load()["LIF106"]], app=app))
        mailed = next(item for item in run.findings if "by mail" in str([one.label for one in item.evidence]))
        made = regression(mailed, from_document(to_document(run)))
        assert not isinstance(made, NotWritten), made
        assert made.environment == ("MAILBOX_COMMAND",)
        path = tmp_path / made.name
        path.write_text(made.text, "utf-8")
        assert not tried(path, app, settings)
    with bundled(extra=WEAK) as (app, settings):
        assert tried(path, app, settings)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(404, None), (200, Expectation("accepted")), (401, Expectation("status", value="401"))],
)
def test_a_test_that_would_pass_on_the_flaw_is_not_written(
    sample: ModuleType, status: int, expected: Expectation | None
) -> None:
    run = sample.run()
    finding = next(item for item in run.findings if item.evidence)
    evidence = tuple(
        replace(item, request=replace(item.request, headers=()), reply=replace(item.reply, status=status))
        for item in finding.evidence
    )
    refused = regression(replace(finding, evidence=evidence, expected=expected), run)
    assert isinstance(refused, NotWritten)
    assert f"({status}) looks like that of a sound service" in refused.reason


def test_an_id_in_the_other_case_is_still_the_id(sample: ModuleType) -> None:
    run = sample.run()
    finding = next(item for item in run.findings if item.evidence)
    made = Exchange(
        1,
        "create",
        Role.SETUP,
        "POST /notes",
        Request("POST", "https://h/notes", body="{}"),
        Reply(201, body='{"id": "9b1c7a52-aaaa"}', media_type="application/json"),
        0.0,
    )
    attack = replace(
        finding.evidence[0],
        number=2,
        role=Role.ATTACK,
        outcome=Outcome.ACCEPTED,
        request=Request("GET", "https://h/notes/9B1C7A52-AAAA"),
        reply=Reply(200),
    )
    written = regression(replace(finding, evidence=(made, attack)), run)
    assert not isinstance(written, NotWritten), written
    assert "\"/notes/\" + str(reply.json()['id']).upper()" in written.text


def test_a_credential_that_was_ended_is_seen_alive_before(sample: ModuleType) -> None:
    run = sample.run()
    finding = next(item for item in run.findings if item.evidence)
    key = "\u2039sha256:0123456789ab\u203a"
    create = Exchange(
        1,
        "create a key",
        Role.SETUP,
        "POST /keys",
        Request("POST", "https://h/keys", body="{}"),
        Reply(201, body=f'{{"key": "{key}", "id": 7}}'),
        0.0,
    )
    revoke = replace(
        create, number=2, label="revoke", request=Request("DELETE", "https://h/keys/7"), reply=Reply(204)
    )
    attack = Exchange(
        3,
        "revoked key",
        Role.ATTACK,
        "GET /me",
        Request("GET", "https://h/me", (("X-API-Key", key),)),
        Reply(200),
        0.0,
        Outcome.ACCEPTED,
    )
    written = regression(replace(finding, code="LIF103", evidence=(create, revoke, attack)), run)
    assert not isinstance(written, NotWritten), written
    sent = [line.split('send("')[1].split(",")[0] for line in written.text.splitlines() if 'send("' in line]
    assert sent == ['POST"', 'GET"', 'DELETE"', 'GET"']


def test_what_has_no_test_is_listed_in_the_folder(sample: ModuleType, tmp_path: Path) -> None:
    run = sample.run()
    _, left = export(run, tmp_path)
    listing = (tmp_path / LISTING).read_text("utf-8")
    assert left
    assert all(item.reason[1:] in listing and f"* {item.finding.code}" in listing for item in left)
    assert all(listing.count(item.reason[1:]) == 1 for item in left)


def test_a_second_export_keeps_what_is_there_and_says_so(sample: ModuleType, tmp_path: Path) -> None:
    taken_over = exchange(2, "/refresh", token(1), token(2), **TAKEN)
    violation = Violation("POST /refresh", "It lives.", None, (LOGIN, taken_over))
    failed = next(result for result in sample.run().results if isinstance(result.verdict, Failed))
    run = replace(sample.run(), results=(replace(failed, verdict=Failed((violation,), (), ())),))
    written, left = export(run, tmp_path)
    assert written, left
    names = {path.name for path in written}
    own = tmp_path / "test_own.py"
    own.write_text("# of the user\n")
    assert {path.name for path in export(run, tmp_path)[0]} == names
    taken = written[0]
    taken.write_text("# the user's own now\n")
    again, _ = export(run, tmp_path)
    assert taken.read_text() == "# the user's own now\n"
    assert len(again) == len(written)
    assert earlier(tmp_path, again) == []
    # A run without findings: what it does not write stays, and is told apart from what is the user's.
    none, _ = export(replace(run, results=()), tmp_path)
    assert none == []
    assert earlier(tmp_path, none) == sorted(again)
    assert own.read_text() == "# of the user\n"
    listing = (tmp_path / LISTING).read_text()
    assert all(f"* `{path.name}`" in listing for path in again)
    assert own.name not in listing


def test_what_cannot_be_repeated_is_said(sample: ModuleType) -> None:
    run = sample.run()
    finding = run.findings[0]
    assert isinstance(regression(replace(finding, evidence=()), run), NotWritten)
    moved = tuple(replace(item, special="clock moved by 60 s") for item in finding.evidence)
    refused = regression(replace(finding, evidence=moved), run)
    assert isinstance(refused, NotWritten)
    assert "clock moved by 60 s" in refused.reason
    arranged = tuple(replace(item, special=f"{INSIDE} a handler that raises") for item in finding.evidence)
    refused = regression(replace(finding, evidence=arranged), run)
    assert isinstance(refused, NotWritten)
    assert "in the service's own process (a handler that raises)" in refused.reason


def test_what_is_acted_on_must_have_come_from_somewhere(sample: ModuleType) -> None:
    run = sample.run()
    finding = next(item for item in run.findings if item.evidence)
    path = "/notes/9b1c7a52-4f0c-4a9b-8e1d-7aaaaaaaaaaa"
    attack = replace(
        finding.evidence[0],
        role=Role.ATTACK,
        outcome=Outcome.ACCEPTED,
        operation="DELETE /notes/{note_id}",
        request=Request("DELETE", f"https://h{path}"),
        reply=Reply(204),
    )
    refused = regression(replace(finding, evidence=(attack,), expected=None), run)
    assert isinstance(refused, NotWritten)
    assert "how that came into being is not in the evidence" in refused.reason
    # A path that was made up is refused by a sound service as well.
    crash = replace(attack, outcome=Outcome.CRASHED, reply=Reply(500))
    assert not isinstance(regression(replace(finding, evidence=(crash,), expected=None), run), NotWritten)


def test_an_id_in_the_query_is_that_of_this_run(sample: ModuleType) -> None:
    owner = "9b1c7a52-4f0c-4a9b-8e1d-7aaaaaaaaaaa"
    made = exchange(1, "/notes", "{}", f'{{"owner": "{owner}"}}')
    attack = exchange(2, "/notes", "", "[]", **TAKEN)
    asked = replace(attack.request, url=f"http://h/notes?limit=5&owner_id={owner}&q=a b")
    attack = replace(attack, request=asked)
    written = regression(of(sample, (made, attack), None), sample.run())
    assert not isinstance(written, NotWritten), written
    assert '"/notes?limit=5&owner_id=" + str(reply.json()[\'owner\']) + "&q=a b"' in written.text
    refused = regression(of(sample, (attack,), None), sample.run())
    assert isinstance(refused, NotWritten)
    assert owner in refused.reason


def test_a_number_that_no_reply_told_is_somebodys_of_that_run(sample: ModuleType) -> None:
    made = exchange(1, "/orders", "{}", '{"id": 15}', operation="POST /orders")
    owner = exchange(2, "/orders/14", "", "{}", role=Role.CONTROL, operation="GET /orders/{order_id}")
    attack = exchange(3, "/orders/15", "", "{}", **TAKEN)
    attack = replace(attack, operation="DELETE /orders/{order_id}")
    written = regression(of(sample, (made, owner, attack), None), sample.run())
    assert not isinstance(written, NotWritten), written
    assert "\"/orders/\" + str(reply.json()['id'])" in written.text
    assert "/orders/14" not in written.text
    assert isinstance(regression(of(sample, (owner, attack), None), sample.run()), NotWritten)
    # A number names many things: the account with the same one is not the order; and the order is an origin.
    account = exchange(0, "/register", "{}", '{"id": 15}', operation="POST /register")
    for finding in (
        of(sample, (account, made, attack), None),
        replace(of(sample, (attack,), None), origins=(account, made)),
    ):
        written = regression(finding, sample.run())
        assert not isinstance(written, NotWritten), written
        order = (
            next(line for line in written.text.splitlines() if '"/orders"' in line).split(" = ")[0].strip()
        )
        assert f"\"/orders/\" + str({order}.json()['id'])" in written.text


def test_a_variable_is_the_same_secret_in_every_test_of_a_folder(sample: ModuleType, tmp_path: Path) -> None:
    failed = next(item for item in sample.run().results if item.findings)
    violations = []
    for number, name in ((1, "alice@example.com"), (2, "bob"), (3, "")):
        body = f'{{"username": "{name}", "password": "{MARK(number)}"}}'
        login = exchange(10 * number, "/login", body, token(10 + number))
        attack = exchange(10 * number + 1, "/refresh", token(10 + number), token(20 + number), **TAKEN)
        violations.append(Violation(f"POST /refresh{number}", "It lives.", None, (login, attack)))
        # A second test of the same account.
        violations.append(Violation(f"POST /again{number}", "It lives.", None, (login, attack)))
    run = replace(sample.run(), results=(replace(failed, verdict=Failed(tuple(violations), (), ())),))
    written, left = export(run, tmp_path)
    assert (len(written), left) == (6, [])
    reads = [
        line.split("os.environ")[1]
        for path in written
        for line in path.read_text().splitlines()
        if line.startswith("PASSWORD")
    ]
    assert sorted(reads) == sorted(['["PASSWORD_ALICE"]', '["PASSWORD_BOB"]', '["PASSWORD"]'] * 2)


def test_two_nobodies_look_alike(sample: ModuleType) -> None:
    run = sample.run()
    known = f'{{"username": "x{run.run_id}", "password": "{MARK(1)}"}}'
    nobody = f'{{"username": "nobody", "password": "{MARK(1)}"}}'
    register = exchange(1, "/register", known, "{}", label="register an account")
    twin = exchange(2, "/login", nobody, "{}", role=Role.ATTACK, reply=Reply(404))
    attack = exchange(3, "/login", known, "{}", role=Role.ATTACK, reply=Reply(401))
    for steps, written in (((register, twin), True), ((twin,), False)):
        finding = of(sample, (*steps, attack), Expectation("alike", value="2", about=3))
        assert isinstance(regression(finding, run), Regression) is written


def test_a_websocket_and_what_no_request_shows_are_said(sample: ModuleType) -> None:
    run = sample.run()
    finding = run.findings[0]
    lines = told(
        [
            made
            for item in (
                replace(finding, operation="WebSocket /live"),
                replace(finding, evidence=(), operation=None),
            )
            if isinstance(made := regression(item, run), NotWritten)
        ],
        replace(run, command="auth-conformance demo --html x.html --flaw unsigned_token"),
    )
    again = f"test it again with `auth-conformance demo --flaw unsigned_token --only {finding.code}`"
    assert [line.split(": ", 1)[0] for line in lines] == [
        f"none for {finding.code} WebSocket /live",
        f"none for {finding.code}",
    ]
    assert "httpx opens no WebSocket" in lines[0]
    assert "no request shows it" in lines[1]
    assert all(line.endswith(again) for line in lines)


def test_findings_without_a_test_for_one_reason_are_one_line(sample: ModuleType, tmp_path: Path) -> None:
    run = sample.run()
    finding = replace(run.findings[0], evidence=())
    left = [NotWritten(replace(finding, operation=f"GET /{name}"), "for a reason") for name in "abcdde"]
    (line,) = told(left, run)
    assert line.startswith(
        f"none for {finding.code} GET /a, GET /b, GET /c and 2 more (6 findings): for a reason"
    )
    assert summary([], left, tmp_path, run)[1:] == [line]
    # A terminal is no place for a wall of reasons: the list in the folder has them.
    many = [NotWritten(finding, f"reason {number}") for number in range(9)]
    assert summary([], many, tmp_path, run) == [
        f"0 in {tmp_path}",
        f"9 findings have none: {tmp_path / LISTING} says why",
    ]


def test_the_name_of_a_test_is_that_of_its_finding(sample: ModuleType) -> None:
    finding = replace(of(sample, STORY, None), operation="an unknown path")
    made = regression(finding, sample.run())
    assert not isinstance(made, NotWritten), made
    assert made.name == f"test_{finding.code.lower()}_an_unknown_path.py"


def test_a_password_that_the_label_says_is_written_out(sample: ModuleType, tmp_path: Path) -> None:
    mark = f"‹sha256:{hashlib.sha256(b'welcome123').hexdigest()[:12]}›"
    attack = exchange(1, "/register", f'{{"name": "ann", "password": "{mark}"}}', "{}", **TAKEN)
    for label, known in (("the common password 'welcome123'", True), ("a common password", False)):
        made = regression(of(sample, (replace(attack, label=label),), None), sample.run())
        assert isinstance(made, Regression) is known
        assert not isinstance(made, Regression) or "'password': 'welcome123'" in made.text.replace('"', "'")


def test_what_is_refused_is_refused_with_any_made_up_secret(sample: ModuleType) -> None:
    body = f'{{"current": "{MARK(7)}"}}'
    refused = exchange(2, "/password", body, "", role=Role.ATTACK, reply=Reply(401))
    control = exchange(1, "/password", f'{{"token": "{MARK(8)}"}}', "", role=Role.CONTROL, reply=Reply(401))
    finding = of(sample, (control, refused), Expectation("header", "WWW-Authenticate"))
    made = regression(finding, sample.run())
    assert not isinstance(made, NotWritten), made
    assert made.environment == ()
    assert "made_up" in made.text
    # Who gets in with it, though, must have the very secret.
    taken = of(sample, (replace(refused, reply=Reply(200), outcome=Outcome.ACCEPTED),), None)
    assert isinstance(regression(taken, sample.run()), NotWritten)


def test_a_cookie_that_the_attacker_chose_is_not_read_from_a_reply(sample: ModuleType) -> None:
    """A sound service answers with another one: the old one must not get in."""
    sets = (("set-cookie", f"sid={MARK(2)}"),)
    recipe = Derivation(f"{2:012x}", f"{1:012x}", ((0, 20),), case="meaningless")
    chosen = (("Cookie", f"sid={MARK(2)}"),)
    first = exchange(1, "/login", "{}", "{}", reply=Reply(200, (("set-cookie", f"sid={MARK(1)}"),), "{}"))
    planted = exchange(2, "/login", "{}", "{}", reply=Reply(200, sets, "{}"))
    planted = replace(planted, request=replace(planted.request, headers=chosen, derived=(recipe,)))
    attack = exchange(3, "/me", "", "{}", **TAKEN)
    attack = replace(attack, request=replace(attack.request, headers=chosen, derived=(recipe,)))
    made = regression(of(sample, (first, planted, attack), None), sample.run())
    assert not isinstance(made, NotWritten), made
    assert made.text.count('"sid=" + meaningless(cookie)') == 2


def test_an_attack_that_an_honest_client_sends_too_has_no_test(sample: ModuleType) -> None:
    run = sample.run()
    failed = next(item for item in run.results if item.findings)
    login = exchange(1, "/login", "{}", token(1))
    attack = exchange(2, "/me", "", "{}", **TAKEN)
    attack = replace(
        attack, request=replace(attack.request, headers=(("Authorization", f"Bearer {MARK(1)}"),))
    )
    after = replace(attack, number=3, role=Role.CONTROL)
    violation = Violation("POST /me", "It gets in.", None, (login, attack))
    for evidence, written in (((login, attack), True), ((login, attack, after), False)):
        result = replace(failed, verdict=Failed((violation,), evidence, ()))
        one = replace(run, results=(result,))
        assert isinstance(regression(one.findings[0], one), Regression) is written


def test_a_name_that_is_not_the_servers_own_is_sent(sample: ModuleType) -> None:
    run = sample.run()
    own = run.target.address.split("/")[2]
    for host, sent in (("evil.example", True), (own, False)):
        attack = exchange(1, "/me", "", "{}", **TAKEN)
        attack = replace(attack, request=replace(attack.request, headers=(("Host", host),)))
        made = regression(of(sample, (attack,), None), run)
        assert not isinstance(made, NotWritten), made
        assert (f'("Host", "{host}")' in made.text) is sent


def test_a_forgery_without_a_recipe_is_not_written(sample: ModuleType) -> None:
    run = sample.run()
    finding = next(item for item in run.findings if item.code == "TOK110")
    refused = regression(finding, run)
    assert isinstance(refused, NotWritten)
    assert "takes more than a live" in refused.reason
    assert "--only TOK110" in told([refused], run)[0]


def test_hostile_texts_stay_inside_their_literals(sample: ModuleType, tmp_path: Path) -> None:
    run = sample.run(sample.hostile())
    finding = next(item for item in run.findings if item.evidence)
    hostile = "".join(sample.HOSTILE) + '"""\n\\'
    evidence = tuple(
        replace(
            item,
            label=hostile,
            special="",
            request=replace(
                item.request, headers=(("X-Odd", hostile),), body=hostile, url=f"https://h/{hostile}"
            ),
        )
        for item in finding.evidence
    )
    made = regression(
        replace(finding, message=hostile, title=hostile, evidence=evidence, expected=Expectation("refused")),
        run,
    )
    assert not isinstance(made, NotWritten), made
    compile(made.text, "test_hostile.py", "exec")
    assert made.text.isascii()


def test_a_recipe_is_written_as_code(sample: ModuleType) -> None:
    run = sample.run()
    finding = next(item for item in run.findings if item.code == "TOK110")
    recipe = Derivation("9d11e0c5aa42", "4f0c2a9be1d7", ("e30", ".", (1, 2), ".", ""), parts=True)
    evidence = tuple(
        replace(item, request=replace(item.request, derived=(recipe,))) for item in finding.evidence
    )
    made = regression(replace(finding, evidence=evidence), run)
    assert not isinstance(made, NotWritten), made
    assert "parts=True" in made.text
    assert made.environment == ("TOKEN",)


@pytest.mark.parametrize(
    ("expected", "assertion"),
    [
        (Expectation("header", "Cache-Control", "no-store"), '"no-store" in reply'),
        (Expectation("no header", "Server", "uvicorn"), '"uvicorn" not in reply'),
        (Expectation("status", value="401 403"), "in ['401', '403']"),
        (Expectation("no text", value="diary"), '"diary" not in reply'),
        (Expectation("no crash"), "status_code < 500"),
    ],
)
def test_what_is_expected_is_asserted(sample: ModuleType, expected: Expectation, assertion: str) -> None:
    run = sample.run()
    finding = next(item for item in run.findings if item.evidence)
    status = 500 if expected.kind == "no crash" else 200
    evidence = tuple(
        replace(item, request=replace(item.request, headers=()), reply=replace(item.reply, status=status))
        for item in finding.evidence
    )
    made = regression(replace(finding, evidence=evidence, expected=expected), run)
    assert not isinstance(made, NotWritten), made
    assert assertion in made.text


# Requests that go out at the same instant.

MARK = "‹sha256:{:012x}›".format


def shop(*, careful: bool) -> Starlette:
    """Refresh tokens, taken away as they are looked up or, without care, a while later."""
    live: set[str] = set()
    numbers = itertools.count(1)

    def issue() -> str:
        live.add(token := f"token-{next(numbers)}")
        return token

    async def log_in(_: Asked) -> Response:
        return JSONResponse({"refresh_token": issue()})

    async def refresh(request: Asked) -> Response:
        token = (await request.json())["refresh_token"]
        if token not in live:
            return Response(status_code=401)
        if careful:
            live.discard(token)
            return JSONResponse({"refresh_token": issue()})
        await asyncio.sleep(0.2)
        live.discard(token)
        return JSONResponse({"refresh_token": issue()})

    async def log_out(request: Asked) -> Response:
        if careful:
            live.clear()
        return Response(status_code=204)

    paths = {"/login": log_in, "/refresh": refresh, "/logout": log_out}
    return Starlette(routes=[Route(path, act, methods=["POST"]) for path, act in paths.items()])


def exchange(number: int, path: str, body: str, answer: str, **more: object) -> Exchange:
    """One request as a report shows it."""
    headers = (("content-type", "application/json"),)
    request = Request("POST", f"http://h{path}", headers, body)
    made = Exchange(
        number, f"step {number}", Role.SETUP, f"POST {path}", request, Reply(200, headers, answer), 0.1
    )
    return replace(made, **more)  # type: ignore[arg-type] # fields of an exchange


def token(number: int) -> str:
    """A body with a refresh token in it."""
    return f'{{"refresh_token": "{MARK(number)}"}}'


LOGIN = exchange(1, "/login", "{}", token(1))
TAKEN = {"role": Role.ATTACK, "outcome": Outcome.ACCEPTED}
TWICE = (LOGIN, *(exchange(n, "/refresh", token(1), token(n), together=2, **TAKEN) for n in (2, 3, 4)))
# A logout and a refresh at once; what the refresh gave is presented afterwards.
STORY = (
    LOGIN,
    exchange(2, "/logout", "{}", "", together=2),
    exchange(3, "/refresh", token(1), token(3), together=2),
    exchange(4, "/refresh", token(3), token(4), **TAKEN),
)


def of(sample: ModuleType, evidence: tuple[Exchange, ...], expected: Expectation | None) -> Finding:
    """A finding with that evidence."""
    return replace(sample.run().findings[0], evidence=evidence, origins=(), expected=expected)


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [(TWICE, Expectation("once", "/refresh_token", about=2)), (STORY, None)],
    ids=["several are served", "a step of a story"],
)
def test_a_race_fails_on_the_flaw_and_passes_without(
    evidence: tuple[Exchange, ...], expected: Expectation | None, sample: ModuleType, tmp_path: Path
) -> None:
    made = regression(of(sample, evidence, expected), sample.run())
    assert not isinstance(made, NotWritten), made
    path = tmp_path / made.name
    path.write_text(made.text, encoding="utf-8")
    for careful in (False, True):
        with served(shop(careful=careful)) as url:
            assert passes(path, url) is careful


def test_an_account_that_was_deleted_and_registered_again_is_registered_once(sample: ModuleType) -> None:
    named = '{"username": "ann-of-this-run"}'
    origins = tuple(exchange(number, "/register", named, "{}") for number in (1, 2))
    evidence = (exchange(3, "/login", named, token(1)), exchange(4, "/refresh", token(1), token(2), **TAKEN))
    made = regression(replace(of(sample, evidence, None), origins=origins), sample.run())
    assert not isinstance(made, NotWritten), made
    assert made.text.count('"/register"') == 1


def test_each_of_several_changes_of_a_password_is_repeated(sample: ModuleType) -> None:
    changes = tuple(
        exchange(number, "/password", f'{{"current": "{MARK(number)}", "new": "{MARK(number + 1)}"}}', "")
        for number in (1, 2, 3)
    )
    login = exchange(4, "/login", f'{{"username": "ann", "password": "{MARK(4)}"}}', "{}")
    finding = replace(of(sample, (login,), None), origins=changes)
    assert steps_to(exchange(5, "/me", "", "{}"), finding) == [*changes, login]


def test_a_place_that_no_client_reads_is_said(sample: ModuleType) -> None:
    made = regression(of(sample, TWICE, Expectation("once", "query token", about=2)), sample.run())
    assert isinstance(made, NotWritten)
    assert "cannot be said" in made.reason
