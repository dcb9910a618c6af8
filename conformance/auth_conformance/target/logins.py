"""How people come in, stay in and go out: flows that turn accounts into requests and replies into credentials."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from auth_conformance.credentials import Carrier, Credential, Jwt, Kind
from auth_conformance.model import Provenance
from auth_conformance.oracles.places import found_at
from auth_conformance.oracles.pointer import put
from auth_conformance.secret import Secret
from auth_conformance.target.accounts import styled
from auth_conformance.target.operations import Operation, typed
from auth_conformance.transports.message import MAILED, HttpRequest, RawReply, Step

# How the place of a refresh token is written that travels as a cookie.
_COOKIE = "cookie "


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
        sent = _carrying(self.operation.request(), self.encoding, self.template, fields)
        return Step(sent, self.takes, username)


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
    of the login does not. `keeps_session` says that no login renews the cookie: the one that a step before
    set is what authenticates from then on. `before` are the steps that come first; their marks may stand in
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
    keeps_session: bool = False

    def request(self, username: str, password: Secret) -> HttpRequest:
        """The login request, with the steps that come before it."""
        steps = tuple(step.step(username, password) for step in self.before)
        then = (self.csrf_from.request(),) if self.csrf_from is not None else ()
        bare = dataclasses.replace(self.operation.request(), before=steps, then=then)
        bare = bare.with_headers(*self.headers.items()).with_query(*self.query.items())
        if self.encoding == "basic":
            pair = base64.b64encode(f"{username}:{password.reveal()}".encode()).decode()
            # A client sends its grant beside it (RFC 6749 §4.4.2).
            form = tuple((str(key), str(value)) for key, value in self.template.items())
            bare = bare.with_form(form) if form else bare
            return bare.with_headers(("Authorization", f"Basic {pair}"))
        fields = ((self.user_field, username), (self.password_field, password.reveal()))
        return typed(_carrying(bare, self.encoding, self.template, fields), self.media)

    @property
    def passage(self) -> tuple[tuple[LoginStep, ...], Mapping[str, str]]:
        """The steps and headers that carry a CSRF token to any change by a stranger; empty where none is needed."""
        steps = tuple(step for step in self.before if step.encoding == "none")
        taken = {"{{" + name + "}}" for step in steps for name, _ in step.takes}
        headers = {name: value for name, value in self.headers.items() if value in taken}
        return (steps, headers) if headers else ((), {})

    @property
    def mailed(self) -> tuple[str, ...]:
        """The marks that stand for the code of a message that a step before leads to."""
        return tuple(name for step in self.before for name, where in step.takes if where.startswith(MAILED))

    @property
    def secret_proof(self) -> bool:
        """Whether changes want a CSRF token, and not what is the same for everybody (`value …`)."""
        return bool(self.csrf) and not str(self.csrf).startswith("value ")

    def read(self, reply: RawReply, owner: str) -> Credential | None:
        """The credential in a login reply; None when the login was refused or holds none."""
        if reply.status is None or reply.status >= 400 or self._asks_again(reply):
            return None
        value = (
            reply.cookies.get(self.cookie) or self._kept(reply)
            if self.cookie is not None
            else found_at(reply, self.token if self.token is not None else "")
        )
        if not isinstance(value, str) or not value:
            return None
        companions, crumbs = self.protection(reply)
        return Credential(self.carrier, Secret(value), owner, companions, crumbs)

    def life(self, reply: RawReply) -> float | None:
        """How many seconds the reply gives the token: `expires_in` stands beside it (RFC 6749 §5.1)."""
        if self.token is None or not self.token.startswith("/"):
            return None
        said = found_at(reply, f"{self.token.rpartition('/')[0]}/expires_in")
        return float(said) if isinstance(said, int | float) and not isinstance(said, bool) else None

    def _asks_again(self, reply: RawReply) -> bool:
        """Whether the answer is the form once more: pages may refuse with 200, and give every visitor a session."""
        return self.encoding == "form" and self.cookie is not None and reply.asks_for_password

    def _kept(self, reply: RawReply) -> str | None:
        """The cookie of the visit before the login, where this login was granted by sending people onwards."""
        if not self.keeps_session or self.cookie is None or not self.leads_on(reply):
            return None
        return next(
            (one.cookies[self.cookie] for one in reversed(reply.earlier) if self.cookie in one.cookies), None
        )

    def leads_on(self, reply: RawReply) -> bool:
        """Whether a reply redirects to another page than those that asked for the password."""
        own = {self.operation.path, *(step.operation.path for step in self.before)}
        there = urlsplit(reply.header("location") or "").path
        return reply.status in (302, 303) and bool(there) and there not in own

    def protection(self, reply: RawReply) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
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


@dataclass(frozen=True, slots=True)
class Clients:
    """How people make a client for a program: `name` and `secret` point into the reply; `login` exchanges them.

    `opens` is what such a token opens. `revoke` takes one back and `renew` replaces its secret, where there is one;
    `identifier` points to what paths call it.
    """

    create: Operation
    template: Mapping[str, Any]
    name: str
    secret: str
    login: Login
    opens: Operation
    revoke: Operation | None = None
    renew: Operation | None = None
    identifier: str = ""


def csrf_claim(text: str) -> str | None:
    """The claim of a JWT in a cookie that a request repeats elsewhere, as no page of another site can."""
    token = Jwt.parse(text)
    claims = token.claims if token is not None else {}
    return next(
        (value for name, value in claims.items() if "csrf" in name.lower() and isinstance(value, str)), None
    )


@dataclass(frozen=True, slots=True)
class Refresh:
    """How a refresh token becomes new tokens. `place` is json, form, query, header (bearer) or cookie.

    `token` and `refresh` are places in the reply (`auth_conformance.oracles.places`). `csrf_header` takes the claim
    of a cookie's token that repeats it against other sites.
    """

    operation: Operation
    place: str
    field: str
    token: str
    refresh: str | None
    template: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    provenance: Provenance = Provenance.OBSERVED
    csrf_header: str = ""

    def request(self, token: Secret) -> HttpRequest:
        """The refresh request that presents `token`."""
        bare, text = self.operation.request(), token.reveal()
        match self.place:
            case "header":
                return bare.with_headers((self.field or "Authorization", f"Bearer {text}"))
            case "cookie":
                claim = csrf_claim(text) if self.csrf_header else None
                repeated = ((self.csrf_header, claim),) if claim is not None else ()
                return bare.with_headers(("Cookie", f"{self.field}={text}"), *repeated)
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
    takes the access token where no refresh tokens are issued (RFC 7009 §2.1); `cookie NAME` is no member: the
    refresh token goes along as that cookie. `template` is what else the body needs.
    """

    operation: Operation
    kind: Kind
    refresh_field: str | None = None
    provenance: Provenance = Provenance.GUESSED
    template: Mapping[str, Any] = field(default_factory=dict)

    def body(self, access: Secret, refresh: Secret | None) -> dict[str, object] | None:
        """What a logout carries beside the credential."""
        name = self.refresh_field
        if (
            name is None
            or name.startswith(_COOKIE)
            or (refresh is None and name.rpartition("/")[2].lower() != "token")
        ):
            return dict(self.template) or None
        return put(dict(self.template), name, (refresh or access).reveal())

    def leaving(self, credential: Credential, refresh: Secret | None) -> Credential:
        """`credential` as the logout is called with it: with the refresh token's cookie where it wants that, too."""
        if refresh is None or not (self.refresh_field or "").startswith(_COOKIE):
            return credential
        beside = (str(self.refresh_field).removeprefix(_COOKIE), refresh.reveal())
        return dataclasses.replace(credential, crumbs=(*credential.crumbs, beside))


