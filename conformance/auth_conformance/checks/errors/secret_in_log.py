"""ERR111."""

from auth_conformance.sdk import ASVS, CWE, WSTG, Depth, Impact, Need, Probe, Severity, Verdict, check


@check(
    "ERR111",
    "no-secrets-in-logs",
    title="Secret written into a log",
    severity=Severity.HIGH,
    level=2,
    depth=Depth.GREY,
    budget=200,
    needs=(Need.LOGS, Need.WITNESS),
    impact=Impact.WRITES,
    exclusive=True,  # it listens to every logger of the process
    references=(ASVS("16.2.5"), ASVS("14.2.4"), ASVS("14.2.1"), CWE(532), CWE(598), WSTG("CONF-02")),
)
async def secret_in_log(probe: Probe) -> Verdict:
    """Passwords, tokens, keys and cookies must never be written into a log in a form that can be used.

    Why: logs are copied to more places and read by more people than any table, and are kept for years. What
        stands there works as long as the credential lives.
    How: listen to all loggers, streams and uvicorn's access lines, or read the log file, while every intake
        of secrets is used: registration, right and wrong logins, each credential in each place for it, live
        and wrong, refresh, the reset of a password by mail, and a handler that raises with each in its hand; then
        all again at DEBUG. What the application's own filters and formatters mask counts as masked; digests and
        pieces do not count.
    Fix: never log `request.headers` or bodies; give `uvicorn.access` a filter that cuts off the query;
        `SecretStr` for fields, `hide_parameters=True` for `create_async_engine`.
    """
    return await probe.must_log_no_secrets()
