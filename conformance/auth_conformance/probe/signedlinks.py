"""Links that are signed for one object: whoever has one reads that object, and until then (AUZ110).

What a link opens to a stranger is meant; what the same signature opens besides is not (CWE-345, CWE-639).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from auth_conformance.model import Exchange, Expectation, Role, Severity, Violation
from auth_conformance.oracles.identifiers import another_id
from auth_conformance.oracles.pointer import put, resolve, strings
from auth_conformance.oracles.privilege import access_words
from auth_conformance.probe.core import Answer, Unclear
from auth_conformance.probe.memberships import below, placed
from auth_conformance.probe.owning import Belonging, Owning, shown_in
from auth_conformance.secret import Secret
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.target import Operation

_SIGNATURE = re.compile(r"[A-Za-z0-9_.~+/=-]{16,512}")
_TIME = re.compile(r"\d{10}|\d{13}")
# So many operations are asked for a link; a text of so many characters takes a canary.
_MOST = 3
_ROOM = 40
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Link:
    """A signed link to one object: its path and query, the parameters that sign, and those that say until when."""

    path: str
    query: tuple[tuple[str, str], ...]
    signing: tuple[str, ...]
    until: tuple[str, ...]

    def request(self) -> HttpRequest:
        """What a stranger sends who was given the link."""
        return HttpRequest("GET", self.path, self.query)

    def to(self, mine: str, other: str) -> HttpRequest:
        """The link with another object in the place of its own."""
        query = tuple((name, value.replace(mine, other)) for name, value in self.query)
        return HttpRequest("GET", self.path.replace(mine, other), query)

    def resigned(self, rng: random.Random) -> Iterator[tuple[str, HttpRequest]]:
        """The link without its signature, and with others."""
        yield "without its signature", self._with(self.signing, lambda _: None)
        yield "with an empty signature", self._with(self.signing, lambda _: "")
        yield "with half of its signature", self._with(self.signing, lambda value: value[: len(value) // 2])
        yield (
            "with another second half of its signature",
            self._with(
                self.signing,
                lambda value: value[: len(value) // 2] + another_id(value[len(value) // 2 :], rng),
            ),
        )

    def later(self) -> HttpRequest | None:
        """The link as if it were good for a day more; None where it says no end."""
        if not self.until:
            return None
        more = {10: _DAY, 13: _DAY * 1000}
        return self._with(self.until, lambda value: str(int(value) + more[len(value)]))

    def _with(self, names: tuple[str, ...], change: Callable[[str], str | None]) -> HttpRequest:
        changed = ((name, change(value) if name in names else value) for name, value in self.query)
        return HttpRequest(
            "GET", self.path, tuple((name, value) for name, value in changed if value is not None)
        )


class SignedLinks(Owning):
    """Has links made for A's objects, and asks by them for more."""

    async def good_for_more(self) -> list[Violation]:
        """What a signed link opens besides what it was made for. Raises Unclear; none where no link is signed."""
        found: list[Violation] = []
        doubts: list[str] = []
        made: list[Belonging] = []
        try:
            for operation in self._makers():
                with self.doubting(doubts):
                    found += await self._asked_of(operation, made)
        finally:
            await self._take_away(made)
        if doubts and not found:
            raise Unclear(doubts[0])
        return found

    async def _asked_of(self, operation: Operation, made: list[Belonging]) -> list[Violation]:
        """What a link that this operation gives opens besides. Raises Unclear."""
        mine, other = await self._rich("a", made), await self._rich("a", made)
        link = await self._link(operation, mine)
        if link is not None and await self._open_to_all(mine):
            return []  # where nobody needs a link, what one opens shows nothing
        opened = await self._opens(link.request(), "control: the link", mine) if link is not None else None
        if link is None or opened is None:
            return []
        return await self._asked_for_more(operation, link, mine, other, opened)

    async def _open_to_all(self, mine: Belonging) -> bool:
        """Whether a stranger reads the object where its owner does."""
        answer = await self.call(
            self._own_objects().read,
            None,
            label="control: a stranger without a link",
            values=self.at(mine.identifier),
            role=Role.CONTROL,
        )
        return answer.reply.ok and shown_in(mine.canary, answer) is not None

    def _makers(self) -> list[Operation]:
        """What may hand out a link to one object: reading it, and what its name or its answer says so of."""
        objects = self._own_objects()
        words, found = set(access_words("links")), [objects.read]
        for operation in self.target.operations:
            rest = below(operation.path, objects.read.path)
            if (
                rest
                and "{" not in rest
                and operation.method in ("GET", "POST", "PUT")
                and rest.lower() in words
            ):
                found.append(operation)
        return found[:_MOST]

    async def _rich(self, label: str, made: list[Belonging]) -> Belonging:
        """An object whose every text is its canary: nobody says which of them a link shows."""
        objects = self._own_objects()
        owner = await self.credential(owner=label)
        canary = self.canary()
        schema = next(iter(objects.create.bodies.values()), {})
        body = put(dict(objects.template), objects.text_field, canary)
        for name, member in (schema.get("properties") or {}).items():
            told = ("enum", "const", "format", "pattern", "anyOf", "oneOf", "allOf")
            plain = member.get("type") == "string" and not any(key in member for key in told)
            if plain and int(member.get("maxLength", _ROOM)) >= _ROOM:
                body[name] = canary
        answer = await self.call(objects.create, owner, label=f"{label} creates an object", body=body)
        identifier = resolve(answer.reply.json, objects.identifier)
        if not answer.reply.ok or not isinstance(identifier, str | int):
            return await self._put_down(label, made)
        belonging = Belonging(owner, str(identifier), canary, answer.exchange)
        made.append(belonging)
        return belonging

    async def _link(self, operation: Operation, mine: Belonging) -> Link | None:
        """The signed link to the object in what an operation answers its owner."""
        values = placed(operation, self._own_objects(), self.at(mine.identifier))
        answer = await self._asked(operation, mine.owner, values)
        texts = [str(text) for text in strings(answer.reply.json).values()] if answer.reply.ok else []
        return next(
            (link for text in texts if (link := self._signed(text, mine.identifier)) is not None), None
        )

    async def _asked(self, operation: Operation, owner: Credential, values: dict[str, str]) -> Answer:
        body = self.scene.required_of(operation) if operation.bodies else None
        return await self.call(
            operation, owner, label="ask for a link to it", values=values, body=body or None
        )

    def _signed(self, text: str, identifier: str) -> Link | None:
        parts = urlsplit(text)
        own = urlsplit(self.target.address if not self.target.in_process else "")
        here = parts.netloc in {"", own.netloc, *(("testserver",) if self.target.in_process else ())}
        query = tuple(parse_qsl(parts.query, keep_blank_values=True))
        if not here or not parts.path.startswith("/") or identifier not in text or len(query) == 0:
            return None
        now = self.scene.recorder.clock.now()
        # An end lies ahead; the time at which a link was made may be written by anybody.
        until = tuple(
            name
            for name, value in query
            if _TIME.fullmatch(value) and int(value) > now * {10: 1, 13: 1000}[len(value)]
        )
        signing = tuple(
            name
            for name, value in query
            if name not in until
            and _SIGNATURE.fullmatch(value)
            and identifier not in value
            and (name.lower() in access_words("signatures") or until)
        )
        if not signing:
            return None
        for name, value in query:
            if name in signing:
                self.scene.recorder.redactor.learn(Secret(value))
        return Link(parts.path.removeprefix(own.path.rstrip("/")), query, signing, until)

    async def _opens(self, request: HttpRequest, label: str, shown: Belonging) -> Exchange | None:
        """What shows that a stranger is shown the object by this request, on a connection of its own, twice."""
        for turn in ("", "again: "):
            role = Role.CONTROL if label.startswith("control") else Role.ATTACK
            answer = await self.send(request, label=turn + label, role=role, operation=f"GET {request.path}")
            if answer.judgement is not None and not answer.rejected:
                raise Unclear(f"{label}: {answer.why}")
            if not answer.reply.ok or shown_in(shown.canary, answer) is None:
                return None
        return answer.exchange

    async def _asked_for_more(
        self, operation: Operation, link: Link, mine: Belonging, other: Belonging, opened: Exchange
    ) -> list[Violation]:
        name = operation.name
        swapped = link.to(mine.identifier, other.identifier)
        if seen := await self._opens(swapped, "another object by the same signature", other):
            message = f"{name} signs links that open another object as well: its id is not in what is signed."
            return [self._violation(name, message, Severity.HIGH, opened, seen)]
        for words, request in link.resigned(self.rng):
            if seen := await self._opens(request, f"the link {words}", mine):
                message = f"{name} gives links that open their object {words}: to whoever knows its id."
                return [self._violation(name, message, Severity.HIGH, opened, seen)]
        longer = link.later()
        if longer is not None and (seen := await self._opens(longer, "the link with a later end", mine)):
            message = f"{name} signs links without their end: whoever has one writes a later one into it."
            return [self._violation(name, message, Severity.MEDIUM, opened, seen)]
        if await self._opens(link.request(), "control: the link, after all", mine) is None:
            raise Unclear(f"The link of {name} did not open its object any more: refusals prove nothing.")
        self.notes.append(f"links of {name} opened their own object only, and no longer than they say")
        return []

    @staticmethod
    def _violation(
        name: str, message: str, severity: Severity, opened: Exchange, seen: Exchange
    ) -> Violation:
        return Violation(name, message, severity, (opened, seen), Expectation("refused", about=seen.number))
