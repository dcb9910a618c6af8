"""What a key may not read in one place, and reads in another: an export that forgot its scope (checklist KEY110)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from auth_conformance.model import Expectation, Role, Violation
from auth_conformance.oracles.pointer import put, resolve
from auth_conformance.oracles.scopes import speaks_of
from auth_conformance.probe.keyaccounts import KeyAccounts

if TYPE_CHECKING:
    from auth_conformance.probe.answers import Answer
    from auth_conformance.probe.keylevels import Narrow
    from auth_conformance.target import Objects, Operation

# Reads of one object and of what stands around it, and keys that are tried on each.
_MOST_READS = 8
_MOST_KEYS = 4


class KeyReads(KeyAccounts):
    """Compares what one key is shown of an object in all places that show it to its owner."""

    async def read_elsewhere(self, narrow: list[Narrow], doubts: list[str]) -> list[Violation]:
        """A key that is refused an object where it is read must not get it elsewhere, under no scope for that."""
        objects = self.target.objects
        if objects is None or len(narrow) < 2:
            return []
        login, text = await self.credential(self._login_kind()), self.canary()
        number = await self.own_object(objects, "keys", doubts, text=text)
        if not number:
            return []
        values = self.at(number)
        try:
            shown = await self._shown_to_owner(objects, values, text)
            found = [
                await self._compared_for(item, shown, values, text, doubts) for item in narrow[:_MOST_KEYS]
            ]
        finally:
            if objects.delete is not None:
                await self.call(objects.delete, login, label="clean up: delete it", values=values)
        return [violation for one in found for violation in one]

    async def own_object(
        self, objects: Objects, whom: str, doubts: list[str], *, text: str = "", again: str = ""
    ) -> str:
        """The id of a new object of the owner's, with a text, to try `whom` on; "" with a doubt where none was made."""
        template = dict(objects.template)
        body = put(template, objects.text_field, text) if text else template
        created = await self.call(
            objects.create,
            await self.credential(self._login_kind()),
            label=f"{again}control: the owner's login creates an object",
            role=Role.CONTROL,
            body=body,
        )
        number = resolve(created.reply.json, objects.identifier)
        if created.reply.ok and number is not None:
            return str(number)
        doubts.append(
            f"{objects.create.name} made no object to try {whom} on ({created.why or created.status})"
        )
        return ""

    async def _shown_to_owner(self, objects: Objects, values: dict[str, str], text: str) -> list[Operation]:
        """The operations that show the object to its owner's login: by its id, or what stands above it."""
        login = await self.credential(self._login_kind())
        below = objects.create.path.partition("/{")[0]
        around = [
            item
            for item in self.target.reads()
            if item.path.startswith(below) and set(_holes(item.path)) <= values.keys()
        ]
        shown = []
        for operation in around[:_MOST_READS]:
            label = "control: does the owner's login see it here?"
            answer = await self.call(operation, login, label=label, role=Role.CONTROL, values=values)
            if answer.reply.ok and text in answer.reply.text:
                shown.append(operation)
        return shown

    async def _compared_for(
        self, item: Narrow, shown: list[Operation], values: dict[str, str], text: str, doubts: list[str]
    ) -> list[Violation]:
        answers = {operation.name: await self._asked_by(item, operation, values) for operation in shown}
        for answer in answers.values():
            self.unjudged(answer, doubts)
        shut = next((name for name, answer in answers.items() if answer.status == 403), None)
        if shut is None:
            return []
        found = []
        for operation in shown:
            first = answers[operation.name]
            if not (first.reply.ok and text in first.reply.text) or _about(item.scope, operation.path, shut):
                continue
            again = await self._asked_by(item, operation, values, "again: ")
            if again.reply.ok and text in again.reply.text:
                message = f"{operation.name} shows a key that has only {item.scope} what {shut} refuses it."
                proof = (answers[shut].exchange, first.exchange, again.exchange)
                found.append(Violation(operation.name, message, None, proof, Expectation("refused")))
        return found

    async def _asked_by(
        self, item: Narrow, operation: Operation, values: dict[str, str], again: str = ""
    ) -> Answer:
        label = f"{again}read it at {operation.path} with a key that has only {item.scope}"
        return await self.by_key(operation, item.credential, label=label, values=values)


def _holes(path: str) -> list[str]:
    return re.findall(r"\{([^}]*)\}", path)


def _about(scope: str, path: str, shut: str) -> bool:
    """Whether a scope is meant for the one path and not the other, as far as names tell: `feed:read` for `/feed`."""
    here, there = (
        {word.rstrip("s") for word in re.findall(r"[a-z]+", item.lower())} for item in (path, shut)
    )
    return bool({word.rstrip("s") for word in speaks_of(scope)} & (here - there))
