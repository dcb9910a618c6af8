"""Runs checks against a scene: roots first, readers together, the rest alone, disturbers last."""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from auth_conformance.catalog import LAST, ROOTS, masked_by
from auth_conformance.concluding import NOT_JUDGED, concluded, starved, with_notes
from auth_conformance.model import (
    Errored,
    Failed,
    Impact,
    Inconclusive,
    Masked,
    Passed,
    Result,
    Rule,
    Severity,
    Skipped,
    Verdict,
)
from auth_conformance.probe import Missing, Probe, Scene, Unclear
from auth_conformance.probe.crossed import uncrossed
from auth_conformance.probe.outdated import as_of_now
from auth_conformance.probe.scene import SHORT
from auth_conformance.probe.shutout import REMEDY, shut_out
from auth_conformance.probe.steadiness import Steadiness, steadied, steadiness
from auth_conformance.probe.steadiness import unmet as unmet_instances
from auth_conformance.sdk import Check
from auth_conformance.target import Target
from auth_conformance.target.needs import unmet_need
from auth_conformance.transports.recorder import METER, BudgetExceededError, Meter
from auth_conformance.transports.waiting import Deadline, within

# How many reading checks run at the same time.
CONCURRENT = 8
# No single check may take longer than this, in seconds.
LONGEST = 300.0
# How often a check is asked again whose attacks have met some instances of the service only.
ASKED_AGAIN = 3

OnResult = Callable[[Result], None]


def unmet(rule: Rule, target: Target, *, allow_disruptive: bool) -> Skipped | Inconclusive | None:
    """Why the check cannot run here: not applicable with evidence, or not tested with a remedy."""
    found = unmet_need(rule, target)
    if found is not None:
        return found
    if rule.impact is Impact.DISRUPTS and not allow_disruptive:
        return Skipped(
            "Not tested: it locks, deletes or floods, and nobody has allowed that on this target.",
            "allow_disruptive = true  # or --allow-disruptive",
        )
    return None


# A check's own number is its author's; the run's is the user's.
# How tokens live longer is the service's own setting.
_LONGER = "# let access tokens live for some minutes where the service is tested"
_MORE = "budget = 6000  # requests for the whole run"


async def run_check(check: Check, scene: Scene, *, alone: bool = False) -> Result:
    """Decide one check; whatever happens inside becomes a verdict. `alone` says that no other one runs meanwhile."""
    rule = check.rule
    skipped = unmet(rule, scene.target, allow_disruptive=scene.allow_disruptive)
    if skipped is not None:
        return Result(rule, skipped, rule.severity)
    if alone:
        scene.forget_short()
    probe = _begun(scene, rule)
    meter = Meter(rule.budget)
    METER.set(meter)
    started = time.monotonic()
    verdict = await _decide(check, probe, meter, alone=alone)
    barred, moved = await _shut_out(scene, rule, verdict)
    if isinstance(verdict, Inconclusive) and (moved or await _renewed(probe)):
        # Another check, or the target's own clock, had ended a login that this one shared; or its address is banned.
        probe = _begun(scene, rule)
        meter = Meter(rule.budget)
        METER.set(meter)
        verdict = await _decide(check, probe, meter, alone=alone)
        barred, _ = await _shut_out(scene, rule, verdict)
        verdict = await _outlived(probe, verdict)
    if isinstance(verdict, Inconclusive) and barred:
        verdict = replace(verdict, reason=f"{verdict.reason} {barred}", remedy=verdict.remedy or REMEDY)
    verdict = await _uncrossed(probe, verdict)
    verdict = await _of_one_voice(check, probe, verdict, alone=alone)
    # What disrupts runs alone: no other check uses the account meanwhile. Nor does one that this check has disabled.
    undoes = rule.impact is Impact.DISRUPTS or any(code == rule.code for code, _ in scene.shut)
    if undoes and (told := await _given_back(scene, rule)):
        verdict = with_notes(verdict, told)
    return concluded(
        check, scene, verdict, probe.evidence, took=time.monotonic() - started, requests=meter.used
    )


def _begun(scene: Scene, rule: Rule) -> Probe:
    """What a check asks with; each time that it begins it has words of its own."""
    scene.rounds[rule.code] = scene.rounds.get(rule.code, -1) + 1
    return Probe(scene, rule)


