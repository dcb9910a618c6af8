"""What was found, as the editable file that `init` writes: read back, it leads to the same target."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from auth_conformance.discovery.access import labelled
from auth_conformance.discovery.management import PURPOSES
from auth_conformance.discovery.names import names, rank
from auth_conformance.discovery.sampling import FORM
from auth_conformance.discovery.toml import Line, table
from auth_conformance.notation import Given
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.credentials import Carrier
    from auth_conformance.model import Fact
    from auth_conformance.settings import Settings
    from auth_conformance.tables import AccountSettings
    from auth_conformance.target import (
        EmailChange,
        Form,
        KeyManagement,
        Login,
        LoginStep,
        Logout,
        Mailing,
        Objects,
        Parent,
        PasswordChange,
        Redemption,
        Refresh,
        Register,
        SessionManagement,
        Target,
        Witness,
    )

_GAVE = "what you gave"
# What a target holds is written as it was found; everything else as it was given.
_FOUND = frozenset(
    {"url", "app", "openapi", "accounts", "login", "witness", "second", "key_witness", "public", "refresh"}
)
_FOUND |= {"logout", "register_", "delete_account", "keys", "objects", "users", "sessions", "websockets"}
_FOUND |= {"password_change", "reset", "verification", "email_change", "signing", "policy"}


def as_toml(target: Target, settings: Settings) -> str:
    """The text of an `auth-conformance.toml` that leads to this target again, each line with its reason.

    Secrets stand in it by the names of their environment variables only.
    """
    head = "# Written by `auth-conformance init`. Each line says why it is believed; change what is wrong.\n"
    parts = [head, table("", list(_top(target, settings)))]
    parts += _accounts(target, settings)
    for login in target.logins:
        parts.append(table("[[login]]", list(_login(target, login))))
        parts += [table("[[login.before]]", list(_step(step))) for step in login.before]
    parts += _flows(target)
    parts += _people(target)
    parts += _passwords_and_mail(target)
    parts += _signing(target, settings)
    parts += _policy(settings)
    return "\n".join(parts + _wanted(target))


def _top(target: Target, settings: Settings) -> Iterator[Line]:
    yield target.kind, target.address, _GAVE
    served = [item.path for item in target.documents if item.path is not None and item.openly]
    if settings.openapi is not None:
        yield "openapi", settings.openapi, _GAVE
    elif target.kind == "url" and len(served) == 1 == len(target.documents):
        yield "openapi", served[0], _why(target, "document")
    for name, value in _given(settings):
        yield name, value, _GAVE
    if target.public is not None and (settings.public or _for_everybody(target.public.path)):
        yield "public", target.public.name, _why(target, "public operation")
    if target.logouts:
        yield "logout", [_logout(item) for item in target.logouts], _why(target, "logout")
    if target.delete_account is not None:
        name, why = target.delete_account.name, _why(target, "account deletion")
        yield "delete_account", name, why if why != _GUESSED else f"{why}: it is named so"
    elif target.register is not None:
        yield "delete_account", "", "no operation was seen to delete an account; empty for none"


def _for_everybody(path: str) -> bool:
    """Whether its name says so: written down, whatever answers strangers would be declared to be meant for them."""
    return path == "/" or rank(path.rsplit("/", 1)[-1], names("public")) is not None


def _given(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Everything else that was given, and is not what would have been the case anyway."""
    for name, info in type(settings).model_fields.items():
        value = getattr(settings, name)
        if name not in _FOUND and value != info.get_default(call_default_factory=True):
            yield name, _plain(value)


def _plain(value: Any) -> Any:
    match value:
        case BaseModel():
            return value.model_dump(exclude_defaults=True)
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case _:
            return value


def _logout(logout: Logout) -> dict[str, Any]:
    found: dict[str, Any] = {"operation": logout.operation.name, "kind": logout.kind.value}
    extra = pruned(logout.template, (logout.refresh_field or "",))
    more = {
        "refresh_field": logout.refresh_field,
        "encoding": "form" if list(logout.operation.bodies) == [FORM] else "",
        "extra": extra,
    }
    return {**found, **{name: value for name, value in more.items() if value}}


def _flows(target: Target) -> Iterator[str]:
    if target.witness is not None:
        yield table("[witness]", list(_witness(target, target.witness, "witness")))
    if target.second is not None:
        yield table("[second]", list(_witness(target, target.second, "second protected operation")))
    if target.key_witness is not None:
        yield table("[key_witness]", list(_witness(target, target.key_witness, "witness of keys")))
    if target.refresh is not None:
        yield table("[refresh]", _refresh(target, target.refresh))
    if target.register is not None:
        yield table("[register]", list(_register(target, target.register)))
    if target.keys is not None:
        yield table("[keys]", list(_keys(target, target.keys)))
    if target.objects is not None:
        yield table("[objects]", list(_objects(target, target.objects)))


