"""Runs checks against a scene: roots first, readers together, the rest alone, disturbers last."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from http import HTTPStatus

from auth_conformance.catalog import LAST, ROOTS, masked_by
from auth_conformance.model import (
    Errored,
    Exchange,
    Expectation,
    Failed,
    Impact,
    Inconclusive,
    Masked,
    Need,
    Outcome,
    Passed,
    Provenance,
    Result,
    Role,
    Rule,
    Severity,
    Skipped,
    SourceLine,
    Verdict,
    Violation,
)
from auth_conformance.oracles.caches import by_cache
from auth_conformance.probe import Missing, Probe, Scene, Unclear
from auth_conformance.sdk import Check
from auth_conformance.target import OF_ACCOUNTS, Target
from auth_conformance.transports.recorder import METER, BudgetExceededError, Meter

# How many reading checks run at the same time.
CONCURRENT = 8
# No single check may take longer than this, in seconds.
LONGEST = 300.0
# A limit that lasts longer, in seconds, is not worth waiting for.
_LONGEST_PATIENCE = 600
# Families whose attacks are answered by what looks at the credential, whichever operation they are tried at.
_OF_GUARDS = frozenset(("TOK", "KEY", "SES", "MIX"))
# Expectations about what an answer holds, and not about who gets one.
_OF_HANDLERS = frozenset(
    ("header", "no header", "cookie", "no cookie", "text", "no text", "no secret", "members")
)

# What a tester needs, not what a service has: without it a check is not tested, and never "not applicable".
MEANS = frozenset(
    {
        Need.TWO_USERS,
        Need.ADMIN,
        Need.EXPENDABLE,
        Need.CLOCK,
        Need.DATABASE,
        Need.SOURCE,
        Need.OPENAPI,
        Need.IN_PROCESS,
        Need.LOGS,
        Need.RESTART,
        Need.LISTENER,
        Need.MAILBOX,
    }
)

# What a need is called in a sentence.
NEEDED = {
    Need.WITNESS: "an operation that names its caller",
    Need.BEARER: "a bearer token",
    Need.JWT: "tokens that are JWTs",
    Need.TOKEN: "a token",
    Need.API_KEY: "an API key",
    Need.COOKIE: "a session cookie",
    Need.TWO_SCHEMES: "two kinds of credential",
    Need.TWO_USERS: "two accounts",
    Need.ADMIN: "the account of an administrator",
    Need.REGISTER: "the operation that registers accounts",
    Need.EXPENDABLE: "an account that may be lost",
    Need.LOGIN: "the login",
    Need.LOGOUT: "the logout",
    Need.REFRESH: "the operation that refreshes tokens",
    Need.KEY_MANAGEMENT: "the operations that make and revoke API keys",
    Need.OBJECTS: "objects that belong to one user",
    Need.OPENAPI: "the OpenAPI document",
    Need.SIGNING_KEY: "the key that signs the tokens",
    Need.PUBLIC_KEY: "the public key of the tokens",
    Need.CLOCK: "a clock that can be moved",
    Need.DATABASE: "the database",
    Need.SOURCE: "the source code",
    Need.IN_PROCESS: "the application in this process",
    Need.LOGS: "what the service logs",
    Need.USER_MANAGEMENT: "the operations that manage users",
    Need.SESSION_LIST: "the list of a user's sessions",
    Need.RESTART: "a second process of the service",
    Need.LISTENER: "an address of ours that the service can reach",
    Need.WEBSOCKET: "a WebSocket",
    Need.PASSWORD_CHANGE: "the operation that changes the password",
    Need.RESET: "the operations that reset a forgotten password",
    Need.VERIFY: "the operation that confirms an address",
    Need.MAILBOX: "the mail that the service sends",
}

OnResult = Callable[[Result], None]


def unmet(rule: Rule, target: Target, *, allow_disruptive: bool) -> Skipped | None:
    """Why the check cannot run here: not applicable with evidence, or not tested with a remedy."""
    met = target.met_needs()
    for need in rule.needs:
        if need in met:
            continue
        if need in target.absent and need not in MEANS:
            return Skipped(f"Not applicable: {target.absent[need]}", applicable=False)
        remedy = target.remedies.get(need, "")
        if target.nobody_known and need in OF_ACCOUNTS:
            return Skipped(
                "Not tested: it needs an account that can log in, and none is declared or could be registered.",
                remedy,
            )
        return Skipped(f"Not tested: it needs {NEEDED[need]}, not known for this target.", remedy)
    if rule.impact is Impact.DISRUPTS and not allow_disruptive:
        return Skipped(
            "Not tested: it locks, deletes or floods, and nobody has allowed that on this target.",
            "allow_disruptive = true  # or --allow-disruptive",
        )
    return None


async def run_check(check: Check, scene: Scene) -> Result:
    """Decide one check; whatever happens inside becomes a verdict."""
    rule = check.rule
    skipped = unmet(rule, scene.target, allow_disruptive=scene.allow_disruptive)
    if skipped is not None:
        return Result(rule, skipped, rule.severity)
    probe = Probe(scene, rule)
    meter = Meter(rule.budget)
    METER.set(meter)
    started = time.monotonic()
    verdict = await _decide(check, probe)
    if isinstance(verdict, Inconclusive) and await _renewed(scene, rule):
        # Another check, or the target's own clock, had ended a login that this one shared.
        probe = Probe(scene, rule)
        meter = Meter(rule.budget)
        METER.set(meter)
        verdict = await _decide(check, probe)
    # What disrupts runs alone: no other check uses the account meanwhile. Nor does one that this check has disabled.
    undoes = rule.impact is Impact.DISRUPTS or any(code == rule.code for code, _ in scene.shut)
    if undoes and (told := await _given_back(scene, rule)):
        verdict = _with_notes(verdict, told)
    if isinstance(verdict, Failed):
        verdict = _without_caches(verdict)
    if check.is_restated and isinstance(verdict, Failed):
        plain = tuple(replace(item, severity=None) for item in verdict.violations)
        verdict = replace(verdict, violations=plain)
    if not verdict.evidence and probe.evidence:
        verdict = replace(verdict, evidence=tuple(probe.evidence))
    if isinstance(verdict, Inconclusive) and not verdict.remedy and _met_a_limit(verdict, probe.evidence):
        verdict = replace(verdict, remedy=_patience_for(probe.evidence, scene.patience))
    verdict = _placed(_without_late_secrets(verdict, scene), scene.target, rule)
    return Result(
        rule=rule,
        verdict=verdict,
        severity=_severity(rule, verdict),
        operation=_operation(verdict, scene.target, rule),
        source=_source(verdict, scene.target, rule),
        took=time.monotonic() - started,
        requests=meter.used,
        guesses=_guesses(scene.target, rule),
        origins=_origins(verdict, scene),
    )


async def _decide(check: Check, probe: Probe) -> Verdict:
    rule = check.rule
    deadline = asyncio.timeout(LONGEST)
    try:
        async with deadline:
            return await check.procedure(probe)
    except (Unclear, Missing) as conclusion:
        return conclusion.verdict
    except BudgetExceededError as error:
        return Inconclusive(f"Stopped: {error}.", "budget = 6000  # requests for the whole run")
    except Exception as error:  # noqa: BLE001 - our bug must never read as the target's fault
        if isinstance(error, TimeoutError) and deadline.expired():
            return Inconclusive(f"Stopped after {LONGEST:g} s.", "timeout = 30  # seconds per request")
        lines = traceback.format_exception(error, limit=-8)
        return Errored(f"{type(error).__name__} in {rule.code}", "".join(lines))


async def _renewed(scene: Scene, rule: Rule) -> bool:
    """Whether a shared login was found dead, and forgotten, so that the next to ask logs in again."""
    METER.set(None)
    try:
        async with asyncio.timeout(LONGEST):
            return await Probe(scene, rule).forget_dead()
    except (Unclear, Missing, BudgetExceededError, TimeoutError):
        return False


async def _given_back(scene: Scene, rule: Rule) -> list[str]:
    """Undo what the check did to declared accounts; what could not be undone."""
    METER.set(None)
    try:
        async with asyncio.timeout(LONGEST):
            return await Probe(scene, rule).given_back()
    except (BudgetExceededError, TimeoutError) as error:
        why = str(error) or "no answer in time"
        return [f"spare accounts may be left as this check had made them: {why}"]


def _with_notes(verdict: Verdict, told: Sequence[str]) -> Verdict:
    match verdict:
        case Passed() | Failed() | Inconclusive():
            return replace(verdict, notes=(*verdict.notes, *told))
        case Skipped():
            return replace(verdict, reason=f"{verdict.reason} Besides: {'; '.join(told)}.")
        case _:
            return verdict


def _without_caches(verdict: Failed) -> Verdict:
    """Leave out acceptances that a cache uttered in the application's place (RFC 9111 §5.1)."""
    kept = tuple(item for item in verdict.violations if not _is_a_cache_s(item))
    if kept:
        return replace(verdict, violations=kept)
    return Inconclusive(
        "A cache answered in the application's place (Age).",
        "# point the run at the application itself, behind no cache",
        verdict.evidence,
        verdict.notes,
    )


