"""What the source of the service says: one pass over it, shared by all checks that read it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from auth_conformance.model import (
    Failed,
    Inconclusive,
    Need,
    Passed,
    Severity,
    SourceLine,
    Verdict,
    Violation,
)
from auth_conformance.probe.core import Core, Missing, Unclear
from auth_conformance.source.scan import Scan, SourceError, scan

if TYPE_CHECKING:
    from auth_conformance.source.tree import Spot
    from auth_conformance.target import Source

# More findings of one rule than this help nobody: the rest is counted.
MOST = 100


class Sources(Core):
    """The service's code keeps the rule."""

    async def scanned(self) -> Scan:
        """The pass over the source. Raises Missing where there is none to read, Unclear where none can be read."""
        source = self.source

        async def once() -> Scan:
            return await asyncio.to_thread(scan, Path(source.root), tuple(map(Path, source.files)))

        try:
            return await self.scene.once("source", once)
        except SourceError as error:
            if error.remedy.startswith("pip"):
                raise Missing(f"Not tested: {error}", error.remedy) from None
            raise Unclear(f"Not tested: {error}", error.remedy) from None

    @property
    def source(self) -> Source:
        """Where the code is. Raises Missing."""
        if self.target.source is None:
            raise Missing("Not tested: the source of the service is not known.", self._remedy(Need.SOURCE))
        return self.target.source

    async def must_hold_in_source(
        self,
        clean: str,
        *,
        graver: Callable[[Spot], Severity | None] = lambda _: None,
        counted: Callable[[Spot], bool] = lambda spot: not spot.note,
    ) -> Verdict:
        """No line of the source breaks the rule. `clean` says what a pass means.

        `graver` restates the severity of a finding, `counted` says whether it fails or is only told.
        """
        found = await self.scanned()
        spots = found.of(self.rule.code)
        broken = [spot for spot in spots if counted(spot)]
        notes = self._source_notes(found, [spot for spot in spots if not counted(spot)])
        if broken:
            violations = [self.violation_at(spot, graver(spot)) for spot in broken[:MOST]]
            if len(broken) > MOST:
                notes = (f"{len(broken) - MOST} more places like these are not listed.", *notes)
            return Failed(tuple(violations), notes=notes)
        if found.tree.problems:
            return Inconclusive(
                f"No line breaks the rule, but {len(found.tree.problems)} of the files could not be read: "
                f"{found.tree.problems[0]}.",
                notes=notes,
            )
        return Passed(f"{clean} ({len(found.tree.modules)} files).", notes=notes)

    async def must_keep_standard(self, clean: str) -> Verdict:
        """As `must_hold_in_source`, for the standards that a team may switch off. Raises Missing when it did."""
        if not self.target.policy.four_file:
            raise Missing(
                "Not applicable: the four-file standards are switched off (four_file = false).",
                applicable=False,
            )
        return await self.must_hold_in_source(clean)

    def violation_at(self, spot: Spot, severity: Severity | None = None) -> Violation:
        """The violation at a place in the source, with the operation that is handled there."""
        operation = next(
            (
                item.name
                for item in self.target.operations
                if item.source is not None
                and item.source.path == spot.path
                and spot.function
                and item.source.function.rpartition(".")[2] == spot.function
            ),
            None,
        )
        line = SourceLine(spot.path, spot.line, spot.function)
        return Violation(operation, spot.message, severity or spot.severity, source=line)

    @staticmethod
    def _source_notes(found: Scan, notes: list[Spot]) -> tuple[str, ...]:
        told = [f"{spot.path}:{spot.line}: {spot.message}" for spot in notes[:20]]
        if found.suppressed:
            told.append(f"{found.suppressed} findings are suppressed by `# nosec`.")
        told += [f"Not read: {problem}." for problem in found.tree.problems[:10]]
        return tuple(told)
