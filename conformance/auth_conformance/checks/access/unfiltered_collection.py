"""AUZ103."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "AUZ103",
    "collections-filtered-by-owner",
    title="Collection shows or counts what belongs to others",
    severity=Severity.HIGH,
    level=1,
    budget=160,
    impact=Impact.WRITES,
    needs=(Need.TWO_USERS, Need.OBJECTS),
    references=(ASVS("8.2.2"), ASVS("8.2.3"), ASVS("15.3.7"), API(1), API(3), CWE(639), WSTG("ATHZ-04")),
    exclusive=True,
)
async def unfiltered_collection(probe: Probe) -> Verdict:
    """Lists, searches, counts and exports must contain only what the caller may see.

    Why: a filter that the caller may set is no guard, and a total that counts everybody's objects tells what
        others do. Sorting by a column that is not shown reads it letter by letter.
    How: B asks each collection plainly, page by page, with A as the owner in the query, once and twice, with
        searches for A's text, each filter set to what stands in A's object, all fields and very long pages.
        A's text or identifier in an answer is the proof, or a number that rises with each object that A makes. Both
        users list what is their own before. Lists that may be meant for all are left to `[policy]`, as in AUZ101.
    Fix: take the owner from the credential and never from the query:
        `select(Item).where(Item.owner_id == user.id)`, the same condition in the count, and sort only by a
        column from a list: `sort: Literal["created_at", "title"]`.
    """
    return await probe.must_filter()
