"""A fuzzing run: its parts, in order, each in a thread of its own while all requests go out on one loop."""

from __future__ import annotations

import asyncio
import importlib
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import Errored, Exchange, Failed, Need, Result, Rule, Skipped, Verdict
from auth_conformance.probe import Missing, Scene, Unclear
from auth_conformance.target.needs import unmet_need
from auth_conformance.transports.recorder import METER, BudgetExceededError
from auth_fuzz import rules
from auth_fuzz.bridge import Bridge, HaltedError, in_thread
from auth_fuzz.budget import Budget
from auth_fuzz.differential import DIFFERENTIAL_RULES, Differential
from auth_fuzz.ledger import Ledger, combined
from auth_fuzz.operations import OPERATION_RULES, OperationSearch
from auth_fuzz.operations.engine import MissingExtraError, available, tidy, warm_up
from auth_fuzz.world import World

if TYPE_CHECKING:
    from auth_conformance.target import Operation

# The share of the budget that all operations together get; each machine says its own.
OPERATIONS = 1.0
GRAMMAR = 0.12
LIFECYCLE = 0.8
DIFFERENTIAL = 0.3
RESTARTS = 0.15

# No search may take more than this share of the run's seconds when others have used up its own.
LEAST_SHARE = 0.05
# So much of the run's seconds is for searching, however long it took to load what searches.
LEFT = 0.5
# So many requests a search may send when others have used up its share.
LEAST = 40
# What meeting the cast and settling what was found may send besides.
ON_TOP = 1_000

OnPart = Callable[[str, list[Result]], None]


@dataclass(frozen=True, slots=True)
class Part:
    """One search of a run: what it is called, the rules it decides, its share of the budget, and how it runs.

    `least` is how long it may take, in seconds, when others have used its share up; less in a short run.
    """

    name: str
    rules: tuple[Rule, ...]
    weight: float
    search: Callable[[World, Ledger, Bridge, Budget, int], Awaitable[None]]
    least: float = 0.2


def names(operations: Iterable[str]) -> list[str]:
    """The names of the parts of a run against a service with these operations, in the order of the run."""
    machines = [part.name for part in _machines()]
    return [*machines[:-_LAST], *operations, *machines[-_LAST:]]


async def fuzz(
    scene: Scene,
    budget: Budget,
    seed: int,
    *,
    only: Iterable[str] | None = None,
    on_part: OnPart = lambda _name, _results: None,
    on_progress: Callable[[str], None] = lambda _text: None,
) -> list[Result]:
    """Search within the budget; one result per `FUZ` rule. Each part's own results go to `on_part` when it ends.

    `only` names the parts to run (all, if None). When the task is cancelled, what is known by then has been
    handed to `on_part`, the part under way included.
    """
    gathered: dict[str, list[Result]] = {}

    def keep(name: str, results: list[Result]) -> None:
        for result in results:
            gathered.setdefault(result.rule.code, []).append(result)
        on_part(name, results)

    scene.recorder.budget += budget.requests + ON_TOP
    started = scene.recorder.sent
    refusals, crashes = len(scene.refusals_seen), len(scene.crashes)
    try:
        await _run(scene, budget, seed, set(only) if only is not None else None, keep, on_progress)
    finally:
        # The searches keep their own evidence; the run's lists would grow by thousands.
        del scene.refusals_seen[refusals:]
        del scene.crashes[crashes:]
        scene.recorder.budget -= max(budget.requests + ON_TOP - (scene.recorder.sent - started), 0)
    return [combined(results) for _, results in sorted(gathered.items())]


