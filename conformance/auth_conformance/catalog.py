"""Finds the checks by walking `checks/`: no registry, no list to keep."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable, Mapping, Sequence

from auth_conformance import checks
from auth_conformance.model import Severity
from auth_conformance.sdk import Check

# Without these nothing else means anything: they run first (checklist §1.8).
ROOTS = ("MIX101", "TOK101", "TOK102", "SES101", "KEY101")
# These disturb everybody else, even among the disruptive ones: they run last.
LAST = ("CRD112", "CRD113", "CRD114", "WEB112")


class DuplicateCodeError(Exception):
    """Two files claim one code."""


class UnknownCodeError(ValueError):
    """A selection names a code or family that the catalogue does not have."""


def load() -> dict[str, Check]:
    """All checks by code, in order of code. Raises DuplicateCodeError, naming both files."""
    found: dict[str, Check] = {}
    for module_info in pkgutil.walk_packages(checks.__path__, f"{checks.__name__}."):
        module = importlib.import_module(module_info.name)
        for value in vars(module).values():
            if not isinstance(value, Check) or value.source != module.__file__:
                continue
            code = value.rule.code
            if code in found:
                raise DuplicateCodeError(f"{code} is claimed by {found[code].source} and by {value.source}")
            found[code] = value
    return dict(sorted(found.items()))


def select(
    catalogue: dict[str, Check],
    *,
    level: int = 3,
    only: Sequence[str] = (),
    ignore: Sequence[str] = (),
    restate: Mapping[str, Severity] | None = None,
) -> list[Check]:
    """The checks of up to `level` whose code or family is in `only` (all, if empty) and not in `ignore`.

    `restate` gives some codes another severity, which then holds for all that the check finds. Raises
    UnknownCodeError for a code or family that does not exist.
    """
    restated = {code.upper(): severity for code, severity in (restate or {}).items()}
    for code in restated.keys() - catalogue.keys():
        raise UnknownCodeError(f"There is no check {code} whose severity could be restated.")
    known = {*catalogue, *(check.rule.family for check in catalogue.values())}
    for name in (*only, *ignore):
        if name.upper() not in known:
            near = sorted(code for code in known if code.startswith(name.upper()[:3]))
            hint = f" There are {', '.join(near)}." if near else " auth-conformance list shows them all."
            raise UnknownCodeError(f"There is no check or family {name}.{hint}")
    wanted = {name.upper() for name in only}
    unwanted = {name.upper() for name in ignore}
    chosen = [
        check
        for check in catalogue.values()
        if check.rule.level <= level
        and (not wanted or wanted & {check.rule.code, check.rule.family})
        and not unwanted & {check.rule.code, check.rule.family}
    ]
    return [check.restated(restated.get(check.rule.code)) for check in chosen]


def masked_by(root: Check, catalogue: Iterable[Check]) -> set[str]:
    """The codes that `root` masks. A mask is a code, a range such as `TOK110-TOK127`, or `@need`."""
    codes: set[str] = set()
    for mask in root.rule.masks:
        for check in catalogue:
            code = check.rule.code
            low, dash, high = mask.partition("-")
            if mask.startswith("@"):
                hit = mask[1:] in {need.value for need in check.rule.needs}
            elif dash and re.fullmatch(r"[A-Z]{3}\d{3}", low):
                hit = low <= code <= high
            else:
                hit = code == mask
            if hit and code != root.rule.code:
                codes.add(code)
    return codes
