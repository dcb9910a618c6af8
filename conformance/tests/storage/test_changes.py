"""The two changes that checks make in a database: a row goes, a moment moves in its own notation."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance import storage_changes
from auth_conformance.storage import StorageError
from auth_conformance.storage_changes import (
    erase,
    moment_column,
    postpone,
    shifted,
    standing_column,
    turn,
)

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1))  # noqa: DTZ001 - a stored text has no zone


@given(MOMENTS, st.integers(-(10**8), 10**8))
def test_a_text_keeps_its_notation(moment: datetime, seconds: int) -> None:
    moved = moment + timedelta(seconds=seconds)
    for sep in (" ", "T"):
        assert datetime.fromisoformat(shifted(moment.isoformat(sep), seconds)) == moved
        assert len(shifted(moment.isoformat(sep, "microseconds"), seconds)) == 26
    aware = moment.replace(tzinfo=UTC)
    assert shifted(aware.isoformat().replace("+00:00", "Z"), seconds).endswith("Z")
    assert datetime.fromisoformat(shifted(aware.isoformat(), seconds)) == aware + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("value", "moved"),
    [
        (1_772_366_400, 1_772_366_340),
        (1_772_366_400_000, 1_772_366_340_000),
        (1_772_366_400.5, 1_772_366_340.5),
        (datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 3, 1, 11, 59, tzinfo=UTC)),
        ("2026-03-01", "2026-02-28"),
        (date(2026, 3, 1), date(2026, 2, 28)),
        (None, None),
        (True, None),
        ("never", None),
    ],
)
def test_every_kind_of_moment(value: object, moved: object) -> None:
    assert shifted(value, -60) == moved


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "keys.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE keys (digest TEXT, ends TEXT, number INTEGER)")
        connection.execute("INSERT INTO keys VALUES ('a', '2026-03-01 12:00:00.000000', 1772366400)")
        connection.execute("INSERT INTO keys VALUES ('b', '2026-03-01 12:00:00.000000', 1772366400)")
    return path


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+aiosqlite"])
def test_one_row_changes_and_no_other(database: Path, driver: str) -> None:
    url = f"{driver}:///{database}"
    assert asyncio.run(postpone(url, "keys", ("digest", "a"), "ends", -3600)) == 1
    assert asyncio.run(postpone(url, "keys", ("digest", "a"), "number", -3600)) == 1
    with closing(sqlite3.connect(database)) as connection, connection:
        rows = connection.execute("SELECT * FROM keys ORDER BY digest").fetchall()
    assert rows == [
        ("a", "2026-03-01 11:00:00.000000", 1_772_362_800),
        ("b", "2026-03-01 12:00:00.000000", 1_772_366_400),
    ]
    assert asyncio.run(moment_column(url, "keys", ("digest", "b"), 1_772_366_402)) == "number"
    assert asyncio.run(moment_column(url, "keys", ("digest", "a"), 1_772_366_400)) is None
    assert asyncio.run(erase(url, "keys", "digest", "a")) == 1
    assert asyncio.run(erase(url, "keys", "digest", "a")) == 0


def test_what_cannot_be_changed_is_said_without_the_url(database: Path) -> None:
    with pytest.raises(StorageError) as caught:
        asyncio.run(erase(f"sqlite:///{database}", "nothing", "digest", "a"))
    assert str(database) not in str(caught.value)
    assert asyncio.run(postpone(f"sqlite:///{database}", "keys", ("digest", "c"), "ends", -1)) == 0


@pytest.mark.parametrize(
    ("column", "kept", "found"),
    [
        ("is_active", 1, "is_active"),
        ("isDisabled", 0, "isDisabled"),
        ("is_active", 0, None),
        ("active_since", 1, None),
        ("enabled", None, None),
    ],
)
def test_a_flag_says_that_an_account_may_act(
    column: str, kept: int | None, found: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "people.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE people (name TEXT, {column} BOOLEAN)")
        connection.executemany("INSERT INTO people VALUES (?, ?)", [("x", kept), ("y", kept), ("y", kept)])
    url = f"sqlite:///{path}"
    assert asyncio.run(standing_column(url, "people", ("name", "x"))) == found
    assert asyncio.run(standing_column(url, "people", ("name", "y"))) is None, "two rows are nobody's"
    if found is not None:
        assert asyncio.run(turn(url, "people", ("name", "x"), found)) == 1
        assert asyncio.run(standing_column(url, "people", ("name", "x"))) is None
        with closing(sqlite3.connect(path)) as connection:
            others = connection.execute(f"SELECT {column} FROM people WHERE name = 'y'").fetchall()  # noqa: S608
        assert others == [(kept,), (kept,)]


def test_a_row_of_a_locked_file_is_not_changed_and_that_is_told(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that holds the file lets others read, and nobody write."""
    monkeypatch.setattr(storage_changes, "LOCK_PATIENCE", 0.05)
    writer = sqlite3.connect(database, isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="cannot be changed: it is locked by another process") as told:
            asyncio.run(erase(f"sqlite+aiosqlite:///{database}", "keys", "digest", "a"))
        assert "no other process holds it" in told.value.remedy
    finally:
        writer.close()


def test_whatever_a_driver_raises_is_told_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("postgresql://app:hunter2@db")

    monkeypatch.setattr("sqlalchemy.create_engine", broken)
    with pytest.raises(StorageError, match="cannot be changed") as told:
        asyncio.run(erase("sqlite:///some.db", "keys", "digest", "a"))
    assert "hunter2" not in f"{told.value} {told.value.remedy}"
