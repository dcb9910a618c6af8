"""People at a service, and how administrators and they themselves manage their accounts and logins."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from auth_conformance.credentials import Kind
from auth_conformance.model import Provenance
from auth_conformance.secret import Secret
from auth_conformance.target.operations import Operation


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the target. Ready-made credentials are kept by the kind of their carrier."""

    label: str
    username: str
    password: Secret | None = None
    ready: Mapping[Kind, Secret] = field(default_factory=dict)
    expendable: bool = False
    email: str = ""

    @property
    def address(self) -> str:
        """Where messages to this person go: the e-mail address, if one is known, else the user name."""
        return self.email or self.username


def styled(username: str, style: str) -> str:
    """`username` as an e-mail address, as a telephone number of its own, or as a plain name."""
    local = username.split("@", maxsplit=1)[0]
    if style == "phone":
        return f"+1415{int(hashlib.sha256(local.encode()).hexdigest(), 16) % 10_000_000:07d}"
    return f"{local}@example.com" if style == "email" else local


@dataclass(frozen=True, slots=True)
class Switch:
    """One call by which an administrator changes an account: the operation, and the body that says what."""

    operation: Operation
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UserManagement:
    """What administrators do to accounts; None where the service has no such call.

    Each operation names the account by its one path parameter. `listing` and `read` show accounts.
    """

    disable: Switch | None = None
    enable: Switch | None = None
    promote: Switch | None = None
    demote: Switch | None = None
    delete: Switch | None = None
    end_sessions: Switch | None = None
    read: Operation | None = None
    provenance: Provenance = Provenance.OPENAPI


@dataclass(frozen=True, slots=True)
class SessionManagement:
    """How people see and end their logins. `identifier` is a member of each listed login.

    `end` takes that identifier as its one path parameter, `end_all` ends the others or all.
    """

    listing: Operation
    identifier: str
    end: Operation | None = None
    end_all: Operation | None = None
    provenance: Provenance = Provenance.OBSERVED
