"""A finding as a stand-alone pytest file: httpx only, credentials from the environment.

The file repeats the exchanges that prove the finding, oldest first. What a reply issued (tokens, cookies,
ids) is read from the new reply, and altered credentials are altered anew, so nothing in it is a secret and
nothing in it expires. It fails while the flaw is there, and passes once the attack is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from auth_conformance.model import Outcome, Role
from auth_reports.again import again
from auth_reports.regression import reasons
from auth_reports.regression.literals import comment
from auth_reports.regression.marks import (
    MARK,
    asked,
    headers_of,
    in_a_refusal,
    marks,
    names_of,
    shown,
    spoken,
)
from auth_reports.regression.steps import steps_to
from auth_reports.regression.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from auth_conformance.model import Exchange, Expectation, Finding, Run


# What tells a reader of the folder what is there, and what is not.
LISTING = "auth-conformance-tests.md"
# So many places are named in a line, and so many reasons stand in a terminal: the list in the folder has all.
_PLACES, _REASONS = 3, 3
# What stands in every file of ours, within so many bytes of its beginning: all others are the user's.
_OURS, _BEGINNING = b"\nWritten by auth-conformance from run ", 16_384


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

    A list beside them repeats both, for who reads the folder a year later. A file of the user's is never touched;
    a test of ours takes the place of the older one of its name. Tests of earlier runs stay: they guard what was mended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    left: list[NotWritten] = []
    made_of: list[str] = []
    # How many files have had the name: of thousands of findings none asks for all the others.
    taken: dict[str, int] = {}
    variables: dict[str, str] = {}
    for finding in run.findings:
        made = regression(finding, run, variables)
        if isinstance(made, NotWritten):
            left.append(made)
            continue
        name = made.name
        while name in taken or _of_the_user(folder / name):
            number = taken[made.name] = taken.get(made.name, 1) + 1
            name = made.name.replace(".py", f"_{number}.py")
        taken[name] = 1
        path = folder / name
        path.write_text(made.text, encoding="utf-8", newline="\n")
        written.append(path)
        made_of.append(_listed(path.name, finding, made))
    listing = folder / LISTING
    older = [path.name for path in earlier(folder, written)]
    listing.write_text(_listing(made_of, _reasoned(left, run), older, run), encoding="utf-8", newline="\n")
    return written, left


def earlier(folder: Path, written: Sequence[Path]) -> list[Path]:
    """The tests of earlier runs in `folder`: ours, and not among those that were `written` now. Raises OSError."""
    new = {path.name for path in written}
    return [path for path in sorted(folder.glob("test_*.py")) if path.name not in new and _is_ours(path)]


def _is_ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _OURS in file.read(_BEGINNING)


def _of_the_user(path: Path) -> bool:
    return (path.exists() or path.is_symlink()) and not _is_ours(path)


def _listing(made: Sequence[str], missing: Sequence[str], older: Sequence[str], run: Run) -> str:
    lines = [
        "# Regression tests of authentication",
        "",
        f"Written by auth-conformance from run {comment(run.run_id)}. Each file is a test of one finding:",
        "it fails while the flaw is there. It needs pytest and httpx, and the service's address in `BASE_URL`.",
        "",
        *(made or ["No finding of the run has a test."]),
    ]
    if older:
        lines += [
            "",
            "## Tests of earlier runs",
            "",
            "This run has no such finding: it is mended, or was not looked for. They stay to guard what was mended;",
            "delete those that you do not want.",
            "",
            *(f"* `{comment(name)}`" for name in older),
        ]
    if missing:
        lines += ["", "## Findings without a test", *missing]
    return "\n".join([*lines, ""])


def _listed(name: str, finding: Finding, made: Regression) -> str:
    needs = f" (reads {', '.join(made.environment)})" if made.environment else ""
    return f"* `{name}`{needs}: {finding.code} {comment(finding.title)}, {comment(finding.operation or '')}"


def told(left: Sequence[NotWritten], run: Run) -> list[str]:
    """A line for people about the findings without a test, by code and reason: why, and what tests them again."""
    alike: dict[tuple[str, str], list[NotWritten]] = {}
    for item in left:
        alike.setdefault((item.finding.code, item.reason), []).append(item)
    return [
        f"none for {_named(code, items)}: {reason}; test it again with `{again(code, run)}`"
        for (code, reason), items in alike.items()
    ]


def _reasoned(left: Sequence[NotWritten], run: Run) -> list[str]:
    """The findings without a test under their reasons, each with the command that tests it again."""
    reasons_given: dict[str, dict[str, list[NotWritten]]] = {}
    for item in left:
        reasons_given.setdefault(item.reason, {}).setdefault(item.finding.code, []).append(item)
    lines: list[str] = []
    for reason, codes in reasons_given.items():
        lines += ["", f"{comment(reason[:1].upper() + reason[1:])}:", ""]
        lines += [f"* {comment(_named(code, items))}: `{again(code, run)}`" for code, items in codes.items()]
    return lines


def _named(code: str, items: Sequence[NotWritten]) -> str:
    """A code and where it was found; how often, where that is more often than there are places to name."""
    places = list(dict.fromkeys(item.finding.operation for item in items if item.finding.operation))
    named = ", ".join(places[:_PLACES]) + (
        f" and {len(places) - _PLACES} more" if len(places) > _PLACES else ""
    )
    often = f" ({len(items)} findings)" if len(items) > max(len(places), 1) else ""
    return " ".join(filter(None, (code, named))) + often


def summary(written: Sequence[Path], left: Sequence[NotWritten], folder: Path, run: Run) -> list[str]:
    """What a terminal says after `export`: how many tests there are, and a few of the reasons why some are not."""
    older = len(earlier(folder, written))
    lines = told(left, run)
    first = f"{len(written)} in {folder}" + (f", beside {older} of earlier runs" if older else "")
    if len(lines) <= _REASONS:
        return [first, *lines]
    without = f"{len(left)} findings have none: {folder / LISTING} says why"
    return [first, without]


def regression(
    finding: Finding, run: Run, variables: dict[str, str] | None = None
) -> Regression | NotWritten:
    """The test of one finding, or why there is none.

    `variables` are those of the environment that other tests of the folder read, by the digests of the secrets; what
    this one reads is added.
    """
    attack = _attack(finding)
    if (finding.operation or "").startswith("WebSocket "):
        return NotWritten(finding, reasons.WEBSOCKET)
    if attack is None:
        return NotWritten(finding, reasons.without_attack(finding))
    steps = steps_to(attack, finding)
    reason = _why_not(finding, run, attack, steps)
    if reason:
        return NotWritten(finding, reason)
    groups = [list(group) for _, group in groupby(steps, key=lambda step: step.together or -step.number)]
    writer = _writer(finding, run, attack, groups)
    writer.shared = {} if variables is None else variables
    for group in groups:
        # A control on something else than what the test makes shows nothing in it.
        if len(group) > 1 or group[0].role is not Role.CONTROL or not writer.strange(group[0]):
            writer.step(*group)
    written = writer.attack(attack, finding.expected)
    if writer.lost:
        return NotWritten(finding, reasons.lost(writer.lost[0]))
    if not written:
        return NotWritten(finding, reasons.unsaid(attack.number))
    # By the finding's operation: the attack's may hold a path that was made up, and is another one in each run.
    name = re.sub(r"\W+", "_", f"{finding.code} {finding.operation or attack.operation}".lower()).strip("_")[
        :80
    ]
    return Regression(
        f"test_{name}.py", writer.file(finding, f"test_{name}"), tuple(sorted(writer.environment))
    )


def _writer(finding: Finding, run: Run, attack: Exchange, groups: Sequence[Sequence[Exchange]]) -> Writer:
    """What writes the test, and knows of each secret where it is from."""
    told = [*(step for group in groups for step in group), attack]
    expected = finding.expected.kind if finding.expected is not None else ""
    needed = {digest for item in told for digest in asked(item)}
    sought = shown(attack) - needed if expected == "no secret" else set[str]()
    sent = {digest for item in told if item.role is Role.ATTACK for digest in asked(item)}
    raced = expected == "once" or any(len(group) > 1 for group in groups)
    writer = Writer(run, needed | sought, raced=raced, free=sent - _sent_before(run), sought=sought)
    for letter in {item for step in told for item in step.request.mailed}:
        writer.mailed.setdefault(letter.asked, []).append(letter)
    if expected == "alike":
        writer.invent()
    elif in_a_refusal(attack, finding.expected):
        # Not what it presents: a credential that is nobody's has a shape.
        presented = {digest for item in told for digest in headers_of(item)}
        writer.free -= presented
        writer.invent()
    return writer


def _why_not(finding: Finding, run: Run, attack: Exchange, steps: Sequence[Exchange]) -> str:
    """Why these steps and this attack make no test, "" where they do."""
    odd = next((item.special for item in (*steps, attack) if item.special), "")
    if odd:
        return reasons.special(odd)
    cut = next((item for item in (*steps, attack) if len(item.request.body or "") >= 8000), None)
    if cut is not None:
        return f"the body of request {cut.number} is too long for a test"
    if _unmade(attack, steps, run, finding.expected):
        return reasons.UNMADE
    if _ended(attack, steps):
        return reasons.ENDED
    if _honest(finding, run, attack):
        return reasons.HONEST
    stranger = _unregistered(attack, steps, run, finding.expected)
    if stranger:
        return reasons.lost(stranger)
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
        case "no status":
            return expected is not None and str(status) not in expected.value.split()
        case "cookie" | "no cookie" if expected is not None:
            lines = [value.lower() for name, value in attack.reply.headers if name.lower() == "set-cookie"]
            line = next((item for item in lines if item.startswith(f"{expected.name.lower()}=")), "")
            return (expected.value.lower() in line.partition(";")[2]) is (kind == "cookie")
        case _:
            return False


def _unmade(attack: Exchange, steps: Sequence[Exchange], run: Run, expected: Expectation | None) -> bool:
    """Whether the attack presents what no step has issued or shown alive and no recipe makes.

    In its body and its path that is a secret that nobody but the attack ever sent; any other one does where the
    secret itself is what must not come back, or where it is refused and how it is refused is the flaw.
    """
    # What only an attack presented was made up by it; what it was given is somebody's.
    alive = {
        digest for step in steps for digest in (shown(step) if step.role is Role.ATTACK else marks(step))
    }
    alive |= {recipe.digest for recipe in attack.request.derived}
    alive |= {item.digest for step in (*steps, attack) for item in step.request.mailed}
    alive |= spoken(attack).keys()
    if headers_of(attack) - alive:
        return True
    if in_a_refusal(attack, expected) or (expected is not None and expected.kind in ("no secret", "alike")):
        return False
    rest = {
        digest for text in (attack.request.url, attack.request.body or "") for digest in MARK.findall(text)
    }
    return bool(rest - alive and rest - alive - _sent_before(run))


def _sent_before(run: Run) -> set[str]:
    """The secrets that the run sent or got on another occasion before an attack first sent them."""
    told = {
        item.number: item
        for result in run.results
        for found in (result.origins, result.verdict.evidence, *(one.evidence for one in result.findings))
        for item in found
    }
    first: dict[str, bool] = {}
    for item in sorted(told.values(), key=lambda item: item.number):
        for digest in marks(item):
            first.setdefault(digest, item.role is not Role.ATTACK)
    return {digest for digest, before in first.items() if before}


def _unregistered(attack: Exchange, steps: Sequence[Exchange], run: Run, expected: Expectation | None) -> str:
    """An account of the run that is compared with nobody, and that no step registers: two nobodies look alike."""
    if expected is None or expected.kind != "alike" or not run.run_id:
        return ""
    twins = [attack, *(step for step in steps if str(step.number) == expected.value)]
    named = [word for item in twins for word in names_of(item.request.body or "", run.run_id)]
    before = [step for step in steps if step not in twins and (step.reply.status or 500) < 400]
    known = {word for step in before for word in names_of(step.request.body or "", run.run_id)}
    return "" if not named or known & set(named) else named[0]


def _honest(finding: Finding, run: Run, attack: Exchange) -> bool:
    """Whether the very request of the attack got in as a control afterwards: it shows nothing by itself."""
    kind = finding.expected.kind if finding.expected is not None else "refused"
    presented = headers_of(attack)
    return (
        kind == "refused"
        and bool(presented)
        and any(
            item.role is Role.CONTROL
            and item.outcome is Outcome.ACCEPTED
            and item.number > attack.number
            and (item.request.method, item.request.url) == (attack.request.method, attack.request.url)
            and headers_of(item) == presented
            for result in run.results
            if result.rule.code == finding.code
            for item in result.verdict.evidence
        )
    )


def _ended(attack: Exchange, steps: Sequence[Exchange]) -> bool:
    """Whether a credential that was just issued is refused: what ended it in between is no step."""
    last = steps[-1] if steps else None
    presented = headers_of(attack)
    return (
        attack.reply.status in (401, 403)
        and last is not None
        and bool(presented)
        and presented <= shown(last)
        and not attack.request.derived
    )
