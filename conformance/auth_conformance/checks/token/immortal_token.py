"""TOK202."""

from auth_conformance.oracles.moments import moments
from auth_conformance.sdk import (
    ASVS,
    CWE,
    RFC,
    Attempt,
    Depth,
    Failed,
    Missing,
    Need,
    Probe,
    Severity,
    Unclear,
    Verdict,
    Violation,
    check,
)


@check(
    "TOK202",
    "exp-required",
    title="Token without an expiry accepted",
    severity=Severity.HIGH,
    level=1,
    depth=Depth.GREY,
    budget=24,
    needs=(Need.WITNESS, Need.JWT),
    references=(
        ASVS("9.2.1"),
        ASVS("7.3.2"),
        RFC(7519, "4.1.4"),
        RFC(9068, "2.2"),
        RFC(8725, "3.10"),
        CWE(613),
    ),
)
async def immortal_token(probe: Probe) -> Verdict:
    """A signed token must carry an expiry, or be refused.

    Why: one token that was signed without `exp`, by an old release or another service with the same key,
        opens the account for ever. Python's JWT libraries accept it unless told otherwise.
    How: look at an issued token; then sign the caller's honest claims with the true key, `exp` removed,
        null, empty, or under another name, while the same claims with `exp` get in.
    Fix: `jwt.decode(token, key, algorithms=["HS256"], options={"require": ["exp"]})`.
    """
    token = probe.jwt_of(await probe.credential(probe.token_kind))
    if "exp" not in token.claims:
        if token.is_reference:
            raise Missing(
                "Not applicable: issued tokens hold an id and no person; what ends is a session of the service "
                "(SES115).",
                applicable=False,
            )
        return await _issued_without_end(probe)
    honest = await probe.honest()
    end = int((await probe.forge()).claims(probe.scene.recorder.clock.now()).get("exp", 0))
    attempts = (
        Attempt("a signed token without exp", await probe.minted_without("exp")),
        Attempt("a signed token whose exp is null", await probe.minted(exp=None)),
        Attempt("a signed token whose exp is empty", await probe.minted(exp="")),
        Attempt("a signed token with EXP instead of exp", await probe.minted_without("exp", EXP=end)),
        Attempt("a signed token with expires instead of exp", await probe.minted_without("exp", expires=end)),
    )
    live = await probe.credential(probe.token_kind)
    return await probe.must_refuse(attempts, credential=live, controls=(honest,))


async def _issued_without_end(probe: Probe) -> Verdict:
    session = await probe.log_in(probe.account(), probe.token_kind)
    if "exp" in probe.jwt_of(session.credential).claims:
        raise Unclear("One issued token has an exp claim, another has none.")
    if any(
        moment.ahead > 0 for moment in moments(session.answer.reply.json, probe.scene.recorder.clock.now())
    ):
        raise Unclear(
            "Issued tokens carry no exp, but the login states an end: the service may keep it on its side.",
        )
    operation = session.answer.exchange.operation
    message = f"{operation} issues tokens that carry no expiry (seen in two of them)."
    return Failed((Violation(operation, message, None, (session.answer.exchange,)),))
