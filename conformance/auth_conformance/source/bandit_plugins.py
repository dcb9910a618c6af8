"""The rules for one file as plugins of bandit: `bandit -r src` finds what the suite finds there.

Bandit is the only one who imports this module. Ids are our codes, so `-t SRC103` and `# nosec SRC103` work.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import bandit  # type: ignore[import-untyped] # an extra without types
from bandit.core import test_properties  # type: ignore[import-untyped]

from auth_conformance.model import Severity
from auth_conformance.source.rules.local import LOCAL
from auth_conformance.source.rules.tokens import is_peek, only_peeks
from auth_conformance.source.tree import Module, Spot, Tree, import_name, read_tree

# As words: bandit loads this module while it is itself half loaded.
_RANKS = {
    Severity.CRITICAL: "HIGH",
    Severity.HIGH: "HIGH",
    Severity.MEDIUM: "MEDIUM",
    Severity.LOW: "LOW",
    Severity.INFO: "LOW",
}
_WEAKNESSES = {
    "SRC101": 798,
    "SRC103": 347,
    "SRC104": 916,
    "SRC105": 208,
    "SRC106": 338,
    "SRC107": 89,
    "SRC113": 489,
}
# Nodes that findings of these rules stand at.
_NODES = ("Assign", "AnnAssign", "Call", "Compare", "Dict", "keyword", "Return", "JoinedStr", "BinOp")


@lru_cache(maxsize=8)
def spots_in(path: str) -> tuple[Spot, ...]:
    """What the rules find in one file: bandit asks node by node, file after file."""
    try:
        module = _module(Path(path))
    except OSError:
        module = None
    if module is None:
        return ()
    return tuple(
        spot
        for rule in LOCAL
        for spot in rule(module)
        if not spot.note
        and spot.path == module.shown
        and not (is_peek(spot) and only_peeks(module.whole, module, spot))
    )


def _module(path: Path) -> Module | None:
    """A file beside the others of its package; alone where those are not read, as tests are not."""
    found = next((item for item in _around(path).modules if item.path.resolve() == path.resolve()), None)
    return found or next(iter(read_tree(path).modules), None)


def _around(path: Path) -> Tree:
    """The package that a file belongs to, or the files beside it: bandit shows one file at a time."""
    name, folder = import_name(path)
    package = folder / name.partition(".")[0]
    return _read(package) if package.is_dir() else _read(folder, tuple(sorted(folder.glob("*.py"))))


@lru_cache(maxsize=2)
def _read(root: Path, files: tuple[Path, ...] = ()) -> Tree:
    return read_tree(root, files)


def _plugin(code: str) -> Callable[[Any], Any]:
    def look(context: Any) -> Any:
        node = context.node
        place = (type(node).__name__, getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
        for spot in spots_in(str(context.filename)):
            if spot.code == code and (spot.kind, spot.line, spot.column) == place:
                return bandit.Issue(
                    severity=_RANKS[spot.severity or Severity.MEDIUM],
                    confidence="MEDIUM",
                    cwe=_WEAKNESSES[code],
                    text=spot.message,
                    lineno=spot.line,
                    test_id=code,
                )
        return None

    look.__name__ = f"auth_conformance_{code.lower()}"
    look.__doc__ = f"Rule {code} of fastapi-auth-conformance: `auth-conformance explain {code}`."
    plugin: Callable[[Any], Any] = test_properties.test_id(code)(test_properties.checks(*_NODES)(look))
    return plugin


src101 = _plugin("SRC101")
src103 = _plugin("SRC103")
src104 = _plugin("SRC104")
src105 = _plugin("SRC105")
src106 = _plugin("SRC106")
src107 = _plugin("SRC107")
src113 = _plugin("SRC113")
