"""Every format, written from a run against a service whose answers attack whoever reads them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import xmlschema
from markdown_it import MarkdownIt
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Log

from auth_conformance.document import from_document
from auth_conformance.transports.recorder import EXCERPT
from auth_reports.html import LARGEST

HERE = Path(__file__).parent
CODES = ("TOK101", "TOK102", "TOK208", "ERR101", "ERR104", "ERR106", "AUZ112", "DOC107", "WEB105", "WEB110")
USERS = {
    "a": {"username": "alice", "password": "alice-Tangerine-41"},
    "b": {"username": "bob", "password": "bob-Velvet-87"},
}
CONFTEST = f"""
import pytest

def pytest_auth_users():
    return {USERS}

def pytest_runtest_setup(item):
    if item.name.startswith("TOK208"):
        raise RuntimeError("a fixture of the user breaks")
"""
# What moves a cursor, hides, or reorders text; a line feed and a tab do not.
STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff]"
)
COMMANDS = re.compile(r"^\s*(?:::|##vso\[|##\[)", re.MULTILINE)


class Written(NamedTuple):
    """What a run left behind: its folder, what it said, the service's secrets, its peak of memory."""

    folder: Path
    said: str
    secrets: list[str]
    megabytes: float

    def read(self, name: str) -> str:
        return (self.folder / name).read_bytes().decode("utf-8")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "hostile_service.py").write_bytes((HERE / "hostile_service.py").read_bytes())
    (folder / "conftest.py").write_text(CONFTEST, "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    asked = [word for code in CODES for word in ("--auth-only", code)]
    formats = ("json", "html", "sarif", "markdown")
    paths = [word for name in formats for word in (f"--auth-{name}", f"run.{name}")]
    command = [
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-ra"),
        *("--auth-app", "hostile_service:app", *asked, "--auth-fuzz", "--auth-fuzz-budget", "3s"),
        *(*paths, "--auth-export-tests", "exported", "--junitxml", "run.xml"),
    ]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AUTH_", "PYTEST_"))}
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, timeout=120, check=False)
    said = done.stdout.decode("utf-8") + done.stderr.decode("utf-8")
    assert done.returncode == 1, said
    noted = json.loads((folder / "noted.json").read_text("utf-8"))
    (folder / "noted.json").unlink()
    return Written(folder, said, noted["secrets"], noted["megabytes"])


def test_there_is_something_to_read(written: Written) -> None:
    run = from_document(json.loads(written.read("run.json")))
    assert {item.name for item in run.results} >= {"passed", "failed", "skipped"}
    assert len(run.findings) >= 4
    assert any("::error" in item.reply.body for finding in run.findings for item in finding.evidence)
    assert len(list((written.folder / "exported").glob("*.py"))) >= 1


def test_no_secret_is_in_any_file(written: Written) -> None:
    assert len(written.secrets) > 5
    files = [path for path in written.folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    files = [path for path in files if path.name not in {"conftest.py", "hostile_service.py"}]
    assert len(files) > 5
    for path in files:
        text = path.read_bytes()
        found = [secret for secret in written.secrets if secret.encode() in text]
        assert not found, path.name
    assert not [secret for secret in written.secrets if secret in written.said]


def test_everything_stays_small(written: Written) -> None:
    for path in written.folder.rglob("run.*"):
        assert path.stat().st_size < LARGEST, path.name
    run = from_document(json.loads(written.read("run.json")))
    bodies = [item.reply.body for result in run.results for item in result.verdict.evidence]
    assert max(map(len, bodies)) <= EXCERPT
    headers = [
        value for result in run.results for item in result.verdict.evidence for _, value in item.reply.headers
    ]
    assert max(map(len, headers)) <= EXCERPT
    assert written.megabytes < 400


def test_json_is_strict(written: Written) -> None:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    json.loads(written.read("run.json"), parse_constant=refuse)


def test_html_holds_no_element_of_the_target(written: Written) -> None:
    text = written.read("run.html")
    assert not STEERING.search(text)
    seen: list[tuple[str, dict[str, str | None]]] = []

    class Page(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append((tag, dict(attrs)))

    Page().feed(text)
    assert "alert(1)" in text
    assert [tag for tag, _ in seen].count("script") == 1
    assert not [
        tag for tag, attributes in seen if tag == "img" or any(name[:2] == "on" for name in attributes)
    ]
    links = [attributes["href"] or "" for _, attributes in seen if "href" in attributes]
    assert not [link for link in links if "evil" in link or link.startswith("javascript:")]


def test_sarif_is_valid_and_plain(written: Written) -> None:
    text = written.read("run.sarif")
    Log.model_validate_json(text)
    run = json.loads(text)["runs"][0]
    assert run["results"]
    for message in (result["message"]["text"] for result in run["results"]):
        assert not STEERING.search(message)
        assert len(message) <= 1024


def test_markdown_holds_no_markup_of_the_target(written: Written) -> None:
    text = written.read("run.markdown")
    assert not STEERING.search(text)
    assert not COMMANDS.search(text)
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    tokens = [inner for token in parser.parse(text) for inner in (token, *(token.children or ()))]
    assert not [token.content for token in tokens if token.type == "image"]
    html = [token.content for token in tokens if token.type.startswith("html_")]
    tags = {tag for one in html for tag in re.findall(r"<[^>]*>", one)}
    assert tags <= {"<details>", "</details>", "<summary>", "</summary>"}
    links = [str(token.attrs["href"]) for token in tokens if token.type == "link_open"]
    assert not [link for link in links if "evil" in link or "javascript" in link]


def test_junit_is_what_its_readers_expect(written: Written) -> None:
    schema = xmlschema.XMLSchema(HERE / "junit.xsd")
    schema.validate(written.folder / "run.xml")
    suite: Any = schema.to_dict(written.folder / "run.xml")["testsuite"][0]
    cases = suite["testcase"]
    counted = {word: sum(word in case for case in cases) for word in ("failure", "error", "skipped")}
    assert counted == {"failure": suite["@failures"], "error": suite["@errors"], "skipped": suite["@skipped"]}
    assert min(counted.values()) >= 1, counted
    assert len(cases) == suite["@tests"]
    assert [case["@name"] for case in cases if case["@name"].startswith("FUZZ ")]
    for case in cases:
        for word in ("failure", "error", "skipped"):
            assert not STEERING.search(str(case.get(word, "")))


def test_the_terminal_is_not_steered(written: Written) -> None:
    assert not STEERING.search(written.said)
    assert not COMMANDS.search(written.said)


def test_exported_tests_hold_the_target_in_literals(written: Written) -> None:
    for path in (written.folder / "exported").glob("*.py"):
        text = path.read_text("utf-8")
        assert text.isascii()
        assert not COMMANDS.search(text)
        compile(text, path.name, "exec")
