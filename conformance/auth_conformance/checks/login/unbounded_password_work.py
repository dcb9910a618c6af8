"""CRD105."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD105",
    "password-work-bounded",
    title="Huge passwords cost work",
    severity=Severity.MEDIUM,
    level=2,
    # The checklist says 40. A 95th percentile before the logins, and again while they run, takes 20 polls each, and a
    # service that looked blocked is seen so in a second round, and by single logins with four polls beside
    # each, and four alone.
    budget=210,
    impact=Impact.DISRUPTS,
    needs=(Need.LOGIN, Need.EXPENDABLE),
    references=(
        ASVS("15.2.2"),
        ASVS("2.4.1"),
        ASVS("6.2.9"),
        API(4),
        CWE(770),
        CWE(1050),
        WSTG("BUSL-05"),
    ),
)
async def unbounded_password_work(probe: Probe) -> Verdict:
    """Huge passwords must be refused before they are hashed, and logins must leave room for other requests.

    Why: hashing is slow on purpose: a megabyte to hash, or ten logins that hash on the event loop, stop the
        service for everybody.
    How: send passwords of 1 kB to 5 MB to login and registration, twice each, beside twins that carry the same
        bytes in a member that nobody reads and, where they take longer than those, beside a usual password; then ten
        wrong logins at once while a public operation is polled, twice. Where that waits, it is seen (in this
        process) or measured by single logins whether hashes hold others up. What is slow once only is left open.
    Fix: `Field(max_length=128)` on new and `max_length=1024` on given passwords, a limit for bodies in a
        middleware, and the hash in a thread: `await anyio.to_thread.run_sync(hasher.verify, ...)`.
    """
    return await probe.must_bound_password_work()
