"""TOK203."""

from auth_conformance.probe.times import ends_in_other_types, mistyped, starts_in_other_types
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
    "TOK203",
    "time-claims-type-strict",
    title="Time claim of a wrong type accepted",
    severity=Severity.MEDIUM,
    level=2,
    depth=Depth.GREY,
    budget=70,
    needs=(Need.WITNESS, Need.JWT),
    references=(
        ASVS("9.2.1"),
        ASVS("15.3.5"),
        RFC(7519, "2"),
        RFC(8259, "6"),
        CWE(704),
        CWE(613),
    ),
)
async def mistyped_time(probe: Probe) -> Verdict:
    """Times in a token must be JSON numbers that name a moment; anything else must be refused cleanly.

    Why: `float("nan") < now` is false for ever, `True` is 1, and Python's `int` reads texts that no other
        reader takes for numbers: each of them makes an end that never comes, or breaks the worker.
    How: with the true key sign the caller's claims with an `exp`, and then an `nbf`, of every other type and
        size, each meaning the future and the past. A fraction of a second is legal (RFC 7519 §2): a service that
        refuses it is only noted.
    Fix: leave times to the library, and refuse what is no number before that:
        `if type(claims["exp"]) not in (int, float) or not math.isfinite(claims["exp"]): raise invalid_token()`.
    """
    forge = await probe.forge()
    claims = probe.fresh_claims(forge)
    now = int(probe.scene.recorder.clock.now() + forge.offset)
    cases = ends_in_other_types(now)
    if await probe.keeps_starts():
        cases += starts_in_other_types(now)
    else:
        probe.notes.append("nbf was not varied: it is not looked at, which TOK204 judges")
    attempts = [
        Attempt(f"a signed token whose {case}", forge.raw(mistyped(claims, case)), severity=case.severity)
        for case in cases
    ]
    fraction = forge.credential({**claims, "exp": now + 60.5})
    if not await probe.is_taken(Attempt("an end with a fraction of a second", fraction)):
        # RFC 7519 §2 allows it, and nobody is harmed by a service that wants whole seconds.
        probe.notes.append("an end with a fraction of a second is refused as well, which RFC 7519 §2 allows")
    return await probe.must_refuse(attempts, credential=forge.live, controls=(await probe.honest(),))
