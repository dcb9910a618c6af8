"""TOK209."""

from urllib.parse import urlsplit

from auth_conformance.sdk import (
    ASVS,
    CVE,
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

OTHER = "https://other-issuer.example"


@check(
    "TOK209",
    "issuer-enforced",
    title="Token of another issuer accepted",
    severity=Severity.MEDIUM,
    level=2,
    depth=Depth.GREY,
    budget=50,
    needs=(Need.WITNESS, Need.JWT),
    references=(
        ASVS("9.1.3"),
        ASVS("6.8.1"),
        ASVS("10.3.3"),
        RFC(7519, "4.1.1"),
        RFC(8725, "3.8"),
        CVE("2024-53861"),
        CWE(290),
    ),
)
async def foreign_issuer(probe: Probe) -> Verdict:
    """Only tokens whose issuer is, character for character, the configured one must be accepted.

    Why: where a second issuer is trusted one day, or shares the key, whoever controls it names its subjects as
        it likes; a comparison by beginning or by part lets anybody be that issuer who owns a similar name.
    How: sign the caller's honest claims with the true key and another issuer: a stranger's, none, null, a
        list, pieces and extensions of the right one, another case, another scheme, a slash, a user part. Where
        `other_issuer` is declared, each of the two issuers also names itself under the key of the other.
    Fix: `jwt.decode(token, key, algorithms=["HS256"], issuer="https://login.example", options={"require": ["iss"]})`.
    """
    token = probe.jwt_of(await probe.credential(probe.token_kind))
    right = token.claims.get("iss")
    if not isinstance(right, str) or not right:
        raise Missing(
            "Not applicable: the tokens of this service name no issuer; it trusts whatever its one key signed.",
            applicable=False,
        )
    attempts = [
        Attempt(f"a signed token with {label}", await probe.minted(iss=value))
        for label, value in _issuers(right).items()
    ]
    # Whoever issues for nobody but itself can do without the name; whoever trusts others cannot.
    attempts.append(
        Attempt("a signed token without iss", await probe.minted_without("iss"), severity=Severity.LOW)
    )
    attempts += await probe.crossed_issuers()
    live = await probe.credential(probe.token_kind)
    return await probe.must_refuse(attempts, credential=live, controls=(await probe.honest(),))


def _issuers(right: str) -> dict[str, object]:
    """Issuers that are not the right one, by what a careless comparison would overlook."""
    values: dict[str, object] = {
        "another issuer": OTHER,
        "a null issuer": None,
        "an empty issuer": "",
        "the right issuer in a list": [right],
        "the beginning of the right issuer": right[:-1],
        "the end of the right issuer": right[1:],
        "a part of the right issuer": right[1:-1],
        "an issuer that begins with the right one": f"{right}.evil.example",
        "an issuer that ends with the right one": f"{OTHER}/{right}",
        "the right issuer with a slash": right.removesuffix("/") if right.endswith("/") else f"{right}/",
        "the right issuer in another case": right.swapcase(),
    }
    parts = urlsplit(right)
    if parts.scheme in ("http", "https") and parts.netloc:
        # RFC 7519 §2 compares StringOrURI as text: a host is folded by nobody.
        values["the right issuer with its host in capitals"] = parts._replace(
            netloc=parts.netloc.upper()
        ).geturl()
        other = "http" if parts.scheme == "https" else "https"
        values["the right issuer with another scheme"] = parts._replace(scheme=other).geturl()
        values["the right issuer as user of another host"] = parts._replace(
            netloc=f"{parts.netloc}@evil.example"
        ).geturl()
    return {label: value for label, value in values.items() if value != right}
