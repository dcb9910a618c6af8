"""Texts that a statement glued together from strings takes for language, and the traces that they leave."""

from __future__ import annotations

import re
from dataclasses import dataclass

# So many rows keep SQLite busy for some seconds; a recursion needs no memory.
MANY = 20_000_000
_RECURSION = (
    "x' OR 1=(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n<ROWS) "
    "SELECT count(*) FROM c)--"
)
# A delay shows when the slow one takes this much longer, in seconds, and this many times as long (field
# notes: on a busy machine sound pairs differ by a sixth).
SLOWER_BY, SLOWER_TIMES = 1.5, 3.0

_ERRORS = re.compile(
    r"SQLSTATE|syntax error at or near|unterminated quoted string|You have an error in your SQL syntax"
    r"|unrecognized token|sqlite3\.\w*Error|near \\?\"[^\"]{1,40}\\?\": syntax error|ORA-\d{5}|psycopg2?\."
    r"|asyncpg\.exceptions|aiosqlite|pymysql\.err|Incorrect syntax near|sqlalchemy\.exc|MongoServerError"
    r"|\[SQL: |SELECT [\w.*\"', ]+ FROM [\w.\"]+ WHERE |INSERT INTO [\w.\"]+ \(|UPDATE [\w.\"]+ SET ",
)


@dataclass(frozen=True, slots=True)
class Pause:
    """Two texts that differ in how long the database `engine` is kept busy, if it runs them at all."""

    engine: str
    slow: str
    quick: str


def pauses() -> tuple[Pause, ...]:
    """One pair per database engine (checklist KEY106)."""
    return (
        Pause("SQLite", _RECURSION.replace("ROWS", str(MANY)), _RECURSION.replace("ROWS", "1")),
        Pause(
            "PostgreSQL",
            "x' OR 1=(SELECT 1 FROM pg_sleep(3))--",
            "x' OR 1=(SELECT 1 FROM pg_sleep(0))--",
        ),
        Pause("MySQL", "x' OR SLEEP(3)-- -", "x' OR SLEEP(0)-- -"),
    )


def delayed(slow: float, quick: float) -> bool:
    """Whether the slow text took so much longer than its twin that the database must have run it."""
    return slow - quick >= SLOWER_BY and slow >= SLOWER_TIMES * quick


def phrases() -> dict[str, str]:
    """Quotes, comments, alternatives, patterns and operators, each by what it does to a careless look-up."""
    return {
        "a wildcard of LIKE": "%",
        "a one-character wildcard of LIKE": "_",
        "a wildcard of shells": "*",
        "a regular expression": ".*",
        "an alternative that is always true": "' OR '1'='1",
        "an alternative with a comment": "' OR 1=1--",
        "an alternative in double quotes": '" OR ""="',
        "a union": "x' UNION SELECT NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL--",
        "a backslash": "\\",
        "an operator of MongoDB": "$ne",
        "an object of MongoDB": '{"$gt":""}',
        "a path": "../",
        "ten thousand characters": "A" * 10_000,
    }


def error_text(body: str) -> str | None:
    """What in a reply is the message of a database or a statement, cut short; None when nothing is."""
    found = _ERRORS.search(body)
    return found[0][:60] if found else None
