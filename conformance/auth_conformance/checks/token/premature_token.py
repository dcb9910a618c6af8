"""TOK204."""

from auth_conformance.sdk import (
    ASVS,
    CWE,
    RFC,
    Attempt,
    Depth,
    Missing,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)

# RFC 7519 §4.1.5 allows "usually no more than a few minutes" of difference between clocks.
TOLERATED = 301
FAR = 100_000_000


@check(
    "TOK204",
    "nbf-honoured-and-future-iat-bounded",
    title="Token accepted before its time",
    severity=Severity.MEDIUM,
    level=1,
    depth=Depth.GREY,
    budget=40,
    needs=(Need.WITNESS, Need.JWT),
    references=(
        ASVS("9.2.1"),
        RFC(7519, "4.1.5"),
        RFC(7519, "4.1.6"),
        CWE(613),
    ),
    exclusive=True,
)
async def premature_token(probe: Probe) -> Verdict:
    """A token must not work before its `nbf`, and one that was issued in the future must be refused.

    Why: tokens are signed ahead of time for what begins later: a shift, a contract, a booking. And whoever
        revokes "everything issued before now" relies on `iat` not lying ahead.
    How: with the true key sign the caller's claims with an `nbf` five minutes to three years ahead, and at level 3
        an `iat`; without the key, let an application in this process issue a token an hour ahead of its time. An
        `nbf` five seconds ago is the control.
    Fix: leave `verify_nbf` and `verify_iat` on, and `leeway` small: `jwt.decode(token, key, leeway=30, …)`.
    """
    try:
        forge = await probe.forge()
    except Missing:
        session, ahead = await probe.begun_later()
        early = Attempt(f"a token that the service issued for {ahead:g} s later", session.credential)
        return await probe.must_refuse((early,), credential=await probe.credential(probe.token_kind))
    now = int(probe.scene.recorder.clock.now() + forge.offset)
    claims = probe.fresh_claims(forge)
    attempts = [
        Attempt(
            f"a signed token that begins in {seconds} s",
            forge.credential({**claims, "nbf": now + seconds, "exp": now + seconds + forge.lifetime}),
        )
        for seconds in (TOLERATED, 3_600, FAR)
    ]
    if probe.scene.level >= 3:
        attempts += [
            Attempt(
                f"a signed token that says it was issued in {seconds} s",
                forge.credential({**claims, "iat": now + seconds, "exp": now + seconds + forge.lifetime}),
                severity=Severity.LOW,
            )
            for seconds in (3_600, FAR)
        ]
    begun = Attempt(
        "control: a signed token that began 5 s ago", forge.credential({**claims, "nbf": now - 5})
    )
    return await probe.must_refuse(attempts, credential=forge.live, controls=(await probe.honest(), begun))
