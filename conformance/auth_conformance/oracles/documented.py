"""Secrets in an OpenAPI document: values that may be credentials, and members that should not be there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Deeper than this no document means anything, and no more texts than these are looked at.
_DEEPEST = 14
_MOST = 20_000
_PASSWORD = re.compile(r"passw(?:or)?d|passwort|pwd|passphrase|client_secret|mot_de_passe", re.IGNORECASE)
_TOKEN = re.compile(r"(?:refresh|access|reset|id|auth|api|session)?_?(?:token|key)", re.IGNORECASE)
_USER = re.compile(r"user(?:_?name)?|e?-?mail(?:_?address)?|login|account|identifier", re.IGNORECASE)
# What no answer has a reason to hold; `secret` alone may be the answer of an enrolment.
_STORED = re.compile(
    r"(?:hashed_?)?passw(?:or)?d(?:_?(?:hash|hashed|digest|salt))?|passwd_?hash|(?:password_?)?salt|pwd_?hash|hashed_secret",
    re.IGNORECASE,
)
_JWT = re.compile(r"eyJ[\w-]{5,}\.eyJ[\w-]{2,}\.[\w-]*")
_LEAKS = (
    (
        # What stands there to be filled in is no password.
        re.compile(
            r"[a-z][a-z0-9+.-]*://[^/\s:@\"<>{}]+:(?!(?:pass(?:word)?|pwd|secret|changeme|\*+|x+|\.+|your\w*)@)"
            r"[^/\s:@\"<>{}$%]+@",
            re.IGNORECASE,
        ),
        "a URL with a user and a password",
    ),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"), "a private key"),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), "a cloud access key"),
    (re.compile(r"\b(?:sk|rk)_live_[0-9A-Za-z]{16,}"), "a live key of a payment service"),
    (re.compile(r"\bgh[pousr]_[0-9A-Za-z]{30,}"), "a token of a code host"),
)
# Words that stand in examples for what the reader has to fill in.
_PLACEHOLDER = re.compile(
    r"^(?:string|<.*>|\.\.\.|x+|\*+|your[ _-].*|example|user@example\.com)$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a body, by the name of its operation or schema."""

    where: str
    name: str
    schema: Mapping[str, Any]