def _people(target: Target) -> Iterator[str]:
    if target.users is not None:
        for purpose in PURPOSES:
            switch = getattr(target.users, purpose)
            if switch is not None:
                lines: list[Line] = [
                    ("operation", switch.operation.name, _why(target, f"accounts: {purpose}"))
                ]
                lines += [("body", dict(switch.body), "what says so to it")] if switch.body else []
                yield table(f"[users.{purpose}]", lines)
    if target.sessions is not None:
        yield table("[sessions]", list(_sessions(target, target.sessions)))
    for route in target.websockets:
        lines = [("path", route.path, _why(target, "WebSocket", route.path))]
        lines += [("message", route.message, _GAVE)] if route.message else []
        yield table("[[websockets]]", lines)


def _passwords_and_mail(target: Target) -> Iterator[str]:
    if target.password_change is not None:
        yield table("[password_change]", list(_change(target, target.password_change)))
    if target.recovery is not None:
        why = _why(target, "password reset")
        yield table("[reset.ask]", list(_mailing(target.recovery.ask, why)))
        yield table("[reset.confirm]", list(_redemption(target.recovery.confirm, why)))
    if target.verification is not None:
        why = _why(target, "verification")
        if target.verification.ask is not None:
            yield table("[verification.ask]", list(_mailing(target.verification.ask, why)))
        yield table("[verification.confirm]", list(_redemption(target.verification.confirm, why)))
    if (change := target.email_change) is not None:
        why = _why(target, "e-mail change")
        yield table("[email_change.ask]", list(_readdressing(change, why)))
        yield table("[email_change.confirm]", list(_redemption(change.confirm, why)))


def _wanted(target: Target) -> list[str]:
    """What was not found, commented out, with the lines that would supply it."""
    parts = []
    for need in target.remedies:
        if need not in target.absent:
            lines = "\n".join(f"#     {line}" for line in target.remedies[need].splitlines())
            parts.append(f"# {need.value}\n{lines}\n")
    advice = [f"# {fact.because}; {fact.value}\n" for fact in target.facts if fact.name == "refusals"]
    return [*advice, *(["# Not found. What each would need:\n", *parts] if parts else [])]


_GUESSED = "guessed"


def _why(target: Target, name: str, value: str = "") -> str:
    """The source of the fact of that name (and value), and the reason behind it."""
    found: list[Fact] = [fact for fact in target.facts if fact.name == name and fact.value.startswith(value)]
    if not found:
        return _GUESSED
    because = f": {found[0].because}" if found[0].because else ""
    return found[0].provenance.value + because


def _accounts(target: Target, settings: Settings) -> list[str]:
    parts = []
    given = labelled(settings.accounts)
    for label in target.accounts:
        if label in given and any(
            isinstance(getattr(given[label][1], name), Given)
            for name in ("password", "token", "key", "cookie")
        ):
            parts.append(f"# Account {label} is {given[label][0]} of {settings.users_file}.\n")
        elif label in given:
            name, item = given[label]
            role = "expendable" if item.role == "expendable" else label
            parts.append(table(f"[accounts.{name}]", list(_account(item, role))))
        else:
            why = _why(target, "account " + label)
            parts.append(f"# Account {label} is registered by each run itself: {why}.\n")
    return parts


def _account(item: AccountSettings, role: str) -> Iterator[Line]:
    for name in ("username", "email", "carrier"):
        if getattr(item, name):
            yield name, getattr(item, name), _GAVE
    for name in ("password", "token", "key", "cookie"):
        secret = getattr(item, name)
        if secret is not None:
            yield name, {"env": secret.env}, _GAVE
    yield "role", role, "its part in the checks"


def _spelled(carrier: Carrier) -> str:
    return " ".join(part for part in (carrier.place, carrier.name, carrier.prefix) if part)


