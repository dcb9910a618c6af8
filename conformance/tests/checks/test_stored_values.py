"""KEY109 and SES108: what stands in the database, and what is tried where nobody gave it."""

import pytest
from checks.judging import said

from auth_conformance import catalog
from auth_conformance.demo import bundled
from auth_conformance.engine import conduct
from auth_conformance.loop import run_to_end
from auth_conformance.testing import FAST_HASHING, Edit, Flaw, find_flaw


@pytest.mark.parametrize(
    ("flaw", "name", "word"),
    [
        ("", "skipped", "the database of the service is not known. Digests that most services would store"),
        ("usable_stored_value", "failed", "the SHA256 of the live cookie credential"),
        ("usable_stored_value.2", "failed", "the SHA256 of the live key credential, behind its public part"),
    ],
)
def test_a_digest_that_gets_in_is_found_without_the_database(flaw: str, name: str, word: str) -> None:
    with bundled(flaw=find_flaw(flaw) if flaw else None, extra=FAST_HASHING) as (app, settings):
        blind = settings.model_copy(update={"database": None})
        (result,) = run_to_end(conduct(blind, [catalog.load()["KEY109"]], app=app)).results
    assert result.name == name, said(result)
    assert word in result.verdict.reason, said(result)


# A logout that ends nothing, so that only the row itself can.
_LASTING = Edit(
    "routes.py",
    "        await tx.sessions.end(require_session(principal).id, utc_now())\n    clear",
    "        require_session(principal)\n    clear",
)
_RECALLED = (
    Edit(
        "dependencies.py",
        "    idle = timedelta(seconds=services.settings.session_idle_seconds)\n    async with",
        "    if (known := services.recalled.get(presented[0])) is not None:\n        return known\n"
        "    idle = timedelta(seconds=services.settings.session_idle_seconds)\n    async with",
    ),
    Edit(
        "dependencies.py",
        '    return Principal(user, "session", ROLE_SCOPES[user.role], session=session)',
        '    services.recalled[presented[0]] = Principal(user, "session", ROLE_SCOPES[user.role], session=session)\n'
        "    return services.recalled[presented[0]]",
    ),
    Edit(
        "dependencies.py",
        "\n    outbox: Outbox\n",
        "\n    outbox: Outbox\n    recalled: dict[str, Any] = field(default_factory=dict)\n",
    ),
)


@pytest.mark.parametrize(
    ("edits", "name", "word"),
    [
        ((_LASTING,), "passed", "it dies with its row in the database"),
        ((_LASTING, *_RECALLED), "failed", "accepts a session cookie whose row was deleted"),
    ],
)
def test_a_session_that_outlives_its_row(edits: tuple[Edit, ...], name: str, word: str) -> None:
    """SES108 where the logout shows nothing: the stored session is deleted, and the cookie must be worthless."""
    flaw = Flaw("lasting", "session", "A session is recalled", frozenset({"SES108"}), edits, {}, {})
    with bundled(flaw=flaw, extra=FAST_HASHING) as (app, settings):
        (result,) = run_to_end(conduct(settings, [catalog.load()["SES108"]], app=app)).results
    assert result.name == name, said(result)
    assert word in result.verdict.reason, said(result)
