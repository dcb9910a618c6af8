"""SRC104: passwords and keys that are stored in clear, or under what is fast to try."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auth_conformance.model import Severity
from auth_conformance.source.beyond import bound, callers, function_named, value_of
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
_BREACHED = listed("breach breached breaches pwned hibp")
_PBKDF2_LEAST = {"sha1": 1_300_000, "sha256": 600_000, "sha512": 210_000}
_BCRYPT_LEAST = 10
_ROUNDS = ("rounds", "default_rounds", "max_rounds")


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
    for value in module.given(holder, call):
        method = _fast(module, value.func) if isinstance(value, ast.Call) else None
        if method is not None:
            message = f"A password is hashed with {method or 'a fast digest'}, which is fast to try."
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
    fast = _fast(module, call.func)
    if fast is None:
        return
    algorithm = text_of(argument(call, 0, "name")) or "" if fast == "new" else fast
    given = argument(call, 1 if fast == "new" else 0, "data")
    if given is None or is_ranged(module, call) or _is_for_cache(module, call):
        return
    if _is_of_password(module, given) and not _slow_nearby(module, call):
        yield module.spot(
            "SRC104",
            call,
            f"A password is hashed with {algorithm or 'a fast digest'}, which is fast to try.",
            Severity.HIGH,
        )
    elif (filled := _filled_with_password(module, given)) and not _slow_nearby(module, call):
        message = f"A password is hashed with {algorithm or 'a fast digest'}, which is fast to try: {filled}."
        yield module.spot("SRC104", call, message, Severity.HIGH)
    elif (
        algorithm.lower() in _BROKEN
        and mentions(given, is_secret)
        and not is_constant(keyword(call, "usedforsecurity"), value=False)
    ):
        yield module.spot(
            "SRC104", call, f"A secret is hashed with {algorithm}, which is broken.", Severity.HIGH
        )


def _is_of_password(module: Module, given: ast.expr) -> bool:
    """Whether a password is in what is hashed, also under another name: `data = password.encode()`."""
    return mentions(given, is_password) or any(
        is_password(name_of(value))
        for part in ast.walk(given)
        if isinstance(part, ast.Name) and module.function_of(part) is not None
        for value in module.given(part.id, part)
    )


def _number(module: Module, node: ast.expr | None) -> int | None:
    """A number that stands there, or that a name of some file, or a class of settings, has."""
    found = value_of(module, node) if isinstance(node, (ast.Name, ast.Attribute)) else None
    value = node if found is None else found[1]
    number = value.value if isinstance(value, ast.Constant) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _filled_with_password(module: Module, given: ast.expr) -> str:
    """Who hands a password to the function that makes a digest of one of its parameters; "" where nobody does."""
    function = module.function_of(given)
    if function is None:
        return ""
    used = {part.id for part in ast.walk(given) if isinstance(part, ast.Name)}
    used |= {
        part.id
        for name in used.copy()
        for value in module.given(name, given)
        for part in ast.walk(value)
        if isinstance(part, ast.Name)
    }
    for home, call in callers(module, function):
        handed = {name for name, value in bound(function, call).items() if is_password(name_of(value))}
        if handed & used and not _slow_nearby(home, call) and not is_ranged(home, call):
            who = home.function_of(call)
            return f"{who.name if who else home.shown} hands it to {function.name}"
    return ""


def _fast(module: Module, called: ast.expr) -> str | None:
    """The fast digest of hashlib that is called, "" for one that is chosen by name at run time; None for no such."""
    if isinstance(called, ast.Name):
        called = [module.constants.get(called.id, called), *module.given(called.id, called)][-1]
    if isinstance(called, ast.Call) and module.dotted(called.func) == "getattr" and len(called.args) > 1:
        holder, chosen = module.dotted(called.args[0]), text_of(called.args[1]) or ""
        return chosen if holder == "hashlib" and (not chosen or chosen in _FAST) else None
    base, _, method = module.dotted(called).rpartition(".")
    return method if base == "hashlib" and method in _FAST else None


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


def _is_for_cache(module: Module, node: ast.AST) -> bool:
    """Whether a digest becomes the key of a cache: it stays in memory, and no password is verified by it."""
    outer = next((item for item in module.above(node) if isinstance(item, ast.stmt)), None)
    targets: list[ast.AST] = [*outer.targets] if isinstance(outer, ast.Assign) else []
    targets += [
        func for item in module.above(node) if isinstance(item, ast.Call) for func in ast.walk(item.func)
    ]
    function = module.function_of(node)
    named = [name_of(target) for target in targets] + ([function.name] if function is not None else [])
    return any({"cache", "cached", "caches"} & set(words(name)) for name in named)


def is_ranged(module: Module, node: ast.AST) -> bool:
    """Whether a digest is for a look-up among breached passwords, whose protocol sends the start of a SHA-1."""
    function = module.function_of(node)
    if function is not None and _BREACHED & set(words(function.name)):
        return True
    return function is not None and any(
        "pwnedpasswords" in (text_of(part) or "")
        for part in [*ast.walk(function), *module.constants.values()]
    )


def _weak_parameters(module: Module, call: ast.Call, name: str) -> Iterator[Spot]:
    last = name.rpartition(".")[2]
    if name == "bcrypt.gensalt":
        cost = _number(module, argument(call, 0, "rounds"))
        if cost is not None and cost < _BCRYPT_LEAST:
            yield module.spot(
                "SRC104",
                call,
                f"bcrypt runs with cost {cost}; {_BCRYPT_LEAST} is the least.",
                Severity.HIGH,
            )
    elif name == "hashlib.pbkdf2_hmac":
        count = _number(module, argument(call, 3, "iterations"))
        digest = text_of(argument(call, 0, "hash_name")) or "sha256"
        least = _PBKDF2_LEAST.get(digest.lower().replace("-", ""), 0)
        if count is not None and count < least:
            yield module.spot(
                "SRC104",
                call,
                f"PBKDF2 runs {count} times over {digest}; {least} is the least.",
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
    return (
        isinstance(value, ast.Name)
        and module.function_of(value) is not None
        and any(isinstance(given, (ast.Call, ast.Await)) for given in module.given(value.id, value))
    )


def _guards_72(module: Module, call: ast.Call) -> bool:
    function = module.function_of(call) or module.tree
    helpers = [
        found
        for part in ast.walk(function)
        if isinstance(part, ast.Call)
        if (found := function_named(module, part.func))
    ]
    digest = any(
        isinstance(part, ast.Call)
        and home.dotted(part.func).startswith(("hashlib.sha", "hashlib.blake", "hmac."))
        for home, around in [(module, function), *helpers]
        for part in ast.walk(around)
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
