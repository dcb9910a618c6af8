"""AUZ111."""

from auth_conformance.sdk import API, ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "AUZ111",
    "scopes-enforced",
    title="Declared scope not asked for",
    severity=Severity.HIGH,
    level=2,
    budget=160,
    impact=Impact.WRITES,
    needs=(Need.OPENAPI,),
    references=(
        ASVS("10.3.2"),
        ASVS("8.2.1"),
        ASVS("10.4.11"),
        RFC(6749, "3.3"),
        RFC(6750, "3.1"),
        RFC(9068, "2.2.3"),
        API(5),
        CWE(863),
        WSTG("ATHZ-05"),
    ),
)
async def ignored_scope(probe: Probe) -> Verdict:
    """A credential without a required scope must be refused, even if its user holds the right.

    Why: a narrow key or token is handed out because the wide one is not to be; a dependency that declares scopes
        and never compares them makes both the same.
    How: take the operations that declare scopes. A logs in for fewer, makes a key or a client for programs with fewer
        and, where the signing key is known, tokens with none, with a longer or differently spelled scope, or with
        commas; where nobody logs in, the tokens given for other accounts serve. Each must be refused where the full
        credential gets further. A login, renewal or client that asks for more must not be given it.
    Fix: compare in the dependency that declares: `Security(require_scopes, scopes=["items:write"])` with
        `if not principal.scopes.issuperset(security_scopes.scopes): raise HTTPException(403)`.
        Where tokens are issued, grant `asked & client.scopes` and no more.
    """
    return await probe.must_enforce_scopes()
