"""MIX106."""

from auth_conformance.sdk import (
    API,
    ASVS,
    CWE,
    WSTG,
    Inconclusive,
    Kind,
    Missing,
    Need,
    Probe,
    Severity,
    Unclear,
    Verdict,
    check,
)


@check(
    "MIX106",
    "no-undocumented-intake",
    title="Credential accepted in a place that is not documented",
    severity=Severity.MEDIUM,
    level=2,
    budget=190,
    needs=(Need.WITNESS,),
    references=(
        ASVS("6.3.4"),
        ASVS("6.1.3"),
        ASVS("13.4.5"),
        API(9),
        CWE(288),
        CWE(912),
        WSTG("ATHN-10"),
    ),
)
async def undocumented_intake(probe: Probe) -> Verdict:
    """Credentials must be read from the documented places and from nowhere else.

    Why: a fallback that nobody documented is one that nobody reviews: it escapes the filter of the logs, the
        rules of the gateway, and as a cookie it opens the door for requests that other sites start.
    How: put A's live token and key into the headers, cookies, query parameters, form and JSON members, scheme
        words and Basic pairs that frameworks and tutorials use, leaving out what the document declares, at two
        operations.
    Fix: read credentials through the classes of `fastapi.security` only, so that each place stands in the
        OpenAPI document, and remove `request.cookies.get("access_token")` and its like.
    """
    verdicts: list[Verdict] = []
    doubts: list[str] = []
    for kind in (Kind.BEARER, Kind.KEY):
        if kind not in probe.kinds():
            continue
        try:
            live = await probe.credential(kind)
        except (Missing, Unclear) as reason:
            probe.notes.append(f"no {kind.value} credential: {reason}")
            continue
        with probe.doubting(doubts):
            places = probe.undocumented_places(live)
            verdicts.append(
                await probe.must_refuse(places, credential=live, at=await probe.witnesses_of(live))
            )
    verdicts += [Inconclusive(reason, evidence=tuple(probe.evidence)) for reason in doubts]
    if not verdicts:
        raise Missing("Not tested: no live token and no live key is known.")
    return probe.gravest(verdicts)
