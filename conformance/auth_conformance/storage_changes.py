"""The few changes that checks make in a target's database, in rows of their own.

A row is deleted, its end is moved, or the flag that lets an account act is turned.

SQLAlchemy is the extra `[db]` and is imported when a database is changed, never before.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from auth_conformance.oracles.moments import day_of, is_day_of
from auth_conformance.storage import (
    LOCK_PATIENCE,
    PATIENCE,
    SYNCHRONOUS,
    StorageError,
    unusable,
    with_installed_driver,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection, TableClause

T = TypeVar("T")

# Columns that say whether an account may act, and what they hold while it may.
STANDING = {
    **dict.fromkeys(("active", "isactive", "enabled", "isenabled", "accountenabled"), True),
    **dict.fromkeys(
        ("disabled", "isdisabled", "deactivated", "isdeactivated", "inactive", "isinactive"), False
    ),
    **dict.fromkeys(("blocked", "isblocked", "banned", "isbanned", "suspended", "issuspended"), False),
}
# How far a stored moment may be from the one that is looked for, in seconds.
_NEAR = 5.0


async def erase(url: str, table: str, column: str, value: str | bytes) -> int:
    """Delete the rows of `table` whose `column` is `value`, and say how many they were. Raises StorageError."""
    return await _write(url, lambda connection: _erase(connection, table, column, value))


async def postpone(url: str, table: str, where: tuple[str, str | bytes], column: str, seconds: float) -> int:
    """Shift a moment in the rows where a column has a value, and say how many rows changed. Raises StorageError.

    The moment keeps the form in which it is stored: a text, a number of seconds, or the database's own type.
    """
    return await _write(url, lambda connection: _postpone(connection, table, where, column, seconds))


async def standing_column(url: str, table: str, where: tuple[str, str | bytes]) -> str | None:
    """The column in which the only such row says that its account may act; None where none says so.

    A row that is not the only one, or that says that its account is shut, has none. Raises StorageError.
    """
    return await _write(url, lambda connection: _standing_column(connection, table, where))


async def turn(url: str, table: str, where: tuple[str, str | bytes], column: str) -> int:
    """Turn a flag of the rows where a column has a value, and say how many rows changed. Raises StorageError."""
    return await _write(url, lambda connection: _turn(connection, table, where, column))


async def moment_column(url: str, table: str, where: tuple[str, str | bytes], near: float) -> str | None:
    """The column in which a row keeps the moment `near` (in seconds since 1970, to five seconds) as no text."""
    return await _write(url, lambda connection: _moment_column(connection, table, where, near))


async def _write(url: str, change: Callable[[Connection], T]) -> T:
    """Make one change in a transaction of its own."""
    try:
        from sqlalchemy import create_engine
        from sqlalchemy.engine import make_url
        from sqlalchemy.ext.asyncio import create_async_engine
        from sqlalchemy.pool import NullPool
    except ImportError:
        raise StorageError(
            "SQLAlchemy is not installed.", "pip install 'fastapi-auth-conformance[db]'"
        ) from None
    try:
        async with asyncio.timeout(PATIENCE):
            parsed = make_url(url)
            synchronous = SYNCHRONOUS.get(parsed.drivername)
            chosen = parsed.set(drivername=synchronous) if synchronous else with_installed_driver(parsed)
            if chosen.get_dialect().is_async:
                engine = create_async_engine(chosen, poolclass=NullPool)
                try:
                    async with engine.begin() as connection:
                        return await connection.run_sync(change)
                finally:
                    await engine.dispose()

            def here() -> T:
                waits = {"timeout": LOCK_PATIENCE} if synchronous else {}
                local = create_engine(chosen, poolclass=NullPool, connect_args=waits)
                try:
                    with local.begin() as connection:
                        return change(connection)
                finally:
                    local.dispose()

            return await asyncio.to_thread(here)
    except ModuleNotFoundError as error:
        raise StorageError(
            f"The driver {error.name} is not installed.", f"pip install {error.name}"
        ) from None
    except TimeoutError:
        raise StorageError(f"The database did not answer within {PATIENCE:g} s.") from None
    except Exception as error:  # noqa: BLE001 - drivers raise what they like, asyncpg even when it connects
        raise unusable(error, "changed") from None


def _erase(connection: Connection, table: str, column: str, value: str | bytes) -> int:
    from sqlalchemy import column as named
    from sqlalchemy import delete

    statement = delete(_table(table, column)).where(named(column) == value)
    return int(connection.execute(statement).rowcount)


def _moment_column(
    connection: Connection, table: str, where: tuple[str, str | bytes], near: float
) -> str | None:
    from sqlalchemy import column as named
    from sqlalchemy import select, text

    query = select(text("*")).select_from(_table(table)).where(named(where[0]) == where[1])
    row = connection.execute(query).mappings().first()
    for name, value in row.items() if row is not None else ():
        if isinstance(value, datetime):
            seconds = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        elif isinstance(value, date):
            if is_day_of(value, near):
                return str(name)
            continue
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            seconds = value / _unit(value)
        else:
            continue
        if abs(seconds - near) < _NEAR:
            return str(name)
    return None


def _standing_column(connection: Connection, table: str, where: tuple[str, str | bytes]) -> str | None:
    from sqlalchemy import column as named
    from sqlalchemy import select, text

    query = select(text("*")).select_from(_table(table)).where(named(where[0]) == where[1])
    rows = connection.execute(query).mappings().fetchmany(2)
    for name, value in rows[0].items() if len(rows) == 1 else ():
        acts = STANDING.get(str(name).lower().replace("_", ""))
        if acts is not None and value in (0, 1) and bool(value) is acts:
            return str(name)
    return None


def _turn(connection: Connection, table: str, where: tuple[str, str | bytes], column: str) -> int:
    from sqlalchemy import column as named
    from sqlalchemy import select, update

    rows, condition = _table(table, column, where[0]), named(where[0]) == where[1]
    old = connection.execute(select(named(column)).select_from(rows).where(condition)).scalar()
    if old not in (0, 1):
        return 0
    # SQLite and MySQL keep a flag as a number, others as a truth value.
    values = {column: not old if isinstance(old, bool) else int(not old)}
    return int(connection.execute(update(rows).where(condition).values(values)).rowcount)


def _unit(value: float) -> int:
    """How many of what is counted are a second: since 1973 milliseconds have more than eleven digits."""
    return 1 if value < 10**11 else 1_000 if value < 10**14 else 1_000_000


def _postpone(
    connection: Connection, table: str, where: tuple[str, str | bytes], column: str, seconds: float
) -> int:
    from sqlalchemy import column as named
    from sqlalchemy import select, update

    rows = _table(table, column, where[0])
    condition = named(where[0]) == where[1]
    old = connection.execute(select(named(column)).select_from(rows).where(condition)).scalar()
    new = shifted(old, seconds)
    if new is None:
        return 0
    return int(connection.execute(update(rows).where(condition).values({column: new})).rowcount)


def _table(name: str, *columns: str) -> TableClause:
    from sqlalchemy import column, table

    schema, _, bare = name.rpartition(".")
    return table(bare, *map(column, dict.fromkeys(columns)), schema=schema or None)


def _days(seconds: float) -> int:
    """So many whole days that a day which is moved by them is moved by no less."""
    return int(math.copysign(math.ceil(abs(seconds) / 86_400), seconds))


def shifted(value: object, seconds: float) -> Any:
    """A stored moment moved by `seconds`, in the form in which it was; None for what is no moment."""
    match value:
        case datetime():
            return value + timedelta(seconds=seconds)
        case date():
            return value + timedelta(days=_days(seconds))
        case bool():
            return None
        case int() | float():
            return type(value)(value + seconds * _unit(value))
        case str() if (day := day_of(value)) is not None:
            return (day + timedelta(days=_days(seconds))).isoformat()
        case str():
            try:
                moved = datetime.fromisoformat(value) + timedelta(seconds=seconds)
            except (ValueError, OverflowError):
                return None
            text = moved.isoformat(sep=value[10] if len(value) > 10 else " ")
            if "." in value and not moved.microsecond:
                zone = max(text.find("+"), text.rfind("-", 11))
                text = f"{text}.000000" if zone < 0 else f"{text[:zone]}.000000{text[zone:]}"
            return text.replace("+00:00", "Z") if value.endswith("Z") else text
        case _:
            return None
