"""Where the code of the service is: as configured, or where the application was imported from."""

from __future__ import annotations

import ast
import inspect
import site
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.guards import guards_of, middleware_of, origins_of
from auth_conformance.discovery.routes import endpoints, unwrapped
from auth_conformance.model import Provenance
from auth_conformance.target import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.discovery.knowledge import Knowledge

_FRAMEWORKS = frozenset(("fastapi", "starlette", "builtins", "functools"))


def find_source(known: Knowledge) -> None:
    """Fill in where the code is, if anything says so."""
    if known.kind == "app" and known.app is not None:
        known.guards = guards_of(known.app)
        known.middleware = middleware_of(unwrapped(known.app))
        known.origins = origins_of(unwrapped(known.app))
        if known.origins and not known.settings.policy.origins:
            known.say(
                "origins", ", ".join(known.origins), Provenance.OBSERVED, "its CORSMiddleware lists them"
            )
    settings = known.settings
    spec, folder = settings.app or "", str(Path(settings.app_dir).resolve()) if settings.app else ""
    if settings.source is not None:
        path = Path(settings.source)
        known.source = Source(str(path.resolve()), spec=spec, folder=folder)
        known.say("source", str(path), Provenance.DECLARED)
        return
    if known.kind != "app" or known.app is None:
        return
    names = _modules_of(known.app, spec)
    if not names:
        return
    root, files = _root(names)
    if root is None:
        return
    known.source = Source(str(root), tuple(map(str, files)), spec or _found_spec(known.app, names), folder)
    what = f"{root.name}, {len(files)} files that it imports" if files else str(root)
    known.say("source", what, Provenance.OBSERVED, "the application was imported from there")


def _modules_of(app: object, spec: str) -> list[str]:
    """The loaded modules in which the application's routes are written, the named one first."""
    found = [spec.partition(":")[0]] if spec else []
    for endpoint in endpoints(app):
        inner: Any = inspect.unwrap(endpoint)
        while hasattr(inner, "func"):
            inner = inspect.unwrap(inner.func)
        found.append(getattr(inner, "__module__", None) or "")
    names = [
        name
        for name in dict.fromkeys(found)
        if name in sys.modules and name.partition(".")[0] not in _FRAMEWORKS and _file(sys.modules[name])
    ]
    own = [name for name in names if not _installed(_file(sys.modules[name]))]
    return own or names


def _root(names: list[str]) -> tuple[Path | None, list[Path]]:
    """The package that holds the modules; a folder and the files in it for modules that are in no package."""
    for name in names:
        top = sys.modules.get(name.partition(".")[0])
        listed = [Path(item) for item in getattr(top, "__path__", ())]
        if listed:
            return listed[0].resolve(), []
    first = _file(sys.modules[names[0]])
    if first is None:
        return None, []
    root = first.resolve().parent
    return root, _closure([sys.modules[name] for name in names], root)


def _closure(start: list[ModuleType], root: Path) -> list[Path]:
    """The files below `root` that these modules import, directly or not."""
    found: dict[Path, None] = {}
    waiting = list(start)
    while waiting:
        module = waiting.pop(0)
        path = _file(module)
        if (
            path is None
            or path.resolve() in found
            or not path.resolve().is_relative_to(root)
            or _installed(path)
        ):
            continue
        found[path.resolve()] = None
        waiting += list(_imported(path, module.__name__))
    return list(found)


def _imported(path: Path, name: str) -> Iterator[ModuleType]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*filter(None, parts), *filter(None, [node.module])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        yield from (sys.modules[item] for item in names if item in sys.modules)


def _found_spec(app: object, names: list[str]) -> str:
    """The module and the name under which the application itself can be imported; "" where it is made by a call."""
    wanted = {id(app), id(unwrapped(app))}
    tops = {name.partition(".")[0] for name in names}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in tops and isinstance(module, ModuleType):
            for attribute, value in list(vars(module).items()):
                if id(value) in wanted:
                    return f"{name}:{attribute}"
    return ""


def _file(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file) if isinstance(file, str) and file.endswith(".py") else None


def _installed(path: Path | None) -> bool:
    places = (*site.getsitepackages(), site.getusersitepackages(), sysconfig.get_path("stdlib"))
    return path is None or str(path.resolve()).startswith(
        tuple(str(Path(place).resolve()) for place in places)
    )
