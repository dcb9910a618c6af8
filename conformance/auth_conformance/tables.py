"""The tables of the configuration file: what may stand in each, in which form, and what it means.

The text below a key is its entry in `conformance/docs/configuration.md`, which is made from here.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from auth_conformance.notation import (
    CarrierText,
    Members,
    OperationName,
    PasswordlessUrl,
    Place,
    Pointer,
    SecretByName,
)


class Table(BaseModel):
    """A table of the file: unknown keys are refused, and messages never quote what stood there."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class AccountSettings(Table):
    """A user of the target, or a program that logs in as itself. The first two without a role are a and b.

    Their rights are alike. Nothing but a role decides what is done to an account: only an expendable one is ever
    locked.
    """

    username: str = ""
    """The name to log in with, of a program its client id; the name of the table where it is left out."""
    password: SecretByName | None = None
    """The password, of a program its client secret."""
    token: SecretByName | None = None
    """A ready-made access token, for services whose login a test cannot complete."""
    key: SecretByName | None = None
    """A ready-made API key."""
    cookie: SecretByName | None = None
    """A ready-made session cookie, as `name=value`, or its value alone."""
    carrier: CarrierText | None = None
    """How the ready-made token or key travels, where no document says so."""
    role: Literal["", "a", "b", "admin", "expendable"] = ""
    """Its part in the checks. An expendable account may be locked by the run, or have another password afterwards;
    several are allowed, each with a password of its own (three serve nearly every check), and none is needed where
    strangers may register."""
    email: str = ""
    """Where messages to this person arrive; the user name where it is left out."""


class LoginStepSettings(Table):
    """A request before a login, such as the page with the CSRF token or the question for a name."""

    operation: OperationName
    """Method and path."""
    encoding: Literal["none", "form", "json", "query"] = "none"
    """How it carries its values; `none` for a request without a body."""
    user_field: str = ""
    """Where the user name goes; empty where the step takes none."""
    password_field: str = ""
    """Where the password goes; empty where the step takes none."""
    extra: Members = Field(default_factory=dict)
    """Further members of the body, or of the query. `{ env = "NAME" }` stands for a secret."""
    take: dict[str, Place] = Field(default_factory=dict)
    """Names for places in its reply: `{{name}}` in what follows stands for the value that was there."""


class LoginSettings(Table):
    """How people log in. Several tables describe several logins, one for each kind of credential."""

    operation: OperationName
    """Method and path."""
    before: list[LoginStepSettings] = Field(default_factory=list)
    """The requests that come first, as tables `[[login.before]]`; what they take may stand in `extra`, `headers`
    and `query`."""
    headers: Members = Field(default_factory=dict)
    """Further headers of the request. `{ env = "NAME" }` stands for a secret."""
    query: Members = Field(default_factory=dict)
    """Further parameters of its query."""
    encoding: Literal["form", "json", "query", "basic"] = "json"
    """How name and password travel; `basic` is an `Authorization` header, with `extra` as a form beside it."""
    media: str = ""
    """The media type of the body, where it is another one of JSON than `application/json`."""
    user_field: str = "username"
    """Where the user name goes: a member, or a JSON pointer to a nested one."""
    password_field: str = "password"  # noqa: S105 - the name of a field
    """Where the password goes."""
    extra: Members = Field(default_factory=dict)
    """Further members that the body needs. `{ env = "NAME" }` stands for a secret, such as a `client_secret`."""
    token: Place | None = None
    """Where the reply holds the token; looked for where it is left out."""
    refresh: Place | None = None
    """Where the reply holds the refresh token; looked for where it is left out."""
    cookie: str | None = None
    """The name of the cookie that authenticates, where the credential is one."""
    carrier: CarrierText = "header Authorization Bearer"
    """How the credential travels afterwards: place, name, and scheme word."""
    csrf: Place | None = None
    """Where the reply holds the CSRF token that changes with the cookie need; looked for where it is left out."""
    csrf_header: str = ""
    """The header that takes the CSRF token."""
    csrf_field: str = ""
    """The member of forms and bodies that takes it, where it is not a header."""
    csrf_from: OperationName | None = None
    """A GET that hands the CSRF token to a session, where the reply of the login does not hold it."""