def _login(target: Target, login: Login) -> Iterator[Line]:
    yield "operation", login.operation.name, _why(target, "login", login.operation.name)
    yield "encoding", login.encoding, "what it accepted"
    if login.encoding != "basic":
        yield "user_field", login.user_field, "where the user name goes"
        yield "password_field", login.password_field, "where the password goes"
    for name, value, reason in (
        ("media", login.media if _unusual(login.media) else None, "the media type that it takes"),
        ("token", login.token, "where the reply holds the token"),
        ("refresh", login.refresh, "where the reply holds the refresh token"),
        ("cookie", login.cookie, "the cookie that authenticates"),
        ("csrf", login.csrf, "where the reply holds the CSRF token"),
        (
            "csrf_header",
            None if login.csrf_field else login.csrf_header or None,
            "where changes made with the cookie carry it",
        ),
        ("csrf_field", login.csrf_field or None, "where the bodies of changes carry it"),
        ("csrf_from", login.csrf_from.name if login.csrf_from else None, "it hands that token to a session"),
        ("headers", dict(login.headers), "further headers that it needs"),
        ("query", dict(login.query), "further parameters that it needs"),
    ):
        if value or value == "":
            yield name, value, reason
    yield "carrier", _spelled(login.carrier), "the credential opened a protected operation so"
    extra = pruned(login.template, (login.user_field, login.password_field))
    if extra:
        yield "extra", extra, "further members that the body needs"


def _unusual(media: str) -> bool:
    return media.endswith("+json")


def _step(step: LoginStep) -> Iterator[Line]:
    yield "operation", step.operation.name, "it has to come first: its reply holds what the login needs"
    if step.encoding != "none":
        yield "encoding", step.encoding, "what it accepted"
    for name, value in (("user_field", step.user_field), ("password_field", step.password_field)):
        if value:
            yield name, value, "it asks for this as well"
    extra = pruned(step.template, (step.user_field, step.password_field))
    if extra:
        yield "extra", extra, "further members that its body needs"
    if step.takes:
        yield "take", dict(step.takes), "where its reply holds what {{name}} stands for"


def pruned(template: Mapping[str, Any], pointers: Sequence[str]) -> dict[str, Any]:
    """A template without the members that are replaced anyway: samples of secrets confuse the reader.

    Members that are null go as well, which TOML cannot say.
    """
    found = {str(key): value for key, value in template.items() if value is not None}
    for pointer in filter(None, pointers):
        head, _, rest = pointer.strip("/").partition("/")
        inner = found.get(head)
        if rest and isinstance(inner, Mapping):
            found[head] = pruned(inner, (rest,))
        else:
            found.pop(head, None)
    # A sample of one would be a secret in clear, and worthless.
    found.pop("client_secret", None)
    return found


def _witness(target: Target, witness: Witness, fact: str) -> Iterator[Line]:
    yield "operation", witness.operation.name, _why(target, fact)
    if witness.identity:
        yield "identity", witness.identity, "what stands there names the caller"


def _refresh(target: Target, refresh: Refresh) -> list[Line]:
    extra = pruned(refresh.template, (refresh.field,))
    return [
        ("operation", refresh.operation.name, _why(target, "refresh")),
        ("place", refresh.place, "where the refresh token is accepted"),
        ("field", refresh.field, "the name that it has there"),
        ("token", refresh.token, "where the reply holds the new token"),
        ("refresh", refresh.refresh or "", "where the reply holds the next refresh token; empty for none"),
        *([("extra", extra, "further members that the body needs")] if extra else []),
        *(
            [("csrf_header", refresh.csrf_header, "repeats the csrf claim of the cookie's token")]
            if refresh.csrf_header
            else []
        ),
    ]


def _register(target: Target, register: Register) -> Iterator[Line]:
    yield "operation", register.operation.name, _why(target, "register", register.operation.name)
    yield "encoding", register.encoding, "what it accepted"
    yield "user_field", register.user_field, "where the user name goes"
    yield "password_field", register.password_field, "where the password goes"
    yield "user_style", register.user_style, "an e-mail address or a plain name"
    yield "also", dict(register.also), "members that follow from the user name, or repeat the password"
    if register.confirmed:
        yield "confirmed", True, "a new account could log in after the token of its message was redeemed"
    following = [name for name, _ in register.also]
    extra = pruned(register.template, (register.user_field, register.password_field, *following))
    if extra:
        yield "extra", extra, "further members that the body needs"


def _keys(target: Target, keys: KeyManagement) -> Iterator[Line]:
    yield "create", keys.create.name, _why(target, "API keys")
    yield "body", pruned(keys.template, ()), "a body that was accepted"
    yield "value", keys.value, "where the reply holds the key"
    yield "identifier", keys.identifier or "", "where the reply names the key; empty for nowhere"
    yield "carrier", _spelled(keys.carriers[0]), "the key opened a protected operation so"
    further = [_spelled(item) for item in keys.carriers[1:]]
    yield "further_carriers", further, "it did so in these ways too"
    for name, operation in (("listing", keys.listing), ("revoke", keys.revoke)):
        if operation is not None:
            yield name, operation.name, "it belongs to the same collection"
    if keys.expiry_field is not None:
        yield "expiry_field", keys.expiry_field, "named or formatted like an end of life"
    if keys.owner_parameter:
        yield "owner_parameter", keys.owner_parameter, "it names in the path whose keys they are"


