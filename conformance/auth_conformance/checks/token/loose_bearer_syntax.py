"""TOK301."""

from auth_conformance.sdk import (
    ASVS,
    CWE,
    RFC,
    Attempt,
    Kind,
    Missing,
    Need,
    Passed,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "TOK301",
    "bearer-scheme-syntax",
    title="Malformed Authorization header accepted",
    severity=Severity.LOW,
    level=1,
    budget=40,
    needs=(Need.WITNESS, Need.BEARER),
    references=(
        ASVS("1.5.3"),
        ASVS("4.2.1"),
        RFC(9110, "11.1"),
        RFC(9110, "11.4"),
        RFC(6750, "2.1"),
        CWE(436),
    ),
)
async def loose_bearer_syntax(probe: Probe) -> Verdict:
    """The Authorization header must hold one scheme, whose case does not matter, and exactly one token.

    Why: a proxy, a log filter and an application that cut the header at different places see different
        callers; what one of them redacts or checks, another does not.
    How: send a live token with the scheme in other case, which must work, and in a dozen malformed headers:
        bare, behind a colon, a comma or a tab, under another scheme, twice, in quotes, before the scheme.
    Fix: leave the parsing to `fastapi.security.HTTPBearer`, and never take `header.split()[-1]`.
    """
    live = await probe.credential(Kind.BEARER)
    carrier, token = live.carrier, live.value.reveal()
    word = carrier.prefix
    if carrier.name.lower() != "authorization" or not word:
        raise Missing(
            f"Not applicable: bearer tokens travel in {carrier}, not behind a scheme.", applicable=False
        )
    declared = {item.prefix.lower() for item in probe.target.carriers}
    malformed = {
        "a bare token": token,
        "a colon behind the scheme": f"{word}: {token}",
        "a comma behind the scheme": f"{word},{token}",
        "an equals sign behind the scheme": f"{word}={token}",
        "a tab behind the scheme": f"{word}\t{token}",
        "the token twice": f"{word} {token} {token}",
        "two credentials in one line": f"{word} {token},{word} {token}",
        "the token in quotes": f'{word} "{token}"',
        "the scheme behind the token": f"{token} {word}",
        "a scheme that only begins like it": f"{word}X {token}",
    }
    others = {f"the scheme {name}": f"{name} {token}" for name in ("Token", "JWT", "Basic", "Bearer")}
    malformed |= {
        label: value
        for label, value in others.items()
        if label.split()[-1].lower() not in declared | {word.lower()}
    }
    attempts = [
        Attempt(f"a live token with {label}", headers=(("Authorization", value),))
        for label, value in malformed.items()
    ]
    verdict = await probe.must_refuse(attempts, credential=live)
    if not isinstance(verdict, Passed):
        return verdict
    spelled = [
        Attempt(f"{other} instead of {word}", headers=(("Authorization", f"{other} {token}"),))
        for other in dict.fromkeys((word.lower(), word.upper()))
        if other != word
    ]
    return await probe.must_accept(spelled, credential=live, severity=Severity.INFO, passed=verdict)
