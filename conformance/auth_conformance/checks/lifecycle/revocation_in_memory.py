"""LIF116."""

from auth_conformance.sdk import API, ASVS, CWE, Depth, Impact, Need, Probe, Severity, Verdict, check


@check(
    "LIF116",
    "revocation-survives-restart-and-replicas",
    title="Revocation forgotten by another process",
    severity=Severity.HIGH,
    level=2,
    budget=90,
    depth=Depth.GREY,
    impact=Impact.DISRUPTS,
    needs=(Need.WITNESS, Need.LOGIN, Need.LOGOUT, Need.RESTART),
    references=(ASVS("7.4.1"), ASVS("15.4.2"), ASVS("16.5.2"), CWE(613), CWE(212), CWE(636), API(2)),
)
async def revocation_in_memory(probe: Probe) -> Verdict:
    """Revocations, throttle counters and used one-time values must be kept outside of one process's memory.

    Why: a set of revoked tokens in a module is empty after each deployment, and in each other worker.
    How: log out by each kind of login, revoke a key, use a refresh token up, and try wrong passwords until they are
        throttled. Then the same application is started in a process of its own, on the same database, or a replica
        is asked. It must refuse what was revoked or used, and accept a live credential of each kind: else its
        refusals prove nothing, or the secret is made up anew.
    Fix: keep it where all processes look: a row per session and key with `revoked_at`, counters in the database or
        in Redis; and take the signing secret from the environment.
    """
    return await probe.must_survive_restart()