async def _run(  # noqa: PLR0917 - what `fuzz` was given
    scene: Scene,
    budget: Budget,
    seed: int,
    only: set[str] | None,
    keep: OnPart,
    on_progress: Callable[[str], None],
) -> None:
    world, began = World(scene, seed=seed), time.monotonic()
    trouble: tuple[str, str] | None = None
    if not available():
        trouble = (str(MissingExtraError()), "pip install 'fastapi-auth-conformance[fuzz]'")
    else:
        try:
            METER.set(None)
            await world.meet()
            # Loading and building once takes seconds that are no search's own.
            grammars = importlib.import_module("auth_fuzz.grammars")
            importlib.import_module("auth_fuzz.stories.search")
            with tidy():
                await in_thread(grammars.warm_up)
                loop = asyncio.get_running_loop()
                await in_thread(lambda: warm_up(loop))
        except (Missing, Unclear) as conclusion:
            verdict = conclusion.verdict
            trouble = (getattr(verdict, "reason", str(conclusion)), getattr(verdict, "remedy", ""))
    recorder = scene.recorder
    # They are the run's, and on a busy machine they are many: what is left is for the searches, and half in any case.
    end = max(began + budget.seconds, time.monotonic() + budget.seconds * LEFT)
    quota = recorder.sent + budget.requests
    parts = [part for part in _parts(world) if only is None or part.name in only]
    for name in sorted((only or set()) - {part.name for part in parts}):
        keep(name, [])
    for number, part in enumerate(parts):
        ledger = Ledger(part.rules)
        if trouble is not None:
            ledger.absent(*trouble)
            keep(part.name, ledger.results())
            continue
        share = part.weight / sum(item.weight for item in parts[number:])
        seconds = max((end - time.monotonic()) * share, min(part.least, budget.seconds * LEAST_SHARE))
        bridge = Bridge(
            asyncio.get_running_loop(),
            time.monotonic() + seconds,
            lambda: recorder.sent,
            recorder.sent + max(int((quota - recorder.sent) * share), LEAST),
        )
        on_progress(f"fuzzing {number + 1}/{len(parts)} {part.name}")
        await _one(world, part, ledger, bridge, budget, seed, keep)
    if trouble is None and only is None:
        _, left_out = world.plan()
        ledger = Ledger((rules.REACH,))
        ledger.of(rules.REACH).notes += [f"{name} left out: {why}" for name, why in left_out.items()]
        ledger.of(rules.REACH).absent = "every operation was left out"
        keep("", ledger.results())


async def _one(  # noqa: PLR0917 - the parts of one step
    world: World, part: Part, ledger: Ledger, bridge: Bridge, budget: Budget, seed: int, keep: OnPart
) -> None:
    sent, began = world.scene.recorder.sent, time.monotonic()
    broke: Verdict | None = None
    try:
        with tidy():
            await part.search(world, ledger, bridge, budget, seed)
    except (Missing, Unclear) as conclusion:
        verdict = conclusion.verdict
        ledger.absent(
            getattr(verdict, "reason", ""),
            getattr(verdict, "remedy", ""),
            applicable=getattr(verdict, "applicable", True),
        )
    except (HaltedError, BudgetExceededError) as stopped:
        ledger.absent(f"stopped: {stopped}")
    except Exception as error:  # noqa: BLE001 - our bug must never read as the target's fault
        lines = traceback.format_exception(error, limit=-8)
        broke = Errored(f"{type(error).__name__} in {part.name}", "".join(lines))
    finally:
        bridge.end()
        results = ledger.results(requests=world.scene.recorder.sent - sent, took=time.monotonic() - began)
        if broke is not None:
            results[0] = replace(results[0], verdict=broke)
        keep(part.name, [_finished(result, world) for result in results])


def _finished(result: Result, world: World) -> Result:
    """Without secrets that became known later, with the source line of the operation and what would change it."""
    again = world.scene.recorder.redactor.again

    def shown(exchanges: tuple[Exchange, ...]) -> tuple[Exchange, ...]:
        return tuple(map(again, exchanges))

    origins: tuple[Exchange, ...] = ()
    verdict = replace(result.verdict, evidence=shown(result.verdict.evidence))
    if isinstance(verdict, Failed):
        violations = tuple(replace(item, evidence=shown(item.evidence)) for item in verdict.violations)
        verdict = replace(verdict, violations=violations)
        seen = {item.number: item for violation in violations for item in violation.evidence}
        origins = world.scene.recorder.origins(list(seen.values()))
    if isinstance(verdict, Skipped) and not verdict.remedy:
        # What was never met may be what nobody can meet here, or what a line of configuration would make known.
        verdict = unmet_need(result.rule, world.target) or verdict
    operation = world.target.operation(result.operation or "")
    source = operation.source if operation is not None else None
    return replace(result, verdict=verdict, source=source, origins=origins)


