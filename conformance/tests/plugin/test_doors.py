"""The suite from outside: what a person types, and what pytest says."""

import json
import textwrap
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import reference_app

APP = "reference_app:create_app()"
FEW = ("--auth-only", "TOK101", "--auth-only", "TOK102")

# A service that never looks at a signature, in one file.
FLAWED = """
import base64, json, secrets
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
import jwt

PEOPLE = {"alice": "alice-Tangerine-41", "bob": "bob-Velvet-87"}
SECRET = secrets.token_urlsafe(48)
bearer = OAuth2PasswordBearer(tokenUrl="token")
app = FastAPI(title="Flawed")

@app.post("/token")
def token(form: OAuth2PasswordRequestForm = Depends()):
    if PEOPLE.get(form.username) != form.password:
        raise HTTPException(401, "wrong", {"WWW-Authenticate": "Bearer"})
    return {"access_token": jwt.encode({"sub": form.username}, SECRET, "HS256"), "token_type": "bearer"}

@app.get("/me")
def me(value: str = Depends(bearer)):
    try:
        return {"username": jwt.decode(value, options={"verify_signature": False})["sub"]}
    except Exception:
        raise HTTPException(401, "bad token", {"WWW-Authenticate": "Bearer"}) from None
"""
USERS = str(
    {
        "a": {"username": "alice", "password": "alice-Tangerine-41"},
        "b": {"username": "bob", "password": "bob-Velvet-87"},
    }
)


