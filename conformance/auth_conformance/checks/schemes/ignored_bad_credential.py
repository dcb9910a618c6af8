"""MIX103."""

from auth_conformance.sdk import ASVS, CWE, RFC, Impact, Need, Probe, Severity, Verdict, check


@check(
    "MIX103",
    "bad-credential-not-ignored",
    title="Bad credential ignored because another one is good",
    severity=Severity.MEDIUM,
    level=2,
    budget=110,
    impact=Impact.WRITES,
    exclusive=True,  # it ends a login, and some services end every login of that person then
    needs=(Need.WITNESS, Need.TWO_SCHEMES),
    references=(ASVS("6.3.4"), ASVS("16.5.3"), RFC(6750, "3.1"), CWE(303), CWE(755), CWE(636)),
)
async def ignored_bad_credential(probe: Probe) -> Verdict:
    """A credential that is presented and bad must make the request fail, whatever else is presented.

    Why: a client whose token was revoked goes on working through a forgotten cookie, and nobody learns of
        it. Where one router ignores what another refuses, two implementations of authentication are at work.
    How: put a made-up, malformed, wrongly signed, expired or revoked credential of each scheme beside a good one
        of every other scheme, in both orders of the headers, at two protected operations and at a change.
    Fix: in the unified dependency tell "absent" from "invalid": return None for the first only, and raise 401
        for the second. `except InvalidToken: return None` is the bug. A service that prefers the first valid
        one says so: `first_valid_wins = true`; then it must do so everywhere.
    """
    return await probe.must_not_ignore_bad_credentials()
