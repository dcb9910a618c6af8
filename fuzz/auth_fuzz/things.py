"""What people own, by where it stands: in collections, in collections of other things, and at second addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from auth_conformance.discovery.names import plain
from auth_conformance.oracles.pointer import put
from auth_conformance.probe import Missing, Unclear
from auth_conformance.target import HOLE
from auth_fuzz.people import Person, Searcher

if TYPE_CHECKING:
    import random

    from auth_conformance.credentials import Credential
    from auth_conformance.probe import Answer
    from auth_conformance.target import Operation
    from auth_conformance.transports.message import HttpRequest, RawReply

# So many ids of one collection are enough to choose from.
_IDS = 8
# Names of parameters that say nothing of what they name.
_ANYTHING = {"id", "uuid", "pk", "name", "slug", "key", "item", "itemid"}
# So many collections are tried where the body of an operation names something.
_NEAR = 2
# Envelopes within envelopes, at most.
_DEEP = 3


@dataclass(frozen=True, slots=True)
class Place:
    """A path parameter, and the path of the collection that it picks from."""

    name: str
    collection: str


@dataclass(frozen=True, slots=True)
class Thing:
    """One object: the path of its collection, the values in that, and its id, which `parameter` takes."""

    collection: str
    identifier: str
    parameter: str
    above: Mapping[str, str] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, str]:
        """The values of the path that leads to it at its own address."""
        return {**self.above, self.parameter: self.identifier}


def places(path: str) -> list[Place]:
    """The path parameters of a path, each with the collection that it picks from."""
    return [Place(hole[1], path[: hole.start()].rstrip("/")) for hole in HOLE.finditer(path)]


def filled(path: str, values: Mapping[str, str]) -> str:
    """The path with these values; parameters without one stay."""
    return HOLE.sub(lambda hole: quote(values[hole[1]], safe="") if hole[1] in values else hole[0], path)


def values_in(operation: Operation, path: str) -> dict[str, str]:
    """The values that an actual path has for the parameters of an operation; none where it does not fit."""
    return {name: unquote(value) for name, value in (operation.values_in(path) or {}).items()}


def quoted(values: Mapping[str, str]) -> dict[str, str]:
    """The values as they stand in a path."""
    return {name: quote(value, safe="") for name, value in values.items()}


class Things:
    """Whose is what, how it is made, and who else may see it."""

    def __init__(self, searcher: Searcher) -> None:
        self.searcher, self.target = searcher, searcher.target
        # How things are made, by the path of their collection, and the member that takes a text.
        self._makers: dict[str, HttpRequest] = {}
        self._texts: dict[str, str] = {}
        # The word that was written into a thing when it was made.
        self.words: dict[str, str] = {}
        self._apart: dict[str, bool] = {}
        self._asked: set[tuple[str, str]] = set()
        self._not_by_login: set[str] = set()

    def remember_makers(self) -> None:
        """Know from discovery how objects and keys are made."""
        objects, keys = self.target.objects, self.target.keys
        for item in (objects, *self.target.further):
            if item is not None and not any(parent.in_body for parent in item.parents):
                self._makers[item.create.path] = item.create.request({}).with_json(dict(item.template))
                self._texts[item.create.path] = item.text_field
        if keys is not None:
            self._makers[keys.create.path] = keys.create.request().with_json(dict(keys.template))

    def forget(self, person: Person) -> None:
        """Nothing is known any more of what the person owns: they are somebody else now."""
        person.ids.clear()
        self._asked.clear()

    # Ids.

    def harvest(self, person: Person, operation: Operation, request: HttpRequest, reply: RawReply) -> None:
        """Keep the ids in a reply to the person, and how things are made."""
        template = operation.path
        value, named = reply.json, self._named(template)
        if operation.method not in {"POST", "GET"} or (places(template) and not named):
            return
        if len(values_in(operation, request.path)) != len(places(template)):
            return
        whole = id_of(value, named) is not None
        if operation.method == "POST" and whole:
            bare = replace(request, headers=tuple(_content(request)), query=())
            self._makers.setdefault(template, bare)
        known = person.ids.setdefault(request.path if places(template) else template, [])
        for entry in [value] if whole else entries(value):
            identifier = id_of(entry, named)
            if identifier is not None and identifier not in known:
                known.append(identifier)
        del known[:-_IDS]

    def _named(self, collection: str) -> str:
        """What the document calls the id of what is in a collection: the parameter of the paths below it."""
        below = (place for item in self.target.operations for place in places(item.path))
        return next((place.name for place in below if place.collection == collection), "")

    async def lead(
        self, person: Person, operation: Operation, chance: random.Random
    ) -> tuple[dict[str, str], Thing | None]:
        """Values for the path of an operation that lead to a thing of the person's, and that thing, if one is known."""
        values: dict[str, str] = {}
        found: Thing | None = None
        for place in places(operation.path):
            collection, above = place.collection, dict(values)
            if not self._stands(collection):
                collection = self._elsewhere(place)
                higher = await self._above(person, collection, chance) if collection else None
                if higher is None:
                    break
                above = higher
            identifier = await self._one(person, collection, above, chance)
            if identifier is None:
                break
            values[place.name] = identifier
            found = Thing(collection, identifier, place.name, above)
        return values, found

    async def _above(self, person: Person, collection: str, chance: random.Random) -> dict[str, str] | None:
        values: dict[str, str] = {}
        for place in places(collection):
            identifier = await self._one(person, place.collection, values, chance)
            if identifier is None:
                return None
            values[place.name] = identifier
        return values

    def _stands(self, collection: str) -> bool:
        """Whether the document has this collection: what lists it, or adds to it."""
        return any(
            item.path == collection and item.method in {"GET", "POST"} for item in self.target.operations
        )

    def _elsewhere(self, place: Place) -> str:
        """The collection that a parameter picks from at a second address: by its name, or by the collection's."""
        own, last = plain(place.name), place.collection.rpartition("/")[2]
        candidates = {
            other.collection
            for item in self.target.operations
            for other in places(item.path)
            if self._stands(other.collection)
            and (
                (plain(other.name) == own and own not in _ANYTHING)
                or (last and other.collection.rpartition("/")[2] == last)
            )
        }
        return min(candidates, key=lambda path: (path.count("{"), path), default="")

    async def _one(
        self, person: Person, collection: str, above: Mapping[str, str], chance: random.Random
    ) -> str | None:
        """The id of something of the person's there: known, listed, or new."""
        here = filled(collection, above)
        if not person.ids.get(here):
            if (person.label, here) in self._asked:
                return None
            self._asked.add((person.label, here))
            await self._list(person, collection, above)
        if not person.ids.get(here):
            await self.make(person, collection, above)
        known = person.ids.get(here)
        return chance.choice(known) if known else None

    async def _list(self, person: Person, collection: str, above: Mapping[str, str]) -> None:
        listing, login = self.target.operation(f"GET {collection}"), person.login()
        if listing is None or login is None:
            return
        label = f"{person.label} lists what is theirs"
        answer = await self.searcher.call(listing, login, label=label, values=quoted(above))
        if answer.reply.ok:
            self.harvest(person, listing, answer.request, answer.reply)

    async def near(self, person: Person, operation: Operation) -> list[Thing]:
        """One thing of the person's from each collection that may be meant by an id in the operation's body.

        The collections that the operation's own path lies below come first, the longest first.
        """
        below = (place for item in self.target.operations for place in places(item.path))
        ends = {place.collection: place.name for place in below if "{" not in place.collection}
        known = (collection for collection in ends if collection in self._makers)
        ranked = sorted(known, key=lambda path: (not operation.path.startswith(path), -len(path)))
        made = [(path, await self.make(person, path, {})) for path in ranked[:_NEAR]]
        return [Thing(path, identifier, ends[path]) for path, identifier in made if identifier]

    async def make(self, person: Person, collection: str, above: Mapping[str, str]) -> str | None:
        """A new thing of the person's in that collection; None when it is not known how."""
        maker, login = self._makers.get(collection), person.login()
        if login is None or person.label == "admin":
            return None
        if maker is None:
            return await self._make_by_login(person, login, collection)
        word, here = "", filled(collection, above)
        if "{" in here:
            return None
        if pointer := self._texts.get(collection):
            word = self.searcher.canary()
            body = put(dict(self._template(collection)), pointer, f"mark {word}")
            maker = maker.with_json(body)
        request = replace(maker, path=here).with_headers(*login.headers).with_query(*login.query)
        answer = await self.searcher.send(
            request, label=f"{person.label} makes one more", operation=f"POST {collection}"
        )
        identifier = id_of(answer.reply.json, self._named(collection)) if answer.reply.ok else None
        if identifier is not None:
            known = person.ids.setdefault(here, [])
            known.append(identifier)
            del known[:-_IDS]
            if word:
                self.words[f"{here}/{identifier}"] = word
        return identifier

    def _template(self, collection: str) -> Mapping[str, Any]:
        known = [item for item in (self.target.objects, *self.target.further) if item is not None]
        return next((item.template for item in known if item.create.path == collection), {})

    async def _make_by_login(self, person: Person, login: Credential, collection: str) -> str | None:
        """Logins are things, too: where a new one shows in the collection's list, that is how they are made."""
        listing = self.target.operation(f"GET {collection}")
        if listing is None or places(collection) or collection in self._not_by_login:
            return None
        before = await self.searcher.call(listing, login, label=f"{person.label} lists before a login")
        try:
            await self.searcher.log_in(person.account, login.carrier.kind)
        except (Missing, Unclear):
            return None
        after = await self.searcher.call(listing, login, label=f"{person.label} lists after a login")
        named = self._named(collection)
        known = {id_of(entry, named) for entry in entries(before.reply.json)}
        new = [
            identifier
            for entry in entries(after.reply.json)
            if (identifier := id_of(entry, named)) is not None and identifier not in known
        ]
        if not new:
            self._not_by_login.add(collection)
        return new[0] if new else None

    # Whose they are.

    async def keeps_apart(self, owner: Person, other: Person, thing: Thing) -> bool:
        """Whether things of this collection are private: other people's lists hide them, or they are refused."""
        if thing.collection not in self._apart:
            self._apart[thing.collection] = await self._hidden(owner, other, thing)
        return self._apart[thing.collection]

    async def _hidden(self, owner: Person, other: Person, thing: Thing) -> bool:
        theirs, mine = other.login(), owner.login()
        listing = self.target.operation(f"GET {thing.collection}")
        if theirs is None or mine is None or listing is None:
            objects = self.target.objects
            if objects is not None and objects.create.path == thing.collection:
                return not await self.public_text(thing)
            return await self._refused(owner, other, thing)
        identifier = await self.make(owner, thing.collection, thing.above) or thing.identifier
        values = quoted(thing.above)
        own = await self.searcher.call(listing, mine, label="a lists what is theirs", values=values)
        others = await self.searcher.call(listing, theirs, label="b lists what is theirs", values=values)
        if own.reply.json is None or others.reply.json is None:
            apart = own.reply.ok and identifier in own.reply.text and identifier not in others.reply.text
        else:
            # Numbers are everywhere: a short one is the object's id only where the owner's list has it.
            apart = own.reply.ok and bool(
                _listed(own.reply.json, identifier) - _listed(others.reply.json, identifier)
            )
        return apart or await self._refused(owner, other, thing)

    async def _refused(self, owner: Person, other: Person, thing: Thing) -> bool:
        """Whether the thing is shown to its owner at its own address, and to the other one not."""
        mine = await self.look(owner, thing)
        if mine is None or not mine.reply.ok:
            return False
        theirs = await self.look(other, thing)
        return theirs is not None and theirs.status in {401, 403, 404}

    async def public_text(self, thing: Thing) -> str:
        """What anybody is told of a thing at its own address and in its list; "" where that is nothing."""
        told = []
        for operation in (self._reader(thing), self.target.operation(f"GET {thing.collection}")):
            if operation is None:
                continue
            last = places(operation.path)[-1].name if operation.path.endswith("}") else ""
            values = quoted({**thing.above, **({last: thing.identifier} if last else {})})
            answer = await self.searcher.call(operation, label="what anybody is told", values=values)
            told.append(answer.reply.text if answer.reply.ok else "")
        return "".join(told)

    async def look(self, person: Person, thing: Thing) -> Answer | None:
        """What a person sees of one thing at its own address; None where it has none."""
        login, reader = person.login(), self._reader(thing)
        if login is None or reader is None:
            return None
        values = quoted({**thing.above, places(reader.path)[-1].name: thing.identifier})
        whose = "its owner" if person.label == "a" else person.label
        return await self.searcher.call(reader, login, label=f"control: {whose} looks", values=values)

    def _reader(self, thing: Thing) -> Operation | None:
        return next(
            (
                item
                for item in self.target.operations
                if item.method == "GET"
                and item.path.endswith("}")
                and places(item.path)[-1].collection == thing.collection
            ),
            None,
        )

    async def owner_view(self, person: Person, thing: Thing) -> Answer | None:
        """What the owner sees of one thing: by its own address, else in the list."""
        if self._reader(thing) is not None:
            return await self.look(person, thing)
        answer = await self.owner_list(person, thing)
        if answer is None:
            return None
        named = self._named(thing.collection)
        listed = [entry for entry in entries(answer.reply.json) if id_of(entry, named) == thing.identifier]
        # Only this one: what else is in the list may come and go.
        shown = replace(answer.exchange.reply, digest=f"{thing.identifier}:{len(listed)}")
        return replace(answer, exchange=replace(answer.exchange, reply=shown))

    async def owner_list(self, person: Person, thing: Thing) -> Answer | None:
        """What the list of the thing's collection shows a person; None where there is none."""
        login, listing = person.login(), self.target.operation(f"GET {thing.collection}")
        if listing is None or login is None:
            return None
        values = quoted(thing.above)
        return await self.searcher.call(listing, login, label="control: its owner lists", values=values)


