"""KEY101, KEY111 and STO104: sound services pass, wrong ones fail, unclear ones are neither."""

import base64
import hashlib
import random
import secrets
import sqlite3
import string
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from checks.token_app import Keys, Tokens, create_app, digest, judged, known

from auth_conformance.model import Severity
from auth_conformance.probe import keyexpiry

WRONG: dict[str, tuple[Callable[[str, str], bool], Severity]] = {
    "the prefix is enough": (lambda key, shown: shown.startswith(key[:11]), Severity.CRITICAL),
    "only the length of what is shown counts": (lambda key, shown: key.startswith(shown), Severity.CRITICAL),
    "what follows the key does not count": (lambda key, shown: shown.startswith(key), Severity.CRITICAL),
    "quotes and blanks are removed": (lambda key, shown: shown.strip('" ') == key, Severity.CRITICAL),
    "case does not count": (lambda key, shown: shown.lower() == key.lower(), Severity.MEDIUM),
}


class TestHalfChecked:
    def test_whole_keys_only(self) -> None:
        result = judged("KEY101", create_app(Tokens(), Keys()))
        assert result.name == "passed", result.verdict.reason

    @pytest.mark.parametrize("name", WRONG)
    def test_half_checked(self, name: str) -> None:
        same, severity = WRONG[name]
        result = judged("KEY101", create_app(Tokens(), Keys(same=same)))
        assert (result.name, result.severity) == ("failed", severity)

    def test_keys_of_other_shapes(self) -> None:
        for make in (
            lambda: secrets.token_hex(16),
            lambda: f"a.{secrets.token_hex(16)}",
            lambda: secrets.token_hex(4),
        ):
            assert judged("KEY101", create_app(Tokens(), Keys(make=make))).name == "passed"


def dropped_zone(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestEndOfKeys:
    def test_kept(self) -> None:
        result = judged("KEY111", create_app(Tokens(), Keys()))
        assert result.name == "passed", result.verdict.reason
        assert "by a moved clock" in result.verdict.reason

    def test_never_compared(self) -> None:
        result = judged("KEY111", create_app(Tokens(), Keys(over=lambda _: False)))
        assert result.name == "failed"
        assert "61 s after its end" in result.verdict.reason

    def test_a_zone_that_is_dropped_shifts_the_end(self) -> None:
        result = judged("KEY111", create_app(Tokens(), Keys(end=dropped_zone)))
        assert result.name == "failed"
        assert "+14:00" in result.verdict.reason

    def test_over_before_it_began(self) -> None:
        result = judged("KEY111", create_app(Tokens(), Keys(end=dropped_zone, over=lambda _: False)))
        assert result.name == "failed"
        assert any("in the past" in item.message for item in result.findings)

    def test_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keyexpiry, "SOONEST", (1,))
        result = judged("KEY111", create_app(Tokens(), Keys()), known(movable=False))
        assert result.name == "passed", result.verdict.reason
        assert "after waiting" in result.verdict.reason

    def test_waited_for_in_vain(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keyexpiry, "SOONEST", (1,))
        monkeypatch.setattr(keyexpiry, "KEY_TOLERANCE", 2)
        monkeypatch.setattr(keyexpiry, "MARGIN", 0)
        app = create_app(Tokens(), Keys(over=lambda _: False))
        assert judged("KEY111", app, known(movable=False)).name == "failed"


class Table:
    """A table of keys, written as a test says."""

    def __init__(self, folder: Path, write: Callable[[str], str | bytes]) -> None:
        self.url = f"sqlite+aiosqlite:///{folder}/keys.db"
        self._path, self._write = folder / "keys.db", write
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute("CREATE TABLE keys (id TEXT, salt TEXT, value, note INTEGER)")

    def store(self, key: str, number: str) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute(
                "INSERT INTO keys VALUES (?, ?, ?, 7)", (number, "pepper-and-salt", self._write(key))
            )


def salted(key: str) -> str:
    return hashlib.sha256(b"pepper-and-salt" + key.encode()).hexdigest()


STORED: dict[str, tuple[Callable[[str], str | bytes], str, Severity | None]] = {
    "digest": (digest, "passed", None),
    "binary digest": (lambda key: hashlib.sha512(key.encode()).digest(), "passed", None),
    "digest with a salt": (salted, "passed", None),
    "digest without the first word": (lambda key: digest(key.removeprefix("rk_")), "passed", None),
    "the bytes that it spells": (
        lambda key: bytes.fromhex(key.split("_", 2)[2]),
        "failed",
        Severity.CRITICAL,
    ),
    "slow hash": (lambda _: "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", "passed", None),
    "clear": (lambda key: key, "failed", Severity.CRITICAL),
    "clear in JSON": (lambda key: f'{{"request": {{"key": "{key}"}}}}', "failed", Severity.CRITICAL),
    "secret part in clear": (lambda key: key.split("_", 2)[2], "failed", Severity.CRITICAL),
    "base64": (lambda key: base64.b64encode(b"x" + key.encode()), "failed", Severity.CRITICAL),
    "hexadecimal": (lambda key: key.encode().hex().upper(), "failed", Severity.CRITICAL),
    "half of it": (lambda key: key[:30] + digest(key), "failed", Severity.MEDIUM),
    "all but four": (lambda key: key[:-4], "failed", Severity.CRITICAL),
    "MD5": (
        lambda key: hashlib.md5(key.encode(), usedforsecurity=False).hexdigest(),
        "failed",
        Severity.HIGH,
    ),
    "encrypted": (lambda _: secrets.token_hex(64), "inconclusive", None),
}


class TestStorage:
    @pytest.mark.parametrize("form", STORED)
    def test_forms(self, form: str, tmp_path: Path) -> None:
        write, verdict, severity = STORED[form]
        table = Table(tmp_path, write)
        make = lambda: f"rk_{secrets.token_hex(4)}_{secrets.token_hex(32)}"  # noqa: E731 - a factory in place
        app = create_app(Tokens(), Keys(make=make, store=table.store))
        result = judged("STO104", app, known(database=table.url))
        assert result.name == verdict, result.verdict.reason
        assert severity is None or result.severity is severity
        assert "rk_" not in str(result.verdict.reason)

    def test_a_fast_digest_of_a_guessable_key(self, tmp_path: Path) -> None:
        table = Table(tmp_path, digest)
        make = lambda: "rk_" + "".join(random.choices(string.ascii_lowercase, k=12))  # noqa: E731 - as above
        app = create_app(Tokens(), Keys(make=make, store=table.store))
        result = judged("STO104", app, known(database=table.url))
        assert (result.name, result.severity) == ("failed", Severity.HIGH)

    def test_a_database_that_cannot_be_read(self, tmp_path: Path) -> None:
        app = create_app(Tokens())
        for url in (
            f"sqlite:///{tmp_path}/none.db",
            "sqlite://",
            "no url",
            "postgresql://nobody:pw@127.0.0.1:1/x",
        ):
            result = judged("STO104", app, known(database=url))
            assert result.name == "inconclusive"
            assert "nobody:pw" not in result.verdict.reason

    def test_another_database_than_the_service_uses(self, tmp_path: Path) -> None:
        table = Table(tmp_path, digest)
        assert judged("STO104", create_app(Tokens()), known(database=table.url)).name == "inconclusive"
