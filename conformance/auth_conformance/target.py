"""What is known about a target: operations by role, how credentials travel, accounts, and policies.

Discovery and configuration build a `Target`; the probe reads it. Flows turn accounts into requests and
replies into credentials, without sending anything themselves.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from auth_conformance.credentials import Carrier, Credential, Kind, SigningKey
from auth_conformance.model import Fact, Need, Provenance, SourceLine
from auth_conformance.oracles.places import found_at
from auth_conformance.oracles.pointer import put
from auth_conformance.secret import Secret
from auth_conformance.transports.mailbox import Mailbox
from auth_conformance.transports.message import HttpRequest, RawReply, Step

Schema = Mapping[str, Any]

# Headers that the suite sets itself, whatever a document says of them.
_OURS = frozenset({"authorization", "cookie", "content-type", "accept", "host", "content-length"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared parameter: `place` is path, query, header or cookie."""

    name: str
    place: str
    required: bool = False
    schema: Schema = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `path` is the template as sent, base path included.

    `security` holds the alternatives (OR), each a set of scheme names (AND); `()` means that the document
    declares the operation open, None that nothing is declared about it. An empty alternative means
    optional authentication. `bodies` maps media types to schemas with references resolved. `fixed` is what
    every request to it carries besides a credential: place (header or query), name and value. `guard` is the
    dependency that looks at its credential, which it may share with others.
    """

    method: str
    path: str
    operation_id: str = ""
    summary: str = ""
    tags: tuple[str, ...] = ()
    security: tuple[frozenset[str], ...] | None = None
    scopes: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    bodies: Mapping[str, Schema] = field(default_factory=dict)
    responses: Mapping[str, Any] = field(default_factory=dict)
    provenance: Provenance = Provenance.OPENAPI
    source: SourceLine | None = None
    fixed: tuple[tuple[str, str, str], ...] = ()
    guard: SourceLine | None = None

    @property
    def name(self) -> str:
        """Method and path template, such as `GET /items/{item_id}`."""
        return f"{self.method} {self.path}"

    @property
    def protected(self) -> bool:
        """Whether the document demands a credential (optional authentication does not)."""
        return bool(self.security) and all(self.security or ())

    def request(self, values: Mapping[str, str] | None = None) -> HttpRequest:
        """A bare request to this operation, path parameters taken from `values`."""
        path = self.path
        for name, value in (values or {}).items():
            path = path.replace("{" + name + "}", value)
        demanded = self._demanded()
        named = {name.lower() for name, _ in demanded}
        fixed = [item for item in self.fixed if item[0] == "query" or item[1].lower() not in named]
        query = tuple((name, value) for place, name, value in fixed if place == "query")
        headers = tuple((name, value) for place, name, value in fixed if place == "header")
        return HttpRequest(self.method, path, query, (*demanded, *headers), json_type=self._json_type())

    def _json_type(self) -> str:
        plain = "application/json"
        own = [media for media in self.bodies if media.partition(";")[0].endswith("+json")]
        return own[0] if own and plain not in self.bodies else plain

    def _demanded(self) -> tuple[tuple[str, str], ...]:
        """Headers that the document demands and says a value for: a version of the interface, a tenant."""
        found = []
        for item in self.parameters:
            if item.place != "header" or not item.required or item.name.lower() in _OURS:
                continue
            listed = item.schema.get("enum") or item.schema.get("examples") or [None]
            value = item.schema.get(
                "const", item.schema.get("default", item.schema.get("example", listed[0]))
            )
            if isinstance(value, str) and value.isascii() and value.isprintable():
                found.append((item.name, value))
        return tuple(found)

    def carrying(self, request: HttpRequest, body: object) -> HttpRequest:
        """`request` with a body in a media type that the operation takes: JSON unless it takes forms only."""
        takes_json = any(media.endswith("json") for media in self.bodies)
        form = "application/x-www-form-urlencoded" in self.bodies and not takes_json
        if form and isinstance(body, Mapping):
            return request.with_form(tuple((str(key), str(value)) for key, value in body.items()))
        return request.with_json(body)


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the target. Ready-made credentials are kept by the kind of their carrier."""

    label: str
    username: str
    password: Secret | None = None
    ready: Mapping[Kind, Secret] = field(default_factory=dict)
    expendable: bool = False
    email: str = ""

    @property
    def address(self) -> str:
        """Where messages to this person go: the e-mail address, if one is known, else the user name."""
        return self.email or self.username


