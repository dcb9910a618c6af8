"""Users from a Web Fuzzing Commons file, the format that several API fuzzers share: read as accounts and a login.

https://github.com/WebFuzzing/Commons/blob/master/auth.md. Such a file holds secrets in clear: it is read, never
written, and nothing of it is repeated in a message.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

from auth_conformance.notation import METHODS, ConfigurationError, Given
from auth_conformance.secret import Secret
from auth_conformance.tables import AccountSettings, LoginSettings

_ADMIN = ("admin", "root", "superuser")
_PASSWORD = ("password", "passwd", "pwd", "passphrase", "secret", "pass")
_USER = ("username", "user", "email", "login", "identifier", "name")
_FORM = "application/x-www-form-urlencoded"
_PAIR = 2

Users = tuple[dict[str, AccountSettings], list[LoginSettings]]


def read_users(path: Path, address: str | None) -> Users:
    """The accounts of the file by name, and how they log in; `address` is the target's, where it is a URL.

    The first two users are a and b, the first one named like an administrator is the admin; a run needs no more.
    Raises ConfigurationError.
    """
    document = _read(path)
    listed = document.get("auth")
    if not isinstance(listed, list) or not listed or not all(isinstance(item, Mapping) for item in listed):
        raise ConfigurationError(
            f"{path} is no Web Fuzzing Commons file: it needs a list 'auth' with an entry for each user."
        )
    template = document.get("authTemplate")
    accounts: dict[str, AccountSettings] = {}
    logins: list[LoginSettings] = []
    free = ["a", "b"]
    for item in listed:
        entry = _merged(template if isinstance(template, Mapping) else {}, item)
        name = str(entry.get("name") or f"user {len(accounts) + 1}")
        admin = any(word in name.lower() for word in _ADMIN)
        role = "admin" if admin else next(iter(free), "")
        if not role or any(known.role == role for known in accounts.values()):
            continue
        members, login = _user(entry, f"{path}, user {name}", address)
        if login is not None and logins and login != logins[0]:
            raise ConfigurationError(
                f"{path}, user {name}: this user logs in differently than the first one. One way is read from such "
                "a file: describe the other in [[login]], and the account in [accounts]."
            )
        logins = logins or ([login] if login is not None else [])
        free = free if admin else free[1:]
        accounts[name] = AccountSettings.model_construct(**{"username": name, **members, "role": role})
    return accounts, logins


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text("utf-8")
        document = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError):
        # What is wrong would be quoted, and it may be a secret.
        raise ConfigurationError(f"{path} is neither YAML, JSON nor TOML.") from None
    return document if isinstance(document, Mapping) else {}


def _merged(template: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry; what it leaves out is taken from the template, at any depth."""
    found = dict(template)
    for key, value in entry.items():
        known = found.get(key)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            found[key] = _merged(known, value)
        else:
            found[key] = value
    return found


def _user(
    entry: Mapping[str, Any], where: str, address: str | None
) -> tuple[dict[str, Any], LoginSettings | None]:
    """The members of an account, and its login. Raises ConfigurationError."""
    endpoint = entry.get("loginEndpointAuth")
    if isinstance(endpoint, Mapping):
        return _login(endpoint, where, address)
    members: dict[str, Any] = {}
    headers = [_ready(name, value) for name, value in _headers(entry.get("fixedHeaders"), where)]
    for header in reversed(headers):
        members |= header
    if len(headers) > 1:
        del members["carrier"]  # each kind has one of its own
    if not members:
        raise ConfigurationError(f"{where}: it has neither fixedHeaders nor loginEndpointAuth.")
    return members, None


def _headers(listed: Any, where: str) -> list[tuple[str, str]]:
    found = []
    for item in listed if isinstance(listed, list) else []:
        name, value = (item.get("name"), item.get("value")) if isinstance(item, Mapping) else (None, None)
        if not isinstance(name, str) or not isinstance(value, str) or not name or not value.strip():
            raise ConfigurationError(f"{where}: a header needs a name and a value, both texts.")
        found.append((name, value.strip()))
    return found


def _ready(name: str, value: str) -> dict[str, Any]:
    """A fixed header as a ready-made credential, with the way in which it travels."""
    word, _, rest = value.partition(" ")
    pair = _basic(value) if name.lower() == "authorization" else None
    if pair is not None:
        return {"username": pair[0], "password": Given(Secret(pair[1])), "carrier": f"header {name} Basic"}
    if name.lower() == "cookie":
        return {"cookie": Given(Secret(value.partition(";")[0])), "carrier": None}
    kind = "token" if name.lower() == "authorization" else "key"
    worded = bool(rest) and word.isalpha() and " " not in rest.strip()
    text, prefix = (rest.strip(), f" {word}") if worded else (value, "")
    return {kind: Given(Secret(text)), "carrier": f"header {name}{prefix}"}


def _basic(value: str) -> tuple[str, str] | None:
    """Name and password of an `Authorization: Basic` header."""
    word, _, rest = value.partition(" ")
    if word.lower() == "basic":
        with contextlib.suppress(binascii.Error, ValueError):
            name, colon, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
            return (name, password.rstrip("\n")) if colon else None
    return None


