"""STO101."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Depth, Impact, Need, Probe, Severity, Verdict, check


@check(
    "STO101",
    "password-never-recoverable",
    title="A password can be recovered from the database",
    severity=Severity.CRITICAL,
    level=1,
    depth=Depth.GREY,
    impact=Impact.DISRUPTS,
    budget=24,
    needs=(Need.EXPENDABLE, Need.LOGIN, Need.DATABASE),
    references=(
        ASVS("11.4.2"),
        ASVS("14.2.4"),
        API(2),
        CWE(256),
        CWE(257),
        CWE(312),
        CWE(759),
        WSTG("CRYP-04"),
    ),
)
async def recoverable_password(probe: Probe) -> Verdict:
    """No stored value must equal a password, or be undone to it without effort.

    Why: backups, replicas and one SQL injection show the table, and the passwords in it open other services
        too.
    How: register with a password that occurs nowhere else, log in with it and with a wrong one, change it, ask for a
        reset, read every text, binary and JSON value of every table, and look for all three: as they are, in other
        encodings, rotated, XORed, compressed, as fast digests, plain or salted with any value of the row.
    Fix: store `PasswordHash.recommended().hash(password)` of pwdlib and nothing else; keep passwords out of
        audit tables.
    """
    return await probe.must_never_recover_password()
