"""TOK102."""

from auth_conformance.sdk import (
    API,
    ASVS,
    CWE,
    RFC,
    WSTG,
    Attempt,
    Jwt,
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
    signature = token.signature
    forged = {
        **await _with_anothers(probe, token),
        "one bit of the signature flipped": token.with_flipped_signature(),
        "a random signature": token.with_signature(probe.rng.randbytes(len(signature))),
        "an empty signature": token.unsigned(),
        "half of the signature": token.with_signature(signature[: len(signature) // 2]),
        "an added claim": token.with_claims(added_by_conformance_suite="1"),
        "an added header member": token.with_header(added="1"),
    }
    forged |= await _with_siblings(probe, token)
    attempts = [
        Attempt(f"a token with {label}", live.with_value(item.text)) for label, item in forged.items()
    ]
    attempts.append(Attempt("a token without its last part", live.with_value(token.text.rpartition(".")[0])))
    verdict = await probe.must_refuse(attempts, credential=live)
    broken = Attempt(
        "a token with one bit of the signature flipped", live.with_value(token.with_flipped_signature().text)
    )
    return await probe.refused_elsewhere(verdict, broken, live)


async def _with_siblings(probe: Probe, token: Jwt) -> dict[str, Jwt]:
    """The token with the signature of another one of the same user, which must be another one."""
    sibling = (await probe.credential(probe.token_kind, fresh=True)).jwt
    if sibling is None or sibling.signature == token.signature:
        probe.notes.append(
            "not sent: the signature of another token of the same user, for a second login gave no other token "
            "(TOK213); a jti of its own in each would tell them apart"
        )
        return {}
    return {"the signature of another token of the same user": token.with_signature(sibling.signature)}


async def _with_anothers(probe: Probe, token: Jwt) -> dict[str, Jwt]:
    """What takes a token of a second user: their subject, and their signature."""
    if "b" not in probe.target.accounts:
        probe.notes.append(
            "not sent: another user's subject, and another user's signature, for no second user is known "
            "([accounts.b])"
        )
        return {}
    other = (await probe.credential(probe.token_kind, "b")).jwt
    if other is None:
        probe.notes.append("not sent: another user's subject and signature, for their token is no JWT")
        return {}
    subject = other.claims.get("sub")
    return {
        "another user's subject under the caller's signature": token.with_claims(sub=subject)
        if subject is not None
        else other.with_signature(token.signature),
        "the signature of another user's token": token.with_signature(other.signature),
    }
