"""CRD101."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD101",
    "wrong-password-rejected",
    title="Wrong password accepted",
    severity=Severity.CRITICAL,
    level=1,
    budget=310,
    impact=Impact.DISRUPTS,
    needs=(Need.LOGIN, Need.EXPENDABLE),
    references=(
        ASVS("6.3.1"),
        ASVS("6.2.8"),
        API(2),
        CWE(303),
        CWE(943),
        WSTG("ATHN-04"),
    ),
    masks=("CRD102", "CRD103", "CRD104", "CRD105"),
)
async def accepted_wrong_password(probe: Probe) -> Verdict:
    """Only the right password of the right account must log in.

    Why: a comparison that is skipped for empty values, or handed a list or a query operator, opens every
        account.
    How: at each login send wrong, empty and missing passwords, other JSON types, query operators, the
        password of somebody else and the user name, on fresh accounts, four between two right ones; where a code
        comes by mail, the right password with a wrong, an empty and no code. Where people can turn a second factor
        on (RFC 6238), somebody of ours does, and logs in with the password alone and with a wrong code; where they make
        clients for programs, one logs in with what is not its secret. A token, cookie or session that opens the
        witness counts.
    Fix: declare the password as `str` (or `SecretStr`) in the request model, and let one function decide:
        `hasher.verify(password, user.password_hash)` for every account, whose hash is never empty. Where a second
        factor is on, give no token but one that only the second step takes, and there ask
        `pyotp.TOTP(user.seed).verify(code)`.
    """
    return await probe.must_reject_wrong_passwords()
