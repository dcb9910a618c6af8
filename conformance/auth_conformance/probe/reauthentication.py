"""Operations by which somebody who is logged in proves it once more (checklist SES110, step 5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import Role, Severity, Violation
from auth_conformance.probe.core import Unclear
from auth_conformance.probe.refusal import Attempt
from auth_conformance.probe.sessions import Sessions

if TYPE_CHECKING:
    from auth_conformance.target import Operation

_NAMES = re.compile(
    r"re-?auth|sudo|step-?up|elevate|(?:confirm|verify|check)[-_/]?password|password[-_/](?:confirm|verify|check)",
    re.IGNORECASE,
)
_PASSWORDS = ("password", "current_password", "passwd", "pwd")


class Reauthentication(Sessions):
    """Confirms a password inside a session, and presents the old id."""

    def reauthentication(self) -> tuple[Operation, str] | None:
        """The operation that asks for the password once more, and the member that takes it."""
        for operation in self.target.operations:
            words = f"{operation.path} {operation.operation_id}"
            if operation.method != "POST" or "{" in operation.path or not _NAMES.search(words):
                continue
            for schema in operation.bodies.values():
                members = list(schema.get("properties") or {})
                required = set(schema.get("required") or members)
                field = next((name for name in members if name.lower() in _PASSWORDS), None)
                if field is not None and required <= {field}:
                    return operation, field
        return None

    async def renewed_by_reauthentication(self) -> Violation | str | None:
        """Whether it makes a new id and ends the old one; "" where there is no such step. Raises Unclear."""
        found = self.reauthentication()
        if found is None:
            self.notes.append(
                "re-authentication and second factors were not tried: no such operation is known"
            )
            return ""
        operation, field = found
        account = await self.disposable("re-authentication", Kind.COOKIE) or self.account()
        proof = []
        for again in ("", "again: "):
            session = await self.sign_in(account, Kind.COOKIE)
            baseline = await self.baseline(self.witness, session.credential)
            password = account.password.reveal() if account.password is not None else ""
            answer = await self.call(
                operation,
                session.credential,
                label=f"{again}confirm the password",
                body={field: password},
            )
            if not answer.reply.ok:
                raise Unclear(f"{operation.name} refused the right password ({answer.why or answer.status}).")
            old = Attempt(f"{again}the id from before the confirmation", session.credential)
            after = await self.attempt(self.witness, old, baseline, role=Role.ATTACK, fresh=True)
            if after.rejected:
                return None
            if not after.accepted:
                return f"{operation.name}: the id from before: {after.why}"
            proof += [answer.exchange, after.exchange]
        message = f"{operation.name} confirms the password and leaves the session id alive that asked for it."
        return Violation(operation.name, message, Severity.MEDIUM, tuple(proof))
