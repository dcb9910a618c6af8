"""The seeded flaws that the search must find, and the run that looks for one of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from auth_conformance.demo import bundled
from auth_conformance.engine import opened
from auth_conformance.loop import run_to_end
from auth_conformance.model import Result
from auth_conformance.testing import FAST_HASHING, FLAWS, Flaw, read_flaws
from auth_fuzz import Budget, fuzz

# Whether everything is measured, which takes about an hour, or a sample (CI).
WHOLE = os.environ.get("FUZZ_MATRIX") == "whole"
OWN = Path(__file__).parent / "flaws"
# Within so many requests of searching each flaw must be found, by folder. How long that takes is this machine's
# business: the seconds only end what hangs.
REQUESTS = {"grammars": 250, "operations": 250, "lifecycle": 1500, "differential": 300, "restarts": 600}
SECONDS = 600.0
TOKENS, KEYS, COOKIES = (f"grammar of {kind} credentials" for kind in ("bearer", "key", "cookie"))
# Flaws of the kill tests that the search must find, too: file, number, code, search.
KNOWN = (
    ("token/unsigned_token", 1, "FUZ201", TOKENS),
    ("token/unverified_signature", 1, "FUZ201", TOKENS),
    ("token/foreign_audience", 1, "FUZ201", TOKENS),
    ("token/immortal_token", 1, "FUZ201", TOKENS),
    ("token/ignored_critical_header", 1, "FUZ201", TOKENS),
    ("token/premature_token", 1, "FUZ201", TOKENS),
    ("token/expired_token", 1, "FUZ301", "lifecycle"),
    ("apikey/half_checked_key", 1, "FUZ202", KEYS),
    ("access/foreign_object_readable", 1, "FUZ103", "GET /notes/{note_id}"),
    ("lifecycle/logout_that_ends_nothing", 1, "FUZ301", "lifecycle"),
    ("lifecycle/reusable_refresh_token", 1, "FUZ301 FUZ304", "lifecycle"),
    ("lifecycle/stale_role", 1, "FUZ303", "lifecycle"),
    ("lifecycle/revoked_key_alive", 1, "FUZ301", "differential"),
    ("lifecycle/recycled_identity", 1, "FUZ301 FUZ303", "lifecycle"),
    ("lifecycle/recycled_identity", 2, "FUZ301 FUZ303", "lifecycle"),
    ("lifecycle/credential_of_ended_account", 1, "FUZ301", "lifecycle"),
    ("lifecycle/credential_of_ended_account", 3, "FUZ301", "lifecycle"),
    ("lifecycle/credential_of_ended_account", 4, "FUZ301", "lifecycle"),
    ("lifecycle/double_spent_token", 1, "FUZ304", "lifecycle"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One seeded flaw: the rule that must fail (one of several), and the search that must see it.

    What only shows once other operations were searched names those before it: `POST /books + GET /books/{book_id}`.
    """

    name: str
    flaw: Flaw
    code: str
    search: str

    @property
    def requests(self) -> int:
        """What finding it may cost."""
        folder = self.name.partition("/")[0]
        if self.search in REQUESTS or folder in REQUESTS:
            return REQUESTS[self.search if self.search in REQUESTS else folder]
        machines = {TOKENS: "grammars", KEYS: "grammars", "lifecycle": "lifecycle"}
        return REQUESTS[machines.get(self.search, "operations")]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search came to: whether the rule failed, and at what cost."""

    hit: bool
    results: tuple[Result, ...]
    seconds: float
    requests: int


def _cases() -> Iterator[Case]:
    for path, number, code, search in KNOWN:
        flaws = [flaw for flaw in read_flaws(FLAWS / f"{path}.toml") if not flaw.sound]
        yield Case(path + (f".{number}" if number > 1 else ""), flaws[number - 1], code, search)
    for file in sorted(OWN.glob("*/*.toml")):
        table = tomllib.loads(file.read_text("utf-8"))["flaw"][0]
        yield Case(
            f"{file.parent.name}/{file.stem}",
            next(read_flaws(file)),
            " ".join(table["caught_by"]),
            table["search"],
        )


CASES = tuple(_cases())


def found(case: Case, seed: int) -> Outcome:
    """Search the reference app with that flaw, within its budget, with little shrinking, and for no other."""
    return searched(
        seed, Budget(SECONDS, case.requests, shrinking=60, endings=1), case, case.search.split(" + ")
    )


def searched(
    seed: int,
    budget: Budget,
    case: Case | None = None,
    only: list[str] | None = None,
    environment: dict[str, str] | None = None,
) -> Outcome:
    """Search the reference app with that flaw (none: the clean one); `only` names the searches (none: all)."""

    async def search(app: object, settings: object) -> Outcome:
        async with opened(settings, app=app) as door:  # type: ignore[arg-type] # as `bundled` gives it
            before, began = door.scene.recorder.sent, time.monotonic()
            seen: list[Result] = []
            with contextlib.suppress(asyncio.CancelledError):
                await fuzz(
                    door.scene,
                    budget,
                    seed,
                    only=only,
                    on_part=lambda _, results: seen.extend(results),
                )
            hit = case is not None and any(
                result.rule.code in case.code.split() and result.name == "failed" for result in seen
            )
            return Outcome(hit, tuple(seen), time.monotonic() - began, door.scene.recorder.sent - before)

    with bundled(flaw=case.flaw if case else None, extra={**FAST_HASHING, **(environment or {})}) as (
        app,
        settings,
    ):
        return run_to_end(search(app, settings))
