"""SRC107: SQL put together from values."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from auth_conformance.model import Severity
from auth_conformance.source.beyond import bound, defaults, function_named, returns_of
from auth_conformance.source.rules.fixed import is_counted, is_mark, is_member, is_typed
from auth_conformance.source.rules.standards import is_handler
from auth_conformance.source.tree import Function, Module, Spot
from auth_conformance.source.words import (
    argument,
    keyword,
    listed,
    name_of,
    text_of,
    words,
)

_SQL = re.compile(
    r"\b(?:SELECT|INSERT\s+INTO|UPDATE|DELETE\s+FROM|WHERE|ORDER\s+BY|FROM|DROP|ALTER|CREATE)\b",
    re.IGNORECASE,
)
# How a statement, or a part of one, begins; a sentence may hold such words further on.
_BEGINS = re.compile(
    r"[^A-Za-z]*(?:SELECT|INSERT|UPDATE|DELETE|WITH|MERGE|REPLACE|CREATE|DROP|ALTER|EXPLAIN|FROM|WHERE|ORDER|AND|UNION)\b",
    re.IGNORECASE,
)
# A path or an address may hold such words as well, and `fetch` is what gets one.
_ADDRESS = re.compile(r"^/\w|://")
# The helpers whose results are being looked at: those that call each other must not be followed for ever.
_ASKED: ContextVar[frozenset[str]] = ContextVar("_ASKED", default=frozenset())
# The names whose values are being followed, `where = where + more` among them, and those whose parts are looked at.
_CONVERTED: ContextVar[frozenset[str]] = ContextVar("_CONVERTED", default=frozenset())
_FOLLOWED: ContextVar[frozenset[str]] = ContextVar("_FOLLOWED", default=frozenset())
_PIECED: ContextVar[frozenset[str]] = ContextVar("_PIECED", default=frozenset())
_DEEPEST = 3
_RUNNERS = {
    "execute": 0, "executemany": 0, "executescript": 0, "exec_driver_sql": 0, "text": 0, "raw": 0, "read_sql": 0,
    "read_sql_query": 0, "literal_column": 0, "from_statement": 0, "fetch": 0, "fetchrow": 0, "fetchval": 0,
    "fetch_all": 0, "fetch_one": 0, "RawSQL": 0, "SQL": 0, "prefix_with": 0, "suffix_with": 0,
}  # fmt: skip
# These take a part of a statement as it is, whatever words are in it.
_FRAGMENTS = frozenset(("text", "literal_column", "exec_driver_sql", "RawSQL", "prefix_with", "suffix_with"))
_OF_BUILDERS = ("peewee.", "psycopg.", "psycopg2.", "tortoise.", "piccolo.")
# Django's `extra(select, where, params, tables, order_by)`.
_EXTRAS = ("select", "where", "", "tables")


def sql(module: Module) -> Iterator[Spot]:
    """SRC107, per file."""
    for call, name in module.calls:
        last = (
            name.rpartition(".")[2]
            if name
            else (call.func.attr if isinstance(call.func, ast.Attribute) else "")
        )
        if last == "extra" and any(_built(module, part) is not None for part in _conditions(module, call)):
            # The parts of a statement that Django's `extra` takes as they are.
            message = "SQL for extra is put together from values instead of being bound."
            yield module.spot("SRC107", call, message, Severity.HIGH)
        if last in _RUNNERS and (last != "text" or _is_sql_text(name)):
            words_of = ("sql", "statement", "text", "query")
            given = next((item for word in words_of if (item := argument(call, 0, word))), None)
            sure = last in _FRAGMENTS or (last == "SQL" and name.startswith(_OF_BUILDERS))
        else:
            last, given, sure = name_of(call.func), _handed_on(module, call), False
        if given is None:
            continue
        built = (_sent(module, given) if sure else None) or _built(module, given)
        if built is not None and (
            sure or _is_sql(module, built) or any(_is_sql(module, part) for part in _begun(module, given))
        ):
            message = f"SQL for {last} is put together from values instead of being bound."
            yield module.spot("SRC107", call, message, Severity.HIGH)


def _handed_on(module: Module, call: ast.Call) -> ast.expr | None:
    """What a function of the service is given and runs as it is: `many(statement)`, where that executes it."""
    found = _helper(module, call)
    if found is None:
        return None
    home, function = found
    key = ("SQL that it runs", function)
    if key not in module.whole.memo:
        module.whole.memo[key] = _runs(home, function)
    given = bound(function, call)
    return next((given[name] for name in module.whole.memo[key] if name in given), None)


def _runs(module: Module, function: Function) -> list[str]:
    """The parameters of a function that it gives to the database as a statement."""
    taken = {
        item.arg for item in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    }
    found = []
    for part in ast.walk(function):
        if isinstance(part, ast.Call) and name_of(part.func) in _RUNNERS and name_of(part.func) != "text":
            inner = part.args[0] if part.args else None
            if isinstance(inner, ast.Call) and name_of(inner.func) == "text" and inner.args:
                inner = inner.args[0]
            if isinstance(inner, ast.Name) and inner.id in taken and not module.given(inner.id, part):
                found.append(inner.id)
    return found


def _sent(module: Module, node: ast.expr) -> ast.expr | None:
    """A parameter of a route handler: then the caller writes the statement, or a part of it."""
    function = module.function_of(node)
    if not isinstance(node, ast.Name) or function is None or not is_handler(module, function):
        return None
    taken = [*function.args.args, *function.args.kwonlyargs]
    typed = next(
        (ast.unparse(item.annotation) for item in taken if item.arg == node.id and item.annotation), ""
    )
    told = "Depends" in typed or module.given(node.id, node) or _is_safe(module, node)
    return node if re.search(r"\bstr\b", typed) and not told else None


def _conditions(module: Module, call: ast.Call) -> list[ast.expr]:
    given = [keyword(call, word) for word in _EXTRAS if word]
    # In order only where the parts say by themselves that they are SQL: others have an `extra`, too.
    given += [
        item
        for word, item in zip(_EXTRAS, call.args, strict=False)
        if word and isinstance(item, (ast.Dict, ast.List, ast.Tuple)) and _is_sql(module, item)
    ]
    made = [item for name in given if isinstance(name, ast.Name) for item in module.given(name.id, name)]
    return [
        part
        for item in [*given, *made]
        for part in (item.values if isinstance(item, ast.Dict) else getattr(item, "elts", []))
    ]


def _begun(module: Module, node: ast.expr) -> list[ast.expr]:
    """What a name was given at first: the part that is added to it later need not look like SQL."""
    if not isinstance(node, ast.Name) or module.function_of(node) is None:
        return []
    return module.given(node.id, node)


def is_assembled(module: Module, line: int) -> bool:
    """Whether a text that stands on that line is put together from something that the source does not fix."""
    texts = [
        node
        for node in module.nodes
        if isinstance(node, (ast.JoinedStr, ast.BinOp, ast.Call))
        and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    if not texts:
        return True
    said = [text for node in texts for part in ast.walk(node) if (text := text_of(part))]
    return any(_BEGINS.match(text) for text in said) and any(
        _built(module, node) is not None for node in texts
    )


def _is_sql_text(name: str) -> bool:
    return name.startswith(("sqlalchemy.", "sqlmodel.")) or name.endswith((".sa.text", "sa.text", "db.text"))


def _is_sql(module: Module, node: ast.expr) -> bool:
    texts = [text for part in ast.walk(node) if (text := text_of(part))]
    texts += [
        text
        for part in ast.walk(node)
        if isinstance(part, ast.Name)
        for value in (module.constants.get(part.id), *module.given(part.id, part))
        if value is not None
        for piece in ast.walk(value)
        if (text := text_of(piece))
    ]
    return any(_SQL.search(text) and not _ADDRESS.search(text) for text in texts)


def _built(module: Module, node: ast.expr, depth: int = 3) -> ast.expr | None:
    """The expression that puts a text together from something that is no constant; None where none does."""
    match node:
        case ast.JoinedStr(values=values):
            parts = [item.value for item in values if isinstance(item, ast.FormattedValue)]
            return node if any(not _is_safe(module, part) for part in parts) else None
        case ast.BinOp(left=left, op=ast.Mod(), right=right) if text_of(left) is not None or isinstance(
            left, ast.Name
        ):
            parts = (
                right.elts
                if isinstance(right, ast.Tuple)
                else list(right.values)
                if isinstance(right, ast.Dict)
                else [right]
            )
            return node if any(not _is_safe(module, part) for part in parts) else None
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            if any(_built(module, side, depth) is not None for side in (left, right)):
                return node
            return node if not (_is_safe(module, left) and _is_safe(module, right)) else None
        case ast.Call(func=ast.Attribute(value=text, attr=attr), args=args, keywords=keywords) if (
            attr in _FILLS
        ):
            parts = [*args, *(item.value for item in keywords)]
            filled = _is_text(module, text) and any(not _is_safe(module, part) for part in parts)
            return node if filled else None
        case ast.Call(func=ast.Attribute(attr="join"), args=[parts]):
            return node if not _is_safe(module, parts) else None
        case _:
            return _followed(module, node, depth)


def _followed(module: Module, node: ast.expr, depth: int) -> ast.expr | None:
    """The same of what stands for a text: a name, the result of a helper, one of two, a text that is only trimmed."""
    match node:
        case (
            ast.NamedExpr(value=value)
            | ast.Call(func=ast.Attribute(value=value, attr="strip" | "lstrip" | "rstrip"))
        ):
            return _built(module, value, depth)
        case ast.Call(
            func=ast.Name(id="dedent" | "cleandoc") | ast.Attribute(attr="dedent" | "cleandoc"), args=[text]
        ):
            return _built(module, text, depth)
        case ast.IfExp(body=one, orelse=other) | ast.BoolOp(values=[one, other]):
            return _built(module, one, depth) or _built(module, other, depth)
        case ast.Name(id=name) if depth > 0 and name not in _FOLLOWED.get():
            told = _FOLLOWED.set(_FOLLOWED.get() | {name})
            try:
                return _named(module, node, depth)
            finally:
                _FOLLOWED.reset(told)
        case ast.Call() if depth > 0:
            return _helped(module, node, depth)
        case _:
            return None


# What puts values into a text that has places for them.
_FILLS = frozenset(("format", "format_map", "replace", "substitute", "safe_substitute"))


def _is_text(module: Module, node: ast.expr) -> bool:
    """Whether it is a text that the source has, under a name too, or a template of one."""
    if isinstance(node, ast.Call) and name_of(node.func) == "Template" and node.args:
        return _is_text(module, node.args[0])
    if not isinstance(node, ast.Name):
        return text_of(node) is not None
    values = [*module.given(node.id, node), module.constants.get(node.id)]
    return any(value is not None and text_of(value) is not None for value in values)


def _helped(module: Module, call: ast.Call, depth: int) -> ast.expr | None:
    """What a function of the service puts together from what it is given in this call, and returns."""
    for home, value in _results(module, call):
        built = _built(home, value, depth - 1)
        if built is not None:
            return built
    return None


def _results(module: Module, call: ast.Call) -> list[tuple[Module, ast.expr]]:
    """What a function returns in this call, parameters that are fixed by it filled in."""
    found = _helper(module, call)
    if found is None:
        return []
    home, helper = found
    taken = {name: value for name, value in bound(helper, call).items() if _is_safe(module, value)}
    usual = {name: value for name, value in defaults(helper).items() if _is_safe(home, value)}
    given = usual.keys() - bound(helper, call).keys() | taken.keys()
    fixed: dict[str, ast.expr] = {name: ast.Constant("") for name in given}
    return [(home, _filled(value, fixed)) for value in returns_of(home, helper)]


def _helper(module: Module, call: ast.Call) -> tuple[Module, Function] | None:
    """The function that is called: the only one of that name in the file, else one that another file defines."""
    own = isinstance(call.func, ast.Name) or module.dotted(call.func).startswith(("self.", "cls."))
    here = [item for item in module.functions if own and item.name == name_of(call.func)]
    return (module, here[0]) if len(here) == 1 else function_named(module, call.func)


def _filled(node: Any, given: dict[str, ast.expr]) -> Any:
    """An expression with what its parameters are; the parts without any stay the nodes that they are."""
    if isinstance(node, ast.Name):
        return given.get(node.id, node)
    if isinstance(node, list):
        return [_filled(item, given) for item in node]
    if not isinstance(node, (ast.JoinedStr, ast.FormattedValue, ast.BinOp, ast.Call, ast.Tuple, ast.IfExp)):
        return node
    made = type(node)(**{name: _filled(value, given) for name, value in ast.iter_fields(node)})
    return ast.copy_location(made, node)


def _named(module: Module, node: ast.Name, depth: int) -> ast.expr | None:
    function = module.function_of(node)
    if function is None:
        return None
    for one in ast.walk(function):
        part = _paired(one, node.id)
        value = part.value if isinstance(part, (ast.Assign, ast.AugAssign)) else None
        targets = (
            part.targets
            if isinstance(part, ast.Assign)
            else [part.target]
            if isinstance(part, ast.AugAssign)
            else []
        )
        if (
            value is not None
            and any(name_of(item) == node.id for item in targets)
            and getattr(part, "lineno", 0) <= node.lineno
        ):
            built = _built(module, value, depth - 1)
            if built is not None:
                return built
            if isinstance(part, ast.AugAssign) and not _is_safe(module, value):
                return value
    return None


def _paired(part: ast.AST, name: str) -> ast.AST:
    """An assignment to several names at once as the one to this name: `sql, values = f"…", ()`."""
    target = part.targets[0] if isinstance(part, ast.Assign) else None
    if (
        not isinstance(part, ast.Assign)
        or not isinstance(target, ast.Tuple)
        or not isinstance(part.value, ast.Tuple)
    ):
        return part
    pairs = zip(target.elts, part.value.elts, strict=False)
    own = next(((one, value) for one, value in pairs if name_of(one) == name), None)
    return part if own is None else ast.copy_location(ast.Assign([own[0]], own[1]), part)


def _is_safe(module: Module, node: ast.expr) -> bool:
    """Whether a part can only be a text that the source fixes: a constant, an allow-list's value, a number, marks."""
    match node:
        case ast.Constant():
            return True
        case ast.BinOp(op=ast.Sub() | ast.Div() | ast.FloorDiv() | ast.Pow()):
            return True  # no text can be reckoned with
        case ast.JoinedStr() | ast.BinOp():
            return _built(module, node) is None
        case ast.Name(id=name):
            known = name.isupper() or name in module.constants
            return (
                known
                or any(
                    look(module, node) for look in (_looped, _allowed, is_counted, _listed, is_typed, _pieced)
                )
                or is_mark(module, node, module.function_of(node))
            )
        case ast.Attribute(attr=attr):
            return (
                attr.isupper()
                or (
                    attr in {"__tablename__", "name", "__table__", "value"}
                    and name_of(node.value)[:1].isupper()
                )
                or _names_table(node)
                or is_member(module, node)
                or is_mark(module, node, None)
            )
        case ast.Subscript(value=value):
            return name_of(value).isupper() or name_of(value) in module.constants
        case ast.Call():
            return _gives_fixed(module, node)
        case ast.Await(value=inner):
            return _is_safe(module, inner)
        case ast.IfExp(body=body, orelse=orelse):
            return _is_safe(module, body) and _is_safe(module, orelse)
        case _:
            return _is_marks(node)