class WitnessSettings(Table):
    """A protected operation that names its caller: what the service thinks whom it serves beats any status."""

    operation: OperationName
    """Method and path: a GET without path parameters, or one of `[bodies]`."""
    identity: Place = ""
    """Where its reply names the caller; left out, that is looked for."""


class RefreshSettings(Table):
    """How a refresh token is exchanged for a new access token."""

    operation: OperationName
    """Method and path."""
    place: Literal["json", "form", "query", "header", "cookie"] = "json"
    """Where the refresh token goes; `header` sends it as a bearer token."""
    field: str = "refresh_token"
    """Its name there."""
    token: Place = "/access_token"  # noqa: S105 - a pointer
    """Where the reply holds the new access token."""
    refresh: Place | None = "/refresh_token"
    """Where the reply holds the next refresh token; empty where it is not rotated."""
    extra: Members = Field(default_factory=dict)
    """Further members that the body needs, such as `grant_type`."""
    csrf_header: str = ""
    """The header that repeats the `csrf` claim of a refresh token in a cookie, where it is wanted."""


class RegisterSettings(Table):
    """How a stranger makes an account."""

    operation: OperationName
    """Method and path."""
    encoding: Literal["form", "json"] = "json"
    """How the body is written."""
    user_field: str = "username"
    """Where the user name goes."""
    password_field: str = "password"  # noqa: S105 - the name of a field
    """Where the password goes."""
    user_style: Literal["name", "email"] = "name"
    """Whether the user name is an e-mail address."""
    also: dict[str, Literal["email", "name", "phone", "password"]] | None = None
    """Further members that follow from the user name: `password` repeats the password. Taken from the document
    where it is left out."""
    extra: Members = Field(default_factory=dict)
    """Further members that the body needs; what the document knows of is filled in."""
    confirmed: bool = False
    """Whether a new account must redeem the token of a message before it can log in; needs `[mailbox]`."""


class LogoutSettings(Table):
    """How a login is ended. A text is enough where nothing but the operation matters."""

    operation: OperationName
    """Method and path; it is called with the credential that is to end."""
    kind: Literal["", "bearer", "cookie"] = ""
    """Which kind of credential it ends; in the order of the logins where it is left out."""
    refresh_field: str = ""
    """The member of its body that takes the refresh token, or `cookie NAME`."""
    encoding: Literal["json", "form"] = "json"
    """How its body is written, where the document does not say."""
    extra: Members = Field(default_factory=dict)
    """Further members that its body needs."""


class KeysSettings(Table):
    """How API keys are made and revoked."""

    create: OperationName
    """The operation that makes one."""
    body: Members = Field(default_factory=dict)
    """A body that it takes."""
    value: Place = "/key"
    """Where its reply holds the key."""
    identifier: Pointer | None = "/id"
    """Where its reply names the key for the other operations; empty where it does not."""
    carrier: CarrierText = "header X-API-Key"
    """How the key travels: place, name, and scheme word."""
    further_carriers: list[CarrierText] | None = None
    """Other ways in which it may travel; those of the document where it is left out."""
    listing: OperationName | None = None
    """The operation that lists keys."""
    revoke: OperationName | None = None
    """The operation that revokes one, named by the last parameter of its path."""
    expiry_field: str | None = None
    """The member of the body that sets an end of life."""
    owner_parameter: str = ""
    """The path parameter that names whose keys they are, where there is one."""


class ParentSettings(Table):
    """Where a person gets a value for what stands above objects: a path parameter, a member of a creation, a header."""

    parameter: str
    """The name of the path parameter, the JSON pointer of the member (`/project_id`), or `header X-Tenant-ID`."""
    operation: OperationName
    """The operation whose reply holds it: a list of one's own, one's profile, or with POST a creation."""
    value: Pointer
    """Where the reply holds it."""
    body: Members = Field(default_factory=dict)
    """A body that creation takes."""
    fresh: list[str] = Field(default_factory=list)
    """The members of that body that have to be new each time, such as a name."""
    delete: OperationName | None = None
    """The operation that deletes what was created."""
    above: list[ParentSettings] = Field(default_factory=list)
    """What the body of that creation names in turn, such as the organisation of a project."""


