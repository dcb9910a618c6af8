"""Calls that weaken a service whatever its design: SRC104 hashing, SRC106 chance, SRC113 settings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auth_conformance.model import Severity
from auth_conformance.source.tree import Module, Spot, Tree
from auth_conformance.source.words import (
    argument,
    is_constant,
    is_password,
    is_secret,
    keyword,
    listed,
    mentions,
    name_of,
    spreads,
    text_of,
    words,
)

SLOW = (
    "bcrypt.", "argon2.", "passlib.", "pwdlib.", "hashlib.scrypt", "hashlib.pbkdf2_hmac", "werkzeug.security",
    "fastapi_users.", "django.contrib.auth", "nacl.pwhash", "scrypt.", "cryptography.hazmat.primitives.kdf",
    "libpass.", "flask_bcrypt.",
)  # fmt: skip
_FAST = listed("md5 sha1 sha224 sha256 sha384 sha512 sha3_224 sha3_256 sha3_384 sha3_512 blake2b blake2s new")
_BROKEN = frozenset(("md5", "sha1"))
_WEAK_SCHEMES = re.compile(
    r"plaintext|^(?:ldap_)?(?:salted_)?(?:hex_)?(?:md5|sha1|md4|lmhash|nthash)|md5_crypt|sha1_crypt|des_crypt|mysql323"
)
_PBKDF2_LEAST = {"sha1": 1_300_000, "sha256": 600_000, "sha512": 210_000}
_BCRYPT_LEAST = 10
_ROUNDS = ("rounds", "default_rounds", "max_rounds")

_RANDOM = listed("random randint randrange choice choices sample getrandbits uniform shuffle randbytes")
_UUIDS = frozenset(("uuid.uuid1", "uuid.uuid3", "uuid.uuid5"))
_CLOCKS = ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow")
_LEAST_BYTES = 16
_SINKS = listed(
    "token tokens secret password passwd pwd otp salt nonce csrf pin sid apikey credential credentials code codes"
)


def hashing(module: Module) -> Iterator[Spot]:
    """SRC104, per file: how passwords and keys are hashed."""
    for call, name in module.calls:
        yield from _fast_hash(module, call, name)
        yield from _fed(module, call)
        yield from _weak_parameters(module, call, name)


def _fed(module: Module, call: ast.Call) -> Iterator[Spot]:
    """`digest.update(password)`, where the digest is a fast one."""
    function = module.function_of(call)
    fed = isinstance(call.func, ast.Attribute) and call.func.attr == "update" and bool(call.args)
    if not fed or function is None or not mentions(call.args[0], is_password) or _slow_nearby(module, call):
        return
    holder = name_of(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    for part in ast.walk(function):
        if not isinstance(part, ast.Assign) or not isinstance(part.value, ast.Call):
            continue
        base, _, method = module.dotted(part.value.func).rpartition(".")
        if base == "hashlib" and method in _FAST and holder in {name_of(item) for item in part.targets}:
            message = f"A password is hashed with {method}, which is fast to try."
            yield module.spot("SRC104", call, message, Severity.HIGH)
            return


def _fast_hash(module: Module, call: ast.Call, name: str) -> Iterator[Spot]:
    base, _, method = name.rpartition(".")
    if base == "hmac" and method in {"new", "digest"}:
        given = argument(call, 1, "msg")
        if given is not None and mentions(given, is_password) and not _slow_nearby(module, call):
            yield module.spot(
                "SRC104", call, "A password is only run through an HMAC, which is fast to try.", Severity.HIGH
            )
        return
    if base != "hashlib" or method not in _FAST:
        return
    algorithm = text_of(argument(call, 0, "name")) or "" if method == "new" else method
    given = argument(call, 1 if method == "new" else 0, "data")
    if given is None or is_ranged(module, call):
        return
    if mentions(given, is_password) and not _slow_nearby(module, call):
        yield module.spot(
            "SRC104",
            call,
            f"A password is hashed with {algorithm or 'a fast digest'}, which is fast to try.",
            Severity.HIGH,
        )
    elif (
        algorithm.lower() in _BROKEN
        and mentions(given, is_secret)
        and not is_constant(keyword(call, "usedforsecurity"), value=False)
    ):
        yield module.spot(
            "SRC104", call, f"A secret is hashed with {algorithm}, which is broken.", Severity.HIGH
        )


def _slow_nearby(module: Module, node: ast.AST) -> bool:
    """Whether the same function, or one that calls it in this file, also calls a password hash.

    Then the fast one only shortens its input, or adds a pepper to it.
    """
    function = module.function_of(node)
    if function is None:
        return False
    callers = {
        caller
        for call, name in module.calls
        if name.rpartition(".")[2] == function.name and (caller := module.function_of(call)) is not None
    }
    return any(
        isinstance(part, ast.Call) and _is_slow(module, part)
        for around in (function, *callers)
        for part in ast.walk(around)
    )


def _is_slow(module: Module, call: ast.Call) -> bool:
    name = module.dotted(call.func)
    return name.startswith(SLOW) or any(
        word in name.lower() for word in ("pwd_context", "password_hash.", "hasher.hash", "bcrypt", "argon2")
    )


def is_ranged(module: Module, node: ast.AST) -> bool:
    """Whether a digest is for a look-up among breached passwords, whose protocol sends the start of a SHA-1."""
    function = module.function_of(node)
    return function is not None and any(
        "pwnedpasswords" in (text_of(part) or "")
        for part in [*ast.walk(function), *module.constants.values()]
    )


def _weak_parameters(module: Module, call: ast.Call, name: str) -> Iterator[Spot]:
    last = name.rpartition(".")[2]
    if name == "bcrypt.gensalt":
        rounds = argument(call, 0, "rounds")
        if (
            isinstance(rounds, ast.Constant)
            and isinstance(rounds.value, int)
            and rounds.value < _BCRYPT_LEAST
        ):
            yield module.spot(
                "SRC104",
                call,
                f"bcrypt runs with cost {rounds.value}; {_BCRYPT_LEAST} is the least.",
                Severity.HIGH,
            )
    elif name == "hashlib.pbkdf2_hmac":
        count, digest = argument(call, 3, "iterations"), text_of(argument(call, 0, "hash_name")) or "sha256"
        least = _PBKDF2_LEAST.get(digest.lower().replace("-", ""), 0)
        if isinstance(count, ast.Constant) and isinstance(count.value, int) and count.value < least:
            yield module.spot(
                "SRC104",
                call,
                f"PBKDF2 runs {count.value} times over {digest}; {least} is the least.",
                Severity.HIGH,
            )
    elif name.startswith("passlib.hash."):
        scheme = name.split(".")[2]
        if last in {"hash", "encrypt", "using"} and _WEAK_SCHEMES.search(scheme):
            yield module.spot("SRC104", call, f"A password is hashed with {scheme}.", Severity.HIGH)
    elif last == "CryptContext":
        rounds = next(
            (keyword(call, f"bcrypt__{word}") for word in _ROUNDS if keyword(call, f"bcrypt__{word}")), None
        )
        if (
            isinstance(rounds, ast.Constant)
            and isinstance(rounds.value, int)
            and rounds.value < _BCRYPT_LEAST
        ):
            message = f"bcrypt runs with cost {rounds.value}; {_BCRYPT_LEAST} is the least."
            yield module.spot("SRC104", call, message, Severity.HIGH)
        schemes = argument(call, 0, "schemes")
        listed = schemes.elts if isinstance(schemes, (ast.List, ast.Tuple)) else [schemes]
        weak = [text for item in listed if (text := text_of(item)) and _WEAK_SCHEMES.search(text)]
        deprecated = keyword(call, "deprecated")
        old = {text_of(item) for item in getattr(deprecated, "elts", [])}
        auto = text_of(deprecated) == "auto" or "auto" in old
        accused = [text for text in weak if text not in old and not (auto and text != text_of(listed[0]))]
        if accused:
            yield module.spot(
                "SRC104", call, f"Passwords may be hashed with {', '.join(accused)}.", Severity.HIGH
            )


def raw_storage(tree: Tree) -> Iterator[Spot]:
    """SRC104, whole tree: a password or key that is put into a table as it came, and bcrypt's 72 bytes."""
    tables = {
        node.name
        for module in tree.modules
        for node in module.nodes
        if isinstance(node, ast.ClassDef) and _is_table(node)
    }
    for module in tree.modules:
        for call, name in module.calls:
            if name.rpartition(".")[2] in tables:
                yield from _raw_members(module, call, name.rpartition(".")[2])
            if name == "bcrypt.hashpw" and not _guards_72(module, call):
                message = (
                    "bcrypt sees 72 bytes and no more, and nothing here bounds or shortens the password."
                )
                yield module.spot("SRC104", call, message, Severity.MEDIUM)


