"""Seeded flaws: small edits of an application that a named set of checks must catch.

For our kill tests, for `demo --flaw`, and for people who write checks of their own.
"""

from __future__ import annotations

import importlib.util
import itertools
import marshal
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from fastapi.dependencies import models

from auth_conformance.source.tree import shown_as

FLAWS = Path(__file__).parent / "flaws"
# Environment of the reference app: a test that logs in a hundred times does not wait for Argon2.
FAST_HASHING = {
    "PASSWORD_HASH_MEMORY_KIB": "64",
    "PASSWORD_HASH_TIME_COST": "1",
    "ALLOW_WEAK_PASSWORD_HASHING": "true",
}
_NUMBERS = itertools.count(1)
_OF_PACKAGE = re.compile(r"^\s*from\s+\.", re.MULTILINE)


class StaleFlawError(Exception):
    """An edit's `was` does not occur exactly once in its file: the flaw describes code that has moved on."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the one occurrence of `was` in `file` by `now`."""

    file: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Flaw:
    """A seeded flaw, or a sound variant (then `caught_by` is empty).

    `name` is the file's name, with `.2`, `.3` … for further ones, and `.sound`, `.sound.2` … for variants.
    `environment` holds settings of the application. `configuration` is what the user of the suite would
    declare about it.
    """

    name: str
    chapter: str
    title: str
    caught_by: frozenset[str]
    edits: tuple[Edit, ...]
    environment: Mapping[str, str]
    configuration: Mapping[str, Any]

    @property
    def sound(self) -> bool:
        """Whether nothing may fail."""
        return not self.caught_by


def load_flaws(folder: Path = FLAWS) -> list[Flaw]:
    """All flaws and sound variants below `folder`, in order of chapter and name."""
    return [flaw for path in sorted(folder.glob("*/*.toml")) for flaw in read_flaws(path)]


def read_flaws(path: Path) -> Iterator[Flaw]:
    """The flaws and sound variants in one file. Raises KeyError or tomllib.TOMLDecodeError when it is malformed."""
    data = tomllib.loads(path.read_text("utf-8"))
    for kind, suffix in (("flaw", ""), ("sound", ".sound")):
        for number, table in enumerate(data.get(kind, []), 1):
            yield Flaw(
                name=path.stem + suffix + (f".{number}" if number > 1 else ""),
                chapter=path.parent.name,
                title=table["title"],
                caught_by=frozenset(table["caught_by"]) if kind == "flaw" else frozenset(),
                edits=tuple(Edit(edit["file"], edit["was"], edit["now"]) for edit in table.get("edit", [])),
                environment=table.get("environment", {}),
                configuration=table.get("configuration", {}),
            )


def find_flaw(name: str) -> Flaw:
    """The flaw of that name. Raises LookupError that names the near ones."""
    flaws = load_flaws()
    for flaw in flaws:
        if flaw.name == name:
            return flaw
    near = sorted(
        {flaw.name for flaw in flaws if not flaw.sound and re.match(re.escape(name[:4]), flaw.name)}
    )
    known = near or sorted({flaw.name for flaw in flaws if not flaw.sound})
    raise LookupError(f"There is no flaw {name}. There are: {', '.join(known)}.")


def write_copy(package: Path, folder: Path, edits: tuple[Edit, ...] = ()) -> None:
    """Write the package's files into `folder` with the edits applied. Raises StaleFlawError.

    An edit with nothing to replace, of a file that the package does not have, adds the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(package.glob("*.py")):
        text = path.read_text("utf-8")
        for edit in (edit for edit in edits if edit.file == path.name):
            if text.count(edit.was) != 1:
                raise StaleFlawError(
                    f"{path.name}: found {text.count(edit.was)} times, must be once: {edit.was!r}"
                )
            text = text.replace(edit.was, edit.now)
        (folder / path.name).write_text(text, "utf-8")
    present = {path.name for path in folder.iterdir()}
    missing = sorted({edit.file for edit in edits if edit.was} - present)
    if missing:
        raise StaleFlawError(f"no such file in {package.name}: {', '.join(missing)}")
    for edit in edits:
        if not edit.was and edit.file not in present:
            (folder / edit.file).write_text(edit.now, "utf-8")


@contextmanager
def seeded(package: Path, edits: tuple[Edit, ...] = ()) -> Iterator[ModuleType]:
    """Import a copy of the package at `package` with the edits applied, under a name of its own.

    The package must use relative imports and keep its state out of modules. Files that import nothing from it
    and are as they were are one module for all copies: schemas and tables take long to build. Raises StaleFlawError.
    """
    name = f"{package.name}_seeded_{next(_NUMBERS)}"
    with (
        tempfile.TemporaryDirectory(prefix="auth-conformance-") as folder,
        shown_as(Path(folder) / name, package.name),
    ):
        copy = Path(folder) / name
        write_copy(package, copy, edits)
        for path in copy.glob("*.py"):
            cached = Path(importlib.util.cache_from_source(str(path)))
            cached.parent.mkdir(parents=True, exist_ok=True)
            cached.write_bytes(_bytecode(path.name, path.read_text("utf-8")))
        spec = importlib.util.spec_from_file_location(
            name, copy / "__init__.py", submodule_search_locations=[str(copy)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{package} is not a package")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        for stem, shared in _unedited(package, frozenset(edit.file for edit in edits)):
            sys.modules[f"{name}.{stem}"] = shared
            setattr(module, stem, shared)
        try:
            spec.loader.exec_module(module)
            yield module
        finally:
            for loaded in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
                del sys.modules[loaded]
            _forget_callables()


def _unedited(package: Path, edited: frozenset[str]) -> Iterator[tuple[str, ModuleType]]:
    for path in sorted(package.glob("*.py")):
        text = path.read_text("utf-8")
        if path.name not in edited | {"__init__.py"} and not _OF_PACKAGE.search(text):
            yield path.stem, _imported(path, text)


@lru_cache(maxsize=8)
def _imported(path: Path, text: str) -> ModuleType:  # noqa: ARG001 # `text` is a part of the key of the cache: a file that has changed is another module.
    """A file of the package, imported beside it."""
    name = f"{path.parent.name}_unedited_{next(_NUMBERS)}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@lru_cache(maxsize=64)
def _bytecode(name: str, text: str) -> bytes:
    """The file's bytecode as Python keeps it (PEP 552, unchecked): most files of a copy are as in the copy before."""
    source = text.encode()
    header = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(source)
    return header + marshal.dumps(compile(source, name, "exec", dont_inherit=True))


def _forget_callables() -> None:
    """Let go of a copy that is done: FastAPI remembers thousands of callables, and each of them holds its module."""
    for remembering in vars(models).values():
        if hasattr(remembering, "cache_clear"):
            remembering.cache_clear()


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables while the block runs."""
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
