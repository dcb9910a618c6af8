"""DOC107."""

from auth_conformance.sdk import API, ASVS, CWE, Impact, Need, Probe, Severity, Verdict, check


@check(
    "DOC107",
    "schema-carries-no-secrets",
    title="Secret in the description of the service",
    severity=Severity.MEDIUM,
    level=1,
    budget=40,
    needs=(Need.OPENAPI,),
    impact=Impact.WRITES,
    references=(
        ASVS("13.3.1"),
        ASVS("15.3.1"),
        ASVS("14.2.6"),
        API(3),
        API(8),
        CWE(798),
        CWE(201),
        CWE(1295),
    ),
)
async def secret_in_document(probe: Probe) -> Verdict:
    """The description must hold no real credential, and must mark the members that carry secrets.

    Why: the document is public in most services, and examples are copied from what worked on the desk of
        whoever wrote them. A response model with a password hash is one refactoring away from sending it.
    How: look for keys and for URLs with passwords in every text; try user names and passwords that stand
        together in examples at the login, and documented tokens at a protected operation, at most five of
        each. Answers must not have stored secrets; password members need `format: password` and a `maxLength`.
        The place for a client's secret in a form of the password grant, which no caller has to fill, is none.
    Fix: `password: SecretStr = Field(max_length=128)` in request models, examples that are no accounts, and
        response models that list their fields instead of inheriting the table's.
    """
    return await probe.must_document_without_secrets()
