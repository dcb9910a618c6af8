"""SRC116: versions of packages that authentication stands on, against a dated table of known flaws."""

from __future__ import annotations

import importlib.metadata
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from auth_conformance.model import Severity
from auth_conformance.source.tree import Spot, Tree, relative

# When the table was last compared with what is published. Older than this many days it proves nothing.
DATED = date(2026, 11, 25)
LASTING = 90


@dataclass(frozen=True, slots=True)
class Known:
    """A known flaw: distribution, versions that have it, and what it is."""

    name: str
    versions: str
    what: str
    severity: Severity = Severity.HIGH


TABLE = (
    Known("pyjwt", "<2.4.0", "CVE-2022-29217: a public key may pass for an HMAC secret"),
    Known("pyjwt", "==2.10.0", "CVE-2024-53861: part of an issuer passes for it"),
    Known("pyjwt", "<2.12.0", "CVE-2026-32597: unknown critical headers are ignored"),
    Known(
        "python-jose",
        "<3.4.0",
        "CVE-2024-33663 and CVE-2024-33664: keys are confused, and tokens may be bombs",
    ),
    Known(
        "python-jose", ">=3.4.0", "it is not maintained, and takes DER keys for HMAC secrets", Severity.LOW
    ),
    Known("python-jwt", "<3.3.4", "CVE-2022-39227: claims can be replaced under a valid signature"),
    Known("authlib", "<1.3.1", "CVE-2024-37568: a public key may pass for an HMAC secret"),
    Known("authlib", "<1.6.5", "CVE-2025-61920: unbounded tokens exhaust the service"),
    Known("authlib", "<1.6.9", "CVE-2026-27962: a key in the header may be believed"),
    Known("jwcrypto", "<1.5.6", "CVE-2024-28102: compressed tokens exhaust the service"),
    Known(
        "fastapi",
        "<0.65.2",
        "CVE-2021-32677: JSON bodies are read without their media type, from other sites too",
    ),
    Known("python-multipart", "<0.0.18", "CVE-2024-53981: a login form may exhaust the service"),
    Known("fastapi-jwt-auth", ">=0", "it is not maintained", Severity.LOW),
)
_PASSLIB = Known("passlib", ">=0", "it is not maintained, and fails with bcrypt 5", Severity.LOW)
NAMES = frozenset([*(known.name for known in TABLE), "passlib", "bcrypt"])
# Import names that differ from the names of distributions.
_IMPORTED = {
    "jwt": "pyjwt",
    "jose": "python-jose",
    "python_jwt": "python-jwt",
    "multipart": "python-multipart",
}
_PINNED = re.compile(r"^\s*(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*===?\s*(?P<version>[\w.+!-]+)")
_NAMED = re.compile(r"""^\s*["']?(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*(?:[<>~!=;"',@]|$)""")


@dataclass(frozen=True, slots=True)
class Pinned:
    """A distribution with its version ("" where none is fixed) and where that stands."""

    name: str
    version: str
    path: str
    line: int


def vulnerable(found: Mapping[str, Pinned]) -> Iterator[Spot]:
    """SRC116: what the table says about these distributions."""
    for item in found.values():
        for known in TABLE:
            if known.name == item.name and _affected(item.version, known.versions):
                yield _spot(item, known)
    passlib, bcrypt = found.get("passlib"), found.get("bcrypt")
    if passlib is not None:
        broken = bcrypt is not None and _affected(bcrypt.version, ">=5")
        severity = Severity.HIGH if broken else Severity.LOW
        yield _spot(passlib, Known("passlib", "", _PASSLIB.what, severity))


def _spot(item: Pinned, known: Known) -> Spot:
    message = f"{item.name} {item.version}".strip() + f": {known.what}."
    return Spot("SRC116", item.path, item.line, message, known.severity)


def _affected(version: str, specifier: str) -> bool:
    if not version:
        return specifier in {">=0", ">=3.4.0"}
    try:
        return Version(version) in SpecifierSet(specifier, prereleases=True)
    except InvalidVersion:
        return False


def outdated(today: date | None = None) -> bool:
    """Whether the table is too old to prove anything."""
    return ((today or datetime.now(UTC).date()) - DATED).days > LASTING


def pinned(tree: Tree, *, installed: bool) -> dict[str, Pinned]:
    """The distributions that matter, from the files that pin them; from this environment where `installed`."""
    found: dict[str, Pinned] = {}
    for path in _files(tree.root):
        for item in _read(path):
            known = found.get(item.name)
            if item.name in NAMES and (known is None or (item.version and not known.version)):
                found[item.name] = item
    if installed:
        for name in sorted(
            {_IMPORTED.get(name, name).lower() for name in tree.imported()} & NAMES - found.keys()
        ):
            try:
                version = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue
            found[name] = Pinned(name, version, "", 0)
    return found


def _files(root: Path) -> Iterator[Path]:
    folder = root if root.is_dir() else root.parent
    places = [folder]
    if (folder / "__init__.py").is_file():
        places.append(folder.parent)
        if folder.parent.name in {"src", "app", "backend"}:
            places.append(folder.parent.parent)
    for place in places:
        for pattern in (
            "requirements*.txt",
            "uv.lock",
            "poetry.lock",
            "pdm.lock",
            "Pipfile.lock",
            "pyproject.toml",
        ):
            yield from sorted(path for path in place.glob(pattern) if path.is_file())


def _read(path: Path) -> Iterator[Pinned]:
    try:
        text = path.read_text("utf-8", "replace")
        if path.name == "Pipfile.lock":
            yield from _pipfile(path, json.loads(text))
        elif path.name == "pyproject.toml":
            yield from _project(path, text)
        elif path.suffix == ".lock":
            yield from _lock(path, text)
        else:
            yield from _requirements(path, text)
    except (OSError, ValueError):
        return  # no lock file that can be read: what is installed is asked instead


def _requirements(path: Path, text: str) -> Iterator[Pinned]:
    for number, line in enumerate(text.splitlines(), 1):
        match = _PINNED.match(line) or _NAMED.match(line)
        if match is not None and not line.lstrip().startswith("#"):
            yield Pinned(
                canonical(match["name"]), match.groupdict().get("version") or "", relative(path), number
            )


def _lock(path: Path, text: str) -> Iterator[Pinned]:
    lines = text.splitlines()
    name = ""
    for number, line in enumerate(lines, 1):
        key, _, value = line.partition(" = ")
        if line.startswith("[["):
            name = ""
        elif key == "name":
            name = canonical(value.strip('"'))
        elif key == "version" and name:
            yield Pinned(name, value.strip('"'), relative(path), number)
            name = ""


def _pipfile(path: Path, data: Any) -> Iterator[Pinned]:
    for name, entry in (data.get("default") or {}).items() if isinstance(data, dict) else ():
        if isinstance(entry, dict):
            yield Pinned(canonical(str(name)), str(entry.get("version", "")).lstrip("="), relative(path), 1)


def _project(path: Path, text: str) -> Iterator[Pinned]:
    listed = tomllib.loads(text).get("project", {}).get("dependencies", [])
    lines = text.splitlines()
    for entry in listed if isinstance(listed, list) else []:
        number = next((index for index, line in enumerate(lines, 1) if str(entry) in line), 1)
        match = _PINNED.match(str(entry)) or _NAMED.match(str(entry))
        if match is not None:
            yield Pinned(
                canonical(match["name"]), match.groupdict().get("version") or "", relative(path), number
            )


def canonical(name: str) -> str:
    """The normalised name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