def _gives_fixed(module: Module, call: ast.Call) -> bool:
    """Whether a call gives a number, a quoted name, a value of an allow-list, or a text that a helper fixes."""
    called = name_of(call.func)
    if called in {"int", "len", "float", "range"} or _quotes(call.func):
        return True
    if called == "join" and call.args:
        return _joins_fixed(module, call.args[0])
    if called == "get" and isinstance(call.func, ast.Attribute) and _is_allow_list(module, call.func.value):
        return all(_is_safe(module, item) for item in call.args[1:])
    asked = _ASKED.get()
    if ast.dump(call.func) in asked or len(asked) > _DEEPEST:
        return False
    told = _ASKED.set(asked | {ast.dump(call.func)})
    try:
        results = _results(module, call)
        return bool(results) and all(_is_safe(home, value) for home, value in results)
    finally:
        _ASKED.reset(told)


def _is_allow_list(module: Module, node: ast.expr) -> bool:
    return name_of(node).isupper() or name_of(node) in module.constants


# What a request brought; its members are the caller's words.
_OF_REQUESTS = listed("request req body payload form query params args data json event")


def _names_table(node: ast.Attribute) -> bool:
    """Whether a member says which table or schema is meant: that cannot be bound, and is set up by the code."""
    found = words(node.attr)
    holders = {name_of(part) for part in ast.walk(node.value)}
    named = found[-1:] == ("schema",) or found[-1:] == ("tablename",) or found[-2:] == ("table", "name")
    return named and not any(_OF_REQUESTS & set(words(holder)) for holder in holders)


