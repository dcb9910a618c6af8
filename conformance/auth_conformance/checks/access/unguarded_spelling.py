"""AUZ108."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Need, Probe, Severity, Verdict, check


@check(
    "AUZ108",
    "path-spelling-safe",
    title="Protected path open in another spelling",
    severity=Severity.HIGH,
    level=1,
    budget=150,
    needs=(Need.WITNESS,),
    references=(
        ASVS("8.3.1"),
        ASVS("1.1.1"),
        ASVS("1.5.3"),
        CWE(551),
        CWE(41),
        CWE(180),
        CWE(425),
        API(5),
        API(9),
        WSTG("ATHZ-02"),
    ),
)
async def unguarded_spelling(probe: Probe) -> Verdict:
    """Every spelling of a protected path must be protected, and no header may rewrite the path.

    Why: a guard that compares the path with a list, in a middleware or a proxy, sees one spelling; the router
        behind it understands several. Starlette routes `/me%0a` to `/me`.
    How: raw requests spell the witness's path with slashes, dots, escapes, parameters, capitals, in absolute
        form and as other versions, and name it in headers of proxies. Those that lead A to the witness are
        sent by a stranger and with a wrong credential. An ordinary user writes an administrators' path likewise;
        where no administrator is known, what it then tells of both A and B is the proof.
    Fix: guard the operation, not its path: `APIRouter(dependencies=[Depends(get_current_user)])`. Where a proxy
        must guard paths, let it refuse what is not in normal form.
    """
    return await probe.must_guard_spellings()
