"""SRC106."""

from auth_conformance.sdk import ASVS, CWE, Depth, Need, Probe, Severity, Verdict, check


@check(
    "SRC106",
    "randomness-from-csprng",
    title="A secret comes from a predictable generator",
    severity=Severity.HIGH,
    level=1,
    depth=Depth.WHITE,
    budget=0,
    needs=(Need.SOURCE,),
    references=(ASVS("11.5.1"), ASVS("7.2.3"), ASVS("6.5.3"), CWE(338), CWE(331)),
)
async def predictable_random(probe: Probe) -> Verdict:
    """Tokens, keys, salts and codes must come from `secrets` or `os.urandom`, with 128 bits at least.

    Why: `random` is a Mersenne twister: 624 of its values tell all that follow. UUIDs of version 1 hold the
        clock.
    How: follow `random`, `numpy.random`, UUIDs of versions 1, 3 and 5, and short calls of `secrets` into names,
        members and functions that are named for secrets.
    Fix: `secrets.token_urlsafe(32)`; for codes `secrets.randbelow(10**6)` with few attempts and a short life.
    """
    return await probe.must_hold_in_source("Every secret comes from a generator that cannot be predicted")