class ObjectsSettings(Table):
    """A collection whose objects belong to users."""

    create: OperationName
    """The operation that makes one."""
    read: OperationName
    """The operation that reads one, named by the last parameter of its path, or in its body by `id_member`."""
    id_member: str = ""
    """The member of JSON bodies, or its pointer, that names one to `read`, `update` and `delete` where no path does.

    With a `?` before it: the parameter of their queries."""
    body: Members = Field(default_factory=dict)
    """A body that creation takes."""
    text_field: str = "title"
    """The member of the body that takes free text."""
    identifier: Pointer = "/id"
    """Where the reply of creation names the object."""
    listing: OperationName | None = None
    """The operation that lists them; `GET` on the path of creation where it is left out."""
    update: OperationName | None = None
    """The operation that changes one; `PATCH` or `PUT` on the path of `read` where it is left out."""
    delete: OperationName | None = None
    """The operation that deletes one."""
    parents: list[ParentSettings] = Field(default_factory=list)
    """What stands above them in the path: a tenant, a project, a person; the outermost first."""
    private: bool = False
    """Whether people who have the same parent must not see each other's objects."""


class CallSettings(Table):
    """A call by which an administrator changes an account, named by the one parameter of its path."""

    operation: OperationName
    """Method and path."""
    body: Members = Field(default_factory=dict)
    """The body that says what to change."""


class UsersSettings(Table):
    """What administrators do to accounts, each a table with `operation` and `body`."""

    disable: CallSettings | None = None
    """Shut an account out."""
    enable: CallSettings | None = None
    """Let it in again."""
    promote: CallSettings | None = None
    """Give it more rights."""
    demote: CallSettings | None = None
    """Take them away."""
    delete: CallSettings | None = None
    """Delete it."""
    end_sessions: CallSettings | None = None
    """End all its logins."""


class SessionsSettings(Table):
    """How people see and end their logins."""

    listing: OperationName
    """The operation that lists one's own logins."""
    identifier: str = "id"
    """The member of a listed login that `end` takes."""
    end: OperationName | None = None
    """The operation that ends one of them."""
    end_all: OperationName | None = None
    """The operation that ends all others, or all."""


class PasswordChangeSettings(Table):
    """How people change their password. A field is a member of the body, `query:NAME`, or `path:NAME`."""

    operation: OperationName
    """Method and path."""
    encoding: Literal["json", "form"] = "json"
    """How the body is written."""
    current: str | None = "current_password"
    """Where the current password goes; empty where none is asked for."""
    new: str = "new_password"
    """Where the new one goes."""
    also: list[str] = Field(default_factory=list)
    """Further members that repeat the new one."""
    extra: Members = Field(default_factory=dict)
    """Further members that the body needs."""


class MailingSettings(Table):
    """An operation that sends a message to somebody."""

    operation: OperationName
    """Method and path."""
    encoding: Literal["json", "form"] = "json"
    """How the body is written."""
    user: str = "email"
    """The member that says to whom: a member of the body, `query:NAME`, or `path:NAME`."""
    style: Literal["email", "name"] = "email"
    """Whether it takes an e-mail address or a user name."""
    extra: Members = Field(default_factory=dict)
    """Further members that the body needs."""


class RedemptionSettings(Table):
    """An operation that takes the token of a message."""

    operation: OperationName
    """Method and path."""
    encoding: Literal["json", "form"] = "json"
    """How the body is written."""
    token: str = "token"  # noqa: S105 - the name of a field
    """Where the token goes: a member of the body, `query:NAME`, or `path:NAME`."""
    password: str | None = None
    """Where the new password goes, where it takes one."""
    also: list[str] = Field(default_factory=list)
    """Further members that repeat the new password."""
    user: str | None = None
    """Where the name of the account goes, where it asks for one."""
    extra: Members = Field(default_factory=dict)
    """Further members that the body needs."""


