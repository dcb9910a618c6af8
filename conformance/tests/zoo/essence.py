"""What two targets have in common when they are the same: what would be sent, and what is read from the replies."""

import contextlib
import json
from typing import Any

from auth_conformance.secret import Secret
from auth_conformance.target import Account, Form, Target

NAME, PASSWORD, NEW = "somebody", Secret("the-old-password"), Secret("the-new-password")
SOMEBODY = Account("x", NAME, PASSWORD, email="somebody@example.com")


def _named(item: Any) -> str | None:
    return None if item is None else item.name


def _sent(request: Any) -> Any:
    """A request, whatever the order of its members, and without samples of null, which TOML cannot say."""
    text = (request.body or b"").decode()
    body: Any = sorted(text.split("&"))
    with contextlib.suppress(ValueError):
        body = _full(json.loads(text))
    return (request.method, request.path, sorted(request.query), sorted(request.headers), body)


def _full(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _full(item) for key, item in value.items() if item is not None}
    return value


def _form(form: Form) -> tuple[Any, ...]:
    return form.operation.name, form.encoding


def essence(target: Target) -> dict[str, Any]:
    keys, objects, users, sessions = target.keys, target.objects, target.users, target.sessions
    change, recovery, verification = target.password_change, target.recovery, target.verification
    return {
        "logins": [
            (
                _sent(login.request(NAME, PASSWORD)),
                [(_sent(step.request), step.takes) for step in login.request(NAME, PASSWORD).before],
                login.carrier,
                login.token,
                login.refresh,
                login.cookie,
                login.csrf,
                login.csrf_header,
                login.csrf_from and login.csrf_from.name,
            )
            for login in target.logins
        ],
        "register": target.register
        and (_sent(target.register.request(NAME, PASSWORD)), target.register.confirmed),
        "refresh": target.refresh
        and (_sent(target.refresh.request(NEW)), target.refresh.token, target.refresh.refresh),
        "logouts": [
            (
                item.operation.name,
                item.kind,
                item.refresh_field,
                _sent(
                    item.operation.carrying(item.operation.request(), item.body(NEW, NEW))
                    if item.refresh_field
                    else item.operation.request()
                ),
            )
            for item in target.logouts
        ],
        "witness": target.witness and (target.witness.operation.name, target.witness.identity),
        "second": target.second and (target.second.operation.name, target.second.identity),
        "public": _named(target.public),
        "delete_account": _named(target.delete_account),
        "keys": keys
        and (
            keys.create.name,
            _full(dict(keys.template)),
            keys.value,
            keys.identifier,
            set(keys.carriers),
            keys.carriers[0],
            _named(keys.listing),
            _named(keys.revoke),
            keys.id_parameter,
            keys.expiry_field,
            keys.owner_parameter,
        ),
        "objects": objects
        and (
            objects.create.name,
            objects.read.name,
            _full(dict(objects.template)),
            objects.text_field,
            objects.identifier,
            objects.id_parameter,
            _named(objects.listing),
            _named(objects.update),
            _named(objects.delete),
            [
                (item.parameter, item.operation.name, item.value, set(item.fresh), _named(item.delete))
                for item in objects.parents
            ],
            objects.private,
        ),
        "users": users
        and [
            switch and (switch.operation.name, _full(dict(switch.body)))
            for switch in (users.disable, users.enable, users.promote, users.demote, users.delete)
        ],
        "sessions": sessions
        and (sessions.listing.name, sessions.identifier, _named(sessions.end), _named(sessions.end_all)),
        "websockets": [(route.path, route.message) for route in target.websockets],
        "password_change": change and (_form(change.form), _sent(change.request(PASSWORD, NEW))),
        "recovery": recovery
        and (
            _form(recovery.ask.form),
            _sent(recovery.ask.request(SOMEBODY)),
            _sent(recovery.confirm.request(NEW, NEW, NAME)),
        ),
        "verification": verification
        and (
            _sent(verification.confirm.request(NEW, None, NAME)),
            verification.ask and _sent(verification.ask.request(SOMEBODY)),
        ),
        "accounts": {
            label: (account.expendable, None if account.expendable else account.username)
            for label, account in target.accounts.items()
        },
        "kinds": target.kinds(),
        "carriers": set(target.carriers),
        "public_keys": len(target.public_keys),
        "documents": [(item.path, item.openly) for item in target.documents],
        "met": target.met_needs(),
        "absent": set(target.absent),
    }
