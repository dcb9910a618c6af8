"""What can be done with a finished run: other reports, a baseline, a comparison."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

SOON = (datetime.now(UTC) + timedelta(days=30)).date()


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "auth_conformance.cli", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


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
    assert [path.name for path in (runs / "tests").iterdir()] == ["test_tok110_get_users_me.py"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("report", "nowhere.json", "--html", "x.html"), "cannot be read"),
        (("report", "flawed.json"), "Say what to write"),
        (("report", "notarun.json", "--html", "x.html"), "not a run"),
        (("diff", "flawed.json", "notarun.json"), "not a run"),
        (("baseline", "flawed.json", "--output", "notarun.json"), "not a baseline"),
    ],
)
def test_bad_input_is_one_sentence(runs: Path, arguments: tuple[str, ...], told: str) -> None:
    (runs / "notarun.json").write_text("[1]")
    done = command(*arguments, cwd=runs)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


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


def test_a_baseline_lets_known_findings_through(runs: Path) -> None:
    refused = command("baseline", "flawed.json", cwd=runs)
    assert refused.returncode == 0
    assert "Left out: TOK110" in refused.stdout
    taken = command("baseline", "flawed.json", "--include-critical", cwd=runs)
    assert "1 findings are known" in taken.stdout
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
    assert "remove them" in stale.stdout


def test_the_matrix_says_who_was_let_in(runs: Path) -> None:
    cells = json.loads((runs / "clean.json").read_text("utf-8"))["target"]["access"]
    answers = {(cell["operation"], cell["caller"]): cell["answer"] for cell in cells}
    assert answers["GET /users/me", "nobody"] == "refused"
    assert answers["GET /users/me", "bearer of a"] == "let in"
