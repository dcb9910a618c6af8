"""The database, read once and read only."""

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from auth_conformance import storage
from auth_conformance.storage import Dump, StorageError, read


def made(folder: Path, *statements: str) -> str:
    path = folder / "some.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return f"sqlite+aiosqlite:///{path}"


def dumped(url: str, rows: int = 100) -> Dump:
    return asyncio.run(read(url, rows=rows))


def test_every_text_and_blob_of_every_table_is_read(tmp_path: Path) -> None:
    url = made(
        tmp_path,
        'CREATE TABLE "order by" (id INTEGER PRIMARY KEY, "select" TEXT, blob BLOB, data JSON)',
        "INSERT INTO \"order by\" VALUES (1, 'one', x'00ff', '{\"a\": 1}')",
        "CREATE TABLE bare (name TEXT PRIMARY KEY) WITHOUT ROWID",
        "INSERT INTO bare VALUES ('two')",
        "CREATE TABLE empty (x TEXT)",
    )
    for driver in ("sqlite+aiosqlite", "sqlite"):
        dump = dumped(url.replace("sqlite+aiosqlite", driver))
        assert {(row.table, column, value) for row, column, value in dump.cells()} == {
            ("order by", "select", "one"),
            ("order by", "blob", b"\x00\xff"),
            ("order by", "data", '{"a": 1}'),
            ("bare", "name", "two"),
        }
        assert set(dump.tables) == {"order by", "bare", "empty"}
        assert not dump.partial


def test_the_newest_rows_are_read_and_the_cut_is_told(tmp_path: Path) -> None:
    inserts = [f"INSERT INTO t VALUES ('v{number}')" for number in range(10)]  # noqa: S608 - numbers of our own
    dump = dumped(made(tmp_path, "CREATE TABLE t (x TEXT)", *inserts), rows=3)
    assert [value for _, _, value in dump.cells()] == ["v9", "v8", "v7"]
    assert "t" in dump.partial


def test_printing_shows_no_value(tmp_path: Path) -> None:
    dump = dumped(made(tmp_path, "CREATE TABLE t (x TEXT)", "INSERT INTO t VALUES ('hunter2')"))
    assert "hunter2" not in repr(dump) + repr(dump.rows) + str(dump.rows[0])


def test_nothing_is_written(tmp_path: Path) -> None:
    url = made(tmp_path, "CREATE TABLE t (x TEXT)")
    before = (tmp_path / "some.db").read_bytes()
    dumped(url)
    assert (tmp_path / "some.db").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["some.db"]


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("sqlite://", "memory"),
        ("sqlite+aiosqlite:///:memory:", "memory"),
        ("sqlite:////nowhere/none.db", "not exist"),
        ("not a url", "not one that SQLAlchemy reads"),
        ("postgresql://who:s3same@127.0.0.1:1/x", "cannot be read"),
        ("postgresql://who:s3same@127.0.0.1:port/x", "not one that SQLAlchemy reads"),
        ("oracle+nodriver://x", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_told_without_the_url(url: str, word: str) -> None:
    with pytest.raises(StorageError, match=word) as caught:
        dumped(url)
    assert "s3same" not in f"{caught.value}{caught.value.remedy}"


@pytest.mark.parametrize("url", ["postgresql", "postgresql+asyncpg", "postgresql+psycopg2", "mysql+mysqldb"])
def test_a_missing_driver_is_named_with_what_installs_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for driver in ("asyncpg", "psycopg", "psycopg2", "pg8000", "pymysql", "aiomysql", "asyncmy", "MySQLdb"):
        monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(StorageError, match=r"cannot be read: its driver \w+ is not installed") as caught:
        dumped(f"{url}://who:s3same@127.0.0.1:1/x")
    assert caught.value.remedy.startswith("pip install ")
    assert "s3same" not in f"{caught.value}{caught.value.remedy}"


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(StorageError, match="cannot be read"):
        dumped(f"sqlite:///{tmp_path}/x.db")


@pytest.mark.parametrize(
    "url",
    [
        "no url",
        "sqlite+aiosqlite:///{folder}/nowhere.db",
        "sqlite:///{folder}",
        "sqlite:///{folder}/noise.db",
        "postgresql+asyncpg://shop:hunter2@127.0.0.1:1/shop",
        "nosuch+driver://shop:hunter2@127.0.0.1/shop",
        "sqlite://",
    ],
)
def test_a_wrong_url_is_one_sentence_without_its_password(url: str, tmp_path: Path) -> None:
    (tmp_path / "noise.db").write_bytes(b"no database at all " * 100)
    with pytest.raises(StorageError) as caught:
        dumped(url.format(folder=tmp_path))
    said = f"{caught.value} {caught.value.remedy}"
    assert said.strip().count("\n") == 0
    assert "hunter2" not in said


def test_a_writer_in_the_middle_of_its_work_is_no_obstacle_or_is_told(tmp_path: Path) -> None:
    url = made(tmp_path, "CREATE TABLE t (x TEXT)", "INSERT INTO t VALUES ('one')")
    writer = sqlite3.connect(tmp_path / "some.db", isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        assert [value for _, _, value in dumped(url).cells()] == ["one"]
    finally:
        writer.close()


def test_a_locked_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LOCK_PATIENCE", 0.05)
    url = made(tmp_path, "CREATE TABLE t (x TEXT)", "INSERT INTO t VALUES ('one')")
    writer = sqlite3.connect(tmp_path / "some.db", isolation_level=None)
    try:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="locked by another process"):
            dumped(url)
    finally:
        writer.close()
