"""What the command prints: quiet when piped, safe for every terminal, never wider than the screen."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from auth_conformance.causes import causes
from auth_conformance.model import (
    Failed,
    Finding,
    Inconclusive,
    Masked,
    Provenance,
    Result,
    Run,
    Severity,
    Skipped,
)

if TYPE_CHECKING:
    from auth_conformance.target import Target

# In a pipe a long search says so often that it is alive, in seconds.
_EVERY = 10.0
# So many operations of further findings are named; the reports show them all.
_NAMED = 4


class Console:
    """Prints a run as it goes and sums it up at the end."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self.live = sys.stderr.isatty() and not quiet and "CI" not in os.environ
        self.width = min(shutil.get_terminal_size((100, 24)).columns, 120)
        self._total = 0
        self._done = 0
        self._started = self._told = time.monotonic()

    def target(self, target: Target, checks: int) -> None:
        """What is about to be tested, and with what."""
        self._total = checks
        if self.quiet:
            return
        title = f" ({target.title})" if target.title else ""
        self.line(f"Target   {target.address}{title}")
        if target.witness is not None:
            names = f", caller at {target.witness.identity}" if target.witness.identity else ""
            self.line(f"Witness  {target.witness.operation.name}{names} ({target.witness.provenance.value})")
        kinds = {kind.value for kind in target.kinds()}
        self.line(f"Checks   {checks}, with {', '.join(sorted(kinds)) or 'no'} credentials")
        for fact in target.facts:
            if fact.provenance is Provenance.GUESSED:
                self.line(f"Guessed  {fact.name}: {fact.value} ({fact.because})", "yellow")
        self.line("")

    def progress(self, result: Result) -> None:
        """One more verdict: a moving line on a terminal, nothing in a pipe; failures are told at once."""
        self._done += 1
        if self.live:
            text = f"{self._done}/{self._total} {result.rule.code} {result.rule.title}: {result.name}{self._left()}"
            click.echo("\r" + text[: self.width - 1].ljust(self.width - 1), nl=False, err=True)

    def search(self, text: str) -> None:
        """What is being searched: a moving line on a terminal, a line every ten seconds in a pipe."""
        if self.live:
            click.echo("\r" + text[: self.width - 1].ljust(self.width - 1), nl=False, err=True)
        elif not self.quiet and time.monotonic() - self._told > _EVERY:
            self._told = time.monotonic()
            click.echo(text, err=True)

    def _left(self) -> str:
        """How long it may still take, once there is something to judge by."""
        elapsed = time.monotonic() - self._started
        if self._done < 3 or elapsed < 2 or self._done >= self._total:
            return ""
        seconds = elapsed / self._done * (self._total - self._done)
        return f", about {seconds / 60:.0f} min left" if seconds > 90 else f", about {seconds:.0f} s left"

    def summary(self, run: Run, written: Iterable[str] = ()) -> None:
        """Failures in one line each, what could not be decided or tested, the count, and where the reports are."""
        if self.live:
            click.echo("\r" + " " * (self.width - 1) + "\r", nl=False, err=True)
        failures = [result for result in run.results if isinstance(result.verdict, Failed)]
        for result in sorted(failures, key=lambda item: -item.severity.rank):
            self._failure(run, result)
        for cause in causes(run):
            if cause.source is not None and len(cause.codes) > 1:
                place = " ".join(
                    filter(None, (f"{cause.source.path}:{cause.source.line}", cause.source.function))
                )
                self._hanging("one line", f"{place} answers for {', '.join(cause.codes)}.", "red")
        self._undecided(run)
        for result in run.results:
            if result.name == "errored":
                self._hanging(
                    f"{result.rule.code} broke down", f"{result.verdict.reason} (our bug)", "magenta"
                )
        self._untested(run)
        counts = [f"{number} {name}" for name, number in run.tally]
        self.line("")
        self.line(
            f"{' · '.join(counts)}   {run.requests} requests in {(run.finished - run.started).total_seconds():.1f} s"
        )
        self._severities(run)
        for note in run.notes:
            self._hanging("note", note, "yellow")
        colour = {"Passed": "green", "Failed": "red"}.get(run.decision.word, "yellow")
        self.line(f"{run.decision.word}: {run.decision.sentence}", colour, bold=True)
        for line in written:
            self.line(printable(line))

    def _failure(self, run: Run, result: Result) -> None:
        """One line for what is new or known and of one severity: the first is told, the others are named."""
        groups: dict[tuple[Severity, str], list[Finding]] = {}
        for finding in result.findings:
            groups.setdefault((finding.severity, run.standing(finding)), []).append(finding)
        for (severity, standing), findings in groups.items():
            self._hanging(
                f"{result.rule.code} {severity.value}" + (f" ({standing})" if standing != "new" else ""),
                f"{result.rule.title}: {findings[0].message}{_others(findings)}",
                "red" if standing == "new" else "bright_black",
            )

    def _undecided(self, run: Run) -> None:
        """What could not be decided: one reason once, however many checks it stopped."""
        undecided = [result for result in run.results if isinstance(result.verdict, Inconclusive)]
        self._grouped(undecided, "inconclusive", "yellow")

    def _untested(self, run: Run) -> None:
        skipped = [
            result
            for result in run.results
            if isinstance(result.verdict, Skipped) and result.verdict.applicable
        ]
        masked = [result for result in run.results if isinstance(result.verdict, Masked)]
        roots: dict[str, list[str]] = {}
        for result in masked:
            if isinstance(result.verdict, Masked):
                roots.setdefault(result.verdict.by, []).append(result.rule.code)
        for root, codes in roots.items():
            self._hanging(f"masked by {root}", ", ".join(codes), "bright_black")
        if self.quiet:
            return
        self._grouped(skipped, "not tested", "bright_black")

    def _grouped(self, results: list[Result], word: str, colour: str) -> None:
        for remedy, reasons in _by_remedy(results).items():
            for reason, codes in reasons.items():
                more = f" and {len(codes) - 1} more" if len(codes) > 1 else ""
                named = f" ({', '.join(codes)})" if more else ""
                self._hanging(f"{codes[0]}{more} {word}", reason.removeprefix("Not tested: ") + named, colour)
            self._remedy(remedy)

    def _severities(self, run: Run) -> None:
        found = {
            severity: sum(item.severity is severity for item in run.findings)
            for severity in reversed(Severity)
        }
        if any(found.values()):
            self.line(
                "Findings "
                + ", ".join(f"{count} {severity.value}" for severity, count in found.items() if count)
            )

    def _remedy(self, remedy: str) -> None:
        for line in remedy.splitlines():
            self.line(f"      {line}", "cyan")

    def _hanging(self, head: str, text: str, colour: str) -> None:
        body = textwrap.fill(
            printable(text),
            self.width,
            initial_indent=" " * (len(head) + 2),
            subsequent_indent="    ",
            break_long_words=False,
        )
        self.line(click.style(head, fg=colour, bold=True) + body[len(head) :])

    def line(self, text: str, colour: str | None = None, *, bold: bool = False) -> None:
        """One line on standard output."""
        click.echo(click.style(text, fg=colour, bold=bold) if colour else text, color=self.coloured)


def _by_remedy(results: Iterable[Result]) -> dict[str, dict[str, list[str]]]:
    """The codes of what was inconclusive or skipped, by remedy and then by reason: a line to add is told once."""
    remedies: dict[str, dict[str, list[str]]] = {}
    for result in results:
        if isinstance(result.verdict, (Inconclusive, Skipped)):
            reasons = remedies.setdefault(result.verdict.remedy, {})
            reasons.setdefault(result.verdict.reason, []).append(result.rule.code)
    return remedies


def _others(findings: list[Finding]) -> str:
    """How many findings stand behind the first, and at which other operations."""
    if len(findings) == 1:
        return ""
    places = {finding.operation for finding in findings[1:] if finding.operation} - {findings[0].operation}
    named = sorted(places)[:_NAMED]
    end = ", …" if len(places) > len(named) else "."
    count = len(findings) - 1
    words = f" {count} more finding{'s' if count > 1 else ''}"
    return f"{words}: {', '.join(named)}{end}" if named else f"{words}."


def printable(text: str) -> str:
    """`text` without what would move a terminal's cursor or colour."""
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in text)
