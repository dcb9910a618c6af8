"""What a name of one file stands for in another: functions, constants, members of settings, and who calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auth_conformance.source.tree import Function, Module
from auth_conformance.source.words import argument, is_constant, keyword, listed, name_of, words

# How objects are called that hold the configuration, and the classes that they are of.
_SETTINGS = listed("settings setting config configuration conf cfg")
# What stands around a value without changing it.
_WRAPPERS = listed("Field list tuple set frozenset SecretStr SecretBytes")
_DEEP = 4


def function_named(module: Module, node: ast.expr) -> tuple[Module, Function] | None:
    """The function that an expression names, in whichever file; None for methods and for code of others."""
    found = module.whole.find(module, module.dotted(node))
    if found is None or not isinstance(found[1], Function):
        return None
    return found[0], found[1]


def returned(module: Module, node: ast.expr) -> list[tuple[Module, ast.expr]]:
    """What the function that is called there returns, with the file that it stands in; empty where none is known."""
    if not isinstance(node, ast.Call):
        return []
    found = function_named(module, node.func)
    return [] if found is None else [(found[0], value) for value in returns_of(*found)]


def returns_of(module: Module, function: Function) -> list[ast.expr]:
    """What a function returns, functions inside it left out."""
    return [
        part.value
        for part in ast.walk(function)
        if isinstance(part, ast.Return) and part.value is not None and module.function_of(part) is function
    ]


def callers(module: Module, function: Function) -> Iterator[tuple[Module, ast.Call]]:
    """Where a function at the top of a file is called, in whichever file; a method by its own class, or its name."""
    owner = module.parents.get(function)
    if isinstance(owner, ast.ClassDef):
        yield from _method_callers(module, owner, function)
    if owner is not module.tree:
        return
    for home, call, name in module.whole.calls_by_name.get(function.name, ()):
        found = home.whole.find(home, name) if name else None
        if found is not None and found[1] is function:
            yield home, call


def _method_callers(
    module: Module, owner: ast.ClassDef, function: Function
) -> Iterator[tuple[Module, ast.Call]]:
    for home, call, _ in module.whole.calls_by_name.get(function.name, ()):
        holder = call.func.value if isinstance(call.func, ast.Attribute) else None
        if not isinstance(holder, ast.Name):
            continue
        around = next((item for item in home.above(call) if isinstance(item, ast.ClassDef)), None)
        found = home.whole.find(home, home.dotted(holder))
        if (holder.id in {"self", "cls"} and around is owner) or (found is not None and found[1] is owner):
            yield home, call


def bound(function: Function, call: ast.Call) -> dict[str, ast.expr]:
    """What each parameter of a function is in one of its calls; `*names` and `**names` hold what is left."""
    given = function.args
    places = [*given.posonlyargs, *given.args]
    if places and places[0].arg in {"self", "cls"}:
        places = places[1:]
    plain = [item for item in call.args if not isinstance(item, ast.Starred)]
    named = {item.arg for item in [*places, *given.kwonlyargs]}
    found = dict(zip([item.arg for item in places], plain, strict=False))
    found |= {item.arg: item.value for item in call.keywords if item.arg in named}
    rest = [item for item in call.keywords if item.arg not in named]
    if given.kwarg is not None and rest:
        found[given.kwarg.arg] = ast.Dict(
            [ast.Constant(item.arg) for item in rest], [item.value for item in rest]
        )
    if given.vararg is not None and plain[len(places) :]:
        found[given.vararg.arg] = ast.Tuple(plain[len(places) :], ast.Load())
    return found


def defaults(function: Function) -> dict[str, ast.expr]:
    """What each parameter is that is not given."""
    places = [*function.args.posonlyargs, *function.args.args]
    found = dict(zip([item.arg for item in reversed(places)], reversed(function.args.defaults), strict=False))
    named = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return found | {item.arg: value for item, value in named if value is not None}


def value_of(module: Module, node: ast.expr, depth: int = _DEEP) -> tuple[Module, ast.expr] | None:
    """What a name stands for that the top of some file, or a class of settings, gives a value."""
    found = module.whole.constant(module, node) or _member(module, node)
    if found is None or depth <= 0:
        return None
    home, value = found[0], _bare(found[1])
    deeper = value_of(home, value, depth - 1) if isinstance(value, (ast.Name, ast.Attribute)) else None
    return deeper or (home, value)


def _bare(value: ast.expr) -> ast.expr:
    """A value without what stands around it: `Field(default=("HS256",))`, `list(ALGORITHMS)`."""
    if not isinstance(value, ast.Call) or name_of(value.func) not in _WRAPPERS:
        return value
    made = keyword(value, "default_factory")
    inner = made.body if isinstance(made, ast.Lambda) else argument(value, 0, "default")
    return value if inner is None or is_constant(inner, ...) else _bare(inner)


def _member(module: Module, node: ast.expr) -> tuple[Module, ast.expr] | None:
    """What the one class of settings that has such a member gives it: `settings.algorithms`, `get_settings().dsn`."""
    if not isinstance(node, ast.Attribute):
        return None
    holder = node.value.func if isinstance(node.value, ast.Call) else node.value
    if not _SETTINGS & set(words(name_of(holder))):
        return None
    found = module.whole.settings.get(node.attr, ())
    return found[0] if len(found) == 1 else None