@dataclass(frozen=True, slots=True)
class LoginStep:
    """A request that comes before a login, such as the page with the CSRF token or the question for a name.

    `user_field` and `password_field` are "" where the step does not take them; a step without a body has the
    encoding `none`. `takes` gives names to places in its reply: `{{name}}` in what follows stands for the value.
    """

    operation: Operation
    encoding: str = "none"
    user_field: str = ""
    password_field: str = ""
    template: Mapping[str, Any] = field(default_factory=dict)
    takes: tuple[tuple[str, str], ...] = ()

    def step(self, username: str, password: Secret) -> Step:
        """The step as it is sent for a person."""
        fields = ((self.user_field, username), (self.password_field, password.reveal()))
        return Step(_carrying(self.operation.request(), self.encoding, self.template, fields), self.takes)


def _carrying(
    bare: HttpRequest, encoding: str, template: Mapping[str, Any], fields: tuple[tuple[str, str], ...]
) -> HttpRequest:
    """`bare` with a body of that encoding: the template, and the fields that have a name."""
    body = dict(template)
    for name, value in fields:
        body = put(body, name, value) if name else body
    pairs = tuple((str(key), str(value)) for key, value in body.items())
    match encoding:
        case "none":
            return bare
        case "query":
            return bare.with_query(*pairs)
        case "form":
            return bare.with_form(pairs)
        case _:
            return bare.with_json(body)


