"""`must_not_change`: one user's object, changed by another in every way that the document offers.

The attacker's status decides nothing: what the owner reads afterwards does (checklist §1.3 RR).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from auth_conformance.model import (
    Exchange,
    Expectation,
    Failed,
    Inconclusive,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.pointer import put
from auth_conformance.oracles.standing import Standing, changed, flattened
from auth_conformance.probe.core import Answer, Unclear
from auth_conformance.probe.hanging import asks_to_be_let_in, id_list, named_in_body, read_at, typed
from auth_conformance.probe.isolation import NOT_THERE
from auth_conformance.probe.owning import Belonging
from auth_conformance.probe.remarks import MOST_REMARKS, Remarks, remarks, text_of

if TYPE_CHECKING:
    from auth_conformance.probe.scene import Scene
    from auth_conformance.target import Objects, Operation
    from auth_conformance.transports.message import HttpRequest

# Operations besides those that change and delete the object; each costs up to eight requests.
MOST_WRITES = 6
# How often the owner looks where a body is torn on its way, by a proxy whose buffer is full.
_LOOKS = 3
# Members by which services say whose an object is: tried on top of a change that works.
OWNERSHIP = ("owner_id", "user_id", "owner", "author_id")

# Where a path says which version of the service it means, and what in it names things.
_VERSION = re.compile(r"/v\d+(?=/)")
_HOLE = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Write:
    """One way to change an object. Without `core` a control that fails is noted and decides nothing."""

    label: str
    operation: Operation
    body: Any = None
    core: bool = True
    bulk: bool = False
    # In the path stands what is above B's own objects: who looks at that alone lets B through to A's.
    below_own: bool = False
    # The pointer of the member of the body that names the object, where no path does.
    named: str = ""
    # The deletion of the collection, whatever its method.
    deletion: bool = False
    # Whether what it does shows in the object itself: then its control has to show it.
    shows: bool = False

    @property
    def destroys(self) -> bool:
        """Whether the object is gone when it works."""
        return self.deletion or self.operation.method == "DELETE"


class Tampering(Remarks):
    """Writes to what belongs to somebody else, and lets the owner look."""

    async def must_not_change(self) -> Verdict:
        """B must not change, delete or add to A's objects. Needs objects and two users."""
        self._about_changes = True
        return await self.in_each_collection(self._nothing_changed, self.textless_not_changed)

    async def _nothing_changed(self) -> Verdict:
        self._standing_pair: tuple[Belonging, Belonging] | None = None
        self._gone = ""
        self._proven = set[str]()
        made: list[Belonging] = []
        violations: list[Violation] = []
        doubts: list[str] = []
        refused = 0
        try:
            for write in await self._writes():
                outcome: Violation | str | None = "it could not be tried"
                with self.doubting(doubts):
                    outcome = await self._write(write, made)
                if isinstance(outcome, Violation):
                    violations.append(outcome)
                elif outcome is None:
                    refused += 1
                elif write.core:
                    doubts.append(outcome)
                else:
                    self.notes.append(f"not judged: {outcome}")
            for remark in islice(remarks(self.target, self._own_objects()), MOST_REMARKS):
                rewritten = await self._remark_changed(remark, made)
                violations += [rewritten] if isinstance(rewritten, Violation) else []
                doubts += [rewritten] if isinstance(rewritten, str) else []
            planted = await self._put_below(made)
            if isinstance(planted, Violation):
                violations.append(planted)
            elif planted is not None:
                doubts.append(planted)
        finally:
            await self._take_away(made)
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            await self.must_not_be_shared()
            return Failed(tuple(violations), evidence, notes)
        if doubts or not refused:
            return Inconclusive(doubts[0] if doubts else self._nothing_tried(), "", evidence, notes)
        reason = (
            f"{refused} ways to change another user's object left it as its owner knew it; the same requests "
            "worked on an object of one's own."
        )
        return Passed(reason, evidence, notes)

    async def _writes(self) -> list[Write]:
        """List the ways to write, from the mildest to deletion. Raises Missing."""
        objects = self._own_objects()
        mild: list[Write] = []
        if objects.update is not None:
            body = self._change(objects.update)
            if any(not parent.in_body for parent in objects.parents):
                label = f"b changes it with {objects.update.method} below what is b's own"
                mild.append(Write(label, objects.update, body, below_own=True))
            mild.append(Write(f"b changes it with {objects.update.method}", objects.update, body))
            identity = await self._identity("b")
            declared = objects.update.bodies.get("application/json", {}).get("properties", {})
            mild += [
                Write(
                    f"b changes it and names itself as {name}",
                    objects.update,
                    put(dict(body), name, identity),
                    core=False,
                )
                for name in OWNERSHIP
                if name in declared or name == OWNERSHIP[0]
            ]
        further = [self._further(operation) for operation in self.target.operations]
        found = [write for write in further if write is not None]
        mild += [write for write in found[:MOST_WRITES] if not write.destroys]
        harsh = [write for write in found[:MOST_WRITES] if write.destroys]
        if objects.delete is not None:
            harsh.append(Write("b deletes it", objects.delete, deletion=True))
            if any(not parent.in_body for parent in objects.parents):
                label = "b deletes it below what is b's own"
                harsh.append(Write(label, objects.delete, below_own=True, deletion=True))
        if len(found) > MOST_WRITES:
            self.notes.append(f"{len(found) - MOST_WRITES} further operations on an object were left out")
        if not mild and not harsh:
            self._must_know_a_write()
        return [*mild, *harsh]

    def _nothing_tried(self) -> str:
        """Why nothing was judged though nothing is in doubt. Raises Missing where a line would change that."""
        self._must_know_a_write()
        return "No operation that changes an object could be tried."

    def _must_know_a_write(self) -> None:
        """Raises Missing where no operation is known that changes or deletes an object."""
        objects = self._own_objects()
        if objects.update is None and objects.delete is None:
            lines = 'update = "PUT {read}"\ndelete = "DELETE {read}"'
            raise self._none_such("changes or deletes an object", lines)

    def _change(self, operation: Operation) -> dict[str, Any]:
        return plain_change(self.scene, self._own_objects(), operation, f"changed {self.canary()}")

    def _further(self, operation: Operation) -> Write | None:
        """Return the write by another operation on the object, below it, or on several objects at once."""
        objects = self._own_objects()
        flows = (objects.update, objects.delete, objects.create, objects.read)
        known = {item.name for item in flows if item is not None}
        if operation.method not in ("PUT", "PATCH", "POST", "DELETE") or operation.name in known:
            return None
        one, collection = objects.read.path.rstrip("/"), objects.create.path.rstrip("/")
        # An older version of the same may have a guard of its own, or none; a parameter may be called otherwise there.
        path, aim = (_HOLE.sub("{}", _VERSION.sub("", item)) for item in (operation.path, one))
        if path.rstrip("/") == aim or path.startswith(f"{aim}/"):
            schema = next((item for media, item in operation.bodies.items() if media.endswith("json")), {})
            renames = objects.text_field in (schema.get("properties") or {})
            body = self._change(operation) if renames else None
            shows = path.rstrip("/") == aim and (renames or operation.method == "DELETE")
            return Write(f"b calls {operation.name} for it", operation, body, core=False, shows=shows)
        if (write := self._on_it(operation)) is not None:
            return write
        if operation.path.count("{") > collection.count("{") or not operation.path.startswith(collection):
            return None
        if id_list(operation) is None:
            return None
        return Write(
            f"b calls {operation.name} with its own id and this one", operation, core=False, bulk=True
        )

    def _on_it(self, operation: Operation) -> Write | None:
        """Return the write by an operation whose body names the object: a remark on it, a booking of it."""
        known = {item.name for item in self.target.reads()} | {
            item.operation.name for item in self.target.logouts
        }
        if operation.method != "POST" or "{" in operation.path or operation.name in known:
            return None
        found = named_in_body(operation, self._own_objects())
        if found is None:
            return None
        return Write(
            f"b calls {operation.name} with its id as {found[1][1:]}", found[0], core=False, named=found[1]
        )

    async def _identity(self, label: str) -> str:
        """Return the identifier of an account as the witness shows it, else its name."""
        if self.target.witness is None:
            return self.account(label).username
        answer = await self.call(
            self.target.witness.operation, await self.credential(owner=label), label=f"who is {label}?"
        )
        plain = flattened(answer.reply.json)
        found = next(
            (value for key, value in plain.items() if key.rsplit("/", 1)[-1] in ("id", "user_id")), None
        )
        return str(found) if found is not None else self.account(label).username

    # One write, with its control and what the owner reads.

    async def _write(self, write: Write, made: list[Belonging]) -> Violation | str | None:
        """Write as B: a change that A sees, twice, is a Violation; None when A sees none."""
        mine, theirs = await self._pair(write, made)
        proofs: list[Exchange] = [mine.made]
        gone = False
        before = await self._known_to_owner(mine)
        if (doubt := await self._works_on_own(write, theirs)) is not None:
            return doubt
        for turn in ("", "again: "):
            if turn:
                mine, theirs = await self._pair(write, made, anew=True)
                before = await self._known_to_owner(mine)
            attack = await self._perform(write, mine, theirs, turn, Role.ATTACK)
            after = await self._looks_again(mine, "control: the owner reads it again")
            # A no of another status, or in the body of a 200: that of a deleted object says that this one is gone.
            gone = after.status in (404, 410) or (
                _refuses(after) and after.exchange.reply.digest == self._gone
            )
            if not after.reply.ok and not gone:
                return f"{write.label}: the owner could not look afterwards ({after.why or after.status})"
            difference = changed(before, after.status, after.reply.json)
            if gone:
                self._standing_pair = None  # whoever put something in its place has taken it away
            if gone and difference is None:
                difference = f"its owner does not find it any more ({after.status})"
            if difference is None:
                if not turn and attack.reply.ok:
                    seen = await self._appeared(write, made) or await self._done_though_shut(write, made)
                    if seen is not None:
                        return seen
                return (
                    f"{write.label}: it had an effect once, then not"
                    if turn
                    else self._unharmed(write, attack)
                )
            proofs += [attack.exchange, after.exchange]
        message = f"{write.operation.name} worked on another user's object ({write.label}): {difference}."
        # Whatever is answered, the owner must find the object as it was: a 2xx alone proves nothing.
        proof = (self._owners_view.exchange, *proofs)
        last = proofs[2]
        expected = Expectation("accepted" if gone else "refused", about=last.number if gone else 0)
        return Violation(write.operation.name, message, None, proof, expected)

    async def _works_on_own(self, write: Write, theirs: Belonging) -> str | None:
        """The control: on an object of B's own the same has an effect. None when it has, else the doubt."""
        name, update = write.operation.name, self._own_objects().update
        shows = write.shows or (write.core and (write.deletion or write.operation is update))
        telling = shows and name not in self._proven
        before = await self._reads_any(theirs) if telling else None
        control = await self._perform(
            write, theirs, theirs, "control: on an object of its own, ", Role.CONTROL
        )
        if not control.reply.ok:
            return f"{write.label}: the same was refused on an object of one's own ({control.why or control.status})"
        if before is None:
            return None
        after = await self._looks_again(theirs, "control: b reads its own again")
        self._proven.add(name)
        if write.destroys and _refuses(after):
            self._gone = after.exchange.reply.digest
        if after.exchange.reply.digest == before.exchange.reply.digest:
            return f"{write.label}: the same, on one's own object, was answered {control.status} and changed nothing"
        return None

    async def _looks_again(self, belonging: Belonging, label: str) -> Answer:
        """What the owner is shown, whole: half an object is not one that somebody has changed. Raises Unclear."""
        objects = self._own_objects()
        for _ in range(_LOOKS):
            answer = await self.call(
                objects.read,
                belonging.owner,
                label=label,
                role=Role.CONTROL,
                values=self.at(belonging.identifier),
            )
            if not (answer.reply.ok and answer.reply.torn):
                return answer
        raise Unclear(f"{objects.read.name} did not show an object to its owner whole: its body was torn.")

    async def _appeared(self, write: Write, made: list[Belonging]) -> Violation | None:
        """What B adds below A's object by another operation: A reads one more there, twice, than before."""
        hooks = read_at(self.target, self._own_objects())
        look = next((item for item in hooks if item.operation.path == write.operation.path), None)
        if write.operation.method != "POST" or look is None:
            return None
        proofs: list[Exchange] = []
        for turn in ("", "again: "):
            mine, theirs = await self._pair(write, made, anew=True)
            if write.named and (await self._reads_foreign(mine, theirs)).status not in NOT_THERE:
                return None  # what people may look at they may have a word about: a comment, a booking
            views = []
            for when in ("before", "after"):
                if when == "after":
                    attack = await self._perform(write, mine, theirs, turn, Role.ATTACK)
                    proofs.append(attack.exchange)
                label = f"control: what the owner reads {when}, at"
                views.append(await self._below(look, mine.owner, mine.identifier, label))
            count = [len(flattened(view.reply.json)) if view.reply.ok else 0 for view in views]
            if not count[0] < count[1]:
                return None
            proofs.append(views[1].exchange)
        message = (
            f"{write.operation.name} worked below another user's object ({write.label}): its owner reads "
            f"at {look.operation.name} what the other one put there."
        )
        expected = Expectation("refused", about=proofs[2].number)
        return Violation(write.operation.name, message, None, tuple(proofs), expected)

    async def _done_though_shut(self, write: Write, made: list[Belonging]) -> Violation | None:
        """B does something to what B may not even read, twice, and not where no object is: nobody looked whose it is.

        A share link, a booking: what came of it shows nowhere in the object.
        """
        if write.operation.method != "POST" or write.bulk or asks_to_be_let_in(write.operation):
            return None
        proofs: list[Exchange] = []
        for turn in ("", "again: "):
            mine, theirs = await self._pair(write, made, anew=True)
            shut = await self._reads_foreign(mine, theirs)
            nobodys = replace(mine, identifier=self._absent_id(mine.identifier))
            self.scene.above[nobodys.identifier] = self.scene.above.get(mine.identifier, {})
            nowhere = await self._perform(
                write, nobodys, theirs, f"control: {turn}where nothing is, ", Role.CONTROL
            )
            attack = await self._perform(write, mine, theirs, turn, Role.ATTACK)
            if shut.status not in NOT_THERE or nowhere.status not in NOT_THERE or not attack.reply.ok:
                return None
            proofs += [mine.made, shut.exchange, nowhere.exchange, attack.exchange]
        message = (
            f"{write.operation.name} was done by another user to an object that only its owner may see "
            f"({write.label}), and is refused for an id that nobody has: nobody looked whose the object is."
        )
        expected = Expectation("refused", about=proofs[-1].number)
        return Violation(write.operation.name, message, Severity.HIGH, tuple(proofs), expected)

    async def _reads_foreign(self, mine: Belonging, theirs: Belonging) -> Answer:
        return await self.call(
            self._own_objects().read,
            theirs.owner,
            label="control: may b read it?",
            role=Role.CONTROL,
            values=self.at(mine.identifier),
        )

    def _unharmed(self, write: Write, attack: Answer) -> str | None:
        if attack.judgement is not None:
            return f"{write.label}: {attack.why}"
        if attack.reply.ok:
            self.notes.append(f"{write.label}: answered {attack.status}, and nothing of the owner's changed")
        return None

    async def _put_below(self, made: list[Belonging]) -> Violation | str | None:
        """B creates an object below what is A's: it counts when A finds it there, twice; no answer is a doubt."""
        objects = self._own_objects()
        if not objects.parents:
            return None
        mine, theirs = await self._put_down("a", made), await self._put_down("b", made)
        place = self.at(mine.identifier)
        if all(
            place.get(item.parameter) == self.at(theirs.identifier).get(item.parameter)
            for item in objects.parents
        ):
            self.notes.append("not judged: creating below what is A's: B's objects stand below the same")
            return None
        above = {name: value for name, value in place.items() if name != objects.id_parameter}
        proofs: list[Exchange] = []
        for turn in ("", "again: "):
            label = f"{turn}b creates an object below what is a's"
            attack, planted = await self.creates(theirs.owner, label, role=Role.ATTACK, above=above)
            if attack.judgement is not None:
                return f"creating below what is A's got no orderly answer ({attack.why})"
            if planted is None:
                return None
            there = self.at(planted.identifier, mine.identifier)
            seen = await self.call(
                objects.read,
                mine.owner,
                label="control: the owner of the place looks",
                role=Role.CONTROL,
                values=there,
            )
            if objects.delete is not None:
                await self.call(
                    objects.delete, mine.owner, label="clean up: delete what b put there", values=there
                )
            if not seen.reply.ok or planted.canary not in seen.reply.text:
                return None
            proofs += [attack.exchange, seen.exchange]
        message = (
            f"{objects.create.name} put an object of another user's below what is A's: A finds it there."
        )
        return Violation(objects.create.name, message, None, tuple(proofs), Expectation("refused"))

    async def _pair(
        self, write: Write, made: list[Belonging], *, anew: bool = False
    ) -> tuple[Belonging, Belonging]:
        """Return an object of A and one of B, new ones where the last were used up."""
        pair = self._standing_pair
        if pair is None or anew or write.destroys or write.bulk:
            pair = (await self._put_down("a", made), await self._put_down("b", made))
        self._standing_pair = None if write.destroys or write.bulk else pair
        return pair

    async def _known_to_owner(self, mine: Belonging) -> Standing:
        """Return the object as A knows it: read twice, so that what changes by itself is left out. Raises Unclear."""
        self._owners_view = await self._reads_any(mine)
        again = await self._reads_any(mine)
        return Standing.of(self._owners_view.status, self._owners_view.reply.json, again.reply.json)

    async def _reads_any(self, mine: Belonging) -> Answer:
        owner = mine.owner.owner
        answer = await self._looks_again(mine, f"control before: {owner} reads an object of their own")
        if not answer.reply.ok:
            name = self._own_objects().read.name
            raise Unclear(f"{name} did not show an object to its owner ({answer.why or answer.status}).")
        return answer

    async def _perform(self, write: Write, aim: Belonging, own: Belonging, prefix: str, role: Role) -> Answer:
        request = self._written(write, aim, own)
        live = await self.credential(owner="b")
        request = request.with_headers(*live.headers).with_query(*live.query)
        if prefix.startswith("again"):
            request = replace(request, fresh=True)
        return await self.send(
            request, label=f"{prefix}{write.label}", role=role, operation=write.operation.name
        )

    def _written(self, write: Write, aim: Belonging, own: Belonging) -> HttpRequest:
        objects = self._own_objects()
        place = self.at(aim.identifier, own.identifier if write.below_own else "")
        names = [part.split("}")[0] for part in write.operation.path.split("{")[1:]]
        own_name = next((name for name in names if name == objects.id_parameter or name not in place), "")
        values = {**place, own_name: aim.identifier} if own_name else place
        if write.named:
            values = {**values, write.named: aim.identifier}
        if write.body is not None or (write.destroys and not write.bulk):
            request = write.operation.request(values)
            return request if write.body is None else write.operation.carrying(request, write.body)
        if write.bulk:
            ids = [typed(own.identifier), typed(aim.identifier)]
            member = id_list(write.operation)
            bulk = write.operation.request(place)
            return bulk.with_json({member: ids} if member else ids)
        if self.scene.sampler is None:
            return write.operation.request(values)
        chance = type(self.rng)(f"{self.scene.seed}:{write.operation.name}")
        return self.scene.sampler(write.operation, chance, path_values=values)


def _refuses(answer: Answer) -> bool:
    """Whether this may be how a service says that nothing is there: a 400, or a no in the body of a 200."""
    return answer.reply.soft or answer.status in (400, 403, 422)


def plain_change(scene: Scene, objects: Objects, operation: Operation, text: str) -> dict[str, Any]:
    """Return a body that changes the text: what the operation's schema asks for, else only the text.

    What a change demands and the creation does not is made up: it may be optional there.
    """
    schema = next((schema for media, schema in operation.bodies.items() if media.endswith("json")), {})
    schema = schema or next(iter(operation.bodies.values()), {})
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    kept = {
        name: value
        for name, value in objects.template.items()
        if name in required or (operation.method == "PUT" and name in (properties or objects.template))
    }
    # Where bodies name things, they are there already.
    made = scene.required_of(operation) if operation.body is None else {}
    return put({**made, **kept}, text_of(properties, objects.text_field), text)