class ResetSettings(Table):
    """How people get a new password who forgot theirs."""

    ask: MailingSettings
    """The operation that sends the message."""
    confirm: RedemptionSettings
    """The operation that takes its token and a new password."""


class VerificationSettings(Table):
    """How people confirm their address."""

    confirm: RedemptionSettings
    """The operation that takes the token of the message."""
    ask: MailingSettings | None = None
    """The operation that sends the message again."""


class EmailAskSettings(Table):
    """An operation that mails a token to a new address of its caller."""

    operation: OperationName
    """Method and path."""
    encoding: Literal["json", "form"] = "json"
    """How the body is written."""
    new: str = "new_email"
    """Where the new address goes: a member of the body, `query:NAME`, or `path:NAME`."""
    password: str | None = None
    """Where the current password goes, where it asks for it."""
    extra: Members = Field(default_factory=dict)
    """Further members that the body needs."""


class EmailChangeSettings(Table):
    """How people change their e-mail address, where the new one is confirmed by mail."""

    ask: EmailAskSettings
    """The operation that sends the message to the new address."""
    confirm: RedemptionSettings
    """The operation that takes its token; called with a credential where it needs one."""


class MailboxSettings(Table):
    """Where the last message to a person can be read: one of four ways.

    `{recipient}` in a command or URL is replaced by the address.
    """

    app: str = ""
    """`module:callable`, called with the address; it returns the message or None."""
    command: str = ""
    """A command that prints the message; the address is its last argument where `{recipient}` is not in it."""
    url: PasswordlessUrl = ""
    """A URL that answers with the message."""
    folder: str = ""
    """A folder that holds one file per message."""

    @model_validator(mode="after")
    def _one(self) -> MailboxSettings:
        if len([way for way in (self.app, self.command, self.url, self.folder) if way]) != 1:
            raise ValueError("it takes one of app, command, url and folder")
        return self


class WebSocketSettings(Table):
    """A path that speaks WebSocket. No document can list those."""

    path: str = Field(pattern=r"^/\S*$")
    """The path."""
    message: str = ""
    """A text message that it answers."""


class RotationSettings(Table):
    """The environment variables of the application in which a key rotation consists, by name."""

    overlap: dict[str, SecretByName]
    """What makes a new signing key current and keeps the old one."""
    after: dict[str, SecretByName]
    """What takes the old one away."""


class ListenerSettings(Table):
    """Where to listen for callbacks of the target: opens the half of TOK117 that waits for a fetch."""

    bind: str = Field(pattern=r"^[^\s/]+:\d{1,5}$")
    """Host and port here."""
    url: str = Field(pattern=r"^https?://[^\s/?#@]+$")
    """How the target reaches it."""
    reachable: bool = False
    """Whether you have tried that it can."""


class SigningSettings(Table):
    """The key that signs access tokens: opens the grey checks, which sign tokens of their own."""

    key: SecretByName
    """The secret, or a private key in PEM."""
    algorithm: str = "HS256"
    """The algorithm that the tokens name."""
    key_id: str | None = None
    """The `kid` that they carry."""


class OtherIssuerSettings(Table):
    """Another issuer that this service trusts, with a key of its own: opens the half of TOK209 that crosses them."""

    name: str = Field(min_length=1)
    """What its tokens say in `iss`."""
    key: SecretByName
    """Its secret, or its private key in PEM."""
    algorithm: str = "HS256"
    """The algorithm that its tokens name."""
    key_id: str | None = None
    """The `kid` that they carry."""


