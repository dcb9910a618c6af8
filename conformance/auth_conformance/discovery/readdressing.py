"""Changes of the e-mail address that are confirmed by mail: found by the shape of the two operations.

As with passwords nothing is tried here: the checks do it to expendable accounts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.discovery.names import likeness, mentions, rank, speaks_of_password
from auth_conformance.discovery.recovery import declared_redemption, form_of, places, redemptions
from auth_conformance.discovery.registering import is_email
from auth_conformance.model import Provenance
from auth_conformance.notation import filled
from auth_conformance.target import EmailChange, Form

if TYPE_CHECKING:
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.target import Operation, Redemption

_ABOUT = ("email", "mail", "emailaddress")
_SAID = "email change"


def find_email_change(known: Knowledge) -> None:
    """Fill in `email_change`: as configured, else by shape."""
    given = known.settings.email_change
    if given is not None:
        ask = Form(
            known.operation(given.ask.operation, Provenance.DECLARED),
            given.ask.encoding,
            filled(given.ask.extra),
        )
        confirm = declared_redemption(known, given.confirm)
        known.email_change = EmailChange(ask, given.ask.new, confirm, given.ask.password, Provenance.DECLARED)
        told = f"{given.ask.operation}, {given.confirm.operation}"
        known.say("e-mail change", told, Provenance.DECLARED, "the configuration says so")
        return
    if known.email_change is None:
        known.email_change = _by_shape(known)
        if known.email_change is not None:
            told = (
                f"{known.email_change.ask.operation.name}, {known.email_change.confirm.form.operation.name}"
            )
            known.say(
                "e-mail change",
                told,
                Provenance.OPENAPI,
                "one takes an address from its caller, the other is below it or named like it and takes a token",
            )


def _by_shape(known: Knowledge) -> EmailChange | None:
    confirms = [item for item in redemptions(known, of_callers=True) if item.password is None]
    for operation in known.by_method("POST", "PUT", "PATCH"):
        found = _asking(operation)
        if found is None:
            continue
        confirm = next((item for item in confirms if _belongs(item, operation, known)), None)
        if confirm is not None:
            new, password = found
            return EmailChange(form_of(operation), new, confirm, password)
    return None


def _asking(operation: Operation) -> tuple[str, str | None] | None:
    """Where a protected operation about addresses takes a new one, and the current password; None for any other."""
    if not operation.protected or not mentions(operation.path, _ABOUT) or "{" in operation.path:
        return None
    members = places(operation)
    addresses = [item for item in members if is_email(item) or rank(item.name, ("new_email",)) is not None]
    passwords = [item for item in members if speaks_of_password(item.name)]
    others = [item for item in members if item.required and item not in (*addresses, *passwords)]
    if len(addresses) != 1 or len(passwords) > 1 or others:
        return None
    return addresses[0].pointer, passwords[0].pointer if passwords else None


def _belongs(confirm: Redemption, ask: Operation, known: Knowledge) -> bool:
    """Whether an operation takes the token of this change: it stands below it, or its path says so too."""
    operation = confirm.form.operation
    taken = known.verification.confirm.form.operation if known.verification is not None else None
    if operation is taken or not likeness(operation, "verification"):
        return False
    common = ask.path.rstrip("/").removesuffix("/request").removesuffix("/change")
    below = mentions(common, _ABOUT) and operation.path.startswith(f"{common}/")
    return below or (
        mentions(operation.path, _ABOUT) and mentions(operation.path, ("change", "new", "update"))
    )
