"""What the target's database holds, read once and read only, for the checks of storage.

SQLAlchemy is the extra `[db]` and is imported when a database is read, never before. Values stay in this
process: nothing here writes, logs or returns them to a report.
"""

from __future__ import annotations

import asyncio
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection, Inspector
    from sqlalchemy.engine import URL

# No more than this many rows of one table, and bytes in all, are read: with what Python adds to each value, a scan
# stays under 200 MB (checklist STO101).
ROWS = 20_000
BYTES = 80_000_000
_OF_A_VALUE = 100
# Longer than this no database of a test takes to answer, in seconds.
PATIENCE = 60.0
_WORD = re.compile(r"\w+")
_SYSTEM = ("pg_", "information_schema", "sys", "mysql", "performance_schema")
# Drivers whose place an installed one can take: what the application uses need not be installed here.
SYNCHRONOUS = {"sqlite": "sqlite", "sqlite+aiosqlite": "sqlite"}
# How long another process may hold an SQLite file, in seconds.
LOCK_PATIENCE = 5.0
_DRIVERS = {
    "postgresql": ("asyncpg", "psycopg", "psycopg2", "pg8000"),
    "mysql": ("pymysql", "aiomysql", "asyncmy", "mysqldb"),
    "mariadb": ("pymysql", "aiomysql", "asyncmy", "mysqldb"),
}
# What to install, where a module's name is not the name of its distribution.
_DISTRIBUTIONS = {"psycopg2": "psycopg2-binary", "mysqldb": "mysqlclient", "MySQLdb": "mysqlclient"}


class StorageError(Exception):
    """The database cannot be read. `remedy` is what the user can do about it."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the texts and bytes in it by column. Printing it shows column names only."""

    table: str
    values: dict[str, str | bytes]

    def __repr__(self) -> str:
        return f"Row({self.table}: {', '.join(self.values)})"


@dataclass(frozen=True, slots=True)
class Dump:
    """Everything textual in a database. `partial` says why something is missing; "" when nothing is.

    `unique` are the columns of each table that must differ from those of other rows, by constraint or index; of an
    expression, the words in it. `primary` are the columns of its primary key.
    """

    rows: tuple[Row, ...]
    tables: tuple[str, ...]
    partial: str = ""
    unique: Mapping[str, frozenset[frozenset[str]]] = field(default_factory=dict)
    primary: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Dump({len(self.rows)} rows of {len(self.tables)} tables)"

    def cells(self) -> Iterator[tuple[Row, str, str | bytes]]:
        """Every value with its row and the name of its column."""
        for row in self.rows:
            for column, value in row.values.items():
                yield row, column, value


async def read(url: str, *, rows: int = ROWS) -> Dump:
    """Read every text, binary and JSON value of every table. Raises StorageError.

    `url` is an SQLAlchemy URL, of a synchronous or an asynchronous driver. At most `rows` rows of each table
    are read, the newest where the database can tell.
    """
    try:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError
    except ImportError:
        raise StorageError(
            "SQLAlchemy is not installed.",
            "pip install 'fastapi-auth-conformance[db]'",
        ) from None
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StorageError("The database URL is not one that SQLAlchemy reads.", REMEDY) from None
    try:
        async with asyncio.timeout(PATIENCE):
            if parsed.drivername in SYNCHRONOUS:
                return await asyncio.to_thread(_read_sqlite, parsed, rows)
            return await _read_async(parsed, rows)
    except StorageError:
        raise
    except ModuleNotFoundError as error:
        name = error.name or parsed.get_driver_name()
        raise StorageError(
            f"The database cannot be read: its driver {name} is not installed.",
            f"pip install {_DISTRIBUTIONS.get(name, name)}",
        ) from None
    except TimeoutError:
        raise StorageError(f"The database did not answer within {PATIENCE:g} s.") from None
    except Exception as error:  # noqa: BLE001 - drivers raise what they like, asyncpg even when it connects
        raise unusable(error, "read") from None


REMEDY = 'database = { env = "DATABASE_URL" }  # the database that the service uses'


def unusable(error: Exception, what: str) -> StorageError:
    """What to tell of a driver's error: its own text may hold the URL, and with it a password."""
    if "database is locked" in str(error):
        return StorageError(
            f"The database cannot be {what}: it is locked by another process.",
            "Run again when no other process holds it, or use a copy of it.",
        )
    return StorageError(f"The database cannot be {what} ({type(error).__name__}).", REMEDY)


def _read_sqlite(url: URL, rows: int) -> Dump:
    import sqlite3
    from pathlib import Path

    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    name = url.database or ""
    if name in ("", ":memory:") or "mode=memory" in name:
        raise StorageError(
            "A database in memory cannot be read from outside.",
            "Use a database file for this run.",
        )
    path = Path(name.removeprefix("file:").partition("?")[0])
    if not path.exists():
        raise StorageError("The database file does not exist.", REMEDY)

    def connect() -> sqlite3.Connection:
        # Read only: not even the journal is touched.
        return sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False, timeout=LOCK_PATIENCE
        )

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            return _dump(connection, rows)
    finally:
        engine.dispose()


