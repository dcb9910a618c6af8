"""What the configuration says about flows: taken as it stands; only logins are tried."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Carrier, Kind
from auth_conformance.discovery.access import declared_csrf_header
from auth_conformance.discovery.lifecycle import deletion_operations
from auth_conformance.discovery.registering import described_register
from auth_conformance.discovery.tokens import csrf_header_for, csrf_place, issued, refresh_pointer
from auth_conformance.model import Provenance
from auth_conformance.settings import ConfigurationError, LoginSettings, RegisterSettings, WitnessSettings
from auth_conformance.target import (
    KeyManagement,
    Login,
    LoginStep,
    Logout,
    Objects,
    Refresh,
    Register,
    Witness,
)

if TYPE_CHECKING:
    from auth_conformance.discovery.access import Doorman
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.transports.message import RawReply

_BECAUSE = "your configuration"


def carrier_from(text: str, *, key: bool = False) -> Carrier:
    """A carrier written as `header Authorization Bearer`, `cookie sid` or `query api_key`.

    Raises ConfigurationError.
    """
    place, _, rest = text.strip().partition(" ")
    name, _, prefix = rest.strip().partition(" ")
    if not name or " " in prefix.strip() or place not in ("header", "query", "cookie"):
        raise ConfigurationError(
            f"carrier = {text!r} is not understood: write place, name and scheme word, "
            "as in 'header Authorization Bearer'."
        )
    prefix = prefix.strip()
    if place == "cookie":
        kind = Kind.COOKIE
    elif key:
        kind = Kind.KEY
    else:
        kind = Kind.BASIC if prefix.lower() == "basic" else Kind.BEARER
    return Carrier(kind, place, name, prefix)


async def declared_logins(scout: Scout, known: Knowledge, doorman: Doorman) -> None:
    """The logins of the configuration, each tried with A. Raises ConfigurationError when one fails."""
    for given in known.settings.login:
        login = _login(known, given)
        account = known.accounts.get("a")
        if account is not None and account.password is not None:
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
        given.extra,
        given.token,
        given.refresh,
        given.cookie or (carrier.name if carrier.place == "cookie" and given.token is None else None),
        given.csrf,
        given.csrf_header,
        tuple(
            LoginStep(
                known.operation(step.operation, Provenance.DECLARED),
                step.encoding,
                step.user_field,
                step.password_field,
                step.extra,
                tuple(step.take.items()),
            )
            for step in given.before
        ),
        given.headers,
        given.query,
        provenance=Provenance.DECLARED,
    )


async def _tried(
    scout: Scout, known: Knowledge, doorman: Doorman, login: Login, given: LoginSettings
) -> Login:
    account = known.accounts["a"]
    reply = await doorman.send(login, account)
    if reply is None:
        said = doorman.refusals[-1] if doorman.refusals else "it was not tried"
        raise ConfigurationError(
            f"The login in [[login]] does not work for account a ({account.username}): {said}. "
            f"Sent: {login.encoding} with {login.user_field} and {login.password_field}."
        )
    if login.token is None and login.cookie is None:
        tokens = [item for item in issued(reply) if item.pointer is not None]
        login = replace(login, token=tokens[0].pointer if tokens else None)
    login = replace(
        login, refresh=login.refresh or (refresh_pointer(reply) if login.cookie is None else None)
    )
    if login.cookie is not None:
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
    if settings.public is not None:
        known.public = known.operation(settings.public, Provenance.DECLARED)
        known.say("public operation", known.public.name, Provenance.DECLARED, _BECAUSE)
    if (refresh := settings.refresh) is not None:
        operation = known.operation(refresh.operation, Provenance.DECLARED)
        known.refresh = Refresh(
            operation, refresh.place, refresh.field, refresh.token, refresh.refresh, {}, Provenance.DECLARED
        )
        known.say(
            "refresh", f"{operation.name} ({refresh.place} {refresh.field})", Provenance.DECLARED, _BECAUSE
        )
    if settings.register_ is not None:
        known.register = _register(known, settings.register_)
        known.say("register", known.register.operation.name, Provenance.DECLARED, _BECAUSE)
    _declared_keys(known)
    _declared_objects(known)
    known.delete_account = next(iter(deletion_operations(known)), None)


def _register(known: Knowledge, given: RegisterSettings) -> Register:
    """The declared registration; what the document knows of its body besides is used as well."""
    operation = known.operation(given.operation, Provenance.DECLARED)
    described = described_register(operation, random.Random(0))
    own = (given.user_field, given.password_field)
    return Register(
        operation,
        given.encoding,
        given.user_field,
        given.password_field,
        given.user_style,
        {**(described.template if described else {}), **given.extra},
        tuple(pair for pair in (described.also if described else ()) if pair[0] not in (*own, *given.extra)),
        Provenance.DECLARED,
    )


def _witness(known: Knowledge, given: WitnessSettings | None, purpose: str) -> Witness | None:
    if given is None:
        return None
    operation = known.operation(given.operation, Provenance.DECLARED)
    if operation not in known.opened:
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
    known.keys = KeyManagement(
        create,
        given.body,
        given.value,
        (carrier, *(item for item in known.carriers if item.kind is Kind.KEY and item != carrier)),
        given.identifier or None,
        known.operation(given.listing, Provenance.DECLARED)
        if given.listing
        else known.operations.get(f"GET {create.path}"),
        revoke,
        _parameter(revoke.path) if revoke else "",
        given.expiry_field,
        Provenance.DECLARED,
    )
    if carrier not in known.carriers:
        known.carriers.append(carrier)
    known.say("API keys", f"{given.create} → {given.value}, sent as {carrier}", Provenance.DECLARED, _BECAUSE)


def _declared_objects(known: Knowledge) -> None:
    given = known.settings.objects
    if given is None:
        return
    read = known.operation(given.read, Provenance.DECLARED)
    create = known.operation(given.create, Provenance.DECLARED)
    known.objects = Objects(
        create,
        read,
        given.body,
        given.text_field,
        given.identifier,
        _parameter(read.path),
        known.operations.get(f"GET {create.path}"),
        known.operations.get(f"PATCH {read.path}") or known.operations.get(f"PUT {read.path}"),
        known.operation(given.delete, Provenance.DECLARED) if given.delete else None,
        Provenance.DECLARED,
    )
    known.say("objects", f"{given.create}, {given.read}", Provenance.DECLARED, _BECAUSE)


def declared_logouts(known: Knowledge) -> None:
    """The logouts of the configuration: one for each kind of login, by its scheme or its place."""
    operations = [known.operation(name, Provenance.DECLARED) for name in known.settings.logout]
    kinds = dict.fromkeys(login.carrier.kind for login in known.logins)
    for place, kind in enumerate(kinds or [Kind.BEARER]):
        schemes = {login.carrier.scheme for login in known.logins if login.carrier.kind is kind}
        matching = [
            item for item in operations if not schemes.isdisjoint(set().union(*(item.security or ())))
        ]
        in_turn = operations[min(place, len(operations) - 1)]
        operation = in_turn if in_turn in matching or not matching else matching[0]
        known.logouts.append(Logout(operation, kind, None, Provenance.DECLARED))
        known.say("logout", f"{operation.name} ends a {kind.value} login", Provenance.DECLARED, _BECAUSE)
