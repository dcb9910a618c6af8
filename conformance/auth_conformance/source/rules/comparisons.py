"""SRC105: secrets that are compared character by character."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auth_conformance.model import Severity
from auth_conformance.source.beyond import bound, function_named, returns_of, value_of
from auth_conformance.source.rules.literals import is_value
from auth_conformance.source.tree import Module, Spot
from auth_conformance.source.words import (
    is_about,
    is_mark,
    is_password,
    is_switch,
    listed,
    name_of,
    text_of,
    words,
)

_COMPARED = listed("token secret password passwd pwd signature hmac mac otp csrf apikey digest hexdigest pin")
_HASHING = listed("hash hashed hashing digest encrypt crypt scrypt bcrypt argon pbkdf")
_DIGESTED = listed("digest hexdigest hash hashed hashing md5 sha1 sha256 sha384 sha512 blake2b fingerprint")
# What is looked up or noticed by its hash guards nothing.
_NOTICED = listed("cache cached etag checksum fingerprint bucket slot")
_KEYED = listed("api secret access auth master")
# A second entry of the same value by the same person, and the old one: nothing is verified by that.
_TWICE = listed(
    "confirm confirmation confirmed repeat repeated again retype verify verification 2 two old new current previous"
)
# Both sides came with the request: nothing that the service keeps is compared.
_BROUGHT = listed("cookie header form body query request submitted presented")
# What a value of this name says is no secret, so neither is what it is compared with; and known to everybody.
_TOLD_APART = ("type", "method", "kind", "mode", "scheme")
_MEANT_FOR_ALL = listed("default placeholder initial example legacy alias sentinel mask")
_QUERIES = listed(
    "where filter filter_by and_ or_ not_ select having on join outerjoin delete update case exists any_"
)
_REVOKED = listed(
    "revoked blacklist blacklisted denylist denied blocked blocklist used seen cache cached tokens_used"
)


def comparisons(module: Module) -> Iterator[Spot]:
    """SRC105, per file."""
    for node in module.nodes:
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            yield from _compared(module, node)
    for call, name in module.calls:
        if name.rpartition(".")[2] == "compare_digest" and name.partition(".")[0] in {
            "hmac",
            "secrets",
            "compare_digest",
        }:
            yield from _text_digest(module, call)


def _compared(module: Module, node: ast.Compare) -> Iterator[Spot]:
    left, right, operator = node.left, node.comparators[0], node.ops[0]
    if (
        not isinstance(operator, (ast.Eq, ast.NotEq, ast.In, ast.NotIn))
        or _is_fixed(left)
        or _is_fixed(right)
        or _is_name_of_field(module, left)
        or _is_name_of_field(module, right)
    ):
        return
    if any(_is_number(module, side) for side in (left, right)) or _is_counted_by(module, node):
        return
    if _in_query(module, node) or _is_column(module, left) or _is_column(module, right):
        return
    if any(_is_folded_password(side) or _is_label(module, side) for side in (left, right)):
        return
    names = (_called(module, left), _called(module, right))
    if any(words(name)[-1:] == (word,) for name in names for word in _TOLD_APART):
        return
    if any(words(name)[-1:] == ("id",) and "session" not in words(name) for name in names):
        return
    if isinstance(operator, (ast.In, ast.NotIn)):
        listed = _is_secret(names[0]) and _plural(names[1]) and not _REVOKED & set(words(names[1]))
        if listed and not isinstance(right, ast.Dict):
            yield module.spot("SRC105", node, f"`{_short(node)}` compares secrets character by character.")
        return
    secret = [name for name in names if _is_secret(name)]
    if (
        not secret
        or _itself(module, left, right)
        or _twice(module, node, names)
        or all(_BROUGHT & set(words(name)) for name in names)
        or any(_MEANT_FOR_ALL & set(words(name)) for name in names)
        or _is_noticed(module, left, right)
        or any({"email", "username"} & set(words(name)) or is_switch(name) for name in names)
        or _takes_over(module, node)
    ):
        return
    yield from _told(module, node, left, right)


def _is_number(module: Module, node: ast.expr) -> bool:
    """Whether a side is a constant of some file that holds a number, however it is called."""
    found = value_of(module, node) if name_of(node).isupper() else None
    return found is not None and isinstance(found[1], ast.Constant) and isinstance(found[1].value, int)


def _is_counted_by(module: Module, node: ast.Compare) -> bool:
    """Whether it asks if a mapping has an entry, which the same function reads or makes: that goes by a hash."""
    if not isinstance(node.ops[0], (ast.In, ast.NotIn)):
        return False
    asked, holder = ast.dump(node.left), ast.unparse(node.comparators[0])
    return any(
        isinstance(part, ast.Subscript)
        and ast.dump(part.slice) == asked
        and ast.unparse(part.value) == holder
        for part in ast.walk(module.function_of(node) or module.tree)
    )


def _is_noticed(module: Module, left: ast.expr, right: ast.expr) -> bool:
    """Whether one side, or the function that compares them, is named for what merely is to be noticed."""
    function = module.function_of(left)
    names = (name_of(left), name_of(right), function.name if function is not None else "")
    return any(_NOTICED & set(words(name)) for name in names)


def _told(module: Module, node: ast.Compare, left: ast.expr, right: ast.expr) -> Iterator[Spot]:
    """What is said of two secrets that are compared so; of two digests where one of them is made there and then."""
    if not _digests(module, left, right):
        yield module.spot("SRC105", node, f"`{_short(node)}` compares secrets character by character.")
    elif any(isinstance(_given_to(module, side), ast.Call) for side in (left, right)):
        message = (
            f"`{_short(node)}` compares digests character by character: the time tells of the stored one."
        )
        yield module.spot("SRC105", node, message, severity=Severity.LOW)


def _digests(module: Module, left: ast.expr, right: ast.expr) -> bool:
    """Whether two digests without a key are compared: what the time tells of one hardly helps to make its secret.

    That of a password does: guesses are hashed offline, and those that cannot be it need not be sent.
    """
    sides = (left, right)
    named = [_DIGESTED & set(words(name_of(getattr(side, "func", side)) or name_of(side))) for side in sides]
    inside = [part for side in sides for part in _making(module, _given_to(module, side))]
    keyed = any({"mac", "hmac", "signature", "sign"} & set(words(name_of(part))) for part in inside)
    return all(named) and not keyed and not any(is_password(name_of(part)) for part in inside)


def _making(module: Module, side: ast.expr) -> Iterator[ast.AST]:
    """The parts of an expression, and of the functions of the file that it calls."""
    called = {name_of(part.func) for part in ast.walk(side) if isinstance(part, ast.Call)}
    yield from ast.walk(side)
    for function in module.functions:
        if function.name in called:
            yield from ast.walk(function)


def _given_to(module: Module, side: ast.expr) -> ast.expr:
    """What a name was given in the same function; any other side as it is."""
    if not isinstance(side, ast.Name) or module.function_of(side) is None:
        return side
    return (module.given(side.id, side) or [side])[-1]


def _takes_over(module: Module, node: ast.Compare) -> bool:
    """Whether a new value is kept where it is another one: `if user.secret != secret: user.secret = secret`."""
    outer = next((item for item in module.above(node) if isinstance(item, ast.stmt)), None)
    kept, new = ast.unparse(node.left), ast.unparse(node.comparators[0])
    return isinstance(outer, ast.If) and any(
        isinstance(part, ast.Assign)
        and ast.unparse(part.value) in (kept, new)
        and ast.unparse(part.targets[0]) in (kept, new)
        for part in outer.body
    )


def _is_folded_password(node: ast.expr) -> bool:
    """Whether it is a password without its case: looked up among the common ones, and never what logs in."""
    folded = False
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        folded = folded or node.func.attr in {"lower", "upper", "casefold"}
        node = node.func.value
    return folded and is_password(name_of(node))


def _is_label(module: Module, node: ast.expr) -> bool:
    """Whether the file gives that name a text that can be no secret, such as the last part of an address."""
    name = name_of(node)
    texts = [text_of(value) for value in module.given(name, module.tree)]
    return bool(texts) and all(text is not None and not is_value(text, name) for text in texts)


def _called(module: Module, node: ast.expr) -> str:
    """The name that says what a side holds: of the secret in `f"Bearer {token}"`; `mac` for what an HMAC gives."""
    if isinstance(node, (ast.JoinedStr, ast.BinOp)):
        inner = [name for part in ast.walk(node) if _is_secret(name := name_of(part))]
        return inner[0] if inner else ""
    name = name_of(node)
    if _is_secret(name):
        return name
    if (same := _spelt_alike(module, node)) is not None:
        return name_of(same)
    values = module.given(name, node)
    if any(_hashes_secret(value) for value in (node, *values)):
        return "digest"
    return "mac" if any(_is_mac(module, value) for value in (node, *values)) else name


def _spelt_alike(module: Module, node: ast.expr) -> ast.expr | None:
    """The password that a function of the service returns in another spelling: `normal(password)`; None for others."""
    inner = node.value if isinstance(node, ast.Await) else node
    found = function_named(module, inner.func) if isinstance(inner, ast.Call) else None
    if found is None or not isinstance(inner, ast.Call):
        return None
    given = bound(found[1], inner)
    values = returns_of(*found)
    if len(values) != 1:
        return None
    for part in ast.walk(values[0]):
        if isinstance(part, ast.Call) and name_of(part.func) not in _RESPELLING and not _is_respelt(part):
            return None
    taken = [part.id for part in ast.walk(values[0]) if isinstance(part, ast.Name) and part.id in given]
    secret = [given[name] for name in taken if is_password(name_of(given[name]))]
    return secret[0] if len(secret) == 1 else None


_RESPELLING = listed("normalize str bytes")


def _is_respelt(call: ast.Call) -> bool:
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    return method in {"normalize", "strip", "encode", "decode", "get_secret_value"}


def _hashes_secret(node: ast.expr) -> bool:
    """Whether a side is the hash of a secret: compared, it has to come out the same, so there is no salt of its own."""
    inner = node.value if isinstance(node, ast.Await) else node
    if not isinstance(inner, ast.Call):
        return False
    called = name_of(inner.func)
    given = [*inner.args, *(item.value for item in inner.keywords)]
    return bool(_HASHING & set(words(called))) and (
        _is_secret(called) or any(_is_secret(name_of(item)) for item in given)
    )


def _is_mac(module: Module, node: ast.expr) -> bool:
    """Whether it is what an HMAC gives, here or in a function of the file that makes one."""
    while isinstance(node, ast.Call):
        if module.dotted(node.func) in _MACS or name_of(node.func) in _makers_of_macs(module):
            return True
        if not isinstance(node.func, ast.Attribute):
            break
        node = node.func.value
    return False


def _makers_of_macs(module: Module) -> set[str]:
    makers = {module.function_of(call) for call, name in module.calls if name in _MACS}
    return {function.name for function in makers if function is not None}


def _short(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _is_secret(name: str) -> bool:
    found = words(name)
    if is_about(found) or is_switch(name) or {"public", "redirect"} & set(found) or is_mark(found):
        return False
    return bool(_COMPARED & set(found)) or (found[-1] in {"key", "keys"} and bool(_KEYED & set(found)))


def _plural(name: str) -> bool:
    found = words(name)
    return bool(found) and found[-1].endswith("s") and (_is_secret(name) or _is_secret(name[:-1]))


def _is_fixed(node: ast.expr) -> bool:
    """Whether a side is no value of anybody: a constant, an enumeration member, a length, a type."""
    if isinstance(node, (ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.JoinedStr)):
        return not isinstance(node, ast.JoinedStr)
    if isinstance(node, ast.Call):
        return name_of(node.func) in {"len", "type", "str.lower", "count", "set", "sorted", "id"}
    if isinstance(node, (ast.Name, ast.Attribute)) and re.fullmatch(r"(?:[A-Z]+[a-z0-9]+)+", name_of(node)):
        return True
    if isinstance(node, ast.Attribute):
        owner = name_of(node.value)
        return owner[:1].isupper() and not owner.isupper() and node.attr.isupper()
    return False


_MACS = frozenset(("hmac.new", "hmac.digest"))
# How a header or cookie is called, and no secret is (RFC 6265bis §4.1.3).
_FIELD_NAME = re.compile(r"(?:__Host-|__Secure-|X-)[A-Za-z0-9_-]+", re.IGNORECASE)


def _is_name_of_field(module: Module, node: ast.expr) -> bool:
    """Whether a side is a constant of the module that names a header or cookie: `CSRF = "__Host-csrf"`."""
    if not isinstance(node, ast.Name) or not node.id.isupper():
        return False
    for part in module.tree.body:
        if not isinstance(part, ast.Assign):
            continue
        for target in part.targets:
            pairs = (
                zip(target.elts, part.value.elts, strict=False)
                if isinstance(target, ast.Tuple) and isinstance(part.value, ast.Tuple)
                else [(target, part.value)]
            )
            for name, value in pairs:
                if name_of(name) == node.id and isinstance(value, ast.Constant):
                    return isinstance(value.value, str) and _FIELD_NAME.fullmatch(value.value) is not None
    return False


def _in_query(module: Module, node: ast.AST) -> bool:
    for outer in module.above(node):
        if isinstance(outer, ast.Call) and name_of(outer.func) in _QUERIES:
            return True
        if isinstance(outer, ast.stmt):
            return False
    return False


def _is_column(module: Module, node: ast.expr) -> bool:
    # `User.token == value` builds a condition for the database, also where it is kept for later.
    owner = name_of(node.value) if isinstance(node, ast.Attribute) else ""
    del module
    return (
        bool(owner)
        and owner[0].isupper()
        and not owner.isupper()
        and not isinstance(getattr(node, "value", None), ast.Call)
    )


def _itself(module: Module, left: ast.expr, right: ast.expr) -> bool:
    """Whether one side is made from the other: then a spelling is looked at, and no secret is guarded."""
    function = module.function_of(left)
    if function is None:
        return False
    for one, other in ((left, right), (right, left)):
        own = {part.id for part in ast.walk(one) if isinstance(part, ast.Name)}
        used = {part.id for part in ast.walk(other) if isinstance(part, ast.Name)}
        if own & used:
            return True
        for part in ast.walk(function):
            if isinstance(part, ast.Assign) and used & {name_of(item) for item in part.targets}:
                made = {inner.id for inner in ast.walk(part.value) if isinstance(inner, ast.Name)}
                fetched = any(isinstance(inner, ast.Await) for inner in ast.walk(part.value))
                if isinstance(one, ast.Name) and one.id in made and not fetched:
                    return True
    return False


def _twice(module: Module, node: ast.Compare, names: tuple[str, str]) -> bool:
    # `password2` is the second entry as `password_2` is.
    both = [set(words(re.sub(r"(?<=[A-Za-z])(?=\d+$)", "_", name))) for name in names]
    if any(found & _TWICE for found in both):
        return True
    function = module.function_of(node)
    return function is not None and any(
        "validator" in module.dotted(getattr(item, "func", item)) for item in function.decorator_list
    )


def _text_digest(module: Module, call: ast.Call) -> Iterator[Spot]:
    function = module.function_of(call)
    if function is None or len(call.args) != 2:
        return
    typed = {
        item.arg: ast.unparse(item.annotation)
        for item in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        if item.annotation is not None
    }
    for item in call.args:
        text = isinstance(item, ast.Name) and typed.get(item.id) in {"str", "str | None", "Optional[str]"}
        plain = text and not module.given(name_of(item), call)
        basic = (
            isinstance(item, ast.Attribute)
            and typed.get(name_of(item.value), "").find("HTTPBasicCredentials") >= 0
        )
        if plain or basic:
            message = (
                f"compare_digest is given the text `{ast.unparse(item)}`, and raises TypeError if not ASCII."
            )
            yield module.spot("SRC105", call, message, Severity.LOW)
            return
