"""Prints how often the search finds the seeded flaws, and at what cost, as rows of a table.

`python fuzz/benchmarks/seeded_flaws.py SEEDS [NAME ...]`: the seeds 0 to SEEDS - 1 for each flaw whose name begins
with one of these (`lifecycle/`, `grammars/key_folded`; all without a name), each within its budget of requests.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from quality import CASES, found


def main() -> None:
    """Print a row for each flaw as soon as it is measured."""
    seeds, names = int(sys.argv[1]), tuple(sys.argv[2:])
    print("| flaw | found | requests (median) | budget |\n|---|---|---|---|")
    for case in CASES:
        if names and not case.name.startswith(names):
            continue
        outcomes = [found(case, seed) for seed in range(seeds)]
        hits = sum(outcome.hit for outcome in outcomes)
        cost = round(statistics.median(outcome.requests for outcome in outcomes))
        print(f"| `{case.name}` | {hits} of {seeds} | {cost} | {case.requests} |", flush=True)


if __name__ == "__main__":
    main()
