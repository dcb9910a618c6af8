"""TOK101."""

from collections.abc import Iterator

from auth_conformance.sdk import (
    API,
    ASVS,
    CWE,
    RFC,
    WSTG,
    Attempt,
    Credential,
    Kind,
    Need,
    Probe,
    Secret,
    Severity,
    Verdict,
    check,
)

# What stands in a header when a client forgot, defaulted or stringified its token.
WORDS = ("null", "undefined", "None", "true", "0", "1", "[]", "{}", "test", "admin", "-", ".", "..", "a.b.c")
# Where a service reads tokens from a place of its own, these say enough.
FEW_WORDS = ("", "null", "undefined", "0", "1")
# An opaque token that is looked up by a query that it is written into.
ALWAYS_TRUE = "x' OR '1'='1"


@check(
    "TOK101",
    "anonymous-and-junk-bearer-rejected",
    title="Request without a credential, or with a meaningless one, accepted",
    severity=Severity.CRITICAL,
    level=1,
    budget=110,
    needs=(Need.WITNESS,),
    references=(
        ASVS("6.3.4"),
        ASVS("7.2.1"),
        ASVS("8.2.1"),
        RFC(9110, "11.6.1"),
        API(2),
        CWE(306),
        WSTG("ATHN-04"),
    ),
    masks=("@witness",),
)
async def meaningless_token(probe: Probe) -> Verdict:
    """A protected operation must refuse requests without a credential and with a meaningless bearer value.

    Why: a dependency that returns a guest instead of raising opens every operation behind it.
    How: call the witness and a second protected operation with no header, an empty one, a bare `Bearer`,
        the words that clients send by mistake, random text, the caller's own name, a public body and a
        condition of SQL; the same where this service reads its tokens, if that is another place.
    Fix: let the dependency raise, and keep optional authentication out of protected routers:
        `if user is None: raise HTTPException(status.HTTP_401_UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})`
    """
    public = await probe.must_be_reachable()
    name = probe.account().username
    values = {
        "no credential": None,
        "an empty Authorization header": "",
        "a bare Bearer": "Bearer",
        **{f"the bearer value {word}": f"Bearer {word}" for word in WORDS},
        "40 random characters as bearer": f"Bearer {probe.word(40)}",
        "the caller's own name as bearer": f"Bearer {name}",
    }
    if public:
        values["what a public operation answers as bearer"] = f"Bearer {public}"
    attempts = [
        Attempt(label, headers=(("Authorization", value),) if value is not None else ())
        for label, value in values.items()
    ]
    return await probe.must_refuse(
        [*attempts, *_elsewhere(probe)],
        at=probe.witnesses,
        bland=False,
    )


def _elsewhere(probe: Probe) -> Iterator[Attempt]:
    for carrier in probe.target.carriers:
        if carrier.kind is not Kind.BEARER:
            continue
        if (carrier.name.lower(), carrier.prefix.lower()) != ("authorization", "bearer"):
            for word in (*FEW_WORDS, probe.word(40)):
                yield Attempt(f"{word or 'nothing'} in {carrier}", Credential(carrier, Secret(word)))
        injected = Credential(carrier, Secret(ALWAYS_TRUE))
        yield Attempt(f"a condition of SQL that is always true in {carrier}", injected, core=False)
