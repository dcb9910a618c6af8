"""AUZ105."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Probe, Severity, Verdict, check


@check(
    "AUZ105",
    "no-mass-assignment",
    title="Client sets a member that is not its own",
    severity=Severity.CRITICAL,
    level=1,
    budget=320,
    impact=Impact.WRITES,
    references=(ASVS("15.3.3"), ASVS("8.2.3"), ASVS("2.2.1"), API(3), CWE(915), WSTG("INPV-20")),
)
async def assignable_privilege(probe: Probe) -> Verdict:
    """Clients must be able to set only the members that are meant for them.

    Why: `User(**body.model_dump())` stores whatever the model has, and a model that is shared with the database or
        with administrators has `is_admin`.
    How: at registration, profile, creation and change of an object, and creation of a key: add rights one by one,
        everything together, within the objects of a body, in the query and as a form, and what replies show but
        requests do not list, in the words that the document or an administrator has for it; what
        holds the owner's id is sent with another person's. What the owner reads afterwards, or that person where the
        owner does not any more, is compared with a plain control; an administrators' operation that opens is
        critical. Ignored or refused is fine.
    Fix: one request model per operation with the members that clients may set, and
        `model_config = ConfigDict(extra="forbid")`; set the others by name: `User(email=body.email, role=Role.USER)`.
    """
    return await probe.must_set_only_what_is_meant()
