"""SRC101: secrets, and defaults for secrets, that are written down."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from auth_conformance.model import Severity
from auth_conformance.secret import Secret
from auth_conformance.source.beyond import value_of
from auth_conformance.source.tree import Function, Module, Spot, relative
from auth_conformance.source.words import argument, is_secret, keyword, listed, name_of, text_of, words

SHORTEST = 6
_PEM = re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s*[A-Za-z0-9+/=\\n\s]{60,}")
_JWT = re.compile(r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{16,}")
_DSN = re.compile(
    r"[a-z][a-z0-9+.-]{2,30}://[^\s:/@{}$<>%]{1,80}:(?P<password>[^\s:/@{}$<>*]{1,80})@[\w.\[-]"
)
_UNSET = re.compile(
    r"\$\{?\w|\$\(|^\{\{?.*\}$|^<.*>$|^%\(|^\*+$|^\.\.\.$|^x+$|^(?:un)?(?:defined|available)$|^present$|"
    # What says where the secret is: `os.environ/OPENAI_API_KEY`, `env:DATABASE_PASSWORD`, `!ENV NAME`, `vault://…`.
    r"^(?:os\.)?environ[/.:\[]|^!?env[:/ ]|^(?:vault|ssm|secretsmanager|arn|op|gcp-sm|aws-sm)://?",
    re.IGNORECASE,
)
# What a literal starts with that is meant for every browser, or that says that there is none.
_OPEN = re.compile(r"(?:phc|pk_live|pk_test)_\w|(?:no|not|none|missing|unset)[-_ ]", re.IGNORECASE)
_PATTERN = re.compile(r"\\[wdsbWDS]|\[\^|\(\?[:P<=!]|[\])][+*]")
# Kinds of credentials and where they are brought: words with which code tells them apart.
_KINDS = listed(
    "access refresh header headers cookie cookies query websocket bearer session body api jwt opaque"
)
_TELLING = listed("reason error err code kind type status event missing wrong invalid bad")
_WRAPPERS = listed(
    "SecretStr SecretBytes Secret str bytes Field Setting field mapped_column b64decode fromhex"
)
# Arguments in which a value stands as documentation.
_SHOWN = listed("example examples description title summary json_schema_extra openapi_examples detail help")
_SIGNERS = {"encode": 1, "decode": 1, "decode_complete": 1}
# Files beside the code that a service may be configured by.
_TEXTS = re.compile(
    r"(?:Dockerfile|Containerfile).*|(?:docker-)?compose.*\.ya?ml|.*\.(?:toml|ya?ml|ini|cfg|conf)|(?:settings|config|secrets)\w*\.json"
)
_LINE = re.compile(
    r"""^\s*-?\s*(?:(?:ENV|ARG|export)\s+)?["']?(?P<name>[A-Za-z_][\w.-]*)["']?\s*[:=]\s*(?P<quote>["']?)(?P<value>[^"'\s#,]+)(?P=quote)[\s,]*(?:\#.*)?$"""
)
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_SAMPLES = listed("example sample template dist")
# A name that says of its value that it stands for another.
_STAND_INS = listed("test example sample dummy fake")
_LARGEST_TEXT = 262_144
# Where something is imported from: a class by its module, a function by its package and module.
_DOTTED = re.compile(
    r"[a-z_]\w*(?:\.[a-z_]\w*)+\.[A-Z]\w*|[a-z_]+\.[A-Z][A-Za-z]+|[a-z]+_[a-z_]+(?:\.[a-z_]+){2,}"
)
# How often something may be done: `5/m/user`, `20/m/ip,5/m/key`.
_RATES = re.compile(r"\d+/\d*[a-z]+(?:/[a-z]+)?(?:,\d+/\d*[a-z]+(?:/[a-z]+)?)*")
# `STATE_SESSION_KEY = "login_state"` names a place in a session or a cache.
_SLOTS = (("session", "key"), ("cache", "key"), ("storage", "key"))
# `ACCESS_TOKEN_COOKIE_KEY = "sAccessToken"` names a cookie, and no name of a key that signs cookies ends so.
_FIELDS, _CIPHERS = listed("cookie header"), listed("secret signing private encryption hmac sign crypto")
# A sentence that says something about a secret, digits in it or not.
_PROSE = 8
# `GRANT_PASSWORD = "password"` is one of several ways (RFC 6749 §4).
_WAYS = listed("grant flow")
_SLUG = r"[a-z]+(?:-[a-z]+)+"
# `PASSWORD_HASH = "argon2"` names how passwords are hashed.
_OF_HASHES = listed("hash hasher hashing digest")
_HASHES = listed("argon2 argon2id argon2i bcrypt scrypt pbkdf2 sha256 sha512 sha1 md5 plaintext")
_LONGEST_OF_A_HASH = 24


def is_value(text: str, name: str) -> bool:
    """Whether a literal can be a secret: long enough, no path, no label, no name of a field, no placeholder."""
    plain = "".join(words(text))
    if len(text) < SHORTEST or _UNSET.search(text) or text.startswith(("/", "./", "http://", "https://")):
        return False
    if _OPEN.match(text) or _PATTERN.search(text) or _DOTTED.fullmatch(text) or _RATES.fullmatch(text):
        return False
    if len(text.split()) > 1 and (len(text.split()) >= _PROSE or not re.search(r"\d", text)):
        return False
    if re.fullmatch(r"[A-Za-z]+(?:[-/][A-Za-z]+)+|X-[\w-]+", text) and "/" in text:
        return False
    return bool(plain) and plain != "".join(words(name)) and not _is_label(text, name)


def _is_label(text: str, name: str) -> bool:
    """Whether `JSON_KEY = "access_token"` and its like name a member: the key of a mapping, no key of a cipher."""
    found, called = words(text), words(name)
    if re.fullmatch(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", text) and set(found) <= set(called):
        return True  # `ENV_SHOP_TOKEN = "SHOP_TOKEN"` names a variable
    if re.fullmatch(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+){2,}", text) and found[0] == called[0] and is_secret(text):
        return True  # so does `SHOP_SECRET_KEY = "SHOP_PERSONAL_ACCESS_TOKEN"`
    if called[-1] in _OF_HASHES and set(found) & _HASHES and len(text) < _LONGEST_OF_A_HASH:
        return True
    # `_password_reset_token` is a key that a library keeps for itself; the token in `…_url_token` is a part of a path.
    if re.fullmatch(r"_[a-z]+(?:_[a-z]+)+", text) or ("url" in called and re.fullmatch(_SLUG, text)):
        return True
    if re.fullmatch(r"[a-z]+(?:_[a-z]+)+_name", text) or (_WAYS & set(called) and set(found) <= set(called)):
        return True
    names_field = called[-1] == "key" and bool(_FIELDS & set(called)) and not _CIPHERS & set(called)
    if names_field and re.fullmatch(r"[A-Za-z]+(?:-[A-Za-z]+)*", text):
        return True
    if called[-2:] in _SLOTS and re.fullmatch(r"_?[a-z]+(?:[._-][a-z]+)*", text):
        return True
    if re.fullmatch(r"[a-z]+(?:[_-][a-z]+)*", text) and (
        (set(found) <= _KINDS and not {"secret", "password"} & set(called))
        or (len(found) > 1 and set(found) <= set(called) and _TELLING & set(called))
    ):
        return True
    if (
        not re.fullmatch(r"[a-z]+(?:_[a-z]+)*", text)
        or called[-1] not in {"key", "keys", "token"}
        or "secret" in text
    ):
        return False
    of_name = len(found) > 1 and set(found) <= set(called)
    of_field = (
        bool(found) and found[-1] in {"token", "id", "key", "session", "cookie", "header"} and len(found) > 1
    )
    return of_name or of_field or "".join(called) == "".join(found) + "key"


def literals(module: Module) -> Iterator[Spot]:
    """SRC101, per file."""
    taken: set[tuple[int, int]] = set()
    for node in module.nodes:
        for spot in _at(module, node):
            if (spot.line, spot.column) not in taken:
                taken.add((spot.line, spot.column))
                yield spot


def _at(module: Module, node: ast.AST) -> Iterator[Spot]:
    match node:
        case ast.Assign(targets=[target], value=value):
            yield from _given(module, node, name_of(target), value)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield from _given(module, node, name_of(target), value)
        case ast.Call():
            yield from _call(module, node)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            for name, default in _defaults(node):
                yield from _given(module, default, name, default)
        case ast.Dict():
            yield from _members(module, node)
        case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq()], comparators=[right]):
            yield from _compared(module, node, left, right)
            yield from _compared(module, node, right, left)
        case ast.Constant():
            yield from _shaped(module, node)


