"""AUZ102."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "AUZ102",
    "object-write-isolated",
    title="Object of another user writable",
    severity=Severity.CRITICAL,
    level=1,
    budget=200,
    impact=Impact.WRITES,
    needs=(Need.TWO_USERS, Need.OBJECTS),
    references=(ASVS("8.2.2"), ASVS("8.3.1"), ASVS("8.4.1"), API(1), CWE(639), CWE(863), WSTG("ATHZ-04")),
)
async def foreign_object_writable(probe: Probe) -> Verdict:
    """A user must not change, delete or attach to another user's object, whatever they are answered.

    Why: reading is often guarded and writing forgotten, because the write looks the object up by a second
        query. A write that answers 404 may have happened all the same.
    How: B changes and deletes A's object, calls every operation below it, sends lists of ids in which A's is
        one, and names itself as the owner; it changes and deletes by its id what A put below an object, as a
        comment. Each request first works on an object of B's own. After each, A
        reads the object again: a difference that A sees, twice, is the proof, never B's status. Where objects
        stand below something of their owner's (a team, a project), B creates one below A's, and A looks for it.
    Fix: put the owner into every statement that writes:
        `delete(Item).where(Item.id == item_id, Item.owner_id == user.id)`, and answer 404 when it hits no row.
    """
    return await probe.must_not_change()