def _is_table(node: ast.ClassDef) -> bool:
    named = any(
        isinstance(item, (ast.Assign, ast.AnnAssign))
        and name_of(item.targets[0] if isinstance(item, ast.Assign) else item.target) == "__tablename__"
        for item in node.body
    )
    return named or any(item.arg == "table" and is_constant(item.value, value=True) for item in node.keywords)


def _raw_members(module: Module, call: ast.Call, table: str) -> Iterator[Spot]:
    for item in call.keywords:
        if item.arg is None or not _PASSWORDISH.search(item.arg):
            continue
        value = item.value
        if (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Attribute)
            and value.func.attr == "get_secret_value"
        ):
            value = value.func.value
        if (
            isinstance(value, (ast.Name, ast.Attribute))
            and is_password(name_of(value))
            and not _rehashed(module, value)
        ):
            yield module.spot(
                "SRC104", item.value, f"{table}.{item.arg} is given the password as it came.", Severity.HIGH
            )


_PASSWORDISH = re.compile(r"password|passwd|pwd", re.IGNORECASE)


def _rehashed(module: Module, value: ast.expr) -> bool:
    """Whether a name was given the result of a call before, such as `password = hash_password(password)`."""
    function = module.function_of(value)
    return (
        isinstance(value, ast.Name)
        and function is not None
        and any(
            isinstance(part, ast.Assign)
            and isinstance(part.value, (ast.Call, ast.Await))
            and any(name_of(target) == value.id for target in part.targets)
            for part in ast.walk(function)
        )
    )


