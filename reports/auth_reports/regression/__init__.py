"""A finding as a stand-alone pytest file: httpx only, credentials from the environment.

The file repeats the exchanges that prove the finding, oldest first. What a reply issued (tokens, cookies,
ids) is read from the new reply, and altered credentials are altered anew, so nothing in it is a secret and
nothing in it expires. It fails while the flaw is there, and passes once the attack is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from auth_conformance.model import Outcome, Role
from auth_reports.again import again
from auth_reports.regression import reasons
from auth_reports.regression.literals import comment
from auth_reports.regression.marks import MARK, asked, marks, shown
from auth_reports.regression.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from auth_conformance.model import Exchange, Expectation, Finding, Run


# What tells a reader of the folder what is there, and what is not.
LISTING = "auth-conformance-tests.md"
# The mark of a token in three parts.
_TOKENS = re.compile(r"‹jwt [^‹›\n]{0,2000}?sha256:([0-9a-f]{12})›")


@dataclass(frozen=True, slots=True)
class Regression:
    """A test file: its `name`, its `text`, and the environment variables that it reads."""

    name: str
    text: str
    environment: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotWritten:
    """Why a finding has no test of its own."""

    finding: Finding
    reason: str


def export(run: Run, folder: Path) -> tuple[list[Path], list[NotWritten]]:
    """Write one file per finding into `folder`; say for which it cannot be done, and why. Raises OSError.

    A list beside them repeats both, for who reads the folder a year later.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    left: list[NotWritten] = []
    made_of: list[str] = []
    # How many files have had the name: of thousands of findings none asks for all the others.
    taken: dict[str, int] = {}
    for finding in run.findings:
        made = regression(finding, run)
        if isinstance(made, NotWritten):
            left.append(made)
            continue
        name = made.name
        while name in taken:
            number = taken[made.name] = taken[made.name] + 1
            name = made.name.replace(".py", f"_{number}.py")
        taken[name] = 1
        path = folder / name
        path.write_text(made.text, encoding="utf-8", newline="\n")
        written.append(path)
        made_of.append(_listed(path.name, finding, made))
    listing = folder / LISTING
    listing.write_text(_listing(made_of, told(left, run), run), encoding="utf-8", newline="\n")
    return written, left


def _listing(made: Sequence[str], missing: Sequence[str], run: Run) -> str:
    lines = [
        "# Regression tests of authentication",
        "",
        f"Written by auth-conformance from run {comment(run.run_id)}. Each file is a test of one finding:",
        "it fails while the flaw is there. It needs pytest and httpx, and the service's address in `BASE_URL`.",
        "",
        *(made or ["No finding of the run has a test."]),
    ]
    if missing:
        lines += ["", "## Findings without a test", "", *(f"* {line}" for line in missing)]
    return "\n".join([*lines, ""])


def _listed(name: str, finding: Finding, made: Regression) -> str:
    needs = f" (reads {', '.join(made.environment)})" if made.environment else ""
    return f"* `{name}`{needs}: {finding.code} {comment(finding.title)}, {comment(finding.operation or '')}"


def told(left: Sequence[NotWritten], run: Run) -> list[str]:
    """A line for people about each finding without a test: why, and what tests it again."""
    return [
        f"none for {' '.join(filter(None, (item.finding.code, item.finding.operation)))}: {item.reason}; "
        f"test it again with `{again(item.finding.code, run)}`"
        for item in left
    ]


def regression(finding: Finding, run: Run) -> Regression | NotWritten:
    """The test of one finding, or why there is none."""
    attack = _attack(finding)
    named = finding.expected is not None and bool(finding.expected.about)
    if (finding.operation or "").startswith("WebSocket "):
        return NotWritten(finding, reasons.WEBSOCKET)
    if attack is None:
        return NotWritten(finding, reasons.without_attack(finding))
    # What an expectation is about may come after the attack: then the attack is a step on the way to it.
    before = [
        item
        for item in finding.evidence
        if item.number < attack.number and (_prepares(item) or (named and item.role is Role.ATTACK))
    ]
    steps = _repeatable(
        sorted({item.number: item for item in (*finding.origins, *before)}.values(), key=lambda e: e.number)
    )
    reason = _why_not(finding, run, attack, steps)
    if reason:
        return NotWritten(finding, reason)
    if finding.code.startswith("LIF"):
        steps = _lived(attack, steps)
    needed = {digest for item in (*steps, attack) for digest in asked(item)}
    sought = set[str]()
    if finding.expected is not None and finding.expected.kind == "no secret":
        sought = shown(attack) - needed
        needed |= sought
    groups = [list(group) for _, group in groupby(steps, key=lambda step: step.together or -step.number)]
    once = finding.expected is not None and finding.expected.kind == "once"
    raced = once or any(len(group) > 1 for group in groups)
    sent = {digest for item in (*steps, attack) if item.role is Role.ATTACK for digest in asked(item)}
    writer = Writer(run, needed, raced=raced, free=sent - _sent_before(run), sought=sought)
    if finding.expected is not None and finding.expected.kind == "alike":
        writer.invent()
    for group in groups:
        writer.step(*group)
    written = writer.attack(attack, finding.expected)
    if writer.lost:
        return NotWritten(finding, reasons.lost(writer.lost[0]))
    if not written:
        return NotWritten(finding, reasons.unsaid(attack.number))
    name = re.sub(r"\W+", "_", f"{finding.code} {attack.operation}".lower()).strip("_")[:80]
    return Regression(
        f"test_{name}.py", writer.file(finding, f"test_{name}"), tuple(sorted(writer.environment))
    )


