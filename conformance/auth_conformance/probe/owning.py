"""What a user owns here: objects that this run makes for A and B, reads as their owners, and takes away again."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from auth_conformance.model import Need, Role
from auth_conformance.oracles.canary import leaked
from auth_conformance.oracles.pointer import put, resolve, strings
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.sessions import Sessions
from auth_conformance.transports.recorder import BudgetExceededError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auth_conformance.credentials import Credential
    from auth_conformance.model import Exchange
    from auth_conformance.target import Objects


@dataclass(frozen=True, slots=True)
class Belonging:
    """An object that this run made: whose, its identifier, the text that is its owner's alone, and how it was made."""

    owner: Credential
    identifier: str
    canary: str
    made: Exchange


class Owning(Sessions):
    """Makes objects of users, with a text in each that is its owner's alone."""

    # Whether who reads an object is beside the point: what everybody may read is still its owner's to change.
    _about_changes = False

    def _own_objects(self) -> Objects:
        objects = self.target.objects
        if objects is None:
            raise Missing(
                "No collection of a user's own objects is known.", self.target.remedies.get(Need.OBJECTS, "")
            )
        if objects.read.name in self.target.policy.public_operations and not self._about_changes:
            raise Missing(f"Not applicable: {objects.read.name} is declared public.", applicable=False)
        if self.target.policy.shared_objects:
            raise Missing("Not applicable: people are declared to share their objects.", applicable=False)
        return objects

    async def _put_down(self, label: str, made: list[Belonging]) -> Belonging:
        """Create an object with a canary in its text. Raises Unclear."""
        owner = await self.credential(owner=label)
        answer, belonging = await self.creates(owner, f"{label} creates an object")
        if belonging is None:
            name = self._own_objects().create.name
            why = f"{name} made no object of {label!r} ({answer.why or answer.status})."
            # A role that may not create is no neighbour: what it is refused says nothing of owners.
            forbidden = answer.status == HTTPStatus.FORBIDDEN
            raise Unclear(
                why, f'[accounts.{label}]\nusername = "somebody who may {name}"' if forbidden else ""
            )
        made.append(belonging)
        return belonging

    async def creates(
        self,
        owner: Credential,
        label: str,
        *,
        role: Role = Role.SETUP,
        above: Mapping[str, str] | None = None,
        template: Mapping[str, Any] | None = None,
    ) -> tuple[Answer, Belonging | None]:
        """Create an object with a canary in its text, below what `above` names. None when none was made.

        `template` is a body with more in it than the plain one.
        """
        objects = self._own_objects()
        canary = self.canary()
        body = put(dict(template or objects.template), objects.text_field, canary)
        answer = await self.call(objects.create, owner, label=label, role=role, values=above, body=body)
        identifier = resolve(answer.reply.json, objects.identifier)
        if not answer.reply.ok or not isinstance(identifier, (str, int)) or isinstance(identifier, bool):
            return answer, None
        return answer, Belonging(owner, str(identifier), canary, answer.exchange)

    async def _reads_own(self, belonging: Belonging, when: str) -> Answer:
        """Let the owner read the object: it is there, and its canary shows. Raises Unclear."""
        objects = self._own_objects()
        answer = await self.call(
            objects.read,
            belonging.owner,
            label=f"control {when}: {belonging.owner.owner} reads an object of their own",
            role=Role.CONTROL,
            values=self.at(belonging.identifier),
        )
        if not answer.reply.ok:
            raise Unclear(
                f"{objects.read.name} did not show an object to its owner ({answer.why or answer.status})."
            )
        if shown_in(belonging.canary, answer) is None:
            raise Unclear(
                f"{objects.read.name} does not show {objects.text_field}: nothing tells one object from another.",
                f'[objects]\ntext_field = "{_shown_again(objects.template, answer)}"',
            )
        return answer

    async def _take_away(self, made: list[Belonging]) -> None:
        objects = self._own_objects()
        if objects.delete is None:
            return
        for belonging in made:
            with contextlib.suppress(BudgetExceededError):
                await self.call(
                    objects.delete,
                    belonging.owner,
                    label="clean up: delete the object",
                    values=self.at(belonging.identifier),
                )


def _shown_again(template: Mapping[str, Any], answer: Answer) -> str:
    """The pointer to a text of the body that reading shows, such as `/recipe/title` of `{"recipe": {"title": "x"}}`."""
    texts = {pointer: text for pointer, text in strings(dict(template)).items() if isinstance(text, str)}
    again = [pointer for pointer, text in texts.items() if text and text in answer.reply.text]
    return again[0] if again else "a member that is shown again"


def shown_in(canary: str, answer: Answer) -> str | None:
    """How an answer shows the text: in words; None where it does not."""
    texts = (answer.reply.text, *(value for _, value in answer.reply.headers))
    return next((how for text in texts if (how := leaked(canary, text)) is not None), None)
