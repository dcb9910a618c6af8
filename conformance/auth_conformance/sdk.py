"""Everything that the author of a check imports, in one line."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from auth_conformance.credentials import Carrier, Credential, Jwt, Kind, SigningKey, attacker_keys, b64url
from auth_conformance.model import (
    Depth,
    Failed,
    Impact,
    Inconclusive,
    Masked,
    Need,
    Outcome,
    Passed,
    Role,
    Rule,
    Severity,
    Skipped,
    Verdict,
    Violation,
)
from auth_conformance.probe import Answer, Attempt, Missing, Probe, Unclear
from auth_conformance.references import API, ASVS, CVE, CWE, FETCH, NIST, RFC, WSTG, Reference
from auth_conformance.secret import Secret

__all__ = [
    "API",
    "ASVS",
    "CVE",
    "CWE",
    "FETCH",
    "NIST",
    "RFC",
    "WSTG",
    "Answer",
    "Attempt",
    "Carrier",
    "Check",
    "Credential",
    "Depth",
    "Failed",
    "Impact",
    "Inconclusive",
    "Jwt",
    "Kind",
    "Masked",
    "Missing",
    "Need",
    "Outcome",
    "Passed",
    "Probe",
    "Role",
    "Rule",
    "Secret",
    "Severity",
    "SigningKey",
    "Skipped",
    "Unclear",
    "Verdict",
    "Violation",
    "attacker_keys",
    "b64url",
    "check",
]

Procedure = Callable[[Probe], Awaitable[Verdict]]


@dataclass(frozen=True, slots=True)
class Check:
    """A rule and the procedure that decides it. `source` is the file that defines it."""

    rule: Rule
    procedure: Procedure
    source: str
    is_restated: bool = False

    def restated(self, severity: Severity | None) -> Check:
        """The check with another severity, which then holds for everything that it finds; None keeps it."""
        if severity is None:
            return self
        return replace(self, rule=replace(self.rule, severity=severity), is_restated=True)


def check(
    code: str,
    name: str,
    *,
    title: str,
    severity: Severity,
    level: int,
    budget: int,
    references: tuple[Reference, ...],
    needs: tuple[Need, ...] = (),
    depth: Depth = Depth.BLACK,
    impact: Impact = Impact.READS,
    exclusive: bool = False,
    masks: tuple[str, ...] = (),
) -> Callable[[Procedure], Check]:
    """Declare a check.

    The docstring of the decorated coroutine is the published page: its first line states the requirement
    and contains "must"; paragraphs that begin `Why:`, `How:` and `Fix:` follow. `budget` is in requests.
    Raises ValueError when one of them is missing.
    """

    def declare(procedure: Procedure) -> Check:
        requirement, parts = _page(inspect.getdoc(procedure) or "", code)
        rule = Rule(
            code=code,
            name=name,
            title=title,
            severity=severity,
            level=level,
            depth=depth,
            impact=impact,
            needs=needs,
            references=references,
            budget=budget,
            requirement=requirement,
            why=parts["Why"],
            how=parts["How"],
            fix=parts["Fix"],
            masks=masks,
            exclusive=exclusive or impact is Impact.DISRUPTS,
        )
        return Check(rule, procedure, inspect.getsourcefile(procedure) or "")

    return declare


def _page(text: str, code: str) -> tuple[str, dict[str, str]]:
    requirement, _, rest = text.partition("\n\n")
    found = re.split(r"^(Why|How|Fix):[ \n]", rest, flags=re.MULTILINE)
    texts = {found[index]: inspect.cleandoc(found[index + 1]) for index in range(1, len(found) - 1, 2)}
    # Behind its word a paragraph goes on in lower case; in a report it stands alone.
    parts = {word: text[:1].upper() + text[1:] for word, text in texts.items()}
    missing = {"Why", "How", "Fix"} - parts.keys()
    if missing or "must" not in requirement:
        raise ValueError(f"{code}: the docstring lacks {', '.join(sorted(missing)) or 'the word must'}")
    return " ".join(requirement.split()), parts
