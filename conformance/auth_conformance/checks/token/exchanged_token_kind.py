"""TOK210."""

from auth_conformance.sdk import (
    API,
    ASVS,
    CWE,
    RFC,
    Impact,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "TOK210",
    "token-types-not-interchangeable",
    title="Token of one kind accepted for another purpose",
    severity=Severity.HIGH,
    level=2,
    budget=125,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.TOKEN),
    references=(
        ASVS("9.2.2"),
        ASVS("10.3.1"),
        RFC(8725, "2.8"),
        RFC(8725, "3.11"),
        RFC(8725, "3.12"),
        RFC(9068, "2.1"),
        CWE(843),
        CWE(863),
        API(2),
    ),
)
async def exchanged_token_kind(probe: Probe) -> Verdict:
    """Each kind of token must work for its own purpose only.

    Why: a refresh token lives for weeks and is kept where access tokens are not; if it opens the API by
        itself, short lives and rotation protect nothing.
    How: present refresh and id tokens, and what the first of several login steps gives, as access tokens (somebody
        of ours turns a second factor on for that, where people can); access tokens to the refresh operation, each of
        which works where it belongs; both where passwords are reset (none may set one that logs in) and where
        addresses are confirmed, beside the token of the mail; refresh tokens where logins are ended, which must go
        on. With the true key, remove and change what marks a token as an access token.
    Fix: write the kind into the token and demand it: `if header["typ"] != "at+jwt": raise invalid_token()`.
        What the first of several login steps gives is a kind of its own.
    """
    return await probe.must_keep_kinds_apart()