def _objects(target: Target, objects: Objects) -> Iterator[Line]:
    yield "create", objects.create.name, _why(target, "objects")
    yield "read", objects.read.name, "what was created was read back here"
    if objects.id_parameter.startswith("/"):
        yield "id_member", objects.id_parameter, "it named the object in bodies"
    if objects.id_parameter.startswith("?"):
        yield "id_member", objects.id_parameter, "it named the object in queries"
    yield "body", pruned(objects.template, ()), "a body that was accepted"
    yield "text_field", objects.text_field, "it takes free text"
    yield "identifier", objects.identifier, "where the reply names the object"
    for name, operation, why in (
        ("listing", objects.listing, "it belongs to the same collection"),
        ("update", objects.update, "it belongs to the same collection"),
        ("delete", objects.delete, "it deleted the object"),
    ):
        if operation is not None:
            yield name, operation.name, why
    if objects.parents:
        yield (
            "parents",
            [_parent(item) for item in objects.parents],
            "what stands above the objects",
        )
    if objects.private:
        yield "private", True, _GAVE


def _parent(parent: Parent) -> dict[str, Any]:
    found: dict[str, Any] = {
        "parameter": parent.parameter,
        "operation": parent.operation.name,
        "value": parent.value,
        "body": pruned(parent.template, parent.fresh),
        "fresh": list(parent.fresh),
        "delete": parent.delete.name if parent.delete is not None else "",
        "above": [_parent(item) for item in parent.above],
    }
    return {name: value for name, value in found.items() if value or name == "value"}


def _sessions(target: Target, sessions: SessionManagement) -> Iterator[Line]:
    yield "listing", sessions.listing.name, _why(target, "logins")
    yield "identifier", sessions.identifier, "the member of a listed login that names it"
    for name, operation in (("end", sessions.end), ("end_all", sessions.end_all)):
        if operation is not None:
            yield name, operation.name, "its path and method say so"


def _form(form: Form, why: str, places: Sequence[str]) -> Iterator[Line]:
    yield "operation", form.operation.name, why
    yield "encoding", form.encoding, "what the document says it takes"
    extra = pruned(form.template, [place for place in places if ":" not in place])
    if extra:
        yield "extra", extra, "further members that the body needs"


def _change(target: Target, change: PasswordChange) -> Iterator[Line]:
    places = [change.current or "", change.new, *change.also]
    yield from _form(change.form, _why(target, "password change"), places)
    yield "current", change.current or "", "where the current password goes; empty where none is asked for"
    yield "new", change.new, "where the new one goes"
    if change.also:
        yield "also", list(change.also), "members that repeat the new one"


def _mailing(mailing: Mailing, why: str) -> Iterator[Line]:
    yield from _form(mailing.form, why, (mailing.user,))
    yield "user", mailing.user, "what says to whom the message goes"
    yield "style", mailing.style, "an e-mail address or a user name"


def _readdressing(change: EmailChange, why: str) -> Iterator[Line]:
    yield from _form(change.ask, why, (change.new, change.password or ""))
    yield "new", change.new, "where the new address goes"
    if change.password is not None:
        yield "password", change.password, "where the current password goes"


def _redemption(redemption: Redemption, why: str) -> Iterator[Line]:
    places = [redemption.token, redemption.password or "", redemption.user or "", *redemption.also]
    yield from _form(redemption.form, why, places)
    yield "token", redemption.token, "where the token of the message goes"
    if redemption.password is not None:
        yield "password", redemption.password, "where the new password goes"
    if redemption.also:
        yield "also", list(redemption.also), "members that repeat the new password"
    if redemption.user is not None:
        yield "user", redemption.user, "where the name of the account goes"


def _signing(target: Target, settings: Settings) -> list[str]:
    for key in target.signing_keys:
        declared = settings.signing
        name = declared.key.env if declared is not None else key.source.removeprefix("environment variable ")
        if Secret(os.environ.get(name, "")) != key.secret:
            continue
        lines: list[Line] = [
            ("key", {"env": name}, _why(target, "signing key")),
            ("algorithm", key.algorithm, "what the tokens say"),
        ]
        if key.key_id is not None:
            lines.append(("key_id", key.key_id, "what the tokens say"))
        return [table("[signing]", lines)]
    return []


def _policy(settings: Settings) -> list[str]:
    given = settings.policy.model_dump(exclude_defaults=True)
    lines = [(name, value, "what you declared") for name, value in given.items()]
    return [table("[policy]", lines)] if lines else []
