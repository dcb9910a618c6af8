"""LIF103."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "LIF103",
    "key-revocation-immediate",
    title="Revoked API key still accepted",
    severity=Severity.HIGH,
    level=1,
    budget=230,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.KEY_MANAGEMENT),
    references=(ASVS("7.4.1"), ASVS("6.5.6"), ASVS("13.3.4"), API(2), CWE(613), CWE(672), WSTG("SESS-06")),
)
async def revoked_key_alive(probe: Probe) -> Verdict:
    """A revoked or replaced API key must stop working at once, everywhere, while other keys go on.

    Why: keys are revoked because they have leaked. A cache in front of the look-up, one in each worker, lets
        the thief go on for as long as nobody knows.
    How: two keys are made, and one is used until every cache knows it, then revoked. It is presented 20 times
        over new connections, in each place that takes keys, and again for as long as it works: the report says
        until when. Its sibling must go on; another user must not be able to revoke it, nor may a change of the
        key bring it back. A rotated key's old value is treated alike, and so is a key that is switched off where
        its record can be changed. Where an account has one key, the next one ends it; where people make clients for
        programs, the secret of one that was taken back gives no token, nor does a replaced one.
    Fix: look the key up on each request, `select(ApiKey).where(ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None))`,
        or drop it from a shared cache when it is revoked; no `lru_cache` around the look-up.
        Clients likewise, at each grant.
    """
    return await probe.must_revoke_keys()
