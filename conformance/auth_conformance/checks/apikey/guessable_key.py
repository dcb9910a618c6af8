"""KEY107."""

from auth_conformance.sdk import ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "KEY107",
    "api-key-unguessable",
    title="API key that can be guessed",
    severity=Severity.HIGH,
    level=1,
    budget=130,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.KEY_MANAGEMENT),
    references=(ASVS("11.5.1"), ASVS("7.2.3"), CWE(331), CWE(340), WSTG("SESS-01")),
)
async def guessable_key(probe: Probe) -> Verdict:
    """An API key must carry at least 128 bits of chance from a generator made for secrets.

    Why: a key is tried without anybody being asked; one that counts, tells the time or is short falls to a
        script that runs over night, and then it works for years.
    How: create keys for A and B in turn, use each once, and take away what is no chance: prefix and checksum,
        constant places, times, counters, names, digests of such things, and known generators. What is left
        must reach 128 bits. Random UUIDs miss it by six.
    Fix: `"pk_live_" + secrets.token_urlsafe(32)`; never `random`, `uuid.uuid1`, a counter or a digest of the
        user's name.
    """
    return await probe.must_issue_unguessable_keys()
