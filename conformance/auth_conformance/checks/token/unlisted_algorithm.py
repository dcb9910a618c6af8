"""TOK112."""

from auth_conformance.probe.algorithms import allowed_elsewhere, mislabelled, other_algorithms, synonyms
from auth_conformance.sdk import (
    ASVS,
    CWE,
    RFC,
    Attempt,
    Depth,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "TOK112",
    "alg-allowlist-is-exact",
    title="Token under an algorithm that is not the service's own accepted",
    severity=Severity.MEDIUM,
    level=1,
    depth=Depth.GREY,
    budget=50,
    needs=(Need.WITNESS, Need.JWT),
    references=(
        ASVS("9.1.2"),
        RFC(8725, "3.1"),
        RFC(8725, "3.2"),
        RFC(7518, "3.1"),
        RFC(9864),
        CWE(327),
        CWE(757),
    ),
)
async def unlisted_algorithm(probe: Probe) -> Verdict:
    """Only the algorithms that the service uses must verify a token, and their names compare exactly.

    Why: the algorithm belongs to the key. A list that was copied from a tutorial, or that the token's own
        header fills, leaves the choice to the forger: from there one confused key is enough.
    How: with the true key sign a live token's claims under every other algorithm that the key can do, and
        under the right one with a name in another spelling; name RS256 what is PS256, and the reverse. The
        list is what you declare, or else what issued tokens name.
    Fix: name one algorithm beside its key: `jwt.decode(token, key, algorithms=["HS256"])`.
    """
    forge = await probe.forge()
    declared = probe.target.policy.algorithms
    listed = {*declared, forge.token.algorithm} | await probe.issued_algorithms()
    # What was only seen may be narrower than what is meant: a sibling is worth a remark, not an alarm.
    sibling = None if declared else Severity.LOW
    attempts = [
        Attempt(
            f"a token signed with the true key under {name}", forge.live.with_value(text), severity=sibling
        )
        for name, text in other_algorithms(forge)
        if name not in listed
    ]
    attempts += [
        Attempt(f"a token {label}", forge.live.with_value(text))
        for name, label, text in mislabelled(forge)
        if name not in listed
    ]
    if declared:
        attempts += [
            Attempt(f"a token under {name}, which is not declared", forge.live.with_value(text))
            for name, text in synonyms(forge)
            if name not in listed
        ]
    attempts += [
        Attempt(f"a token under {name} beside key pairs", forge.live.with_value(text), severity=Severity.HIGH)
        for name, text in allowed_elsewhere(forge, probe.target.signing_keys)
    ]
    return await probe.must_refuse(attempts, credential=forge.live, controls=(await probe.honest(),))
