"""The configuration: one model for flags, environment, and file; unknown keys are refused.

Precedence: flags, then `AUTH_CONFORMANCE_*` environment variables, then `[tool.auth-conformance]` in
pyproject.toml or `auth-conformance.toml`. Secrets come only from environment variables that the
configuration names.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from auth_conformance.model import Severity
from auth_conformance.oracles.places import is_place
from auth_conformance.secret import Secret

_PASSWORD_IN_URL = re.compile(r"[^:/]+://[^/@]*:[^/@]+@")
FILE_NAME = "auth-conformance.toml"
PROFILES = Path(__file__).parent / "profiles"


class ConfigurationError(Exception):
    """The configuration, or the target that it names, cannot be used; the message is for the user."""


class FromEnvironment(BaseModel):
    """A secret by the name of the environment variable that holds it: `{ env = "ALICE_PASSWORD" }`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    env: str

    def secret(self) -> Secret:
        """The secret. Raises ConfigurationError when the variable is not set."""
        value = os.environ.get(self.env)
        if not value:
            raise ConfigurationError(
                f"The environment variable {self.env} is not set, and the configuration needs it."
            )
        return Secret(value)


def _by_name(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(  # noqa: TRY004 - pydantic turns ValueErrors into messages
            "a secret never stands in the configuration: name an environment variable that holds it, "
            'as in { env = "ALICE_PASSWORD" }'
        )
    return value


SecretByName = Annotated[FromEnvironment, BeforeValidator(_by_name)]


def _without_password(value: object) -> object:
    if isinstance(value, str) and _PASSWORD_IN_URL.match(value):
        raise ValueError(
            "a password never stands in the configuration or on the command line: name the environment variable "
            'that holds the whole URL, as in database = { env = "DATABASE_URL" } or --database-env DATABASE_URL'
        )
    return value


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class AccountSettings(_Table):
    """A user of the target. `role` is `a`, `b`, `admin`, `expendable`, or empty.

    The first two without a role are a and b. An expendable account may be locked by the run; several are
    allowed, and none are needed where strangers may register.
    """

    username: str = ""
    password: SecretByName | None = None
    token: SecretByName | None = None
    key: SecretByName | None = None
    cookie: SecretByName | None = None
    role: Literal["", "a", "b", "admin", "expendable"] = ""
    email: str = ""


class LoginStepSettings(_Table):
    """A request before a login: `take` gives names to places in its reply, for `{{name}}` in what follows."""

    operation: str
    encoding: Literal["none", "form", "json", "query"] = "none"
    user_field: str = ""
    password_field: str = ""
    extra: dict[str, Any] = Field(default_factory=dict)
    take: dict[str, str] = Field(default_factory=dict)

    @field_validator("take")
    @classmethod
    def _places(cls, value: dict[str, str]) -> dict[str, str]:
        for name, where in value.items():
            if not is_place(where):
                raise ValueError(f"{name} = {where!r} is no place in a reply: write {PLACES}")
        return value


PLACES = "a JSON pointer, 'header NAME', 'cookie NAME', 'input NAME', 'query NAME' or 'text BEFORE{}AFTER'"


class LoginSettings(_Table):
    """How to log in, where discovery does not find out: `operation = "POST /login"`, places, encoding.

    `before` are the steps that come first; what they take may stand in `extra`, `headers` and `query`.
    """

    operation: str
    before: list[LoginStepSettings] = Field(default_factory=list)
    headers: dict[str, str] = Field(default_factory=dict)
    query: dict[str, str] = Field(default_factory=dict)
    csrf_header: str = ""
    encoding: Literal["form", "json", "query", "basic"] = "json"
    user_field: str = "username"
    password_field: str = "password"  # noqa: S105 - the name of a field
    token: str | None = None
    refresh: str | None = None
    cookie: str | None = None
    csrf: str | None = None
    carrier: str = "header Authorization Bearer"
    extra: dict[str, Any] = Field(default_factory=dict)


class WitnessSettings(_Table):
    """A protected GET and the JSON pointer in its answer that names the caller."""

    operation: str
    identity: str = ""


class RefreshSettings(_Table):
    """How a refresh token is exchanged; `place` is json, form, query, header or cookie."""

    operation: str
    place: Literal["json", "form", "query", "header", "cookie"] = "json"
    field: str = "refresh_token"
    token: str = "/access_token"  # noqa: S105 - a pointer
    refresh: str | None = "/refresh_token"


class RegisterSettings(_Table):
    """How a stranger makes an account."""

    operation: str
    encoding: Literal["form", "json"] = "json"
    user_field: str = "username"
    password_field: str = "password"  # noqa: S105 - the name of a field
    user_style: Literal["name", "email"] = "name"
    extra: dict[str, Any] = Field(default_factory=dict)


class KeysSettings(_Table):
    """How API keys are made: `value` points at the key in the creation reply."""

    create: str
    body: dict[str, Any] = Field(default_factory=dict)
    value: str = "/key"
    identifier: str | None = "/id"
    carrier: str = "header X-API-Key"
    listing: str | None = None
    revoke: str | None = None
    expiry_field: str | None = None


class ObjectsSettings(_Table):
    """A collection whose objects belong to users."""

    create: str
    read: str
    body: dict[str, Any] = Field(default_factory=dict)
    text_field: str = "title"
    identifier: str = "/id"
    delete: str | None = None


class CallSettings(_Table):
    """A call: `operation = "PATCH /admin/users/{id}"`, and its body."""

    operation: str
    body: dict[str, Any] = Field(default_factory=dict)


class UsersSettings(_Table):
    """What administrators do to accounts; each operation names the account by its one path parameter."""

    disable: CallSettings | None = None
    enable: CallSettings | None = None
    promote: CallSettings | None = None
    demote: CallSettings | None = None
    delete: CallSettings | None = None
    end_sessions: CallSettings | None = None


class SessionsSettings(_Table):
    """How people see and end their logins; `identifier` is the member of a listed login that `end` takes."""

    listing: str
    identifier: str = "id"
    end: str | None = None
    end_all: str | None = None


class PasswordChangeSettings(_Table):
    """How people change their password: members of the body, `query:NAME` or `path:NAME`."""

    operation: str
    encoding: Literal["json", "form"] = "json"
    current: str | None = "current_password"
    new: str = "new_password"
    also: list[str] = Field(default_factory=list)
    extra: dict[str, Any] = Field(default_factory=dict)


class MailingSettings(_Table):
    """An operation that sends a message to whom `user` names, by e-mail address or by name."""

    operation: str
    encoding: Literal["json", "form"] = "json"
    user: str = "email"
    style: Literal["email", "name"] = "email"
    extra: dict[str, Any] = Field(default_factory=dict)


class RedemptionSettings(_Table):
    """An operation that takes the token of a message, and perhaps a new password and the account's name."""

    operation: str
    encoding: Literal["json", "form"] = "json"
    token: str = "token"  # noqa: S105 - the name of a field
    password: str | None = None
    also: list[str] = Field(default_factory=list)
    user: str | None = None
    extra: dict[str, Any] = Field(default_factory=dict)


class ResetSettings(_Table):
    """How people get a new password who forgot theirs."""

    ask: MailingSettings
    confirm: RedemptionSettings


class VerificationSettings(_Table):
    """How people confirm their address; `ask` sends the message again."""

    confirm: RedemptionSettings
    ask: MailingSettings | None = None


class MailboxSettings(_Table):
    """Where the last message to a person can be read: one of four ways.

    `app` is `module:callable`, called with the address. `command` prints the message; the address is its last
    argument. `url` answers with it. `folder` holds one file per message. `{recipient}` in a command or URL is
    replaced by the address.
    """

    app: str = ""
    command: str = ""
    url: str = ""
    folder: str = ""


class WebSocketSettings(_Table):
    """A path that speaks WebSocket, and a text message that it answers."""

    path: str
    message: str = ""


class RotationSettings(_Table):
    """Environment variables of the application, by name, in which a key rotation consists.

    `overlap` makes a new signing key current and keeps the old one; `after` takes the old one away.
    """

    overlap: dict[str, SecretByName]
    after: dict[str, SecretByName]


class ListenerSettings(_Table):
    """Where to listen for callbacks of the target: opens the half of TOK117 that waits for a fetch.

    `bind` is host and port here, `url` how the target reaches it. `reachable` says that you have tried that.
    """

    bind: str = Field(pattern=r"^[^\s/]+:\d{1,5}$")
    url: str = Field(pattern=r"^https?://[^\s/?#@]+$")
    reachable: bool = False


class SigningSettings(_Table):
    """The key that signs access tokens, and its algorithm: opens the grey checks."""

    key: SecretByName
    algorithm: str = "HS256"
    key_id: str | None = None


class PolicySettings(_Table):
    """Deliberate behaviour, declared so that it is no finding; see `auth_conformance.target.Policy`."""

    refusals: list[Literal["envelope", "redirect"]] = Field(default_factory=list)
    leeway: float = 60.0
    audience: list[str] = Field(default_factory=list)
    algorithms: list[str] = Field(default_factory=list)
    form_token: bool = False
    access_lifetime: float | None = Field(default=None, gt=0)
    refresh_lifetime: float | None = Field(default=None, gt=0)
    trust_waf: bool = False
    origins: list[str] = Field(default_factory=list)
    public_operations: list[str] = Field(default_factory=list)
    privileged_operations: list[str] = Field(default_factory=list)
    private_fields: list[str] = Field(default_factory=list)
    throttle_limit: int = 67
    refresh_window: float = 0.0
    stateless_tolerance: float = 0.0
    first_valid_wins: bool = False
    cross_site_cookie: bool = False
    four_file: bool = True
    test_hashing: bool = False
    handler_count: Literal["code", "span"] = "code"
    stale_cookie_ignored: bool = False
    interchangeable: list[str] = Field(default_factory=list)
    session_idle: float | None = Field(default=None, gt=0)
    session_absolute: float | None = Field(default=None, gt=0)
    refresh_family: float | None = Field(default=None, gt=0)
    hide_docs: bool = False
    same_site_only: bool = False
    request_limits: dict[str, float] = Field(default_factory=dict)


class Restatement(_Table):
    """Another severity for a check, and why: without a reason nobody can defend it a year later."""

    severity: Literal["info", "low", "medium", "high", "critical"]
    because: str = Field(min_length=10)


class Profile(_Table):
    """A selection of checks with thresholds and restated severities, kept as data.

    Everything in it may be given in the configuration as well; what stands there yields to the profile.
    """

    title: str = Field(min_length=1)
    level: int | None = Field(default=None, ge=1, le=3)
    only: list[str] | None = None
    ignore: list[str] | None = None
    fail_on: Literal["info", "low", "medium", "high", "critical"] | None = None
    strict: bool | None = None
    allow_inconclusive: bool | None = None
    policy: dict[str, Any] | None = None
    restate: dict[str, Restatement] | None = None


class Settings(BaseSettings):
    """Everything that a run can be told. Times are in seconds, `rate` in requests per second."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix="AUTH_CONFORMANCE_",
        env_nested_delimiter="__",
        hide_input_in_errors=True,
    )

    url: str | None = None
    app: str | None = None
    app_dir: str = "."
    openapi: str | None = None
    profile: str | None = None
    level: int = Field(default=3, ge=1, le=3)
    restate: dict[str, Restatement] = Field(default_factory=dict)
    only: list[str] = Field(default_factory=list)
    ignore: list[str] = Field(default_factory=list)
    fail_on: Literal["info", "low", "medium", "high", "critical"] = "low"
    allow_disruptive: bool = False
    allow_inconclusive: bool = False
    strict: bool = False
    waivers: str | None = None
    baseline: str | None = None
    new_only: bool = False
    rate: float | None = Field(default=None, gt=0)
    budget: int | None = Field(default=None, gt=0)
    timeout: float = Field(default=10.0, gt=0)
    patience: float = Field(default=5.0, ge=0)
    seed: int = 0
    fuzz: bool = False
    fuzz_budget: str = "60s"
    fuzz_seed: int = 0
    verify_tls: bool = True
    database: SecretByName | None = None
    db: Annotated[str | None, BeforeValidator(_without_password)] = None
    source: str | None = None
    log_file: str | None = None
    accounts: dict[str, AccountSettings] = Field(default_factory=dict)
    login: list[LoginSettings] = Field(default_factory=list)
    witness: WitnessSettings | None = None
    second: WitnessSettings | None = None
    public: str | None = None
    refresh: RefreshSettings | None = None
    logout: list[str] = Field(default_factory=list)
    register_: RegisterSettings | None = Field(default=None, alias="register")
    keys: KeysSettings | None = None
    objects: ObjectsSettings | None = None
    users: UsersSettings | None = None
    sessions: SessionsSettings | None = None
    websockets: list[WebSocketSettings] = Field(default_factory=list)
    password_change: PasswordChangeSettings | None = None
    reset: ResetSettings | None = None
    verification: VerificationSettings | None = None
    mailbox: MailboxSettings | None = None
    restart: str | None = None
    replica: str | None = None
    rotation: RotationSettings | None = None
    signing: SigningSettings | None = None
    listener: ListenerSettings | None = None
    token_cache: str | None = None
    foreign_token: SecretByName | None = None
    policy: PolicySettings = Field(default_factory=PolicySettings)

    def restated(self) -> dict[str, Severity]:
        """The severities that the profile or the configuration restates, by code."""
        return {code: Severity(item.severity) for code, item in self.restate.items()}

    def database_url(self) -> str | None:
        """The URL of the target's database. Raises ConfigurationError when the named variable is not set."""
        return self.database.secret().reveal() if self.database else self.db

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then environment, then the profile (passed as `_profile`), then the file (`_file`)."""
        given = dict(init_settings())
        table = given.pop("_file", {})
        profile = given.pop("_profile", {})
        return (
            InitSettingsSource(settings_cls, init_kwargs=given),
            env_settings,
            InitSettingsSource(settings_cls, init_kwargs=profile),
            InitSettingsSource(settings_cls, init_kwargs=table),
        )


def find_table(start: Path) -> tuple[Path | None, dict[str, Any]]:
    """The configuration file in `start` and its table: `auth-conformance.toml`, else pyproject.toml.

    Raises ConfigurationError when the file is no TOML.
    """
    own = start / FILE_NAME
    project = start / "pyproject.toml"
    if own.is_file():
        return own, read_toml(own)
    if project.is_file():
        table = read_toml(project).get("tool", {}).get("auth-conformance")
        if isinstance(table, dict):
            return project, table
    return None, {}


def read_toml(path: Path) -> dict[str, Any]:
    """The data of a TOML file. Raises ConfigurationError with path and line when it cannot be read."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}.") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error