async def _read_async(url: URL, rows: int) -> Dump:
    from sqlalchemy import create_engine
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    chosen = with_installed_driver(url)
    if chosen.get_dialect().is_async:
        engine = create_async_engine(chosen, poolclass=NullPool)
        try:
            async with engine.connect() as connection:
                await connection.run_sync(_refuse_writes)
                return await connection.run_sync(_dump, rows)
        finally:
            await engine.dispose()

    def read_here() -> Dump:
        synchronous = create_engine(chosen, poolclass=NullPool)
        try:
            with synchronous.connect() as connection:
                _refuse_writes(connection)
                return _dump(connection, rows)
        finally:
            synchronous.dispose()

    return await asyncio.to_thread(read_here)


def with_installed_driver(url: URL) -> URL:
    """Return the URL with its own driver, or with one that is installed when its own is not."""
    from importlib.util import find_spec

    backend, _, own = url.drivername.partition("+")
    for name in (own, *_DRIVERS.get(backend, ())):
        if name and find_spec("MySQLdb" if name == "mysqldb" else name) is not None:
            return url.set(drivername=f"{backend}+{name}")
    return url


def _refuse_writes(connection: Connection) -> None:
    from sqlalchemy import text

    if connection.dialect.name in ("postgresql", "mysql", "mariadb"):
        connection.execute(text("SET TRANSACTION READ ONLY"))


def _dump(connection: Connection, limit: int) -> Dump:
    from sqlalchemy import inspect

    inspector = inspect(connection)
    found: list[Row] = []
    tables, cut, size = [], [], 0
    unique: dict[str, frozenset[frozenset[str]]] = {}
    primary: dict[str, frozenset[str]] = {}
    for schema, table in _tables(inspector):
        shown = f"{schema}.{table}" if schema else table
        tables.append(shown)
        unique[shown] = frozenset(_unique(connection, inspector, schema, table))
        primary[shown] = frozenset(inspector.get_pk_constraint(table, schema=schema)["constrained_columns"])
        for count, row in enumerate(_rows(connection, inspector, schema, table, limit + 1), 1):
            values = {column: text for column, value in row.items() if (text := _textual(value)) is not None}
            size += sum(len(value) + _OF_A_VALUE for value in values.values())
            if count > limit or size > BYTES:
                cut.append(shown)
                break
            found.append(Row(shown, values))
        if size > BYTES:
            break
    partial = f"not all rows of {', '.join(cut)} were read" if cut else ""
    return Dump(tuple(found), tuple(tables), partial, unique, primary)


def _unique(
    connection: Connection, inspector: Inspector, schema: str | None, table: str
) -> Iterator[frozenset[str]]:
    from sqlalchemy import text

    for constraint in inspector.get_unique_constraints(table, schema=schema):
        yield frozenset(constraint["column_names"])
    with warnings.catch_warnings():
        # SQLAlchemy says that it leaves out SQLite's indices over expressions: those are read below.
        warnings.simplefilter("ignore")
        indices = inspector.get_indexes(table, schema=schema)
    for index in indices:
        if index["unique"]:
            parts = index.get("expressions") or index["column_names"]
            yield frozenset(word for part in parts if part for word in _WORD.findall(part))
    if inspector.dialect.name == "sqlite":
        statement = text("SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :name")
        for definition in connection.execute(statement, {"name": table}).scalars():
            if definition and definition.upper().startswith("CREATE UNIQUE"):
                yield frozenset(_WORD.findall(definition.partition("(")[2]))


def _tables(inspector: Inspector) -> Iterator[tuple[str | None, str]]:
    schemas: list[str | None] = [None]
    if inspector.dialect.name != "sqlite":
        schemas += [
            name
            for name in inspector.get_schema_names()
            if name != inspector.default_schema_name and not name.startswith(_SYSTEM)
        ]
    for schema in schemas:
        for table in sorted(inspector.get_table_names(schema=schema)):
            yield schema, table


def _rows(
    connection: Connection,
    inspector: Inspector,
    schema: str | None,
    table: str,
    limit: int,
) -> Iterator[dict[str, Any]]:
    from sqlalchemy import column, select
    from sqlalchemy import table as named

    columns = [item["name"] for item in inspector.get_columns(table, schema=schema)]
    if not columns:
        return
    # Without types: what the driver gives is looked at as it is, whatever the column claims to be.
    statement = select(*map(column, columns)).select_from(named(table, schema=schema)).limit(limit)
    if connection.dialect.name == "sqlite" and _has_rowid(connection, table):
        statement = statement.order_by(column("rowid", is_literal=True).desc())
    elif connection.dialect.name == "postgresql":
        # Where a row lies tells roughly when it was written: what a run has just made lies at the end.
        statement = statement.order_by(column("ctid", is_literal=True).desc())
    for row in connection.execute(statement):
        yield dict(zip(columns, row, strict=True))


def _has_rowid(connection: Connection, table: str) -> bool:
    from sqlalchemy import text

    statement = text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name")
    definition = connection.execute(statement, {"name": table}).scalar() or ""
    return "WITHOUT ROWID" not in str(definition).upper()


def _textual(value: object) -> str | bytes | None:
    match value:
        case None | bool() | int() | float():
            return None
        case str():
            return value
        case bytes():
            return value
        case bytearray() | memoryview():
            return bytes(value)
        case dict() | list():
            return json.dumps(value, ensure_ascii=False, default=str)
        case _:
            return str(value)
