"""How passwords are changed, and what travels by mail: recovery and verification."""

from __future__ import annotations

from dataclasses import dataclass

from auth_conformance.model import Provenance
from auth_conformance.secret import Secret
from auth_conformance.target.accounts import Account
from auth_conformance.target.operations import Form, Operation
from auth_conformance.transports.message import HttpRequest


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
class EmailChange:
    """How people get another e-mail address: `ask` mails a token to the `new` one, `confirm` takes it.

    `password` says where the current password goes, None where none is asked for.
    """

    ask: Form
    new: str
    confirm: Redemption
    password: str | None = None
    provenance: Provenance = Provenance.OPENAPI

    def request(self, address: str, password: Secret | None) -> HttpRequest:
        """The request that asks for the change, without a credential."""
        values: list[tuple[str | None, object]] = [(self.new, address)]
        if self.password is not None and password is not None:
            values.append((self.password, password.reveal()))
        return self.ask.request(values)


@dataclass(frozen=True, slots=True)
class Deletion:
    """How people delete their own account. `password` and `user` are where their own go, where they are asked for."""

    form: Form
    password: str | None = None
    user: str | None = None

    @property
    def operation(self) -> Operation:
        """The operation itself."""
        return self.form.operation

    @property
    def name(self) -> str:
        """Method and path template."""
        return self.form.operation.name

    def request(self, account: Account) -> HttpRequest:
        """The request by which this account deletes itself, without a credential."""
        password = account.password.reveal() if account.password is not None else ""
        return self.form.request([(self.password, password), (self.user, account.username)])


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
