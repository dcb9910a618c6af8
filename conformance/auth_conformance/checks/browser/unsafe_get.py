"""WEB107."""

from auth_conformance.sdk import ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "WEB107",
    "safe-methods-are-safe",
    title="GET that changes something",
    severity=Severity.MEDIUM,
    level=1,
    budget=400,
    needs=(Need.OPENAPI, Need.LOGIN, Need.WITNESS, Need.EXPENDABLE),
    impact=Impact.DISRUPTS,
    references=(ASVS("3.5.3"), RFC(9110, "9.2.1"), CWE(650), CWE(352), WSTG("SESS-05")),
)
async def unsafe_get(probe: Probe) -> Verdict:
    """GET, HEAD and OPTIONS must not change anything of consequence.

    Why: pictures, previews, crawlers and prefetching send GETs that nobody meant; SameSite=Lax lets the
        cookie go with them, and no CSRF defence looks at them.
    How: on an account of its own call the paths of all changes by GET and HEAD, and each GET that is named
        like a change (`delete`, `logout`, `revoke`, …), with an object that can be lost. Its profile, objects,
        keys and sessions are read before and after. A logout by GET is low; a link in a mail is noted.
    Fix: `@router.post("/logout")`, never `@router.get`; let links in mails open a page whose button posts.
    """
    return await probe.must_be_safe()