def _listed(module: Module, node: ast.Name) -> bool:
    """Whether a name is a list that begins empty, or fixed, and is given nothing but texts that are fixed."""
    function = module.function_of(node)
    values = module.given(node.id, node) if function is not None else []
    if function is None or not values or not all(isinstance(value, ast.List) for value in values):
        return False
    parts = [item for value in values for item in getattr(value, "elts", [])]
    for part in ast.walk(function):
        if isinstance(part, ast.AugAssign) and name_of(part.target) == node.id:
            return False
        if (
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Attribute)
            and name_of(part.func.value) == node.id
        ):
            if part.func.attr != "append":
                return False
            parts += part.args
    return all(_is_safe(module, item) for item in parts)


def _joins_fixed(module: Module, node: ast.expr) -> bool:
    """Whether texts are joined that the source fixes: marks, a list of such texts, the names of a fixed mapping."""
    if _is_marks(node) or (isinstance(node, ast.Name) and _listed(module, node)):
        return True
    if _is_allow_list(module, node):
        return True
    if isinstance(node, ast.Name):
        made = module.given(node.id, node) if module.function_of(node) is not None else []
        return bool(made) and all(
            isinstance(item, ast.ListComp) and _joins_fixed(module, item) for item in made
        )
    if not isinstance(node, (ast.GeneratorExp, ast.ListComp)) or len(node.generators) != 1:
        return False
    over = node.generators[0]
    if isinstance(node.elt, ast.JoinedStr) and _is_safe(module, node.elt):
        return True  # `f"${place}"` for numbers
    own = {part.id for part in ast.walk(over.target) if isinstance(part, ast.Name)}
    used = [part for part in ast.walk(node.elt) if isinstance(part, ast.Name)]
    return (
        isinstance(node.elt, ast.JoinedStr)
        and all(part.id in own for part in used)
        and _has_fixed_names(module, over)
    )


