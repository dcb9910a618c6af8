"""Python files as syntax trees with their imports resolved. Hostile input: what cannot be read is named."""

from __future__ import annotations

import ast
import os
import re
import tokenize
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from auth_conformance.model import Severity
from auth_conformance.secret import Secret
from auth_conformance.source.words import listed, name_of

# Larger files are generated, and more files are no service.
LARGEST = 2_000_000
MOST = 5_000
# Not the service itself (checklist SRC, common rules).
SKIPPED = listed(
    "tests test testing migrations alembic versions node_modules site-packages dist-packages build dist venv env "
    "__pycache__ docs documentation examples samples fixtures benchmarks"
)
_TEST_FILE = re.compile(r"(test_.*|.*_test|tests|testing|conftest|migrations)\.py")
# Copies of packages that are tested in place of the originals, and how they are shown.
_COPIES: dict[Path, str] = {}
_NOSEC = re.compile(r"#\s*nosec:?\s*(?P<codes>[^#]*)")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Loop = ast.For | ast.AsyncFor | ast.While


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in the source that breaks a rule. A `note` is said and does not fail.

    `literal` is the secret that stands there, for comparing, never for showing.
    """

    code: str
    path: str
    line: int
    message: str
    severity: Severity | None = None
    function: str = ""
    note: bool = False
    kind: str = ""
    column: int = 0
    literal: Secret | None = None


def _plainly(node: ast.AST) -> None:
    """Write `query: str = f"…"` inside functions as an assignment: a type there changes nothing of what is given."""
    # What stands at the top, or in a class, may be a setting, whose type is looked at.
    if isinstance(node, (ast.ClassDef, ast.Module)):
        return
    for part in ("body", "orelse", "finalbody"):
        block = getattr(node, part, None)
        if isinstance(block, list):
            setattr(node, part, [_without_type(item) for item in block])


def _without_type(node: ast.stmt) -> ast.stmt:
    if not isinstance(node, ast.AnnAssign) or node.value is None:
        return node
    return ast.copy_location(_Typed([node.target], node.value), node)


class _Typed(ast.Assign):
    """An assignment that was written with a type."""


# `ast.unparse` and visitors go by the name of the class.
_Typed.__name__ = "Assign"


def _unfold(tree: ast.Module) -> None:
    given: dict[str, list[ast.expr]] = {}
    calls: list[ast.Call] = []
    for node in ast.walk(tree):
        _plainly(node)
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            given.setdefault(node.targets[0].id, []).append(node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            given.setdefault(node.target.id, []).append(node.value)
        elif isinstance(node, ast.Call) and any(item.arg is None for item in node.keywords):
            calls.append(node)
    for call in calls:
        written: list[ast.keyword] = []
        for item in call.keywords:
            values = (
                given.get(item.value.id, []) if item.arg is None and isinstance(item.value, ast.Name) else []
            )
            inner = (
                _as_keywords(item.value if isinstance(item.value, ast.Dict) else values[0])
                if (item.arg is None and (len(values) == 1 or isinstance(item.value, ast.Dict)))
                else None
            )
            written += [item] if inner is None else inner
        call.keywords = written


def _as_keywords(node: ast.expr) -> list[ast.keyword] | None:
    """A dictionary that stands there as keyword arguments; None where a part of it does not."""
    pairs: list[tuple[str | None, ast.expr]]
    if isinstance(node, ast.Dict) and all(
        key is None or (isinstance(key, ast.Constant) and isinstance(key.value, str)) for key in node.keys
    ):
        # What is unpacked inside stays so: `{"verify": False, **options}`.
        pairs = [
            (str(key.value) if isinstance(key, ast.Constant) else None, value)
            for key, value in zip(node.keys, node.values, strict=True)
        ]
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "dict"
        and not node.args
        and all(item.arg for item in node.keywords)
    ):
        pairs = [(item.arg, item.value) for item in node.keywords]
    else:
        return None
    copies = [(name, _copied(value)) for name, value in pairs]
    return [ast.copy_location(ast.keyword(arg=name, value=value), value) for name, value in copies]


def _copied(node: Any) -> Any:
    """A copy of a part of a tree, of nothing but its fields.

    Bandit hangs each node's parent on it, and `ast` shares the objects that stand for loading and storing between
    all trees: whoever followed them would copy the tree that bandit saw last.
    """
    if isinstance(node, list):
        return [_copied(item) for item in node]
    if not isinstance(node, ast.AST) or isinstance(node, ast.expr_context):
        return node
    made = type(node)(**{name: _copied(getattr(node, name)) for name in node._fields if hasattr(node, name)})
    return ast.copy_location(made, node)


@dataclass
class Module:
    """One parsed file. `name` is dotted, relative to the root's parent; `shown` is the path for reports."""

    path: Path
    shown: str
    name: str
    text: str
    tree: ast.Module

    def __post_init__(self) -> None:
        """Write `**options` out where the options stand in the file: then every rule sees them."""
        _unfold(self.tree)

    @cached_property
    def whole(self) -> Tree:
        """The tree that the file was read with; of a file that was read alone, the file."""
        return Tree(self.path, (self,))

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node, parents before children."""
        return list(ast.walk(self.tree))

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The parent of every node but the module."""
        return {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    @cached_property
    def imports(self) -> dict[str, str]:
        """What each imported name stands for, such as `jwt_decode` for `jwt.decode`."""
        found: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.partition(".")[0]
                    found[alias.asname or first] = alias.name if alias.asname else first
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{base}.{alias.name}".lstrip(".")
        return found

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name.split(".")
        if self.path.name != "__init__.py":
            package = package[:-1]
        kept = package[: len(package) - node.level + 1]
        return ".".join([*kept, *filter(None, [node.module])])

    @cached_property
    def functions(self) -> list[Function]:
        """Every function and method, nested ones too."""
        return [node for node in self.nodes if isinstance(node, Function)]

    @cached_property
    def calls(self) -> list[tuple[ast.Call, str]]:
        """Every call with the dotted name that it calls, imports resolved; "" where there is none."""
        return [(node, self.dotted(node.func)) for node in self.nodes if isinstance(node, ast.Call)]

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        """What is assigned to each name at the top of the module."""
        found: dict[str, ast.expr] = {}
        for node in self.tree.body:
            if isinstance(node, ast.Assign):
                found.update(
                    {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
                )
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                found[node.target.id] = node.value
        return found

    @cached_property
    def members(self) -> dict[str, ast.expr]:
        """What is assigned to each name in the body of a class, such as the members of settings."""
        found: dict[str, ast.expr] = {}
        for owner in self.nodes:
            if not isinstance(owner, ast.ClassDef):
                continue
            for node in owner.body:
                if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                    found.setdefault(node.target.id, node.value)
                elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    found.setdefault(node.targets[0].id, node.value)
        return found

    @cached_property
    def nosec(self) -> dict[int, frozenset[str]]:
        """The codes that `# nosec` names on each line; an empty set stands for all."""
        found: dict[int, frozenset[str]] = {}
        if "nosec" not in self.text:
            return found
        for token in tokenize.tokenize(BytesIO(self.text.encode()).readline):
            match = _NOSEC.search(token.string) if token.type == tokenize.COMMENT else None
            if match is not None:
                listed = match["codes"].partition(":")[0]
                found[token.start[0]] = frozenset(re.findall(r"[A-Z]+\d+", listed.upper()))
        return found

    def dotted(self, node: ast.AST | None) -> str:
        """The dotted name that an expression stands for, such as `jwt.decode`; "" for anything else."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Call) and parts:
            inner = self.dotted(node.func)
            return ".".join([f"{inner}()", *reversed(parts)]) if inner else ""
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.imports.get(node.id, node.id), *reversed(parts)])

    def given(self, name: str, around: ast.AST) -> list[ast.expr]:
        """What the function around a node gives a name, in order; what the file does, where none is around."""
        scope = self.function_of(around) or self.tree
        if scope not in self._given:
            found: dict[str, list[ast.expr]] = {}
            for part in ast.walk(scope):
                if isinstance(part, ast.Assign):
                    for target in part.targets:
                        found.setdefault(name_of(target), []).append(part.value)
                elif isinstance(part, ast.NamedExpr):
                    found.setdefault(part.target.id, []).append(part.value)
            for values in found.values():
                values.sort(key=lambda value: (value.lineno, value.col_offset))
            self._given[scope] = found
        return self._given[scope].get(name, []) if name else []

    @cached_property
    def _given(self) -> dict[ast.AST, dict[str, list[ast.expr]]]:
        return {}

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around a node, innermost first."""
        while (found := self.parents.get(node)) is not None:
            yield found
            node = found

    def function_of(self, node: ast.AST) -> Function | None:
        """The innermost function around a node; the node itself when it is one."""
        if isinstance(node, Function):
            return node
        return next((outer for outer in self.above(node) if isinstance(outer, Function)), None)

    def suppressed(self, line: int, code: str) -> bool:
        """Whether a `# nosec` comment on that line covers the code."""
        codes = self.nosec.get(line)
        return codes is not None and (not codes or code in codes)

    def spot(
        self,
        code: str,
        node: ast.AST,
        message: str,
        severity: Severity | None = None,
        *,
        note: bool = False,
        literal: str | None = None,
    ) -> Spot:
        """A finding at a node."""
        function = self.function_of(node)
        return Spot(
            code,
            self.shown,
            getattr(node, "lineno", 1),
            message,
            severity,
            function.name if function is not None else "",
            note,
            "AnnAssign" if isinstance(node, _Typed) else type(node).__name__,
            getattr(node, "col_offset", 0),
            Secret(literal) if literal else None,
        )


@dataclass
class Tree:
    """A service's source. `problems` name what could not be read."""

    root: Path
    modules: tuple[Module, ...]
    problems: tuple[str, ...] = ()
    # What rules have worked out about functions, for the rest of the pass.
    memo: dict[tuple[str, ast.AST], Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Let each file know the others."""
        for module in self.modules:
            module.whole = self

    @cached_property
    def by_name(self) -> dict[str, Module]:
        """The modules by dotted name; packages by the name of the package, and `src.shop` by `shop` too."""
        return _with_endings({module.name: module for module in self.modules})

    @cached_property
    def defined(self) -> dict[str, tuple[Module, ast.AST]]:
        """Functions and classes at the top of modules, by dotted name."""
        found: dict[str, tuple[Module, ast.AST]] = {}
        for name, module in self.by_name.items():
            for node in module.tree.body:
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                    found[f"{name}.{node.name}"] = (module, node)
        return found

    def find(self, module: Module, name: str) -> tuple[Module, ast.AST] | None:
        """Where a dotted name that `module` uses is defined in this tree; re-exports are followed."""
        for _ in range(5):
            found = self.defined.get(name) or self.defined.get(f"{module.name}.{name}")
            if found is not None:
                return found
            base, _, last = name.rpartition(".")
            holder = self.by_name.get(base)
            if holder is None or last not in holder.imports:
                return None
            module, name = holder, holder.imports[last]
        return None

    def constant(self, module: Module, node: ast.expr) -> tuple[Module, ast.expr] | None:
        """What a name of the top of some module was given."""
        if isinstance(node, ast.Name) and node.id in module.constants:
            return module, module.constants[node.id]
        name = module.dotted(node)
        for _ in range(4):
            base, _, last = name.rpartition(".")
            holder = self.by_name.get(base)
            if holder is None:
                return None
            if last in holder.constants:
                return holder, holder.constants[last]
            name = holder.imports.get(last, "")
        return None

    @cached_property
    def settings(self) -> dict[str, list[tuple[Module, ast.expr]]]:
        """What classes of settings give their members, by the name of the member."""
        found: dict[str, list[tuple[Module, ast.expr]]] = {}
        for module in self.modules:
            for owner in module.nodes:
                if not isinstance(owner, ast.ClassDef) or not owner.name.endswith(("Settings", "Config")):
                    continue
                for node in owner.body:
                    target: ast.expr | None = node.target if isinstance(node, ast.AnnAssign) else None
                    if isinstance(node, ast.Assign) and len(node.targets) == 1:
                        target = node.targets[0]
                    if isinstance(target, ast.Name) and (value := getattr(node, "value", None)) is not None:
                        found.setdefault(target.id, []).append((module, value))
        return found

    @cached_property
    def members_read(self) -> frozenset[str]:
        """The names of all members that are looked at somewhere, those by their text included (`getattr`)."""
        found: set[str] = set()
        for module in self.modules:
            for node in module.nodes:
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    found.add(node.attr)
                elif isinstance(node, ast.Call) and name_of(node.func) in {"getattr", "hasattr"}:
                    found |= {str(item.value) for item in node.args[1:2] if isinstance(item, ast.Constant)}
        return frozenset(found)

    @cached_property
    def keyed(self) -> frozenset[str]:
        """The names that stand as keys of mappings: what they hold names a member."""
        found: set[str] = set()
        for module in self.modules:
            for node in module.nodes:
                match node:
                    case ast.Dict(keys=keys):
                        found |= {name_of(key) for key in keys if isinstance(key, (ast.Name, ast.Attribute))}
                    case ast.Subscript(slice=ast.Name() | ast.Attribute() as key):
                        found.add(name_of(key))
                    case ast.Call(
                        func=ast.Attribute(attr="get" | "pop" | "setdefault"),
                        args=[(ast.Name() | ast.Attribute()) as key, *_],
                    ):
                        found.add(name_of(key))
        return frozenset(found)

    @cached_property
    def calls_by_name(self) -> dict[str, list[tuple[Module, ast.Call, str]]]:
        """Every call by the last part of the name that it calls, imports resolved."""
        found: dict[str, list[tuple[Module, ast.Call, str]]] = {}
        for module in self.modules:
            for call, name in module.calls:
                found.setdefault(name.rpartition(".")[2], []).append((module, call, name))
        return found

    def imported(self) -> frozenset[str]:
        """The top-level names of everything that the modules import."""
        return frozenset(
            name.partition(".")[0] for module in self.modules for name in module.imports.values() if name
        )


def _with_endings(modules: dict[str, Module]) -> dict[str, Module]:
    found = dict(modules)
    for name, module in modules.items():
        rest = name.partition(".")[2]
        while rest:
            found.setdefault(rest, module)
            rest = rest.partition(".")[2]
    return found


def read_tree(root: Path, files: tuple[Path, ...] = ()) -> Tree:
    """Parse the Python files below `root`, or `files` only. Raises OSError when there is nothing to read."""
    if not root.exists():
        raise FileNotFoundError(f"there is no {root}")
    problems: list[str] = []
    chosen = list(files) or list(_python_files(root, problems))
    base = root.parent if root.is_file() else root
    modules = [module for path in chosen[:MOST] if (module := _read(path, base, problems)) is not None]
    if len(chosen) > MOST:
        problems.append(f"{len(chosen) - MOST} of {len(chosen)} files were not read: more than {MOST}")
    return Tree(root, tuple(modules), tuple(problems))


def _python_files(root: Path, problems: list[str]) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    for folder, below, files in os.walk(
        root, onerror=lambda error: problems.append(f"{error.filename} cannot be read")
    ):
        here = Path(folder)
        below[:] = sorted(
            name
            for name in below
            if name not in SKIPPED and not name.startswith(".") and not (here / name / "pyvenv.cfg").exists()
        )
        yield from (
            here / name for name in sorted(files) if name.endswith(".py") and not _TEST_FILE.fullmatch(name)
        )


def _read(path: Path, base: Path, problems: list[str]) -> Module | None:
    shown = relative(path)
    try:
        if path.stat().st_size > LARGEST:
            problems.append(f"{shown} was not read: larger than {LARGEST // 1_000_000} MB")
            return None
        raw = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(BytesIO(raw).readline)
        text = raw.decode(encoding).replace("\r\n", "\n")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, str(path))
    except SyntaxError as error:
        problems.append(f"{shown}:{error.lineno or 1} is not Python of this version: {error.msg}")
    except OSError as error:
        problems.append(f"{shown} cannot be read: {error.strerror}")
    except (ValueError, RecursionError, MemoryError) as error:
        problems.append(f"{shown} cannot be parsed: {type(error).__name__}")
    else:
        return Module(path, shown, _dotted_name(path, base), text, tree)
    return None


def import_name(path: Path) -> tuple[str, Path]:
    """The name under which a file is imported, and the folder that has to be on the path for that."""
    parts, folder = [path.stem], path.resolve().parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts), folder


def _dotted_name(path: Path, base: Path) -> str:
    name, folder = import_name(path)
    try:
        parts = [*folder.relative_to(base.resolve()).parts, *name.split(".")]
    except ValueError:
        return name
    # Packages without __init__.py are imported from the root as well as regular ones.
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


@contextmanager
def shown_as(folder: Path, name: str) -> Iterator[None]:
    """Show what lies in `folder` as lying in `name`: the place of a copy differs from run to run.

    Baselines and code scanning recognise a finding of the source by its path.
    """
    place = folder.resolve()
    _COPIES[place] = name
    try:
        yield
    finally:
        del _COPIES[place]


def relative(path: Path) -> str:
    """A path as reports show it: relative to the working directory where it lies below it."""
    with suppress(OSError, RuntimeError):
        for folder, name in list(_COPIES.items()):
            if path.resolve().is_relative_to(folder):
                return PurePosixPath(name, *path.resolve().relative_to(folder).parts).as_posix()
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except (
        ValueError,
        OSError,
        RuntimeError,
    ):  # a link that leads to itself is a RuntimeError up to Python 3.12
        return path.as_posix()
