"""CRD103."""

from auth_conformance.sdk import ASVS, CWE, NIST, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD103",
    "password-compared-exactly",
    title="Password compared loosely",
    severity=Severity.HIGH,
    level=1,
    budget=70,
    impact=Impact.DISRUPTS,
    needs=(Need.LOGIN, Need.REGISTER),
    references=(
        ASVS("6.2.8"),
        ASVS("6.2.5"),
        NIST("3.1.1.2"),
        CWE(178),
        CWE(158),
        CWE(916),
        WSTG("ATHN-07"),
    ),
)
async def loosely_compared_password(probe: Probe) -> Verdict:
    """A password must be verified as it was typed, character for character.

    Why: each spelling that is accepted besides the chosen one makes guessing cheaper, and a password that is
        changed silently locks its owner out.
    How: register a password with inner and outer blanks, a tab, both cases, letters beyond ASCII and an
        emoji; log in with it, and then in other case, stripped, collapsed, shortened, lengthened, cut at a
        NUL, folded to ASCII, escaped and decoded. Unicode normalisation may go either way.
    Fix: hash what was sent: no `strip()`, no `lower()`, no `constr(strip_whitespace=True)` on passwords, and
        no `str_strip_whitespace` in the model's configuration; at most `unicodedata.normalize`.
    """
    return await probe.must_compare_exactly()
