"""SRC113: certificates that nobody looks at, also where a wrapper, a constant or a setting says so."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auth_conformance.model import Severity
from auth_conformance.source.beyond import defaults, value_of
from auth_conformance.source.tree import Module, Spot
from auth_conformance.source.words import is_constant, listed, name_of

_CLIENTS = frozenset(("httpx", "requests", "aiohttp", "urllib3", "websockets", "httpcore"))
# What opens connections or sends a request, and the keywords with which it is told not to look.
_CALLS = listed(
    "get post put patch delete head options request stream send build_request Client AsyncClient Session ClientSession "
    "TCPConnector HTTPTransport AsyncHTTPTransport PoolManager ws_connect connect"
)
_SWITCHES = listed("verify verify_ssl ssl_verify")
_OF_AIOHTTP = listed("ssl")


def certificates(module: Module) -> Iterator[Spot]:
    """SRC113, per file: the certificate of the other side is not verified."""
    used = {name.partition(".")[0] for name in module.imports.values()}
    if used & _CLIENTS:
        for call, name in module.calls:
            last = name.rpartition(".")[2] or name_of(call.func)
            switches = _SWITCHES | (_OF_AIOHTTP if "aiohttp" in used else frozenset())
            given = next((item for item in call.keywords if item.arg in switches), None)
            how = _off(module, call, given.value) if last in _CALLS and given is not None else None
            if how is not None:
                yield module.spot("SRC113", call, f"{last} does not verify certificates{how}.", Severity.HIGH)
    if "ssl" in used:
        yield from _contexts(module)
    for node in module.nodes:
        if (
            used & _CLIENTS
            and isinstance(node, ast.Assign)
            and any(isinstance(item, ast.Attribute) and item.attr == "verify" for item in node.targets)
            and is_constant(node.value, value=False)
            and not _chosen(module, node)
        ):
            yield module.spot("SRC113", node, "The client does not verify certificates.", Severity.HIGH)


def _off(module: Module, call: ast.Call, value: ast.expr) -> str | None:
    """How verification is switched off: "" where it stands there, None where it is not."""
    if is_constant(value, value=False):
        return "" if not _chosen(module, call) else None
    function = module.function_of(call)
    usual = defaults(function) if function is not None else {}
    if isinstance(value, ast.Name) and function is not None:
        taken = {item.arg for item in ast.walk(function) if isinstance(item, ast.arg)}
        if value.id in taken:
            return f" unless `{value.id}` says so" if is_constant(usual.get(value.id), value=False) else None
    if not isinstance(value, (ast.Name, ast.Attribute)) or module.given(name_of(value), call):
        return None
    found = value_of(module, value)
    if found is None or not is_constant(found[1], value=False):
        return None
    return f": `{ast.unparse(value)}` is off"


def _contexts(module: Module) -> Iterator[Spot]:
    """Contexts of `ssl` that take whatever certificate they are shown."""
    for node in module.nodes:
        if (
            isinstance(node, ast.Assign)
            and module.dotted(node.value) == "ssl.CERT_NONE"
            and any(name_of(item) == "verify_mode" for item in node.targets)
        ):
            message = "A TLS context takes whatever certificate it is shown."
            chosen = _chosen(module, node) or _may_look(module, node)
            yield module.spot("SRC113", node, message, Severity.HIGH, note=chosen)
    for call, name in module.calls:
        if name == "ssl._create_unverified_context" and not _chosen(module, call):
            yield module.spot(
                "SRC113", call, "A TLS context takes whatever certificate it is shown.", Severity.HIGH
            )


def _may_look(module: Module, node: ast.Assign) -> bool:
    """Whether the function also gives the context a mode that looks: then somebody chooses."""
    return any(
        isinstance(part, ast.Assign)
        and module.dotted(part.value) in {"ssl.CERT_REQUIRED", "ssl.CERT_OPTIONAL"}
        and any(name_of(item) == "verify_mode" for item in part.targets)
        for part in ast.walk(module.function_of(node) or module.tree)
    )


def _chosen(module: Module, node: ast.AST) -> bool:
    """Whether it happens only where something is so, such as an option that somebody has to set."""
    function = module.function_of(node)
    for outer in module.above(node):
        if outer is function:
            return False
        if isinstance(outer, (ast.If, ast.IfExp, ast.Match)):
            return True
    return False
