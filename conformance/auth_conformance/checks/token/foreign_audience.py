"""TOK208."""

from auth_conformance.sdk import (
    ASVS,
    CWE,
    RFC,
    WSTG,
    Attempt,
    Credential,
    Depth,
    Failed,
    Jwt,
    Missing,
    Need,
    Probe,
    Severity,
    Unclear,
    Verdict,
    Violation,
    check,
)

OTHER = "https://other-service.example"


@check(
    "TOK208",
    "audience-enforced",
    title="Token for another audience accepted",
    severity=Severity.HIGH,
    level=2,
    depth=Depth.GREY,
    budget=40,
    needs=(Need.WITNESS, Need.JWT),
    references=(
        ASVS("9.2.3"),
        ASVS("9.2.4"),
        ASVS("10.3.1"),
        RFC(7519, "4.1.3"),
        RFC(8725, "3.9"),
        RFC(9068, "4"),
        CWE(863),
        WSTG("ATHZ-05"),
    ),
)
async def foreign_audience(probe: Probe) -> Verdict:
    """A service must accept only tokens whose audience names this service, exactly.

    Why: where several services trust one issuer, the operator of one of them, or whoever stole a token
        there, becomes every user of all the others.
    How: sign the caller's honest claims with the true key and another audience: a stranger's, none, null,
        empty, a piece of the right one, the right one in another case or in the wrong structure. Without the
        key, or beside it, present a live token of the same issuer for another service (`foreign_token`).
    Fix: `jwt.decode(token, key, algorithms=["HS256"], audience="my-api", options={"require": ["aud"]})`.
    """
    token = probe.jwt_of(await probe.credential(probe.token_kind))
    issued = token.claims.get("aud")
    named = [issued] if isinstance(issued, str) else issued
    if not isinstance(named, list) or not all(isinstance(name, str) and name for name in named) or not named:
        if token.is_reference:
            raise Missing(
                "Not applicable: issued tokens hold an id and no person, which no other service can use.",
                applicable=False,
            )
        return await _issued_without_audience(probe)
    right = next((name for name in named if name in probe.target.policy.audience), named[0])
    values: dict[str, object] = {
        "another audience": OTHER,
        "a list of other audiences": [OTHER, f"{OTHER}/2"],
        "a null audience": None,
        "an empty audience": "",
        "an empty list of audiences": [],
        "the beginning of the right audience": right[:-1],
        "the end of the right audience": right[1:],
        "an audience that begins with the right one": f"{right}x",
        "an audience that ends with the right one": f"x{right}",
        "the right audience in another case": right.swapcase(),
        "the right audience with a slash": right.removesuffix("/") if right.endswith("/") else f"{right}/",
        "the right audience as a member of an object": {right: right},
        "the right audience in a list in a list": [[right]],
    }
    live = await probe.credential(probe.token_kind)
    foreign = _issued_elsewhere(probe, live)
    try:
        await probe.forge()
    except Missing:
        if not foreign:
            raise
        return await probe.must_refuse(foreign, credential=live)
    attempts = [*foreign, Attempt("a signed token without aud", await probe.minted_without("aud"))]
    for label, value in values.items():
        if value not in named:
            attempts.append(Attempt(f"a signed token with {label}", await probe.minted(aud=value)))
    await _other_form(probe, named)
    return await probe.must_refuse(attempts, credential=live, controls=(await probe.honest(),))


def _issued_elsewhere(probe: Probe, live: Credential) -> list[Attempt]:
    """The token that the same issuer gave for another service, where the user has one. Raises Unclear."""
    if probe.target.foreign_token is None:
        return []
    text = probe.target.foreign_token.reveal()
    probe.scene.recorder.redactor.learn(probe.target.foreign_token)
    token = Jwt.parse(text)
    end = token.claims.get("exp") if token is not None else None
    if isinstance(end, int | float) and end <= probe.scene.recorder.clock.now():
        raise Unclear(
            "The token for another service (foreign_token) is over: its refusal would prove nothing."
        )
    return [Attempt("a live token that the same issuer gave for another service", live.with_value(text))]


async def _other_form(probe: Probe, named: list[str]) -> None:
    """Note whether the form that the service does not issue (text or list) would be accepted."""
    is_text = isinstance((await probe.forge()).token.claims.get("aud"), str)
    form: object = named if is_text else named[0]
    other = Attempt(
        "the right audience in the form that is not issued", await probe.minted(aud=form), core=False
    )
    baseline = await probe.baseline(probe.witness, await probe.credential(probe.token_kind))
    if not (await probe.attempt(probe.witness, other, baseline)).accepted:
        word = "list" if is_text else "text"
        probe.notes.append(
            f"aud as a {word} is refused, though RFC 7519 §4.1.3 allows both: clients may stumble."
        )


async def _issued_without_audience(probe: Probe) -> Verdict:
    session = await probe.log_in(probe.account(), probe.token_kind)
    operation = session.answer.exchange.operation
    declared = ", ".join(probe.target.policy.audience)
    because = f", though {declared} is declared" if declared else ": no other service may ever trust this key"
    message = f"{operation} issues tokens that name no audience{because}."
    # Nothing was let in: it is what others may do with the token (ASVS V9.2.4).
    violation = Violation(operation, message, Severity.LOW, (session.answer.exchange,))
    return Failed((violation,))
