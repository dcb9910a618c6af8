"""AUZ110."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "AUZ110",
    "parameter-source-confusion-safe",
    title="Authorised by one id, done with another",
    severity=Severity.HIGH,
    level=2,
    # Some 120 for each collection of objects: the first and up to three further ones.
    budget=480,
    impact=Impact.WRITES,
    needs=(Need.TWO_USERS, Need.OBJECTS),
    references=(
        ASVS("15.3.7"),
        ASVS("8.2.2"),
        ASVS("1.5.3"),
        ASVS("15.3.5"),
        API(1),
        CWE(235),
        CWE(639),
        CWE(843),
        WSTG("INPV-04"),
    ),
)
async def confused_parameter_source(probe: Probe) -> Verdict:
    """The identifier that is authorised must be the identifier that is used, wherever else another one stands.

    Why: a guard that reads the path and a handler that reads the body agree only as long as the client does.
    How: B names its own object in the path and A's in the query or the body, repeats members and parameters in
        both orders, sends lists, objects and forms, deletes its own with A's id elsewhere, and creates with A as the
        owner in one place. A's text in
        an answer, or a difference that A reads afterwards, is the proof. B's consistent requests work. Where an
        answer holds a signed link to an object, a stranger asks by it for another object, without its signature,
        with others, and with a later end.
    Fix: take an identifier from one place, once: a path parameter and a body model without it
        (`model_config = ConfigDict(extra="forbid")`), and load the object by id and owner in one statement.
        Sign the id and the end of a link together: `hmac.new(key, f"{id}:{expires}".encode(), "sha256")`.
    """
    return await probe.must_not_confuse()
