"""One pass over a source tree: our rules, and those of bandit's own that say something about authentication."""

from __future__ import annotations

import ast
import importlib.util
import logging
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auth_conformance.model import Severity
from auth_conformance.source.rules.guards import failing_open
from auth_conformance.source.rules.hashing import has_passwords, hashes_passwords, is_ranged, raw_storage
from auth_conformance.source.rules.literals import texts
from auth_conformance.source.rules.local import LOCAL
from auth_conformance.source.rules.sql import is_assembled
from auth_conformance.source.rules.standards import lengths, statuses, structure, unannotated
from auth_conformance.source.rules.tokens import only_peeks
from auth_conformance.source.tree import Module, Spot, Tree, read_tree
from auth_conformance.source.words import (
    is_constant,
    is_password,
    is_secret,
    listed,
    name_of,
    words,
)

# Bandit's own rules that say something about authentication, by our code (checklist SRC101 to SRC113).
# B105 to B107 are not among them: they take `token_url="/token"` for a password.
IMPORTED = {
    "B303": "SRC104", "B324": "SRC104",
    "B608": "SRC107",
    "B101": "SRC113", "B102": "SRC113", "B104": "SRC113", "B201": "SRC113", "B301": "SRC113", "B302": "SRC113",
    "B307": "SRC113", "B501": "SRC113", "B506": "SRC113", "B602": "SRC113", "B604": "SRC113", "B605": "SRC113",
}  # fmt: skip
# Said, and no failure: whether they matter is decided elsewhere.
NOTES = frozenset(("B104",))
# A weak digest fails where a secret goes through it: elsewhere it marks versions and files.
_DIGESTS = frozenset(("B303", "B324"))
_DONE_WITH_TOKENS = listed(
    "get read take find check validate decode parse load refresh revoke issue create make encode access reset csrf user"
)
_ALONE = threading.Lock()


class SourceError(Exception):
    """The source cannot be examined. `remedy` is what the user can do about it."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Scan:
    """What one pass found. `suppressed` counts findings that a `# nosec` took away."""

    tree: Tree
    spots: tuple[Spot, ...]
    suppressed: int
    hashes: bool
    passwords: bool

    def of(self, code: str) -> tuple[Spot, ...]:
        """The findings of one rule, in order of place."""
        return tuple(spot for spot in self.spots if spot.code == code)


def scan(root: Path, files: tuple[Path, ...] = ()) -> Scan:
    """Examine the source below `root`, or `files` only. Raises SourceError."""
    if importlib.util.find_spec("bandit") is None:
        raise SourceError("bandit is not installed.", "pip install 'fastapi-auth-conformance[static]'")
    try:
        tree = read_tree(root, files)
    except OSError as error:
        raise SourceError(f"The source {root} cannot be read: {error.strerror or error}.", REMEDY) from None
    if not tree.modules:
        said = f": {tree.problems[0]}" if tree.problems else ""
        raise SourceError(f"There is no Python file to examine in {root}{said}.", REMEDY)
    found, suppressed = _with_bandit(tree)
    by_path = {module.shown: module for module in tree.modules}
    for spot in _ours(tree, files):
        module = by_path.get(spot.path)
        if module is not None and only_peeks(tree, module, spot):
            continue
        if module is not None and module.suppressed(spot.line, spot.code):
            suppressed += 1
        else:
            found.append(spot)
    return Scan(tree, _ordered(found), suppressed, hashes_passwords(tree), has_passwords(tree))


REMEDY = 'source = "path/to/the/package"  # the folder with the code of the service'


def _ordered(spots: list[Spot]) -> tuple[Spot, ...]:
    unique = {(spot.code, spot.path, spot.line, spot.message): spot for spot in spots}.values()
    # Where both see a place, ours says more.
    ours = {place for spot in unique if "(bandit B" not in spot.message for place in _places(spot)}
    kept = [spot for spot in unique if "(bandit B" not in spot.message or not ours & set(_places(spot))]
    return tuple(sorted(kept, key=lambda spot: (spot.code, spot.path, spot.line)))


def _places(spot: Spot) -> list[tuple[str, str, int | str]]:
    at = [(spot.code, spot.path, spot.line)]
    return [*at, (spot.code, spot.path, spot.function)] if spot.function and spot.code == "SRC107" else [*at]


def _ours(tree: Tree, files: tuple[Path, ...]) -> Iterator[Spot]:
    for module in tree.modules:
        for local in (*LOCAL, statuses, unannotated):
            yield from local(module)
    for whole in (raw_storage, failing_open, lengths, structure):
        yield from whole(tree)
    if not files:
        yield from texts(tree.root)


def _with_bandit(tree: Tree) -> tuple[list[Spot], int]:
    """Run those of bandit's own rules that matter here; the findings, and how many a `# nosec` took away."""
    config, manager = _bandit()
    logger = logging.getLogger("bandit")
    with _ALONE:
        level = logger.level
        logger.setLevel(logging.CRITICAL + 1)
        try:
            runner = manager.BanditManager(
                config.BanditConfig(), "file", profile={"include": [*IMPORTED], "exclude": []}
            )
            runner.files_list = [str(module.path) for module in tree.modules]
            runner.run_tests()
        finally:
            logger.setLevel(level)
    by_path = {str(module.path): module for module in tree.modules}
    found = [spot for issue in runner.results if (spot := _imported(issue, by_path[str(issue.fname)]))]
    totals = runner.metrics.data.get("_totals", {})
    return found, int(totals.get("nosec", 0)) + int(totals.get("skipped_tests", 0))


