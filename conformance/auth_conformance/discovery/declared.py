"""What the configuration says about flows: taken as it stands; only logins are tried."""

from __future__ import annotations

import random
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from auth_conformance.credentials import Carrier, Kind
from auth_conformance.discovery.access import LIMITED, declared_csrf_header
from auth_conformance.discovery.doors import carrier_from
from auth_conformance.discovery.insisting import insist
from auth_conformance.discovery.lifecycle import deletion_operations, refresh_member
from auth_conformance.discovery.procedures import told_in_bodies
from auth_conformance.discovery.queries import asking, told_in_queries
from auth_conformance.discovery.recovery import deletion
from auth_conformance.discovery.registering import described_register
from auth_conformance.discovery.sampling import FORM
from auth_conformance.discovery.tokens import csrf_header_for, csrf_place, issued, refresh_pointer
from auth_conformance.model import Provenance
from auth_conformance.notation import FromEnvironment, filled, variables
from auth_conformance.settings import ConfigurationError
from auth_conformance.target import (
    KeyManagement,
    Login,
    LoginStep,
    Logout,
    Objects,
    Parent,
    Refresh,
    Register,
    Witness,
)

if TYPE_CHECKING:
    from auth_conformance.discovery.access import Doorman
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.tables import (
        LoginSettings,
        LogoutSettings,
        ParentSettings,
        RegisterSettings,
        WitnessSettings,
    )
    from auth_conformance.target import Account, Operation
    from auth_conformance.transports.message import RawReply

_BECAUSE = "your configuration"


async def declared_logins(scout: Scout, known: Knowledge, doorman: Doorman) -> None:
    """The logins of the configuration, each tried with A. Raises ConfigurationError when one fails."""
    for given in known.settings.login:
        for table in (given.extra, given.headers, given.query, *(step.extra for step in given.before)):
            _learn(scout, table)
        login = _login(known, given)
        account = known.accounts.get("a")
        if account is not None and account.password is not None:
            open_ended = given.model_fields_set.isdisjoint({"token", "cookie", "carrier"})
            found = await _looked_for(known, doorman, login, account) if open_ended else []
            if found:
                known.logins += found
                continue
            login = await _tried(scout, known, doorman, login, given)
        known.logins.append(login)
        known.use(login.carrier)
        known.say(
            "login",
            f"{login.operation.name} ({login.encoding}) → {login.carrier}",
            Provenance.DECLARED,
            _BECAUSE,
        )


def _login(known: Knowledge, given: LoginSettings) -> Login:
    carrier = carrier_from(given.carrier)
    if given.cookie and carrier.place != "cookie":
        carrier = Carrier(Kind.COOKIE, "cookie", given.cookie)
    return Login(
        known.operation(given.operation, Provenance.DECLARED),
        given.encoding,
        given.user_field,
        given.password_field,
        replace(carrier, scheme=known.schemes_of(carrier)),
        filled(given.extra),
        given.token,
        given.refresh or None,
        given.cookie or (carrier.name if carrier.place == "cookie" and given.token is None else None),
        given.csrf,
        given.csrf_header,
        tuple(
            LoginStep(
                known.operation(step.operation, Provenance.DECLARED),
                step.encoding,
                step.user_field,
                step.password_field,
                filled(step.extra),
                tuple(step.take.items()),
            )
            for step in given.before
        ),
        filled(given.headers),
        filled(given.query),
        given.media,
        Provenance.DECLARED,
        csrf_from=known.operation(given.csrf_from, Provenance.DECLARED) if given.csrf_from else None,
        csrf_field=given.csrf_field,
    )


def _learn(scout: Scout, table: object) -> None:
    """No report shows what a variable held that stands among the members of a request."""
    for name in variables(table):
        scout.learn(FromEnvironment(env=name).secret().reveal())


async def _sent(
    doorman: Doorman, known: Knowledge, login: Login, account: Account
) -> tuple[Login, RawReply | None]:
    """Log in; where the service redirects the request to another path of its own, there."""
    reply = await doorman.send(login, account)
    if reply is None and doorman.moved:
        login = replace(login, operation=known.move(login.operation, doorman.moved))
        reply = await doorman.send(login, account)
    return login, reply


async def _looked_for(known: Knowledge, doorman: Doorman, login: Login, account: Account) -> list[Login]:
    """What a login issues, where the configuration leaves that out: each kind of credential that opens a door."""
    login, reply = await _sent(doorman, known, login, account)
    found = await doorman.read(login, reply, account) if reply is not None else []
    return [replace(item, provenance=Provenance.DECLARED) for item in found]