def id_of(value: Any, named: str = "", depth: int = _DEEP) -> str | None:
    """The identifier in JSON data: the member that paths are `named` after, else `id`, or one that ends so.

    Where the data is the only object in an envelope, it is looked for in there.
    """
    if not isinstance(value, dict):
        return None
    told = value.get(named)
    if isinstance(told, (str, int)) and not isinstance(told, bool):
        return str(told)
    ranked = sorted(
        value, key=lambda name: (name.lower() not in {"id", "uuid", "pk"}, not name.lower().endswith("id"))
    )
    for name in ranked[:1]:
        lowered = name.lower()
        found = value[name]
        if (lowered in {"id", "uuid", "pk"} or lowered.endswith("_id")) and not isinstance(found, bool):
            return str(found) if isinstance(found, (str, int)) else None
    inner = [item for item in value.values() if isinstance(item, dict)]
    return id_of(inner[0], named, depth - 1) if len(inner) == 1 and depth else None


def entries(value: Any, depth: int = _DEEP) -> list[Any]:
    """The elements of what is listed, whatever it is wrapped in."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict) or not depth:
        return []
    listed = next((inner for inner in value.values() if isinstance(inner, list)), None)
    if listed is not None:
        return listed
    inner = [item for item in value.values() if isinstance(item, dict)]
    return entries(inner[0], depth - 1) if len(inner) == 1 else []


def _content(request: HttpRequest) -> Iterable[tuple[str, str | bytes]]:
    return (pair for pair in request.headers if pair[0].lower() == "content-type")


def _listed(value: Any, identifier: str, *, inside: bool = False) -> set[str]:
    """The names of the members that have that value in what is listed; "" for the elements themselves."""
    if isinstance(value, list):
        own = {"" for item in value if str(item) == identifier}
        return own.union(*(_listed(item, identifier, inside=True) for item in value))
    if not isinstance(value, dict):
        return set()
    here = {name for name, item in value.items() if inside and str(item) == identifier}
    return here.union(*(_listed(item, identifier, inside=inside) for item in value.values()))
