"""Which ways in open the witness, and why others do not: what a service lacks is skipped, what broke is not decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from auth_conformance.model import Inconclusive, Passed, Verdict
from auth_conformance.probe.answers import Missing, Shut, Unclear

if TYPE_CHECKING:
    from auth_conformance.probe.core import Core


@dataclass(slots=True)
class Ways:
    """The ways in of one check that could not be used; `broken` are those that are known and gave no clear answer."""

    probe: Core
    broken: list[Unclear] = field(default_factory=list)

    def closed(self, where: str, reason: Missing | Unclear) -> None:
        """Note why a way in is not used. A key may open other doors, and an account may have none: nothing broke."""
        self.probe.notes.append(f"{where}: {reason}")
        if isinstance(reason, Unclear) and not isinstance(reason, Shut):
            self.broken.append(Unclear(f"{where}: {reason}", reason.remedy))

    def too_few(self, of_whom: str = "") -> Missing | Unclear:
        """What to raise where fewer than two are left: a skip rests on what the service has (checklist §1.4)."""
        if self.broken:
            return self.broken[0]
        return Missing(f"Not tested: fewer than two kinds of live credentials{of_whom} are known.")

    def settled(self, verdict: Verdict) -> Verdict:
        """The verdict, where no way in is missing from it that broke: nothing was seen of that one."""
        if not self.broken or not isinstance(verdict, Passed):
            return verdict
        first = self.broken[0]
        return Inconclusive(str(first), first.remedy, verdict.evidence, verdict.notes)
