"""The configuration: one model for flags, environment, and file; unknown keys are refused.

Precedence: flags, then `AUTH_CONFORMANCE_*` environment variables, then `[tool.auth-conformance]` in
pyproject.toml or `auth-conformance.toml`. Secrets come only from environment variables that the
configuration names.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from auth_conformance.commons import read_users
from auth_conformance.mistakes import keys_of, nearest, sentences
from auth_conformance.model import Severity
from auth_conformance.notation import (
    Codes,
    ConfigurationError,
    Members,
    OperationName,
    PasswordlessUrl,
    SecretByName,
    variables,
)
from auth_conformance.tables import (
    AccountSettings,
    EmailChangeSettings,
    KeysSettings,
    ListenerSettings,
    LoginSettings,
    LogoutSettings,
    MailboxSettings,
    ObjectsSettings,
    OtherIssuerSettings,
    PasswordChangeSettings,
    PolicySettings,
    RefreshSettings,
    RegisterSettings,
    ResetSettings,
    Restatement,
    RotationSettings,
    SessionsSettings,
    SigningSettings,
    Table,
    UsersSettings,
    VerificationSettings,
    WebSocketSettings,
    WitnessSettings,
)

__all__ = ["FILE_NAME", "PROFILES", "ConfigurationError", "Profile", "Settings", "load", "read_profile"]

FILE_NAME = "auth-conformance.toml"
PROFILES = Path(__file__).parent / "profiles"
_TOOL = "auth-conformance"
_PREFIX = "AUTH_CONFORMANCE_"
_TARGETS = ("url", "app")


def _named(value: object) -> object:
    return {"operation": value} if isinstance(value, str) else value


class Profile(Table):
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
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
        hide_input_in_errors=True,
    )

    url: PasswordlessUrl | None = None
    """The address of the target, `http://` or `https://`."""
    app: str | None = None
    """The target as an application of this process: `module:app`, `module:factory` or `module:factory()`."""
    app_dir: str = "."
    """Where the module of `app` is looked for."""
    openapi: str | None = None
    """Where the OpenAPI document is: a path of the service, or a file; looked for where it is left out."""
    profile: str | None = None
    """Checks, thresholds and severities as data: the name of a profile of the suite, or a file."""
    level: int = Field(default=3, ge=1, le=3)
    """Highest ASVS level of checks."""
    restate: dict[str, Restatement] = Field(default_factory=dict)
    """Other severities, by the code of a check."""
    only: Codes = Field(default_factory=list)
    """Codes or families of checks to run; all where it is empty."""
    ignore: Codes = Field(default_factory=list)
    """Codes or families to leave out."""
    fail_on: Literal["info", "low", "medium", "high", "critical"] = "low"
    """Lowest severity that makes the run fail."""
    allow_disruptive: bool = False
    """Against a URL: also lock, delete, flood, order and invite, as people of the run's own. In-process always so."""
    allow_inconclusive: bool = False
    """Let checks through that could not be decided."""
    strict: bool = False
    """Fail also on what could not be tested."""
    waivers: str | None = None
    """The file with findings that people accepted."""
    baseline: str | None = None
    """The file with findings known from an earlier run."""
    new_only: bool = False
    """Fail only on findings that the baseline does not know."""
    rate: float | None = Field(default=None, gt=0)
    """Requests per second; 5 towards other machines and unlimited towards this one where it is left out."""
    budget: int | None = Field(default=None, gt=0)
    """Most requests of a run. Where it is left out: 3000, 15000 with disruptive checks, and 8 more for each
    operation beyond ten, up to 160."""
    timeout: float = Field(default=10.0, gt=0)
    """Seconds to wait for one reply."""
    patience: float = Field(default=5.0, ge=0)
    """Longest `Retry-After` to wait for, in seconds; a login waits as long for a limit that names no end."""
    seed: int = 0
    """Seed of the run's chance."""
    fuzz: bool = False
    """Search for flaws after the checks (extra: fuzz)."""
    fuzz_budget: str = "60s"
    """How long to search, as `90s` or `2m`."""
    fuzz_seed: int = 0
    """Seed of the search."""
    verify_tls: bool = True
    """Refuse certificates that nobody trusts."""
    ca_file: str | None = None
    """File with the certificate of an authority that this service's own certificate comes from."""
    database: SecretByName | None = None
    """The SQLAlchemy URL of the target's database."""
    db: PasswordlessUrl | None = None
    """The same in clear, for a URL without a password."""
    source: str | None = None
    """The folder with the code of the service; where the application was imported from, if it is left out."""
    log_file: str | None = None
    """The file that a target behind a URL writes its log to."""
    accounts: dict[str, AccountSettings] = Field(default_factory=dict)
    """The users of the target, by names of your own."""
    users_file: str | None = None
    """More users from a Web Fuzzing Commons file (YAML, JSON or TOML), with how they log in: the first two are a and
    b, the first one named like an administrator the admin."""
    login: list[LoginSettings] = Field(default_factory=list)
    """How people log in, where discovery does not find out."""
    bodies: dict[OperationName, Members] = Field(default_factory=dict)
    """What requests hold where one address does everything, by operations of your own: what stands behind `#` is
    never sent. The rest of the configuration names them so."""
    witness: WitnessSettings | None = None
    """A protected operation that names its caller."""
    second: WitnessSettings | None = None
    """Another protected operation, if possible of another router."""
    key_witness: WitnessSettings | None = None
    """The witness of API keys, where they open other operations than logins do."""
    public: OperationName | None = None
    """An operation that answers everybody."""
    refresh: RefreshSettings | None = None
    """How a refresh token is exchanged."""
    logout: list[Annotated[LogoutSettings, BeforeValidator(_named)]] = Field(default_factory=list)
    """How logins are ended: operations, or tables."""
    register_: RegisterSettings | None = Field(default=None, alias="register")
    """How a stranger makes an account."""
    delete_account: OperationName | Literal[""] | None = None
    """The operation by which people delete their own account; empty where none does."""
    keys: KeysSettings | None = None
    """How API keys are made."""
    objects: ObjectsSettings | None = None
    """Objects that belong to users."""
    users: UsersSettings | None = None
    """What administrators do to accounts."""
    sessions: SessionsSettings | None = None
    """How people see and end their logins."""
    websockets: list[WebSocketSettings] = Field(default_factory=list)
    """Paths that speak WebSocket."""
    password_change: PasswordChangeSettings | None = None
    """How people change their password."""
    reset: ResetSettings | None = None
    """How people get a new password who forgot theirs."""
    verification: VerificationSettings | None = None
    """How people confirm their address."""
    email_change: EmailChangeSettings | None = None
    """How people change their e-mail address, where the new one is confirmed by mail."""
    mailbox: MailboxSettings | None = None
    """Where the last message to a person can be read."""
    restart: str | None = None
    """The application as `module:app`, to be started again in a process of its own."""
    replica: PasswordlessUrl | None = None
    """The URL of another process of the same service."""
    rotation: RotationSettings | None = None
    """In what a rotation of signing keys consists."""
    signing: SigningSettings | None = None
    """The key that signs access tokens."""
    key_set: str | None = None
    """A file with the public keys (a JSON Web Key Set) of who signs the tokens, where the service publishes none."""
    other_issuer: OtherIssuerSettings | None = None
    """Another issuer whose tokens this service takes."""
    listener: ListenerSettings | None = None
    """Where to listen for callbacks of the target."""
    token_cache: str | None = None
    """A file that keeps a token from one run to the next, for what takes longer than a run."""
    foreign_token: SecretByName | None = None
    """A live token of the same issuer for another service."""
    policy: PolicySettings = Field(default_factory=PolicySettings)
    """Deliberate behaviour, declared so that it is no finding."""

    @model_validator(mode="after")
    def _one_target(self) -> Settings:
        if self.url is not None and self.app is not None:
            raise ValueError("url and app name two targets: give one of them")
        return self

    @property
    def trust(self) -> bool | str:
        """Which certificates are trusted: any, those of the usual authorities, or those of one more in a file."""
        return self.verify_tls and (self.ca_file or True)

    def insist_on_variables(self) -> None:
        """Raises ConfigurationError when an environment variable is named that is not set."""
        missing = [name for name in dict.fromkeys(variables(self)) if not os.environ.get(name)]
        if len(missing) == 1:
            raise ConfigurationError(
                f"The environment variable {missing[0]} is not set, and the configuration needs it."
            )
        if missing:
            raise ConfigurationError(
                f"These environment variables are not set, and the configuration needs them: {', '.join(missing)}."
            )

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
        table = _tool_table(read_toml(project))
        if table is not None:
            return project, table
    return None, {}