def texts(value: Any, pointer: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Every text in a document, with where it stands."""
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(item, f"{pointer}/{key}", depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts(item, f"{pointer}/{index}", depth + 1)


def leaks(raw: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Texts that are secrets by their form: what they are, and where. JWTs are judged by trying them."""
    found = []
    for number, (pointer, text) in enumerate(texts(raw)):
        if number > _MOST:
            break
        found += [(what, pointer) for pattern, what in _LEAKS if pattern.search(text)]
    return found


def tokens(raw: Mapping[str, Any]) -> list[str]:
    """JWTs that stand in the document, and example values of members that hold keys or tokens."""
    found = [match for _, text in texts(raw) for match in _JWT.findall(text)]
    for name, schema in _properties(raw):
        if _TOKEN.fullmatch(name):
            found += [
                value for value in _examples(schema) if len(value) >= 16 and not _PLACEHOLDER.match(value)
            ]
    return list(dict.fromkeys(found))


def pairs(raw: Mapping[str, Any]) -> list[tuple[str, str]]:
    """User names with passwords that stand together in one example or in one schema."""
    found: list[tuple[str, str]] = []
    for holder in _objects(raw):
        user = next((item for key, item in holder.items() if _named(_USER, key, item)), None)
        password = next((item for key, item in holder.items() if _named(_PASSWORD, key, item)), None)
        if user and password:
            found.append((str(user), str(password)))
        properties = holder.get("properties")
        if not isinstance(properties, Mapping):
            continue
        users = [each for key, item in properties.items() if _USER.fullmatch(key) for each in _examples(item)]
        words = [
            each for key, item in properties.items() if _PASSWORD.search(key) for each in _examples(item)
        ]
        found += [(user, word) for user in users[:3] for word in words[:3]]
    kept = [pair for pair in found if not _PLACEHOLDER.match(pair[1])]
    return list(dict.fromkeys(kept))


def members(schema: Any, where: str, depth: int = 0) -> Iterator[Member]:
    """Every member that a body may have, nested ones and all alternatives included."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return
    given = schema.get("properties")
    properties = given if isinstance(given, Mapping) else {}
    for name, inner in properties.items():
        # The key of a pair is a name: what it names is the value.
        if isinstance(inner, Mapping) and not (name == "key" and "value" in properties):
            yield Member(where, str(name), inner)
            yield from members(inner, where, depth + 1)
    for keyword in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(keyword) or () if isinstance(schema.get(keyword), list) else ():
            yield from members(part, where, depth + 1)
    for keyword in ("items", "additionalProperties"):
        yield from members(schema.get(keyword), where, depth + 1)


def is_stored_secret(member: Member, *, reads: bool) -> bool:
    """Whether an answer should not have this member: what is stored about a password, or a secret again."""
    if member.schema.get("writeOnly") is True or member.schema.get("type") in ("boolean", "integer"):
        return False
    return _STORED.fullmatch(member.name) is not None or (
        reads and member.name.lower() in ("secret", "client_secret")
    )


def client_secret_of_grant(schema: Any) -> str | None:
    """The member for a client's secret in a form of the password grant, where the form does not ask for it.

    RFC 6749 §4.3.2 lets clients add their own credentials (§2.3.1), and every form of the grant has a place for them:
    FastAPI's `OAuth2PasswordRequestForm` among them. One that no caller has to fill takes nobody's password.
    """
    if not isinstance(schema, Mapping):
        return None
    names = {member.name for member in members(schema, "")}
    required = {name for part in _objects(schema) for name in _required(part)}
    of_grant = {"grant_type", "username", "password", "client_secret"} <= names
    return "client_secret" if of_grant and "client_secret" not in required else None


def _required(schema: Mapping[str, Any]) -> list[Any]:
    value = schema.get("required")
    return value if isinstance(value, list) else []


def careless_input(member: Member) -> str | None:
    """What the schema of a member that takes a secret leaves out; None for other members."""
    is_password = _PASSWORD.search(member.name) is not None
    if not is_password and not _TOKEN.fullmatch(member.name):
        return None
    parts = [
        member.schema,
        *(part for key in ("anyOf", "oneOf", "allOf") for part in _listed(member.schema, key)),
    ]
    if not any(part.get("type") == "string" for part in parts):
        return None
    missing = []
    hidden = any(part.get("format") == "password" or part.get("writeOnly") is True for part in parts)
    if is_password and not hidden:
        missing.append("`format: password`")
    bounded = any(
        "maxLength" in part or "enum" in part or "const" in part or "pattern" in part for part in parts
    )
    if not bounded:
        missing.append("`maxLength`")
    return " and ".join(missing) or None


def _listed(schema: Mapping[str, Any], keyword: str) -> list[Mapping[str, Any]]:
    value = schema.get(keyword)
    return [part for part in value if isinstance(part, Mapping)] if isinstance(value, list) else []


def _named(pattern: re.Pattern[str], key: Any, value: Any) -> bool:
    return isinstance(value, str) and bool(value) and pattern.fullmatch(str(key)) is not None


def _objects(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        yield value
        for item in value.values():
            yield from _objects(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item, depth + 1)


def _properties(raw: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for holder in _objects(raw):
        properties = holder.get("properties")
        for name, schema in properties.items() if isinstance(properties, Mapping) else ():
            if isinstance(schema, Mapping):
                yield str(name), schema


def _examples(schema: Any) -> list[str]:
    if not isinstance(schema, Mapping):
        return []
    several = schema.get("examples")
    found = [schema.get("example"), schema.get("default"), *(several if isinstance(several, list) else ())]
    return [value for value in found if isinstance(value, str) and value and len(value) < 4096]
