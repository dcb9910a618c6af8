"""ERR107."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "ERR107",
    "no-credential-echo",
    title="Refused secret that comes back in the answer",
    severity=Severity.HIGH,
    level=2,
    budget=60,
    needs=(Need.LOGIN,),
    impact=Impact.WRITES,
    references=(
        ASVS("16.5.1"),
        ASVS("14.2.4"),
        ASVS("14.2.6"),
        API(8),
        CWE(209),
        CWE(201),
        CWE(522),
        WSTG("ERRH-01"),
    ),
)
async def echoed_credential(probe: Probe) -> Verdict:
    """A password, key or token that was presented must never come back in an answer.

    Why: answers are kept by logs of clients, by monitoring, by browsers and by error trackers. The password
        of a user who mistyped the e-mail address is a password all the same.
    How: send secrets that occur nowhere else in requests that have to fail: a field missing beside them, a
        list around them, broken JSON, a wrong content type, a key with odd characters, a token that is none,
        a key in the query of a path with one slash too many. Then look for them, in every encoding, in
        bodies, headers, redirects and challenges.
    Fix: FastAPI's own 422 repeats the input, for `SecretStr` fields, too: register a handler for
        `RequestValidationError` that answers `loc` and `msg` and never `input`.
    """
    return await probe.must_not_echo()
