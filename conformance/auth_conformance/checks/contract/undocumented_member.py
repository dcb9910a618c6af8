"""DOC110."""

from auth_conformance.sdk import API, ASVS, CWE, Impact, Need, Probe, Severity, Verdict, check


@check(
    "DOC110",
    "responses-match-schema-without-extras",
    title="Answer with members that nobody documented",
    severity=Severity.MEDIUM,
    level=2,
    budget=80,
    needs=(Need.OPENAPI, Need.WITNESS),
    impact=Impact.WRITES,
    exclusive=True,  # it looks at the answers that the other checks have got
    references=(ASVS("15.3.1"), ASVS("8.2.3"), ASVS("4.1.1"), API(3), CWE(213), CWE(201)),
)
async def undocumented_member(probe: Probe) -> Verdict:
    """A successful answer must fit its documented schema and have no member besides.

    Why: what the schema does not show leaves unnoticed: a password hash, an internal remark, the e-mail
        address of somebody else. Reviewers read schemas, attackers read answers.
    How: every 2xx answer of the run, of all operations that can be read without an id, and of an object that is
        made for it, is held against
        its schema, compositions and `null` of both OpenAPI versions included. Members that nothing names are
        counted as too much unless the schema says `additionalProperties: true`. A null in the place of a value is
        low: nothing is shown that the document hides.
    Fix: declare what leaves with `response_model=UserResponse` (or the return type), a model that lists its
        fields, and never return a dictionary or a database row from a handler without one.
    """
    return await probe.must_answer_as_described()
