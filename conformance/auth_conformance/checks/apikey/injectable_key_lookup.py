"""KEY106."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Need, Probe, Severity, Verdict, check


@check(
    "KEY106",
    "api-key-lookup-injection-safe",
    title="API key that becomes part of a query",
    severity=Severity.CRITICAL,
    level=1,
    budget=90,
    needs=(Need.WITNESS, Need.API_KEY),
    references=(ASVS("1.2.4"), ASVS("2.2.1"), CWE(89), CWE(943), API(8), WSTG("INPV-05")),
)
async def injectable_key_lookup(probe: Probe) -> Verdict:
    """The presented key must reach the database as one value that is compared for equality.

    Why: the key is the first text of a stranger that the service looks up, before anybody is authenticated. A
        quote that ends the text, or a wildcard where equality was meant, gets in as the first user of the table.
    How: present quotes, comments, unions, wildcards, operators and paths, in header and query; the real key
        with a true and a false condition behind it; and conditions that keep SQLite, PostgreSQL or MySQL busy
        for seconds beside ones that do not, three times.
    Fix: `select(ApiKey).where(ApiKey.key_digest == sha256(presented))`: a bound parameter, equality, and a
        digest, which no text of a stranger survives. Refuse first what does not look like a key.
    """
    return await probe.must_look_up_literally()
