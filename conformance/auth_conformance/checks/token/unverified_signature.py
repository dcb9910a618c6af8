"""TOK102."""

from auth_conformance.sdk import (
    API,
    ASVS,
    CWE,
    RFC,
    WSTG,
    Attempt,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "TOK102",
    "signature-is-verified",
    title="Token with an altered signature or altered content accepted",
    severity=Severity.CRITICAL,
    level=1,
    budget=80,
    needs=(Need.WITNESS, Need.TOKEN),
    references=(
        ASVS("9.1.1"),
        ASVS("6.8.2"),
        RFC(7515, "5.2"),
        RFC(7519, "7.2"),
        RFC(8725, "3.3"),
        API(2),
        CWE(347),
        WSTG("SESS-10"),
    ),
    masks=("TOK110-TOK127", "TOK201-TOK211"),
)
async def unverified_signature(probe: Probe) -> Verdict:
    """The content of a token must be trusted only after the signature over exactly that content verifies.

    Why: without verification the caller writes the claims, so the caller is whoever the token says.
    How: leave the payload alone and break the signature; then keep the signature and change the payload or
        the header. The last base64url character is never touched: its low bits are padding. Other routers may
        read tokens in a way of their own: a read of each is asked with a broken signature.
    Fix: `jwt.decode(token, key, algorithms=["HS256"])`, and never `options={"verify_signature": False}`.
    """
    live = await probe.credential(probe.token_kind)
    token = live.jwt
    if token is None:
        return await probe.must_refuse(
            Attempt(f"an opaque token with its {place} character changed", live.with_value(text))
            for place, text in probe.respelled(live.value.reveal())
        )
    sibling = (await probe.credential(probe.token_kind, fresh=True)).jwt or token
    signature = token.signature
    forged = {
        "one bit of the signature flipped": token.with_flipped_signature(),
        "a random signature": token.with_signature(probe.rng.randbytes(len(signature))),
        "an empty signature": token.unsigned(),
        "half of the signature": token.with_signature(signature[: len(signature) // 2]),
        "an added claim": token.with_claims(added_by_conformance_suite="1"),
        "an added header member": token.with_header(added="1"),
    }
    if sibling.signature != signature:
        forged["the signature of another token of the same user"] = token.with_signature(sibling.signature)
    if "b" in probe.target.accounts:
        other = (await probe.credential(probe.token_kind, "b")).jwt
        if other is not None:
            forged["the signature of another user's token"] = token.with_signature(other.signature)
            if other.claims.get("sub") is not None:
                forged = {
                    "another user's subject under the caller's signature": token.with_claims(
                        sub=other.claims["sub"]
                    ),
                    **forged,
                }
    attempts = [
        Attempt(f"a token with {label}", live.with_value(item.text)) for label, item in forged.items()
    ]
    attempts.append(Attempt("a token without its last part", live.with_value(token.text.rpartition(".")[0])))
    verdict = await probe.must_refuse(attempts, credential=live)
    broken = Attempt(
        "a token with one bit of the signature flipped", live.with_value(token.with_flipped_signature().text)
    )
    return await probe.refused_elsewhere(verdict, broken, live)
