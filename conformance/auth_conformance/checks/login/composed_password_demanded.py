"""CRD107."""

from auth_conformance.sdk import ASVS, CWE, NIST, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD107",
    "no-composition-rules-and-64-plus",
    title="Password refused for its composition",
    severity=Severity.LOW,
    level=1,
    budget=64,
    impact=Impact.DISRUPTS,
    needs=(Need.LOGIN, Need.REGISTER),
    references=(
        ASVS("6.2.5"),
        ASVS("6.2.9"),
        NIST("3.1.1.2"),
        CWE(521),
        WSTG("ATHN-07"),
    ),
)
async def composed_password_demanded(probe: Probe) -> Verdict:
    """Any characters, and at least 64 of them, must be allowed in a password.

    Why: rules about kinds of characters make people choose Password1!, and a low limit forbids passphrases
        and password managers.
    How: register random passwords of one kind each (lower-case letters, digits, letters and blanks, emoji,
        Cyrillic), of 64 characters of one and of two bytes, and of 128, and log in with them.
    Fix: check length and a list of common passwords, nothing else: no regular expression. `max_length` is 64
        or more; where bcrypt ends at 72 bytes, use argon2 or hash before.
    """
    return await probe.must_allow_any_characters()
