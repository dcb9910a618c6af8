"""TOK130."""

from collections.abc import Mapping, Sequence
from typing import Any

from auth_conformance.oracles.keysets import GRAVE, faults, remarks
from auth_conformance.sdk import (
    ASVS,
    CWE,
    RFC,
    Failed,
    Inconclusive,
    Missing,
    Need,
    Passed,
    Probe,
    Severity,
    Verdict,
    Violation,
    check,
)


@check(
    "TOK130",
    "published-keys-public-and-strong",
    title="Published key set with a secret, weak or confused key",
    severity=Severity.HIGH,
    level=1,
    budget=12,
    references=(
        ASVS("9.1.1"),
        ASVS("11.2.3"),
        ASVS("11.6.1"),
        ASVS("13.3.1"),
        RFC(7517, "4"),
        RFC(7517, "9.2"),
        RFC(7518, "3.3"),
        RFC(8725, "3.5"),
        CWE(326),
        CWE(321),
    ),
)
async def weak_published_key(probe: Probe) -> Verdict:
    """A published key set must hold public halves of strong keys only, each under a name of its own.

    Why: a dump of the whole key object publishes what signs; a short, sample or badly made key is factored
        or looked up; and a name that fits two keys lets readers disagree about which one counts.
    How: read the set twice and compute: private members, symmetric keys, sizes, exponents, structures with
        known shortcuts (ROCA, Fermat), samples from standards and tutorials, curves, uses, names, and certificates
        (x5c) of another key, in the set and in the headers of tokens.
    Fix: publish the public half alone: `RSAAlgorithm.to_jwk(private_key.public_key())`.
    """
    where = probe.target.key_set
    issued = await _issued_headers(probe)
    if where is None and probe.target.public_keys:
        return _carried(probe, issued, probe.target.public_keys)
    if where is None and any("x5c" in header for header in issued):
        return _carried(probe, issued)
    if where is None:
        if all(str(header.get("alg", "")).startswith("HS") for header in issued):
            signed = (
                "tokens are signed with a shared secret" if issued else "tokens are no JWTs, as far as seen"
            )
            raise Missing(f"Not applicable: {signed}, and no key set is published.", applicable=False)
        raise Missing(
            "Not tested: tokens are signed with a key pair, and no key set was found.",
            probe.target.remedies.get(Need.PUBLIC_KEY, ""),
        )
    answers = [await probe.call(where, label=f"read the key set{word}") for word in ("", ", again")]
    sets = [_keys_in(answer.reply.json) for answer in answers]
    if not sets[0] or not sets[1]:
        return Inconclusive(f"{where.name} shows no key set any more ({answers[0].status}).")
    found = [fault for fault in faults(sets[0], issued) if fault in faults(sets[1], issued)]
    if not found:
        reason = f"{len(sets[0])} keys at {where.name}: public, strong, and named apart."
        return Passed(reason, tuple(probe.evidence), tuple(remarks(sets[0])))
    evidence = tuple(answer.exchange for answer in answers)
    violations = tuple(
        Violation(
            where.name,
            f"{where.name}: {fault.words}.",
            None if fault.gravity == GRAVE else Severity.LOW,
            evidence,
        )
        for fault in found
    )
    return Failed(violations, tuple(probe.evidence), tuple(remarks(sets[0])))


def _carried(
    probe: Probe, issued: list[Mapping[str, Any]], given: Sequence[Mapping[str, Any]] = ()
) -> Verdict:
    """This service publishes no key set: judge the one that was given, else the certificate that tokens carry."""
    evidence = tuple(probe.evidence)
    violations = tuple(
        Violation(
            probe.witness.operation.name,
            f"{fault.words[0].upper()}{fault.words[1:]}.",
            None if fault.gravity == GRAVE else Severity.LOW,
            evidence[-1:],
        )
        for fault in faults(list(given), issued if given else [{**header, "kid": None} for header in issued])
    )
    if violations:
        return Failed(violations, evidence)
    if given:
        return Passed(f"{len(given)} keys of the issuer: public, strong, and named apart.", evidence)
    return Passed(
        "No key set is known; the certificate that tokens carry (x5c) holds a strong public key.", evidence
    )


def _keys_in(data: Any) -> list[Mapping[str, Any]]:
    keys = data.get("keys") if isinstance(data, dict) else None
    return [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []


async def _issued_headers(probe: Probe) -> list[Mapping[str, Any]]:
    if probe.token_kind not in probe.kinds():
        return []
    token = (await probe.credential(probe.token_kind)).jwt
    return [token.header] if token is not None else []
