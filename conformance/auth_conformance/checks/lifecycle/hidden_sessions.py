"""LIF117."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "LIF117",
    "sessions-listable-and-terminable",
    title="Logins cannot be seen or ended, or those of others can",
    severity=Severity.LOW,
    level=2,
    budget=170,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.LOGIN),
    references=(
        ASVS("7.5.2"),
        ASVS("7.4.5"),
        ASVS("7.1.2"),
        ASVS("7.4.3"),
        API(2),
        CWE(613),
        CWE(639),
        WSTG("SESS-01"),
    ),
)
async def hidden_sessions(probe: Probe) -> Verdict:
    """People must be able to see and end their logins, and administrators those of a user.

    Why: who suspects a thief wants to look and to end it. A list that shows session ids hands them out, and an
        operation that ends any login by its name ends everybody's.
    How: a user logs in three times, lists the logins, and ends one by its name: it must be refused, its refresh
        token too, and the others go on. Then all others, and all by an administrator. Another user's login must
        not be shown, and must not end. What the list shows is presented as a credential of each kind. Where a limit
        is declared (`session_limit`), one login more must not live beside all others. No such list at all is low, and
        so is a limit that is not kept; what is shown, ended or left alive against its owner is high.
    Fix: `GET /sessions` and `DELETE /sessions/{id}` over the session table, with the owner in the statement, and
        with an id that is not the credential: `update(Session).where(Session.id == id, Session.user_id == user.id)`.
    """
    return await probe.must_show_and_end_sessions()
