"""Routes and what guards them, read from the source alone: for a service that cannot be loaded here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from auth_conformance.source.tree import Function, Module, Tree
from auth_conformance.source.wiring import Target, Wiring, hand_reads
from auth_conformance.source.words import argument, keyword, name_of, text_of

_VERBS = frozenset(("get", "post", "put", "patch", "delete", "head", "options", "trace"))


@dataclass(frozen=True, slots=True)
class Route:
    """A decorated handler. `guarded` is None where it depends on code that is not in the tree."""

    module: Module = field(repr=False, compare=False)
    function: Function = field(repr=False, compare=False)
    owner: str
    method: str
    path: str
    guarded: bool | None

    @property
    def name(self) -> str:
        """Method and path, as far as the source tells it: a prefix of the router included, of others not."""
        return f"{self.method} {self.path}"


def routes(tree: Tree) -> list[Route]:
    """Every handler that a decorator makes a route of a router or an application."""
    wiring = Wiring(tree)
    everywhere = _merged(
        _state(wiring, module, keyword(call, "dependencies"))
        for module in tree.modules
        for call, name in module.calls
        if name.rpartition(".")[2] == "FastAPI"
    )
    included = _included(wiring)
    return [
        Route(
            module,
            function,
            f"{module.name}.{owner}",
            verb.upper(),
            (text_of(keyword(router, "prefix")) or "" if router is not None else "") + path,
            _merged(
                (
                    everywhere,
                    included.get((module.name, owner), False),
                    _state(wiring, module, keyword(router, "dependencies") if router is not None else None),
                    _state(wiring, module, keyword(node, "dependencies")),
                    _of_targets(wiring, [item.target for item in wiring.of(module, function)]),
                )
            ),
        )
        for module in tree.modules
        for function in module.functions
        for node, owner, verb, path in _decorators(function)
        for router in [_made(module, owner)]
    ]


def _decorators(function: Function) -> Iterator[tuple[ast.Call, str, str, str]]:
    for node in function.decorator_list:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        path = text_of(argument(node, 0, "path"))
        if node.func.attr in _VERBS and path is not None and (not path or path.startswith("/")):
            yield node, name_of(node.func.value), node.func.attr, path


def _made(module: Module, owner: str) -> ast.Call | None:
    made = module.constants.get(owner)
    return made if isinstance(made, ast.Call) else None


def guarding_middleware(tree: Tree) -> bool:
    """Whether something other than a handler or a dependency reads credentials: a middleware."""
    return any(
        any(True for _ in hand_reads(module, function))
        for module in tree.modules
        for function in module.functions
        if function.name in {"dispatch", "__call__"}
        or any("middleware" in ast.unparse(item) for item in function.decorator_list)
    )


def _included(wiring: Wiring) -> dict[tuple[str, str], bool | None]:
    """What `include_router(…, dependencies=…)` adds to each router, by module and name."""
    found: dict[tuple[str, str], bool | None] = {}
    for module in wiring.tree.modules:
        for call, name in module.calls:
            given = keyword(call, "dependencies")
            if not name.endswith("include_router") or given is None or not call.args:
                continue
            dotted = module.dotted(call.args[0])
            home, _, router = dotted.rpartition(".")
            holder = wiring.tree.by_name.get(home) if home else module
            if holder is not None:
                key = (holder.name, router)
                found[key] = _merged((found.get(key, False), _state(wiring, module, given)))
    return found


def _state(wiring: Wiring, module: Module, given: ast.expr | None) -> bool | None:
    return _of_targets(wiring, wiring.listed(module, given)) if given is not None else False


def _of_targets(wiring: Wiring, targets: list[Target | None]) -> bool | None:
    if any(wiring.guards(target) for target in targets):
        return True
    return None if None in targets else False


def _merged(states: Iterator[bool | None] | tuple[bool | None, ...]) -> bool | None:
    """One guard is enough; an unknown one may be it."""
    seen = set(states)
    return True if True in seen else None if None in seen else False
