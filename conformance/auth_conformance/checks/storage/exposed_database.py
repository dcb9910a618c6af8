"""STO106."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Depth, Probe, Severity, Verdict, check


@check(
    "STO106",
    "database-not-reachable-or-readable",
    title="The database can be fetched, read or opened by others",
    severity=Severity.MEDIUM,
    level=1,
    depth=Depth.GREY,
    budget=30,
    needs=(),
    references=(
        ASVS("13.4.1"),
        ASVS("13.2.3"),
        ASVS("13.2.2"),
        ASVS("12.3.1"),
        API(8),
        CWE(538),
        CWE(552),
        CWE(276),
        CWE(1392),
        WSTG("CONF-04"),
    ),
)
async def exposed_database(probe: Probe) -> Verdict:
    """The database must not be served, readable by every user of the machine, or opened with a default password.

    Why: one `StaticFiles(directory=".")` gives the whole database to whoever asks for `/app.db`.
    How: ask for database files, their journals and dumps at usual places and under the name in the database's
        URL, and judge by the first bytes; look at the mode of the file, and at user, password and TLS in the
        URL.
    Fix: serve a folder that holds nothing else; `chmod 600` the file; give the service a database user of its
        own, and `?ssl=require` where the database is elsewhere.
    """
    return await probe.must_keep_database_away()
