"""All that is known about a target, and which needs that meets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from auth_conformance.credentials import Carrier, Kind, SigningKey
from auth_conformance.model import Fact, Need, Provenance
from auth_conformance.secret import Secret
from auth_conformance.target.accounts import Account, SessionManagement, UserManagement
from auth_conformance.target.belongings import KeyManagement, Objects, ToldKey, Writing
from auth_conformance.target.logins import Clients, Login, Logout, Refresh, Register
from auth_conformance.target.operations import Operation
from auth_conformance.target.passwords import Deletion, EmailChange, PasswordChange, Recovery, Verification
from auth_conformance.target.policy import Policy
from auth_conformance.transports.mailbox import Mailbox

# What only shows to somebody who can log in: without any account it is no use to ask for one of these.
OF_ACCOUNTS = frozenset(
    {
        Need.WITNESS,
        Need.BEARER,
        Need.JWT,
        Need.TOKEN,
        Need.COOKIE,
        Need.TWO_SCHEMES,
        Need.TWO_USERS,
        Need.LOGIN,
    }
)


@dataclass(frozen=True, slots=True)
class WebSocketRoute:
    """A path that speaks WebSocket. `message` is a text that it answers."""

    path: str
    message: str = ""
    provenance: Provenance = Provenance.OBSERVED

    @property
    def example(self) -> str:
        """The path with a 1 in each of its slots."""
        return re.sub(r"\{[^}]*\}", "1", self.path)


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
    `key_roll` makes a key in the place of the one that its caller has, where accounts have one key each: `keys` is
    None then. `told_key` tells its caller that key each time. `clients` are made by people for their programs.
    `further` are other collections of people's own objects: who guards the first may forget the next.
    `textless` are collections whose objects show no text of their maker's: `text_field` is empty there.
    `writings` are other changes that leave a text of the caller's.
    `ending` names the operations that by their names end a login: nobody's login may meet them by the way.
    `absent` names features for which there is evidence of absence; a need that is neither met nor absent
    is something that the user could supply, and `remedies` says how.
    `level` is the highest ASVS level that is asked for, 1 to 3.
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
    ending: frozenset[str] = frozenset()
    keys: KeyManagement | None = None
    key_roll: KeyManagement | None = None
    told_key: ToldKey | None = None
    clients: Clients | None = None
    objects: Objects | None = None
    further: tuple[Objects, ...] = ()
    textless: tuple[Objects, ...] = ()
    writings: tuple[Writing, ...] = ()
    witness: Witness | None = None
    second: Witness | None = None
    key_witness: Witness | None = None
    public: Operation | None = None
    delete_account: Deletion | None = None
    users: UserManagement | None = None
    profiles: tuple[Writing, ...] = ()
    sessions: SessionManagement | None = None
    websockets: tuple[WebSocketRoute, ...] = ()
    password_change: PasswordChange | None = None
    recovery: Recovery | None = None
    verification: Verification | None = None
    email_change: EmailChange | None = None
    level: int = 3
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
    broken_logins: tuple[str, ...] = ()

    def login(self, kind: Kind) -> Login | None:
        """The first login that issues credentials of that kind."""
        return next((login for login in self.logins if login.carrier.kind is kind), None)

    def operation(self, name: str) -> Operation | None:
        """The operation with that name, such as `GET /me`."""
        return next((operation for operation in self.operations if operation.name == name), None)

    def flows(self) -> set[str]:
        """Names of the operations that make, renew and end logins: they ask who comes, and guard nothing."""
        names = {item.operation.name for item in self.logins} | {item.operation.name for item in self.logouts}
        names |= {self.register.operation.name} if self.register is not None else set()
        return names | ({self.refresh.operation.name} if self.refresh is not None else set())

    def reads(self) -> tuple[Operation, ...]:
        """What a GET reads: not what a GET ends (RFC 9110 §9.2.1 forbids it, and services do it)."""
        over = self.ending | {logout.operation.name for logout in self.logouts}
        return tuple(item for item in self.operations if item.method == "GET" and item.name not in over)

    def expendables(self) -> tuple[Account, ...]:
        """The accounts that the user declared as ones that may be locked."""
        return tuple(account for label, account in self.accounts.items() if label.startswith("x-"))

    def kinds(self) -> set[Kind]:
        """The kinds of credential that a run can obtain here."""
        found = {login.carrier.kind for login in self.logins}
        found |= {kind for account in self.accounts.values() for kind in account.ready}
        return found | ({Kind.KEY} if self.keys is not None else set())

    def carrier_of(self, scheme: str) -> Carrier | None:
        """The carrier of a declared scheme: of several, one whose credentials can be had.

        One scheme may stand for two of them: what logins issue and API keys, both as `Authorization: Bearer`.
        """
        kinds = self.kinds()
        found = [carrier for carrier in self.carriers if carrier.scheme == scheme]
        return min(found, key=lambda carrier: carrier.kind not in kinds, default=None)

    def shared_kinds(self) -> set[Kind]:
        """The kinds of credential that the witness takes: not keys, where they have a witness of their own."""
        return self.kinds() - ({Kind.KEY} if self.key_witness is not None else set())

    @property
    def of_programs(self) -> bool:
        """Whether whoever logs in is a client (RFC 6749 §4.4): it has no session, and gets its next token by itself."""
        grants = [login.template.get("grant_type") for login in self.logins]
        return bool(grants) and set(grants) == {"client_credentials"}

    @property
    def nobody_known(self) -> bool:
        """Whether no account of an ordinary user is known: none was declared, and none could be registered."""
        return self.accounts.keys() <= {"admin"}

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
            Need.KEY_MANAGEMENT: self.keys or self.key_roll or self.clients or self.told_key,
            Need.OBJECTS: self.objects or self.textless,
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
