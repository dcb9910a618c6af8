"""TOK123."""

from auth_conformance.sdk import (
    ASVS,
    CWE,
    RFC,
    Depth,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "TOK123",
    "duplicate-members-deterministic",
    title="First of two members of one name in a token followed",
    severity=Severity.LOW,
    level=3,
    depth=Depth.GREY,
    budget=60,
    needs=(Need.WITNESS, Need.TWO_USERS, Need.JWT),
    references=(
        ASVS("1.5.3"),
        ASVS("9.1.1"),
        RFC(7515, "4"),
        RFC(7519, "4"),
        RFC(8725, "2.6"),
        CWE(436),
    ),
)
async def repeated_member(probe: Probe) -> Verdict:
    """A member that a token names twice must be refused, or its last value must count, everywhere alike.

    Why: a gateway that reads the first `sub` and an application that reads the last one let one through whom
        the other would have stopped.
    How: with the true key sign hand-written claims in which the subject, the end and the algorithm stand
        twice, in both orders and once under an escaped name, and send them to two operations.
    Fix: leave JSON to one reader, or refuse: `json.loads(text, object_pairs_hook=refuse_repeated_members)`.
    """
    return await probe.must_resolve_duplicates()
