"""What the searches of one run share: two users and an administrator, what is theirs, and what stands open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.names import dangerous, likeness, mentions
from auth_conformance.model import Impact, Reply
from auth_conformance.oracles.pointer import put
from auth_conformance.probe import Missing, Scene, Unclear
from auth_conformance.transports.message import HttpRequest, RawReply
from auth_fuzz import rules
from auth_fuzz.documents import placeholders
from auth_fuzz.people import Person, Searcher, collection_of

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.probe import Answer
    from auth_conformance.target import Operation

# So many ids of one collection are enough to choose from.
_IDS = 8
_WRITES = {"POST", "PUT", "PATCH", "DELETE"}
# Words of operations that end what the search works with; the machine plays them, on users of its own.
_ENDING = {
    "password",
    "logout",
    "signout",
    "deactivate",
    "disable",
    "revokeall",
    "mfa",
    "otp",
    "reset",
    "verify",
}


class World:
    """Two users and an administrator. `meet` must be called before anything else."""

    def __init__(self, scene: Scene, *, seed: int) -> None:
        rule = replace(rules.STRANGER, code=f"FUZ{seed}", impact=Impact.WRITES)
        self.searcher = Searcher(scene, rule)
        self.target = scene.target
        self.scene = scene
        self.a: Person
        self.b: Person | None = None
        self.admin: Person | None = None
        self.canonical: Reply | None = None
        self._makers: dict[str, HttpRequest] = {}
        self._apart: dict[str, bool] = {}
        self._listed: set[str] = set()
        self._not_by_login: set[str] = set()
        self._open_witness = False
        self._victim: str | None = None
        self.exercised = self._flows()

    async def meet(self) -> None:
        """Make the cast and learn how the service refuses. Raises Missing, Unclear."""
        searcher = self.searcher
        self.a = await searcher.meet("a")
        try:
            self.b = await searcher.meet("b")
        except Missing:
            self.b = None
        if "admin" in self.target.accounts:
            try:
                account = searcher.account("admin")
                self.admin = Person("admin", account)
                await searcher.equip(self.admin)
            except (Missing, Unclear):
                self.admin = None
        for person in (self.a, self.b):
            if person is not None:
                await searcher.put_down(person)
        if self.admin is not None:
            await self.victim(anew=True)
        self._remember_makers()
        await self._learn_refusal()

    @property
    def people(self) -> list[Person]:
        """Everybody who is known."""
        return [person for person in (self.a, self.b, self.admin) if person is not None]

    async def _learn_refusal(self) -> None:
        if self.target.witness is None:
            return
        credential = next(iter(self.a.credentials.values()))
        answer = await self.searcher.ask_witness(
            self.searcher.bland(credential), "control: a meaningless credential"
        )
        self._open_witness = answer.reply.ok
        self.canonical = answer.exchange.reply

    def _flows(self) -> frozenset[str]:
        """Operations that give or take credentials: the lifecycle machine plays them."""
        target = self.target
        known: list[Operation | None] = [login.operation for login in target.logins]
        known += [logout.operation for logout in target.logouts]
        known += [
            target.register.operation if target.register else None,
            target.refresh.operation if target.refresh else None,
            target.delete_account,
        ]
        over = {name for name in target.ending if name.startswith("GET ")}
        return frozenset(operation.name for operation in known if operation is not None) | over

    def plan(self) -> tuple[list[Operation], dict[str, str]]:
        """The operations to fuzz, makers before users before deleters, and why others are left out."""
        chosen: list[Operation] = []
        left: dict[str, str] = {}
        writes = self.scene.allow_disruptive
        for operation in self.target.operations:
            why = ""
            if operation.method in {"OPTIONS", "TRACE"}:
                why = f"{operation.method} is the server's own"
            elif operation.name in self.exercised:
                why = "it gives or takes credentials: the lifecycle machine plays it"
            elif operation.method in _WRITES and not writes:
                why = "it may change something, and this target runs elsewhere: --allow-disruptive"
            elif operation.method in _WRITES and mentions(operation.path, _ENDING) and not operation.security:
                why = "it takes mailed tokens or passwords: the checks and the machine send those"
            elif dangerous(operation) and not writes:
                why = "its name says that it changes something"
            if why:
                left[operation.name] = why
            else:
                chosen.append(operation)
        return sorted(chosen, key=self._rank), left

    @staticmethod
    def _rank(operation: Operation) -> tuple[int, int, str]:
        order = {"POST": 0, "GET": 1, "HEAD": 1, "PUT": 2, "PATCH": 2, "DELETE": 4}
        ending = mentions(operation.path, _ENDING) or likeness(operation, "logout") > 1
        place = 5 if ending and operation.method in _WRITES else order.get(operation.method, 3)
        return place, operation.path.count("{"), operation.name

    # Whose is what.

    def harvest(self, person: Person, operation: Operation, request: HttpRequest, reply: RawReply) -> None:
        """Keep the ids in a reply to the person, and how things are made."""
        value, named = reply.json, self._named(operation.path)
        whole = _id_of(value, named) is not None
        if operation.method == "POST" and not placeholders(operation.path) and whole:
            bare = replace(request, headers=tuple(_content(request)), query=())
            self._makers.setdefault(operation.path, bare)
        if operation.method not in {"POST", "GET"} or placeholders(operation.path):
            return
        known = person.ids.setdefault(operation.path, [])
        for entry in [value] if whole else _entries(value):
            identifier = _id_of(entry, named)
            if identifier is not None and identifier not in known:
                known.append(identifier)
        del known[:-_IDS]

    def _named(self, collection: str) -> str:
        """What the document calls the id of what is in a collection: the parameter of the paths below it."""
        below = (item.path for item in self.target.operations if collection_of(item) == collection)
        return next((names[0] for path in below if (names := placeholders(path))), "")

    async def list_own(self, person: Person, operation: Operation) -> None:
        """Learn the person's ids in the operation's collection from its list, where it has one."""
        collection, login = collection_of(operation), person.login()
        listing = self.target.operation(f"GET {collection}")
        if listing is None or login is None or placeholders(collection) or collection in self._listed:
            return
        self._listed.add(collection)
        answer = await self.searcher.call(listing, login, label=f"{person.label} lists what is theirs")
        if answer.reply.ok:
            self.harvest(person, listing, answer.request, answer.reply)

    def ids_for(self, person: Person, operation: Operation) -> list[str]:
        """Ids that the operation may be asked about on behalf of the person."""
        if person is self.admin and operation.method in _WRITES:
            # An administrator could delete anybody: only what the run itself made is offered.
            return [self._victim] if self._victim is not None else []
        return person.ids.get(collection_of(operation), [])

    async def make(self, person: Person, collection: str) -> str | None:
        """A new object of the person's in that collection; None when it is not known how."""
        maker, login = self._makers.get(collection), person.login()
        if login is None or person is self.admin:
            return None
        if maker is None:
            return await self._make_by_login(person, login, collection)
        request = maker.with_headers(*login.headers).with_query(*login.query)
        answer = await self.searcher.send(
            request, label=f"{person.label} makes one more", operation=f"POST {collection}"
        )
        identifier = _id_of(answer.reply.json, self._named(collection)) if answer.reply.ok else None
        if identifier is not None:
            known = person.ids.setdefault(collection, [])
            known.append(identifier)
            del known[:-_IDS]
        return identifier

    async def victim(self, *, anew: bool) -> str | None:
        """The id of an account that an administrator may change or delete; None where nobody can register."""
        if anew and self.target.register is not None and self.target.witness is not None:
            searcher = self.searcher
            try:
                session = await searcher.log_in(await searcher.expendable())
                answer = await searcher.ask_witness(session.credential, "control: who may be deleted")
            except (Missing, Unclear):
                return self._victim
            self._victim = _id_of(answer.reply.json)
        return self._victim

    async def _make_by_login(self, person: Person, login: Credential, collection: str) -> str | None:
        """Logins are things, too: where a new one shows in the collection's list, that is how they are made."""
        listing = self.target.operation(f"GET {collection}")
        if listing is None or placeholders(collection) or collection in self._not_by_login:
            return None
        before = await self.searcher.call(listing, login, label=f"{person.label} lists before a login")
        try:
            await self.searcher.log_in(person.account, login.carrier.kind)
        except (Missing, Unclear):
            return None
        after = await self.searcher.call(listing, login, label=f"{person.label} lists after a login")
        named = self._named(collection)
        known = {_id_of(entry, named) for entry in _entries(before.reply.json)}
        new = [
            identifier
            for entry in _entries(after.reply.json)
            if (identifier := _id_of(entry, named)) is not None and identifier not in known
        ]
        if not new:
            self._not_by_login.add(collection)
        return new[0] if new else None

    def _remember_makers(self) -> None:
        objects, keys = self.target.objects, self.target.keys
        if objects is not None:
            body = put(dict(objects.template), objects.text_field, f"mark {self.searcher.canary()}")
            self._makers[objects.create.path] = objects.create.request().with_json(body)
        if keys is not None:
            self._makers[keys.create.path] = keys.create.request().with_json(dict(keys.template))

    async def keeps_apart(self, operation: Operation) -> bool:
        """Whether what is in the operation's collection is private: other people's lists hide it."""
        collection = collection_of(operation)
        if collection not in self._apart:
            self._apart[collection] = await self._hidden(collection)
        return self._apart[collection]

    async def _hidden(self, collection: str) -> bool:
        other = self.b.login() if self.b is not None else None
        mine = self.a.login()
        listing = self.target.operation(f"GET {collection}")
        if other is None or mine is None or listing is None:
            objects = self.target.objects
            return objects is not None and collection_of(objects.read) == collection
        identifier = await self.make(self.a, collection) or next(
            iter(self.a.ids.get(collection, [])[-1:]), None
        )
        if identifier is None:
            return False
        own = await self.searcher.call(listing, mine, label="a lists what is theirs")
        others = await self.searcher.call(listing, other, label="b lists what is theirs")
        if own.reply.json is None or others.reply.json is None:
            return own.reply.ok and identifier in own.reply.text and identifier not in others.reply.text
        # Numbers are everywhere: a short one is the object's id only where the owner's list has it.
        return own.reply.ok and bool(
            _listed(own.reply.json, identifier) - _listed(others.reply.json, identifier)
        )

    async def owner_view(self, person: Person, operation: Operation, identifier: str) -> Answer | None:
        """What the owner sees of one object: by its own address, else in the list."""
        login = person.login()
        collection = collection_of(operation)
        reader = next(
            (
                item
                for item in self.target.operations
                if item.method == "GET"
                and collection_of(item) == collection
                and item.path.endswith("}")
                and len(placeholders(item.path)) == 1
            ),
            None,
        )
        if login is None:
            return None
        if reader is not None:
            values = {placeholders(reader.path)[0]: identifier}
            return await self.searcher.call(reader, login, label="control: its owner looks", values=values)
        listing = self.target.operation(f"GET {collection}")
        if listing is None:
            return None
        answer = await self.searcher.call(listing, login, label="control: its owner lists")
        named = self._named(collection)
        listed = [entry for entry in _entries(answer.reply.json) if _id_of(entry, named) == identifier]
        # Only this one: what else is in the list may come and go.
        shown = replace(answer.exchange.reply, digest=f"{identifier}:{len(listed)}")
        return replace(answer, exchange=replace(answer.exchange, reply=shown))

    def private_marks(self, person: Person) -> set[str]:
        """Texts of the person that strangers must not see, given that the witness refuses strangers."""
        if self._open_witness:
            return set()
        return {mark for mark in person.marks if len(mark) >= 8 and ("@" in mark or len(mark) == 16)}

    def holding(self, person: Person, alternative: Iterable[str]) -> tuple[Credential, ...] | None:
        """The person's credentials for each scheme of an alternative, in order of name; None if one is missing."""
        held = []
        for scheme in sorted(alternative):
            carrier = next((item for item in self.target.carriers if item.scheme == scheme), None)
            credential = person.credentials.get(carrier.kind) if carrier is not None else None
            if carrier is None or credential is None:
                return None
            held.append(credential.moved_to(carrier) if credential.carrier.scheme != scheme else credential)
        return tuple(held)

    async def living(self, person: Person) -> Person:
        """The person with live credentials: logged in again, or somebody new, if the old ones have ended."""
        alive = True
        for credential in person.credentials.values():
            answer = await self.searcher.ask_witness(credential, f"control: {person.label} is alive")
            alive = alive and (answer.reply.ok or answer.outcome is not None)
        if alive:
            return person
        try:
            await self.searcher.equip(person)
        except (Missing, Unclear):
            person = await self.searcher.meet(person.label)
        person.ids.clear()
        self._listed.clear()
        await self.searcher.put_down(person)
        return person


def _id_of(value: Any, named: str = "") -> str | None:
    """The identifier in JSON data: the member that paths are `named` after, else `id`, or one that ends so."""
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
    return None


def _entries(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return next((inner for inner in value.values() if isinstance(inner, list)), [])
    return []


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
