"""CRD106."""

from auth_conformance.sdk import ASVS, CWE, NIST, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD106",
    "weak-passwords-refused",
    title="Weak password taken",
    severity=Severity.MEDIUM,
    level=1,
    budget=420,
    impact=Impact.DISRUPTS,
    needs=(Need.LOGIN, Need.EXPENDABLE),
    references=(
        ASVS("6.2.1"),
        ASVS("6.2.4"),
        ASVS("6.2.11"),
        ASVS("6.2.12"),
        NIST("3.1.1.2"),
        CWE(521),
        WSTG("ATHN-07"),
    ),
)
async def weak_password_taken(probe: Probe) -> Verdict:
    """Short, common and derived passwords must be refused wherever a password is chosen.

    Why: guessers begin with lists of leaked passwords and with the name of the user and of the service;
        whoever has one of these has no password.
    How: at registration, change and reset choose an empty, a one- and a seven-character password, common
        ones, a leaked one of sixteen letters, one made of the user name, the name itself, and one of the service's name
        and the year; before and after, a random one must be taken.
    Fix: `Field(min_length=8)` (15 for a password alone), and an `AfterValidator` that looks the password up
        in a list of common ones, used by registration, change and reset alike.
    """
    return await probe.must_refuse_weak_passwords()
