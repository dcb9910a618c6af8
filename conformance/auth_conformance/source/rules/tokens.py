"""SRC103: every call that decodes a JWT fixes the algorithms, verifies, and requires an expiry."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auth_conformance.model import Severity
from auth_conformance.source.beyond import bound, callers, defaults, returned, value_of
from auth_conformance.source.tree import Function, Module, Spot, Tree
from auth_conformance.source.words import argument, is_constant, keyword, name_of, spreads, text_of

LIBRARIES = frozenset(("jwt", "jose", "joserfc", "authlib", "jwcrypto", "python_jwt"))
LONGEST_LEEWAY = 300
_PYJWT = (
    "jwt.decode",
    "jwt.decode_complete",
    "jwt.api_jwt.decode",
    "jwt.api_jwt.decode_complete",
    "jwt.PyJWT().decode",
    "jwt.PyJWT().decode_complete",
)
_UNVERIFIED = ("get_unverified_claims", "get_unverified_payload")
_HEADERS = ("get_unverified_header", "get_unverified_headers", "extract_header")
# What is said of a look at claims that is followed by no verification in the same file.
UNREAD, UNVERIFIED = (
    "Claims are read from a token that nothing here verifies.",
    "does not verify the signature.",
)
# Claims that name a record.
_HANDLES = frozenset(("jti", "sid"))
# Header members with which a token would bring its own key.
_KEYS = frozenset(("jwk", "jku", "x5c", "x5u"))


def decoding(module: Module) -> Iterator[Spot]:
    """SRC103, per file. Files that import no JWT library are not looked at."""
    if not LIBRARIES & {name.partition(".")[0] for name in module.imports.values()}:
        return
    for call, name in module.calls:
        library = _library(module, call, name)
        if library:
            yield from _decode(module, call, name, library)
        elif name.rpartition(".")[2] in _UNVERIFIED and name.partition(".")[0] in LIBRARIES:
            function = module.function_of(call)
            if function is None or not _verifies(module, function, call):
                yield module.spot("SRC103", call, UNREAD, Severity.CRITICAL)
        elif name.rpartition(".")[2] == "JsonWebToken":
            yield from _listed(module, call, argument(call, 0, "algorithms"))


def _library(module: Module, call: ast.Call, name: str) -> str:
    if name in _PYJWT or (
        name.endswith((".decode", ".decode_complete")) and _is_pyjwt_instance(module, call)
    ):
        return "pyjwt"
    if name in {"jose.jwt.decode", "jose.jws.verify"}:
        return "jose"
    if name.startswith("authlib.jose") and name.endswith("jwt.decode"):
        return "authlib"
    return "joserfc" if name == "joserfc.jwt.decode" else ""


def _is_pyjwt_instance(module: Module, call: ast.Call) -> bool:
    target = call.func.value if isinstance(call.func, ast.Attribute) else None
    wanted = name_of(target)
    return bool(wanted) and any(
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and module.dotted(node.value.func) == "jwt.PyJWT"
        and any(name_of(item) == wanted for item in node.targets)
        for node in module.nodes
    )


def _decode(module: Module, call: ast.Call, name: str, library: str) -> Iterator[Spot]:
    options = _options(module, call)
    unverified = is_constant(options.get("verify_signature"), value=False) or is_constant(
        keyword(call, "verify"), value=False
    )
    if unverified or (library == "authlib" and is_constant(argument(call, 1, "key"), None)):
        if not _verifies(module, module.function_of(call), call):
            yield module.spot("SRC103", call, f"{name} {UNVERIFIED}", Severity.CRITICAL)
        return
    if _off_by_default(module, call, options):
        message = f"{name} does not verify the signature unless it is told to."
        yield module.spot("SRC103", call, message, Severity.HIGH)
        return
    yield from _told_not_to(module, call, options)
    yield from _algorithms(module, call, name, library)
    if _from_header(module, argument(call, 1, "key")) & _KEYS:
        yield module.spot(
            "SRC103", call, f"The key of {name} comes from the token itself.", Severity.CRITICAL
        )
    yield from _claims(module, call, name, library, options)


def _options(module: Module, call: ast.Call) -> dict[str, ast.expr]:
    """The members of `options`, with a constant of the module and one spread level followed."""
    found: dict[str, ast.expr] = {}
    for one in (_made(module, call), call):
        node = keyword(one, "options") if one is not None else None
        if isinstance(node, (ast.Name, ast.Attribute)):
            node = _assigned(module, node) or node
        found |= _members(module, node)
    return found


def _made(module: Module, call: ast.Call) -> ast.Call | None:
    """The call that made the decoder: `jwt.PyJWT(options=...)`."""
    holder = call.func.value if isinstance(call.func, ast.Attribute) else None
    if isinstance(holder, (ast.Name, ast.Attribute)):
        holder = _assigned(module, holder)
    return holder if isinstance(holder, ast.Call) and module.dotted(holder.func) == "jwt.PyJWT" else None


def _members(module: Module, node: ast.expr | None) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    if isinstance(node, ast.Call) and name_of(node.func) == "dict" and not node.args and not spreads(node):
        return {item.arg: item.value for item in node.keywords if item.arg}
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if (text := text_of(key)) is not None:
                found[text] = value
            elif key is None:
                inner = _assigned(module, value) if isinstance(value, (ast.Name, ast.Attribute)) else value
                if isinstance(inner, ast.Dict):
                    found |= {
                        text: part
                        for item, part in zip(inner.keys, inner.values, strict=True)
                        if (text := text_of(item))
                    }
    elif node is not None and not is_constant(node, None):
        found["?"] = node
    return found


def _assigned(module: Module, node: ast.expr) -> ast.expr | None:
    """What a name was last given before: in the same function, else at the top of this module or of another."""
    wanted = name_of(node)
    if module.function_of(node) is not None:
        values = [value for value in module.given(wanted, node) if value.lineno <= node.lineno]
        if values:
            return values[-1]
    if isinstance(node, ast.Attribute):
        here = next(
            (
                part.value
                for part in module.nodes
                if isinstance(part, (ast.Assign, ast.AnnAssign))
                and part.value is not None
                and name_of(part.targets[0] if isinstance(part, ast.Assign) else part.target) == wanted
            ),
            None,
        )
        return here if here is not None else _elsewhere(module, node)
    return module.constants.get(wanted) or _elsewhere(module, node)


def _elsewhere(module: Module, node: ast.expr) -> ast.expr | None:
    """What another file, or a class of settings, gives a name that is no parameter here."""
    function = module.function_of(node)
    taken = {item.arg for item in ast.walk(function) if isinstance(item, ast.arg)} if function else set()
    found = None if isinstance(node, ast.Name) and node.id in taken else value_of(module, node)
    return found[1] if found is not None else None


def _algorithms(module: Module, call: ast.Call, name: str, library: str) -> Iterator[Spot]:
    if library == "authlib":
        return
    given = argument(call, 2, "algorithms")
    if given is None and not spreads(call):
        if library == "jose":
            yield module.spot(
                "SRC103",
                call,
                f"{name} is given no algorithms and takes what the token says.",
                Severity.CRITICAL,
            )
        return
    if given is not None and library == "jose" and is_constant(given, None):
        yield module.spot(
            "SRC103", call, f"{name} is given no algorithms and takes what the token says.", Severity.CRITICAL
        )
        return
    yield from _listed(module, call, given)


def _listed(module: Module, call: ast.Call, given: ast.expr | None) -> Iterator[Spot]:
    if given is None:
        return
    if "alg" in _from_header(module, given):
        yield module.spot("SRC103", call, "The token's own header chooses the algorithm.", Severity.CRITICAL)
        return
    names = _texts(module, given)
    symmetric = [item for item in names if item.upper().startswith("HS")]
    asymmetric = [item for item in names if item.upper()[:2] in {"RS", "ES", "PS", "ED"}]
    if any(item.lower() == "none" for item in names):
        yield module.spot("SRC103", call, "The accepted algorithms contain none.", Severity.CRITICAL)
    elif symmetric and asymmetric:
        message = (
            f"{symmetric[0]} is accepted beside {asymmetric[0]}: a public key may then pass for a secret."
        )
        yield module.spot("SRC103", call, message, Severity.CRITICAL)


def _texts(module: Module, node: ast.expr | None, depth: int = 3) -> list[str]:
    """The texts in a list, with its name followed: `settings.algorithms`, `ALLOWED.split(",")`, `list(ALLOWED)`."""
    if node is None or depth < 0:
        return []
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        # One that comes from the settings may be another where the service runs.
        return [text for item in node.elts if (text := text_of(item))]
    if isinstance(node, (ast.Name, ast.Attribute)):
        inner = _assigned(module, node)
        return [] if inner is node else _texts(module, inner, depth - 1)
    if isinstance(node, ast.Call) and name_of(node.func) in {"list", "tuple", "set", "sorted", "frozenset"}:
        return _texts(module, argument(node, 0, "iterable"), depth - 1)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "split":
        return _texts(module, node.func.value, depth - 1)
    return [part.strip() for part in (text_of(node) or "").split(",") if part.strip()]


def _from_header(module: Module, node: ast.expr | None, depth: int = 3) -> set[str]:
    """The members of an unverified header that a value is made of."""
    if node is None or depth < 0:
        return set()
    found: set[str] = set()
    for part in ast.walk(node):
        for home, value in returned(module, part) if isinstance(part, ast.Call) else ():
            found |= _from_header(home, value, depth - 1)
        holder, member = None, None
        if isinstance(part, ast.Subscript):
            holder, member = part.value, text_of(part.slice)
        elif (
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Attribute)
            and part.func.attr == "get"
            and part.args
        ):
            holder, member = part.func.value, text_of(part.args[0])
        if holder is not None and member is not None and _is_header(module, holder):
            found.add(member)
        elif isinstance(part, ast.Name):
            inner = _assigned(module, part)
            if (
                inner is not None
                and inner is not node
                and part.id not in {name_of(item) for item in ast.walk(inner)}
            ):
                found |= _from_header(module, inner, depth - 1)
    return found


def _is_header(module: Module, node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        inner = _assigned(module, node)
        return inner is not None and not isinstance(inner, ast.Name) and _is_header(module, inner)
    if not isinstance(node, ast.Call):
        return False
    called = module.dotted(node.func).rpartition(".")[2] in _HEADERS
    return called or any(
        isinstance(value, ast.Call) and home.dotted(value.func).rpartition(".")[2] in _HEADERS
        for home, value in returned(module, node)
    )


def _verifies(module: Module, function: Function | None, peek: ast.Call | None) -> bool:
    """Whether the same function also decodes with verification: then the first look only chose a key."""
    if function is None:
        return False
    for part in ast.walk(function):
        if not isinstance(part, ast.Call) or part is peek:
            continue
        name = module.dotted(part.func)
        if _library(module, part, name):
            options = _options(module, part)
            if not is_constant(options.get("verify_signature"), value=False) and not is_constant(
                keyword(part, "verify"), value=False
            ):
                return True
    return False


def _off_by_default(module: Module, call: ast.Call, options: dict[str, ast.expr]) -> bool:
    """Whether a parameter decides, and its default is not to verify."""
    given, function = options.get("verify_signature") or keyword(call, "verify"), module.function_of(call)
    if not isinstance(given, ast.Name) or function is None:
        return False
    return is_constant(defaults(function).get(given.id), value=False)


def _told_not_to(module: Module, call: ast.Call, options: dict[str, ast.expr]) -> Iterator[Spot]:
    """Who tells a function of the service to decode without looking at the signature: `read(token, verify=False)`."""
    given, function = options.get("verify_signature") or keyword(call, "verify"), module.function_of(call)
    if not isinstance(given, ast.Name) or function is None:
        return
    for home, outer in callers(module, function):
        if is_constant(bound(function, outer).get(given.id), value=False) and not _verifies(
            home, home.function_of(outer), outer
        ):
            yield home.spot("SRC103", outer, f"{function.name} {UNVERIFIED}", Severity.CRITICAL)


def is_peek(spot: Spot) -> bool:
    """Whether it says that a token is read unverified, which other files may excuse."""
    return spot.code == "SRC103" and spot.message.endswith((UNREAD, UNVERIFIED))


def only_peeks(tree: Tree, module: Module, spot: Spot) -> bool:
    """Whether what reads a token unverified, or all who call it, also call what verifies, in whichever file.

    Libraries look for the issuer or the key first, in a function of its own.
    """
    if not is_peek(spot):
        return False
    around = [
        item for item in module.functions if item.lineno <= spot.line <= (item.end_lineno or item.lineno)
    ]
    if not around:
        return False
    function = max(around, key=lambda item: item.lineno)
    if _leads_to_verifying(tree, module, function):
        return True
    callers = [
        (outer, caller)
        for outer in tree.modules
        for call, _ in outer.calls
        if name_of(call.func) == function.name and (caller := outer.function_of(call)) is not None
    ]
    return bool(callers) and all(_leads_to_verifying(tree, outer, caller) for outer, caller in callers)


def _leads_to_verifying(tree: Tree, module: Module, function: Function, depth: int = 2) -> bool:
    if _verifies(module, function, None):
        return True
    called = {
        name_of(part.func)
        for part in ast.walk(function)
        if isinstance(part, ast.Call) and module.dotted(part.func).partition(".")[0] not in LIBRARIES
    } - {function.name, ""}
    return depth > 0 and any(
        item.name in called and _leads_to_verifying(tree, outer, item, depth - 1)
        for outer in tree.modules
        for item in outer.functions
    )


def _by_hand(module: Module, options: dict[str, ast.expr]) -> bool:
    """Whether a token has to say when it ends, and this file compares that with something: often with its own clock."""
    required = [text_of(item) for item in getattr(options.get("require"), "elts", [])]
    return "exp" in required and any(
        isinstance(part, ast.Compare) and "exp" in {name_of(side) for side in (part.left, *part.comparators)}
        for part in module.nodes
    )


def _claims(
    module: Module, call: ast.Call, name: str, library: str, options: dict[str, ast.expr]
) -> Iterator[Spot]:
    function = module.function_of(call) or module.tree
    reads = _read_claims(function)
    if library in {"authlib", "joserfc"} and reads and reads <= _HANDLES:
        return  # only the name of a record is read: what that says of the expiry decides
    if library in {"authlib", "joserfc"} and "exp" not in reads and not _validates(module):
        yield module.spot(
            "SRC103", call, f"{name} checks no claim, and nothing validates them afterwards.", Severity.HIGH
        )
        return
    if (
        is_constant(options.get("verify_exp"), value=False)
        and "exp" not in reads
        and not _by_hand(module, options)
    ):
        yield module.spot("SRC103", call, f"{name} does not verify the expiry.", Severity.HIGH)
        return
    for claim, word in (("aud", "audience"), ("iss", "issuer"), ("nbf", "start")):
        if (
            is_constant(options.get(f"verify_{claim}"), value=False)
            and claim not in reads
            and _sets(module, claim)
        ):
            yield module.spot(
                "SRC103",
                call,
                f"{name} does not verify the {word}, although tokens carry one.",
                Severity.HIGH,
            )
    seconds = _seconds(keyword(call, "leeway"))
    if seconds > LONGEST_LEEWAY:
        yield module.spot("SRC103", call, f"{name} allows {seconds:g} s after the expiry.", Severity.HIGH)
    # Whether it is there may be looked at in another function of the file.
    if "exp" not in _read_claims(module.tree) and not _requires_exp(module, options, library):
        yield module.spot("SRC103", call, f"{name} does not require a token to have an expiry.", Severity.LOW)


def _validates(module: Module) -> bool:
    # Both libraries leave the claims to a second call, which may stand in another function of the module.
    return any(name.endswith((".validate", ".validate_exp")) for _, name in module.calls)


def _has_registry(module: Module, library: str) -> bool:
    """Whether it is this file that says which claims are wanted."""
    if library == "joserfc":
        return any(name.endswith("ClaimsRegistry") for _, name in module.calls)
    return not any(keyword(call, "claims_cls") for call, name in module.calls if name.endswith("jwt.decode"))


def _seconds(node: ast.expr | None) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return float(node.value)
    if isinstance(node, ast.Call) and name_of(node.func) == "timedelta":
        factors = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
        return sum(
            factors.get(item.arg or "", 0) * float(item.value.value)
            for item in node.keywords
            if isinstance(item.value, ast.Constant) and isinstance(item.value.value, (int, float))
        )
    return 0.0


def _read_claims(function: ast.AST) -> set[str]:
    """The claims that a function looks at itself."""
    found: set[str] = set()
    for part in ast.walk(function):
        if (
            (
                isinstance(part, ast.Subscript)
                and isinstance(part.ctx, ast.Load)
                and (text := text_of(part.slice))
            )
            or (
                isinstance(part, ast.Call)
                and isinstance(part.func, ast.Attribute)
                and part.func.attr == "get"
                and part.args
                and (text := text_of(part.args[0]))
            )
            or (
                isinstance(part, ast.Compare)
                and isinstance(part.ops[0], (ast.In, ast.NotIn))
                and (text := text_of(part.left))
            )
        ):
            found.add(text)
    return found


def _sets(module: Module, claim: str) -> bool:
    return any(
        isinstance(node, ast.Dict) and any(text_of(key) == claim for key in node.keys)
        for node in module.nodes
    )


def _requires_exp(module: Module, options: dict[str, ast.expr], library: str) -> bool:
    if "?" in options:
        return True
    if library in {"authlib", "joserfc"}:
        # A class of claims that stands in another file says there which ones it wants.
        return not _has_registry(module, library) or any(
            text_of(part) == "essential" or (isinstance(part, ast.keyword) and part.arg == "exp")
            for part in module.nodes
        )
    required = options.get("require")
    if isinstance(required, (ast.Name, ast.Attribute)):
        required = _assigned(module, required)
    if required is not None:
        texts = [text_of(part) for part in ast.walk(required)]
        return "exp" in texts or not any(texts)
    return is_constant(options.get("require_exp"), value=True)
