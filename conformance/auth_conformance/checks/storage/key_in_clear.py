"""STO104."""

from auth_conformance.sdk import (
    API,
    ASVS,
    CWE,
    Depth,
    Impact,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "STO104",
    "api-keys-hashed-at-rest",
    title="API key stored so that a reader of the database can use it",
    severity=Severity.CRITICAL,
    level=1,
    depth=Depth.GREY,
    impact=Impact.WRITES,
    budget=24,
    needs=(Need.WITNESS, Need.KEY_MANAGEMENT, Need.DATABASE),
    references=(ASVS("6.5.2"), ASVS("11.4.1"), ASVS("13.3.1"), API(2), CWE(256), CWE(312), CWE(522)),
)
async def key_in_clear(probe: Probe) -> Verdict:
    """A stored API key must be a one-way hash of the whole key, beside a short public prefix.

    Why: backups, replicas, support exports and one SQL injection all show the table; what stands there in
        clear works at once, for every customer.
    How: make two keys, read every text, binary and JSON value of every table, and look for the keys, pieces
        of their secret part, their encodings, and their digests, salted with their row or not.
    Fix: make 256 random bits, show them once, and keep `hashlib.sha256(key.encode()).hexdigest()`; compare
        with `hmac.compare_digest`. Keys with less chance in them need a slow hash such as Argon2id.
    """
    return await probe.must_hash_keys()
