"""What a value of the configuration may be: secrets by the name of a variable, operations, places, carriers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

from auth_conformance.oracles.places import is_place
from auth_conformance.secret import Secret

Value = TypeVar("Value")

_PASSWORD_IN_URL = re.compile(r"[^:/]+://[^/@]*:[^/@]+@")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
PLACES = (
    "a JSON pointer, 'header NAME', 'cookie NAME', 'input NAME', 'query NAME', 'mail code', 'text BEFORE{}AFTER' or "
    "'value TEXT'"
)
# What stands under these names is a secret wherever it stands, unless an earlier reply gave it.
_SECRET_NAMES = frozenset(
    {"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "client_secret"}
)


class ConfigurationError(Exception):
    """The configuration, or the target that it names, cannot be used; the message is for the user."""


class FromEnvironment(BaseModel):
    """A secret by the name of the environment variable that holds it: `{ env = "ALICE_PASSWORD" }`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    env: str

    @model_validator(mode="after")
    def _name(self) -> FromEnvironment:
        if not _VARIABLE.fullmatch(self.env):
            # What stands there may be the secret itself: it is not quoted.
            raise ValueError(
                "env takes the bare name of an environment variable, letters, digits and underscores only, "
                'as in { env = "ALICE_PASSWORD" }'
            )
        return self

    def secret(self) -> Secret:
        """The secret. Raises ConfigurationError when the variable is not set."""
        value = os.environ.get(self.env)
        if not value:
            raise ConfigurationError(
                f"The environment variable {self.env} is not set, and the configuration needs it."
            )
        return Secret(value)


class Given:
    """A secret that came as a value: from a fixture, a hook, or a file of another format."""

    def __init__(self, secret: Secret) -> None:
        """Wrap the secret."""
        self._secret = secret

    def secret(self) -> Secret:
        """The secret."""
        return self._secret


def _by_name(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(  # noqa: TRY004 - pydantic turns ValueErrors into messages
            "a secret never stands in the configuration: name an environment variable that holds it, "
            'as in { env = "ALICE_PASSWORD" }'
        )
    return value


SecretByName = Annotated[FromEnvironment, BeforeValidator(_by_name)]


def without_password(value: Value) -> Value:
    """The value, unless it is a URL with a password in it. Raises ValueError."""
    if isinstance(value, str) and _PASSWORD_IN_URL.match(value):
        if value.lower().startswith(("http:", "https:")):
            raise ValueError(
                "a password never stands in the configuration or on the command line: leave it out of the URL. "
                'Who logs in stands below [accounts.alice], with password = { env = "ALICE_PASSWORD" }'
            )
        raise ValueError(
            "a password never stands in the configuration or on the command line: name the environment variable "
            'that holds the whole URL, as in database = { env = "DATABASE_URL" } or --database-env DATABASE_URL'
        )
    return value


def _operation(value: str) -> str:
    method, _, path = value.strip().partition(" ")
    path = path.strip()
    if method.upper() not in METHODS or not path.startswith("/") or " " in path:
        raise ValueError(f'{value!r} is no operation: write method and path, as in "GET /users/me"')
    return f"{method.upper()} {path}"


def _place(value: str) -> str:
    if not is_place(value):
        hint = f" (perhaps '/{value}')" if value.isidentifier() else ""
        raise ValueError(f"{value!r} is no place in a reply{hint}: write {PLACES}")
    return value


def _pointer(value: str) -> str:
    if value and not value.startswith("/"):
        raise ValueError(
            f"{value!r} is no JSON pointer: write /{value}, or /data/{value} for a nested member"
        )
    return value


def _carrier(value: str) -> str:
    place, _, rest = value.strip().partition(" ")
    name, _, prefix = rest.strip().partition(" ")
    if place not in ("header", "query", "cookie") or not name or " " in prefix.strip():
        raise ValueError(
            f"{value!r} does not say how a credential travels: write place (header, query or cookie), name and "
            "scheme word, as in 'header Authorization Bearer'"
        )
    return value.strip()


OperationName = Annotated[str, AfterValidator(_operation)]
Place = Annotated[str, AfterValidator(_place)]
Pointer = Annotated[str, AfterValidator(_pointer)]
CarrierText = Annotated[str, AfterValidator(_carrier)]


def _readable(value: Any) -> Any:
    """Members of a body, headers or a query: secrets among them by the name of a variable only."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if isinstance(item, str) and "{{" not in item and str(name).lower() in _SECRET_NAMES:
                raise ValueError(
                    f"{name} is a secret, and those never stand in the configuration: name an environment "
                    f'variable that holds it, as in {name} = {{ env = "ITS_VARIABLE" }}'
                )
            _readable(item)
    return value


def _apart(value: object) -> object:
    """A list of codes; one text in it may hold several, with commas between them, as people type them."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [part for item in value for part in item.replace(",", " ").split()]
    return value


Codes = Annotated[list[str], BeforeValidator(_apart)]
PasswordlessUrl = Annotated[str, BeforeValidator(without_password)]
Members = Annotated[dict[str, Any], AfterValidator(_readable)]


def variables(value: Any) -> Iterator[str]:
    """The environment variables that a configuration names, at any depth."""
    match value:
        case FromEnvironment():
            yield value.env
        case BaseModel():
            for name in type(value).model_fields:
                yield from variables(getattr(value, name))
        case {"env": str(name), **rest} if not rest:
            yield name
        case Mapping():
            for item in value.values():
                yield from variables(item)
        case list() | tuple():
            for item in value:
                yield from variables(item)


def filled(value: Any) -> Any:
    """The value with the secret of its variable in place of each `{ env = "NAME" }`."""
    match value:
        case {"env": str(name), **rest} if not rest:
            return FromEnvironment(env=name).secret().reveal()
        case Mapping():
            return {key: filled(item) for key, item in value.items()}
        case list():
            return [filled(item) for item in value]
        case _:
            return value