def _parts(world: World) -> list[Part]:
    chosen, _ = world.plan()
    machines = _machines()
    share = OPERATIONS / max(len(chosen), 1)
    # Each operation costs at least a moment, so that many of them would leave nothing for the machines. Restarts,
    # which an application may not survive, are last.
    return [
        *machines[:-_LAST],
        *(_operation_part(operation, share) for operation in chosen),
        *machines[-_LAST:],
    ]


def _operation_part(operation: Operation, weight: float) -> Part:
    async def search(world: World, ledger: Ledger, bridge: Bridge, budget: Budget, seed: int) -> None:
        found = OperationSearch(
            world, operation, ledger, bridge, seed=seed, examples=max(8, budget.examples // 8)
        )
        await in_thread(found.run, bridge)
        ledger.of(rules.FOREIGN_WRITE).absent = "no change of a thing that one user owns was met"
        entry = ledger.of(rules.REACH)
        entry.unit, entry.end = "operation", "reached"
        if found.reach.validated:
            entry.notes.append(str(found.reach))
            entry.tried += 1
        elif operation.name in world.played:
            entry.absent = f"{operation.name} takes the present password: the lifecycle machine plays it"
        else:
            admin = world.target.remedies.get(Need.ADMIN, "") if world.admin is None else ""
            ledger.unreached(operation.name, str(found.reach), found.reach.remedy(admin))
            ledger.absent(entry.absent)

    return Part(operation.name, OPERATION_RULES, weight, search)


def _grammar_part(kind: Kind, rule: Rule, name: str) -> Part:
    async def search(world: World, ledger: Ledger, bridge: Bridge, budget: Budget, seed: int) -> None:
        from auth_fuzz.grammars import search_grammar

        await in_thread(lambda: search_grammar(world, ledger, bridge, kind, rule, seed, budget), bridge)

    return Part(f"grammar of {name}", (rule, rules.CRASH), GRAMMAR, search, least=1.0)


STORY_RULES = (rules.ZOMBIE, rules.KILLED, rules.MISTAKEN, rules.RACE, rules.UNCONFIRMED)
RESTART_RULES = (*STORY_RULES, rules.RESTART)
# So many machines come after the operations.
_LAST = 2


async def _lifecycle(world: World, ledger: Ledger, bridge: Bridge, budget: Budget, seed: int) -> None:
    from auth_fuzz.stories.search import LifecycleSearch

    search = LifecycleSearch(world, ledger, bridge, seed=seed, budget=budget)
    await in_thread(lambda: search.run(STORY_RULES), bridge)


async def _restarts(world: World, ledger: Ledger, bridge: Bridge, budget: Budget, seed: int) -> None:
    from auth_fuzz.stories.search import LifecycleSearch

    search = LifecycleSearch(world, ledger, bridge, seed=seed, budget=budget, restarting=True)
    await in_thread(lambda: search.run(RESTART_RULES), bridge)


async def _differential(world: World, ledger: Ledger, bridge: Bridge, budget: Budget, seed: int) -> None:
    del budget  # each pair of requests is compared once
    await Differential(world, ledger, bridge, seed=seed).run()


def _machines() -> list[Part]:
    return [
        _grammar_part(Kind.BEARER, rules.JWS, "bearer credentials"),
        _grammar_part(Kind.BEARER, rules.HEADER, "bearer headers"),
        _grammar_part(Kind.KEY, rules.KEYS, "key credentials"),
        _grammar_part(Kind.COOKIE, rules.COOKIES, "cookie credentials"),
        _grammar_part(Kind.BASIC, rules.HEADER, "basic credentials"),
        Part("lifecycle", STORY_RULES, LIFECYCLE, _lifecycle, least=2.0),
        Part("differential", DIFFERENTIAL_RULES, DIFFERENTIAL, _differential, least=3.0),
        Part("restarts", RESTART_RULES, RESTARTS, _restarts, least=2.0),
    ]
