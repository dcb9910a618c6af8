"""Every seeded flaw, as its source alone shows it: the whole matrix. What nobody edited is judged once."""

import ast
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path

import pytest

from auth_conformance.demo import package
from auth_conformance.source.rules.guards import failing_open
from auth_conformance.source.rules.hashing import raw_storage
from auth_conformance.source.rules.local import LOCAL
from auth_conformance.source.rules.standards import lengths, statuses, structure, unannotated
from auth_conformance.source.scan import scan
from auth_conformance.source.tree import Module, Spot, Tree
from auth_conformance.testing import Flaw, load_flaws, write_copy

# What reading the files decides; SRC102 also starts the service, SRC112 asks it, SRC116 asks what is installed.
READ = {"SRC101", "SRC103", "SRC104", "SRC105", "SRC106", "SRC107", "SRC113", "SRC118"}
STANDARDS = {"SRC108", "SRC109", "SRC110", "SRC111"}
WHOLE: tuple[Callable[[Tree], Iterator[Spot]], ...] = (raw_storage, failing_open)
STYLE: tuple[Callable[[Tree], Iterator[Spot]], ...] = (lengths, structure)


@lru_cache(maxsize=32)
def parsed(file: str, text: str) -> Module:
    name = "service" if file == "__init__.py" else f"service.{file.removesuffix('.py')}"
    return Module(Path("service", file), f"service/{file}", name, text, ast.parse(text, file))


@cache
def local(file: str, text: str) -> tuple[Spot, ...]:
    return tuple(spot for rule in (*LOCAL, statuses, unannotated) for spot in rule(parsed(file, text)))


def broken(flaw: Flaw, folder: Path, codes: set[str]) -> list[Spot]:
    write_copy(package(), folder / "service", flaw.edits)
    texts = {path.name: path.read_text("utf-8") for path in sorted((folder / "service").glob("*.py"))}
    tree = Tree(folder / "service", tuple(parsed(*pair) for pair in texts.items()))
    spots = [spot for pair in texts.items() for spot in local(*pair)]
    rules = (*WHOLE, *(STYLE if codes & STANDARDS else ()))
    spots += [spot for rule in rules for spot in rule(tree)]
    return [spot for spot in spots if not spot.note and spot.code in codes]


def test_the_clean_app_breaks_nothing(tmp_path: Path) -> None:
    write_copy(package(), tmp_path / "service")
    found = scan(tmp_path / "service")
    assert not [spot for spot in found.spots if not spot.note]
    assert not found.tree.problems


@pytest.mark.parametrize("flaw", load_flaws(), ids=lambda flaw: f"{flaw.chapter}/{flaw.name}")
def test_flaw_breaks_exactly(flaw: Flaw, tmp_path: Path) -> None:
    # Style is the subject of this chapter's flaws only: others are edited as they come to mind.
    codes = READ | (STANDARDS if flaw.chapter == "source" else set())
    spots = broken(flaw, tmp_path, codes)
    assert {spot.code for spot in spots} == flaw.caught_by & codes, [
        (spot.code, spot.path, spot.line, spot.message) for spot in spots
    ]
