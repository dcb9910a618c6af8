"""What discovery has learnt so far: filled step by step, turned into a `Target` at the end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Carrier, Credential, Kind, SigningKey
from auth_conformance.discovery.names import likeness
from auth_conformance.model import Fact, Need, Provenance
from auth_conformance.notation import filled
from auth_conformance.target import (
    Account,
    Clients,
    Deletion,
    EmailChange,
    KeyManagement,
    Listening,
    Login,
    Logout,
    Objects,
    Operation,
    PasswordChange,
    Policy,
    Published,
    Recovery,
    Refresh,
    Register,
    SessionManagement,
    Source,
    Target,
    ToldKey,
    UserManagement,
    Verification,
    WebSocketRoute,
    Witness,
    Writing,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from auth_conformance.discovery.document import Document
    from auth_conformance.discovery.graphql import Endpoint
    from auth_conformance.discovery.locating import Found
    from auth_conformance.secret import Secret
    from auth_conformance.settings import Settings
    from auth_conformance.transports.mailbox import Mailbox
    from auth_conformance.transports.message import RawReply

# How a policy spells that a value which one login issues as two kinds is at home in both places.
ONE_VALUE = {Kind.BEARER: "token as cookie", Kind.COOKIE: "session as bearer"}


@dataclass(slots=True)
class Knowledge:
    """Everything known about one target. `complete` says that every operation of it is known.

    `credentials` are live ones by account label and kind, `used` the carriers in which one was accepted.
    `strangers` are replies to calls without a credential, by operation name. `one_value` says that a login's
    answer holds the same value as a token and as a session.
    """

    settings: Settings
    kind: str
    address: str
    app: object | None = None
    title: str = ""
    operations: dict[str, Operation] = field(default_factory=dict)
    carriers: list[Carrier] = field(default_factory=list)
    cookie_scheme: str = ""
    used: list[Carrier] = field(default_factory=list)
    token_paths: tuple[str, ...] = ()
    openid_urls: tuple[str, ...] = ()
    grant_paths: tuple[str, ...] = ()
    client_paths: tuple[str, ...] = ()
    provider: Mapping[str, Any] = field(default_factory=dict)
    document_path: str | None = None
    graphql: Endpoint | None = None
    has_document: bool = False
    documents: list[Published] = field(default_factory=list)
    complete: bool = False
    accounts: dict[str, Account] = field(default_factory=dict)
    logins: list[Login] = field(default_factory=list)
    register: Register | None = None
    refresh: Refresh | None = None
    logouts: list[Logout] = field(default_factory=list)
    keys: KeyManagement | None = None
    key_roll: KeyManagement | None = None
    told_key: ToldKey | None = None
    clients: Clients | None = None
    objects: Objects | None = None
    further: list[Objects] = field(default_factory=list)
    textless: list[Objects] = field(default_factory=list)
    writings: tuple[Writing, ...] = ()
    witness: Witness | None = None
    second: Witness | None = None
    key_witness: Witness | None = None
    public: Operation | None = None
    delete_account: Deletion | None = None
    users: UserManagement | None = None
    profiles: list[Writing] = field(default_factory=list)
    sessions: SessionManagement | None = None
    websockets: list[WebSocketRoute] = field(default_factory=list)
    password_change: PasswordChange | None = None
    recovery: Recovery | None = None
    verification: Verification | None = None
    email_change: EmailChange | None = None
    mailbox: Mailbox | None = None
    signing_keys: list[SigningKey] = field(default_factory=list)
    other_issuer: tuple[str, SigningKey] | None = None
    public_keys: list[Mapping[str, Any]] = field(default_factory=list)
    key_set: Operation | None = None
    credentials: dict[tuple[str, Kind], Credential] = field(default_factory=dict)
    one_value: bool = False
    strangers: dict[str, RawReply] = field(default_factory=dict)
    opened: list[Operation] = field(default_factory=list)
    source: Source | None = None
    guards: dict[str, tuple[str, ...]] = field(default_factory=dict)
    middleware: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    facts: list[Fact] = field(default_factory=list)
    absent: dict[Need, str] = field(default_factory=dict)
    # What looks like a login and broke over a right password, by name: what it answered.
    broken_logins: dict[str, str] = field(default_factory=dict)
    remedies: dict[Need, str] = field(default_factory=dict)

    def say(self, name: str, value: str, provenance: Provenance, because: str = "") -> None:
        """Add a fact for people. Neither text may hold a secret."""
        fact = Fact(name, value, provenance, because)
        if fact not in self.facts:
            self.facts.append(fact)

    def publish(self, found: Found, base: str) -> None:
        """Keep the document itself, for checks of what it says."""
        openly = found.path is not None and not found.where.endswith("with a credential")
        self.documents.append(Published(found.where, found.raw, base, found.path, openly))

    def include(self, document: Document) -> None:
        """Add what a document says."""
        self.title = self.title or document.title
        for operation in document.operations:
            self.operations.setdefault(operation.name, self._without_carriers(operation))
        self.carriers += [carrier for carrier in document.carriers if carrier not in self.carriers]
        self.cookie_scheme = self.cookie_scheme or document.cookie_scheme
        self._name_what_was_used()
        self.token_paths += document.token_paths
        self.openid_urls += document.openid_urls
        self.grant_paths += document.grant_paths
        self.client_paths += document.client_paths
        for problem in document.problems[:20]:
            self.say("document", problem, Provenance.OPENAPI, "the rest of the document was used")
        for sentence in document.unusable:
            self.say(
                "scheme",
                sentence,
                Provenance.OPENAPI,
                "neither a header, a query parameter nor a cookie carries it",
            )

    def _name_what_was_used(self) -> None:
        """What was seen to travel before a document could be read goes by the names of its schemes from now on."""

        def named(carrier: Carrier) -> Carrier:
            return replace(carrier, scheme=carrier.scheme or self.schemes_of(carrier))

        self.logins = [replace(login, carrier=named(login.carrier)) for login in self.logins]
        self.credentials = {
            key: replace(credential, carrier=named(credential.carrier))
            for key, credential in self.credentials.items()
        }
        used, self.used = self.used, []
        self.carriers = [carrier for carrier in self.carriers if carrier not in used]
        for carrier in used:
            self.use(named(carrier))

    def operation(self, name: str, provenance: Provenance = Provenance.GUESSED) -> Operation:
        """The operation of that name, such as `GET /me`; built as it stands when the document has none."""
        method, _, path = name.strip().partition(" ")
        exact = f"{method.upper()} {path.strip()}"
        # A document may be spelled without the slash that its service wants, and people write as it does.
        twin = exact.rstrip("/") if exact.endswith("/") else exact + "/"
        known = self.operations.get(exact) or self.operations.get(twin)
        found = known or Operation(method.upper(), path.strip() or "/", provenance=provenance)
        body = self.settings.bodies.get(exact)
        return found if body is None else replace(found, bodies={}, body=filled(body))

    def move(self, operation: Operation, path: str) -> Operation:
        """The operation at the path to which the service redirects it; known by that name from now on."""
        moved = replace(operation, path=path)
        if self.operations.pop(operation.name, None) is not None:
            self.operations.setdefault(moved.name, moved)
            self.say("paths", f"{operation.name} is at {path}", Provenance.OBSERVED, "it redirects there")
        return moved

    def by_method(self, *methods: str) -> list[Operation]:
        """The operations with one of these methods, in the document's order."""
        return [operation for operation in self.operations.values() if operation.method in methods]

    def credential(self, label: str = "a", kinds: Iterable[Kind] = ()) -> Credential | None:
        """A live credential of the account, of the first kind that there is; logins before keys."""
        wanted = tuple(kinds) or (Kind.BEARER, Kind.COOKIE, Kind.BASIC, Kind.KEY)
        return next(
            (self.credentials[label, kind] for kind in wanted if (label, kind) in self.credentials), None
        )

    def use(self, carrier: Carrier) -> None:
        """Note that credentials were seen to travel so: the declared carrier of that place is this one."""
        same = [
            known
            for known in self.carriers
            if (known.place, known.name.lower(), known.prefix)
            == (carrier.place, carrier.name.lower(), carrier.prefix)
        ]
        if carrier in self.used:
            return
        for known in same:
            if known == carrier or known.kind is not carrier.kind:
                self.carriers.remove(known)
        self.carriers.insert(len(self.used), carrier)
        self.used.append(carrier)
        self.operations = {name: self._without_carriers(item) for name, item in self.operations.items()}

    def _without_carriers(self, operation: Operation) -> Operation:
        """Where credentials travel is no parameter: FastAPI's `Header()` is documented as one like any other."""
        for carrier in self.used:
            operation = operation.without_header(carrier.name) if carrier.place == "header" else operation
        return operation

    def schemes_of(self, carrier: Carrier) -> str:
        """The name of the declared scheme with that carrier; "" for one that no document names."""
        return next(
            (
                known.scheme
                for known in self.carriers
                if known.scheme
                and (known.place, known.name.lower()) == (carrier.place, carrier.name.lower())
                and known.prefix.lower() == carrier.prefix.lower()
            ),
            self.cookie_scheme if carrier.place == "cookie" else "",
        )

    def target(self) -> Target:
        """The frozen result."""
        policy = self.settings.policy
        return Target(
            kind=self.kind,
            address=self.address,
            title=self.title,
            level=self.settings.level,
            operations=tuple(self.operations.values()),
            carriers=tuple(dict.fromkeys(self.carriers)),
            accounts=dict(self.accounts),
            logins=tuple(self.logins),
            register=self.register,
            refresh=self.refresh,
            logouts=tuple(self.logouts),
            ending=frozenset(item.name for item in self.operations.values() if likeness(item, "logout")),
            keys=self.keys,
            key_roll=self.key_roll,
            told_key=self.told_key,
            clients=self.clients,
            objects=self.objects,
            further=tuple(self.further),
            textless=tuple(self.textless),
            writings=self.writings,
            witness=self.witness,
            second=self.second,
            key_witness=self.key_witness,
            public=self.public,
            delete_account=self.delete_account,
            users=self.users,
            profiles=tuple(self.profiles),
            sessions=self.sessions,
            websockets=tuple(self.websockets),
            password_change=self.password_change,
            recovery=self.recovery,
            verification=self.verification,
            email_change=self.email_change,
            mailbox=self.mailbox,
            restart=self.settings.restart or (self.settings.app if self.kind == "app" else None),
            replica=self.settings.replica,
            rotation=self._rotation(),
            signing_keys=tuple(self.signing_keys),
            other_issuer=self.other_issuer,
            public_keys=tuple(self.public_keys),
            key_set=self.key_set,
            listener=self._listener(),
            token_cache=self.settings.token_cache,
            foreign_token=self.settings.foreign_token.secret() if self.settings.foreign_token else None,
            database=self.settings.database_url(),
            source=self.source,
            guards=dict(self.guards),
            middleware=self.middleware,
            has_document=self.has_document,
            documents=tuple(self.documents),
            log_file=self.settings.log_file,
            in_process=self.kind == "app",
            policy=Policy(
                refusals=frozenset(policy.refusals),
                leeway=policy.leeway,
                audience=tuple(policy.audience),
                algorithms=tuple(policy.algorithms),
                form_token=policy.form_token,
                access_lifetime=policy.access_lifetime,
                refresh_lifetime=policy.refresh_lifetime,
                trust_waf=policy.trust_waf,
                origins=tuple(policy.origins) or self.origins,
                public_operations=frozenset(policy.public_operations) | self._declared_public(),
                privileged_operations=frozenset(policy.privileged_operations),
                private_fields=frozenset(policy.private_fields),
                shown_fields=frozenset(policy.shown_fields),
                throttle_limit=policy.throttle_limit,
                refresh_window=policy.refresh_window,
                bound_refresh_tokens=policy.bound_refresh_tokens,
                stateless_tolerance=policy.stateless_tolerance,
                first_valid_wins=policy.first_valid_wins,
                shared_objects=policy.shared_objects,
                open_invitations=policy.open_invitations,
                cross_site_cookie=policy.cross_site_cookie,
                four_file=policy.four_file,
                test_hashing=policy.test_hashing,
                handler_count=policy.handler_count,
                stale_cookie_ignored=policy.stale_cookie_ignored,
                interchangeable=frozenset(policy.interchangeable).union(
                    ONE_VALUE.values() if self.one_value else ()
                ),
                session_idle=policy.session_idle,
                session_absolute=policy.session_absolute,
                refresh_family=policy.refresh_family,
                session_limit=policy.session_limit,
                hide_docs=policy.hide_docs,
                same_site_only=policy.same_site_only,
                error_members=tuple(policy.error_members),
                request_limits=dict(policy.request_limits),
            ),
            facts=tuple(self.facts),
            absent=dict(self.absent),
            broken_logins=tuple(f"{name} {said}" for name, said in self.broken_logins.items()),
            remedies=dict(self.remedies),
        )

    def _declared_public(self) -> frozenset[str]:
        """What the configuration calls public: what was merely seen to answer strangers may be the flaw."""
        return frozenset((self.public.name,)) if self.settings.public and self.public else frozenset()

    def _listener(self) -> Listening | None:
        given = self.settings.listener
        if given is None:
            return None
        host, _, port = given.bind.rpartition(":")
        return Listening((host, int(port)), given.url, given.reachable)

    def _rotation(self) -> tuple[dict[str, Secret], dict[str, Secret]] | None:
        given = self.settings.rotation
        if given is None:
            return None
        overlap, after = (
            {name: value.secret() for name, value in table.items()} for table in (given.overlap, given.after)
        )
        return overlap, after


def with_scheme(carrier: Carrier, scheme: str) -> Carrier:
    """The carrier, named after the declared scheme that it belongs to."""
    return replace(carrier, scheme=scheme) if scheme else carrier
