"""`must_filter`: collections, searches, counts and exports, asked by somebody who owns only a part of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.model import (
    Exchange,
    Expectation,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.canary import leaked
from auth_conformance.oracles.pointer import put
from auth_conformance.oracles.standing import flattened
from auth_conformance.probe.claims import headers_naming
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.filtering import findable, values_for
from auth_conformance.probe.isolation import Isolation
from auth_conformance.probe.owning import Belonging
from auth_conformance.source.words import words
from auth_conformance.target import Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth_conformance.target import Operation

MOST_COLLECTIONS = 4
MOST_PAGES = 5
# Members by which collections are filtered to an owner, and columns that nobody may sort or select by.
OWNER_PARAMETERS = ("owner_id", "user_id", "owner", "user", "author")
HIDDEN_COLUMNS = ("password", "hashed_password", "password_hash")
# Words of parameters that turn pages, sort and search: nobody is named there.
TURNING = frozenset(
    [
        "page",
        "per",
        "size",
        "limit",
        "offset",
        "skip",
        "cursor",
        "after",
        "before",
        "sort",
        "order",
        "search",
        "q",
        "from",
        "to",
        "since",
        "until",
        "fields",
        "include",
        "format",
        "direction",
        "start",
        "end",
        "count",
    ]
)
MOST_OWNERS = 4
MOST_FILTERS = 6
# An identifier that is shorter may stand in a reply by chance.
TELLING = 8


@dataclass(frozen=True, slots=True)
class Question:
    """One way to ask a collection for more than one's own."""

    label: str
    query: tuple[tuple[str, str], ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


class Gathering(Isolation):
    """Lists as the one user what the other owns."""

    async def must_filter(self) -> Verdict:
        """No collection may show or count A's object to B. Needs objects and two users."""
        return await self.in_each_collection(self._nothing_listed, self.textless_not_listed)

    async def _nothing_listed(self) -> Verdict:
        objects = self._own_objects()
        if objects.listing is None:
            raise self._none_such("lists the objects", 'listing = "GET {create}"')
        if objects.listing.name in self.target.policy.public_operations:
            raise Missing(f"Not applicable: {objects.listing.name} is declared public.", applicable=False)
        made: list[Belonging] = []
        violations: list[Violation] = []
        doubts: list[str] = []
        asked = 0
        try:
            mine = await self._put_down_to_be_found(objects.listing, made)
            theirs = await self._put_down("b", made)
            await self._lists_own(mine, "before")
            await self._lists_own(theirs, "before")
            for operation in self._collections_of(objects.listing):
                known = len(violations)
                for question in await self._questions(mine, operation, objects.listing):
                    await self.paced()
                    asked += 1
                    outcome = await self._question(operation, question, mine)
                    if isinstance(outcome, Violation):
                        violations.append(outcome)
                        break
                    doubts += [outcome] if outcome else []
                if len(violations) == known:
                    violations += await self._counts(operation, made)
                    violations += await self._order_tells(operation)
            await self._lists_own(theirs, "after")
        finally:
            await self._take_away(made)
        reason = (
            f"{asked} questions to collections showed another user nothing of A's, and counted nothing of it."
        )
        if violations:
            await self.must_not_be_shared()
            if all(item.operation in self._plain_reads() for item in violations):
                await self.must_not_be_read_by_all()
        return self.decided(violations, doubts, reason)

    async def _put_down_to_be_found(self, listing: Operation, made: list[Belonging]) -> Belonging:
        """An object of A's with something in each member that filters of the listing compare with. Raises Unclear."""
        objects = self._own_objects()
        template = findable(self.scene, objects, _filters_of(listing))
        if template != dict(objects.template):
            owner = await self.credential(owner="a")
            _, mine = await self.creates(owner, "a creates an object that filters find", template=template)
            if mine is not None:
                made.append(mine)
                return mine
        return await self._put_down("a", made)

    def _collections_of(self, listing: Operation) -> list[Operation]:
        """Return the listing and the other operations that read the collection: searches, counts, exports."""
        beside = [
            operation
            for operation in self.target.operations
            if operation.method == "GET"
            and operation.path.startswith(f"{listing.path.rstrip('/')}/")
            and "{" not in operation.path.removeprefix(listing.path)
            and operation.name not in self.target.policy.public_operations
        ]
        return [listing, *beside][:MOST_COLLECTIONS]

    async def _lists_own(self, belonging: Belonging, when: str) -> Answer:
        """See that the owner's listing shows the object. Raises Unclear."""
        objects = self._own_objects()
        listing = objects.listing
        if listing is None:
            raise Unclear("No operation lists the objects.")
        answer = await self.call(
            listing,
            belonging.owner,
            label=f"control {when}: {belonging.owner.owner} lists objects of their own",
            role=Role.CONTROL,
        )
        if not answer.reply.ok:
            raise Unclear(f"{listing.name} did not list for its owner ({answer.why or answer.status}).")
        if _shown(belonging, answer) is None:
            raise Unclear(
                f"{listing.name} does not show its owner what they have just made.",
                f'[objects]\nlisting = "{listing.name}"  # or one that shows its owner what they have just made',
            )
        if belonging.owner.owner == "a":
            self._owners_list = answer
        return answer

    async def _questions(self, mine: Belonging, operation: Operation, listing: Operation) -> list[Question]:
        """List the ways to ask; the many undeclared parameters are sent at the listing only."""
        parameters = _asked_by(operation)
        declared = [item.name for item in parameters]
        whose = dict.fromkeys(await self._names_of("a"))
        own = next(iter(await self._names_of("b")), "")
        owners = [item.name for item in parameters if _may_name_somebody(item)]
        owners.sort(key=lambda name: not any(word in name.lower() for word in OWNER_PARAMETERS))
        owners = owners[:MOST_OWNERS]
        if operation is listing:
            owners = list(dict.fromkeys([*owners, *OWNER_PARAMETERS[:3]]))
        found = [Question("as it is")]
        above = tuple(
            (name, value)
            for name, value in self.at(mine.identifier).items()
            if f"{{{name}}}" in operation.path
        )
        found += [Question("within what is A's", values=above)] if above else []
        found += [Question(f"page {page + 1}", pair) for page, pair in enumerate(_pages(declared))]
        found += [Question(f"{name} is A's", ((name, value),)) for name in owners for value in whose]
        told = (await self._reads_own(mine, "of what filters compare with")).reply.json
        found += [
            Question(f"{name} is that of A's", ((name, value),))
            for name, value in values_for(_filters_of(operation), told).items()
            if mine.canary not in value
        ][:MOST_FILTERS]
        if owners:
            value = next(iter(whose))
            found.append(Question(f"{owners[0]} twice, own first", ((owners[0], own), (owners[0], value))))
            found.append(Question(f"{owners[0]} twice, A's first", ((owners[0], value), (owners[0], own))))
        if operation is listing:
            # A body has its members and no others: there a search is called as the document calls it.
            texts = [item.name for item in parameters if item.place == "body" and _takes_text(item)]
            # A filter wants the whole of what it compares with.
            filters = [
                item.name
                for item in parameters
                if item.place == "query" and _takes_text(item) and _filters(item)
            ]
            facts = await self._facts_of("a")
            found += [
                Question(f"{item.name} is A's", values=((f"header {item.name}", value),))
                for item in operation.parameters
                if item.place == "header"
                for value in whose
            ]
            found += [Question("headers that name A", headers=headers_naming(facts))] if facts else []
            found += [
                Question(f"{name} is A's text", ((name, mine.canary),)) for name in filters[:MOST_OWNERS]
            ]
            found += [
                Question("a search for A's text", (("q", mine.canary[:8]),)),
                Question("a search for A's text", (("search", mine.canary[:8]),)),
                *(Question(f"a search in {name} for A's text", ((name, mine.canary[:8]),)) for name in texts),
                Question("a filter for everything", (("filter", "*"),)),
                Question("all fields", (("fields", "*"),)),
                Question("with owners", (("include", "owner,user"),)),
                Question("a very long page", (("limit", "100000"),)),
                Question("a page before the first", (("offset", "-1"),)),
            ]
        required = {item.name for item in parameters if item.required}
        search = tuple((name, mine.canary[:8]) for name in sorted(required))
        return [
            replace(item, query=(*item.query, *(pair for pair in search if pair[0] not in dict(item.query))))
            for item in found
        ]

    async def _names_of(self, label: str) -> list[str]:
        """Return what an account is called: whatever the witness says of it and not of the other, and its name."""
        name = self.account(label).username
        facts = list((await self._facts_of(label)).values())
        return list(dict.fromkeys([*facts[:2], name]))[:3]

    async def _facts_of(self, label: str) -> dict[str, str]:
        """Return what the witness says of one of the two and not of the other, by pointer; identifiers come first."""
        if self.target.witness is None:
            return {}
        said = {
            who: await self.call(
                self.target.witness.operation, await self.credential(owner=who), label=f"who is {who}?"
            )
            for who in ("a", "b")
        }
        facts = {who: flattened(answer.reply.json) for who, answer in said.items()}
        theirs = facts["b" if label == "a" else "a"]
        found = [
            (pointer, str(value))
            for pointer, value in facts[label].items()
            if isinstance(value, (str, int))
            and not isinstance(value, bool)
            and value != theirs.get(pointer, value)
        ]
        found.sort(key=lambda pair: not pair[0].lower().endswith(("id", "no", "sub", "number")))
        return dict(found)

    async def _question(
        self, operation: Operation, question: Question, mine: Belonging
    ) -> Violation | str | None:
        answers: list[Answer] = []
        for again in ("", "again: "):
            label = f"{again}b asks {operation.name}: {question.label}"
            answer = await self.call(
                operation,
                await self.credential(owner="b"),
                label=label,
                role=Role.ATTACK,
                values=dict(question.values),
                headers=question.headers,
                query=() if operation.body is not None else question.query,
                body=_put_all(question.query) if operation.body is not None else None,
                fresh=bool(again),
            )
            how = _shown(mine, answer)
            if how is None:
                if again:
                    return f"{label}: shown once, then not"
                # A crash on an odd parameter is ERR108's business; one on the plain question hides the answer.
                return (
                    f"{label}: {answer.why}" if answer.judgement is not None and not question.query else None
                )
            answers.append(answer)
        if await self._repeats(operation, question, mine, answers[-1]):
            return None
        if by_cache(answers[-1].reply):
            return f"{operation.name}: a cache answered in the application's place (Age)"
        message = f"{operation.name} showed another user what is A's ({question.label}; {how})."
        shown = (mine.made, self._owners_list.exchange, *(answer.exchange for answer in answers))
        about = answers[0].exchange.number
        by_text = mine.canary in answers[0].reply.text
        expected = Expectation("no text", value=mine.canary, about=about) if by_text else None
        return Violation(operation.name, message, None, shown, expected)

    async def _repeats(
        self, operation: Operation, question: Question, mine: Belonging, shown: Answer
    ) -> bool:
        """Whether the text that B asked for is there because answers repeat the question, and no oftener than that."""
        if operation.body is not None or mine.canary not in dict(question.query).values():
            return False
        other = self.canary()
        query = tuple((name, other if value == mine.canary else value) for name, value in question.query)
        answer = await self.call(
            operation,
            await self.credential(owner="b"),
            label=f"control: b asks {operation.name} for a text that nobody has",
            role=Role.CONTROL,
            values=dict(question.values),
            query=query,
        )
        return 0 < answer.reply.text.count(other) >= shown.reply.text.count(mine.canary)

    async def _counts(self, operation: Operation, made: list[Belonging]) -> list[Violation]:
        """See whether a number that B is shown grows with what A makes, twice."""
        seen: list[Exchange] = []
        rising: set[str] | None = None
        numbers: dict[str, int] | None = None
        for _ in range(3):
            answer = await self.call(
                operation,
                await self.credential(owner="b"),
                label=f"b counts at {operation.name}",
                role=Role.ATTACK,
            )
            counted = _numbers(answer)
            if not counted:
                return []
            if numbers is not None:
                risen = {key for key, value in counted.items() if value == numbers.get(key, value) + 1}
                rising = risen if rising is None else rising & risen
                if not rising:
                    return []
            numbers = counted
            seen.append(answer.exchange)
            if len(seen) < 3:
                await self._put_down("a", made)
        where = min(rising or {""})
        message = f"{operation.name} counts another user's objects: {where} rose with each one that A made."
        return [Violation(operation.name, message, None, tuple(seen))]

    async def _order_tells(self, operation: Operation) -> list[Violation]:
        """See whether sorting by a hidden column changes the order: that reads the column letter by letter."""
        name = next(
            (
                item.name
                for item in operation.parameters
                if item.place == "query" and ("sort" in item.name.lower() or "order" in item.name.lower())
            ),
            None,
        )
        if name is None:
            return []
        orders: dict[str, tuple[str, Exchange]] = {}
        for value in ("", self.word(9), *HIDDEN_COLUMNS):
            answer = await self.call(
                operation,
                await self.credential(owner="b"),
                label=f"b sorts {operation.name} by {value or 'nothing'}",
                role=Role.ATTACK,
                query=((name, value),) if value else (),
            )
            if answer.reply.ok:
                orders[value] = (answer.reply.text, answer.exchange)
        plain = orders.get("")
        if plain is None:
            return []
        junk = [text for value, (text, _) in orders.items() if value and value not in HIDDEN_COLUMNS]
        told = [value for value in HIDDEN_COLUMNS if value in orders and orders[value][0] != plain[0]]
        told = [
            value
            for value in told
            if sorted(orders[value][0]) == sorted(plain[0]) and orders[value][0] not in junk
        ]
        if not told:
            return []
        message = (
            f"{operation.name} sorts by {told[0]}, which it does not show: the order tells what is in it."
        )
        return [Violation(operation.name, message, Severity.MEDIUM, (plain[1], orders[told[0]][1]))]


def _filters_of(operation: Operation) -> list[str]:
    """The parameters of the query that may pick out objects by what stands in them."""
    return [
        item.name
        for item in operation.parameters
        if item.place == "query" and TURNING.isdisjoint(words(item.name))
    ]


def _asked_by(operation: Operation) -> list[Parameter]:
    """What a collection may be asked with: parameters of the query, or members of the body that procedures take."""
    if operation.body is None:
        return [item for item in operation.parameters if item.place == "query"]
    schema = next((schema for media, schema in operation.bodies.items() if media.endswith("json")), {})
    return list(_members(schema))


def _members(schema: Mapping[str, Any], above: str = "") -> Iterator[Parameter]:
    """The members of a body by name, or by pointer where they stand in another one; constants are no question."""
    required = schema.get("required") or ()
    for name, inner in (schema.get("properties") or {}).items():
        if "properties" in inner:
            yield from _members(inner, f"{above or '/'}{name}/")
        elif "const" not in inner:
            yield Parameter(f"{above}{name}", "body", name in required, inner)


def _put_all(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name, value in pairs:
        body = put(body, name, value)
    return body


def _shapes(parameter: Parameter) -> list[Mapping[str, Any]]:
    """The schemas that a parameter may have."""
    listed = [parameter.schema, *parameter.schema.get("anyOf", ())]
    return [item for item in listed if isinstance(item, Mapping)]


def _takes_text(parameter: Parameter) -> bool:
    return any("string" in _listed(item.get("type")) for item in _shapes(parameter))


def _filters(parameter: Parameter) -> bool:
    """Whether a parameter may be compared with a text of people's own: what turns pages or sorts is not."""
    closed = any({"enum", "const", "format"} & item.keys() for item in _shapes(parameter))
    return not closed and (TURNING - {"search", "q"}).isdisjoint(words(parameter.name))


def _may_name_somebody(parameter: Parameter) -> bool:
    """Whether a query parameter can take the name or number of a person: what turns pages or sorts cannot."""
    kinds = {kind for item in _shapes(parameter) for kind in _listed(item.get("type"))}
    closed = any({"enum", "const"} & item.keys() for item in _shapes(parameter))
    turns = not TURNING.isdisjoint(words(parameter.name))
    return not closed and not turns and (not kinds or not kinds.isdisjoint(("string", "integer")))


def _listed(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)] if value else []


def _shown(belonging: Belonging, answer: Answer) -> str | None:
    """Say how a reply shows an object: by its text, or by an identifier that does not stand there by chance."""
    if not answer.reply.ok:
        return None
    how = leaked(belonging.canary, answer.reply.text)
    if how is not None:
        return f"the text is there {how}"
    by_id = len(belonging.identifier) >= TELLING and belonging.identifier in answer.reply.text
    return "its identifier is there" if by_id else None


def _numbers(answer: Answer) -> dict[str, int]:
    """Return the integers of a reply that stand in no list: totals and counts."""
    return {
        pointer: value
        for pointer, value in flattened(answer.reply.json).items()
        if isinstance(value, int)
        and not isinstance(value, bool)
        and not any(part.isdecimal() for part in pointer.split("/"))
    }


def _pages(declared: Sequence[str]) -> list[tuple[tuple[str, str], ...]]:
    """Return the queries for the pages after the first, in the words of the document."""
    spelled: dict[str, str] = {name.lower(): name for name in declared}
    found: list[tuple[tuple[str, str], ...]] = []
    for word, step in (("offset", 50), ("skip", 50), ("page", 1)):
        if word in spelled:
            first = 2 if word == "page" else step
            found = [((spelled[word], str(first + step * number)),) for number in range(MOST_PAGES)]
            break
    return found