def _why_not(finding: Finding, run: Run, attack: Exchange, steps: Sequence[Exchange]) -> str:
    """Why these steps and this attack make no test, "" where they do."""
    odd = next((item.special for item in (*steps, attack) if item.special), "")
    if odd:
        return reasons.special(odd)
    cut = next((item for item in (*steps, attack) if len(item.request.body or "") >= 8000), None)
    if cut is not None:
        return f"the body of request {cut.number} is too long for a test"
    unmade = _unmade(attack, steps, run, finding.expected)
    if unmade:
        return reasons.unmade(unmade)
    if _ended(attack, steps):
        return reasons.ENDED
    return reasons.answered(attack.reply.status) if _holds(attack, finding.expected) else ""


def _attack(finding: Finding) -> Exchange | None:
    evidence = finding.evidence
    if finding.expected is not None:
        about = next((item for item in evidence if item.number == finding.expected.about), None)
        if about is not None:
            return about
        attacks = [item for item in evidence if item.role is Role.ATTACK]
        telling = [item for item in attacks if not _holds(item, finding.expected)]
        return next(iter(telling or attacks or evidence[-1:]), None)
    wanted = (Outcome.ACCEPTED, Outcome.CRASHED)
    found = [item for item in evidence if item.role is Role.ATTACK and item.outcome in wanted]
    # Of several ways in, the one that is easiest to repeat: what follows from a live credential.
    return min(
        found, key=lambda item: (bool(item.special), not item.request.derived, item.number), default=None
    )


def _holds(attack: Exchange, expected: Expectation | None) -> bool:
    """Whether the flawed service already answered as a sound one does: such a test would pass on the flaw."""
    status = attack.reply.status
    if status is None:
        return False
    kind = expected.kind if expected is not None else "refused"
    if expected is None and attack.outcome is Outcome.CRASHED:
        kind = "no crash"
    match kind:
        case "refused":
            return not 200 <= status < 300
        case "accepted":
            return status < 400
        case "no crash":
            return status < 500
        case "status":
            return expected is not None and str(status) in expected.value.split()
        case "cookie" | "no cookie" if expected is not None:
            lines = [value.lower() for name, value in attack.reply.headers if name.lower() == "set-cookie"]
            line = next((item for item in lines if item.startswith(f"{expected.name.lower()}=")), "")
            return (expected.value.lower() in line) is (kind == "cookie")
        case _:
            return False


def _unmade(attack: Exchange, steps: Sequence[Exchange], run: Run, expected: Expectation | None) -> str:
    """The attack's label, if it presents what no step has issued or shown alive and no recipe makes.

    In its body and its path that is a secret that nobody but the attack ever sent; any other one does where
    the secret itself is what must not come back.
    """
    alive = {digest for step in steps for digest in marks(step)}
    alive |= {recipe.digest for recipe in attack.request.derived}
    lost = {digest for _, value in attack.request.headers for digest in MARK.findall(value)} - alive
    if lost:
        return attack.label
    if expected is not None and expected.kind == "no secret":
        return ""
    rest = {
        digest for text in (attack.request.url, attack.request.body or "") for digest in MARK.findall(text)
    }
    return attack.label if rest - alive and rest - alive - _sent_before(run) else ""


def _sent_before(run: Run) -> set[str]:
    """The secrets that the run sent or got on other occasions than an attack."""
    shown = {
        item.number: item
        for result in run.results
        for item in (*result.origins, *result.verdict.evidence)
        if item.role is not Role.ATTACK
    }
    return {digest for item in shown.values() for digest in marks(item)}


def _ended(attack: Exchange, steps: Sequence[Exchange]) -> bool:
    """Whether a credential that was just issued is refused: what ended it in between is no step."""
    last = steps[-1] if steps else None
    presented = {digest for _, value in attack.request.headers for digest in MARK.findall(value)}
    return (
        attack.reply.status in (401, 403)
        and last is not None
        and bool(presented)
        and presented <= shown(last)
        and not attack.request.derived
    )


def _lived(attack: Exchange, steps: list[Exchange]) -> list[Exchange]:
    """The steps, and between what issued the attack's credential and what ended it a use of it.

    A credential that never lived is refused as well; and some services remember only what they have seen.
    """
    presented = {digest for _, value in attack.request.headers for digest in MARK.findall(value)}
    if attack.request.method != "GET" or "{" in attack.operation or not presented:
        return steps
    place = next((index for index, step in enumerate(steps) if presented <= shown(step)), None)
    ended = place is not None and place + 1 < len(steps)
    if place is None or not ended or any(step.together for step in steps):
        return steps
    use = replace(attack, role=Role.CONTROL, label=f"control: {attack.operation} with it, before")
    return [*steps[: place + 1], use, *steps[place + 1 :]]


def _repeatable(steps: Sequence[Exchange]) -> list[Exchange]:
    """The steps without controls that show a token of our own, which no test can make.

    Where a service issues tokens, one that no reply issued was written by the run, and would have expired.
    """
    issued: set[str] = set()
    kept: list[Exchange] = []
    for step in steps:
        recipes = {recipe.digest for recipe in step.request.derived}
        presented = {digest for _, value in step.request.headers for digest in _TOKENS.findall(value)}
        if step.role is not Role.CONTROL or not issued or not presented - issued - recipes:
            kept.append(step)
        issued |= {
            digest
            for text in (step.reply.body, *(value for _, value in step.reply.headers))
            for digest in _TOKENS.findall(text)
        }
    return kept


def _prepares(exchange: Exchange) -> bool:
    """Whether the attack needs it: a setup, or a control that shows that the honest twin gets in."""
    refused = exchange.outcome is not None and exchange.outcome is not Outcome.ACCEPTED
    return exchange.role is not Role.ATTACK and not refused
