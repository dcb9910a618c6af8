"""What names of variables, members and environment variables say: secret, password, or merely about one."""

from __future__ import annotations

import ast
import re
from functools import lru_cache


def listed(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


# A name that ends so is about a secret and is none.
ABOUT = listed("""
    url uri path name names type types kind length len seconds minutes hours days expire expires expired expiry
    expiration ttl lifetime age header headers prefix suffix scheme schemes algorithm algorithms alg field fields
    param params parameter pattern regex min max id ids class file files filename folder dir count limit limits
    endpoint route routes location audience issuer cookie bytes size model schema service manager strategy
    backend error errors exception message detail label title description rotation version format required
    enabled disabled policy validator strength hint rule rules context hasher helper handler factory bearer
    dependency repository repo store storage table column index request response form data info status state
    used valid invalid revoked test text challenge realm cost rounds iterations memory time at by on in for of
    from to with arn arns generation
    generator provider func function method attempts attempt window minimum maximum flow grant getter scope
    scopes claims payload encoding charset separator delimiter placeholder example examples help owner user
    create created update updated reset verify verified change changed missing present is has digits usage namespace
    use supported pointer place parts template templates html subject view views page pages blueprint msg
    part number numbers position domain samesite secure httponly transport env var variable
    action source profile target alias sentinel mask marker obo
    creator serializer serializers claim no api email phone sms uuid guid sub jti iss aud kid tid allowed denied
    """)
# Behind these stands what a thing is about: a `user_id_for_whom_token_was_generated` is an id.
_PREPOSITIONS = listed("for of in by from with to at on")
# What something is kept as, and how a name begins that says yes or no.
_KEPT_AS = listed("string str value")
_SWITCHES = listed("is has min max use uses allow allows require requires should enable supports")
_SECRET = listed(
    "secret secrets password passwords passwd pwd passphrase token tokens apikey apikeys credential credentials "
    "dsn pepper otp"
)
# Wherever they stand in a name: what everybody may see, an address, the words of a mail.
_NEVER = listed("public redirect template subject")
_PASSWORD = listed("password passwords passwd pwd pw passphrase pass")
# Tokens that a model of language counts, and tokens, digests and keys that only mark a place or a state.
_COUNTED = listed("total input output prompt completion max used cached reasoning num number count")
_MARKS = listed(
    "version page next continuation cursor sync config content file image schema etag publishable"
)
# What makes a `key` a secret.
_OF_KEY = listed("api secret private signing jwt encryption hmac access auth session master crypto fernet")


@lru_cache(maxsize=20_000)
def words(name: str) -> tuple[str, ...]:
    """The words of an identifier in lower case: `resetTokenURL` gives reset, token, url."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return tuple(word for word in re.split(r"[^A-Za-z0-9]+", spaced.lower()) if word)


def is_mark(found: tuple[str, ...]) -> bool:
    """Whether the words of a name say a count or a place: `total_tokens`, `next_page_token`, `config_digest`."""
    return (found[-1] == "tokens" and bool(_COUNTED & set(found))) or (len(found) > 1 and found[-2] in _MARKS)


def is_about(found: tuple[str, ...]) -> bool:
    """Whether the words of a name say something about a secret, and no secret: its length, its owner, its place."""
    while len(found) > 1 and found[-1] in _KEPT_AS:
        found = found[:-1]
    end = next((place for place, word in enumerate(found) if place and word in _PREPOSITIONS), len(found))
    return not found or found[-1] in ABOUT or found[end - 1] in ABOUT


@lru_cache(maxsize=20_000)
def is_switch(name: str) -> bool:
    """Whether a name says yes or no, or bounds something."""
    found = words(name)
    return bool(found) and found[0] in _SWITCHES


@lru_cache(maxsize=20_000)
def is_secret(name: str) -> bool:
    """Whether a variable of that name holds a secret, going by its words."""
    found = words(name)
    if is_about(found) or _NEVER & set(found) or is_switch(name) or is_mark(found):
        return False
    return bool(_SECRET & set(found)) or (found[-1] in {"key", "keys"} and bool(_OF_KEY & set(found)))


@lru_cache(maxsize=20_000)
def is_password(name: str) -> bool:
    """Whether a variable of that name holds a password in clear."""
    found = words(name)
    about = ABOUT | {"hash", "hashed", "digest", "encrypted"}
    return (
        bool(found) and bool(_PASSWORD & set(found)) and not (about & {found[-1]}) and "hashed" not in found
    )


def name_of(node: ast.AST | None) -> str:
    """The last name in an expression: `self.user.token` gives token, `body["token"]` too."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name
        case ast.Call(
            func=ast.Attribute(
                value=inner,
                attr="encode" | "decode" | "strip" | "get_secret_value" | "hexdigest" | "digest" | "lower",
            )
        ):
            return name_of(inner)
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str() as name), *_]):
            return name
        case ast.Await(value=inner) | ast.Starred(value=inner):
            return name_of(inner)
        case _:
            return ""


def mentions(node: ast.AST, predicate: object) -> bool:
    """Whether a name in an expression fulfils `predicate`."""
    return any(callable(predicate) and predicate(name_of(part)) for part in ast.walk(node) if name_of(part))


def text_of(node: ast.AST | None) -> str | None:
    """The text of a string or bytes literal; None for anything else."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Constant(value=bytes() as raw):
            return raw.decode("latin-1")
        case _:
            return None


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The value of a keyword argument; None where it is not given."""
    return next((item.value for item in call.keywords if item.arg == name), None)


def argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    """An argument by position or keyword; None where it is not given."""
    plain = [item for item in call.args if not isinstance(item, ast.Starred)]
    return plain[position] if position < len(plain) else keyword(call, name)


def is_constant(node: ast.AST | None, value: object) -> bool:
    """Whether an expression is exactly that constant: `True` is not `1` here."""
    return isinstance(node, ast.Constant) and type(node.value) is type(value) and node.value == value


def spreads(call: ast.Call) -> bool:
    """Whether a call takes arguments that cannot be read: `*args` or `**kwargs`."""
    return any(item.arg is None for item in call.keywords) or any(
        isinstance(item, ast.Starred) for item in call.args
    )
