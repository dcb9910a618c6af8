"""SRC102."""

from auth_conformance.sdk import API, ASVS, CWE, Depth, Need, Probe, Severity, Verdict, check


@check(
    "SRC102",
    "start-up-fails-without-secrets",
    title="The service starts without its secrets",
    severity=Severity.HIGH,
    level=1,
    depth=Depth.WHITE,
    budget=0,
    needs=(Need.SOURCE,),
    references=(ASVS("13.3.1"), ASVS("13.2.3"), API(8), CWE(1188), CWE(636), CWE(321)),
)
async def start_without_secrets(probe: Probe) -> Verdict:
    """Without its secrets, or with placeholders in their place, the service must refuse to start.

    Why: a variable that is missing on one machine makes a service that works, and signs with a text that
        everybody knows.
    How: find the environment variables that the source reads secrets from; start the service in processes of
        their own with each of them missing, empty, and `changethis`, `secret` and `None`; register, log in, and
        see what the token is signed with. A start with random secrets, whose token is signed with them, is the
        control.
    Fix: `secret_key: SecretStr` without a default in a `BaseSettings` that is made at start-up, with a
        validator that refuses short and well-known values; never `str(os.getenv(...))`.
    """
    return await probe.must_refuse_to_start()
