"""AUZ106."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "AUZ106",
    "responses-minimal",
    title="Response shows credentials",
    severity=Severity.HIGH,
    level=1,
    budget=60,
    impact=Impact.WRITES,
    exclusive=True,
    needs=(Need.TWO_USERS,),
    references=(ASVS("15.3.1"), ASVS("14.2.6"), ASVS("8.2.3"), API(3), CWE(201), CWE(212), WSTG("ATHZ-04")),
)
async def excessive_response(probe: Probe) -> Verdict:
    """No response must carry credential material, or what is private to another user.

    Why: a handler that returns the database row returns its password hash as well, and nobody sees it in the
        page that shows only the name.
    How: read every kind of reply that the run has seen, what A may read besides, and B's own record as A: password
        hashes by their form, digests by the name of their member, passwords in any encoding, the other user's tokens
        and keys in replies to A, and what the policy declares private. Whether others may see addresses of people,
        the policy says. A new token in the reply that issues it is meant to be there.
    Fix: give each operation a response model with the members that may leave:
        `async def read_me(...) -> UserResponse`, and never return the row with `response_model=None`.
    """
    return await probe.must_show_no_credentials()
