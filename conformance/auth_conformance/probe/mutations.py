"""Changes whose effect their owner sees: what is forged, guarded and tried is judged by that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Exchange, Role
from auth_conformance.oracles.pointer import put, resolve
from auth_conformance.probe.core import CSRF_REMEDY, Answer, Unclear
from auth_conformance.probe.sessions import Sessions
from auth_conformance.target import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Mutation:
    """A request that creates something, and how its owner sees whether it did; `shown` are pages to look at."""

    operation: Operation
    template: Mapping[str, object]
    text_field: str
    identifier: str
    id_parameter: str = ""
    read: Operation | None = None
    listing: Operation | None = None
    shown: tuple[Operation, ...] = ()


class Mutations(Sessions):
    """Knows what people can create here, and sees whether they did."""

    # The credential of the last honest request, with everything that goes along with it.
    _honest: Credential | None = None

    def mutation(self) -> Mutation | None:
        """The operation that creates an object, or a key: with a text by which its owner knows it again.

        A CSRF token in its body is no part of the template: it comes with the session, or does not.
        """
        found = self._mutation()
        login = self.target.login(Kind.COOKIE)
        if found is None or login is None or not login.csrf_field:
            return found
        template = {key: value for key, value in found.template.items() if key != login.csrf_field}
        return replace(found, template=template)

    def _mutation(self) -> Mutation | None:
        objects, keys = self.target.objects, self.target.keys
        if objects is not None and objects.create.method == "POST":
            return Mutation(
                objects.create,
                objects.template,
                objects.text_field,
                objects.identifier,
                objects.id_parameter,
                objects.read,
                objects.listing,
            )
        if keys is not None and keys.create.method == "POST" and keys.listing is not None:
            name = next((key for key, value in keys.template.items() if isinstance(value, str)), None)
            if name is not None:
                return Mutation(keys.create, keys.template, name, keys.identifier or "", listing=keys.listing)
        return None

    async def _must_create(self, mutation: Mutation, live: Credential) -> None:
        """The control: the honest request works, and is seen to work. Raises Unclear."""
        self._honest = live
        text = self.word(14)
        answer = await self.call(
            mutation.operation,
            live,
            label="control: the honest request",
            role=Role.CONTROL,
            body=put(dict(mutation.template), mutation.text_field, text),
        )
        if not answer.granted:
            raise Unclear(
                f"{mutation.operation.name} refused the honest request ({answer.why or answer.status}).",
                CSRF_REMEDY,
            )
        if not await self._came_into_being(mutation, live, text, answer):
            raise Unclear(f"{mutation.operation.name} created something that its owner cannot see.")

    async def _came_into_being(
        self, mutation: Mutation, owner: Credential, text: str, answer: Answer
    ) -> Exchange | None:
        """RR: the reply in which the owner finds what the request was to create. Raises Unclear where none is shown."""
        identifier = resolve(answer.reply.json, mutation.identifier) if mutation.identifier else None
        if answer.reply.ok and mutation.read is not None and isinstance(identifier, (str, int)):
            values = {mutation.id_parameter: str(identifier)}
            seen = await self.call(
                mutation.read, owner, label="the owner reads", role=Role.CONTROL, values=values
            )
            if seen.reply.ok and text in seen.reply.text:
                return seen.exchange
        parents = self.target.objects.parents if self.target.objects else ()
        above = [parent.parameter for parent in parents if not parent.in_body]
        if mutation.listing is not None and mutation.listing.path.count("{") <= len(above):
            seen = await self.call(mutation.listing, owner, label="the owner lists", role=Role.CONTROL)
            if not seen.reply.ok:
                raise Unclear(
                    f"{mutation.listing.name} did not show its owner what there is ({seen.why or seen.status})"
                )
            return seen.exchange if text in seen.reply.text else None
        return await self._shown_somewhere(mutation, owner, text, answer)

    async def _shown_somewhere(
        self, mutation: Mutation, owner: Credential, text: str, answer: Answer
    ) -> Exchange | None:
        """The page of the owner's that holds the text: the one that the answer leads to, or one of those known."""
        if not mutation.shown:
            return None
        looked = False
        there = urlsplit(answer.reply.header("location") or "")
        led = [Operation("GET", there.path)] if there.path.startswith("/") and not there.netloc else []
        for page in {(page.method, page.path): page for page in (*led, *mutation.shown)}.values():
            # Where everything is done by POST, who only looks needs the CSRF token as well.
            whole = self._honest if page.method == "POST" else None
            reader = whole if whole is not None and whole.value == owner.value else owner
            label = f"the owner looks at {page.path}"
            seen = await self.call(page, reader, label=label, role=Role.CONTROL)
            if seen.reply.ok and text in seen.reply.text:
                return seen.exchange
            looked = looked or seen.reply.ok
        if not looked:
            raise Unclear(f"{mutation.shown[0].name} did not show its owner what there is")
        return None
