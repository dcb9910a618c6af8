"""SRC107."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Depth, Need, Probe, Severity, Verdict, check


@check(
    "SRC107",
    "sql-parameterised",
    title="SQL is put together from values",
    severity=Severity.HIGH,
    level=1,
    depth=Depth.WHITE,
    budget=0,
    needs=(Need.SOURCE,),
    references=(ASVS("1.2.4"), API(8), CWE(89), WSTG("INPV-05")),
)
async def assembled_sql(probe: Probe) -> Verdict:
    """The text of SQL must be constant, and values must be bound.

    Why: one quote in a user name reads the table of password hashes, or logs in as its first row.
    How: find f-strings, `%`, `+`, `.format` and `.join` in what goes to `execute`, `text`, `raw` and their
        like, also by way of a name; constants, numbers, placeholders and values that an allow-list gave are
        safe. Bandit's B608 is included.
    Fix: `session.execute(text("... WHERE name = :name"), {"name": name})`; take identifiers from a dictionary
        of yours.
    """
    return await probe.must_hold_in_source("The text of every statement is constant")
