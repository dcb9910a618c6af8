"""CRD114."""

from auth_conformance.sdk import ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD114",
    "throttle-not-a-lockout-weapon",
    title="Failed logins lock the owner out",
    severity=Severity.MEDIUM,
    level=1,
    budget=160,
    impact=Impact.DISRUPTS,
    needs=(Need.LOGIN, Need.EXPENDABLE),
    references=(
        ASVS("6.1.1"),
        ASVS("6.3.1"),
        CWE(645),
        WSTG("ATHN-03"),
    ),
)
async def limit_as_weapon(probe: Probe) -> Verdict:
    """Failed logins by strangers must not deny the owner service for long.

    Why: whoever knows a name can then lock its owner out at will, and a list of names locks out everybody.
    How: with a live session, a refresh token and a key of the owner run into the limit; they must go on, another
        account must log in, recovery must still send mail, and the right password must work again within fifteen
        minutes (the clock is moved where it can be). Whether it works from another address meanwhile is told; where
        nobody else gets in from any, that is a finding in-process, and a note against a URL.
    Fix: slow down instead of locking: a window of minutes that ends by itself, counted only for tries that
        were allowed; never set `is_active = False` for failures, and never end sessions.
    """
    return await probe.must_not_lock_out()
