"""Which function depends on which, as FastAPI would see it, read from the source alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from auth_conformance.source.tree import Function, Module, Tree
from auth_conformance.source.words import (
    argument,
    is_constant,
    is_secret,
    keyword,
    listed,
    name_of,
    text_of,
    words,
)

SCHEMES = listed(
    "OAuth2PasswordBearer OAuth2AuthorizationCodeBearer OAuth2 HTTPBearer HTTPBasic HTTPDigest HTTPBase APIKeyHeader "
    "APIKeyQuery APIKeyCookie OpenIdConnect SecurityBase"
)
CREDENTIALS = listed(
    "authorization x-api-key api-key apikey api_key x-auth-token x-access-token x-token "
    "access_token session session_id "
    "sessionid session_token token auth jwt"
)
_DEPENDS = ("Depends", "Security")
_DEEP = 12


@dataclass(frozen=True, slots=True)
class Scheme:
    """A security scheme of FastAPI. Without `auto_error` it yields None where the credential is missing."""

    auto_error: bool


@dataclass(frozen=True, slots=True)
class Code:
    """A function of the tree that is depended upon."""

    module: Module = field(repr=False, compare=False)
    function: Function


Target = Scheme | Code


@dataclass(frozen=True, slots=True)
class Dependency:
    """A parameter that is filled by a dependency; `parameter` is "" where the result is dropped."""

    parameter: str
    target: Target | None
    node: ast.AST


class Wiring:
    """The dependencies of one tree."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._guards: dict[Function, bool] = {}

    def of(self, module: Module, function: Function) -> list[Dependency]:
        """What the parameters of a function depend on."""
        found: list[Dependency] = []
        arguments = function.args
        listed = [*arguments.posonlyargs, *arguments.args]
        defaults: dict[str, ast.expr] = dict(
            zip(
                (item.arg for item in listed[len(listed) - len(arguments.defaults) :]),
                arguments.defaults,
                strict=True,
            )
        )
        defaults |= {
            item.arg: value
            for item, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            if value
        }
        for item in [*listed, *arguments.kwonlyargs]:
            places = [*self._annotated(module, item.annotation), (module, defaults.get(item.arg))]
            for home, call in places:
                if isinstance(call, ast.Call) and name_of(call.func) in _DEPENDS:
                    given = argument(call, 0, "dependency")
                    chosen = (
                        self._class_of(module, item.annotation)
                        if given is None
                        else self.resolve(home, given)
                    )
                    found.append(Dependency(item.arg, chosen, item))
        return found

    def _annotated(
        self, module: Module, node: ast.expr | None, depth: int = 4
    ) -> Iterator[tuple[Module, ast.expr]]:
        """What stands in `Annotated[…]`, aliases followed over files."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                node = ast.parse(node.value, mode="eval").body
            except SyntaxError:
                return
        if (
            isinstance(node, ast.Subscript)
            and name_of(node.value) == "Annotated"
            and isinstance(node.slice, ast.Tuple)
        ):
            yield from ((module, item) for item in node.slice.elts[1:])
        elif isinstance(node, ast.BinOp):
            for side in (node.left, node.right):
                yield from self._annotated(module, side, depth)
        elif isinstance(node, (ast.Name, ast.Attribute)) and depth:
            found = self.tree.constant(module, node)
            if found is not None:
                yield from self._annotated(found[0], found[1], depth - 1)

    def _class_of(self, module: Module, annotation: ast.expr | None) -> Target | None:
        return self.resolve(module, annotation) if annotation is not None else None

    def resolve(self, module: Module, node: ast.expr, depth: int = 4) -> Target | None:
        """What a dependency is: a scheme, or a function of the tree; None for code of others."""
        if depth <= 0:
            return None
        if isinstance(node, ast.Call):
            if name_of(node.func) in SCHEMES:
                return Scheme(not is_constant(keyword(node, "auto_error"), value=False))
            if name_of(node.func) == "partial" and node.args:
                return self.resolve(module, node.args[0], depth - 1)
            return self._method(module, node.func, "__call__") or self._inner(module, node.func)
        found = self.tree.find(module, module.dotted(node))
        if found is not None and isinstance(found[1], Function):
            return Code(*found)  # type: ignore[arg-type]
        if found is not None:
            return self._method(module, node, "__init__")
        constant = self.tree.constant(module, node)
        if constant is not None and constant[1] is not node:
            return self.resolve(constant[0], constant[1], depth - 1)
        local = next(
            (item for item in module.functions if isinstance(node, ast.Name) and item.name == node.id), None
        )
        return Code(module, local) if local is not None else None

    def _method(self, module: Module, node: ast.expr, method: str) -> Target | None:
        found = self.tree.find(module, module.dotted(node))
        if found is None or not isinstance(found[1], ast.ClassDef):
            return None
        for item in found[1].body:
            if isinstance(item, Function) and item.name == method:
                return Code(found[0], item)
        if any(name_of(base) in SCHEMES for base in found[1].bases):
            return Scheme(auto_error=True)
        return None

    def _inner(self, module: Module, node: ast.expr) -> Target | None:
        """The function that a factory returns."""
        found = self.tree.find(module, module.dotted(node))
        if found is None or not isinstance(found[1], Function):
            return None
        inner = [item for item in found[1].body if isinstance(item, Function)]
        return Code(found[0], inner[-1]) if inner else Code(found[0], found[1])

    def guards(self, target: Target | None, depth: int = _DEEP) -> bool:
        """Whether a dependency looks at a credential, itself or through what it depends on."""
        if isinstance(target, Scheme):
            return True
        if target is None or depth <= 0:
            return False
        if target.function not in self._guards:
            self._guards[target.function] = False
            self._guards[target.function] = reads_credential(target.module, target.function) or any(
                self.guards(item.target, depth - 1) for item in self.of(target.module, target.function)
            )
        return self._guards[target.function]

    @cached_property
    def dropped(self) -> list[tuple[Module, ast.Call, Target | None]]:
        """What stands in `dependencies=[…]` of routes, routers and applications: the result is dropped."""
        found: list[tuple[Module, ast.Call, Target | None]] = []
        for module in self.tree.modules:
            for call, _ in module.calls:
                given = keyword(call, "dependencies")
                if given is not None:
                    found += [(module, call, target) for target in self.listed(module, given)]
        return found

    def listed(self, module: Module, node: ast.expr, depth: int = 4) -> list[Target | None]:
        """The dependencies in a list, with names and unpacked lists followed."""
        if isinstance(node, (ast.Name, ast.Attribute)) and depth:
            constant = self.tree.constant(module, node)
            return self.listed(constant[0], constant[1], depth - 1) if constant else [None]
        if isinstance(node, ast.BinOp):
            return self.listed(module, node.left, depth) + self.listed(module, node.right, depth)
        if isinstance(node, ast.Starred):
            return self.listed(module, node.value, depth)
        if isinstance(node, ast.Call) and name_of(node.func) in _DEPENDS and node.args:
            return [self.resolve(module, node.args[0])]
        if isinstance(node, (ast.List, ast.Tuple)):
            found: list[Target | None] = []
            for item in node.elts:
                found += self.listed(module, item, depth) if depth else []
            return found
        return []

    @cached_property
    def used(self) -> list[tuple[Code, Module, Function | None, str]]:
        """Every use of a function of the tree as a dependency: what, where, by whom, under which name."""
        found: list[tuple[Code, Module, Function | None, str]] = [
            (target, module, None, "") for module, _, target in self.dropped if isinstance(target, Code)
        ]
        for module in self.tree.modules:
            for function in module.functions:
                found += [
                    (item.target, module, function, item.parameter)
                    for item in self.of(module, function)
                    if isinstance(item.target, Code)
                ]
        return found


def reads_credential(module: Module, function: Function) -> bool:
    """Whether a function takes a credential from the request itself."""
    arguments = function.args
    listed = [*arguments.posonlyargs, *arguments.args]
    defaults = [*zip(listed[len(listed) - len(arguments.defaults) :], arguments.defaults, strict=True)]
    defaults += [
        (item, value)
        for item, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if value is not None
    ]
    for item, value in defaults:
        if _is_credential_parameter(item.arg, value):
            return True
    for item in [*listed, *arguments.kwonlyargs]:
        if item.annotation is not None and any(
            isinstance(part, ast.Call) and _is_credential_parameter(item.arg, part)
            for part in ast.walk(item.annotation)
        ):
            return True
    return any(True for _ in hand_reads(module, function))


def _is_credential_parameter(name: str, node: ast.expr) -> bool:
    if not isinstance(node, ast.Call) or name_of(node.func) not in {"Header", "Cookie", "Query"}:
        return False
    alias = text_of(keyword(node, "alias")) or name
    return (
        alias.lower() in CREDENTIALS
        or alias.lower().replace("_", "-") in CREDENTIALS
        or (name_of(node.func) != "Query" and is_secret(name) and "csrf" not in words(alias))
    )


def hand_reads(module: Module, function: Function) -> Iterator[tuple[ast.AST, str]]:
    """Where a function reads a credential from `request.headers`, `cookies` or `query_params`."""
    for part in ast.walk(function):
        holder, given = None, None
        if isinstance(part, ast.Subscript):
            holder, given = part.value, part.slice
        elif (
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Attribute)
            and part.func.attr in {"get", "getlist"}
            and part.args
        ):
            holder, given = part.func.value, part.args[0]
        if not isinstance(holder, ast.Attribute) or holder.attr not in {"headers", "cookies", "query_params"}:
            continue
        if name_of(holder.value) in {"response", "resp", "r", "reply", "client", "self"}:
            continue
        if isinstance(given, ast.Name):
            given = module.constants.get(given.id, given)
        name = (text_of(given) or name_of(given)).lower()
        if (
            name in CREDENTIALS
            or name.replace("_", "-") in CREDENTIALS
            or (is_secret(name) and "csrf" not in words(name))
        ):
            yield part, name