def _login(
    endpoint: Mapping[str, Any], where: str, address: str | None
) -> tuple[dict[str, Any], LoginSettings]:
    operation = f"{_method(endpoint, where)} {_path(endpoint, where, address)}"
    form = _FORM in str(endpoint.get("contentType") or "application/json").lower()
    given: dict[str, Any] = {"operation": operation, "encoding": "form" if form else "json"}
    headers = dict(_headers(endpoint.get("headers"), where))
    pair = next(
        (
            found
            for name, value in headers.items()
            if name.lower() == "authorization" and (found := _basic(value))
        ),
        None,
    )
    if pair is not None:
        name, password = pair
        headers = {key: value for key, value in headers.items() if key.lower() != "authorization"}
        given |= {"encoding": "basic", "user_field": "", "password_field": ""}
    else:
        name, password, members = _payload(endpoint, where, form=form)
        given |= members
    given |= {"headers": headers} if headers else {}
    given |= _token(endpoint.get("token"), where)
    return {"username": name, "password": Given(Secret(password))}, LoginSettings.model_construct(
        **given, _fields_set=set(given)
    )


def _method(endpoint: Mapping[str, Any], where: str) -> str:
    method = str(endpoint.get("verb") or "POST").upper()
    if method not in METHODS:
        raise ConfigurationError(f"{where}: verb has to be one of {', '.join(METHODS)}.")
    return method


def _path(endpoint: Mapping[str, Any], where: str, address: str | None) -> str:
    path, url = endpoint.get("endpoint"), endpoint.get("externalEndpointURL")
    if isinstance(url, str) and url:
        there, own = urlsplit(url), urlsplit(address or "")
        if (there.scheme, there.netloc) != (own.scheme, own.netloc):
            raise ConfigurationError(
                f"{where}: it logs in at {there.scheme}://{there.hostname}, another host than the target, and "
                'credentials go nowhere else. Get tokens there and give them: token = { env = "A_TOKEN" }.'
            )
        path = there.path.removeprefix(own.path.rstrip("/"))
    if not isinstance(path, str) or not path.startswith("/") or " " in path:
        raise ConfigurationError(f"{where}: endpoint has to be a path, such as /login.")
    return path


def _payload(endpoint: Mapping[str, Any], where: str, *, form: bool) -> tuple[str, str, dict[str, Any]]:
    """Name, password, and what the login needs to know of its body. Raises ConfigurationError."""
    pair = endpoint.get("payloadUserPwd")
    if isinstance(pair, Mapping):
        wanted = ("username", "password", "usernameField", "passwordField")
        if missing := [key for key in wanted if not isinstance(pair.get(key), str)]:
            raise ConfigurationError(
                f"{where}: payloadUserPwd lacks {', '.join(missing)}, or it is no text: put quotes around it."
            )
        fields = {"user_field": str(pair["usernameField"]), "password_field": str(pair["passwordField"])}
        return str(pair["username"]), str(pair["password"]), fields
    raw = endpoint.get("payloadRaw")
    members: Any = None
    if isinstance(raw, str):
        with contextlib.suppress(ValueError):
            members = dict(parse_qsl(raw, keep_blank_values=True)) if form else json.loads(raw)
    texts = (
        {key: value for key, value in members.items() if isinstance(value, str)}
        if isinstance(members, Mapping)
        else {}
    )
    password = _like(list(texts), _PASSWORD)
    user = _like([key for key in texts if key != password], _USER)
    if password is None or user is None:
        raise ConfigurationError(
            f"{where}: its payload does not show which member is the user name and which the password: give "
            "payloadUserPwd instead of payloadRaw."
        )
    extra = {key: value for key, value in members.items() if key not in (user, password)}
    fields = {"user_field": user, "password_field": password}
    return texts[user], texts[password], {**fields, **({"extra": extra} if extra else {})}


def _like(listed: list[str], words: tuple[str, ...]) -> str | None:
    found = [name for word in words for name in listed if word in name.lower().replace("_", "")]
    return found[0] if found else None


def _token(token: Any, where: str) -> dict[str, str]:
    """Where the reply holds the token and how it travels, in the words of either version of the format."""
    if not isinstance(token, Mapping):
        return {}
    place = token.get("extractFromField")
    if isinstance(token.get("extractFromHeader"), str):
        place = f"header {token['extractFromHeader']}"
    selector = token.get("extractSelector")
    if isinstance(selector, str):
        place = f"header {selector}" if token.get("extractFrom") == "header" else selector
    name, prefix = token.get("httpHeaderName"), str(token.get("headerPrefix") or "").strip()
    kind = str(token.get("sendIn") or "header")
    if isinstance(token.get("sendName"), str):
        name, prefix = token["sendName"], str(token.get("sendTemplate") or "").partition("{token}")[0].strip()
    if token.get("headerPostfix") or " " in prefix or kind not in ("header", "query", "cookie"):
        raise ConfigurationError(
            f"{where}: a token travels with at most one word before it, in a header, query or cookie."
        )
    found = {"token": place} if isinstance(place, str) else {}
    return found | ({"carrier": f"{kind} {name} {prefix}".strip()} if isinstance(name, str) else {})
