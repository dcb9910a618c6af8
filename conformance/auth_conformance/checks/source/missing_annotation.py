"""SRC109."""

from auth_conformance.sdk import ASVS, CWE, Depth, Need, Probe, Severity, Verdict, check


@check(
    "SRC109",
    "functions-fully-annotated",
    title="A function is not fully annotated",
    severity=Severity.INFO,
    level=1,
    depth=Depth.WHITE,
    budget=0,
    needs=(Need.SOURCE,),
    references=(ASVS("15.3.5"), CWE(1059)),
)
async def missing_annotation(probe: Probe) -> Verdict:
    """Every function and method must annotate all parameters and its return.

    Why: FastAPI turns annotations into validation: what is not annotated is not validated.
    How: look at every `def`, nested ones and methods too; `self`, `cls` and lambdas are left out. This is a
        standard of the four-file profile.
    Fix: annotate it, `-> None` included. A team with another standard sets `four_file = false` in `[policy]`.
    """
    return await probe.must_keep_standard("Every function is fully annotated")