def _has_fixed_names(
    module: Module, over: ast.comprehension, seen: frozenset[ast.expr] = frozenset()
) -> bool:
    """Whether it runs over the names of a mapping that stands in the function, of some of them where it is picked."""
    holder, first = over.iter, over.target
    if isinstance(holder, ast.Call) and isinstance(holder.func, ast.Attribute):
        if holder.func.attr not in {"keys", "items"}:
            return False
        first = over.target.elts[0] if isinstance(over.target, ast.Tuple) else over.target
        holder = holder.func.value
    if not isinstance(holder, ast.Name) or not isinstance(first, ast.Name):
        return False
    # `data = {…}; data = {name: value for name, value in data.items() if value}` picks from what it was.
    values = [value for value in module.given(holder.id, holder) if value not in seen]
    return bool(values) and all(_is_fixed_mapping(module, value, seen | {value}) for value in values)


def _is_fixed_mapping(module: Module, value: ast.expr, seen: frozenset[ast.expr]) -> bool:
    if isinstance(value, ast.Dict):
        return all(text_of(key) is not None for key in value.keys)
    if isinstance(value, ast.Call):
        return module.dotted(value.func) == "dataclasses.asdict"
    return (
        isinstance(value, ast.DictComp)
        and len(value.generators) == 1
        and isinstance(value.generators[0].target, ast.Tuple)
        and name_of(value.key) == name_of(value.generators[0].target.elts[0])
        and _has_fixed_names(module, value.generators[0], seen)
    )


