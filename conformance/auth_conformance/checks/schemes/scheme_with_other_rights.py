"""MIX102."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "MIX102",
    "same-principal-same-rights",
    title="User with more rights by one scheme than by another",
    severity=Severity.HIGH,
    level=2,
    budget=80,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.TWO_USERS, Need.TWO_SCHEMES),
    references=(
        ASVS("6.3.4"),
        ASVS("8.3.1"),
        ASVS("7.4.2"),
        CWE(288),
        CWE(1390),
        API(2),
        WSTG("ATHN-10"),
    ),
)
async def scheme_with_other_rights(probe: Probe) -> Verdict:
    """One user must be the same principal, under the same checks, by every scheme.

    Why: each scheme has code of its own that turns a credential into a user. The one that was added last forgets
        what the others check: whether the account is active, and whose object it is.
    How: ask by A's token, key and cookie who the caller is, for B's object, for the list of objects, and for what
        is meant for administrators, and compare the answers; then let an administrator disable an account, and
        present its credentials of every kind. A key that may do less than its owner is no finding.
    Fix: one function that loads the user for every scheme, `load_active_user(user_id)`, and one dependency that all
        routers use; rights are asked of the user, not of the credential.
    """
    return await probe.must_be_one_principal()
