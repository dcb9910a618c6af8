"""SRC106: secrets from generators that can be predicted, or with too little in them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auth_conformance.model import Severity
from auth_conformance.source.beyond import callers, defaults, returns_of
from auth_conformance.source.tree import Function, Module, Spot
from auth_conformance.source.words import (
    argument,
    is_about,
    is_secret,
    listed,
    mentions,
    name_of,
    words,
)

_RANDOM = listed("random randint randrange choice choices sample getrandbits uniform shuffle randbytes")
_UUIDS = frozenset(("uuid.uuid1", "uuid.uuid3", "uuid.uuid5"))
_CLOCKS = ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow")
_LEAST_BYTES = 16
# A password is guessed at a login or against a slow hash, and not as a token is against a fast one.
_LEAST_OF_PASSWORDS = 8
_SINKS = listed(
    "token tokens secret password passwd pwd otp salt nonce csrf pin sid apikey credential credentials code codes"
)


def chance(module: Module) -> Iterator[Spot]:
    """SRC106: secrets from generators that can be predicted, or with too little in them."""
    for call, name in module.calls:
        base, _, method = name.rpartition(".")
        kinds = {base.removesuffix("()"), *_made(module, call, base)}
        if kinds & {"secrets.SystemRandom", "random.SystemRandom"}:
            continue
        drawn = bool(kinds & {"random", "numpy.random", "np.random", "random.Random"})
        predictable = (drawn and method in _RANDOM) or name in _UUIDS
        seeded = base in {"random", "numpy.random"} and method == "seed"
        if predictable and (sink := _sink(module, call)):
            yield module.spot(
                "SRC106", call, f"`{sink}` comes from {name}, whose values can be predicted.", Severity.HIGH
            )
        elif drawn and _is_long_text(module, call, method):
            message = f"A text as long as a secret comes from {name}, whose values can be predicted."
            yield module.spot("SRC106", call, message, Severity.MEDIUM)
        elif seeded and any(
            word in _SINKS
            for function in [module.function_of(call)]
            if function
            for word in words(function.name)
        ):
            yield module.spot(
                "SRC106", call, f"{name} makes the values that follow predictable.", Severity.HIGH
            )
        elif base == "hashlib" and _is_of_time(module, call) and (sink := _sink(module, call)):
            message = f"`{sink}` is a digest of the time, which can be guessed."
            yield module.spot("SRC106", call, message, Severity.HIGH)
        elif name in {"secrets.token_hex", "secrets.token_urlsafe", "secrets.token_bytes", "os.urandom"}:
            yield from _short(module, call)
        elif name == "secrets.randbelow":
            limit = argument(call, 0, "exclusive_upper_bound")
            if (
                isinstance(limit, ast.Constant)
                and isinstance(limit.value, int)
                and limit.value <= 100_000
                and (sink := _sink(module, call))
            ):
                yield module.spot(
                    "SRC106", call, f"`{sink}` has only {limit.value} possible values.", Severity.MEDIUM
                )


def _made(module: Module, call: ast.Call, name: str) -> set[str]:
    """What makes the object of that name, in the function or in the file: `random = random.SystemRandom()`."""
    values = [*module.given(name, call), *module.given(name, module.tree)]
    return {module.dotted(value.func) for value in values if isinstance(value, ast.Call)}


def _is_of_time(module: Module, call: ast.Call) -> bool:
    """Whether what is hashed holds the time, and nothing that is drawn or kept secret."""
    called = [module.dotted(part.func) for part in ast.walk(call) if isinstance(part, ast.Call)]
    timed = any(name.endswith((*_CLOCKS,)) for name in called)
    drawn = any(name.startswith(("secrets.", "os.urandom", "uuid.uuid4")) for name in called)
    return timed and not drawn and not mentions(call, is_secret)


def _short(module: Module, call: ast.Call) -> Iterator[Spot]:
    size = argument(call, 0, "nbytes")
    if isinstance(size, ast.Constant) and isinstance(size.value, int) and size.value < _LEAST_BYTES:
        sink = _sink(module, call, own_name=False)
        named = set(words(sink or ""))
        typed = size.value >= _LEAST_OF_PASSWORDS and named & {"password", "passwd", "pwd"}
        if sink and not typed and not named & {"salt", "nonce"}:
            yield module.spot(
                "SRC106",
                call,
                f"`{sink}` holds {size.value * 8} random bits; 128 is the least.",
                Severity.MEDIUM,
            )


def _is_long_text(module: Module, call: ast.Call, method: str) -> bool:
    """Whether letters are drawn, as many as a secret has, for something whose name does not say what it is."""
    letters = argument(call, 0, "population" if method == "choices" else "seq")
    if letters is None or not any(module.dotted(part).startswith("string.") for part in ast.walk(letters)):
        return False
    counts: list[ast.expr | None] = [argument(call, 99, "k")] if method == "choices" else []
    for outer in module.above(call) if method == "choice" else ():
        if isinstance(outer, (ast.GeneratorExp, ast.ListComp)):
            ranges = [item.iter for item in outer.generators if isinstance(item.iter, ast.Call)]
            counts += [item.args[-1] for item in ranges if item.args and module.dotted(item.func) == "range"]
    function = module.function_of(call)
    usual = defaults(function) if function is not None else {}
    return any(
        isinstance(count, ast.Constant) and isinstance(count.value, int) and count.value >= _LEAST_BYTES
        for count in (usual.get(name_of(item), item) for item in counts)
    )


def _sink(module: Module, node: ast.AST, *, own_name: bool = True, depth: int = 2) -> str:
    """The secret-like name that a value flows into; "" when it is none."""
    handed = False
    for outer in module.above(node):
        match outer:
            case ast.Assign():
                name = _target(outer, node)
                if len(words(name)) > 1 and is_about(words(name)) and not _named(name):
                    return ""  # `secret_name` is what a secret is called, whatever returns it
                return _named(name) or (_of_returned(module, outer, name, depth) if own_name else "")
            case ast.AnnAssign(target=target):
                return _named(name_of(target))
            case ast.keyword(arg=str() as name):
                if _named(name):
                    return name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                return _of_function(module, outer, depth if handed else 0) if own_name else ""
            case ast.Return() if own_name:
                handed = True
            case ast.If() | ast.While() | ast.Expr():
                return ""
    return ""


def _target(outer: ast.Assign, node: ast.AST) -> str:
    """The name that is given the part of the value in which a node stands."""
    target = outer.targets[0]
    if isinstance(target, ast.Tuple) and isinstance(outer.value, ast.Tuple):
        pairs = zip(target.elts, outer.value.elts, strict=False)
        return name_of(next((one for one, value in pairs if node in ast.walk(value)), None))
    return name_of(target)


def _of_returned(module: Module, node: ast.AST, name: str, depth: int) -> str:
    """What the function returns as a secret that gives a value this name."""
    function = module.function_of(node)
    if function is None:
        return ""
    returned = any(
        name in {name_of(part) for part in ast.walk(value)} for value in returns_of(module, function)
    )
    return _of_function(module, function, depth) if returned else ""


def _of_function(module: Module, function: Function, depth: int) -> str:
    """The secret-like name of a function, or of what its result flows into where it is called, in whichever file."""
    if depth <= 0 or _named(function.name):
        return _named(function.name)
    sinks = (_sink(home, call, depth=depth - 1) for home, call in callers(module, function))
    return next((sink for sink in sinks if sink), "")


def _named(name: str) -> str:
    found = words(name)
    if not found:
        return ""
    if is_secret(name) or ("session" in found and found[-1] in {"id", "key"}):
        return name
    if (
        found[-1]
        in {
            "prefix",
            "id",
            "hint",
            "count",
            "delay",
            "jitter",
            "index",
            "name",
            "length",
            "seconds",
            "status",
        }
        or "status" in found
    ):
        return ""
    return (
        name
        if _SINKS & set(found)
        or (found[-1] == "key" and len(found) > 1 and found[0] in {"generate", "make", "new", "create"})
        else ""
    )