def test_an_application_is_tested_in_a_clean_folder(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess(
        "--auth-app", APP, *FEW, "--auth-json", "run.json", "--junitxml", "j.xml"
    )
    assert result.ret == 0
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*authentication: Passed*"])
    run = json.loads((pytester.path / "run.json").read_text("utf-8"))
    assert {item["code"]: item["verdict"] for item in run["results"]} == {
        "TOK101": "passed",
        "TOK102": "passed",
    }
    assert all(item["evidence"] for item in run["results"])
    cases = list(ET.parse(pytester.path / "j.xml").iter("testcase"))  # noqa: S314 - our own file
    assert [case.get("name") for case in cases] == [
        "TOK101 anonymous-and-junk-bearer-rejected",
        "TOK102 signature-is-verified",
    ]
    told = {(item.get("name"), item.get("value")) for item in cases[1].iter("property")}
    assert told >= {("rule", "TOK102"), ("verdict", "passed"), ("severity", "critical"), ("cwe", "CWE-347")}


def test_one_check_is_run_again_by_its_id(pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\n[tool.auth-conformance]\napp = '{APP}'\n")
    result = pytester.runpytest_subprocess("-v", "pyproject.toml::TOK102 signature-is-verified")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["pyproject.toml::TOK102 signature-is-verified PASSED*"])


def test_last_failed_and_keywords_find_our_items(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(service=FLAWED)
    pytester.makeconftest(
        f"import pytest\n@pytest.fixture(scope='session')\ndef auth_users():\n    return {USERS}\n"
    )
    first = pytester.runpytest_subprocess("--auth-app", "service:app", "-k", "TOK101 or TOK102")
    first.assert_outcomes(passed=1, failed=1)
    again = pytester.runpytest_subprocess("--auth-app", "service:app", "--lf")
    again.assert_outcomes(failed=1)


def test_without_an_account_the_run_is_no_success_and_asks_for_one(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(service=FLAWED)
    result = pytester.runpytest_subprocess("--auth-app", "service:app", "-k", "TOK102", "-rs")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*authentication: Incomplete*", "*an account that can log in*"])


def test_a_broken_rule_is_one_line_and_no_traceback(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(service=FLAWED)
    pytester.makeconftest(f"def pytest_auth_users():\n    return {USERS}\n")
    result = pytester.runpytest_subprocess(
        "--auth-app", "service:app", "-rs", "--auth-only", "TOK102", "--auth-only", "TOK110"
    )
    assert result.ret == 1
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        ["TOK102 Token with an altered signature*GET /me let in*", "*masked by TOK102*"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*alice-Tangerine*")


def test_findings_below_the_threshold_do_not_fail(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(service=FLAWED)
    pytester.makeconftest(f"def pytest_auth_users():\n    return {USERS}\n")
    strict = pytester.runpytest_subprocess(
        "--auth-app", "service:app", "--auth-only", "TOK102", "--auth-fail-on", "critical"
    )
    strict.assert_outcomes(failed=1)


def test_a_suite_in_a_module_sees_the_fixtures_beside_it(pytester: pytest.Pytester) -> None:
    tests = pytester.mkdir("tests")
    (pytester.path / "service.py").write_text(FLAWED, "utf-8")
    (tests / "conftest.py").write_text(
        textwrap.dedent(
            f"""
            import sys, pytest
            sys.path.insert(0, {str(pytester.path)!r})

            @pytest.fixture(scope="session")
            def auth_app():
                import service
                return service.app

            @pytest.fixture(scope="session")
            def auth_users():
                return {USERS}
            """
        ),
        "utf-8",
    )
    (tests / "test_auth.py").write_text(
        "from auth_conformance import Suite\ntest_auth = Suite(only=['TOK101', 'TOK102'])\ndef test_own(): pass\n",
        "utf-8",
    )
    result = pytester.runpytest_subprocess("-v", "tests/test_auth.py")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["tests/test_auth.py::test_auth::TOK101*PASSED*", "*::TOK102*FAILED*"])


def test_an_enabled_suite_stays_out_of_the_users_quick_loop(pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml(
        f"[tool.pytest.ini_options]\n[tool.auth-conformance]\napp = '{APP}'\nonly = ['TOK101']\n"
    )
    pytester.makepyfile(test_own="def test_own(): pass\n")
    pytester.runpytest_subprocess("test_own.py").assert_outcomes(passed=1)
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("target", "suite", "runs"),
    [
        ("", f"'{APP}'", 1),  # the file has the accounts of the suite, and no target of its own
        (f"app = '{APP}'", "", 1),  # the suite runs what the file names
        (f"app = '{APP}'", "'another:app'", 2),
    ],
)
def test_what_a_suite_runs_already_does_not_run_twice(
    pytester: pytest.Pytester, target: str, suite: str, runs: int
) -> None:
    pytester.makepyprojecttoml(
        f"[tool.pytest.ini_options]\n[tool.auth-conformance]\n{target}\nonly = ['TOK101']\nlevel = 3\n"
    )
    pytester.makepyfile(test_own=f"from auth_conformance import Suite\ntest_auth = Suite({suite})\n")
    result = pytester.runpytest_subprocess("--collect-only", "-q")
    assert str(result.stdout).count("::TOK101 ") == runs
    # Who names our node, or asks by a flag, means it.
    named = pytester.runpytest_subprocess("--collect-only", "-q", "--auth-app", APP)
    assert str(named.stdout).count("::TOK101 ") == 2


def test_a_plain_run_of_a_project_without_us_imports_next_to_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_own="""
        import sys
        def test_own():
            names = {'auth_conformance', 'auth_reports', 'auth_fuzz'}
            ours = {name for name in sys.modules if name.split('.')[0] in names}
            assert ours == {'auth_conformance', 'auth_conformance.plugin', 'auth_conformance.hookspecs'}
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--auth-app", "nowhere_to_be_found:app"), "nowhere_to_be_found"),
        (("--auth-url", "http://127.0.0.1:9"), "127.0.0.1:9"),
        (("--auth-app", "broken:app"), "out of order"),
    ],
)
def test_an_unusable_target_is_said_once(
    pytester: pytest.Pytester, arguments: tuple[str, ...], sentence: str
) -> None:
    pytester.makepyfile(broken="raise RuntimeError('out of order')\n")
    result = pytester.runpytest_subprocess(*arguments, *FEW)
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines([f"*{sentence}*"])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--auth-only", "TOK999"), "There is no check or family TOK999"),
        # Read when the run ends; an error then would take the whole run with it.
        (("--auth-baseline", "nowhere.json"), "nowhere.json cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_runs(
    pytester: pytest.Pytester, arguments: tuple[str, ...], sentence: str
) -> None:
    result = pytester.runpytest_subprocess("--auth-app", APP, *arguments)
    assert result.ret in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED)
    assert sentence in result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in result.stdout.str()


def test_collect_only_needs_no_target(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--auth-url", "http://127.0.0.1:9", "--collect-only", "-q")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*::TOK101 anonymous-and-junk-bearer-rejected"])


def test_workers_report_to_one_place(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(service=FLAWED)
    pytester.makeconftest(f"def pytest_auth_users():\n    return {USERS}\n")
    result = pytester.runpytest_subprocess(
        "-n", "2", "--auth-app", "service:app", *FEW, "--auth-json", "run.json"
    )
    result.assert_outcomes(passed=1, failed=1)
    run = json.loads((pytester.path / "run.json").read_text("utf-8"))
    assert {item["code"]: item["verdict"] for item in run["results"]} == {
        "TOK101": "passed",
        "TOK102": "failed",
    }
    numbers = [exchange["number"] for exchange in run["exchanges"]]
    assert len(numbers) == len(set(numbers))


def test_what_workers_find_in_a_module_is_reported_by_the_controller(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(service=FLAWED)
    pytester.makeconftest(f"def pytest_auth_users():\n    return {USERS}\n")
    pytester.makepyfile(
        test_auth="from auth_conformance import Suite\ntest_auth = Suite('service:app', only=['TOK101', 'TOK102'])\n"
    )
    result = pytester.runpytest_subprocess("-n", "2", "test_auth.py", "--auth-json", "run.json")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*authentication: Failed*"])
    run = json.loads((pytester.path / "run.json").read_text("utf-8"))
    assert {item["code"]: item["verdict"] for item in run["results"]} == {
        "TOK101": "passed",
        "TOK102": "failed",
    }


def test_the_reference_app_is_importable_as_installed() -> None:
    assert (Path(reference_app.__file__).parent / "routes.py").is_file()


def test_a_waived_finding_is_an_expected_failure_and_a_stale_waiver_fails(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(flawed_service=FLAWED)
    pytester.makeconftest(f"def pytest_auth_users(config):\n    return {USERS}\n")
    soon = (datetime.now(UTC) + timedelta(days=30)).date()
    (pytester.path / "auth-conformance-waivers.toml").write_text(
        f'[[waiver]]\ncode = "TOK102"\nreason = "gateway verifies"\nowner = "ann"\nexpires = {soon}\n'
        f'[[waiver]]\ncode = "TOK101"\nreason = "old"\nowner = "ann"\nexpires = {soon}\n',
        "utf-8",
    )
    result = pytester.runpytest_subprocess("--auth-app", "flawed_service:app", *FEW, "--auth-html", "r.html")
    result.assert_outcomes(xfailed=1, failed=1)
    result.stdout.fnmatch_lines(["*nothing is left of what this waiver accepts*"])
