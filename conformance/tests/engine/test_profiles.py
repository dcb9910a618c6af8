"""Profiles are data: they select, set thresholds, and restate severities with a reason."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from auth_conformance import catalog
from auth_conformance.cli import main
from auth_conformance.model import Severity
from auth_conformance.settings import ConfigurationError, load, profile_names, read_profile

CATALOGUE = catalog.load()


@pytest.mark.parametrize("name", profile_names())
def test_each_profile_selects_checks_that_exist(name: str) -> None:
    settings = load({"profile": name}, start=Path("/"))
    chosen = catalog.select(
        CATALOGUE,
        level=settings.level,
        only=settings.only,
        ignore=settings.ignore,
        restate=settings.restated(),
    )
    assert chosen
    for code, item in settings.restate.items():
        assert len(item.because) > 10
        assert CATALOGUE[code].rule.severity is not Severity(item.severity)


def test_levels_grow() -> None:
    sizes = [
        len(catalog.select(CATALOGUE, level=load({"profile": f"level-{level}"}, start=Path("/")).level))
        for level in (1, 2, 3)
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2] == len(CATALOGUE)


def test_flags_beat_the_environment_beats_the_profile_beats_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "auth-conformance.toml"
    file.write_text('profile = "level-2"\nlevel = 1\nbudget = 77\n[policy]\nhide_docs = false\n')
    assert load({}, start=tmp_path).level == 2
    assert load({}, start=tmp_path).budget == 77
    assert load({"level": 3}, start=tmp_path).level == 3
    assert load({"profile": "production"}, start=tmp_path).policy.hide_docs
    monkeypatch.setenv("AUTH_CONFORMANCE_LEVEL", "1")
    assert load({}, start=tmp_path).level == 1
    monkeypatch.setenv("AUTH_CONFORMANCE_PROFILE", "tokens")
    assert load({}, start=tmp_path).only == ["TOK", "LIF"]


def test_a_profile_of_ones_own_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "ours.toml"
    file.write_text(
        'title = "Ours"\nonly = ["ERR"]\n[restate]\nERR102 = { severity = "info", because = "no clients read it" }\n'
    )
    settings = load({"profile": "ours.toml"}, start=tmp_path)
    chosen = catalog.select(CATALOGUE, only=settings.only, restate=settings.restated())
    severities = {check.rule.code: check.rule.severity for check in chosen}
    assert severities["ERR102"] is Severity.INFO
    assert severities["ERR101"] is CATALOGUE["ERR101"].rule.severity


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("level = 1\n", "title"),
        ('title = "x"\nlevle = 1\n', "levle"),
        ('title = "x"\n[restate]\nTOK110 = { severity = "low" }\n', "because"),
        ('title = "x"\n[restate]\nTOK110 = { severity = "tiny", because = "not worth it" }\n', "severity"),
    ],
)
def test_a_profile_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "odd.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=complaint):
        read_profile("odd.toml", tmp_path)


def test_an_unknown_profile_and_an_unknown_code_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="level-1"):
        load({"profile": "nobody"}, start=tmp_path)
    with pytest.raises(catalog.UnknownCodeError, match="XYZ101"):
        catalog.select(CATALOGUE, restate={"XYZ101": Severity.LOW})


def test_the_command_lists_by_family_level_and_profile() -> None:
    def listed(*arguments: str) -> set[str]:
        result = CliRunner().invoke(main, ["list", *arguments])
        assert result.exit_code == 0, result.output
        return {line.split()[0] for line in result.output.splitlines()}

    assert listed() == set(CATALOGUE)
    assert listed("--family", "TOK") == {code for code in CATALOGUE if code.startswith("TOK")}
    assert listed("--level", "1") == {code for code in CATALOGUE if CATALOGUE[code].rule.level == 1}
    assert {code[:3] for code in listed("--profile", "browser")} == {"SES", "WEB"}
    result = CliRunner().invoke(main, ["list", "--profile", "production", "--family", "DOC"])
    assert "DOC108  low" in result.output
    assert "(restated)" in result.output
    assert set(profile_names()) <= set(CliRunner().invoke(main, ["profiles"]).output.split())
