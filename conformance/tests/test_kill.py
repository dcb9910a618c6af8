"""The suite proves itself: each seeded flaw fails exactly the checks it names, and nothing else ever fails.

Keys and clocks are frozen, so that luck becomes fact.

Every flaw against the whole catalogue takes hours. So a plain run sends at each flaw the checks that must
catch it, its own check, and a sample of the others that is the flaw's own and always the same.
`KILL_MATRIX=whole` sends everything (`tox -e kill`).
"""

import hashlib
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from secrecy import spellings_of_secrets, tellers

import auth_conformance
from auth_conformance import catalog
from auth_conformance.demo import bundled, package
from auth_conformance.document import from_document, to_document
from auth_conformance.engine import conduct
from auth_conformance.loop import run_to_end
from auth_conformance.model import Failed, Impact, Run
from auth_conformance.oracles import injection
from auth_conformance.probe import Scene, fixation, keyends, lasting, sockets
from auth_conformance.sdk import Check
from auth_conformance.testing import FAST_HASHING, FLAWS, Edit, Flaw, StaleFlawError, load_flaws, seeded

CATALOGUE = catalog.load()
FLAWS_AND_VARIANTS = load_flaws()
CHECKS = Path(auth_conformance.__file__).parent / "checks"


def fixed(purpose: str) -> str:
    """A secret that is the same in every run and stands nowhere."""
    return hashlib.sha256(f"kill tests: {purpose}".encode()).hexdigest()


