"""What a report says to type keeps the means of the user's run, and nothing of its reports."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from auth_conformance.cli import demo
from auth_conformance.cli import run as command
from auth_conformance.secret import without_secrets
from auth_reports.again import KEPT, KEPT_FLAGS, LEFT, LEFT_FLAGS, SEARCH, SEARCH_FLAGS, commands

if TYPE_CHECKING:
    from types import ModuleType

    from auth_conformance.model import Run

URL = "https://shop.example"


def typed(sample: ModuleType, text: str, *, kind: str = "url", address: str = URL) -> Run:
    run: Run = sample.run()
    return replace(run, command=text, target=replace(run.target, kind=kind, address=address))


def test_every_option_of_the_command_is_decided_about() -> None:
    valued = KEPT.keys() | SEARCH.keys() | LEFT
    flags = KEPT_FLAGS.keys() | SEARCH_FLAGS.keys() | LEFT_FLAGS
    for option in (*command.params, *demo.params):
        if option.param_type_name == "option":
            assert option.opts[0] in (flags if option.is_flag else valued), option.name


def test_what_pytest_is_offered_exists(pytestconfig: pytest.Config) -> None:
    for name in (*KEPT.values(), *KEPT_FLAGS.values(), *SEARCH.values(), *SEARCH_FLAGS.values()):
        assert not name or pytestconfig.getoption(name.removeprefix("--").replace("-", "_"), "none") != "none"


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        (
            f"auth-conformance run {URL} --config 'b c' --allow-disruptive --users=u.yml --html x",
            "CRD112",
            (
                f"auth-conformance run {URL} --config 'b c' --allow-disruptive --users u.yml --only CRD112",
                f"pytest --auth-url {URL} --auth-config 'b c' --auth-allow-disruptive --auth-users u.yml -k CRD112",
            ),
        ),
        (
            f"auth-conformance run --auth-source=src --db sqlite:///x.db --openapi -o --only TOK --strict {URL}",
            "STO101",
            (
                f"auth-conformance run {URL} --auth-source src --db sqlite:///x.db --openapi=-o --only STO101",
                f"pytest --auth-url {URL} --auth-source src --auth-db sqlite:///x.db --auth-openapi=-o -k STO101",
            ),
        ),
        # Pytest has no option for the rate: without it the test would be another one.
        (
            f"auth-conformance run --rate 2 --fuzz --fuzz-seed 3 -- {URL}",
            "TOK101",
            (f"auth-conformance run {URL} --rate 2 --only TOK101",),
        ),
        (
            f"auth-conformance run --fuzz --fuzz-seed 3 {URL}",
            "FUZ101",
            (
                f"auth-conformance run {URL} --fuzz --fuzz-seed 3 --only FUZ101",
                f"pytest --auth-url {URL} --auth-fuzz --auth-fuzz-seed 3 -k FUZ101",
            ),
        ),
        (
            f"pytest tests/auth -n 4 --auth-url={URL} --auth-config c.toml --auth-html h.html -k old --junitxml=j.xml",
            "TOK101",
            (
                f"pytest tests/auth -n 4 --auth-url {URL} --auth-config c.toml -k TOK101",
                f"auth-conformance run {URL} --config c.toml --only TOK101",
            ),
        ),
        # A line that no shell would take is still a line.
        (
            "auth-conformance run it's --config c.toml",
            "TOK101",
            (
                f"auth-conformance run {URL} --config c.toml --only TOK101",
                f"pytest --auth-url {URL} --auth-config c.toml -k TOK101",
            ),
        ),
        ("", "TOK101", (f"auth-conformance run {URL} --only TOK101", f"pytest --auth-url {URL} -k TOK101")),
    ],
)
def test_the_means_of_the_run_are_kept(
    sample: ModuleType, text: str, code: str, expected: tuple[str, ...]
) -> None:
    assert commands(code, typed(sample, text)) == expected


def test_a_target_without_a_name_is_found_by_the_tests_that_know_it(sample: ModuleType) -> None:
    run = typed(sample, "pytest tests/test_auth.py --auth-html=x", kind="app", address="application")
    assert commands("TOK101", run) == ("pytest tests/test_auth.py -k TOK101",)
    shown = typed(
        sample,
        "auth-conformance demo --html x --flaw=unsigned_token --algorithm ES256",
        kind="app",
        address="app",
    )
    assert commands("TOK110", shown) == (
        "auth-conformance demo --flaw unsigned_token --algorithm ES256 --only TOK110",
    )


def test_no_secret_and_no_shell_comes_from_an_old_command(sample: ModuleType) -> None:
    text = "pytest --db-password hunter2 --api-token=hunter2 --auth-db 'p://u:hunter2@h/x?password=hunter2' '$(id)'"
    for line in commands("TOK101", typed(sample, text)):
        assert "hunter2" not in line
        assert "$(id)" not in line or "'$(id)'" in line


def test_what_a_report_repeats_of_a_command_line_is_no_secret() -> None:
    words = ["run", "https://h", "--signing-key-env", "KEY", "--password-file", "p", "--secret", "--quiet"]
    assert without_secrets(words) == words
    hidden = without_secrets(["--db-password", "x", "--token=x", "https://u:x@h/?api_key=x&y=1"])
    assert shlex.join(hidden) == "--db-password '***' '--token=***' 'https://u:***@h/?api_key=***&y=1'"