async def _decide(check: Check, probe: Probe, meter: Meter, *, alone: bool) -> Verdict:
    rule = check.rule
    deadline = Deadline()
    try:
        async with within(LONGEST) as deadline:
            return await check.procedure(probe)
    except (Unclear, Missing) as conclusion:
        return conclusion.verdict
    except BudgetExceededError as error:
        return Inconclusive(f"Stopped: {error}.", _MORE if error.of_run else "")
    except Exception as error:  # noqa: BLE001 - our bug must never read as the target's fault
        if isinstance(error, TimeoutError) and deadline.expired:
            return _stopped(check, probe, meter, deadline, alone=alone)
        lines = traceback.format_exception(error, limit=-8)
        return Errored(f"{type(error).__name__} in {rule.code}", "".join(lines))


def _stopped(check: Check, probe: Probe, meter: Meter, deadline: Deadline, *, alone: bool) -> Inconclusive:
    """What a check has to say whose time is over: how much of it the answers took, and what may shorten that."""
    waited = f", besides {deadline.waited:.0f} s of waiting for limits" if deadline.waited >= 1 else ""
    took = [item.took for item in probe.evidence]
    slow = f", {sum(took) / len(took):.1f} s for an answer on average" if took else ""
    sent = f"{meter.used} request{'' if meter.used == 1 else 's'} had been sent{slow}"
    # Who answers eight checks at once may be quicker for one. What is alone already has no line that helps.
    remedy = (
        "# the service was too slow for what this check asks: give it more room where it is tested"
        if alone
        else f'only = ["{check.rule.code}"]  # this check alone: nothing else is asked beside it'
    )
    return Inconclusive(f"Stopped after {LONGEST:g} s{waited}: {sent}.", remedy)


async def _renewed(probe: Probe) -> bool:
    """Whether a login has ended under this check; a shared one is forgotten, so that the next to ask logs in again."""
    METER.set(None)
    try:
        async with within(LONGEST):
            asking = Probe(probe.scene, probe.rule)
            asking.borrowed = probe.borrowed
            return await asking.forget_dead() or probe.ended <= SHORT
    except (Unclear, Missing, BudgetExceededError, TimeoutError):
        return False


async def _outlived(probe: Probe, verdict: Verdict) -> Verdict:
    """A verdict that says so where a shared login has ended in the middle of the check once more."""
    scene, code = probe.scene, probe.rule.code
    scene.outlived.discard(code)
    if not isinstance(verdict, Inconclusive) or not await _renewed(probe):
        return verdict
    scene.outlived.add(code)
    if probe.ended > SHORT:
        return verdict
    why = f"{verdict.reason} Twice a login ended in the middle of this check: tokens live for {probe.ended:g} s here."
    return replace(verdict, reason=why, remedy=_LONGER)


async def _shut_out(scene: Scene, rule: Rule, verdict: Verdict) -> tuple[str, bool]:
    """Where nothing was decided: whether the address that the run calls from is shut out, and whether it moved on."""
    if not isinstance(verdict, Inconclusive):
        return "", False
    METER.set(None)
    try:
        async with within(LONGEST):
            return await shut_out(Probe(scene, rule))
    except (Unclear, Missing, BudgetExceededError, TimeoutError):
        return "", False


async def _uncrossed(probe: Probe, verdict: Verdict) -> Verdict:
    """The verdict without what a cache by path alone, or a read of what was before, has said in the service's place."""
    METER.set(None)
    try:
        async with within(LONGEST):
            return await as_of_now(probe, await uncrossed(probe, verdict))
    except (BudgetExceededError, TimeoutError):
        return verdict


async def _of_one_voice(check: Check, probe: Probe, verdict: Verdict, *, alone: bool) -> Verdict:
    """The verdict where one service answers; where several instances do, its attacks have to meet each of them."""
    if not isinstance(verdict, Passed | Failed) or not verdict.evidence:
        return verdict
    found = await _steadiness(probe)
    verdict, met, knew = steadied(verdict, found), list(verdict.evidence), probe.knew_instances
    for _ in range(ASKED_AGAIN if found.header else 0):
        if not isinstance(verdict, Passed) or (knew and found.attacked(met)):
            break
        again, knew = _begun(probe.scene, check.rule), True
        meter = Meter(check.rule.budget)
        # Where instances take turns, and a check sends an even number of requests, it would meet the same ones anew.
        with contextlib.suppress(Unclear, Missing):
            await again.must_answer("between two rounds of")
        METER.set(meter)
        verdict = await _decide(check, again, meter, alone=alone)
        met += again.evidence
    if not isinstance(verdict, Passed) or not found.header:
        return verdict
    if not found.attacked(met):
        return unmet_instances(verdict, found)
    told = found.met_once(met)
    return with_notes(verdict, (f"{NOT_JUDGED}{told}",)) if told else verdict


async def _steadiness(probe: Probe) -> Steadiness:
    METER.set(None)
    try:
        async with within(LONGEST):
            return await steadiness(probe)
    except (BudgetExceededError, TimeoutError):
        return Steadiness()