def fixed_key() -> str:
    key = ec.derive_private_key(int(fixed("ES256"), 16), ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode()


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked again some seconds or a minute later (sockets, revoked keys, limits) is asked at once.

    No flaw hangs on those seconds: what needs time to pass has a clock that moves. A statement that runs what it
    is given works some seconds on it: here a fifth of that shows.
    """
    monkeypatch.setattr(sockets, "PAUSES", (0.0, 0.05, 0.2, 0.61))
    monkeypatch.setattr(sockets, "LONGEST_AFTER_LOGOUT", 0.6)
    monkeypatch.setattr(keyends, "LATER", (0.05, 0.1, 0.2, 0.4))
    monkeypatch.setattr(keyends, "CACHED", 0.3)
    monkeypatch.setattr(lasting, "CALM", 0.05)
    monkeypatch.setattr(fixation, "NEXT_SECOND", 0.05)
    monkeypatch.setattr(injection, "MANY", injection.MANY // 5)
    monkeypatch.setattr(injection, "SLOWER_BY", injection.SLOWER_BY / 5)


@pytest.fixture(autouse=True)
def frozen_clock() -> Iterator[None]:
    with time_machine.travel(datetime(2026, 3, 1, 12, 0, tzinfo=UTC), tick=True):
        yield


WHOLE = os.environ.get("KILL_MATRIX") == "whole"
# How many checks that should not mind a flaw are sent at it all the same.
BYSTANDERS = 1
# These judge what other checks were answered: the roots give them something to read.
READERS = frozenset(
    {
        "excessive_response",
        "revealing_error",
        "echoed_credential",
        "undocumented_error",
        "undocumented_member",
    }
)


def sent_at(flaw: Flaw | None) -> list[Check]:
    """The checks that run against the flaw, in order of code."""
    if flaw is None or WHOLE:
        return list(CATALOGUE.values())
    own = flaw.name.split(".")[0]
    near = {
        code for code, check in CATALOGUE.items() if code in flaw.caught_by or Path(check.source).stem == own
    }
    if READERS & {Path(CATALOGUE[code].source).stem for code in near}:
        near |= set(catalog.ROOTS)
    # What writes, waits, reads the source or starts the app again costs seconds, and is sent by its own flaws
    # often enough.
    others = sorted(
        code
        for code in CATALOGUE.keys() - near
        if CATALOGUE[code].rule.impact is Impact.READS and CATALOGUE[code].rule.family != "SRC"
    )
    near |= set(random.Random(f"{flaw.chapter}/{flaw.name}").sample(others, min(BYSTANDERS, len(others))))
    return [CATALOGUE[code] for code in sorted(near)]


def verdicts(
    flaw: Flaw | None = None,
    algorithm: str = "HS256",
    checks: list[Check] | None = None,
    secrets: set[str] | None = None,
) -> Run:
    """The run; `secrets` are filled with what it must not tell."""

    async def learn(scene: Scene, _: object) -> None:
        if secrets is not None:
            secrets.update(spellings_of_secrets(scene.recorder.redactor))

    frozen = {
        "SECRET_KEY": fixed("SECRET_KEY"),
        **FAST_HASHING,
        **(flaw.environment if flaw else {}),
    }
    if frozen.get("JWT_ALGORITHM", algorithm) == "ES256":
        frozen.setdefault("JWT_PRIVATE_KEY", fixed_key())
    with bundled(algorithm=algorithm, flaw=flaw, extra=frozen) as (app, settings):
        # Style is the subject of its own chapter only: other flaws are written as they come to mind.
        four_file = flaw is None or flaw.chapter == "source"
        policy = settings.policy.model_copy(update={"four_file": four_file and settings.policy.four_file})
        judged = settings.model_copy(update={"policy": policy})
        return run_to_end(conduct(judged, checks or sent_at(flaw), app=app, then=learn))


def failed(run: Run) -> set[str]:
    return {result.rule.code for result in run.results if result.name == "failed"}


def unproved(run: Run) -> set[str]:
    """Findings about answers that show no exchange; what a source, a document or a database holds needs none."""
    return {
        result.rule.code
        for result in run.results
        if isinstance(result.verdict, Failed) and result.rule.family not in {"SRC", "DOC", "STO"}
        for violation in result.verdict.violations
        if not violation.evidence
    }


def told(run: Run) -> str:
    return "\n".join(
        f"{result.rule.code} {result.name}: {result.verdict.reason}"
        for result in run.results
        if result.name != "passed"
    )


@pytest.mark.parametrize(
    ("algorithm", "families"), [("HS256", ()), ("ES256", ("TOK", "MIX", "LIF")), ("RS256", ("TOK",))]
)
def test_the_clean_app_passes_everything_that_applies_and_no_report_tells_a_secret(
    algorithm: str, families: tuple[str, ...]
) -> None:
    """The algorithm matters to what reads tokens; everything else is asked once (all with the whole matrix)."""
    checks = [check for check in CATALOGUE.values() if WHOLE or not families or check.rule.family in families]
    secrets: set[str] = set()
    run = verdicts(algorithm=algorithm, checks=checks, secrets=secrets)
    undecided = {result.rule.code for result in run.results if result.name not in {"passed", "skipped"}}
    assert not undecided, told(run)
    untested = {
        result.rule.code for result in run.results if getattr(result.verdict, "applicable", False) is True
    }
    assert not untested, told(run)
    assert len(secrets) > 20
    assert not tellers(run, secrets)
    data = to_document(run)
    assert to_document(from_document(data)) == data
    if algorithm != "HS256":
        assert "TOK113" in {result.rule.code for result in run.results if result.name == "passed"}


@pytest.mark.parametrize(
    "flaw",
    [flaw for flaw in FLAWS_AND_VARIANTS if not flaw.sound],
    ids=lambda flaw: f"{flaw.chapter}/{flaw.name}",
)
def test_flaw_is_caught_by_exactly(flaw: Flaw) -> None:
    run = verdicts(flaw)
    assert failed(run) == flaw.caught_by, told(run)
    assert not run.count("errored"), told(run)
    assert not unproved(run)


@pytest.mark.parametrize(
    "variant",
    [flaw for flaw in FLAWS_AND_VARIANTS if flaw.sound],
    ids=lambda flaw: f"{flaw.chapter}/{flaw.name}",
)
def test_sound_variant_is_accused_of_nothing(variant: Flaw) -> None:
    run = verdicts(variant)
    assert failed(run) == set(), told(run)
    assert not run.count("errored"), told(run)


def names(folder: Path, suffix: str) -> set[str]:
    return {
        str(path.relative_to(folder).with_suffix(""))
        for path in folder.glob(f"*/*{suffix}")
        if path.stem != "__init__"
    }


def test_every_check_has_a_flaw_and_a_sound_variant_of_its_name() -> None:
    assert names(CHECKS, ".py") == names(FLAWS, ".toml")
    by_name = {name: set() for name in names(FLAWS, ".toml")}
    for flaw in FLAWS_AND_VARIANTS:
        by_name[f"{flaw.chapter}/{flaw.name.split('.')[0]}"].add(flaw.sound)
    assert all(kinds == {True, False} for kinds in by_name.values()), by_name


def test_every_check_is_named_by_its_own_flaw() -> None:
    for code, check in CATALOGUE.items():
        path = Path(check.source)
        mine = [
            flaw
            for flaw in FLAWS_AND_VARIANTS
            if flaw.chapter == path.parent.name and flaw.name.split(".")[0] == path.stem
        ]
        assert any(code in flaw.caught_by for flaw in mine), code


def test_every_edit_still_applies() -> None:
    source = {path.name: path.read_text("utf-8") for path in package().glob("*.py")}
    stale = [
        (flaw.chapter, flaw.name, edit.was)
        for flaw in FLAWS_AND_VARIANTS
        for edit in flaw.edits
        if source.get(edit.file, "").count(edit.was) != 1
    ]
    assert not stale


def test_a_stale_edit_names_file_and_text(tmp_path: Path) -> None:
    package = tmp_path / "little"
    package.mkdir()
    (package / "__init__.py").write_text("x = 1\n")
    with (
        pytest.raises(StaleFlawError, match=r"__init__\.py: found 0 times.*y = 1"),
        seeded(package, (Edit("__init__.py", "y = 1", "y = 2"),)),
    ):
        pass
    with seeded(package, (Edit("__init__.py", "x = 1", "x = 2"),)) as module:
        assert module.x == 2
