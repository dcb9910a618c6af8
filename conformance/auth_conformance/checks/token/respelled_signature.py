"""TOK127."""

from auth_conformance.probe.signatures import padded, respelled, uses_url_alphabet
from auth_conformance.sdk import (
    ASVS,
    CWE,
    RFC,
    Attempt,
    Credential,
    Need,
    Passed,
    Probe,
    Severity,
    Verdict,
    check,
)

# How many tokens are issued until a signature has a character that plain base64 writes otherwise.
ISSUED = 4


@check(
    "TOK127",
    "token-encoding-strict",
    title="Other spelling of a token accepted",
    severity=Severity.LOW,
    level=2,
    budget=50,
    needs=(Need.WITNESS, Need.JWT),
    references=(
        ASVS("9.1.1"),
        ASVS("1.1.1"),
        RFC(7515, "2"),
        RFC(4648, "3.3"),
        RFC(4648, "3.5"),
        CWE(347),
        CWE(436),
    ),
)
async def respelled_signature(probe: Probe) -> Verdict:
    """One token must have one text: every other spelling of it must be refused.

    Why: a list of revoked tokens, a cache or a replay guard that compares texts is passed by a token that
        reads differently and means the same.
    How: change only how a live token's signature is written: unused bits, four foreign characters inside,
        junk behind the padding, the alphabet of plain base64, a percent sign. Padding alone is only noted.
    Fix: decode strictly before anything else: `base64.b64decode(part, altchars=b"-_", validate=True)`, and
        refuse what does not encode back to the same text.
    """
    live = await _with_telling_signature(probe)
    token = probe.jwt_of(live)
    attempts = [Attempt(f"a token with {trick}", live.with_value(text)) for trick, text in respelled(token)]
    verdict = await probe.must_refuse(attempts, credential=live)
    if not isinstance(verdict, Passed):
        return verdict
    baseline = await probe.baseline(probe.witness, live)
    taken = [
        label
        for label, text in padded(token).items()
        if (
            await probe.attempt(
                probe.witness, Attempt(f"a token with {label}", live.with_value(text)), baseline
            )
        ).accepted
    ]
    notes = (f"padding is accepted: {', '.join(taken)}",) if taken else ()
    return Passed(verdict.reason, tuple(probe.evidence), (*verdict.notes, *notes))


async def _with_telling_signature(probe: Probe) -> Credential:
    """A live token whose signature has a character that plain base64 writes otherwise, if one comes soon."""
    live = await probe.credential(probe.token_kind)
    for _ in range(ISSUED):
        if uses_url_alphabet(probe.jwt_of(live)):
            break
        live = await probe.credential(probe.token_kind, fresh=True)
    else:
        probe.notes.append("no signature came that plain base64 writes otherwise: that spelling was not sent")
    return live