def _pieced(module: Module, node: ast.Name) -> bool:
    """Whether each part that the function ever puts into the name is fixed: `where += f" AND a = ${len(values)}"`."""
    function = module.function_of(node)
    if function is None or node.id in _CONVERTED.get():
        return False
    if node.id in _PIECED.get():
        return True  # a part that is the name itself: the others decide
    stored = [
        part
        for part in ast.walk(function)
        if isinstance(part, ast.Name) and part.id == node.id and isinstance(part.ctx, ast.Store)
    ]
    plain = [
        item for part in stored if isinstance(item := module.parents.get(part), (ast.Assign, ast.AugAssign))
    ]
    taken = any(isinstance(part, ast.arg) and part.arg == node.id for part in ast.walk(function.args))
    # `order = ORDERS[order]`, `limit = int(limit)`: what the name held until then is gone.
    made = [item.lineno for item in plain if item.lineno < node.lineno and _converts(module, item, node.id)]
    if made:
        plain = [item for item in plain if item.lineno >= max(made)]
    elif not plain or len(plain) < len(stored) or taken:
        return False
    if any(isinstance(item.value, (ast.List, ast.ListComp, ast.Dict, ast.Set)) for item in plain):
        return False  # what is appended to it counts as well: see `_listed`
    told = _PIECED.set(_PIECED.get() | {node.id})
    try:
        return all(_is_safe(module, item.value) for item in plain)
    finally:
        _PIECED.reset(told)


