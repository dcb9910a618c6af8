"""TOK125."""

from auth_conformance.credentials import compact_json
from auth_conformance.probe.encryption import with_public_key, with_secret
from auth_conformance.probe.keyforms import PublicKey, public_jwk, public_key
from auth_conformance.sdk import (
    ASVS,
    CWE,
    RFC,
    Attempt,
    Jwt,
    Missing,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "TOK125",
    "encrypted-token-not-trusted-as-signed",
    title="Encrypted token accepted though nobody signed it",
    severity=Severity.CRITICAL,
    level=1,
    budget=50,
    needs=(Need.WITNESS, Need.JWT),
    references=(
        ASVS("9.1.1"),
        ASVS("9.1.2"),
        RFC(8725, "2.3"),
        RFC(8725, "3.1"),
        RFC(7516, "11"),
        CWE(347),
    ),
)
async def encrypted_as_signed(probe: Probe) -> Verdict:
    """A token that is encrypted and not signed must not be believed: anybody can encrypt to a public key.

    Why: confidentiality is no authenticity. A library that was given a key pair and a list with signing and
        encryption algorithms decrypts what a stranger wrote, and takes it for claims.
    How: encrypt a live token's claims, and an unsigned token with them, to the service's public key (RSA-OAEP,
        RSA1_5, ECDH-ES, three contents); where the shared secret is known, also under that secret.
    Fix: verify with a function that knows signatures alone, `jwt.decode(token, key, algorithms=["RS256"])`, and
        use another key pair for encryption.
    """
    live = await probe.credential(probe.token_kind)
    token = probe.jwt_of(live)
    claims = compact_json(dict(token.claims)).encode()
    unsigned = Jwt.build({"alg": "none"}, token.claims).text.encode()
    header = {name: token.header[name] for name in ("typ", "kid") if name in token.header}
    nested = {**header, "cty": "JWT"}
    texts: dict[str, str] = {}
    for key in await _public_keys(probe, token):
        texts |= {f"claims encrypted ({way})": text for way, text in with_public_key(key, claims, header)}
        inner = next(iter(with_public_key(key, unsigned, nested)), None)
        if inner is not None:
            texts[f"an unsigned token encrypted ({inner[0]})"] = inner[1]
    for known in probe.target.signing_keys:
        if known.symmetric and known.verifies(token):
            secret = known.secret.reveal().encode("utf-8", "surrogatepass")
            texts |= {f"claims encrypted ({way})": text for way, text in with_secret(secret, claims, header)}
            way, text = next(iter(with_secret(secret, unsigned, nested)))
            texts[f"an unsigned token encrypted ({way})"] = text
    if not texts:
        raise _nothing_to_encrypt_with(probe, token)
    return await probe.must_refuse(
        [Attempt(label, live.with_value(text)) for label, text in texts.items()], credential=live
    )


async def _public_keys(probe: Probe, token: Jwt) -> list[PublicKey]:
    """The published keys to which anybody can encrypt, the token's own first; at most two."""
    known = sorted(probe.target.public_keys, key=lambda jwk: jwk.get("kid") != token.header.get("kid"))
    known = known or [jwk for key in probe.target.signing_keys if (jwk := public_jwk(key)) is not None]
    if not known and (recovered := await probe.recovered_key()) is not None:
        known = [recovered]
    return [key for jwk in known[:2] if (key := public_key(jwk)) is not None]


def _nothing_to_encrypt_with(probe: Probe, token: Jwt) -> Missing:
    if token.algorithm.startswith("HS"):
        return Missing(
            f"Not applicable: tokens are signed with {token.algorithm}, no key is published, and the secret is "
            "not known: nobody can encrypt to this service.",
            applicable=False,
        )
    if token.algorithm in ("EdDSA", "Ed25519") and probe.target.public_keys:
        return Missing(
            "Not applicable: nobody can encrypt to the published key, which only signs.", applicable=False
        )
    return Missing(
        f"Not tested: tokens are signed with {token.algorithm}, and no public key was found.",
        probe.target.remedies.get(Need.PUBLIC_KEY, ""),
    )
