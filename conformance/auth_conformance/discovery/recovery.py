"""Password change, password reset and verification of addresses: found by the shape of what they take.

None of them is tried here: a change locks the run's own accounts out, and messages need a mailbox. The checks
do it to expendable accounts, and see for themselves what came of it.
"""

from __future__ import annotations

import random
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from auth_conformance.discovery.application import load_callable
from auth_conformance.discovery.names import (
    LAST_SEGMENT,
    avoided,
    likeness,
    mentions,
    names,
    plain,
    rank,
    speaks_of_password,
)
from auth_conformance.discovery.registering import is_email
from auth_conformance.discovery.sampling import body_type, sample
from auth_conformance.discovery.schemas import Field, fields
from auth_conformance.model import Provenance
from auth_conformance.notation import filled
from auth_conformance.settings import ConfigurationError
from auth_conformance.target import (
    Deletion,
    Form,
    Mailing,
    PasswordChange,
    Recovery,
    Redemption,
    Verification,
)
from auth_conformance.transports.mailbox import Mailbox, from_command, from_folder, from_url

if TYPE_CHECKING:
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.tables import MailingSettings, RedemptionSettings
    from auth_conformance.target import Operation

_CHANGING = ("POST", "PUT", "PATCH")
_ASKING = ("POST", "PUT", "GET")


def open_mailbox(known: Knowledge) -> None:
    """Fill in `mailbox` from the configuration. Raises ConfigurationError."""
    given = known.settings.mailbox
    if given is None or known.mailbox is not None:
        return
    if given.app:
        known.mailbox = Mailbox(load_callable(given.app, known.settings.app_dir))
    elif given.command:
        try:
            shlex.split(given.command)
        except ValueError as error:
            raise ConfigurationError(f"[mailbox] command cannot be read: {error}.") from None
        known.mailbox = from_command(given.command)
    elif given.url:
        known.mailbox = from_url(given.url)
    else:
        known.mailbox = from_folder(Path(given.folder))
    kind = "app" if given.app else "command" if given.command else "url" if given.url else "folder"
    known.say("mailbox", kind, Provenance.DECLARED, "the configuration says so")


def find_recovery(known: Knowledge) -> None:
    """Fill in `password_change`, `recovery` and `verification`: as configured, else by name and shape."""
    _declared(known)
    if known.password_change is None:
        known.password_change = next(iter(_changes(known)), None)
        if known.password_change is not None:
            change = known.password_change
            known.say(
                "password change",
                f"{change.form.operation.name} ({change.current or 'asks for no password'}, {change.new})",
                Provenance.OPENAPI,
                "it takes a new password from its caller",
            )
    if known.recovery is None:
        known.recovery = _recovery(known)
        if known.recovery is not None:
            known.say(
                "password reset",
                f"{known.recovery.ask.form.operation.name}, {known.recovery.confirm.form.operation.name}",
                Provenance.OPENAPI,
                "one takes a name, the other a token and a new password",
            )
    if known.verification is None:
        known.verification = _verification(known)
        if known.verification is not None:
            known.say(
                "verification",
                known.verification.confirm.form.operation.name,
                Provenance.OPENAPI,
                "it is named so, and takes a token",
            )


def _declared(known: Knowledge) -> None:
    settings = known.settings
    if (change := settings.password_change) is not None:
        form = Form(
            known.operation(change.operation, Provenance.DECLARED), change.encoding, filled(change.extra)
        )
        known.password_change = PasswordChange(
            form, change.current or None, change.new, tuple(change.also), Provenance.DECLARED
        )
        known.say("password change", form.operation.name, Provenance.DECLARED, "the configuration says so")
    if (reset := settings.reset) is not None:
        known.recovery = Recovery(
            _mailing(known, reset.ask), declared_redemption(known, reset.confirm), Provenance.DECLARED
        )
        known.say(
            "password reset",
            f"{reset.ask.operation}, {reset.confirm.operation}",
            Provenance.DECLARED,
            "the configuration says so",
        )
    if (given := settings.verification) is not None:
        ask = _mailing(known, given.ask) if given.ask is not None else None
        known.verification = Verification(declared_redemption(known, given.confirm), ask, Provenance.DECLARED)
        known.say("verification", given.confirm.operation, Provenance.DECLARED, "the configuration says so")


def _mailing(known: Knowledge, given: MailingSettings) -> Mailing:
    form = Form(known.operation(given.operation, Provenance.DECLARED), given.encoding, filled(given.extra))
    return Mailing(form, given.user, given.style)


def declared_redemption(known: Knowledge, given: RedemptionSettings) -> Redemption:
    """What the configuration says of an operation that takes a token."""
    form = Form(known.operation(given.operation, Provenance.DECLARED), given.encoding, filled(given.extra))
    return Redemption(form, given.token, given.password, tuple(given.also), given.user)


def form_of(operation: Operation) -> Form:
    """The operation as a form, its members filled with samples."""
    media = body_type(operation)
    made = sample(operation.bodies[media], random.Random(0)) if media is not None else {}
    encoding = "json" if media is None or media.endswith("json") else "form"
    return Form(operation, encoding, made if isinstance(made, dict) else {})