def _is_a_cache_s(violation: Violation) -> bool:
    """Whether the request that got in, by which the rule is broken, was answered by a cache."""
    # What is said of a reply's headers is as true of a cached one: that it was cached may be the finding.
    about_headers = violation.expected is not None and violation.expected.kind in ("header", "no header")
    return not about_headers and any(
        item.role is Role.ATTACK and (item.reply.status or 500) < 400 and by_cache(item.reply)
        for item in violation.evidence
    )


def _met_a_limit(verdict: Inconclusive, seen: Sequence[Exchange]) -> bool:
    """Whether a limit is why nothing was decided: a limit met on the way there is not."""
    told = "429" in verdict.reason or "limit" in verdict.reason.lower()
    return told or (bool(seen) and seen[-1].outcome is Outcome.THROTTLED)


def _patience_for(seen: Sequence[Exchange], patience: float) -> str:
    """The line of configuration that outlasts the limit which a check met last; "" where none would.

    A limit says in seconds how long it lasts (RFC 9110 §10.2.3), and a run waits no longer than it was told to.
    """
    for exchange in reversed(seen):
        if exchange.reply.status != HTTPStatus.TOO_MANY_REQUESTS:
            continue
        told = exchange.reply.header("retry-after") or ""
        if not told.isdecimal():
            return "rate = 1  # requests per second"
        if patience < int(told) <= _LONGEST_PATIENCE:
            return f"patience = {int(told) + 1}  # seconds: so long lasts the limit of {exchange.operation}"
        return ""
    return ""


