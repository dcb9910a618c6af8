"""TOK303."""

from auth_conformance.sdk import (
    ASVS,
    CWE,
    RFC,
    WSTG,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "TOK303",
    "bearer-only-in-header",
    title="Bearer token accepted in the URL or the body",
    severity=Severity.MEDIUM,
    level=1,
    budget=80,
    needs=(Need.WITNESS, Need.BEARER),
    references=(
        ASVS("14.2.1"),
        ASVS("6.3.4"),
        ASVS("15.3.7"),
        RFC(6750, "2"),
        RFC(6750, "2.2"),
        RFC(6750, "2.3"),
        RFC(6750, "5.3"),
        RFC(9700, "4.3"),
        CWE(598),
        WSTG("SESS-04"),
    ),
)
async def token_outside_header(probe: Probe) -> Verdict:
    """A bearer token must be taken from the Authorization header only, and never from two places at once.

    Why: URLs end up in logs, histories and `Referer` headers; and a link with somebody else's token in it
        makes whoever follows it work in the attacker's account.
    How: send a live token without the header: in the query under every usual name, in a form, in JSON and in
        the path; the same names with a wrong token are the control. A creation is sent the same way: few services
        read the body of a GET. Then A's header beside B's query.
    Fix: read it with `fastapi.security.HTTPBearer` or `OAuth2PasswordBearer`, and nowhere else.
    """
    return await probe.must_take_tokens_from_header_only()