def _tool_table(data: dict[str, Any]) -> dict[str, Any] | None:
    """`[tool.auth-conformance]` of a pyproject.toml. Raises ConfigurationError for one with another spelling."""
    tools = data.get("tool")
    tools = tools if isinstance(tools, dict) else {}
    table = tools.get(_TOOL)
    for name in tools:
        if name != _TOOL and name.lower().replace("_", "-") == _TOOL:
            raise ConfigurationError(
                f"[tool.{name}] in pyproject.toml is not read: its name is [tool.{_TOOL}]."
            )
    if table is not None and not isinstance(table, dict):
        raise ConfigurationError(f"tool.{_TOOL} in pyproject.toml has to be a table: [tool.{_TOOL}].")
    return table


def read_toml(path: Path) -> dict[str, Any]:
    """The data of a TOML file. Raises ConfigurationError with path and line when it cannot be read."""
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
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
        raise ConfigurationError(sentences(error, Profile, f" in the profile {name}")) from None
    return profile.model_dump(exclude={"title"}, exclude_none=True)


def load(flags: dict[str, Any], *, file: Path | None = None, start: Path | None = None) -> Settings:
    """Settings from flags, environment and file. Flags that are None are not given.

    Raises ConfigurationError with one sentence per mistake.
    """
    path, table = (file, read_toml(file)) if file is not None else find_table(start or Path.cwd())
    if file is not None and file.name == "pyproject.toml":
        table = _tool_table(table) or {}
    given = {key: value for key, value in flags.items() if value is not None}
    name = given.get("profile") or os.environ.get(_PREFIX + "PROFILE") or table.get("profile")
    profile = read_profile(str(name), start or Path.cwd()) if name else {}
    _know_environment()
    _choose_target(given, table)
    try:
        return _with_users(Settings(**{"_file": table, "_profile": profile, **given}))
    except ValidationError as error:
        where = f" in {path.name}" if path is not None and table else ""
        raise ConfigurationError(sentences(error, Settings, where)) from None
    except SettingsError as error:
        raise ConfigurationError(
            f"{error}: a list or table in an environment variable is written as JSON, as in "
            f"{_PREFIX}ONLY='[\"TOK\"]'."
        ) from None