def _without_late_secrets(verdict: Verdict, scene: Scene) -> Verdict:
    again = scene.recorder.redactor.again
    verdict = replace(verdict, evidence=tuple(map(again, verdict.evidence)))
    if isinstance(verdict, Failed):
        violations = tuple(
            replace(item, evidence=tuple(map(again, item.evidence))) for item in verdict.violations
        )
        verdict = replace(verdict, violations=violations)
    return verdict


def _origins(verdict: Verdict, scene: Scene) -> tuple[Exchange, ...]:
    """Where the credentials in a failure's evidence came from: without it nobody could repeat the attack."""
    if not isinstance(verdict, Failed):
        return ()
    shown = {item.number: item for violation in verdict.violations for item in violation.evidence}
    return scene.recorder.origins(list((shown or {item.number: item for item in verdict.evidence}).values()))


def _severity(rule: Rule, verdict: Verdict) -> Severity:
    if isinstance(verdict, Failed):
        return max(
            (violation.severity or rule.severity for violation in verdict.violations), default=rule.severity
        )
    return rule.severity


def _operation(verdict: Verdict, target: Target, rule: Rule) -> str | None:
    if isinstance(verdict, Failed) and verdict.violations[0].operation is not None:
        return verdict.violations[0].operation
    if Need.WITNESS in rule.needs and target.witness is not None:
        return target.witness.operation.name
    return None


def _placed(verdict: Verdict, target: Target, rule: Rule) -> Verdict:
    """Each violation at its own line: of what looks at the credential where that is to blame, else of the handler."""
    if not isinstance(verdict, Failed):
        return verdict
    violations = tuple(
        item
        if item.source is not None
        else replace(item, source=_line(item.operation, target, rule, item.expected))
        for item in verdict.violations
    )
    return replace(verdict, violations=violations)


def _line(
    name: str | None, target: Target, rule: Rule, expected: Expectation | None = None
) -> SourceLine | None:
    operation = target.operation(name or "")
    if operation is None:
        return None
    # What an answer says, whoever asked, is its handler's doing.
    said = expected is not None and expected.kind in _OF_HANDLERS
    guarded = rule.family in _OF_GUARDS and Need.WITNESS in rule.needs and not said
    return (operation.guard if guarded else None) or operation.source


def _source(verdict: Verdict, target: Target, rule: Rule) -> SourceLine | None:
    if isinstance(verdict, Failed) and verdict.violations[0].source is not None:
        return verdict.violations[0].source
    return _line(_operation(verdict, target, rule), target, rule)


def _guesses(target: Target, rule: Rule) -> tuple[str, ...]:
    flows = {
        Need.WITNESS: target.witness,
        Need.REFRESH: target.refresh,
        Need.KEY_MANAGEMENT: target.keys,
        Need.OBJECTS: target.objects,
        Need.REGISTER: target.register,
        Need.LOGOUT: target.logouts[0] if target.logouts else None,
        Need.LOGIN: target.logins[0] if target.logins else None,
        Need.PASSWORD_CHANGE: target.password_change,
        Need.RESET: target.recovery,
        Need.VERIFY: target.verification,
    }
    return tuple(
        f"{need.value} was guessed"
        for need in rule.needs
        if (flow := flows.get(need)) is not None and flow.provenance is Provenance.GUESSED
    )


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
        if isinstance(result.verdict, Failed) and (
            result.severity > Severity.LOW or check.rule.severity <= Severity.LOW
        ):
            for code in masked_by(check, checks):
                masks.setdefault(code, check.rule.code)
        on_result(result)

    async def one(check: Check, gate: asyncio.Semaphore) -> None:
        async with gate:
            root = masks.get(check.rule.code)
            result = masked_result(check, root) if root else await run_check(check, scene)
            keep(check, result)

    for batch in batches(checks):
        gate = asyncio.Semaphore(CONCURRENT)
        async with asyncio.TaskGroup() as group:
            for check in batch:
                group.create_task(one(check, gate), name=check.rule.code)
    return [results[code] for code in sorted(results)]


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
