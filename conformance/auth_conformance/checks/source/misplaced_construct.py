"""SRC111."""

from auth_conformance.sdk import ASVS, CWE, Depth, Need, Probe, Severity, Verdict, check


@check(
    "SRC111",
    "four-file-structure",
    title="A construct stands in the wrong one of the four files",
    severity=Severity.INFO,
    level=1,
    depth=Depth.WHITE,
    budget=0,
    needs=(Need.SOURCE,),
    references=(ASVS("15.2.5"), ASVS("8.3.1"), CWE(1044)),
)
async def misplaced_construct(probe: Probe) -> Verdict:
    """The files models, dependencies, routes and database must exist and keep to their roles.

    Why: who looks for the place where tokens are verified should have to look in one file.
    How: see whether the four files exist; find routes outside `routes`, models outside `models` (tables may
        stand in `database`), engines outside `database`, JWTs outside `dependencies`, drivers in `routes`, and
        files that import each other. This is a standard of the four-file profile.
    Fix: move it. A team with another layout sets `four_file = false` in `[policy]`.
    """
    return await probe.must_keep_standard("The four files exist and keep to their roles")
