"""SRC113."""

from auth_conformance.sdk import API, ASVS, CWE, Depth, Need, Probe, Severity, Verdict, check


@check(
    "SRC113",
    "no-dangerous-settings-or-calls",
    title="A setting or call opens the service",
    severity=Severity.MEDIUM,
    level=1,
    depth=Depth.WHITE,
    budget=0,
    needs=(Need.SOURCE,),
    references=(
        ASVS("13.4.2"),
        ASVS("3.4.2"),
        ASVS("1.3.2"),
        ASVS("1.5.2"),
        ASVS("1.2.5"),
        ASVS("12.3.2"),
        ASVS("16.2.5"),
        API(8),
        CWE(489),
        CWE(942),
        CWE(295),
        CWE(502),
        CWE(78),
        CWE(95),
        CWE(617),
    ),
)
async def dangerous_setting(probe: Probe) -> Verdict:
    """Debug modes, permissive CORS, disabled TLS checks, unsafe deserialisation, shells and eval must not be there.

    Why: each of them turns a small mistake elsewhere into the whole machine.
    How: find `FastAPI(debug=True)`, CORS wildcards and loose patterns with credentials, trusted hosts and
        proxies `*`, session cookies without their flags, secrets in logs; and what bandit finds by B101 (in
        authentication), B102, B201, B301, B302, B307, B501, B506, B602, B604 and B605.
    Fix: remove it; name origins and hosts; where a line is right, say why beside it: `# nosec B602: constant
        command`.
    """
    return await probe.must_hold_in_source("No dangerous setting or call was found")
