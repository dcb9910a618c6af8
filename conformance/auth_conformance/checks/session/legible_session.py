"""SES108."""

from auth_conformance.sdk import ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "SES108",
    "session-is-a-server-side-reference",
    title="Session kept in the cookie instead of on the server",
    severity=Severity.MEDIUM,
    level=1,
    budget=30,
    impact=Impact.WRITES,
    exclusive=True,  # it ends a login, and some services end every login of that person then
    needs=(Need.WITNESS, Need.LOGIN, Need.COOKIE),
    references=(
        ASVS("7.2.1"),
        ASVS("7.4.1"),
        ASVS("14.3.3"),
        CWE(565),
        CWE(315),
        CWE(613),
        WSTG("SESS-01"),
    ),
)
async def legible_session(probe: Probe) -> Verdict:
    """The session cookie must be a reference without meaning that the server looks up.

    Why: data in the cookie is read by whoever finds it, and a session that lives there cannot be ended: a copy
        works until its signature expires, whatever the server wants. Starlette's `SessionMiddleware` is this.
    How: decode the value the ways that frameworks encode it (base64, zlib, JWT, itsdangerous, Django, Rails) and
        look for users, roles and secrets (a token that only names its session and its account, both by ids that
        chance made, is a signed reference; one that names itself by `jti` is one where its logout ends it); replay
        a copy after the logout, and, where the database is known, after the session's row was deleted.
    Fix: `secrets.token_urlsafe(32)` in the cookie, its digest in a table of sessions, and a look-up per request;
        not `SessionMiddleware` for anything that authenticates.
    """
    return await probe.must_refer_to_the_server()
