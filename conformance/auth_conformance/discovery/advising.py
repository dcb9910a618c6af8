"""What `doctor` prints: a table of what is known, and what is missing with the lines that would supply it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from auth_conformance.discovery.gaps import ACCOUNTS, REMEDIES
from auth_conformance.model import Need
from auth_conformance.target import OF_ACCOUNTS
from auth_conformance.target.needs import MEANS

if TYPE_CHECKING:
    from auth_conformance.target import Target

_WIDEST = 76


def doctor(target: Target, needs: Mapping[Need, Sequence[str]]) -> str:
    """A table of what is known, and what is missing: the checks that need it, and the lines that supply it.

    `needs` gives the codes of the checks that depend on each need.
    """
    rows = [(fact.name, _cut(fact.value), fact.provenance.value, fact.because) for fact in target.facts]
    widths = [max([len(row[place]) for row in rows] + [5]) for place in range(3)]
    heads = ("fact", "value", "source")
    lines = ["  ".join(head.ljust(width) for head, width in zip(heads, widths, strict=True)).rstrip()]
    lines.append("  ".join("-" * width for width in widths))
    for row in rows:
        text = "  ".join(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)).rstrip()
        lines.append(text + (f"  ({row[3]})" if row[3] else ""))
    met = target.met_needs()
    # What a tester needs may still be somewhere: a document at a place of its own.
    gone = [
        (need, codes)
        for need, codes in needs.items()
        if need in target.absent and need not in MEANS and codes
    ]
    if gone:
        lines += ["", "Does not apply here:"]
        lines += [f"  {need.value}: {target.absent[need]} ({', '.join(codes)})" for need, codes in gone]
    # A check that cannot apply asks for nothing else.
    excused = {code for need, codes in gone if need not in met for code in codes}
    wanting = {need: [code for code in codes if code not in excused] for need, codes in needs.items()}
    missing = [
        (need, codes)
        for need, codes in wanting.items()
        if need not in met and (need in MEANS or need not in target.absent) and codes
    ]
    # Without a login hardly anything runs, and its lines bring much of the rest; so do those of a document.
    first = (Need.LOGIN, Need.OPENAPI)
    missing.sort(key=lambda item: first.index(item[0]) if item[0] in first else len(first))
    if missing:
        lines += ["", "Missing:"]
    nobody = [(need, codes) for need, codes in missing if target.nobody_known and need in OF_ACCOUNTS]
    if nobody:
        held = {code for _, several in nobody for code in several}
        lines.append(
            f"  an account that can log in (none is declared, none could be registered): {len(held)} checks "
            "cannot run without one. Add, and ask again:"
        )
        lines += [f"      {line}" for line in target.remedies.get(nobody[0][0], ACCOUNTS).splitlines()]
    for need, codes in [item for item in missing if item not in nobody]:
        why = f" {target.absent[need]}" if need in target.absent else ""
        lines.append(f"  {need.value}:{why} {', '.join(codes)} cannot run without it. Add:")
        lines += [f"      {line}" for line in target.remedies.get(need, REMEDIES[need]).splitlines()]
    if not missing:
        lines += ["", "Nothing is missing."]
    return "\n".join(lines) + "\n"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
