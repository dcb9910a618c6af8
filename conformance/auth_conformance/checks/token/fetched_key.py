"""TOK117."""

from auth_conformance.sdk import (
    API,
    ASVS,
    CWE,
    RFC,
    WSTG,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "TOK117",
    "remote-key-headers-ignored",
    title="Token names the address of its key, and the service goes there",
    severity=Severity.CRITICAL,
    level=1,
    budget=50,
    needs=(Need.WITNESS, Need.JWT),
    references=(
        ASVS("9.1.3"),
        ASVS("1.3.6"),
        ASVS("13.2.4"),
        RFC(7515, "4.1.2"),
        RFC(7515, "4.1.5"),
        RFC(8725, "3.10"),
        API(7),
        CWE(918),
        CWE(347),
        WSTG("INPV-19"),
    ),
)
async def fetched_key(probe: Probe) -> Verdict:
    """`jku` and `x5u` in a token must neither choose the key nor make the service ask an address.

    Why: whoever writes the token writes the address: the forger's own key verifies it, and even a service
        that then refuses has sent a request into its own network for a stranger.
    How: sign a live token's claims with a fresh key, serve that key here, and point to it: by `jku` and `x5u`,
        through names that begin or end like the trusted host, or a page of it that may redirect, as a file, as
        data, and by a `kid` that is an address. A listener and, in this process, every look-up and connection
        are watched.
    Fix: fetch keys from one configured address, `PyJWKClient("https://login.example/jwks.json")`, and never
        read `jku`, `x5u` or `jwk` from the header.
    """
    return await probe.must_not_fetch_keys()