async def _given_back(scene: Scene, rule: Rule) -> list[str]:
    """Undo what the check did to declared accounts; what could not be undone."""
    METER.set(None)
    try:
        async with within(LONGEST):
            return await Probe(scene, rule).given_back()
    except (BudgetExceededError, TimeoutError) as error:
        why = str(error) or "no answer in time"
        return [f"spare accounts may be left as this check had made them: {why}"]


def phase(rule: Rule) -> int:
    """When a check runs: roots, readers, writers, those that must be alone, disturbers, the last."""
    if rule.code in ROOTS:
        return 0
    if rule.code in LAST:
        return 6
    if rule.impact is Impact.DISRUPTS:
        return 5
    if rule.family == "LIF":
        return 4
    if rule.exclusive:
        return 3
    return 1 if rule.impact is Impact.READS else 2


async def run_all(
    checks: Sequence[Check], scene: Scene, on_result: OnResult = lambda _: None
) -> list[Result]:
    """Run the checks in phases and return their results in order of code.

    A failed root masks what depends on it: such checks are not sent at all.
    """
    results: dict[str, Result] = {}
    masks: dict[str, str] = {}

    def keep(check: Check, result: Result) -> None:
        results[check.rule.code] = result
        # A low sub-case of a grave rule (a name in another case) makes nothing else meaningless.
        grave = result.severity > Severity.LOW or check.rule.severity <= Severity.LOW
        if isinstance(result.verdict, Failed) and grave and _where_others_look(check, result.verdict, scene):
            for code in masked_by(check, checks):
                masks.setdefault(code, check.rule.code)
        on_result(result)

    async def one(
        check: Check, batch: Sequence[Check], gate: asyncio.Semaphore, late: list[tuple[Check, Result]]
    ) -> None:
        async with gate:
            root = masks.get(check.rule.code)
            alone = len(batch) == 1
            result = masked_result(check, root) if root else await run_check(check, scene, alone=alone)
            if starved(result) or (check.rule.code in scene.outlived and not alone):
                late.append((check, result))
            else:
                keep(check, result)

    for batch in batches(checks):
        gate = asyncio.Semaphore(CONCURRENT)
        late: list[tuple[Check, Result]] = []
        async with asyncio.TaskGroup() as group:
            for check in batch:
                group.create_task(one(check, batch, gate, late), name=check.rule.code)
        # Eight checks at a time are more than some stores bear (SQLite: one writer), and a stall of the service
        # says nothing of any of them: each is heard again, alone. Where even that gets no answer, or where a check was
        # alone before, crowding is not why. Nor does a token of seconds last while eight checks ask with it.
        crowded = len(batch) > 1
        for check, first in sorted(late, key=lambda item: item[0].rule.code):
            again = crowded or check.rule.code in scene.outlived
            result = await run_check(check, scene, alone=True) if again else first
            crowded = crowded and not starved(result)
            keep(check, result)
    return [results[code] for code in sorted(results)]


def _where_others_look(check: Check, verdict: Failed, scene: Scene) -> bool:
    """Whether what is broken is where the other checks attack: what one router lets in, the witness may refuse."""
    target = scene.target
    names = {item.operation.name for item in (target.witness, target.key_witness) if item is not None}
    beside = {item.name for item in target.reads()} - names
    return check.rule.code not in ROOTS or any(item.operation not in beside for item in verdict.violations)


def masked_result(check: Check, root: str) -> Result:
    """The result of a check that was not sent, because `root` has failed."""
    verdict = Masked(root, f"{root} failed, and with it this check proves nothing")
    return Result(check.rule, verdict, check.rule.severity)


def batches(checks: Iterable[Check]) -> list[list[Check]]:
    """Groups of checks that may run at the same time, in order. Roots run one by one: they mask."""
    groups: list[list[Check]] = []
    together: dict[int, list[Check]] = {}
    for check in sorted(checks, key=lambda item: (phase(item.rule), _place(item.rule))):
        number = phase(check.rule)
        if number in (1, 2) and not check.rule.masks:
            if number not in together:
                together[number] = []
                groups.append(together[number])
            together[number].append(check)
        else:
            groups.append([check])
    return groups


def _place(rule: Rule) -> tuple[int, str]:
    # A masking check goes before the others of its phase, and the gatherers of the run's replies after them.
    order = ROOTS.index(rule.code) if rule.code in ROOTS else len(ROOTS)
    return (order if order < len(ROOTS) else (len(ROOTS) if rule.masks else len(ROOTS) + 1), rule.code)
