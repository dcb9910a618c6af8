"""Every seeded flaw, as its source alone shows it: the whole matrix, in seconds."""

from pathlib import Path

import pytest

from auth_conformance.demo import package
from auth_conformance.source.scan import Scan, scan
from auth_conformance.testing import Flaw, load_flaws, write_copy

# What reading the files decides; SRC101 and SRC102 also start the service, SRC112 asks it.
READ = {"SRC101", "SRC103", "SRC104", "SRC105", "SRC106", "SRC107", "SRC113", "SRC118"}
STANDARDS = {"SRC108", "SRC109", "SRC110", "SRC111"}


def scanned(flaw: Flaw | None, folder: Path) -> Scan:
    write_copy(package(), folder / "service", flaw.edits if flaw else ())
    return scan(folder / "service")


def broken(found: Scan, codes: set[str]) -> set[str]:
    return {spot.code for spot in found.spots if not spot.note} & codes


def test_the_clean_app_breaks_nothing(tmp_path: Path) -> None:
    found = scanned(None, tmp_path)
    assert not [spot for spot in found.spots if not spot.note]
    assert not found.tree.problems


@pytest.mark.parametrize("flaw", load_flaws(), ids=lambda flaw: f"{flaw.chapter}/{flaw.name}")
def test_flaw_breaks_exactly(flaw: Flaw, tmp_path: Path) -> None:
    # Style is the subject of this chapter's flaws only: others are edited as they come to mind.
    codes = READ | (STANDARDS if flaw.chapter == "source" else set())
    found = scanned(flaw, tmp_path)
    assert broken(found, codes) == flaw.caught_by & codes, [
        (spot.code, spot.line, spot.message) for spot in found.spots if spot.code in codes
    ]