async def _tried(
    scout: Scout, known: Knowledge, doorman: Doorman, login: Login, given: LoginSettings
) -> Login:
    account = known.accounts["a"]
    login, reply = await _sent(doorman, known, login, account)
    if reply is None:
        await insist(scout, known)
        said = doorman.refusals[-1] if doorman.refusals else "it was not tried"
        raise ConfigurationError(
            f"The login in [[login]] does not work for account a ({account.username}): {said}. "
            + (
                LIMITED
                if f"answered {HTTPStatus.TOO_MANY_REQUESTS.value}" in said
                else f"Sent: {login.encoding} with {login.user_field} and {login.password_field}."
            )
        )
    if login.token is None and login.cookie is None:
        tokens = [item for item in issued(reply) if item.pointer is not None]
        login = replace(login, token=tokens[0].pointer if tokens else None)
    login = replace(
        login, refresh=login.refresh or (refresh_pointer(reply) if login.cookie is None else None)
    )
    if login.cookie is not None:
        login = replace(login, keeps_session=login.cookie not in reply.cookies and login.leads_on(reply))
        login = _with_csrf(known, login, reply)
    credential = login.read(reply, "a")
    if credential is None:
        place = f"cookie {login.cookie}" if login.cookie else f"token at {login.token!r}"
        raise ConfigurationError(
            f"{given.operation} let account a in, but its reply holds no {place}: {scout.shown(reply)}."
        )
    scout.learn(credential.value.reveal())
    known.credentials["a", credential.carrier.kind] = credential
    return login


def _with_csrf(known: Knowledge, login: Login, reply: RawReply) -> Login:
    csrf = login.csrf or csrf_place(reply)
    if csrf is None:
        return login
    header = login.csrf_header or declared_csrf_header(known) or csrf_header_for(csrf)
    return replace(login, csrf=csrf, csrf_header=header)


def declared_flows(known: Knowledge) -> None:
    """Everything else that the configuration says; it wins over anything that would be found."""
    settings = known.settings
    known.witness = _witness(known, settings.witness, "witness")
    known.second = _witness(known, settings.second, "second protected operation")
    known.key_witness = _witness(known, settings.key_witness, "witness of keys", opened=False)
    if settings.public is not None:
        known.public = known.operation(settings.public, Provenance.DECLARED)
        known.say("public operation", known.public.name, Provenance.DECLARED, _BECAUSE)
    if (refresh := settings.refresh) is not None:
        operation = known.operation(refresh.operation, Provenance.DECLARED)
        known.refresh = Refresh(
            operation,
            refresh.place,
            refresh.field,
            refresh.token,
            refresh.refresh or None,
            filled(refresh.extra),
            Provenance.DECLARED,
            refresh.csrf_header,
        )
        known.say(
            "refresh", f"{operation.name} ({refresh.place} {refresh.field})", Provenance.DECLARED, _BECAUSE
        )
    if settings.register_ is not None:
        known.register = _register(known, settings.register_)
        known.say("register", known.register.operation.name, Provenance.DECLARED, _BECAUSE)
    _declared_keys(known)
    _declared_objects(known)
    if settings.delete_account is None:
        known.delete_account = next((deletion(item) for item in deletion_operations(known)), None)
    elif settings.delete_account:
        known.delete_account = deletion(known.operation(settings.delete_account, Provenance.DECLARED))
        known.say("account deletion", known.delete_account.name, Provenance.DECLARED, _BECAUSE)


def _register(known: Knowledge, given: RegisterSettings) -> Register:
    """The declared registration; what the document knows of its body besides is used as well."""
    operation = known.operation(given.operation, Provenance.DECLARED)
    described = described_register(operation, random.Random(0))
    own = (given.user_field, given.password_field)
    also = described.also if described and given.also is None else tuple((given.also or {}).items())
    return Register(
        operation,
        given.encoding,
        given.user_field,
        given.password_field,
        given.user_style,
        {**(described.template if described else {}), **filled(given.extra)},
        tuple(pair for pair in also if pair[0] not in (*own, *given.extra)),
        Provenance.DECLARED,
        given.confirmed,
    )


def _witness(
    known: Knowledge, given: WitnessSettings | None, purpose: str, *, opened: bool = True
) -> Witness | None:
    if given is None:
        return None
    operation = known.operation(given.operation, Provenance.DECLARED)
    if opened and operation not in known.opened:
        known.opened.append(operation)
    at = f", names the caller at {given.identity}" if given.identity else ""
    known.say(purpose, operation.name + at, Provenance.DECLARED, _BECAUSE)
    return Witness(operation, given.identity, Provenance.DECLARED)


