"""The standards of the four-file profile: SRC108 to SRC111. They are matters of style, and a team may opt out."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator

from auth_conformance.source.tree import Function, Module, Spot, Tree
from auth_conformance.source.words import argument, keyword, listed

METHODS = listed("get post put patch delete head options trace api_route route websocket websocket_route")
_RESPONSES = listed(
    "JSONResponse Response HTMLResponse PlainTextResponse RedirectResponse StreamingResponse FileResponse "
    "ORJSONResponse UJSONResponse"
)
_MODELS = listed("BaseModel SQLModel DeclarativeBase RequestModel ResponseModel")
_ENGINES = listed("create_engine create_async_engine sessionmaker async_sessionmaker")
LONGEST = 15
FILES = ("models", "dependencies", "routes", "database")
_DRIVERS = listed(
    "sqlite3 aiosqlite asyncpg psycopg psycopg2 pymysql aiomysql MySQLdb motor pymongo redis databases"
)
_JWT = listed("jwt jose joserfc authlib jwcrypto python_jwt")


def statuses(module: Module) -> Iterator[Spot]:
    """SRC108: HTTP statuses written as numbers."""
    for call, name in module.calls:
        last = name.rpartition(".")[2]
        value = keyword(call, "status_code")
        if value is None and last.endswith("HTTPException"):
            value = argument(call, 0, "status_code")
        elif value is None and last in _RESPONSES:
            value = argument(call, 1, "status_code")
        if _is_status(value) and value is not None:
            yield module.spot(
                "SRC108", value, f"{ast.unparse(value)} stands where a constant of starlette.status belongs."
            )
        responses = keyword(call, "responses")
        for key in responses.keys if isinstance(responses, ast.Dict) else ():
            if key is not None and _is_status(key):
                yield module.spot(
                    "SRC108", key, f"`responses` is keyed with the number {ast.unparse(key)}.", note=True
                )
    for node in module.nodes:
        yield from _status_in(module, node)


def _status_in(module: Module, node: ast.AST) -> Iterator[Spot]:
    if isinstance(node, ast.Assign) and _is_status(node.value):
        if any(isinstance(target, ast.Attribute) and target.attr == "status_code" for target in node.targets):
            yield module.spot(
                "SRC108", node, f"`status_code` is set to the number {ast.unparse(node.value)}."
            )
    elif isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        if any(isinstance(side, ast.Attribute) and side.attr == "status_code" for side in sides):
            for side in sides:
                if _is_status(side):
                    yield module.spot(
                        "SRC108", node, f"`status_code` is compared with the number {ast.unparse(side)}."
                    )


def _is_status(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int and 100 <= node.value <= 599


def unannotated(module: Module) -> Iterator[Spot]:
    """SRC109: functions whose parameters or return lack an annotation."""
    for node in module.functions:
        owner = module.parents.get(node)
        static = any(module.dotted(item) == "staticmethod" for item in node.decorator_list)
        listed = [*node.args.posonlyargs, *node.args.args]
        if isinstance(owner, ast.ClassDef) and not static:
            listed = listed[1:]
        listed += [*node.args.kwonlyargs, *filter(None, [node.args.vararg, node.args.kwarg])]
        bare = [item.arg for item in listed if item.annotation is None]
        missing = [f"parameter {name}" for name in bare] + (
            [] if node.returns is not None else ["the return"]
        )
        if missing:
            yield module.spot("SRC109", node, f"{node.name} does not annotate {', '.join(missing)}.")


def is_handler(module: Module, node: Function) -> bool:
    """Whether a function is decorated as a route of an application or router."""
    return any(
        isinstance(item, ast.Call)
        and isinstance(item.func, ast.Attribute)
        and item.func.attr in METHODS
        and (item.args or keyword(item, "path") is not None)
        for item in node.decorator_list
    ) and not module.dotted(node.decorator_list[0]).startswith("pytest")


def handlers(tree: Tree) -> Iterator[tuple[Module, Function]]:
    """Every route handler: decorated, or given to `add_api_route` and its like."""
    for module in tree.modules:
        added = {
            module.dotted(argument(call, 1, "endpoint"))
            for call, name in module.calls
            if name.rpartition(".")[2]
            in {"add_api_route", "add_route", "add_api_websocket_route", "Route", "APIRoute"}
        }
        yield from (
            (module, node) for node in module.functions if is_handler(module, node) or node.name in added
        )
        for name in added:
            found = tree.find(module, name) if "." in name else None
            if found is not None and isinstance(found[1], Function):
                yield found[0], found[1]


def code_lines(module: Module, node: Function) -> int:
    """Lines of a function's body that carry code: no docstring, no blanks, no comments."""
    body = node.body
    if (
        isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and isinstance(body[0].value.value, str)
    ):
        body = body[1:]
    if not body:
        return 0
    first, last = body[0].lineno, node.end_lineno or body[-1].lineno
    lines: set[int] = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
            if token.start[0] > last:
                break
            if token.start[0] >= first and token.string.strip() and token.type != tokenize.COMMENT:
                lines.update(range(token.start[0], token.end[0] + 1))
    except (tokenize.TokenError, SyntaxError):
        return last - first + 1
    return len(lines)


