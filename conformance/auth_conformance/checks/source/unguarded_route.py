"""SRC112."""

from auth_conformance.sdk import API, ASVS, CWE, Depth, Need, Probe, Severity, Verdict, check


@check(
    "SRC112",
    "every-route-has-an-auth-dependency",
    title="A route depends on nothing that looks at a credential",
    severity=Severity.HIGH,
    level=1,
    depth=Depth.WHITE,
    budget=60,
    needs=(Need.SOURCE,),
    references=(ASVS("8.3.1"), ASVS("8.2.1"), ASVS("6.3.4"), API(5), CWE(862), CWE(306)),
)
async def unguarded_route(probe: Probe) -> Verdict:
    """Each route that is not public must depend on the unified dependency, and no handler read credentials itself.

    Why: the one route that was added in a hurry, in a router without `dependencies`, is open, hidden ones
        included.
    How: walk the dependency tree of every route of the loaded application, mounted ones and those that no
        document shows too; where routes of the same collection are guarded and one is not, ask it as a stranger
        as far as that does no harm. Then find handlers that read `Authorization`, keys or session cookies
        themselves. Where no application can be loaded, the same is read from the source, and the finding says
        "static only" unless the service, asked as a stranger, confirms it.
    Fix: `APIRouter(dependencies=[Depends(get_current_user)])`; list what is meant for strangers as
        `public_operations` in `[policy]`.
    """
    return await probe.must_guard_every_route()
