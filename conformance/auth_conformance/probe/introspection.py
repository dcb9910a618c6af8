"""Token introspection that asks nobody who asks: whoever holds a token is told whose it is and that it lives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import Expectation, Role, Severity, Violation
from auth_conformance.probe.refusal import Refusal
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Operation

_MEMBER = "token"  # RFC 7662 §2.1 names the parameter


class Introspection(Refusal):
    """Asks what a token is, without a credential."""

    async def _introspected(self) -> list[Violation]:
        """Each operation that tells strangers `"active": true` of a live token, and not of a word: twice.

        The token is one of its own: a revocation takes the same form (RFC 7009 §2.1). Three requests an operation.
        """
        public = self.target.policy.public_operations
        asked = [item for item in self.target.operations if item.name not in public and _media(item)]
        if not asked or self.target.login(Kind.BEARER) is None:
            return []
        live = (await self.log_in(self.account(), Kind.BEARER)).credential.value
        found = []
        for operation in asked:
            await self.paced()
            word = await self._asks(operation, Secret(self.word(32)), "control: a stranger asks about a word")
            if word.judgement is not None or _active(word):
                continue
            proofs = [word.exchange]
            for prefix in ("", "again: "):
                answer = await self._asks(operation, live, f"{prefix}a stranger asks about a live token")
                proofs.append(answer.exchange)
                if not _active(answer):
                    break
            else:
                message = (
                    f"{operation.name} tells strangers of a live token that it is active (RFC 7662 §2.1)."
                )
                found.append(
                    Violation(operation.name, message, Severity.MEDIUM, tuple(proofs), Expectation("refused"))
                )
        return found

    async def _asks(self, operation: Operation, token: Secret, label: str) -> Answer:
        request, media = operation.request(), _media(operation)
        told = token.reveal()
        filled = (
            request.with_json({_MEMBER: told})
            if media.endswith("json")
            else request.with_form(((_MEMBER, told),))
        )
        return await self.send(
            replace(filled, fresh=True), label=label, operation=operation.name, role=Role.ATTACK
        )


def _media(operation: Operation) -> str:
    """In what an operation takes a token and demands nothing else; "" where it does not."""
    for media, schema in operation.bodies.items():
        demands = schema.get("required") or () if isinstance(schema, dict) else ()
        if (
            operation.method == "POST"
            and "{" not in operation.path
            and set(demands) == {_MEMBER}
            and media.endswith(("x-www-form-urlencoded", "json"))
        ):
            return media
    return ""


def _active(answer: Answer) -> bool:
    """Whether a token is said to live (RFC 7662 §2.2), without an envelope or in one."""
    told = answer.reply.json
    inner = [told, *(told.values() if isinstance(told, dict) else ())]
    return answer.reply.ok and any(isinstance(item, dict) and item.get("active") is True for item in inner)
