"""TOK211."""

from auth_conformance.sdk import (
    ASVS,
    CWE,
    RFC,
    Depth,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "TOK211",
    "subject-resolved-strictly",
    title="Token whose subject nobody would have issued accepted",
    severity=Severity.HIGH,
    level=2,
    depth=Depth.GREY,
    budget=70,
    needs=(Need.WITNESS, Need.TWO_USERS, Need.JWT),
    references=(
        ASVS("10.3.3"),
        ASVS("15.3.5"),
        ASVS("9.1.1"),
        RFC(7519, "4.1.2"),
        RFC(8725, "3.8"),
        CWE(704),
        CWE(290),
    ),
)
async def loose_subject(probe: Probe) -> Verdict:
    """A verified token whose subject is missing, malformed or unknown must authenticate nobody.

    Why: `claims.get("sub") or 1` is the first account; `int("1_0")` is 10 and `True == 1`: a reader that
        repairs what it does not understand turns somebody's odd token into somebody else.
    How: with the true key sign the caller's claims with a subject that is missing, null, empty, unknown, a
        list, an object, of another type, in another case, with invisible characters, or with SQL in it.
    Fix: compare with the form that you issue before you look anybody up:
        `if not isinstance(sub, str) or not ID.fullmatch(sub): raise invalid_token()`.
    """
    return await probe.must_resolve_subjects_strictly()