@dataclass(frozen=True, slots=True)
class Register:
    """How a stranger makes an account. `template` is a valid body; user and password fields are replaced.

    `user_style` is `email` or `name`. `also` lists further members that follow the user name, each with its
    style: `email`, `name`, `phone`, or `password` for one that repeats the password. `confirmed` says that a new
    account has to redeem the token of a message before it can log in. `before` and `headers` are what every change
    by a stranger needs: a CSRF token, as in `Login`.
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
    before: tuple[LoginStep, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self, username: str, password: Secret) -> HttpRequest:
        """The registration request, with the steps that come before it."""
        body = dict(self.template)
        for name, style in self.also:
            body = put(body, name, password.reveal() if style == "password" else styled(username, style))
        body = put(body, self.user_field, username)
        body = put(body, self.password_field, password.reveal())
        steps = tuple(step.step(username, password) for step in self.before)
        bare = dataclasses.replace(self.operation.request(), before=steps)
        bare = bare.with_headers(*self.headers.items())
        if self.encoding == "form":
            return bare.with_form(tuple((str(key), str(value)) for key, value in body.items()))
        return bare.with_json(body)


def address_of(username: str, register: Register) -> str:
    """The e-mail address that a registration under this name gives the account; "" when it takes none."""
    if register.user_style == "email":
        return username
    mailed = any(style == "email" for _, style in register.also)
    return styled(username, "email") if mailed else ""