def _defaults(node: Function) -> Iterator[tuple[str, ast.expr]]:
    listed_ = [*node.args.posonlyargs, *node.args.args]
    with_default = listed_[len(listed_) - len(node.args.defaults) :]
    yield from ((item.arg, value) for item, value in zip(with_default, node.args.defaults, strict=True))
    for item, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if value is not None:
            yield item.arg, value


def _members(module: Module, node: ast.Dict) -> Iterator[Spot]:
    if any(len((text_of(key) or "").split()) > 1 for key in node.keys):
        return  # its keys are phrases: what stands there are their translations
    values = [text_of(value) for value in node.values]
    if len(values) > 1 and all(
        text is not None and re.fullmatch(r"[A-Z][A-Z0-9_]+", text) for text in values
    ):
        return  # it says which environment variable holds what
    for key, value in zip(node.keys, node.values, strict=True):
        name = text_of(key)
        if name is None or not _NAME.fullmatch(name) or text_of(value) is None or _is_shown(module, node):
            continue
        yield from _given(module, node, name, value)


def _compared(module: Module, node: ast.Compare, one: ast.expr, other: ast.expr) -> Iterator[Spot]:
    named = isinstance(one, (ast.Name, ast.Attribute, ast.Subscript)) and not _is_member(module, one)
    if named and text_of(other) and not _is_turned_down(module, node):
        yield from _given(module, node, name_of(one), other)


