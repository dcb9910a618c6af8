"""AUZ101."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "AUZ101",
    "object-read-isolated",
    title="Object of another user readable",
    severity=Severity.CRITICAL,
    level=1,
    budget=200,
    impact=Impact.WRITES,
    needs=(Need.TWO_USERS, Need.OBJECTS),
    references=(
        ASVS("8.2.2"),
        ASVS("8.3.1"),
        ASVS("8.4.1"),
        API(1),
        CWE(639),
        CWE(862),
        WSTG("ATHZ-04"),
    ),
)
async def foreign_object_readable(probe: Probe) -> Verdict:
    """A user must read only objects that they may see, whatever identifier they send.

    Why: the identifier of another user's object is one number further, or stands in a link that was shared.
    How: A and B each create an object with a random text in it. B, and a stranger, ask for A's object at every
        GET operation that takes an id in path or query, with each kind of credential, in other spellings of
        the id, and in listings. A's text in an answer is the proof, never a status alone. Where the object is
        kept from B, what is read below it (its members, its history) must not be A's answer for B either. Of
        objects that show no text of their maker's, such as jobs, the whole answer that A gets is the proof. What
        whoever logs in lists and reads, and only its maker may change, may be meant for all, as articles are:
        `shared_objects = false` or `public_operations` in `[policy]` decides.
    Fix: put the owner into the query: `select(Item).where(Item.id == item_id, Item.owner_id == user.id)`, and
        answer 404 when that finds nothing.
    """
    return await probe.must_not_reveal()
