"""CRD124."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD124",
    "credential-input-validated",
    title="Odd input breaks or is stored",
    severity=Severity.MEDIUM,
    level=1,
    budget=240,
    impact=Impact.DISRUPTS,
    needs=(Need.LOGIN, Need.EXPENDABLE),
    references=(
        ASVS("2.2.1"),
        ASVS("2.2.2"),
        ASVS("1.2.1"),
        ASVS("1.3.3"),
        ASVS("15.3.5"),
        API(8),
        CWE(1286),
        CWE(93),
        WSTG("INPV-05"),
    ),
)
async def unvalidated_credential_input(probe: Probe) -> Verdict:
    """Every credential field must have limits: odd input is refused in order, unusual names work.

    Why: a field without limits is where crashes, forged log lines, invisible twins of names and injected
        headers come from; one with silly limits shuts out O'Brien.
    How: put other types, nothing, very long texts, NUL, line breaks, half characters, scripts, templates and
        control characters into the fields of registration, login, password change and new keys; members twice,
        too many, and NaN into a login; look for crashes, new headers, evaluated
        templates and odd names that log in. Then register names with apostrophes.
    Fix: `Annotated[str, Field(min_length=1, max_length=254)]` with an `AfterValidator` that refuses control
        characters and lone surrogates, and `extra='forbid'`; no regular expression for names of people.
    """
    return await probe.must_validate_input()
