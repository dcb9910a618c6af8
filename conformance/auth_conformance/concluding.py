"""From the verdict of a check to its result: what a cache said is left out, a place and a remedy are added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from itertools import takewhile

from auth_conformance.model import (
    NO_ANSWER,
    NO_CONNECTION,
    Exchange,
    Expectation,
    Failed,
    Inconclusive,
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
from auth_conformance.oracles.patience import lasting
from auth_conformance.probe import Scene, crossed, silent
from auth_conformance.probe.core import TRUST
from auth_conformance.probe.infront import WHY
from auth_conformance.sdk import Check
from auth_conformance.target import Target
from auth_conformance.transports.wire import INSTALL_SERVER, NO_SERVER

# How notes begin that tell what was left out.
NOT_JUDGED = "not judged: "
# A limit that lasts longer, in seconds, is not worth waiting for.
_LONGEST_PATIENCE = 600
# Limits on logins are for minutes; a check has five.
_SILENT_PATIENCE = 240
_START = "# start the service again: nobody listens at its address"
# Families whose attacks are answered by what looks at the credential, whichever operation they are tried at.
_OF_GUARDS = frozenset(("TOK", "KEY", "SES", "MIX"))
# Expectations about what an answer holds, and not about who gets one.
_OF_HANDLERS = frozenset(
    ("header", "no header", "cookie", "no cookie", "text", "no text", "no secret", "members")
)


def concluded(
    check: Check, scene: Scene, verdict: Verdict, seen: Sequence[Exchange], *, took: float, requests: int
) -> Result:
    """The result of a check that ended with `verdict` after the exchanges `seen`; `took` is in seconds."""
    rule = check.rule
    if isinstance(verdict, Failed):
        verdict = _without_caches(verdict)
    if check.is_restated and isinstance(verdict, Failed):
        plain = tuple(replace(item, severity=None) for item in verdict.violations)
        verdict = replace(verdict, violations=plain)
    if not verdict.evidence and seen:
        verdict = replace(verdict, evidence=tuple(seen))
    if isinstance(verdict, Inconclusive) and NO_SERVER in verdict.reason:
        verdict = replace(verdict, remedy=INSTALL_SERVER)
    if isinstance(verdict, Inconclusive) and not verdict.remedy:
        limit = _patience_for(verdict, seen, scene) if _met_a_limit(verdict, seen) else ""
        filtered = TRUST if WHY in verdict.reason else ""
        cached = crossed.BEHIND if silent.WHY in verdict.reason else ""
        started = _START if NO_CONNECTION in verdict.reason else ""
        remedy = filtered or cached or limit or started or _timeout_for(verdict, seen)
        verdict = replace(verdict, remedy=remedy)
    if isinstance(verdict, Passed):
        verdict = replace(verdict, reason=_with_what_was_not_judged(verdict))
    verdict = _placed(_without_late_secrets(verdict, scene), scene.target, rule)
    return Result(
        rule=rule,
        verdict=verdict,
        severity=_severity(rule, verdict),
        operation=_operation(verdict, scene.target, rule),
        source=_source(verdict, scene.target, rule),
        took=took,
        requests=requests,
        guesses=_guesses(scene.target, rule),
        origins=_origins(verdict, scene),
    )


def _with_what_was_not_judged(verdict: Passed) -> str:
    """The reason of a pass, and what it says nothing of: whoever reads no notes must not take it for tested."""
    left = dict.fromkeys(
        note.removeprefix(NOT_JUDGED) for note in verdict.notes if note.startswith(NOT_JUDGED)
    )
    if not left:
        return verdict.reason
    more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
    return f"{verdict.reason} Not judged: {next(iter(left)).rstrip('.')}{more}."


def gone(results: Sequence[Result]) -> str:
    """In a sentence, since which request nobody listens at the target's address any more; "" where somebody does."""
    seen = sorted(
        {item.number: item for result in results for item in result.verdict.evidence}.values(),
        key=lambda item: item.number,
    )
    deaf = list(reversed(list(takewhile(lambda item: item.reply.status is None, reversed(seen)))))
    if not (unheard := [item for item in deaf if (item.reply.error or "").startswith(NO_CONNECTION)]):
        return ""
    first = deaf[0]
    return (
        f"Nobody has listened at the target's address since request {first.number} ({first.operation}: {first.label}): "
        f"{len(unheard)} of those shown here met no connection. If that request ended the service, whoever can send it "
        "can end it: look into its log, start it again, and run anew."
    )


def with_notes(verdict: Verdict, told: Sequence[str]) -> Verdict:
    """The same verdict with something to tell besides; a masked or errored one tells nothing."""
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
        crossed.BEHIND,
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
    told = told or any("(429)" in note for note in verdict.notes)
    return told or (bool(seen) and seen[-1].outcome is Outcome.THROTTLED)


def starved(result: Result) -> bool:
    """Whether a check decided nothing, and an answer that did not come in time may be why."""
    verdict = result.verdict
    return isinstance(verdict, Inconclusive) and (
        NO_ANSWER in verdict.reason or any(item.reply.late for item in verdict.evidence)
    )


def _timeout_for(verdict: Inconclusive, seen: Sequence[Exchange]) -> str:
    """The line of configuration that waits longer, where an answer that did not come in time decided it."""
    if NO_ANSWER in verdict.reason or (seen and seen[-1].reply.late):
        return "timeout = 30  # seconds per request"
    return ""


def _patience_for(verdict: Inconclusive, seen: Sequence[Exchange], scene: Scene) -> str:
    """The line of configuration that outlasts the limit which a check met last; "" where none would.

    A limit says in seconds how long it lasts (RFC 9110 §10.2.3), and a run waits no longer than it was told to.
    """
    met = next((item for item in reversed(seen) if item.reply.status == HTTPStatus.TOO_MANY_REQUESTS), None)
    told = lasting(met.reply.header) if met is not None else None
    if told is not None:
        if scene.patience < told <= _LONGEST_PATIENCE and met is not None:
            return f"patience = {int(told) + 1}  # seconds: so long lasts the limit of {met.operation}"
        return ""
    # What was learned for all checks, and failed, is in nobody's evidence: the reason names it then.
    words = [met.operation] if met is not None else verdict.reason.split(", ")
    entrances = (login.operation.name for login in scene.target.logins)
    door = next((name for name in entrances if any((word or "").startswith(name) for word in words)), None)
    if door is not None:
        longer = scene.patience < _SILENT_PATIENCE
        line = f"patience = {_SILENT_PATIENCE}  # seconds: the limit of {door} does not say how long it lasts"
        return line if longer else f"# raise the limit of {door} in the environment that is tested"
    return "rate = 1  # requests per second" if met is not None else ""


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
