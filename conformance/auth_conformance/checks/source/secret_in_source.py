"""SRC101."""

from auth_conformance.sdk import API, ASVS, CWE, Depth, Need, Probe, Severity, Verdict, check


@check(
    "SRC101",
    "no-secrets-in-source",
    title="A secret is written in the source",
    severity=Severity.HIGH,
    level=1,
    depth=Depth.WHITE,
    budget=6,
    needs=(Need.SOURCE,),
    references=(ASVS("13.3.1"), API(8), CWE(798), CWE(259), CWE(321)),
)
async def secret_in_source(probe: Probe) -> Verdict:
    """No credential, key, or default for one must be written in code or in the files that are deployed with it.

    Why: whoever reads the repository, an image or a backup of either can sign tokens; and nobody changes a
        default.
    How: look at assignments, members of settings, fallbacks of `os.getenv`, arguments, keys of `jwt.encode`,
        private keys, tokens and URLs with passwords, in Python and in Dockerfile, compose, TOML, YAML and INI
        files beside it; then see whether a live token is signed with what was found.
    Fix: declare it without a default, `secret_key: SecretStr` in a `BaseSettings`, and let the service refuse
        to start without it.
    """
    return await probe.must_keep_secrets_out()
