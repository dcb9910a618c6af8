"""Token introspection that asks nobody who asks: whoever holds a token is told whose it is and that it lives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import Expectation, Role, Severity, Violation
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.refusal import Refusal
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.target import Operation

_MEMBER = "token"  # RFC 7662 §2.1 names the parameter


class Introspection(Refusal):
    """Asks what a token is, without a credential."""

    async def _introspected(self, doubts: list[str]) -> list[Violation]:
        """Each operation that tells strangers `"active": true` of a live token, and not of a word: twice.

        The token is one of its own: a revocation takes the same form (RFC 7009 §2.1). Three requests an operation.
        """
        public = self.target.policy.public_operations
        asked = [item for item in self.target.operations if item.name not in public and _media(item)]
        if not asked or self.target.login(Kind.BEARER) is None:
            return []
        try:
            live = (await self.log_in(self.account(), Kind.BEARER)).credential.value
        except (Missing, Unclear) as reason:
            doubts.append(f"{asked[0].name} was not asked about a live token: {reason}")
            return []
        found = [await self._told_of(operation, live, doubts) for operation in asked]
        return [item for item in found if item is not None]

    async def _told_of(self, operation: Operation, live: Secret, doubts: list[str]) -> Violation | None:
        await self.paced()
        word = await self._asks(operation, Secret(self.word(32)), "control: a stranger asks about a word")
        once = await self._asks(operation, live, "a stranger asks about a live token")
        again = await self._asks(operation, live, "again: a stranger asks about a live token")
        answers = (word, once, again)
        unclear = next((item for item in answers if item.judgement is not None), None)
        if unclear is not None:
            doubts.append(f"{operation.name}: {unclear.exchange.label}: {unclear.why}")
            return None
        if _active(word) or not (_active(once) and _active(again)):
            return None
        message = f"{operation.name} tells strangers of a live token that it is active (RFC 7662 §2.1)."
        proof = tuple(item.exchange for item in answers)
        return Violation(operation.name, message, Severity.MEDIUM, proof, Expectation("refused"))

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
