"""Print what discovery finds out about each service of the zoo: `python survey.py [NAME ...]`."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from zoo.facts import Animal, Marks, animals, compare, learn, total
from zoo.serving import running

from auth_conformance.settings import ConfigurationError


def survey(animal: Animal, folder: Path) -> Marks:
    with running(animal.service) as url:
        try:
            return compare(animal, *learn(animal, url, folder))
        except ConfigurationError as error:
            print(f"{animal.name}: {error}")
            return Marks(animal.name, missing=list(animal.facts))


def main(names: list[str]) -> None:
    every = []
    with tempfile.TemporaryDirectory() as folder:
        for animal in animals():
            if not names or animal.name in names:
                every.append(survey(animal, Path(folder)))
                print(every[-1].line(), flush=True)
    print(total(every))


if __name__ == "__main__":
    main(sys.argv[1:])