def lengths(tree: Tree) -> Iterator[Spot]:
    """SRC110: route handlers of 15 lines of code and more."""
    for module, node in handlers(tree):
        span = (node.end_lineno or node.lineno) - node.lineno + 1
        if span < LONGEST:
            continue
        count = code_lines(module, node)
        if count >= LONGEST:
            message = (
                f"The body of {node.name} has {count} lines of code ({span} with signature and comments)."
            )
            yield module.spot("SRC110", node, message)


def structure(tree: Tree) -> Iterator[Spot]:
    """SRC111: the four files, and what stands in the wrong one."""
    present = {module.name.rpartition(".")[2] for module in tree.modules} | {
        part for module in tree.modules for part in module.name.split(".")
    }
    missing = [f"{name}.py" for name in FILES if name not in present]
    if missing:
        first = tree.modules[0]
        yield first.spot("SRC111", first.tree, f"There is no {' and no '.join(missing)}.")
    for module in tree.modules:
        role = next((part for part in reversed(module.name.split(".")) if part in FILES), "")
        yield from _misplaced(module, role)
    yield from _cycles(tree)


def _misplaced(module: Module, role: str) -> Iterator[Spot]:
    for function in module.functions:
        if role != "routes" and is_handler(module, function) and not _makes_app(module):
            yield module.spot("SRC111", function, f"The route {function.name} stands outside routes.py.")
    for node in module.nodes:
        if isinstance(node, ast.ClassDef) and role not in {"models", "database"}:
            bases = {module.dotted(base).rpartition(".")[2] for base in node.bases}
            if bases & _MODELS:
                yield module.spot("SRC111", node, f"The model {node.name} stands outside models.py.")
    yield from _misplaced_calls(module, role)
    if role == "routes":
        taken = {name.partition(".")[0] for name in module.imports.values()}
        for name in sorted(taken & (_DRIVERS | _JWT)):
            yield module.spot("SRC111", module.tree, f"routes.py imports {name}.")


def _misplaced_calls(module: Module, role: str) -> Iterator[Spot]:
    for call, name in module.calls:
        last = name.rpartition(".")[2]
        if role != "database" and last in _ENGINES and name.startswith(("sqlalchemy", "sqlmodel")):
            yield module.spot("SRC111", call, f"{last} is called outside database.py.")
        if role != "dependencies" and name.partition(".")[0] in _JWT and last in {"decode", "encode"}:
            yield module.spot("SRC111", call, f"{name} is called outside dependencies.py.")


def _makes_app(module: Module) -> bool:
    return any(name in {"fastapi.FastAPI", "fastapi.applications.FastAPI"} for _, name in module.calls)


def _cycles(tree: Tree) -> Iterator[Spot]:
    uses = {
        module.name: {
            other.name
            for other in tree.modules
            if other is not module
            and any(
                name == other.name or name.startswith(f"{other.name}.") for name in _runtime_imports(module)
            )
            and not module.name.startswith(f"{other.name}.")
        }
        for module in tree.modules
        if module.name.rpartition(".")[2] in FILES
    }
    for name, used in uses.items():
        back = sorted(other for other in used if name in uses.get(other, ()) and name < other)
        for other in back:
            module = tree.by_name[name]
            yield module.spot("SRC111", module.tree, f"{name} and {other} import each other.")


def _runtime_imports(module: Module) -> Iterator[str]:
    for node in module.tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                yield module.imports.get(alias.asname or alias.name, alias.name)