def _is_turned_down(module: Module, node: ast.Compare) -> bool:
    """Whether a value that is equal to it is refused at once: `if key == "changeme": raise`."""
    outer = next((item for item in module.above(node) if not isinstance(item, ast.BoolOp)), None)
    joined = [item.op for item in module.above(node) if isinstance(item, ast.BoolOp)]
    asked = isinstance(outer, ast.If) and not any(isinstance(operator, ast.And) for operator in joined)
    return (
        asked and isinstance(node.ops[0], ast.Eq) and isinstance(getattr(outer, "body", [None])[0], ast.Raise)
    )


def _is_member(module: Module, node: ast.expr) -> bool:
    # An enumeration member or class attribute, such as `TokenKind.ACCESS_TOKEN`, names a kind.
    return isinstance(node, ast.Attribute) and module.dotted(node.value)[:1].isupper()


def _given(module: Module, node: ast.AST, name: str, value: ast.expr) -> Iterator[Spot]:
    if _is_enumeration(module, node) or _STAND_INS & set(words(name)) or _is_key_of(module, name, value):
        return
    for literal, how in [*_written(module, value), *_held(module, value)]:
        variable = how or name
        secret = is_secret(name) or bool(how and is_secret(how))
        # What stands in for a variable is used as the secret, however short it is.
        short = bool(how and is_secret(how)) and len(literal) < SHORTEST
        if secret and (short or is_value(literal, name)) and literal != how:
            words_of = (
                f"The fallback of {variable} is written in the source."
                if how
                else f"`{name}` is written in the source."
            )
            yield module.spot(
                "SRC101",
                node if not isinstance(node, ast.Constant) else value,
                words_of,
                Severity.HIGH,
                literal=literal,
            )


