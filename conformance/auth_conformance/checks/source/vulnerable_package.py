"""SRC116."""

from auth_conformance.sdk import API, ASVS, CWE, Depth, Need, Probe, Severity, Verdict, check


@check(
    "SRC116",
    "auth-dependencies-not-known-vulnerable",
    title="A package of authentication has a known flaw",
    severity=Severity.HIGH,
    level=1,
    depth=Depth.WHITE,
    budget=0,
    needs=(Need.SOURCE,),
    references=(ASVS("15.2.1"), ASVS("15.1.2"), API(8), CWE(1395), CWE(1104)),
)
async def vulnerable_package(probe: Probe) -> Verdict:
    """Packages that authentication stands on must be maintained, and of versions without known flaws.

    Why: a key confusion in the JWT library opens every account, however careful the service is.
    How: read requirements, pyproject.toml and lock files beside the source, and what is installed where the
        application runs in this process; compare with a dated table of this suite. A table that is older than
        90 days proves nothing.
    Fix: `pip install -U PyJWT`; python-jose and passlib are not maintained: PyJWT or joserfc, and pwdlib, take
        their place.
    """
    return await probe.must_use_sound_packages()
