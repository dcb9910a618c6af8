"""TOK124."""

from auth_conformance.probe.signatures import repackaged
from auth_conformance.sdk import (
    ASVS,
    CWE,
    RFC,
    Attempt,
    Credential,
    Jwt,
    Missing,
    Need,
    Probe,
    Severity,
    Unclear,
    Verdict,
    check,
)


@check(
    "TOK124",
    "compact-serialisation-only",
    title="Token in another form than the compact one accepted",
    severity=Severity.MEDIUM,
    level=1,
    budget=40,
    needs=(Need.WITNESS, Need.JWT),
    references=(
        ASVS("9.1.1"),
        RFC(7519, "3"),
        RFC(7519, "7.2"),
        RFC(7515, "7"),
        RFC(6750, "2.1"),
        CWE(347),
    ),
)
async def other_serialisation(probe: Probe) -> Verdict:
    """Only a compact JWS of three parts must pass for a bearer token.

    Why: the JSON forms have headers that nobody signs and several signatures of which one may count; code
        that reads them beside the compact form decides about one and believes the other.
    How: repackage a live token without any key: flattened and general JSON, detached, with four and five
        parts, twice, with percent-encoded dots; with the true key also nested in another token.
    Fix: hand the text to one function that takes nothing else: `jwt.decode(token, key, algorithms=["HS256"])`.
    """
    live = await probe.credential(probe.token_kind)
    token = probe.jwt_of(live)
    attempts = [
        Attempt(f"a token repackaged: {label}", live.with_value(text))
        for label, text in repackaged(token).items()
    ]
    nested = await _nested(probe, token)
    if nested is not None:
        attempts.append(Attempt("a signed token whose content is a live token", nested, core=False))
    return await probe.must_refuse(attempts, credential=live)


async def _nested(probe: Probe, token: Jwt) -> Credential | None:
    """A live token inside a signed one (RFC 7519 §5.2), where the true key is known."""
    try:
        forge = await probe.forge()
    except (Missing, Unclear):
        return None
    return forge.raw(token.text, cty="JWT")