def _is_key_of(module: Module, name: str, value: ast.expr) -> bool:
    """Whether a word is what something is kept under: `values[SECRET_KEY_NAME]`, `{SECRET_VALUE_KEY: secret}`."""
    text = text_of(value)
    if text is None or not words(name) or not re.fullmatch(r"[A-Za-z]+(?:[_.:-][A-Za-z]+)*", text):
        return False
    if name in module.whole.keyed:
        return True
    # `SECRET_VALUES = "values"` and `API_KEY_HELPER_KEY = "apiKeyHelper"` say a part of their names, and no secret.
    found, called = words(text), words(name)
    ends = called[-len(found) :] == found and len(found) < len(called)
    return (ends or (called[-1] == "key" and called[:-1] == found)) and not is_secret(text)


def _held(module: Module, value: ast.expr) -> Iterator[tuple[str, str]]:
    """The literal that a name of some file stands for, where nothing in that name says that it is a secret."""
    while isinstance(value, ast.Call) and module.dotted(value.func).rpartition(".")[2] in _WRAPPERS:
        inner = argument(value, 0, "default")
        if inner is None:
            return
        value = inner
    function = module.function_of(value)
    found = value_of(module, value) if isinstance(value, (ast.Name, ast.Attribute)) else None
    if found is None or is_secret(name_of(value)):
        return  # where it is written down, it is told
    if function is not None and (module.given(name_of(value), value) or name_of(value) in _taken(function)):
        return
    if (text := text_of(found[1])) is not None:
        yield text, ""


def _taken(function: Function) -> set[str]:
    return {item.arg for item in ast.walk(function) if isinstance(item, ast.arg)}


def _is_enumeration(module: Module, node: ast.AST) -> bool:
    owner = module.parents.get(node)
    return isinstance(owner, ast.ClassDef) and any("Enum" in module.dotted(base) for base in owner.bases)


def _written(module: Module, value: ast.expr | None, how: str = "") -> Iterator[tuple[str, str]]:
    """The literals that an expression may come to, each with the environment variable it stands in for."""
    inner: list[ast.expr | None] = []
    match value:
        case ast.Constant(value=str() | bytes()):
            if text := text_of(value):
                yield text, how
        case ast.BoolOp(op=ast.Or(), values=values):
            how = next((found for item in values if (found := environment_name(module, item))), how)
            inner = [*values]
        case ast.IfExp(body=body, orelse=orelse):
            inner = [body, orelse]
        case ast.Call(func=ast.Attribute(value=text, attr="encode" | "strip")):
            inner = [text]
        case ast.Call() if name := environment_name(module, value):
            how, inner = name, [_default(value)]
        case ast.Call(func=func) if module.dotted(func).rpartition(".")[2] in _WRAPPERS:
            made = keyword(value, "default_factory")
            inner = [
                *value.args[:1],
                keyword(value, "default"),
                made.body if isinstance(made, ast.Lambda) else None,
            ]
    for item in inner:
        yield from _written(module, item, how)


def environment_name(module: Module, node: ast.AST | None) -> str:
    """The environment variable that a call reads, such as `os.getenv("KEY", …)`; "" for other expressions."""
    if isinstance(node, ast.Subscript) and module.dotted(node.value) in {"os.environ", "environ"}:
        return text_of(node.slice) or ""
    if not isinstance(node, ast.Call):
        return ""
    name = module.dotted(node.func)
    last = name.rpartition(".")[2]
    reads = name.endswith(("getenv", "environ.get", "environ.setdefault")) or (
        last in {"env", "config", "Env", "str", "get"} and _is_reader(name)
    )
    return (text_of(argument(node, 0, "key")) or "") if reads else ""


def _is_reader(name: str) -> bool:
    return any(
        part in {"env", "config", "Env", "environ"} or part.endswith(("Config()", "Env()"))
        for part in name.split(".")
    )