def _with_users(settings: Settings) -> Settings:
    """The settings with the users of the file that they name; what they say themselves counts before it."""
    if settings.users_file is None:
        return settings
    accounts, logins = read_users(Path(settings.users_file), settings.url)
    return settings.model_copy(
        update={"accounts": {**accounts, **settings.accounts}, "login": settings.login or logins}
    )


def _know_environment() -> None:
    """Raises ConfigurationError for a variable with our prefix that sets nothing."""
    known = {key.upper(): key for key in keys_of(Settings)}
    for variable in os.environ:
        if not variable.upper().startswith(_PREFIX):
            continue
        key = variable.upper().removeprefix(_PREFIX).split("__")[0]
        if key not in known:
            near = nearest(key, list(known))
            raise ConfigurationError(
                f"The environment variable {variable} sets no option"
                + (f": did you mean {_PREFIX}{near}?" if near else ": unset it, or correct its name.")
            )


def _choose_target(given: dict[str, Any], table: dict[str, Any]) -> None:
    """Whoever names a target last names the only one: a URL on the command line stands before an app in the file."""
    named = [key for key in _TARGETS if given.get(key)]
    if not named:
        named = [key for key in _TARGETS if os.environ.get(_PREFIX + key.upper())]
    if len(named) == 1:
        other = _TARGETS[1 - _TARGETS.index(named[0])]
        given.setdefault(other, None)
        table.pop(other, None)
