"""CRD117."""

from auth_conformance.sdk import API, ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD117",
    "reset-and-verify-tokens-sound",
    title="Reset token works otherwise than meant",
    severity=Severity.HIGH,
    level=2,
    budget=320,
    impact=Impact.DISRUPTS,
    needs=(Need.RESET, Need.MAILBOX, Need.LOGIN, Need.EXPENDABLE),
    references=(
        ASVS("6.4.1"),
        ASVS("6.4.3"),
        ASVS("6.5.5"),
        ASVS("6.6.2"),
        ASVS("11.5.1"),
        RFC(8725, "3.12"),
        CWE(640),
        CWE(613),
        API(2),
        WSTG("ATHN-09"),
        WSTG("INPV-17"),
    ),
)
async def misused_reset_token(probe: Probe) -> Verdict:
    """A reset token must work once, for one account and purpose, for a short time, and reach its owner only.

    Why: whoever finds a reset link in an old mail, a browser history or a log owns the account, as long as
        the link still works; a link to a forged host hands it to the attacker at once.
    How: with the tester's mailbox, use tokens that were superseded, used already, made worthless by a change
        of the password, sent with another account's name, meant for confirming an address, old, respelled,
        cut, or unsigned; ask for a reset with a forged Host and X-Forwarded-Host. What counts is which
        password logs in. Twelve tokens are looked at for structure: the time, a counter, a digest of the name.
    Fix: store a digest of `secrets.token_urlsafe(32)` with account, purpose and expiry, delete the row in the
        statement that claims it and at every change of the password, and build the link from a setting, not
        from `request.base_url`.
    """
    return await probe.must_redeem_once()
