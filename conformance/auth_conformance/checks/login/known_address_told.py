"""CRD111."""

from auth_conformance.sdk import ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD111",
    "registration-and-recovery-no-enumeration",
    title="Registration or recovery tells who has an account",
    severity=Severity.MEDIUM,
    level=3,
    budget=240,
    impact=Impact.DISRUPTS,
    needs=(Need.REGISTER, Need.LOGIN),
    references=(
        ASVS("6.3.8"),
        ASVS("6.4.3"),
        CWE(204),
        CWE(208),
        WSTG("IDNT-04"),
        WSTG("ATHN-09"),
    ),
)
async def known_address_told(probe: Probe) -> Verdict:
    """Registration, reset and confirmation must answer the same for known and unknown addresses.

    Why: a list of the addresses that have an account here is worth money to phishers and embarrasses the
        people on it.
    How: register fresh and known addresses in turn, ask for resets and confirmations of both, and compare
        status, headers and bodies; against a server also the time of a reset, in 30 pairs. Names that people
        choose cannot be hidden and are not compared.
    Fix: answer 202 and `If the address can be used, a mail is on its way` in every case, and send the mail in
        a `BackgroundTasks` task; tell the owner of a known address by mail.
    """
    return await probe.must_hide_addresses()
