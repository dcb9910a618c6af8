"""SRC113: settings and calls that open a service."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auth_conformance.model import Severity
from auth_conformance.source.beyond import bound, function_named
from auth_conformance.source.tree import Function, Module, Spot
from auth_conformance.source.words import (
    argument,
    is_constant,
    is_secret,
    keyword,
    listed,
    name_of,
    spreads,
    text_of,
    words,
)


def settings(module: Module) -> Iterator[Spot]:
    """SRC113: settings and calls that open a service."""
    for call, name in module.calls:
        last = name.rpartition(".")[2]
        for judge in (_debug, _cors, _trust, _cookie, _logging):
            yield from judge(module, call, name, last)
    yield from _configured(module)


# Settings of Flask and Django, and of what is used with them, that keep the cookie of a login from others.
_GUARDING = re.compile(r"(?:SESSION|REMEMBER|JWT|JWT_AUTH|AUTH|CSRF)_COOKIE_(?:SECURE|HTTPONLY)")
_EVERY_ORIGIN = ("CORS_ALLOW_ALL_ORIGINS", "CORS_ORIGIN_ALLOW_ALL")


def _configured(module: Module) -> Iterator[Spot]:
    """What is written into a configuration: names at the top of a file, members of `config`, and keywords."""
    found: dict[str, tuple[ast.AST, ast.expr]] = {}
    for node in module.nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            found[name_of(node.targets[0])] = (node, node.value)
        elif isinstance(node, ast.Call):
            found |= {
                item.arg: (node, item.value) for item in node.keywords if item.arg and item.arg.isupper()
            }
    for name, (node, value) in found.items():
        # A script must read the token of a form, so that cookie alone may do without HttpOnly.
        open_to_scripts = name == "CSRF_COOKIE_HTTPONLY"
        if _GUARDING.fullmatch(name) and is_constant(value, value=False) and not open_to_scripts:
            yield module.spot("SRC113", node, f"{name} is off.", Severity.MEDIUM)
    allowed = found.get("CORS_ALLOW_CREDENTIALS")
    credentials = allowed is not None and is_constant(allowed[1], value=True)
    for name in _EVERY_ORIGIN:
        if credentials and name in found and is_constant(found[name][1], value=True):
            message = (
                f"CORS allows credentials from every origin: {name} stands beside CORS_ALLOW_CREDENTIALS."
            )
            yield module.spot("SRC113", found[name][0], message, Severity.HIGH)


def _debug(module: Module, call: ast.Call, name: str, last: str) -> Iterator[Spot]:
    if last in {"FastAPI", "Starlette"} and is_constant(keyword(call, "debug"), value=True):
        yield module.spot("SRC113", call, f"{last}(debug=True) shows tracebacks to callers.", Severity.MEDIUM)
    if name == "uvicorn.run" and is_constant(keyword(call, "reload"), value=True):
        main = any(
            isinstance(outer, ast.If) and "__main__" in ast.unparse(outer.test)
            for outer in module.above(call)
        )
        message = "uvicorn.run(reload=True) is for development."
        yield module.spot("SRC113", call, message, Severity.LOW, note=main)


def _literals(module: Module, node: ast.expr | None) -> list[str]:
    if isinstance(node, ast.Name):
        node = module.constants.get(node.id)
    elif isinstance(node, ast.Attribute):
        node = module.members.get(node.attr)
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return [text for item in node.elts if (text := text_of(item)) is not None]
    text = text_of(node)
    return [] if text is None else [text]


def _with_middleware(call: ast.Call, last: str, wanted: str) -> bool:
    if last == wanted:
        return True
    return last in {"add_middleware", "Middleware"} and bool(call.args) and name_of(call.args[0]) == wanted


def _cors(module: Module, call: ast.Call, name: str, last: str) -> Iterator[Spot]:
    if name.startswith("flask_cors."):
        yield from _flask_cors(module, call)
    if not _with_middleware(call, last, "CORSMiddleware"):
        return
    credentials = is_constant(keyword(call, "allow_credentials"), value=True)
    pattern = next(iter(_literals(module, keyword(call, "allow_origin_regex"))), None)
    if "*" in _literals(module, keyword(call, "allow_origins")) and credentials:
        message = "CORS allows credentials from every origin: Starlette then reflects whatever asks."
        yield module.spot("SRC113", call, message, Severity.HIGH)
    if pattern is not None and (fault := _loose(pattern)):
        yield module.spot(
            "SRC113", call, f"allow_origin_regex {fault}.", Severity.HIGH if credentials else Severity.MEDIUM
        )


def _flask_cors(module: Module, call: ast.Call) -> Iterator[Spot]:
    """Flask-CORS allows every origin where none is named, and reflects it beside credentials."""
    given = keyword(call, "origins")
    every = given is None and not spreads(call) and keyword(call, "resources") is None
    if is_constant(keyword(call, "supports_credentials"), value=True) and (
        every or {"*", ".*"} & set(_literals(module, given))
    ):
        message = "CORS allows credentials from every origin: Flask-CORS then reflects whatever asks."
        yield module.spot("SRC113", call, message, Severity.HIGH)


def _loose(pattern: str) -> str:
    if re.fullmatch(r"\^?(?:https\?://|https?://)?(?:\(?\.[*+]\??\)?)\$?", pattern):
        return "matches every origin"
    host = pattern.partition("://")[2]
    if re.search(r"(?<![\\\]])\.(?![*+?{])", re.sub(r"\[[^\]]*\]", "x", host)):
        return "has a dot that stands for any character: escape it"
    if re.search(r"\.[*+](?!\\?\.)[A-Za-z]|\.[*+]\\\.[?*]", host):
        return "lets anything stand before the domain, look-alikes included: write `.*\\.` or name the hosts"
    return ""


def _trust(module: Module, call: ast.Call, name: str, last: str) -> Iterator[Spot]:
    if _with_middleware(call, last, "TrustedHostMiddleware") and "*" in _literals(
        module, keyword(call, "allowed_hosts")
    ):
        yield module.spot("SRC113", call, "TrustedHostMiddleware trusts every host.", Severity.MEDIUM)
    if _with_middleware(call, last, "ProxyHeadersMiddleware") and "*" in _literals(
        module, keyword(call, "trusted_hosts")
    ):
        yield module.spot("SRC113", call, "Forwarding headers are believed from everywhere.", Severity.MEDIUM)
    if name == "uvicorn.run" and text_of(keyword(call, "forwarded_allow_ips")) == "*":
        yield module.spot("SRC113", call, "Forwarding headers are believed from everywhere.", Severity.MEDIUM)
    if _with_middleware(call, last, "SessionMiddleware") and not spreads(call):
        secure = keyword(call, "https_only")
        if secure is None or is_constant(secure, value=False):
            yield module.spot(
                "SRC113",
                call,
                "SessionMiddleware sends its cookie over plain HTTP too: https_only is off.",
                Severity.MEDIUM,
            )


_CREDENTIAL_COOKIE = listed("session sessionid sid token auth jwt access refresh remember login bearer")


def _cookie(module: Module, call: ast.Call, name: str, last: str) -> Iterator[Spot]:
    del name
    if last != "set_cookie" or spreads(call):
        return
    key = argument(call, 0, "key")
    if isinstance(key, ast.Name):
        key = module.constants.get(key.id, key)
    fixed = [part for item in getattr(key, "values", []) if (part := text_of(item))]
    text = text_of(key) or " ".join(fixed) or name_of(key)
    if not _CREDENTIAL_COOKIE & set(words(text)) or {"csrf", "xsrf"} & set(words(text)):
        return
    missing = [
        flag
        for flag in ("secure", "httponly")
        if keyword(call, flag) is None or is_constant(keyword(call, flag), value=False)
    ]
    if missing:
        yield module.spot(
            "SRC113", call, f"The cookie {text} is set without {' and '.join(missing)}.", Severity.MEDIUM
        )


# Members of a text; whatever has others is an object, and shows what its `__repr__` says.
_OF_TEXTS = frozenset(dir(str)) | frozenset(dir(bytes))
_MASKED = listed("log masked redacted obfuscated hidden censored sanitized")


def _is_object(module: Module, node: ast.expr) -> bool:
    """Whether what is logged is a row or a record and no text, or was made fit for a log."""
    function = module.function_of(node)
    if _MASKED & set(words(name_of(node))):
        return True
    return isinstance(node, ast.Name) and any(
        isinstance(part, ast.Attribute)
        and isinstance(part.value, ast.Name)
        and part.value.id == node.id
        and part.attr not in _OF_TEXTS
        for part in ast.walk(function or module.tree)
    )


_LEVELS = listed("debug info warning warn error exception critical log print")


def _logging(module: Module, call: ast.Call, name: str, last: str) -> Iterator[Spot]:
    if _logs(name, last):
        told = [*call.args, *(item.value for item in call.keywords if item.arg != "extra")]
        written = [("", part) for given in told for part in _parts(given)]
    else:
        written = _recorded(module, call)
    for called, part in written:
        if (
            isinstance(part, (ast.Name, ast.Attribute, ast.Subscript))
            and (is_secret(name_of(part)) or is_secret(called))
            and not name_of(part).isupper()
            and not _is_object(module, part)
        ):
            yield module.spot(
                "SRC113", call, f"`{ast.unparse(part)}` is written to the log.", Severity.MEDIUM
            )
            return


def _logs(name: str, last: str) -> bool:
    logger = name.rpartition(".")[0].rpartition(".")[2].lower()
    return last in _LEVELS and ("log" in logger or name == "print" or logger == "logging")


def _parts(given: ast.expr) -> list[ast.expr]:
    """What a message is made of, or holds: the parts of a text, what is added or filled in, values of a mapping."""
    match given:
        case ast.JoinedStr(values=values):
            return [item.value for item in values if isinstance(item, ast.FormattedValue)]
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod(), right=right):
            return [part for side in (left, right) for part in _parts(side)]
        case ast.Call(func=ast.Attribute(attr="format"), args=args, keywords=keywords):
            return [*args, *(item.value for item in keywords)]
        case ast.Dict(values=values):
            return [*values]
        case ast.Tuple(elts=elts):
            return [*elts]
        case _:
            return [given]


def _recorded(module: Module, call: ast.Call) -> list[tuple[str, ast.expr]]:
    """What a function of the service is given and writes to the log, each with the name that it is given by."""
    found = function_named(module, call.func)
    if found is None:
        return []
    home, function = found
    key = ("what it logs", function)
    if key not in module.whole.memo:
        module.whole.memo[key] = _logged(home, function)
    written: list[tuple[str, ast.expr]] = []
    for taken, value in bound(function, call).items():
        if taken in module.whole.memo[key]:
            pairs = (
                zip(value.keys, value.values, strict=True) if isinstance(value, ast.Dict) else [(None, value)]
            )
            written += [(text_of(name) or "", item) for name, item in pairs]
    return written


def _logged(module: Module, function: Function) -> set[str]:
    """The parameters of a function that go to the log as they are: no digest, length or part of them."""
    given = function.args
    taken = {item.arg for item in [*given.posonlyargs, *given.args, *given.kwonlyargs]}
    taken |= {item.arg for item in (given.vararg, given.kwarg) if item is not None}
    found: set[str] = set()
    for part in ast.walk(function):
        if isinstance(part, ast.Call):
            name = module.dotted(part.func)
            if _logs(name, name.rpartition(".")[2] or name_of(part.func)):
                found |= {item for given in [*part.args, *part.keywords] for item in _shown(given, taken)}
    return found


# Calls that put texts together, or leave them as they are.
_SHOWING = listed("join sorted items values format repr str dict list tuple dumps")


def _shown(node: ast.AST, taken: set[str]) -> Iterator[str]:
    if isinstance(node, ast.Name) and node.id in taken:
        yield node.id
    elif not isinstance(node, ast.Call) or name_of(node.func) in _SHOWING or _called(node) in _SHOWING:
        for inner in ast.iter_child_nodes(node):
            yield from _shown(inner, taken)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else ""