def _parameter(path: str) -> str:
    return path.rsplit("{", maxsplit=1)[-1].split("}", maxsplit=1)[0] if "{" in path else ""


def _declared_keys(known: Knowledge) -> None:
    given = known.settings.keys
    if given is None:
        return
    carrier = carrier_from(given.carrier, key=True)
    carrier = replace(carrier, scheme=known.schemes_of(carrier))
    create = known.operation(given.create, Provenance.DECLARED)
    revoke = known.operation(given.revoke, Provenance.DECLARED) if given.revoke else None
    further = (
        [item for item in known.carriers if item.kind is Kind.KEY]
        if given.further_carriers is None
        else [carrier_from(text, key=True) for text in given.further_carriers]
    )
    further = [replace(item, scheme=known.schemes_of(item)) for item in further]
    known.keys = KeyManagement(
        create,
        filled(given.body),
        given.value,
        tuple(dict.fromkeys([carrier, *further])),
        given.identifier or None,
        known.operation(given.listing, Provenance.DECLARED)
        if given.listing
        else known.operations.get(f"GET {create.path}"),
        *_revocation(revoke),
        given.expiry_field,
        Provenance.DECLARED,
        given.owner_parameter,
    )
    known.say("API keys", f"{given.create} → {given.value}, sent as {carrier}", Provenance.DECLARED, _BECAUSE)


def _declared_objects(known: Knowledge) -> None:
    given = known.settings.objects
    if given is None:
        return
    read = known.operation(given.read, Provenance.DECLARED)
    create = known.operation(given.create, Provenance.DECLARED)
    asked = given.id_member.startswith("?")
    member = given.id_member if asked else f"/{given.id_member.removeprefix('/')}" if given.id_member else ""
    objects = Objects(
        create,
        read,
        filled(given.body),
        given.text_field,
        given.identifier,
        member or _parameter(read.path),
        _named(known, given.listing) or known.operations.get(f"GET {create.path}"),
        _named(known, given.update)
        or known.operations.get(f"PATCH {read.path}")
        or known.operations.get(f"PUT {read.path}"),
        _named(known, given.delete),
        Provenance.DECLARED,
        tuple(_parent(known, item) for item in given.parents),
        given.private,
    )
    told = told_in_queries if asked else told_in_bodies
    known.objects = told(known, objects) if member else objects
    known.say("objects", f"{given.create}, {given.read}", Provenance.DECLARED, _BECAUSE)


def _revocation(revoke: Operation | None) -> tuple[Operation | None, str]:
    """The operation that ends a key, and where the key's id goes: into its path, or its query."""
    if revoke is None:
        return None, ""
    return asking(revoke) or (revoke, _parameter(revoke.path))


def _parent(known: Knowledge, given: ParentSettings) -> Parent:
    return Parent(
        given.parameter,
        known.operation(given.operation, Provenance.DECLARED),
        given.value,
        filled(given.body),
        tuple(given.fresh),
        _named(known, given.delete),
        tuple(_parent(known, item) for item in given.above),
    )


def _named(known: Knowledge, name: str | None) -> Operation | None:
    return known.operation(name, Provenance.DECLARED) if name else None


def declared_logouts(known: Knowledge) -> None:
    """The logouts of the configuration: for its kind, or one for each kind of login by its scheme or its place."""
    given = [(item, known.operation(item.operation, Provenance.DECLARED)) for item in known.settings.logout]
    kinds = list(dict.fromkeys(login.carrier.kind for login in known.logins)) or [Kind.BEARER]
    said = {Kind(item.kind): (item, operation) for item, operation in given if item.kind}
    free = [pair for pair in given if not pair[0].kind]
    for place, kind in enumerate(kinds):
        if kind in said:
            _log_out_by(known, *said[kind], kind)
        elif free:
            schemes = {login.carrier.scheme for login in known.logins if login.carrier.kind is kind}
            matching = [
                pair for pair in free if not schemes.isdisjoint(set().union(*(pair[1].security or ())))
            ]
            in_turn = free[min(place, len(free) - 1)]
            _log_out_by(known, *(in_turn if in_turn in matching or not matching else matching[0]), kind)


def _log_out_by(known: Knowledge, given: LogoutSettings, operation: Operation, kind: Kind) -> None:
    field = given.refresh_field or refresh_member(operation)
    if given.encoding == "form" and not operation.bodies:
        operation = replace(operation, bodies={FORM: {}})
    known.logouts.append(Logout(operation, kind, field, Provenance.DECLARED, filled(given.extra)))
    known.say("logout", f"{operation.name} ends a {kind.value} login", Provenance.DECLARED, _BECAUSE)