class PolicySettings(Table):
    """Deliberate behaviour, declared so that it is no finding. Every default is the strict reading."""

    refusals: list[Literal["envelope", "redirect"]] = Field(default_factory=list)
    """How this service says no besides 401 and 403: `envelope` is a 2xx whose body says no, `redirect` a 3xx to a
    login page."""
    error_members: list[str] = Field(default_factory=list)
    """Texts that every error body must hold, at its top or inside `detail`, such as `["error", "message"]`; where it is
    empty, what most errors of this service hold."""
    leeway: float = Field(default=60.0, ge=0)
    """Seconds of clock skew that a token may live on."""
    audience: list[str] = Field(default_factory=list)
    """Who may be named in `aud`."""
    algorithms: list[str] = Field(default_factory=list)
    """All algorithms that sign tokens; any that a token of the service shows where it is empty."""
    form_token: bool = False
    """A bearer token in a form body is wanted (RFC 6750, 2.2)."""
    access_lifetime: float | None = Field(default=None, gt=0)
    """Seconds that an access token is meant to live."""
    refresh_lifetime: float | None = Field(default=None, gt=0)
    """Seconds that a refresh token is meant to live."""
    trust_waf: bool = False
    """Refusals by a filter before the application count as refusals."""
    origins: list[str] = Field(default_factory=list)
    """Origins that browsers may call from, such as `https://app.example.com`; the first one also opens WebSockets."""
    public_operations: list[OperationName] = Field(default_factory=list)
    """Operations that are meant for everybody."""
    privileged_operations: list[OperationName] = Field(default_factory=list)
    """Operations that only administrators may call."""
    private_fields: list[str] = Field(default_factory=list)
    """Members of the witness's reply that no other person may ever see."""
    shown_fields: list[str] = Field(default_factory=list)
    """Members of it with addresses of people that everybody who is logged in may see."""
    throttle_limit: int = Field(default=67, ge=1)
    """Wrong logins after which an account has to be throttled."""
    refresh_window: float = Field(default=0.0, ge=0)
    """Seconds in which a refresh token may be used twice."""
    bound_refresh_tokens: bool = False
    """Refresh tokens may be used again: only the client that they are bound to can (RFC 9700, section 2.2.2)."""
    stateless_tolerance: float = Field(default=0.0, ge=0)
    """Seconds that an access token may outlive its logout."""
    shared_objects: bool | None = None
    """Whether people share their objects; where it is left out, objects that name no owner and that everybody lists
    are no finding, and no pass."""
    open_invitations: bool | None = None
    """Whether an invitation that names one person is meant to let in whoever has it; where it is left out, that is no
    finding, and no pass."""
    first_valid_wins: bool = False
    """Of several credentials, the first valid one is meant to decide."""
    cross_site_cookie: bool = False
    """The session cookie is meant to travel with requests of other sites."""
    four_file: bool = True
    """The standards of the four-file layout apply (SRC108 to SRC111)."""
    test_hashing: bool = False
    """Passwords are hashed cheaply because this is a test environment."""
    handler_count: Literal["code", "span"] = "code"
    """How lines of a handler are counted: code alone, or from first to last."""
    stale_cookie_ignored: bool = False
    """An ended session cookie beside a live credential is meant to be ignored."""
    interchangeable: list[str] = Field(default_factory=list)
    """Pairs such as `key as bearer`: values of one kind that another place may take."""
    session_idle: float | None = Field(default=None, gt=0)
    """Seconds after which an unused session is meant to end."""
    session_absolute: float | None = Field(default=None, gt=0)
    """Seconds after which any session is meant to end."""
    refresh_family: float | None = Field(default=None, gt=0)
    """Seconds after which a family of refresh tokens is meant to end."""
    session_limit: int | None = Field(default=None, ge=1)
    """How many logins of one account are meant to live at the same time."""
    hide_docs: bool = False
    """The OpenAPI document is meant to be hidden from strangers."""
    same_site_only: bool = False
    """The service is meant for its own site only."""
    request_limits: dict[str, float] = Field(default_factory=dict)
    """How many requests in a row an operation is meant to allow before it answers 429, by its name."""


class Restatement(Table):
    """Another severity for a check, and why: without a reason nobody can defend it a year later."""

    severity: Literal["info", "low", "medium", "high", "critical"]
    """The severity that counts here."""
    because: str = Field(min_length=10)
    """The reason, for people."""
