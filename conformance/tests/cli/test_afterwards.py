"""What can be done with a finished run: other reports, a baseline, a comparison."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cli.person import command
from click.testing import CliRunner

from auth_conformance.cli import main

SOON = (datetime.now(UTC) + timedelta(days=30)).date()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `clean.json` and `flawed.json`, the same few checks without and with a flaw."""
    folder = tmp_path_factory.mktemp("runs")
    for name, flaw in (("clean", ()), ("flawed", ("--flaw", "unsigned_token"))):
        done = command(
            "demo", *flaw, "--only", "TOK110", "--only", "TOK101", "--json", f"{name}.json", cwd=folder
        )
        assert done.returncode == (1 if flaw else 0), done.stdout + done.stderr
    return folder


def test_every_format_is_made_from_the_json_report(runs: Path) -> None:
    done = command(
        *("report", "flawed.json", "--html", "o.html", "--sarif", "o.sarif", "--markdown", "o.md"),
        *("--export-tests", "tests", "--sarif-anchor", "openapi.json"),
        cwd=runs,
    )
    assert done.returncode == 0, done.stderr
    assert (runs / "o.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert json.loads((runs / "o.sarif").read_text("utf-8"))["runs"][0]["results"]
    assert "TOK110" in (runs / "o.md").read_text("utf-8")
    assert [path.name for path in (runs / "tests").glob("*.py")] == ["test_tok110_get_users_me.py"]
    assert "test_tok110_get_users_me.py" in (runs / "tests" / "auth-conformance-tests.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("report", "nowhere.json", "--html", "x.html"), "cannot be read"),
        (("report", "flawed.json"), "Say what to write"),
        (("report", "list.json", "--html", "x.html"), "it holds no JSON object"),
        (("report", "flawed.json", "--html", "flawed.json"), "would overwrite the run that is read"),
        (("report", "flawed.json", "--html", "x", "--sarif", "./x"), "--sarif x would overwrite --html"),
        (("report", "flawed.json", "--html", "list.json/x.html"), "list.json is no folder"),
        (("report", "flawed.json", "--html", ""), "--html names no file"),
        (("diff", "flawed.json", "list.json"), "is not the JSON report of a run"),
        (("baseline", "flawed.json", "--output", "list.json"), "not a baseline"),
        (("demo", "--only", "TOK101", "--html", "list.json/x.html"), "list.json is no folder"),
        (
            ("demo", "--only", "TOK101", "--waivers", "typo.toml"),
            "typo.toml, waiver 1: there is no check TOK999",
        ),
    ],
)
def test_bad_input_is_one_sentence(
    runs: Path, arguments: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (runs / "list.json").write_text("[1]")
    waiver = f'code = "TOK999"\nreason = "a typing error"\nowner = "ann"\nexpires = {SOON}\n'
    (runs / "typo.toml").write_text(f"[[waiver]]\n{waiver}")
    monkeypatch.chdir(runs)
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert isinstance(done.exception, SystemExit)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda text, _: text[: len(text) // 2], "it is no JSON, or was cut off"),
        (lambda _, __: "[" * 200_000, "it is nested too deeply"),
        (lambda _, run: {**run, "format": "auth-conformance/run-2"}, "'auth-conformance/run-2'"),
        (lambda _, __: {"runs": []}, "it does not say its format"),
        (lambda _, run: {**run, "results": [{}]}, "something is missing: 'rule'"),
        (lambda _, run: {**run, "results": "none"}, "a part of it has another form"),
        (lambda _, run: {**run, "level": "three"}, "level is not a number"),
        (lambda _, run: {**run, "started": "2026-01-01T00:00:00"}, "started has no time zone"),
        (
            lambda _, run: {**run, "target": {**run["target"], "address": None}},
            "target.address is not a text",
        ),
        (lambda _, run: {**run, "target": {**run["target"], "title": 5}}, "target.title is not a text"),
        (lambda _, run: {**run, "notes": [5]}, "notes[0] is not a text"),
    ],
)
def test_a_spoiled_run_is_one_sentence(
    runs: Path, tmp_path: Path, spoil: Callable[..., Any], told: str
) -> None:
    text = (runs / "flawed.json").read_text("utf-8")
    made = spoil(text, json.loads(text))
    path = tmp_path / "spoiled.json"
    path.write_text(made if isinstance(made, str) else json.dumps(made), "utf-8")
    done = CliRunner().invoke(main, ["report", str(path), "--html", str(tmp_path / "x.html")])
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert not (tmp_path / "x.html").exists()


