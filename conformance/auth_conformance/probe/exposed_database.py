"""The database is not served, not readable by everybody, and not opened with a default password (checklist STO106)."""

from __future__ import annotations

import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from auth_conformance.model import Failed, Inconclusive, Need, Passed, Role, Severity, Verdict, Violation
from auth_conformance.probe.core import Missing
from auth_conformance.probe.refusal import Refusal
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    from auth_conformance.transports.message import RawReply

MAGIC = b"SQLite format 3\0"
_DUMP = re.compile(
    rb"(?:^|\n)(?:-- (?:PostgreSQL|MySQL|MariaDB) .{0,20}dump|CREATE TABLE |INSERT INTO |PRAGMA foreign_keys)",
    re.IGNORECASE,
)
_NAMES = ("app.db", "test.db", "sql_app.db", "database.db", "db.sqlite3", "data.db")
_FOLDERS = ("", "data/", "static/")
_BESIDE = ("-wal", "-journal", ".bak", ".sql")
MOST = 22
_DEFAULTS = frozenset(
    {
        ("postgres", "postgres"), ("postgres", "password"), ("postgres", ""), ("root", ""), ("root", "root"),
        ("root", "password"), ("user", "password"), ("admin", "admin"), ("admin", "password"),
        ("postgres", "changethis"),
        ("mysql", "mysql"), ("sa", "sa"), ("test", "test"),
    }
)  # fmt: skip
_LOCAL = frozenset(("", "localhost", "127.0.0.1", "::1"))


class ExposedDatabase(Refusal):
    """Nobody reaches the database but the service."""

    async def must_keep_database_away(self) -> Verdict:
        """Ask for it over HTTP, look at its file and at its URL. Raises Missing or Unclear."""
        url = self.target.database
        await self._must_serve("before")
        violations: list[Violation] = []
        doubts: list[str] = []
        for path in self._database_paths(url):
            found = await self._served(path)
            violations += [found] if isinstance(found, Violation) else []
            doubts += [found] if isinstance(found, str) else []
        await self._must_serve("after")
        notes = []
        if url is not None:
            violations += [Violation(None, message, severity) for message, severity in faults_of(url)]
        else:
            notes.append("The database itself was not looked at: its URL is not known.")
        if violations:
            return Failed(tuple(violations), tuple(self.evidence), tuple(notes))
        if url is None and self.target.source is None:
            raise Missing(
                "Not tested: the database of the service is not known.", self._remedy(Need.DATABASE)
            )
        if doubts:
            more = f" (and {len(doubts) - 1} more)" if len(doubts) > 1 else ""
            return Inconclusive(f"{doubts[0]}{more}.", "", tuple(self.evidence), tuple(notes))
        return Passed(
            f"{len(self.evidence)} requests gave no database, and its file and URL are in order.",
            tuple(self.evidence),
            tuple(notes),
        )

    async def _served(self, path: str) -> Violation | str | None:
        """What a stranger is given of the database there, twice; in words what stayed unclear."""
        proof = []
        for prefix in ("", "again: "):
            answer = await self.send(
                replace(HttpRequest("GET", path), fresh=bool(prefix)),
                label=f"{prefix}GET {path} as a stranger",
                role=Role.ATTACK,
                operation=f"GET {path}",
            )
            what = content_of(answer.reply)
            proof.append(answer.exchange)
            if not what:
                break
        else:
            message = f"GET {path} gives {what} to strangers."
            return Violation(f"GET {path}", message, Severity.CRITICAL, tuple(proof))
        if len(proof) > 1:
            return f"GET {path} gave what looks like a database once, and then {answer.status}"
        busy = (
            answer.judgement is not None
            or answer.status is None
            or answer.status == 429
            or answer.status >= 500
        )
        return f"GET {path}: {answer.why or answer.status or 'no answer'}" if busy else None

    async def _must_serve(self, when: str) -> None:
        """SW: a service that gives everybody the same page has hidden nothing. Raises Missing or Unclear."""
        await self.must_be_reachable()
        live = await self.credential()
        await self.must_live(self.witness, live, await self.baseline(self.witness, live), when)

    def _database_paths(self, url: str | None) -> list[str]:
        paths = [f"/{folder}{name}" for folder in _FOLDERS for name in _NAMES[: 6 if not folder else 2]]
        file = file_of(url) if url is not None else None
        name = file.name if file is not None else ""
        own = [f"/{folder}{name}" for folder in _FOLDERS] if name else []
        beside = [f"/{name or _NAMES[0]}{ending}" for ending in _BESIDE]
        return list(dict.fromkeys([*own, *beside, "/static/../app.db", *paths]))[:MOST]


def content_of(reply: RawReply) -> str:
    """What a reply holds of a database, by its first bytes; "" for anything else, such as a page for every path."""
    if not reply.ok:
        return ""
    if reply.body.startswith(MAGIC):
        return "a SQLite database"
    return (
        "a dump in SQL"
        if _DUMP.search(reply.body[:4096]) and b"<html" not in reply.body[:2048].lower()
        else ""
    )


def file_of(url: str) -> Path | None:
    """The file of an SQLite URL; None for other databases and for memory."""
    scheme, _, rest = url.partition("://")
    name = rest.partition("?")[0].removeprefix("/")
    return Path(name) if scheme.startswith("sqlite") and name and ":memory:" not in name else None


def faults_of(url: str) -> list[tuple[str, Severity]]:
    """What is wrong with the file or the URL of a database."""
    path = file_of(url)
    if path is not None:
        return _file_faults(path)
    try:
        parts = urlsplit(url)
        pair, host = (parts.username or "", parts.password or ""), parts.hostname or ""
    except ValueError:
        return []
    found: list[tuple[str, Severity]] = []
    if pair in _DEFAULTS and host not in _LOCAL:
        found.append(
            ("The database is opened with a user and a password that everybody tries first.", Severity.MEDIUM)
        )
    options = " ".join(
        [*parse_qs(parts.query), *(value for values in parse_qs(parts.query).values() for value in values)]
    ).lower()
    secured = any(word in options for word in ("ssl", "tls", "require", "verify"))
    if host not in _LOCAL and "." in host and not secured:
        found.append(("The database is on another machine, and its URL asks for no TLS.", Severity.LOW))
    return found


def _file_faults(path: Path) -> list[tuple[str, Severity]]:
    found = []
    for item in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-journal")):
        try:
            mode = item.stat().st_mode
        except OSError:
            continue
        if mode & stat.S_IROTH and _enterable(item.parent):
            found.append(
                (
                    f"The file {item.name} of the database can be read by every user of the machine.",
                    Severity.MEDIUM,
                )
            )
    return found


def _enterable(folder: Path) -> bool:
    """Whether every user of the machine gets as far as this folder."""
    return all(item.stat().st_mode & stat.S_IXOTH for item in (folder.resolve(), *folder.resolve().parents))
