"""What the search finds is exported as tests that fail on the flawed service and pass on the mended one.

A plain run takes one finding of an operation and one of a story; `FUZZ_MATRIX=whole` takes one of every rule that a
client from outside can repeat.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from quality import CASES, SECONDS, WHOLE

from auth_conformance.demo import bundled
from auth_conformance.document import from_document, to_document
from auth_conformance.engine import conduct
from auth_conformance.loop import run_to_end
from auth_conformance.model import Run
from auth_conformance.testing import Flaw
from auth_fuzz import Budget, fuzz
from auth_reports.regression import export

_TESTS = str(Path(__file__).parents[2] / "reports" / "tests")
if _TESTS not in sys.path:
    sys.path.append(_TESTS)

from test_regression import WEAK, newest_mail, passes, served  # noqa: E402 - found where the line above says

# Where the flaw is an operation of its own, the mended service has that operation, too: what stands there instead.
MENDED = {
    "operations/forgotten_dependency": (
        "async def read_recent(services: ServicesDep)",
        "async def read_recent(_: CurrentUser, services: ServicesDep)",
    ),
    "operations/own_token_parser": (
        "async def read_whoami(token:",
        "async def read_whoami(_: CurrentUser, token:",
    ),
    "operations/careless_peek": ("jwt.get_unverified_header(token)", "jwt.__name__"),
    "operations/users_keys_announce": ('and principal.scheme != "api_key"', ""),
    "operations/combined_leg_ignored": (
        "if principal is None:",
        'if principal is None or "x-api-key" not in request.headers:',
    ),
}
# Finding, code, seed.
FEW = [("operations/forgotten_dependency", "FUZ101", 1), ("lifecycle/reuse_ends_strangers", "FUZ302", 5)]
MORE = [
    ("operations/own_token_parser", "FUZ102", 1),
    ("operations/foreign_key_readable", "FUZ103", 1),
    ("operations/foreign_login_endable", "FUZ104", 1),
    ("operations/careless_peek", "FUZ105", 1),
    ("operations/unchallenged_corner", "FUZ106", 1),
    ("operations/hash_in_reply", "FUZ107", 1),
    ("operations/combined_leg_ignored", "FUZ108", 1),
    ("operations/keys_without_scopes", "FUZ109", 2),
    ("operations/tokens_without_scopes", "FUZ109", 1),
    ("operations/users_keys_announce", "FUZ109", 1),
    ("token/unsigned_token", "FUZ201", 1),
    ("grammars/key_end_ignored", "FUZ202", 1),
    ("grammars/key_folded", "FUZ202", 1),
    ("grammars/cookie_prefix_dropped", "FUZ203", 1),
    ("grammars/list_of_tokens", "FUZ204", 1),
    ("lifecycle/old_key_after_rotation", "FUZ301", 1),
    ("lifecycle/logout_that_ends_nothing", "FUZ301", 1),
    ("lifecycle/stale_role", "FUZ303", 1),
    ("lifecycle/double_spent_token", "FUZ304", 1),
    ("differential/browsers_are_administrators", "FUZ401", 1),
]


def found(name: str, code: str, seed: int) -> tuple[Run, Flaw]:
    """The run of one search on the application with the flaw, as it is read back from its report."""
    case = next(case for case in CASES if case.name == name)

    async def search(app: Any, settings: Any) -> Run:
        async def then(scene: Any, deliver: Any) -> None:
            budget = Budget(SECONDS, case.requests, shrinking=60)
            for result in await fuzz(scene, budget, seed, only=[case.search]):
                if result.rule.code == code:
                    deliver(result)

        return await conduct(settings, [], app=app, then=then)

    with bundled(flaw=case.flaw, extra=WEAK) as (app, settings):
        return from_document(to_document(run_to_end(search(app, settings)))), case.flaw


def mended(name: str, flaw: Flaw) -> Flaw | None:
    """The flaw's own operation without the flaw; None where the application as it is does."""
    if name not in MENDED:
        return None
    was, now = MENDED[name]
    edits = tuple(replace(edit, now=edit.now.replace(was, now)) for edit in flaw.edits)
    assert edits != flaw.edits
    return replace(flaw, edits=edits)


def outcomes(flaw: Flaw | None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Which of the exported tests pass on the application with that flaw."""
    with bundled(flaw=flaw, extra=WEAK) as (app, settings):
        password = settings.accounts["admin"].password
        assert password is not None
        monkeypatch.setenv("PASSWORD", password.secret().reveal())
        # A story may begin with a password that was reset.
        monkeypatch.setenv("MAILBOX_COMMAND", newest_mail(folder / "newest", settings.mailbox.folder))
        with served(app) as url:
            return [passes(path, url) for path in sorted(folder.glob("*.py"))]


@pytest.mark.parametrize(("name", "code", "seed"), FEW + (MORE if WHOLE else []))
def test_it_fails_on_the_flaw_and_passes_without(
    name: str, code: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, flaw = found(name, code, seed)
    written, left = export(run, tmp_path)
    assert written, left
    assert not any(outcomes(flaw, tmp_path, monkeypatch))
    assert all(outcomes(mended(name, flaw), tmp_path, monkeypatch))


@pytest.mark.skipif(not WHOLE, reason="the whole matrix only")
def test_what_needs_a_restart_is_not_exported(tmp_path: Path) -> None:
    run, _ = found("differential/denylist_in_memory", "FUZ403", 1)
    written, left = export(run, tmp_path)
    assert not written
    assert "a restart" in left[0].reason
