"""What discovery finds out about each service of the zoo from its address and two accounts, and nothing else.

The last test prints a line for each service and the total. What is known not to be found yet stands in KNOWN:
a fact that gets lost fails its service, and so does one that is found and still listed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))

from zoo.facts import Animal, Marks, animals, compare, learn, total
from zoo.serving import running

KNOWN: dict[str, set[str]] = {}
MARKS: list[Marks] = []


@pytest.mark.parametrize("animal", animals(), ids=lambda animal: animal.name)
def test_the_facts_are_found_from_the_address_alone(animal: Animal, tmp_path: Path) -> None:
    with running(animal.service) as url:
        marks = compare(animal, *learn(animal, url, tmp_path))
    MARKS.append(marks)
    assert marks.wrong == []
    assert set(marks.missing) == KNOWN.get(animal.name, set())
    # A service without a document is asked at every usual place, below the folder of its login too.
    assert marks.requests <= 165


def test_the_zoo_as_a_whole(capsys: pytest.CaptureFixture[str]) -> None:
    listed = animals()
    assert len(list(Path(__file__).parent.glob("*_app.py"))) >= 15
    asked = sum(len(animal.facts) for animal in listed)
    unknown = sum(len(missing) for missing in KNOWN.values())
    assert (asked - unknown) / asked >= 0.95
    with capsys.disabled():
        print()
        for marks in MARKS:
            print(marks.line())
        print(total(MARKS) if MARKS else "nothing was asked in this process")
