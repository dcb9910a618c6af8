"""SES114."""

from dataclasses import replace

from auth_conformance.sdk import (
    ASVS,
    CWE,
    WSTG,
    Attempt,
    Credential,
    Kind,
    Need,
    Probe,
    Severity,
    Verdict,
    check,
)


@check(
    "SES114",
    "session-id-only-in-cookie",
    title="Session id accepted outside the cookie",
    severity=Severity.MEDIUM,
    level=1,
    budget=70,
    needs=(Need.WITNESS, Need.LOGIN, Need.COOKIE),
    references=(ASVS("14.2.1"), ASVS("3.3.4"), ASVS("6.3.4"), CWE(598), CWE(384), WSTG("SESS-04")),
)
async def session_id_elsewhere(probe: Probe) -> Verdict:
    """The session id must be taken from its cookie and from nowhere else.

    Why: an id in a URL lies in logs, histories and referrers, and a link with an id in it logs its reader in as
        the attacker. Outside the cookie, `HttpOnly`, `Secure` and `SameSite` protect nothing.
    How: present A's live id without the cookie: in the query under the usual names (those of
        tokens where it is one), behind a semicolon in the
        path, in a form, in JSON, as bearer token and in headers, at two operations.
    Fix: `APIKeyCookie(name="__Host-session")` and no `request.query_params.get("session")` beside it. A token
        that is a bearer token on purpose is declared: `interchangeable = ["session as bearer"]`.
    """
    live = await probe.credential(Kind.COOKIE)
    return await probe.must_refuse(_places(probe, live), credential=live, at=await probe.witnesses_of(live))


def _places(probe: Probe, live: Credential) -> list[Attempt]:
    value, cookie = live.value.reveal(), live.carrier.name
    declared = {(carrier.place, carrier.name.lower()) for carrier in probe.target.carriers}
    allowed = probe.target.policy.interchangeable
    found = [
        Attempt(f"the session id in the query ({name})", query=((name, value),), severity=Severity.HIGH)
        for name in dict.fromkeys(("session", "sid", "session_id", cookie, *probe.query_names(live)))
        if ("query", name.lower()) not in declared or "session as key" not in allowed
    ]
    found += [
        Attempt(
            "the session id behind a semicolon in the path",
            # Another path is another resource for many services: what it answers may mean nothing.
            edit=lambda request: replace(request, path=f"{request.path};sid={value}"),
            core=False,
            severity=Severity.HIGH,
        ),
        Attempt(
            "the session id in a form",
            edit=lambda request: request.with_form((("session", value), (cookie, value))),
        ),
        Attempt(
            "the session id in JSON",
            edit=lambda request: request.beside({"session": value, cookie: value}),
        ),
        Attempt("the session id in X-Session-Id", headers=(("X-Session-Id", value),)),
    ]
    # Where nothing else is issued for a bearer scheme that the document declares here, the session id is its token.
    security = probe.witness.operation.security or ()
    bearers = {item.scheme for item in probe.target.carriers if item.kind is Kind.BEARER and item.scheme}
    meant = Kind.BEARER not in probe.target.kinds() and any(bearers & set(entry) for entry in security)
    if "session as bearer" not in allowed and not meant:
        found.append(
            Attempt("the session id as bearer token", headers=(("Authorization", f"Bearer {value}"),))
        )
    if "session as key" not in allowed:
        found.append(Attempt("the session id as API key", headers=(("X-API-Key", value),)))
    return found
