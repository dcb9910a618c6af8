"""Which broken rules one line of the source answers for: a shared dependency breaks several at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auth_conformance.model import Rule, Run, SourceLine


# Weak cryptography and failing open are whole classes: a weak hash is not behind a token's algorithm.
_BROAD = frozenset({"CWE-327", "CWE-636"})


@dataclass(frozen=True, slots=True)
class Cause:
    """The codes that one line answers for, in the order of the findings; a code alone may have no line."""

    codes: tuple[str, ...]
    source: SourceLine | None = None


def causes(run: Run) -> tuple[Cause, ...]:
    """Each code with findings once: together where all findings of each code stand at one and the same line."""
    lines: dict[str, set[SourceLine | None]] = {}
    for finding in run.findings:
        lines.setdefault(finding.code, set()).add(finding.source)
    together: dict[SourceLine | str, list[str]] = {}
    for code, found in lines.items():
        only = next(iter(found)) if len(found) == 1 else None
        together.setdefault(only or code, []).append(code)
    return tuple(
        Cause(tuple(codes), None if isinstance(place, str) else place) for place, codes in together.items()
    )


def in_source(rule: Rule, run: Run) -> tuple[str, ...]:
    """Codes of the source's failed checks that name the same weakness (CWE): likely the line behind `rule`."""
    wanted = _weaknesses(rule)
    if rule.family == "SRC":
        return ()
    return tuple(
        result.rule.code
        for result in run.results
        if result.findings and result.rule.family == "SRC" and wanted & _weaknesses(result.rule)
    )


def _weaknesses(rule: Rule) -> set[str]:
    return {item.label for item in rule.references if item.kind == "CWE"} - _BROAD
