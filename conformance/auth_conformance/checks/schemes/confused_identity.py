"""MIX104."""

from auth_conformance.sdk import API, ASVS, CWE, Impact, Need, Probe, Severity, Verdict, check


@check(
    "MIX104",
    "conflicting-identities-refused",
    title="Two identities in one request, and layers that disagree about whose it is",
    severity=Severity.HIGH,
    level=2,
    budget=220,
    # Whom the log names is read from the lines of one request, so no other may be on its way.
    exclusive=True,
    needs=(Need.WITNESS, Need.TWO_USERS, Need.TWO_SCHEMES),
    impact=Impact.WRITES,
    references=(
        ASVS("6.3.4"),
        ASVS("8.3.1"),
        ASVS("15.3.7"),
        CWE(441),
        CWE(290),
        CWE(436),
        API(2),
    ),
)
async def confused_identity(probe: Probe) -> Verdict:
    """Credentials of two people in one request must be refused, or one of them must decide for every layer.

    Why: where the log, the rate limit or the profile follow one credential and the rights another, one
        person acts with the rights of another and under the name of a third.
    How: put A's and B's credentials into one request in every two places that fit, both ways round, and see
        who the service says it is, whose objects it lets be read, whose a created object becomes, and whose
        profile a change changes, which the owners themselves then read; whom the log names for it (in process, or
        with `log_file`), and whose limit it is counted against, where answers say how much is left.
        At level 3 a pair that is let in at all is a low finding, whoever decides; below it is told.
    Fix: resolve the caller once, `principal: Annotated[User, Depends(get_principal)]`, pass that on, and
        answer 400 when more than one credential is present.
    """
    return await probe.must_not_mix_identities()