def profile_names() -> list[str]:
    """The names of the profiles that come with the suite."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def read_profile(name: str, start: Path) -> dict[str, Any]:
    """What a profile sets: one of ours by name, or a file. Raises ConfigurationError."""
    own = PROFILES / f"{name}.toml"
    file = own if own.is_file() else start / name
    if not file.is_file():
        known = ", ".join(profile_names())
        raise ConfigurationError(f"There is no profile {name!r}: name a file, or one of {known}.")
    try:
        profile = Profile(**read_toml(file))
    except ValidationError as error:
        raise ConfigurationError(_sentences(error, f" in the profile {name}")) from None
    return profile.model_dump(exclude={"title"}, exclude_none=True)


def load(flags: dict[str, Any], *, file: Path | None = None, start: Path | None = None) -> Settings:
    """Settings from flags, environment and file. Flags that are None are not given.

    Raises ConfigurationError with one sentence per mistake.
    """
    path, table = (file, read_toml(file)) if file is not None else find_table(start or Path.cwd())
    if file is not None and file.name == "pyproject.toml":
        table = table.get("tool", {}).get("auth-conformance", {})
    given = {key: value for key, value in flags.items() if value is not None}
    name = given.get("profile") or os.environ.get("AUTH_CONFORMANCE_PROFILE") or table.get("profile")
    profile = read_profile(str(name), start or Path.cwd()) if name else {}
    try:
        return Settings(**{"_file": table, "_profile": profile, **given})
    except ValidationError as error:
        where = f" in {path.name}" if path is not None and table else ""
        raise ConfigurationError(_sentences(error, where)) from None


def _sentences(error: ValidationError, where: str) -> str:
    lines = []
    for item in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in item["loc"]) or "configuration"
        if item["type"] == "extra_forbidden":
            lines.append(f"Unknown option {name}{where}: check its spelling.")
        else:
            lines.append(f"Option {name}{where}: {item['msg'].removeprefix('Value error, ')}.")
    return "\n".join(lines)