@dataclass(frozen=True, slots=True)
class Login:
    """How a user name and a password become a credential.

    `encoding` is `form`, `json`, `query` or `basic`; `media` is the media type where it is another one of JSON.
    `template` holds further members that the body needs, `headers` and `query` what else the request carries.
    `token`, `refresh` and `csrf` are places in the reply (`auth_conformance.oracles.places`); `cookie` is the
    name of the cookie that authenticates, when the credential is one, and `csrf_header` the header in which
    changes made with it want the CSRF token, `csrf_field` the member of their bodies where it is not a header;
    `csrf_from` is a GET that hands it out to a session, where the reply
    of the login does not. `before` are the steps that come first; their marks may stand in
    the template, the headers and the query. A field that only a step takes is "".
    """

    operation: Operation
    encoding: str
    user_field: str
    password_field: str
    carrier: Carrier
    template: Mapping[str, Any] = field(default_factory=dict)
    token: str | None = None
    refresh: str | None = None
    cookie: str | None = None
    csrf: str | None = None
    csrf_header: str = ""
    before: tuple[LoginStep, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    media: str = ""
    provenance: Provenance = Provenance.OBSERVED
    csrf_from: Operation | None = None
    csrf_field: str = ""

    def request(self, username: str, password: Secret) -> HttpRequest:
        """The login request, with the steps that come before it."""
        steps = tuple(step.step(username, password) for step in self.before)
        then = (self.csrf_from.request(),) if self.csrf_from is not None else ()
        bare = dataclasses.replace(self.operation.request(), before=steps, then=then)
        bare = bare.with_headers(*self.headers.items()).with_query(*self.query.items())
        if self.encoding == "basic":
            pair = base64.b64encode(f"{username}:{password.reveal()}".encode()).decode()
            return bare.with_headers(("Authorization", f"Basic {pair}"))
        fields = ((self.user_field, username), (self.password_field, password.reveal()))
        return typed(_carrying(bare, self.encoding, self.template, fields), self.media)

    @property
    def secret_proof(self) -> bool:
        """Whether changes want a CSRF token, and not what is the same for everybody (`value …`)."""
        return bool(self.csrf) and not str(self.csrf).startswith("value ")

    def read(self, reply: RawReply, owner: str) -> Credential | None:
        """The credential in a login reply; None when the login was refused or holds none."""
        if reply.status is None or reply.status >= 400:
            return None
        value = (
            reply.cookies.get(self.cookie)
            if self.cookie is not None
            else found_at(reply, self.token if self.token is not None else "")
        )
        if not isinstance(value, str) or not value:
            return None
        companions, crumbs = self._protection(reply)
        return Credential(self.carrier, Secret(value), owner, companions, crumbs)

    def _protection(self, reply: RawReply) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
        """The CSRF header that goes with the session, and the cookie that it has to agree with."""
        source = reply if self.csrf_from is None or not reply.later else reply.later[-1]
        value = found_at(source, self.csrf) if self.csrf and self.cookie is not None else None
        if not isinstance(value, str) or not value:
            return (), ()
        place, _, name = (self.csrf or "").partition(" ")
        crumbs = ((name, value),) if place == "cookie" else ()
        name = f"body {self.csrf_field}" if self.csrf_field else self.csrf_header or "X-CSRF-Token"
        return ((name, unquote(value) if crumbs else value),), crumbs

    def read_refresh(self, reply: RawReply) -> Secret | None:
        """The refresh token in a login or refresh reply, if there is one."""
        value = found_at(reply, self.refresh) if self.refresh else None
        return Secret(value) if isinstance(value, str) and value else None


def typed(request: HttpRequest, media: str) -> HttpRequest:
    """`request` with its JSON body under a media type of its own, such as `application/vnd.api+json`."""
    if not media.endswith("json") or media == "application/json":
        return request
    kept = tuple(pair for pair in request.headers if pair[0].lower() != "content-type")
    return dataclasses.replace(request, headers=(*kept, ("Content-Type", media)))


@dataclass(frozen=True, slots=True)
class Refresh:
    """How a refresh token becomes new tokens. `place` is json, form, query, header (bearer) or cookie.

    `token` and `refresh` are places in the reply (`auth_conformance.oracles.places`).
    """

    operation: Operation
    place: str
    field: str
    token: str
    refresh: str | None
    template: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    provenance: Provenance = Provenance.OBSERVED

    def request(self, token: Secret) -> HttpRequest:
        """The refresh request that presents `token`."""
        bare, text = self.operation.request(), token.reveal()
        match self.place:
            case "header":
                return bare.with_headers((self.field or "Authorization", f"Bearer {text}"))
            case "cookie":
                return bare.with_headers(("Cookie", f"{self.field}={text}"))
            case "query":
                return bare.with_query((self.field, text))
            case "form":
                body = {**self.template, self.field: text}
                return bare.with_form(tuple((key, str(value)) for key, value in body.items()))
            case _:
                return bare.with_json(put(dict(self.template), self.field, text))

    def read(self, reply: RawReply) -> tuple[Secret, Secret | None] | None:
        """Access token and, where rotated, the next refresh token; None when refused."""
        if not reply.ok:
            return None
        access = found_at(reply, self.token)
        if not isinstance(access, str) or not access:
            return None
        following = found_at(reply, self.refresh) if self.refresh else None
        return Secret(access), Secret(following) if isinstance(following, str) and following else None


@dataclass(frozen=True, slots=True)
class Logout:
    """How a session is ended: by an operation that is called with the credential of `kind`.

    `refresh_field` names a body member that takes the refresh token, when the operation has one. A `token`
    takes the access token where no refresh tokens are issued (RFC 7009 §2.1). `template` is what else the body needs.
    """

    operation: Operation
    kind: Kind
    refresh_field: str | None = None
    provenance: Provenance = Provenance.GUESSED
    template: Mapping[str, Any] = field(default_factory=dict)

    def body(self, access: Secret, refresh: Secret | None) -> dict[str, object] | None:
        """What a logout carries beside the credential."""
        name = self.refresh_field
        if name is None or (refresh is None and name.rpartition("/")[2].lower() != "token"):
            return dict(self.template) or None
        return put(dict(self.template), name, (refresh or access).reveal())


@dataclass(frozen=True, slots=True)
class Register:
    """How a stranger makes an account. `template` is a valid body; user and password fields are replaced.

    `user_style` is `email` or `name`. `also` lists further members that follow the user name, each with its
    style: `email`, `name`, `phone`, or `password` for one that repeats the password. `confirmed` says that a new
    account has to redeem the token of a message before it can log in.
    """

    operation: Operation
    encoding: str
    user_field: str
    password_field: str
    user_style: str = "name"
    template: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[tuple[str, str], ...] = ()
    provenance: Provenance = Provenance.OBSERVED
    confirmed: bool = False

    def request(self, username: str, password: Secret) -> HttpRequest:
        """The registration request."""
        body = dict(self.template)
        for name, style in self.also:
            body = put(body, name, password.reveal() if style == "password" else styled(username, style))
        body = put(body, self.user_field, username)
        body = put(body, self.password_field, password.reveal())
        bare = self.operation.request()
        if self.encoding == "form":
            return bare.with_form(tuple((str(key), str(value)) for key, value in body.items()))
        return bare.with_json(body)


def address_of(username: str, register: Register) -> str:
    """The e-mail address that a registration under this name gives the account; "" when it takes none."""
    if register.user_style == "email":
        return username
    mailed = any(style == "email" for _, style in register.also)
    return styled(username, "email") if mailed else ""


def styled(username: str, style: str) -> str:
    """`username` as an e-mail address, as a telephone number of its own, or as a plain name."""
    local = username.split("@", maxsplit=1)[0]
    if style == "phone":
        return f"+1415{int(hashlib.sha256(local.encode()).hexdigest(), 16) % 10_000_000:07d}"
    return f"{local}@example.com" if style == "email" else local


@dataclass(frozen=True, slots=True)
class KeyManagement:
    """How a user makes, lists and revokes API keys. Pointers are into the creation reply.

    `listing` and `revoke` are None where the service has none; `revoke`'s path parameter is `id_parameter`.
    `owner_parameter` is the one in all three paths that names whose keys they are, where there is one.
    """

    create: Operation
    template: Mapping[str, Any]
    value: str
    carriers: tuple[Carrier, ...]
    identifier: str | None = None
    listing: Operation | None = None
    revoke: Operation | None = None
    id_parameter: str = ""
    expiry_field: str | None = None
    provenance: Provenance = Provenance.OBSERVED
    owner_parameter: str = ""


@dataclass(frozen=True, slots=True)
class Parent:
    """What stands above objects, in their paths or in the body of a creation, and where a caller gets one of their own.

    `parameter` is the name of a path parameter, or the JSON pointer of a member of the body.
    `operation` makes one from `template`, with a new word in the members `fresh`, or lists or names it. `value`
    points into its reply at what `parameter` takes. `delete` takes away what was made.
    """

    parameter: str
    operation: Operation
    value: str
    template: Mapping[str, Any] = field(default_factory=dict)
    fresh: tuple[str, ...] = ()
    delete: Operation | None = None

    @property
    def in_body(self) -> bool:
        """Whether the body of a creation names it, and no path."""
        return self.parameter.startswith("/")

    @property
    def makes(self) -> bool:
        """Whether each caller makes one, which then is theirs alone."""
        return self.operation.method == "POST"

    def deletion(self, values: Mapping[str, str]) -> dict[str, str]:
        """The path values that `delete` takes, which may name its parameter otherwise."""
        last = (
            self.delete.path.rpartition("{")[2].partition("}")[0]
            if self.delete is not None
            else self.parameter
        )
        return {**values, last: values[self.parameter]}

    def body(self, word: str) -> dict[str, Any]:
        """A body for a new one, called `word`."""
        made = dict(self.template)
        for name in self.fresh:
            made = put(made, name, word)
        return made


@dataclass(frozen=True, slots=True)
class Objects:
    """A collection whose objects belong to users. `text_field` takes free text; `identifier` is a pointer.

    `parents` are what stands above them, the outermost first. `private` says that people who have the same one
    must not see what the others keep there.
    """

    create: Operation
    read: Operation
    template: Mapping[str, Any]
    text_field: str
    identifier: str
    id_parameter: str
    listing: Operation | None = None
    update: Operation | None = None
    delete: Operation | None = None
    provenance: Provenance = Provenance.OBSERVED
    parents: tuple[Parent, ...] = ()
    private: bool = False


@dataclass(frozen=True, slots=True)
class Switch:
    """One call by which an administrator changes an account: the operation, and the body that says what."""

    operation: Operation
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UserManagement:
    """What administrators do to accounts; None where the service has no such call.

    Each operation names the account by its one path parameter. `listing` and `read` show accounts.
    """

    disable: Switch | None = None
    enable: Switch | None = None
    promote: Switch | None = None
    demote: Switch | None = None
    delete: Switch | None = None
    end_sessions: Switch | None = None
    read: Operation | None = None
    provenance: Provenance = Provenance.OPENAPI


@dataclass(frozen=True, slots=True)
class SessionManagement:
    """How people see and end their logins. `identifier` is a member of each listed login.

    `end` takes that identifier as its one path parameter, `end_all` ends the others or all.
    """

    listing: Operation
    identifier: str
    end: Operation | None = None
    end_all: Operation | None = None
    provenance: Provenance = Provenance.OBSERVED


@dataclass(frozen=True, slots=True)
class Form:
    """An operation that takes values, each at a place of its own.

    A place is the name of a body member (a JSON pointer below the top level), or `query:NAME` or `path:NAME`.
    `encoding` of the body is `json` or `form`; `template` holds what the body needs besides.
    """

    operation: Operation
    encoding: str = "json"
    template: Mapping[str, Any] = field(default_factory=dict)

    def request(self, values: Iterable[tuple[str | None, object]]) -> HttpRequest:
        """The request with these values at these places; a value for no place is left out."""
        body: dict[str, Any] = dict(self.template)
        path: dict[str, str] = {}
        query: list[tuple[str, str]] = []
        for place, value in values:
            kind, colon, name = (place or "").partition(":")
            if not place:
                continue
            if colon and kind == "query":
                query.append((name, str(value)))
            elif colon and kind == "path":
                path[name] = quote(str(value), safe="")
            else:
                body = put(body, place, value)
        request = self.operation.request(path).with_query(*query)
        if not body and not self.operation.bodies:
            return request
        if self.encoding == "form":
            return request.with_form(tuple((str(key), str(value)) for key, value in body.items()))
        return request.with_json(body)


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """How people change their password. `current` is None where none is asked for; `also` repeats the new one."""

    form: Form
    current: str | None
    new: str
    also: tuple[str, ...] = ()
    provenance: Provenance = Provenance.OPENAPI

    def request(self, current: Secret | None, new: Secret) -> HttpRequest:
        """The request, without a credential. Without `current` that member is left out."""
        values: list[tuple[str | None, object]] = [(place, new.reveal()) for place in (self.new, *self.also)]
        if current is not None:
            values.append((self.current, current.reveal()))
        return self.form.request(values)


@dataclass(frozen=True, slots=True)
class Mailing:
    """An operation that has a message sent to whom `user` names, in the style `email` or `name`."""

    form: Form
    user: str
    style: str = "email"

    def request(self, account: Account) -> HttpRequest:
        """The request that asks for a message to this account."""
        return self.form.request(
            [(self.user, account.address if self.style == "email" else account.username)]
        )


@dataclass(frozen=True, slots=True)
class Redemption:
    """An operation that takes a token out of a message; `user` names the account, where it asks for one."""

    form: Form
    token: str
    password: str | None = None
    also: tuple[str, ...] = ()
    user: str | None = None

    def request(self, token: Secret, password: Secret | None = None, user: str = "") -> HttpRequest:
        """The request that redeems `token`."""
        values: list[tuple[str | None, object]] = [(self.token, token.reveal())]
        if password is not None:
            values += [(place, password.reveal()) for place in (self.password, *self.also)]
        if self.user is not None:
            values.append((self.user, user))
        return self.form.request(values)


@dataclass(frozen=True, slots=True)
class Recovery:
    """How people who forgot their password get a new one: ask for a message, redeem its token."""

    ask: Mailing
    confirm: Redemption
    provenance: Provenance = Provenance.OPENAPI


@dataclass(frozen=True, slots=True)
class Verification:
    """How people confirm their address. `ask` is None where only registration sends the message."""

    confirm: Redemption
    ask: Mailing | None = None
    provenance: Provenance = Provenance.OPENAPI


@dataclass(frozen=True, slots=True)
class WebSocketRoute:
    """A path that speaks WebSocket. `message` is a text that it answers."""

    path: str
    message: str = ""
    provenance: Provenance = Provenance.OBSERVED


@dataclass(frozen=True, slots=True)
class Witness:
    """A protected GET that names its caller at the JSON pointer `identity`.

    `identity` is "" where a protected operation was found but nothing in it names the caller.
    """

    operation: Operation
    identity: str
    provenance: Provenance = Provenance.OBSERVED


@dataclass(frozen=True, slots=True)
class Listening:
    """Where we listen for callbacks, and how the target reaches that; `proven` says that it can."""

    bind: tuple[str, int]
    url: str
    proven: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What the target's owner declares about deliberate behaviour; every default is the strict reading.

    `refusals` may add `envelope` (a 2xx whose body says no) and `redirect` (3xx to a login page).
    `algorithms` are all that sign tokens. `form_token` allows a bearer token in a form body (RFC 6750 §2.2).
    `interchangeable` holds pairs such as `key as bearer`: values of one kind that another place may take.
    Times are in seconds; a limit that is None is not declared.
    """

    refusals: frozenset[str] = frozenset()
    leeway: float = 60.0
    audience: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()
    form_token: bool = False
    access_lifetime: float | None = None
    refresh_lifetime: float | None = None
    trust_waf: bool = False
    origins: tuple[str, ...] = ()
    public_operations: frozenset[str] = frozenset()
    privileged_operations: frozenset[str] = frozenset()
    private_fields: frozenset[str] = frozenset()
    throttle_limit: int = 67
    refresh_window: float = 0.0
    bound_refresh_tokens: bool = False
    stateless_tolerance: float = 0.0
    first_valid_wins: bool = False
    cross_site_cookie: bool = False
    four_file: bool = True
    test_hashing: bool = False
    handler_count: str = "code"
    stale_cookie_ignored: bool = False
    interchangeable: frozenset[str] = frozenset()
    session_idle: float | None = None
    session_absolute: float | None = None
    refresh_family: float | None = None
    session_limit: int | None = None
    hide_docs: bool = False
    same_site_only: bool = False
    error_members: tuple[str, ...] = ()
    request_limits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Published:
    """An OpenAPI document as it was found: where, what it says, and the path before its own paths.

    `path` is the one that serves it, None where only the application object had it. `openly` says that
    strangers were given it.
    """

    where: str
    raw: Mapping[str, Any]
    base: str = ""
    path: str | None = None
    openly: bool = True


@dataclass(frozen=True, slots=True)
class Source:
    """The code of the service: everything below `root`, or only `files` where the application is one of many there.

    `spec` is what starts it, as `module:app` with the module looked up in `folder`; "" where that is unknown.
    """

    root: str
    files: tuple[str, ...] = ()
    spec: str = ""
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Everything that discovery and configuration know. Empty fields are unknown or absent.

    `key_witness` is the witness of keys, where they open other operations than logins do.
    `further` are other collections of people's own objects: who guards the first may forget the next.
    `absent` names features for which there is evidence of absence; a need that is neither met nor absent
    is something that the user could supply, and `remedies` says how.
    """

    kind: str
    address: str
    title: str = ""
    operations: tuple[Operation, ...] = ()
    carriers: tuple[Carrier, ...] = ()
    accounts: Mapping[str, Account] = field(default_factory=dict)
    logins: tuple[Login, ...] = ()
    register: Register | None = None
    refresh: Refresh | None = None
    logouts: tuple[Logout, ...] = ()
    keys: KeyManagement | None = None
    objects: Objects | None = None
    further: tuple[Objects, ...] = ()
    witness: Witness | None = None
    second: Witness | None = None
    key_witness: Witness | None = None
    public: Operation | None = None
    delete_account: Operation | None = None
    users: UserManagement | None = None
    sessions: SessionManagement | None = None
    websockets: tuple[WebSocketRoute, ...] = ()
    password_change: PasswordChange | None = None
    recovery: Recovery | None = None
    verification: Verification | None = None
    mailbox: Mailbox | None = None
    restart: str | None = None
    replica: str | None = None
    rotation: tuple[Mapping[str, Secret], Mapping[str, Secret]] | None = None
    signing_keys: tuple[SigningKey, ...] = ()
    other_issuer: tuple[str, SigningKey] | None = None
    public_keys: tuple[Mapping[str, Any], ...] = ()
    key_set: Operation | None = None
    listener: Listening | None = None
    token_cache: str | None = None
    foreign_token: Secret | None = None
    database: str | None = None
    source: Source | None = None
    guards: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    middleware: tuple[str, ...] = ()
    log_file: str | None = None
    has_document: bool = False
    documents: tuple[Published, ...] = ()
    in_process: bool = False
    policy: Policy = field(default_factory=Policy)
    facts: tuple[Fact, ...] = ()
    absent: Mapping[Need, str] = field(default_factory=dict)
    remedies: Mapping[Need, str] = field(default_factory=dict)

    def login(self, kind: Kind) -> Login | None:
        """The first login that issues credentials of that kind."""
        return next((login for login in self.logins if login.carrier.kind is kind), None)

    def operation(self, name: str) -> Operation | None:
        """The operation with that name, such as `GET /me`."""
        return next((operation for operation in self.operations if operation.name == name), None)

    def expendables(self) -> tuple[Account, ...]:
        """The accounts that the user declared as ones that may be locked."""
        return tuple(account for label, account in self.accounts.items() if label.startswith("x-"))

    def kinds(self) -> set[Kind]:
        """The kinds of credential that a run can obtain here."""
        found = {login.carrier.kind for login in self.logins}
        found |= {kind for account in self.accounts.values() for kind in account.ready}
        return found | ({Kind.KEY} if self.keys is not None else set())

    def shared_kinds(self) -> set[Kind]:
        """The kinds of credential that the witness takes: not keys, where they have a witness of their own."""
        return self.kinds() - ({Kind.KEY} if self.key_witness is not None else set())

    def met_needs(self) -> set[Need]:
        """The needs that are met: what a run can use without another line of configuration."""
        kinds = self.kinds()
        found: dict[Need, object] = {
            Need.WITNESS: self.witness,
            Need.BEARER: Kind.BEARER in kinds,
            Need.JWT: bool(kinds & {Kind.BEARER, Kind.COOKIE}) and Need.JWT not in self.absent,
            # A bearer token, or a session cookie that is a JWT.
            Need.TOKEN: Kind.BEARER in kinds or (Kind.COOKIE in kinds and Need.JWT not in self.absent),
            Need.API_KEY: Kind.KEY in kinds,
            Need.COOKIE: Kind.COOKIE in kinds,
            Need.TWO_SCHEMES: len(self.shared_kinds()) > 1,
            Need.TWO_USERS: {"a", "b"} <= self.accounts.keys(),
            Need.ADMIN: "admin" in self.accounts,
            Need.REGISTER: self.register,
            Need.EXPENDABLE: self.register or self.expendables(),
            Need.LOGIN: self.logins,
            Need.LOGOUT: self.logouts,
            Need.REFRESH: self.refresh,
            Need.KEY_MANAGEMENT: self.keys,
            Need.OBJECTS: self.objects,
            Need.OPENAPI: self.has_document,
            Need.SIGNING_KEY: self.signing_keys,
            Need.PUBLIC_KEY: self.public_keys,
            Need.CLOCK: self.in_process,
            Need.DATABASE: self.database,
            Need.SOURCE: self.source,
            Need.IN_PROCESS: self.in_process,
            Need.LISTENER: self.in_process or (self.listener is not None and self.listener.proven),
            Need.USER_MANAGEMENT: self.users,
            Need.SESSION_LIST: self.sessions,
            Need.RESTART: self.restart or self.replica,
            Need.WEBSOCKET: self.websockets,
            Need.PASSWORD_CHANGE: self.password_change,
            Need.RESET: self.recovery,
            Need.VERIFY: self.verification,
            Need.MAILBOX: self.mailbox,
            Need.LOGS: self.in_process or self.log_file is not None,
        }
        return {need for need, value in found.items() if value}