def test_a_byte_order_mark_is_no_fault(runs: Path, tmp_path: Path) -> None:
    path = tmp_path / "bom.json"
    path.write_text((runs / "clean.json").read_text("utf-8"), "utf-8-sig")
    assert (
        CliRunner().invoke(main, ["report", str(path), "--markdown", str(tmp_path / "x.md")]).exit_code == 0
    )


def test_two_runs_are_compared(runs: Path) -> None:
    worse = command("diff", "clean.json", "flawed.json", cwd=runs)
    assert worse.returncode == 1
    assert "New:\n  TOK110 critical GET /users/me" in worse.stdout
    assert "TOK110: passed -> failed" in worse.stdout
    better = command("diff", "flawed.json", "clean.json", cwd=runs)
    assert better.returncode == 0
    assert "Gone:\n  TOK110" in better.stdout
    same = command("diff", "clean.json", "clean.json", cwd=runs)
    assert same.returncode == 0
    assert same.stdout == "0 new, 0 gone, 0 undecided, 0 unchanged.\n"


def test_a_comparison_of_two_services_says_so(runs: Path, tmp_path: Path) -> None:
    document = json.loads((runs / "clean.json").read_text("utf-8"))
    document["target"]["title"] = "Hotel"
    other = tmp_path / "other.json"
    other.write_text(json.dumps(document))
    done = CliRunner().invoke(main, ["diff", str(runs / "clean.json"), str(other)])
    assert "two services are compared" in done.output
    assert "Hotel" in done.output
    same = CliRunner().invoke(main, ["diff", str(other), str(other)])
    assert "two services" not in same.output


def test_a_baseline_lets_known_findings_through(runs: Path) -> None:
    refused = command("baseline", "flawed.json", cwd=runs)
    assert refused.returncode == 0
    assert "Left out: TOK110" in refused.stdout
    taken = command("baseline", "flawed.json", "--include-critical", cwd=runs)
    assert "1 known finding." in taken.stdout
    again = ("demo", "--flaw", "unsigned_token", "--only", "TOK110", "--only", "TOK101")
    known = command(*again, "--new-only", cwd=runs)
    assert known.returncode == 0, known.stdout + known.stderr
    assert "accepted before" in known.stdout
    assert command(*again, cwd=runs).returncode == 1


def test_a_waiver_without_a_finding_fails(runs: Path, tmp_path: Path) -> None:
    waivers = tmp_path / "w.toml"
    waivers.write_text(
        f'[[waiver]]\ncode = "TOK110"\nreason = "gateway"\nowner = "ann"\nexpires = {SOON}\n', "utf-8"
    )
    few = ("demo", "--only", "TOK110", "--only", "TOK101", "--waivers", str(waivers))
    accepted = command(*few, "--flaw", "unsigned_token", cwd=runs)
    assert accepted.returncode == 0, accepted.stdout
    assert "(waived)" in accepted.stdout
    stale = command(*few, cwd=runs)
    assert stale.returncode == 1
    assert "remove it" in stale.stdout


def test_the_matrix_says_who_was_let_in(runs: Path) -> None:
    cells = json.loads((runs / "clean.json").read_text("utf-8"))["target"]["access"]
    answers = {(cell["operation"], cell["caller"]): cell["answer"] for cell in cells}
    assert answers["GET /users/me", "nobody"] == "refused"
    assert answers["GET /users/me", "bearer of a"] == "let in"
