"""LIF114."""

from auth_conformance.sdk import ASVS, CWE, RFC, Depth, Impact, Need, Probe, Severity, Verdict, check


@check(
    "LIF114",
    "signing-key-rotation-works",
    title="Removed signing key still verifies",
    severity=Severity.MEDIUM,
    level=3,
    budget=40,
    depth=Depth.GREY,
    impact=Impact.DISRUPTS,
    needs=(Need.WITNESS, Need.JWT, Need.LOGIN, Need.SIGNING_KEY, Need.RESTART),
    references=(ASVS("13.3.4"), ASVS("11.2.2"), ASVS("9.1.3"), RFC(7517, "4.5"), CWE(324), CWE(672)),
)
async def unretired_signing_key(probe: Probe) -> Verdict:
    """After a rotation new tokens must take the new key, and a removed key must verify nothing.

    Why: a key is rotated because it may be known. A ring that only grows, or a reader that tries every key whatever
        the `kid` says, keeps the old one useful.
    How: the application is started with a new key beside the old one, as the configuration describes it: tokens of the
        old key must live, new ones take the new key, and the old key under the new `kid` is refused. Then it is
        started without the old key: its tokens, and one that we make with it, must be refused. Where a key set is
        published, it is read in both: it holds every key that verifies, and none that was removed.
    Fix: build the ring from the configuration at each start, and choose by `kid`, without a fallback:
        `key = ring.get(header["kid"])`.
    """
    return await probe.must_rotate_signing_keys()