def _converts(module: Module, item: ast.Assign | ast.AugAssign, name: str) -> bool:
    """Whether it makes something fixed of what a name holds, and gives it the same name."""
    if not isinstance(item, ast.Assign) or not isinstance(item.value, (ast.Call, ast.Subscript)):
        return False
    if not any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(item.value)):
        return False
    told = _CONVERTED.set(_CONVERTED.get() | {name})
    try:
        return _is_safe(module, item.value)
    finally:
        _CONVERTED.reset(told)


def _quotes(func: ast.expr) -> bool:
    """Whether a call makes an identifier of a text: `preparer.quote(name)`, `escape_sqlite(name)`."""
    return bool({"quote", "quoted", "escape", "identifier", "ident"} & set(words(name_of(func))))


def _looped(module: Module, node: ast.Name) -> bool:
    """Whether a name runs over texts that the source fixes."""
    for part in ast.walk(module.function_of(node) or module.tree):
        if not isinstance(part, (ast.For, ast.AsyncFor, ast.comprehension)):
            continue
        targets = part.target.elts if isinstance(part.target, ast.Tuple) else [part.target]
        if node.id not in {name_of(target) for target in targets}:
            continue
        over = part.iter
        if isinstance(over, ast.Call) and name_of(over.func) in _ORDERS and over.args:
            over = over.args[0]
        elif isinstance(over, ast.Call) and isinstance(over.func, ast.Attribute) and over.func.attr in _SIDES:
            over = over.func.value
        elif len(targets) > 1:
            return False
        if isinstance(over, (ast.Tuple, ast.List, ast.Set)):
            return all(text_of(item) is not None for item in over.elts)
        return _is_allow_list(module, over)
    return False


# What gives the same parts again, in another order or counted.
_ORDERS = frozenset(("enumerate", "sorted", "reversed"))
# Of a mapping.
_SIDES = frozenset(("keys", "values", "items"))


def _is_marks(node: ast.expr) -> bool:
    """Placeholders repeated: `["?"] * n`, `"?" for _ in values`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _is_marks(node.left) or _is_marks(node.right) or text_of(node.left) is not None
    if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
        return text_of(node.elt) is not None
    return isinstance(node, (ast.List, ast.Tuple)) and all(text_of(item) is not None for item in node.elts)


def _allowed(module: Module, node: ast.Name) -> bool:
    """Whether a name was checked against a fixed collection in the same function."""
    function = module.function_of(node)
    if function is None:
        return False
    for part in ast.walk(function):
        if (
            isinstance(part, ast.Compare)
            and isinstance(part.ops[0], (ast.In, ast.NotIn))
            and name_of(part.left) == node.id
        ):
            holder = part.comparators[0]
            if (
                isinstance(holder, (ast.Set, ast.Tuple, ast.List, ast.Dict))
                or name_of(holder).isupper()
                or name_of(holder) in module.constants
            ):
                return True
    return False
