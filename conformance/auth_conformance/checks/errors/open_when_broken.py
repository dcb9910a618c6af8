"""ERR109."""

from auth_conformance.sdk import API, ASVS, CWE, Depth, Impact, Need, Probe, Severity, Verdict, check


@check(
    "ERR109",
    "fails-closed",
    title="Credential that works while a lookup fails",
    severity=Severity.CRITICAL,
    level=2,
    depth=Depth.GREY,
    budget=420,
    needs=(Need.IN_PROCESS, Need.WITNESS),
    impact=Impact.DISRUPTS,
    references=(ASVS("16.5.3"), ASVS("16.5.2"), ASVS("13.2.6"), API(8), CWE(636), CWE(755), CWE(280)),
)
async def open_when_broken(probe: Probe) -> Verdict:
    """When something behind authentication fails, nobody must get in by it.

    Why: databases, caches and key servers fail, and can be made to. `except Exception: revoked = False` turns
        a minute of overload into a minute without logout, without expiry, or without a limit on guessing.
    How: watch which functions of the application, and which functions that it calls, a request runs through;
        let them fail one at a time, as a store that does not answer, that finds nothing, or a row without its
        digests; let what dependencies hand out be down; let the clock be ten years off. Present no credential,
        one that was never issued, an expired and a revoked one of each kind, and wrong passwords, beyond the
        limit of the login, too. Only faults that were really met count. 401, 500 and 503 are all safe.
    Fix: let errors of lookups pass: the handler for `Exception` answers 500. Catch only what a wrong
        credential raises (`jwt.InvalidTokenError`), and decide `deny` before the lookup, not `allow`.
    """
    return await probe.must_fail_closed()