def places(operation: Operation) -> list[Field]:
    """Everything that an operation takes by name, `pointer` being its place: body members, query, path."""
    media = body_type(operation)
    found = fields(operation.bodies[media]) if media is not None else []
    found += [
        Field(f"{item.place}:{item.name}", item.name, item.schema, item.required)
        for item in operation.parameters
        if item.place in ("query", "path")
    ]
    known = {item.pointer for item in found}
    found += [
        Field(f"path:{name}", name, {"type": "string"}, required=True)
        for name in (part.split("}")[0] for part in operation.path.split("{")[1:])
        if f"path:{name}" not in known
    ]
    return found


def _named(members: list[Field], key: str) -> list[Field]:
    ranked = [(rank(item.name, names("recovery", key)), item) for item in members]
    return [item for place, item in sorted(((p, i) for p, i in ranked if p is not None), key=lambda x: x[0])]


def _worded(item: Field, wanted: tuple[str, ...]) -> bool:
    """Whether a member is a password by one word of its name, and one of the wanted by another."""
    return _is_password(item) and mentions(item.name, wanted)


def _current(members: list[Field]) -> Field | None:
    """The member that takes the password of now: by name, or the only other one beside a new one."""
    found = _named(members, "current") or [
        item for item in members if _worded(item, names("recovery", "old_words"))
    ]
    if found:
        return found[0]
    plain = [item for item in members if rank(item.name, names("fields", "password")) is not None]
    return (
        plain[0]
        if len(plain) == 1 and any(_worded(item, names("recovery", "new_words")) for item in members)
        else None
    )


def _new_passwords(members: list[Field]) -> list[Field]:
    current = _named(members, "current")
    worded = [
        item for item in members if _worded(item, names("recovery", "new_words")) and item not in current
    ]
    named = worded + [item for item in _named(members, "new") if item not in (*current, *worded)]
    return named + [
        item for item in members if item not in (*named, *current) and item.schema.get("format") == "password"
    ]


def _repeats(members: list[Field], new: Field) -> tuple[str, ...]:
    wanted = (*names("fields", "confirm"), *names("recovery", "repeat"))
    return tuple(item.pointer for item in members if item is not new and rank(item.name, wanted) is not None)


def _changes(known: Knowledge) -> list[PasswordChange]:
    """Changes of one's own password: the current and a new one, or a path that says so; likeliest first."""
    found: list[tuple[int, PasswordChange]] = []
    for operation in known.by_method(*_CHANGING):
        members = places(operation)
        current = _current(members)
        repeated = (*names("fields", "confirm"), *names("recovery", "repeat"))
        plain_members = [item for item in members if rank(item.name, repeated) is None]
        new = next((item for item in _new_passwords(plain_members) if item is not current), None)
        if current is None or new is None:
            current, new = _pair(plain_members) or _two(operation, plain_members) or (current, new)
        tokens = [item for item in _named(members, "token") if item.required]
        if new is None or tokens or any(item.pointer.startswith("path:") for item in members):
            continue
        path = mentions(operation.path, names("recovery", "passwords"))
        if current is None and not (path and not avoided(operation, "recovery")):
            continue
        if operation.security == () and current is None:
            continue
        change = PasswordChange(
            form_of(operation), current.pointer if current else None, new.pointer, _repeats(members, new)
        )
        found.append((4 * (current is not None) + 2 * path + 2 * operation.protected, change))
    return [change for _, change in sorted(found, key=lambda pair: -pair[0])] or _by_profile(known)


def _by_profile(known: Knowledge) -> list[PasswordChange]:
    """The update of one's own profile, where it takes a password and asks for nothing: as FastAPI Users has it."""
    own = known.witness.operation.path.rstrip("/") if known.witness is not None else None
    found = []
    for operation in known.by_method("PATCH"):
        members = places(operation)
        new = next((item for item in members if _is_password(item)), None)
        if (
            operation.path.rstrip("/") == own
            and new is not None
            and not any(item.required for item in members)
        ):
            found.append(PasswordChange(form_of(operation), None, new.pointer, ()))
    return found


def _pair(members: list[Field]) -> tuple[Field, Field] | None:
    """A member that speaks of a password and its twin with `new` before it, whatever they are called besides."""
    by_name = {plain(item.name): item for item in members}
    for name, item in by_name.items():
        twin = by_name.get(f"new_{name}") or by_name.get(f"{name}_new")
        if twin is not None and speaks_of_password(item.name):
            return item, twin
    return None


def _two(operation: Operation, members: list[Field]) -> tuple[Field, Field] | None:
    """The only two members where the path speaks of a password and one of them of before or of after."""
    texts = [item for item in members if item.schema.get("type", "string") == "string"]
    if len(members) != 2 or len(texts) != 2 or not mentions(operation.path, names("recovery", "passwords")):
        return None
    old = [item for item in members if mentions(item.name, names("recovery", "old_words"))]
    new = [item for item in members if mentions(item.name, names("recovery", "new_words"))]
    if len(old) == 1 and new in ([], [item for item in members if item not in old]):
        return old[0], next(item for item in members if item is not old[0])
    return (
        (next(item for item in members if item is not new[0]), new[0]) if len(new) == 1 and not old else None
    )