def _guards_72(module: Module, call: ast.Call) -> bool:
    function = module.function_of(call) or module.tree
    digest = any(
        isinstance(part, ast.Call)
        and module.dotted(part.func).startswith(("hashlib.sha", "hashlib.blake", "hmac."))
        for part in ast.walk(function)
    )
    return digest or any(isinstance(part, ast.Constant) and part.value in (71, 72) for part in module.nodes)


def hashes_passwords(tree: Tree) -> bool:
    """Whether a known password hash is called or imported anywhere."""
    return any(
        name.startswith(SLOW)
        for module in tree.modules
        for name in [*module.imports.values(), *(called for _, called in module.calls)]
    ) or bool(
        tree.imported()
        & {
            name.partition(".")[0]
            for name in SLOW
            if not name.startswith(("hashlib", "cryptography", "django"))
        }
    )


def has_passwords(tree: Tree) -> bool:
    """Whether the source handles passwords at all."""
    return any(
        is_password(name_of(node))
        for module in tree.modules
        for node in module.nodes
        if isinstance(node, (ast.arg, ast.Name, ast.Attribute))
    )


def chance(module: Module) -> Iterator[Spot]:
    """SRC106: secrets from generators that can be predicted, or with too little in them."""
    made = {
        name_of(target)
        for node in module.nodes
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and module.dotted(node.value.func) == "random.Random"
        for target in node.targets
    }
    for call, name in module.calls:
        if name.startswith(("secrets.SystemRandom", "random.SystemRandom")):
            continue
        base, _, method = name.rpartition(".")
        drawn = base in {"random", "numpy.random", "np.random", "random.Random()"} or base in made
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
        if sink and "salt" not in words(sink) and "nonce" not in words(sink):
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
    return any(
        isinstance(count, ast.Constant) and isinstance(count.value, int) and count.value >= _LEAST_BYTES
        for count in counts
    )


def _sink(module: Module, node: ast.AST, *, own_name: bool = True) -> str:
    """The secret-like name that a value flows into; "" when it is none."""
    for outer in module.above(node):
        match outer:
            case ast.Assign(targets=[target, *_]):
                return _named(name_of(target)) or (
                    _named(_returned(module, outer, name_of(target))) if own_name else ""
                )
            case ast.AnnAssign(target=target):
                return _named(name_of(target))
            case ast.keyword(arg=str() as name):
                if _named(name):
                    return name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                return _named(name) if own_name else ""
            case ast.Return() if own_name:
                continue
            case ast.If() | ast.While() | ast.Expr():
                return ""
    return ""


def _returned(module: Module, node: ast.AST, name: str) -> str:
    function = module.function_of(node)
    if function is None:
        return ""
    returned = any(
        isinstance(part, ast.Return)
        and part.value is not None
        and name in {name_of(inner) for inner in ast.walk(part.value)}
        for part in ast.walk(function)
    )
    return function.name if returned else ""


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
    text = text_of(key) or name_of(key)
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


_LEVELS = listed("debug info warning warn error exception critical log print")


def _logging(module: Module, call: ast.Call, name: str, last: str) -> Iterator[Spot]:
    logger = name.rpartition(".")[0].rpartition(".")[2].lower()
    logs = last in _LEVELS and ("log" in logger or name == "print" or logger == "logging")
    if not logs:
        return
    for given in [*call.args, *(item.value for item in call.keywords if item.arg != "extra")]:
        for part in (
            [given]
            if not isinstance(given, ast.JoinedStr)
            else [item.value for item in given.values if isinstance(item, ast.FormattedValue)]
        ):
            if (
                isinstance(part, (ast.Name, ast.Attribute, ast.Subscript))
                and is_secret(name_of(part))
                and not name_of(part).isupper()
            ):
                yield module.spot(
                    "SRC113", call, f"`{ast.unparse(part)}` is written to the log.", Severity.MEDIUM
                )
                return
