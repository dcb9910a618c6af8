"""The configuration file is a contract: what cannot be meant is refused, with the sentence that mends it."""

import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest

from auth_conformance.notation import variables
from auth_conformance.settings import ConfigurationError, load

DOCS = Path(__file__).parents[2] / "docs"
LOGIN = '[[login]]\noperation = "POST /login"\n'

MISTAKES = [
    # Unknown keys, in every table.
    ("fial_on = 'high'", "Unknown option fial_on in auth-conformance.toml: did you mean fail_on?"),
    ("[acounts.a]\nusername = 'a'", "Unknown option acounts in auth-conformance.toml: did you mean accounts?"),
    (
        "[accounts.a]\npasword = { env = 'A' }",
        "Unknown option accounts.a.pasword in auth-conformance.toml: did you mean password?",
    ),
    (LOGIN + "user-field = 'x'", "login[1].user-field in auth-conformance.toml: did you mean user_field?"),
    (
        LOGIN + '[[login.before]]\noperation = "GET /"\ntakes = {}',
        "Unknown option login[1].before[1].takes in auth-conformance.toml: did you mean take?",
    ),
    (
        '[users.disable]\noperation = "PATCH /u/{id}"\nbodie = {}',
        "Unknown option users.disable.bodie in auth-conformance.toml: did you mean body?",
    ),
    ("[users.disabled]\noperation = 'PATCH /u/{id}'", "Unknown option users.disabled in"),
    ("[reset.ask]\noperation = 'POST /f'\nusr = 'x'", "reset.ask.usr in auth-conformance.toml: did you mean user?"),
    ("[policy]\nleway = 3", "Unknown option policy.leway in auth-conformance.toml: did you mean leeway?"),
    ("[accounts.a]\npassword = { enviroment = 'A' }", "did you mean env?"),
    ("[sessions]\nqqq = 1", "there are end, end_all, identifier, listing."),
    ("[restate.TOK101]\nseverity = 'low'\nbecause = 'only a test'\nreason = 'x'", "restate.TOK101.reason"),
    # Secrets in clear.
    ("[accounts.a]\npassword = 'hunter22'", "a secret never stands in the configuration"),
    ("[accounts.a]\ntoken = 'hunter22'", "a secret never stands in the configuration"),
    ("[signing]\nkey = 'hunter22'", "a secret never stands in the configuration"),
    ("foreign_token = 'hunter22'", "a secret never stands in the configuration"),
    ("[rotation]\noverlap = { KEY = 'hunter22' }\nafter = {}", "a secret never stands in the configuration"),
    ("database = 'postgresql://a:hunter22@h/d'", "a secret never stands in the configuration"),
    ("db = 'postgresql://a:hunter22@h/d'", "a password never stands in the configuration"),
    ("url = 'https://ann:hunter22@h'", "a password never stands in the configuration"),
    ("replica = 'https://ann:hunter22@h'", "a password never stands in the configuration"),
    ("[mailbox]\nurl = 'https://ann:hunter22@h'", "a password never stands in the configuration"),
    ("[accounts.a]\npassword = { env = 'hunter22 in clear' }", "env takes the bare name of an environment variable"),
    ("[accounts.a]\npassword = { env = '$hunter22' }", "env takes the bare name of an environment variable"),
    (LOGIN + "extra = { client_secret = 'hunter22' }", 'client_secret = { env = "ITS_VARIABLE" }'),
    (LOGIN + "headers = { Authorization = 'Basic hunter22' }", 'Authorization = { env = "ITS_VARIABLE" }'),
    # Types and values.
    ("level = 'high'", "Option level in auth-conformance.toml: write a whole number."),
    ("level = 4", "Option level in auth-conformance.toml: Input should be less than or equal to 3."),
    ("strict = 'perhaps'", "Option strict in auth-conformance.toml: write true or false."),
    ("only = 'TOK'", "Option only in auth-conformance.toml: write a list"),
    ("witness = 'GET /me'", "Option witness in auth-conformance.toml: write a table"),
    ("openapi = 3", "Option openapi in auth-conformance.toml: write a text in quotes"),
    ("fail_on = 'hihg'", 'it takes one of "info", "low", "medium", "high", "critical"; did you mean "high"?'),
    (LOGIN + "encoding = 'xml'", 'it takes one of "form", "json", "query", "basic".'),
    ("[accounts.a]\nrole = 'administrator'", 'did you mean "admin"?'),
    ("[refresh]\nplace = 'body'", "Option refresh.operation in auth-conformance.toml is missing"),
    ("timeout = 0", "greater than 0"),
    ("[policy]\nthrottle_limit = 0", "greater than or equal to 1"),
    # The small languages of operations, places and carriers.
    ("[witness]\noperation = '/me'", "'/me' is no operation: write method and path, as in \"GET /users/me\"."),
    ("public = 'FETCH /health'", "'FETCH /health' is no operation"),
    ("logout = ['POST logout']", "Option logout[1].operation in auth-conformance.toml: 'POST logout' is no operation"),
    ("[policy]\npublic_operations = ['GET health']", "is no operation"),
    (LOGIN + "token = 'access_token'", "(perhaps '/access_token')"),
    ("[objects]\ncreate = 'POST /o'\nread = 'GET /o/{id}'\nidentifier = 'id'", "'id' is no JSON pointer: write /id"),
    (LOGIN + "carrier = 'Authorization Bearer'", "write place (header, query or cookie), name and scheme word"),
    ("[keys]\ncreate = 'POST /keys'\ncarrier = 'cookie'", "does not say how a credential travels"),
    ("[mailbox]\napp = 'a:b'\nfolder = 'c'", "it takes one of app, command, url and folder."),
    ("url = 'http://h'\napp = 'm:a'", "url and app name two targets"),
    ("[[websockets]]\npath = 'ws'", "Option websockets[1].path"),
    ("[listener]\nbind = 'here'\nurl = 'http://h'", "Option listener.bind"),
    ("profile = 'nowhere'", "There is no profile 'nowhere'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), MISTAKES, ids=[text[:40] for text, _ in MISTAKES])
def test_a_mistake_in_the_file_is_refused_with_what_mends_it(
    text: str, sentence: str, tmp_path: Path
) -> None:
    assert tomllib.loads(text)
    (tmp_path / "auth-conformance.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load({}, start=tmp_path)
    assert sentence in str(caught.value)
    assert "hunter22" not in str(caught.value)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "auth-conformance.toml").write_text("levl = 1\nstrict = 3\n[policy]\nlevel = 1\n", "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load({}, start=tmp_path)
    assert len(str(caught.value).splitlines()) == 3


def test_a_table_with_another_spelling_in_pyproject_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.auth_conformance]\nlevel = 1\n", "utf-8")
    with pytest.raises(ConfigurationError, match=r"its name is \[tool\.auth-conformance\]"):
        load({}, start=tmp_path)


def test_a_variable_that_sets_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUTH_CONFORMANCE_FAILON", "high")
    with pytest.raises(ConfigurationError, match="did you mean AUTH_CONFORMANCE_FAIL_ON"):
        load({}, start=tmp_path)
    monkeypatch.delenv("AUTH_CONFORMANCE_FAILON")
    monkeypatch.setenv("AUTH_CONFORMANCE_ONLY", "TOK")
    with pytest.raises(ConfigurationError, match="is written as JSON"):
        load({}, start=tmp_path)


def test_whoever_names_the_target_last_names_the_only_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "auth-conformance.toml").write_text("app = 'shop:app'\n", "utf-8")
    settings = load({"url": "http://h"}, start=tmp_path)
    assert (settings.url, settings.app) == ("http://h", None)
    monkeypatch.setenv("AUTH_CONFORMANCE_URL", "http://e")
    settings = load({}, start=tmp_path)
    assert (settings.url, settings.app) == ("http://e", None)
    settings = load({"app": "a:b"}, start=tmp_path)
    assert (settings.url, settings.app) == (None, "a:b")


def test_all_variables_that_are_not_set_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SET_ONE", "x")
    text = (
        "foreign_token = { env = 'UNSET_TWO' }\n[accounts.a]\npassword = { env = 'SET_ONE' }\n"
        + LOGIN
        + "extra = { deep = { client_secret = { env = 'UNSET_ONE' } } }\n"
    )
    (tmp_path / "auth-conformance.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=r"UNSET_ONE, UNSET_TWO\.$"):
        load({}, start=tmp_path).insist_on_variables()


def test_the_example_of_the_documentation_is_a_configuration() -> None:
    settings = load({}, file=DOCS / "configuration.toml")
    assert {"ALICE_PASSWORD", "CLIENT_SECRET", "NEXT_KEY"} <= set(variables(settings))
    assert settings.policy.throttle_limit == 20


def test_the_examples_of_the_page_are_configurations(tmp_path: Path) -> None:
    page = (DOCS / "configuration.md").read_text("utf-8")
    examples = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 2
    for text in examples:
        (tmp_path / "auth-conformance.toml").write_text(text, "utf-8")
        assert len(load({}, start=tmp_path).accounts) == 2


def test_the_page_of_the_configuration_is_not_stale() -> None:
    sys.path.insert(0, str(DOCS))
    try:
        page = importlib.import_module("configuration").page()
    finally:
        sys.path.remove(str(DOCS))
    assert (DOCS / "configuration.md").read_text("utf-8") == page


def test_a_file_of_windows_is_read_and_codes_may_share_one_entry(tmp_path: Path) -> None:
    """Editors there write a byte order mark and two characters at the end of a line."""
    text = '\ufeffurl = "http://localhost"\r\nonly = ["TOK101, LIF", "SES101"]\r\n'
    (tmp_path / "auth-conformance.toml").write_bytes(text.encode())
    assert load({}, start=tmp_path).only == ["TOK101", "LIF", "SES101"]