def deletion(operation: Operation) -> Deletion:
    """How an operation by which people delete their own account is called: what it asks for besides a credential."""
    members = places(operation)
    password = next((item for item in members if _current([item]) is not None or _is_password(item)), None)
    user = next((item for item in members if item is not password and _is_user(item)), None)
    form = form_of(operation)
    agreed = {
        item.name: True
        for item in members
        if item.schema.get("type") == "boolean" and item.name == item.pointer and item.required
    }
    form = replace(form, template={**form.template, **agreed})
    return Deletion(form, password.pointer if password else None, user.pointer if user else None)


def _is_password(item: Field) -> bool:
    return speaks_of_password(item.name) or item.schema.get("format") == "password"


def _recovery(known: Knowledge) -> Recovery | None:
    confirms = [item for item in redemptions(known) if item.password is not None]
    asks = _mailings(known, ("forgot", "forgotten", "recover", "recovery", "reset", "lost"))
    if not confirms:
        return None
    confirm = max(confirms, key=lambda item: likeness(item.form.operation, "recovery"))
    asks = [ask for ask in asks if ask.form.operation is not confirm.form.operation]
    return Recovery(asks[0], confirm) if asks else None


def redemptions(known: Knowledge, *, of_callers: bool = False) -> list[Redemption]:
    """Operations that take a token or code, and perhaps a new password: open to strangers, or `of_callers` as well."""
    found = []
    for operation in known.by_method(*_ASKING):
        if operation.protected and not of_callers:
            continue
        members = places(operation)
        token = next(iter(_named(members, "token")), None) or _handed(operation, members)
        if token is None:
            continue
        repeated = (*names("fields", "confirm"), *names("recovery", "repeat"))
        rest = [item for item in members if item is not token and rank(item.name, repeated) is None]
        new = next(iter(_new_passwords(rest)), None)
        user = next((item for item in rest if _is_user(item) and item is not new), None)
        found.append(
            Redemption(
                form_of(operation),
                token.pointer,
                new.pointer if new else None,
                _repeats(members, new) if new else (),
                user.pointer if user else None,
            )
        )
    return found


def _handed(operation: Operation, members: list[Field]) -> Field | None:
    """The only text that an operation named like a reset needs beside a new password, whatever it is called."""
    if not likeness(operation, "recovery"):
        return None
    news = _new_passwords(members)
    repeated = (*names("fields", "confirm"), *names("recovery", "repeat"))
    others = [item for item in members if item.required and item not in news and not _is_user(item)]
    others = [
        item for item in others if rank(item.name, repeated) is None and item not in _current_named(members)
    ]
    texts = [item for item in others if item.schema.get("type", "string") == "string"]
    return texts[0] if news and len(texts) == 1 == len(others) else None


def _current_named(members: list[Field]) -> list[Field]:
    found = _current(members)
    return [found] if found is not None else []


def _is_user(item: Field) -> bool:
    return is_email(item) or rank(item.name, names("fields", "user")) is not None


def _mailings(known: Knowledge, wanted: tuple[str, ...]) -> list[Mailing]:
    """Operations that take a name or address and nothing else that counts, and are named so."""
    found: list[tuple[int, Mailing]] = []
    for operation in known.by_method("POST", "PUT", "GET"):
        said = f"{operation.path} {operation.operation_id.split('__')[0]} {operation.summary}"
        if operation.protected or not mentions(said, wanted):
            continue
        members = places(operation)
        needed = [item for item in members if item.required] or members
        users = [item for item in members if _is_user(item)]
        if not users or len(needed) > 2 or _named(members, "token") or _new_passwords(members):
            continue
        user = next((item for item in users if is_email(item)), users[0])
        score = 2 * mentions(operation.path, wanted) + (operation.method == "POST")
        found.append(
            (score, Mailing(form_of(operation), user.pointer, "email" if is_email(user) else "name"))
        )
    return [mailing for _, mailing in sorted(found, key=lambda pair: -pair[0])]


def _verification(known: Knowledge) -> Verification | None:
    wanted = names("verification")
    reset = known.recovery.confirm.form.operation if known.recovery else None
    confirms = [
        item
        for item in redemptions(known)
        if item.password is None
        and item.form.operation is not reset
        and likeness(item.form.operation, "verification") >= LAST_SEGMENT - 1
        and not avoided(item.form.operation, "verification")
    ]
    if not confirms:
        return None
    asked = known.recovery.ask.form.operation if known.recovery else None
    asks = [
        ask
        for ask in _mailings(known, (*wanted, "resend"))
        if ask.form.operation is not asked
        and mentions(plain(ask.form.operation.path).replace("_", " "), (*wanted, "resend"))
    ]
    return Verification(confirms[0], asks[0] if asks else None)


def recovery_words(known: Knowledge) -> bool:
    """Whether any operation is named like a change or reset of passwords."""
    return any(likeness(operation, "recovery") for operation in known.operations.values())
