"""SES101."""

import json

from auth_conformance.oracles.cookievalues import forgeries
from auth_conformance.sdk import (
    API,
    ASVS,
    CWE,
    RFC,
    WSTG,
    Attempt,
    Credential,
    Kind,
    Missing,
    Need,
    Probe,
    Severity,
    Unclear,
    Verdict,
    b64url,
    check,
)


@check(
    "SES101",
    "session-cookie-required-and-unforgeable",
    title="Session cookie accepted that the server did not issue",
    severity=Severity.CRITICAL,
    level=1,
    budget=40,
    needs=(Need.WITNESS, Need.LOGIN, Need.COOKIE),
    references=(
        ASVS("7.2.1"),
        ASVS("7.2.2"),
        RFC(6265, "8"),
        CWE(565),
        CWE(303),
        CWE(290),
        API(2),
        WSTG("SESS-01"),
    ),
    masks=("SES110-SES115",),
)
async def forgeable_session(probe: Probe) -> Verdict:
    """Only a session id that the server issued, unmodified, must authenticate.

    Why: a cookie is text in the hands of its user. A service that reads a user's id out of it, or looks at a
        part of it only, lets everybody write their own.
    How: present no cookie, an empty one, chance of the same shape, the live value with single characters
        changed and cut off, its readable data edited without a new signature, B's value with A's signature,
        and what tutorials put into cookies: the user's name, id, `1`, and both as JSON in base64.
    Fix: put `secrets.token_urlsafe(32)` into the cookie, store its digest with the user and the end, and look
        it up on every request: `session = await sessions.find(sha256(cookie))`.
    """
    live = await probe.credential(Kind.COOKIE)
    value = live.value.reveal()
    names, other = await probe.names_of("a"), await _other(probe)
    theirs = probe.target.accounts["b"].username if "b" in probe.target.accounts else None
    data = {"user_id": names[-1], "username": names[0]}
    values = {
        "an empty cookie": "",
        "chance of the same shape": probe.bland(live).value.reveal(),
        **{f"the {place} character changed": text for place, text in probe.respelled(value)[:2]},
        "the value without its last character": value[:-1],
        "half of the value": value[: len(value) // 2],
        **{f"the value with {label}": text for label, text in forgeries(value, names, theirs).items()},
        **{f"a name of the user ({number})": name for number, name in enumerate(names, 1)},
        "the number 1": "1",
        "JSON that names the user, in base64": b64url(json.dumps(data).encode()),
        "JSON that names the user": json.dumps(data, separators=(",", ":")),
    }
    body, dot, signature = value.rpartition(".")
    if dot:
        values["the value with its signature changed"] = f"{body}.{probe.respelled(signature)[0][1]}"
        if other is not None and "." in other:
            values["the data of another user with this signature"] = f"{other.rpartition('.')[0]}.{signature}"
    attempts = [Attempt("no cookie")]
    attempts += [Attempt(label, live.with_value(text)) for label, text in values.items() if text != value]
    attempts += _renamed(live)
    await _note_quotes(probe, live)
    return await probe.must_refuse(attempts, credential=live)


def _renamed(live: Credential) -> list[Attempt]:
    """RFC 6265bis §5.6: names are case-sensitive. The value is the owner's own, so little is lost."""
    name, value = live.carrier.name, live.value.reveal()
    return [
        Attempt(
            f"the cookie under the name {other}",
            headers=(("Cookie", f"{other}={value}"),),
            severity=Severity.LOW,
        )
        for other in dict.fromkeys((name.upper(), name.lower()))
        if other != name
    ]


async def _note_quotes(probe: Probe, live: Credential) -> None:
    """Frameworks take quotes off before the application sees the value: a habit of parsers, no forgery."""
    baseline = await probe.baseline(probe.witness, live)
    quoted = Attempt("the value in quotes", live.with_value(f'"{live.value.reveal()}"'))
    if (await probe.attempt(probe.witness, quoted, baseline)).accepted:
        probe.notes.append("the value is accepted in quotes, too: the parser of cookies takes them off")


async def _other(probe: Probe) -> str | None:
    try:
        return (await probe.credential(Kind.COOKIE, "b")).value.reveal()
    except (Missing, Unclear):
        return None
