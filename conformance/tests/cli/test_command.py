"""The command, as a person meets it: exit codes, one clear sentence for bad input, never a traceback."""

import json
import subprocess
from pathlib import Path

import pytest
from cli.person import ACCOUNTS, PASSWORDS, command
from hostile import targets
from services import tutorial_app
from services.serving import serve


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a refusal."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr.startswith(("auth-conformance: ", "Usage: ")), done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def url() -> object:
    with serve(tutorial_app.create_app()) as address:
        yield address


def test_a_service_by_url_needs_two_accounts_and_nothing_else(url: str, tmp_path: Path) -> None:
    (tmp_path / "auth-conformance.toml").write_text(ACCOUNTS, "utf-8")
    done = command(
        "run",
        url,
        "--only",
        "TOK101",
        "--only",
        "TOK102",
        "--json",
        "run.json",
        cwd=tmp_path,
        env=PASSWORDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert {item["verdict"] for item in run["results"]} == {"passed"}
    assert run["target"]["address"] == url
    text = (tmp_path / "run.json").read_text("utf-8") + done.stdout
    assert not any(password in text for password in PASSWORDS.values())


def test_no_such_host(tmp_path: Path) -> None:
    with targets.dead() as address:
        assert address.removeprefix("http://") in refused(command("run", address, cwd=tmp_path))


def test_a_host_name_that_does_not_exist(tmp_path: Path) -> None:
    assert "no-such-host.invalid" in refused(command("run", "https://no-such-host.invalid", cwd=tmp_path))


def test_no_document_and_nothing_declared(tmp_path: Path) -> None:
    with serve(targets.spa(targets.same_page())) as address:
        assert "OpenAPI" in refused(command("run", address, cwd=tmp_path))


def test_a_wrong_password(url: str, tmp_path: Path) -> None:
    (tmp_path / "auth-conformance.toml").write_text(ACCOUNTS, "utf-8")
    sentence = refused(
        command("run", url, cwd=tmp_path, env={**PASSWORDS, "ALICE_PASSWORD": "not-hers-at-all"}),
    )
    assert "alice" in sentence
    assert "401" in sentence
    assert "not-hers-at-all" not in sentence


def test_a_password_variable_that_is_not_set(url: str, tmp_path: Path) -> None:
    (tmp_path / "auth-conformance.toml").write_text(ACCOUNTS, "utf-8")
    sentence = refused(command("run", url, cwd=tmp_path))
    assert "not set, and the configuration needs them: ALICE_PASSWORD, BOB_PASSWORD." in sentence


def test_a_module_that_fails_on_import(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('out of order')\n", "utf-8")
    sentence = refused(command("run", "broken:app", cwd=tmp_path))
    assert "out of order" in sentence
    assert "broken.py" in sentence


@pytest.mark.parametrize("spec", ["nowhere_to_be_found:app", "json:nothing_of_that_name", "json"])
def test_an_application_that_is_not_there(spec: str, tmp_path: Path) -> None:
    refused(command("run", spec, cwd=tmp_path))


def test_an_application_that_refuses_to_start(tmp_path: Path) -> None:
    done = command("run", "reference_app:create_app()", cwd=tmp_path, env={"SECRET_KEY": ""})
    assert "SECRET_KEY" in refused(done)


def test_a_misspelt_option_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "auth-conformance.toml").write_text('fial_on = "high"\n', "utf-8")
    assert "Unknown option fial_on in auth-conformance.toml" in refused(
        command("run", "http://127.0.0.1:9", cwd=tmp_path),
    )


def test_a_misspelt_flag(tmp_path: Path) -> None:
    assert "--fail-on" in refused(command("run", "http://127.0.0.1:9", "--fial-on", "high", cwd=tmp_path))


def test_a_secret_in_clear_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "auth-conformance.toml").write_text(
        '[accounts.a]\nusername = "a"\npassword = "hunter22-in-clear"\n',
        "utf-8",
    )
    sentence = refused(command("run", "http://127.0.0.1:9", cwd=tmp_path))
    assert "environment variable" in sentence
    assert "hunter22" not in sentence


def test_a_url_with_a_password_in_it(tmp_path: Path) -> None:
    sentence = refused(command("run", "http://ann:hunter22@127.0.0.1:9", cwd=tmp_path))
    assert "hunter22" not in sentence


def test_nothing_to_test(tmp_path: Path) -> None:
    assert "No target" in refused(command("run", cwd=tmp_path))


def test_an_unknown_check(tmp_path: Path) -> None:
    assert "TOK101" in refused(command("explain", "TOK999", cwd=tmp_path))
    assert "TOK999" in refused(command("run", "http://127.0.0.1:9", "--only", "TOK999", cwd=tmp_path))


def test_explain_and_list(tmp_path: Path) -> None:
    page = command("explain", "tok110", cwd=tmp_path)
    assert page.returncode == 0
    assert "Unsigned token accepted" in page.stdout
    assert "https://www.rfc-editor.org/rfc/rfc8725" in page.stdout
    listing = command("list", "--family", "TOK", cwd=tmp_path)
    assert {line[:3] for line in listing.stdout.splitlines()} == {"TOK"}


def test_init_writes_a_file_that_runs(url: str, tmp_path: Path) -> None:
    (tmp_path / "start.toml").write_text(ACCOUNTS, "utf-8")
    done = command("init", url, "--config", "start.toml", cwd=tmp_path, env=PASSWORDS)
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "auth-conformance.toml").read_text("utf-8")
    assert not any(password in written for password in PASSWORDS.values())
    again = command("run", "--only", "TOK102", cwd=tmp_path, env=PASSWORDS)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "exists" in refused(command("init", url, cwd=tmp_path, env=PASSWORDS))
    named = command(
        "init", url, "--config", "start.toml", "--output", "own.toml", cwd=tmp_path, env=PASSWORDS
    )
    assert "auth-conformance run --config own.toml" in named.stdout


def test_doctor_says_what_is_missing_and_which_line_supplies_it(url: str, tmp_path: Path) -> None:
    (tmp_path / "auth-conformance.toml").write_text(ACCOUNTS, "utf-8")
    done = command("doctor", url, cwd=tmp_path, env=PASSWORDS)
    assert done.returncode == 0, done.stderr
    assert "GET /users/me" in done.stdout
    assert "[signing]" in done.stdout
    assert "TOK202" in done.stdout


def test_the_demo_passes_and_a_flaw_fails_it(tmp_path: Path) -> None:
    clean = command("demo", "--only", "TOK102", cwd=tmp_path)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert (tmp_path / "auth-conformance-report.html").is_file()
    assert "auth-conformance-report.html" in clean.stdout
    flawed = command("demo", "--flaw", "unverified_signature", "--only", "TOK102", cwd=tmp_path)
    assert flawed.returncode == 1, flawed.stdout + flawed.stderr
    assert "TOK102 critical" in flawed.stdout
    assert "no flaw" in refused(command("demo", "--flaw", "nothing_like_it", cwd=tmp_path))


def test_no_check_executed_is_no_success(url: str, tmp_path: Path) -> None:
    (tmp_path / "auth-conformance.toml").write_text(ACCOUNTS, "utf-8")
    done = command("run", url, "--only", "KEY", cwd=tmp_path, env=PASSWORDS)
    assert done.returncode == 2, done.stdout
