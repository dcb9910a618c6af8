"""LIF112."""

from auth_conformance.sdk import API, ASVS, CWE, RFC, Impact, Need, Probe, Severity, Verdict, check


@check(
    "LIF112",
    "recycled-identity-inherits-nothing",
    title="Credential or object of a deleted account works for its namesake",
    severity=Severity.HIGH,
    level=2,
    budget=120,
    impact=Impact.DISRUPTS,
    needs=(Need.WITNESS, Need.LOGIN, Need.REGISTER),
    references=(
        ASVS("10.3.3"),
        ASVS("10.5.2"),
        ASVS("7.4.2"),
        RFC(7519, "4.1.2"),
        RFC(8725, "3.8"),
        CWE(672),
        CWE(694),
        API(2),
    ),
)
async def recycled_identity(probe: Probe) -> Verdict:
    """What belonged to a deleted or renamed account must not belong to a later one of the same name.

    Why: a token whose subject is the user name is a token of whoever has the name. A stateless one within its
        tolerance is no excuse: it opens another person's account.
    How: an expendable account collects credentials of every kind and writes an object, and is deleted. Somebody
        registers its name with another password. The old credentials are presented again, a reset token that was
        mailed before must not set the later account's password, and the later account looks for the object, by its
        id and in the list. Where people can change the name that they log in with, another account gives its name
        up, and what it holds must not work as the later owner of the name.
    Fix: let `sub` and every foreign key be an identifier that is never given out again, such as a random UUID
        (with SQLite's integers: `sqlite_autoincrement=True`), and delete what the account owned with it.
    """
    return await probe.must_inherit_nothing()