def _bandit() -> tuple[Any, Any]:
    """Bandit's modules. What importing it does to the process (a warning, how warnings look) is undone.

    Its loader of extensions says of every report format whose package is not installed that this is an error.
    """
    shown = warnings.formatwarning
    logger = logging.getLogger("stevedore")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from bandit.core import config, manager  # type: ignore[import-untyped] # an extra without types
    finally:
        logger.setLevel(level)
        warnings.formatwarning = shown
    return config, manager


def _imported(issue: Any, module: Module) -> Spot | None:
    function = _function_at(module, issue.lineno)
    if issue.test_id == "B101" and (not _is_about_access(function) or _is_for_types(module, issue.lineno)):
        return None
    if issue.test_id == "B608" and not is_assembled(module, issue.lineno):
        return None
    if issue.test_id in _DIGESTS and any(
        node.lineno == issue.lineno and is_ranged(module, node) for node, _ in module.calls
    ):
        return None
    named = str(issue.severity).lower()
    severity = Severity(named) if named in {"low", "medium", "high"} else None
    message = f"{issue.text.splitlines()[0].rstrip('.')} (bandit {issue.test_id})."
    note = issue.test_id in NOTES or (
        issue.test_id in _DIGESTS and not _is_about_secrets(module, issue.lineno, function)
    )
    return Spot(IMPORTED[issue.test_id], module.shown, issue.lineno, message, severity, function, note)


def _function_at(module: Module, line: int) -> str:
    around = [node for node in module.functions if node.lineno <= line <= (node.end_lineno or node.lineno)]
    return max(around, key=lambda node: node.lineno).name if around else ""


def _is_for_types(module: Module, line: int) -> bool:
    """Whether an assertion there only tells a type, or that the framework was set up: nobody is let in by it."""
    found = [node for node in module.nodes if isinstance(node, ast.Assert) and node.lineno == line]
    return bool(found) and all(
        _tells_type(node.test) or _is_of_nobody(node.test) or _used_later(module, node) for node in found
    )


def _is_of_nobody(test: ast.expr) -> bool:
    """Whether it only tells that something is there which is no caller and no credential: an address, a region."""
    if not isinstance(test, ast.Compare) or not _is_some(test) or not (found := words(name_of(test.left))):
        return False
    return found[-1] not in _CALLERS and not is_secret(name_of(test.left))


_CALLERS = listed(
    "user account principal identity claims payload session caller owner member admin client auth"
)


def _used_later(module: Module, node: ast.Assert) -> bool:
    """Whether a member of what has to be there is used afterwards: without the assertion None breaks there."""
    test = node.test.left if isinstance(node.test, ast.Compare) and _is_some(node.test) else node.test
    function = module.function_of(node)
    if function is None or not isinstance(test, (ast.Name, ast.Attribute)):
        return False
    wanted = ast.unparse(test)
    return any(
        isinstance(part, ast.Attribute) and part.lineno > node.lineno and ast.unparse(part.value) == wanted
        for part in ast.walk(function)
    )


def _is_some(test: ast.Compare) -> bool:
    return isinstance(test.ops[0], ast.IsNot) and is_constant(test.comparators[0], None)


def _tells_type(test: ast.expr) -> bool:
    match test:
        case ast.BoolOp(values=values):
            parts = [part for part in values if not _is_none(part)]
            return bool(parts) and all(_tells_type(part) for part in parts)
        case ast.Call(func=func):
            return name_of(func) in {"isinstance", "issubclass", "callable", "hasattr"}
        case ast.Compare(left=ast.Constant(), ops=[ast.In()], comparators=[holder]):
            return name_of(holder) in {"scope", "state", "environ", "extensions"}
        case _:
            return False


def _is_none(test: ast.expr) -> bool:
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.ops[0], ast.Is)
        and is_constant(test.comparators[0], None)
    )


def _is_about_secrets(module: Module, line: int, function: str) -> bool:
    return is_secret(function) or any(
        is_secret(name_of(node)) or is_password(name_of(node))
        for node in module.nodes
        if getattr(node, "lineno", 0) == line
    )


def _is_about_access(function: str) -> bool:
    # The tokens of a model of language are streamed, added and counted.
    found = set(words(function))
    token = "token" in found and bool(_DONE_WITH_TOKENS & found)
    return token or any(
        word in function.lower()
        for word in ("auth", "verify", "permission", "current_user", "login", "require")
    )
