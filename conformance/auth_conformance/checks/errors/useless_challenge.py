"""ERR102."""

from auth_conformance.sdk import ASVS, CWE, RFC, Impact, Need, Probe, Severity, Verdict, check


@check(
    "ERR102",
    "challenge-says-what-to-do",
    title="Challenge that asks for the wrong thing",
    severity=Severity.LOW,
    level=2,
    budget=40,
    needs=(Need.WITNESS,),
    impact=Impact.WRITES,
    references=(
        RFC(6750, "3"),
        RFC(6750, "3.1"),
        RFC(7617, "2"),
        RFC(9110, "11.5"),
        ASVS("6.1.3"),
        ASVS("16.5.1"),
        CWE(209),
    ),
)
async def useless_challenge(probe: Probe) -> Verdict:
    """A challenge must name schemes that the operation takes, and for Bearer the error that fits.

    Why: browsers open a password window for `Basic`, and send what people type to a service that does not
        want it; a client that reads `invalid_token` fetches a new one, and `insufficient_scope` a wider one.
    How: ask protected operations without a credential: each scheme of the challenge has to be declared for
        the operation (keys and cookies have no registered name: any word will do), and no `error` belongs
        there. A bad token is `invalid_token`, a missing right `insufficient_scope`, two credentials are
        `invalid_request`. A missing `error` is noted, a Basic challenge needs its realm.
    Fix: build the header where the scheme is known: `'Bearer realm="api"'` for nobody, and
        `'Bearer realm="api", error="invalid_token"'` for a bad token.
    """
    return await probe.must_say_what_is_wanted()
