"""WEB112."""

from auth_conformance.sdk import API, ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "WEB112",
    "request-rate-limited",
    title="Costly operation without a limit",
    severity=Severity.MEDIUM,
    level=2,
    budget=480,
    needs=(Need.WITNESS, Need.REGISTER),
    impact=Impact.DISRUPTS,
    references=(
        ASVS("2.4.1"),
        ASVS("6.1.1"),
        ASVS("15.2.2"),
        ASVS("15.3.4"),
        RFC(6585, "4"),
        API(4),
        API(6),
        CWE(770),
        CWE(799),
        WSTG("BUSL-05"),
    ),
)
async def unlimited_requests(probe: Probe) -> Verdict:
    """Operations that cost something must be limited, for strangers above all, and must say for how long.

    Why: each registration is a slow hash and a row, each reset a mail to somebody; without a limit one
        script fills the table, the mailbox, and every core.
    How: register one name and ask for a reset of one account sixty times each; create keys, list, read and log
        in thirty times, where no limit is only noted. A declared limit (`[policy] request_limits`) has to hold
        within 120 %. Mails that stop coming into a known mailbox are limited, too. A refusal has to say when to come
        back, and another account must not notice. Then ask for a page of a million, send a body of ten megabytes,
        and five thousand items where several are taken.
    Fix: a limiter as a dependency of these routes (slowapi, `limits`), keyed by address and by account, that
        answers 429 with `Retry-After`; `Query(le=100)` for pages, and a bound on the size of bodies.
    """
    return await probe.must_limit_requests()
