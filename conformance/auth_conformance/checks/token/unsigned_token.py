"""TOK110."""

import itertools

from auth_conformance.credentials import compact_json
from auth_conformance.sdk import (
    ASVS,
    CVE,
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

SPELLINGS = ["".join(word) for word in itertools.product("nN", "oO", "nN", "eE")]
# Header texts that a serialiser would not write, or that decode to `none` only for some readers.
ODD = {
    "alg none with a trailing blank": '"alg":"none "',
    "alg none with a leading blank": '"alg":" none"',
    "alg none with a NUL": '"alg":"none\\u0000"',
    "alg none written with an escape": '"alg":"n\\u006fne"',
    "an empty alg": '"alg":""',
    "alg null": '"alg":null',
    "alg false": '"alg":false',
    "alg 0": '"alg":0',
    "a list with none as alg": '"alg":["none"]',
    "a list with HS256 and none as alg": '"alg":["HS256","none"]',
    "no alg": '"kty":"none"',
}


@check(
    "TOK110",
    "alg-none-rejected",
    title="Unsigned token accepted",
    severity=Severity.CRITICAL,
    level=1,
    budget=60,
    needs=(Need.WITNESS, Need.JWT),
    references=(
        ASVS("9.1.2"),
        RFC(7519, "6"),
        RFC(8725, "2.1"),
        RFC(8725, "3.2"),
        CVE("2015-9235"),
        CWE(347),
        CWE(327),
        WSTG("SESS-10"),
    ),
)
async def unsigned_token(probe: Probe) -> Verdict:
    """A token without a signature must be refused, however its header spells that.

    Why: with `alg: none` the caller writes the claims, so the caller is whoever the token says.
    How: take a live token's payload unchanged, and of its header everything but `alg`, which says `none` in 16
        capitalisations and a dozen odd ways, with an empty, a missing, a random and the original signature.
    Fix: name the algorithms that you accept: `jwt.decode(token, key, algorithms=["HS256"])`.
    """
    live = await probe.credential(probe.token_kind)
    token = probe.jwt_of(live)
    none = token.with_header(alg="none")
    texts = {
        "an unsigned token (alg none, empty signature)": none.unsigned().text,
        "an unsigned token (alg none, no last dot)": none.unsigned().text.rstrip("."),
        "alg none beside a random signature": none.with_signature(probe.rng.randbytes(32)).text,
        "alg none beside the original signature": none.text,
    }
    for word in SPELLINGS:
        texts.setdefault(f"an unsigned token (alg {word})", token.with_header(alg=word).unsigned().text)
    original = f'"alg":"{token.algorithm}"'
    odd = {
        **ODD,
        "alg none before the real one": f'"alg":"none",{original}',
        "alg none after the real one": f'{original},"alg":"none"',
    }
    # What else the service wants to see in its header stays: a wrong typ, or no kid, would be refused for that.
    rest = compact_json({name: value for name, value in token.header.items() if name != "alg"})[1:-1]
    for label, member in odd.items():
        members = ",".join(filter(None, (rest, member)))
        texts[f"an unsigned token ({label})"] = token.with_header_json(f"{{{members}}}").unsigned().text
    return await probe.must_refuse(
        (Attempt(label, live.with_value(text)) for label, text in texts.items()), credential=live
    )
