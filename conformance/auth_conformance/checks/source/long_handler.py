"""SRC110."""

from auth_conformance.sdk import ASVS, CWE, Depth, Need, Probe, Severity, Verdict, check


@check(
    "SRC110",
    "handlers-under-15-lines",
    title="A route handler has 15 lines or more",
    severity=Severity.INFO,
    level=1,
    depth=Depth.WHITE,
    budget=0,
    needs=(Need.SOURCE,),
    references=(ASVS("15.1.5"), CWE(1120)),
)
async def long_handler(probe: Probe) -> Verdict:
    """Route handlers must have fewer than 15 lines of code.

    Why: in a long handler the one line that checks the owner is easily lost.
    How: count the lines of each handler's body that carry code, without docstring, comments and signature;
        `handler_count = "span"` in `[policy]` counts from `def` to the end. This is a standard of the four-file
        profile.
    Fix: move what happens into a function beside the handler. A team with another standard sets `four_file =
        false` in `[policy]`.
    """
    if probe.target.policy.four_file and probe.target.policy.handler_count == "span":
        return await probe.must_hold_in_source(
            "Every handler is shorter than 15 lines", counted=lambda _: True
        )
    return await probe.must_keep_standard("Every handler has fewer than 15 lines of code")
