"""Names and members that can hold nothing but texts of the source: types, enumerations, constants of classes, marks."""

from __future__ import annotations

import ast
from keyword import iskeyword

from auth_conformance.source.rules.standards import is_handler
from auth_conformance.source.tree import Function, Module
from auth_conformance.source.words import name_of, text_of, words

_NUMBERS = frozenset(("int", "float", "bool", "Decimal", "date", "datetime", "UUID"))
_AROUND = frozenset(("Optional", "Union", "Annotated"))
# How the marks are called in whose place values are bound: `?`, `%s`, `$1`.
_MARKS = frozenset(("placeholder", "placeholders"))


def is_typed(module: Module, node: ast.Name) -> bool:
    """Whether the parameter of that name takes numbers, members of an enumeration, or texts that its type lists."""
    function = module.function_of(node)
    if function is None:
        return False
    taken = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    typed = next((item.annotation for item in taken if item.arg == node.id and item.annotation), None)
    return typed is not None and _admits_fixed(module, typed)


def _admits_fixed(module: Module, typed: ast.expr) -> bool:
    match typed:
        case ast.Constant(value=None):
            return True
        case ast.Constant(value=str() as text):
            return (
                text.isidentifier()
                and not iskeyword(text)
                and _admits_fixed(module, ast.Name(text, ast.Load()))
            )
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return _admits_fixed(module, left) and _admits_fixed(module, right)
        case ast.Subscript(value=outer, slice=inner):
            called = name_of(outer)
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            if called == "Annotated":
                return bool(parts) and _admits_fixed(module, parts[0])
            return called == "Literal" or (
                called in _AROUND and all(_admits_fixed(module, part) for part in parts)
            )
        case ast.Name() | ast.Attribute():
            return name_of(typed) in _NUMBERS or is_enumeration(_class(module, typed))
        case _:
            return False


def _class(module: Module, node: ast.expr) -> ast.ClassDef | None:
    found = module.whole.find(module, module.dotted(node))
    return found[1] if found is not None and isinstance(found[1], ast.ClassDef) else None


def is_enumeration(node: ast.ClassDef | None) -> bool:
    """Whether a class lists what there is, and nothing else can be made of it."""
    return node is not None and any(name_of(base).endswith(("Enum", "Flag")) for base in node.bases)


def is_member(module: Module, node: ast.Attribute) -> bool:
    """Whether a member is a constant of its class: `Columns.date`, `self.columns`, `order.value` of an enumeration."""
    holder = node.value
    if node.attr in {"value", "name"} and isinstance(holder, ast.Name) and is_typed(module, holder):
        return True
    if not isinstance(holder, ast.Name):
        return False
    own = holder.id in {"self", "cls"}
    owner = next((item for item in module.above(node) if isinstance(item, ast.ClassDef)), None)
    found = owner if own else _class(module, holder)
    if found is None or not any(text_of(value) is not None for value in _given_in(found, node.attr)):
        return False
    return not any(
        isinstance(part, ast.Attribute) and part.attr == node.attr and isinstance(part.ctx, ast.Store)
        for item in module.whole.modules
        for part in (item.nodes if item is module else ())
    )


def _given_in(owner: ast.ClassDef, name: str) -> list[ast.expr | None]:
    return [
        part.value
        for part in owner.body
        if (isinstance(part, ast.Assign) and any(name_of(target) == name for target in part.targets))
        or (isinstance(part, ast.AnnAssign) and name_of(part.target) == name)
    ]


def is_mark(module: Module, node: ast.expr, function: Function | None) -> bool:
    """Whether a parameter or a member is called a placeholder: what it is made of stands elsewhere."""
    if not _MARKS & set(words(name_of(node))[-1:]):
        return False
    # What the function itself puts there is looked at.
    if isinstance(node, ast.Attribute) or function is None:
        return True
    return not module.given(name_of(node), node) and not is_handler(module, function)


def is_counted(module: Module, node: ast.Name) -> bool:
    """Whether a name is the number that `enumerate` or `range` gives."""
    for part in ast.walk(module.function_of(node) or module.tree):
        if not isinstance(part, (ast.For, ast.AsyncFor, ast.comprehension)) or not isinstance(
            part.iter, ast.Call
        ):
            continue
        target = part.target.elts[0] if isinstance(part.target, ast.Tuple) else part.target
        counts = {"enumerate": isinstance(part.target, ast.Tuple), "range": True}
        if name_of(target) == node.id and counts.get(module.dotted(part.iter.func), False):
            return True
    return False
