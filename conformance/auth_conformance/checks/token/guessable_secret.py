"""TOK114."""

import hmac

from auth_conformance.probe.guessing import SHORTEST, UNSET, Guess
from auth_conformance.sdk import (
    ASVS,
    CVE,
    CWE,
    RFC,
    WSTG,
    Attempt,
    Credential,
    Failed,
    Jwt,
    Need,
    Passed,
    Probe,
    Secret,
    Severity,
    SigningKey,
    Unclear,
    Verdict,
    Violation,
    check,
)


@check(
    "TOK114",
    "hmac-secret-not-guessable",
    title="HMAC secret that can be guessed",
    severity=Severity.CRITICAL,
    level=1,
    budget=24,
    needs=(Need.WITNESS, Need.TOKEN, Need.JWT),
    references=(
        ASVS("9.1.1"),
        ASVS("11.2.3"),
        ASVS("13.2.3"),
        ASVS("13.3.1"),
        RFC(7518, "3.2"),
        RFC(8725, "2.2"),
        RFC(8725, "3.5"),
        CVE("2019-20933"),
        CWE(326),
        CWE(521),
        CWE(1392),
        WSTG("SESS-10"),
    ),
)
async def guessable_secret(probe: Probe) -> Verdict:
    """The secret that signs tokens must be random, as long as the hash output, and printed nowhere.

    Why: one token is enough to try millions of secrets a second without a single request; whoever finds
        the right one signs as anybody.
    How: offline, against one issued token: published samples, what a missing setting turns into, common
        passwords, and names that the service shows, with the usual decorations. Services that sign with a
        key pair are sent tokens under what a missing setting turns into.
    Fix: `python -c 'import secrets; print(secrets.token_urlsafe(64))'`, in the environment, without a
        default: `secret_key: SecretStr` and not `secret_key: str = "changethis"`.
    """
    live = await probe.credential(probe.token_kind)
    token = probe.jwt_of(live)
    if not token.algorithm:
        raise Unclear("Issued tokens name no algorithm.")
    if token.algorithm not in SHORTEST:
        return await _unset_secrets(probe, live, token)
    baseline = await probe.baseline(probe.witness, live)
    await probe.must_live(probe.witness, live, baseline, "before")
    found = await probe.guessed(token)
    if found.hit is not None:
        return await _hit(probe, live, token, found.hit)
    key = next((key for key in probe.target.signing_keys if key.verifies(token)), None)
    if key is not None and (short := _too_short(key, token.algorithm)):
        short_one = Violation(probe.witness.operation.name, short, Severity.HIGH, tuple(probe.evidence[-1:]))
        return Failed((short_one,), tuple(probe.evidence), tuple(probe.notes))
    known = " The known key is as long as the hash output." if key else ""
    reason = f"The secret of {token.algorithm} is not among {found.tried} candidates.{known}"
    return Passed(reason, tuple(probe.evidence), tuple(probe.notes))


async def _hit(probe: Probe, live: Credential, token: Jwt, hit: Guess) -> Verdict:
    """Confirm with one forged token. What is known is known, even where something else refuses it."""
    probe.scene.recorder.redactor.learn_key(Secret(hit.secret.decode("utf-8", "replace")))
    end = token.claims.get("exp")
    longer = token.with_claims(exp=end + 60) if isinstance(end, int | float) else token
    forged = _mac(longer, hit.secret)
    baseline = await probe.baseline(probe.witness, live)
    attempt = Attempt("a token of our own under the guessed secret", live.with_value(forged.text))
    answer = await probe.attempt(probe.witness, attempt, baseline)
    confirmed = (
        "and a token signed with it gets in"
        if answer.accepted
        else f"though a token signed with it did not get in ({answer.why})"
    )
    message = f"The secret of {token.algorithm} is {hit.kind}, found after {hit.tried} guesses, {confirmed}."
    violation = Violation(probe.witness.operation.name, message, None, (answer.exchange,))
    return Failed((violation,), tuple(probe.evidence), tuple(probe.notes))


async def _unset_secrets(probe: Probe, live: Credential, token: Jwt) -> Verdict:
    claimed = token.with_header(alg="HS256")
    random = Attempt(
        "control: a token under a random HMAC secret",
        live.with_value(_mac(claimed, probe.rng.randbytes(32)).text),
    )
    return await probe.must_refuse(
        (
            Attempt(f"a token under {name} as HMAC secret", live.with_value(_mac(claimed, secret).text))
            for name, secret in UNSET.items()
        ),
        credential=live,
        must_hold=(random,),
    )


def _mac(token: Jwt, secret: bytes) -> Jwt:
    return token.with_signature(hmac.digest(secret, token.signing_input, f"sha{token.algorithm[2:]}"))


def _too_short(key: SigningKey, algorithm: str) -> str | None:
    length, least = len(key.secret.reveal().encode("utf-8", "surrogatepass")), SHORTEST[algorithm]
    if length >= least:
        return None
    return (
        f"The secret of {algorithm} is {length} bytes long, and the hash output is {least} (RFC 7518 §3.2)."
    )
