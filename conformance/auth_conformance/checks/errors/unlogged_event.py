"""ERR112."""

from auth_conformance.sdk import API, ASVS, CWE, Depth, Impact, Need, Probe, Severity, Verdict, check


@check(
    "ERR112",
    "auth-events-logged",
    title="Security event that leaves no usable line in the log",
    severity=Severity.LOW,
    level=2,
    depth=Depth.GREY,
    budget=140,
    needs=(Need.LOGS, Need.WITNESS, Need.LOGIN, Need.EXPENDABLE),
    impact=Impact.DISRUPTS,
    references=(
        ASVS("16.3.1"),
        ASVS("16.3.2"),
        ASVS("16.3.3"),
        ASVS("16.2.1"),
        ASVS("16.4.1"),
        API(8),
        CWE(778),
        CWE(117),
    ),
)
async def unlogged_event(probe: Probe) -> Verdict:
    """Logins, refusals, limits, and changes of passwords, keys and sessions must each leave a line that names who.

    Why: nobody sees an attack of which nothing is written, and nobody can say afterwards whose account it
        was. A user name that can begin a new line writes whatever it wants into the evidence.
    How: cause each event twice on an account of its own and look for a line with its name or id; lines of
        the web server know no user and do not count. A failed login has to read otherwise than a good one.
        Then log in with a name that holds a line break and a terminal escape.
    Fix: one `audit(event, outcome, who)` that writes JSON (`json.dumps` escapes line breaks), called where
        the decision falls: in the login, in the dependency that refuses, in the handlers that change keys.
    """
    return await probe.must_log_events()
