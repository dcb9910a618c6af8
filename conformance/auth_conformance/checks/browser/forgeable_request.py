"""WEB104."""

from auth_conformance.sdk import API, ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "WEB104",
    "csrf-defended",
    title="Request that a page of another site can send with the user's cookie",
    severity=Severity.HIGH,
    level=1,
    budget=220,
    needs=(Need.COOKIE, Need.LOGIN, Need.WITNESS),
    impact=Impact.DISRUPTS,
    references=(
        ASVS("3.5.1"),
        ASVS("3.5.3"),
        ASVS("3.3.2"),
        RFC(6749, "10.12"),
        API(8),
        CWE(352),
        CWE(346),
        WSTG("SESS-05"),
    ),
)
async def forgeable_request(probe: Probe) -> Verdict:
    """A page of another site must not be able to change anything with the cookie of its visitor, nor log in or out.

    Why: the browser adds the cookie by itself. Whoever can make somebody open a page acts as that person.
    How: with the cookie of an account of its own, send what a browser sends without asking first: forms,
        multipart and text/plain, from a foreign origin, without one, from `null`, from a sibling, with the
        host somewhere in the address, and by GET; and the honest request with a CSRF token that is empty, made
        up, another user's, an ended session's, or chosen for cookie and header alike; likewise each other change
        that leaves a text which its owner is shown, and the change of the password. What the owner reads
        afterwards decides. The cookie's SameSite grades: where it alone keeps browsers from it, the finding is
        medium; a wrong token in a header, which pages cannot set by themselves, is low; in the hidden field of
        a form, which they can, it is as good as none.
    Fix: a token bound to the session in a header (`X-CSRF-Token`), checked in a dependency of every route
        that changes something, and a check of `Origin` and `Sec-Fetch-Site` at the login.
    """
    return await probe.must_resist_forgery()
