"""What one step of a check has found stands, whatever becomes of the next."""

import pytest
from checks.judging import said

from auth_conformance import catalog
from auth_conformance.demo import bundled
from auth_conformance.engine import conduct
from auth_conformance.loop import run_to_end
from auth_conformance.testing import FAST_HASHING, Edit, Flaw, find_flaw

_LOGOUT = "        await tx.sessions.end(require_session(principal).id, utc_now())\n    clear"
_ASKS_FOR_MORE = Edit(
    "routes.py",
    _LOGOUT,
    '        if principal.scheme == "session":\n            raise conflict("confirm", "Say it twice.")\n    clear',
)
_MAKES_NO_KEYS = Edit(
    "routes.py",
    "    refuse_escalation(principal, body.scopes)\n    key, secret = new_api_key(",
    '    raise conflict("closed", "No keys are made today.")\n    key, secret = new_api_key(',
)


@pytest.mark.parametrize(
    ("code", "edits", "word"),
    [
        # Tokens outlive their logout; whether cookies do cannot be seen.
        ("LIF101", (_ASKS_FOR_MORE,), "the bearer credential of the ended session was accepted"),
        # One refresh token is good for many; there is no place for a key to be raced for.
        (
            "LIF108",
            (*find_flaw("double_spent_token").edits, _MAKES_NO_KEYS),
            "different tokens for one refresh",
        ),
    ],
)
def test_a_later_step_that_stays_unclear_takes_nothing_back(
    code: str, edits: tuple[Edit, ...], word: str
) -> None:
    flaw = Flaw("partly", "lifecycle", "Partly unclear", frozenset({code}), edits, {}, {})
    with bundled(flaw=flaw, extra=FAST_HASHING) as (app, settings):
        (result,) = run_to_end(conduct(settings, [catalog.load()[code]], app=app)).results
    assert result.name == "failed", said(result)
    assert word in result.verdict.reason, said(result)
