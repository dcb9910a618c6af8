"""WEB108."""

from auth_conformance.sdk import API, ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "WEB108",
    "sensitive-responses-not-cacheable",
    title="Private answer that a cache may keep",
    severity=Severity.MEDIUM,
    level=2,
    budget=105,
    needs=(Need.WITNESS,),
    impact=Impact.WRITES,
    references=(
        ASVS("14.3.2"),
        ASVS("14.2.2"),
        ASVS("14.2.5"),
        RFC(6749, "5.1"),
        RFC(9111, "3.5"),
        API(8),
        CWE(524),
        CWE(525),
        WSTG("ATHN-06"),
    ),
)
async def cacheable_secret(probe: Probe) -> Verdict:
    """Answers with credentials or personal data must forbid caches to store them.

    Why: a shared cache that keeps one user's answer gives it to the next one; a browser keeps tokens on disk
        for whoever sits down after. Only answers to `Authorization` are held back by shared caches: those to
        cookies and to keys in the URL are not.
    How: read the headers of logins, of refreshes, of new keys, of personal data by each kind of credential, of
        objects that strangers are not shown, and of refusals. Then A fetches personal data under a new URL, and
        nobody and B fetch the same one; also under names that caches take for files (`/me/x.css`, `/me;x.css`).
    Fix: `response.headers["Cache-Control"] = "no-store"` for everything behind a credential, best in one
        middleware, and `Vary: Cookie, Authorization` where something may be stored after all.
    """
    return await probe.must_not_be_cached()