def _default(node: ast.Call) -> ast.expr | None:
    return argument(node, 1, "default") if len(node.args) > 1 else keyword(node, "default")


def _call(module: Module, call: ast.Call) -> Iterator[Spot]:
    name = module.dotted(call.func)
    last = name.rpartition(".")[2]
    variable = environment_name(module, call)
    if variable and is_secret(variable):
        for literal, _ in _written(module, _default(call)):
            if is_value(literal, variable) or len(literal) < SHORTEST:
                yield module.spot(
                    "SRC101",
                    call,
                    f"The fallback of {variable} is written in the source.",
                    Severity.HIGH,
                    literal=literal,
                )
    if last in _SIGNERS and name.partition(".")[0] in {"jwt", "jose", "joserfc", "authlib"}:
        text = text_of(argument(call, _SIGNERS[last], "key"))
        if text and "-----BEGIN PUBLIC" not in text:
            yield module.spot(
                "SRC101", call, f"The key of {name} is written in the source.", Severity.HIGH, literal=text
            )
    if last.startswith("Test"):
        return  # the test keys that vendors publish
    for item in call.keywords:
        if (
            item.arg
            and is_secret(item.arg)
            and (text := text_of(item.value))
            and is_value(text, item.arg)
            and last not in {"Field", "Form", "Query", "Header"}
        ):
            yield module.spot(
                "SRC101",
                call,
                f"`{item.arg}` of {last or 'a call'} is written in the source.",
                Severity.HIGH,
                literal=text,
            )


def _shaped(module: Module, node: ast.Constant) -> Iterator[Spot]:
    text = text_of(node)
    if text is None or len(text) < 12 or _is_shown(module, node):
        return
    what = ""
    if _PEM.search(text):
        what = "A private key"
    elif _JWT.search(text):
        what = "A token"
    elif (match := _DSN.search(text)) and not _UNSET.search(match["password"]):
        what = "A URL with its password"
        text = match["password"]
    if what:
        place = module.parents.get(node, node)
        yield module.spot(
            "SRC101",
            place if hasattr(place, "lineno") else node,
            f"{what} is written in the source.",
            Severity.HIGH,
            literal=text,
        )


def _is_shown(module: Module, node: ast.AST) -> bool:
    for outer in module.above(node):
        if isinstance(outer, ast.keyword) and outer.arg in _SHOWN:
            return True
        if isinstance(outer, ast.Dict) and any(text_of(key) in _SHOWN for key in outer.keys):
            return True
        if isinstance(outer, ast.Expr):
            return isinstance(outer.value, ast.Constant)
        if isinstance(outer, ast.stmt):
            return False
    return False


def texts(root: Path) -> Iterator[Spot]:
    """SRC101 in the files beside the code: Dockerfile, compose, TOML, YAML, INI, settings in JSON."""
    folder = root if root.is_dir() else root.parent
    for path in sorted(folder.iterdir()):
        if not path.is_file() or not _TEXTS.fullmatch(path.name) or path.name.endswith(".lock"):
            continue
        if _SAMPLES & set(words(path.name)):
            continue  # to be copied and filled in: whether the service starts with what stands there is SRC102's
        try:
            if path.stat().st_size > _LARGEST_TEXT:
                continue
            lines = path.read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        for number, line in enumerate(lines, 1):
            if (found := _in_line(line)) is not None:
                name, value = found
                yield Spot(
                    "SRC101",
                    relative(path),
                    number,
                    f"{name} is written in {path.name}.",
                    Severity.HIGH,
                    kind="text",
                    literal=Secret(value),
                )


def _in_line(line: str) -> tuple[str, str] | None:
    match = _LINE.match(line)
    if match is not None and is_secret(match["name"]) and is_value(match["value"], match["name"]):
        return match["name"], match["value"]
    dsn = None if line.lstrip().startswith("#") else _DSN.search(line)
    if dsn is not None and not _UNSET.search(dsn["password"]):
        return "A URL with its password", dsn["password"]
    return None
