"""`must_set_only_what_is_meant`: members that a client adds to a body, and what is read afterwards."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from auth_conformance.model import (
    Exchange,
    Expectation,
    Failed,
    Inconclusive,
    Need,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.nesting import (
    Holder,
    fitted,
    holders,
    put_within,
    welcomes_others,
    within,
    wrapped,
)
from auth_conformance.oracles.pointer import put, resolve
from auth_conformance.oracles.schemas import json_schema_of
from auth_conformance.oracles.standing import flattened
from auth_conformance.probe.accounts import Accounts
from auth_conformance.probe.additions import Extra, Inside, Place, additions, choices_in, listed, took
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.guarded import beneath, perhaps_privileged
from auth_conformance.probe.holdings import told_once
from auth_conformance.probe.keyexpiry import KeyExpiry
from auth_conformance.probe.naming import Naming
from auth_conformance.probe.tampering import plain_change
from auth_conformance.secret import Secret
from auth_conformance.target import Account, styled
from auth_conformance.transports.recorder import BudgetExceededError

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.target import Objects, Operation
    from auth_conformance.transports.message import HttpRequest

# Where no administrator is known, operations that refuse A and are asked again with what was added.
MOST_GUARDS = 2
# Operations by which people change their account.
MOST_PROFILES = 2
_BARRED = {401, 403, 404}
_KEY_NAMES = ("name", "label", "title")


def _in_brackets(body: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """The members of a form; what stands in another member is `user[name]`, as Rails, PHP and qs read it."""
    for name, value in body.items():
        place = f"{above}[{name}]" if above else str(name)
        if isinstance(value, Mapping):
            yield from _in_brackets(value, place)
        else:
            yield place, _plain(value)


Maker = Callable[[], Awaitable[Place | None]]


@dataclass(slots=True)
class Tally:
    """What was added where, and what came of it."""

    places: list[str] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    tried: int = 0


class Assigning(Accounts):
    """Adds what was not asked for."""

    async def must_set_only_what_is_meant(self) -> Verdict:
        """No member that a client adds may take effect. Raises Missing or Unclear."""
        self._left = {}
        tally = Tally()
        theirs, ranks = await self._what_b_is_called(), await self._ranks()
        first, further = self._places()
        for make in (*first, *further):
            begun = ""
            try:
                place = await make()
                if place is not None:
                    begun = place.name
                    await self._added_to(place, additions(place, theirs, ranks), tally)
                    tally.places.append(place.name)
            except BudgetExceededError as error:
                # What was found stands. Further collections are told, and decide nothing but findings.
                rest = f"what comes after {tally.places[-1]}" if tally.places else "all that comes after"
                told = f"{f'{begun} and ' if begun else ''}{rest}: {error}"
                if make in further:
                    self.notes.append(f"not judged: {told}")
                else:
                    tally.doubts.append(told)
                break
        if not (tally.places or tally.doubts):
            raise Missing(
                "No operation that takes a body of a user's is known.",
                self.target.remedies.get(Need.OBJECTS) or self.target.remedies.get(Need.REGISTER, ""),
            )
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if tally.violations:
            return Failed(told_once(tally.violations), evidence, notes)
        if tally.doubts:
            return Inconclusive(tally.doubts[0], "", evidence, notes)
        names = ", ".join(tally.places)
        reason = f"{tally.tried} additions to {names} set nothing that its owner reads, and opened nothing."
        return Passed(reason, evidence, notes)

    async def _added_to(self, place: Place, extras: Sequence[Extra], tally: Tally) -> None:
        """Add what there is to one place, until something takes effect; the control comes last."""
        for extra in extras:
            await self.paced()
            tally.tried += 1
            outcome = await self._added(place, extra)
            if isinstance(outcome, Violation):
                tally.violations.append(outcome)
                return
            tally.doubts += [outcome] if outcome else []
        tally.doubts += await self._still_takes(place)

    def _places(self) -> tuple[list[Maker], list[Maker]]:
        """Where bodies are taken: what people have anyhow, and their further collections."""
        further = [
            self._in_collection(objects, make)
            for objects in self.target.further
            for make in (self._at_creation, self._at_update)
        ]
        profiles = [partial(self._at_profile, number) for number in range(MOST_PROFILES)]
        first: list[Maker]
        first = [self._at_registration, *profiles, self._at_creation, self._at_update, self._at_key]
        return first, further

    def _in_collection(self, objects: Objects, make: Maker) -> Maker:
        """The same in a further collection; None, and a note, where it cannot be tried there."""

        async def made() -> Place | None:
            try:
                with self.looking_at(objects):
                    place = await make()
            except (Missing, Unclear) as unclear:
                self.notes.append(f"not judged: {objects.create.name}: {unclear.verdict.reason}")
                return None
            if place is None:
                return None
            there = place.send

            async def send(extra: Extra) -> tuple[Answer, Answer | None, Credential | None]:
                with self.looking_at(objects):
                    return await there(extra)

            return replace(place, send=send)

        return made

    async def _what_b_is_called(self) -> dict[str, Any]:
        """What the witness tells of B in the place of what it tells of A: an id that nobody has may be refused."""
        asking = Naming(self.scene, self.rule)
        try:
            of_a, of_b = [flattened((await asking.told_of(owner)).json) for owner in "ab"]
        except (Missing, Unclear):
            return {}
        return {
            str(value): of_b[pointer]
            for pointer, value in of_a.items()
            if isinstance(value, (str, int))
            and type(of_b.get(pointer)) is type(value)
            and of_b[pointer] != value
        }

    async def _ranks(self) -> dict[str, Any]:
        """What the witness tells of an administrator in the place of A's own rights, by the names of these members."""
        if "admin" not in self.target.accounts:
            return {}
        asking = Naming(self.scene, self.rule)
        try:
            mine, theirs = [_members_of((await asking.told_of(owner)).json) for owner in ("a", "admin")]
        except (Missing, Unclear):
            return {}
        names = dict(listed("rights")).keys() & theirs.keys()
        return {name: theirs[name] for name in names if theirs[name] != mine.get(name)}

    async def _still_takes(self, place: Place) -> list[str]:
        """The control afterwards: where a plain body is refused by now, refusals of others say nothing."""
        answer, read, _ = await place.send(Extra("nothing besides", ()))
        if answer.reply.ok and not answer.reply.soft and read is not None and read.reply.ok:
            return []
        last = answer if read is None or not answer.reply.ok else read
        return [f"{place.name} did not take a plain body afterwards ({last.why or last.status})"]

    # What lasting places show after what was added to them last.
    _left: dict[str, Mapping[str, Any]]

    async def _added(self, place: Place, extra: Extra) -> Violation | str | None:
        """Add the members, twice where they seem to have worked: what the owner reads, and may do, decides."""
        proofs: list[Exchange] = []
        told, severity, opened = "", None, None
        before = self._left.get(place.name, place.shown)
        for prefix in ("", "again: "):
            answer, read, credential = await place.send(replace(extra, label=f"{prefix}{extra.label}"))
            if answer.judgement is not None:
                return f"{place.name} with {extra.label}: {answer.why}"
            if not answer.reply.ok or answer.reply.soft:
                return None
            if read is None or not (place.kept or read.reply.ok):
                why = f" ({read.why or read.status})" if read is not None else ""
                return f"{place.name} with {extra.label}: a success, and what came of it was not seen{why}"
            if place.kept and not _shows(read, place.shown):
                return f"{place.name} with {extra.label}: a success, and who reads the object now is not seen"
            taken = took(place, extra, before, _members(read))
            told, severity = taken or ("", None)
            opened = await self._opens_guarded(credential) if credential is not None else None
            if opened is not None:
                told, severity = f"it opens {opened.exchange.operation}", Severity.CRITICAL
                proofs.append(opened.exchange)
            if place.lasting:
                self._left[place.name] = _members(read)
            if not told:
                return f"{place.name} with {extra.label}: an effect once, then not" if prefix else None
            proofs += [answer.exchange, read.exchange]
        message = f"{place.name} takes {extra.label} from the client: {told}."
        expected = Expectation("refused", about=opened.exchange.number) if opened is not None else None
        return Violation(place.name, message, severity, tuple(proofs), expected)

    _guards: Sequence[tuple[Operation, Answer | None]] | None = None

    async def _opens_guarded(self, credential: Credential) -> Answer | None:
        """Return the answer of an administrators' operation that lets this caller in."""
        if self._guards is None:
            self._guards = await self._find_guards()
        for operation, allowed in self._guards:
            answer = await self.call(
                operation, credential, label=f"does it open {operation.name}?", role=Role.ATTACK
            )
            alike = allowed is None or answer.exchange.reply.shape == allowed.exchange.reply.shape
            if answer.judgement is None and answer.reply.ok and not answer.reply.soft and alike:
                return answer
        return None

    async def _find_guards(self) -> list[tuple[Operation, Answer | None]]:
        """What an administrator may read and A may not; where none is known, what refuses A."""
        if "admin" in self.target.accounts:
            with contextlib.suppress(Missing):
                return [await self.guarded_read()]
            return []
        found: list[tuple[Operation, Answer | None]] = []
        for operation in perhaps_privileged(self.target):
            refused = await self.seen_by(await self.credential(), operation)
            if refused.judgement is None and refused.status in _BARRED:
                found.append((operation, None))
        return found[:MOST_GUARDS]

    # Where bodies are taken.

    def _put_in_beside(
        self, operation: Operation, request: HttpRequest, body: Any, extra: Extra
    ) -> HttpRequest:
        """`request` with `body` as `operation` takes it, the members beside its own: a file stays in its form."""
        whole = operation.carrying(request, body)
        if extra.place == "query" or "json" in str(whole.header("content-type")).lower():
            return self._with(whole, extra, operation)
        return operation.carrying(request, extra.added_to(body))

    def _with(self, request: HttpRequest, extra: Extra, operation: Operation | None = None) -> HttpRequest:
        """Add the members to a request whose body is JSON, and write it as `operation` takes it."""
        if extra.place == "query":
            return request.with_query(*((name, _plain(value)) for name, value in extra.members))
        body = json.loads(request.body or b"{}")
        match extra.place:
            case "form":
                return request.with_form(tuple(_in_brackets(extra.added_to(body))))
            case _:
                whole = extra.added_to(body)
                return (
                    operation.carrying(request, whole) if operation is not None else request.with_json(whole)
                )

    async def _with_insides(
        self, place: Place, operation: Operation, body: Mapping[str, Any], shown_by: Operation
    ) -> Place:
        """The place with what stands in its body: objects of their own, and the words that members may have."""
        takes_json = not operation.bodies or any(media.endswith("json") for media in operation.bodies)
        schema = _json_body(operation)
        path, innermost = wrapped(schema, body, place.shown)
        answers = [
            json_schema_of(answer)
            for item in (operation, shown_by)
            for answer in item.responses.values()
            if isinstance(answer, Mapping)
        ]

        def made(part: Mapping[str, Any]) -> dict[str, Any]:
            return self.scene.required_of(replace(operation, bodies={"application/json": part}, body=None))

        place = replace(
            place,
            wrapped=path,
            choices=choices_in(*operation.bodies.values(), *answers),
            # An account is more than what a body of listed members holds: a right may stand beside them.
            free=bool(schema)
            and welcomes_others(innermost)
            and not (place.of_account and place.taken and not path),
        )
        found = [await self._shown_inside(place, item) for item in holders(schema, body, place.shown, made)]
        return replace(place, inside=[item for item in found if item is not None and takes_json])

    async def _shown_inside(self, place: Place, holder: Holder) -> Inside | None:
        """An object within a body, with what a reply shows of it; None where a body must not have it."""
        if not holder.made:
            return Inside(holder, within(place.shown, holder))
        inside = Inside(holder, {})
        answer, read, _ = await place.send(Extra(f"a plain {inside.where}", (), holder=holder))
        if not answer.reply.ok or read is None or not read.reply.ok:
            why = answer.why or answer.status
            self.notes.append(
                f"not judged: what stands in {inside.where} of {place.name}: it was refused ({why})"
            )
            return None
        return replace(inside, shown=within(_members(read), holder))

    async def _at_registration(self) -> Place | None:
        register = self.target.register
        if (
            register is None
            or register.encoding != "json"
            or not self.target.logins
            or self.target.witness is None
        ):
            return None
        control = await self.log_in(await self.expendable())
        shown = await self.call(
            self.witness.operation, control.credential, label="control: a plain registration"
        )
        if not shown.reply.ok:
            raise Unclear(
                f"{self.witness.operation.name} did not show a new account ({shown.why or shown.status})."
            )

        async def send(extra: Extra) -> tuple[Answer, Answer | None, Credential | None]:
            account = self._newcomer(register.user_style)
            request = self._with(register.request(account.username, account.password or Secret("")), extra)
            answer = await self.send(
                request,
                label=f"register with {extra.label}",
                role=Role.ATTACK,
                operation=register.operation.name,
            )
            if not answer.reply.ok:
                return answer, None, None
            self.scene.made_accounts.append((account, None))
            await self.must_be_confirmed(account)
            logged, login = await self.try_login(
                account, account.password, label="log in as who registered so"
            )
            credential = login.read(logged.reply, account.label)
            if credential is None:
                return answer, logged, None
            self.scene.recorder.redactor.learn(credential.value)
            self.scene.made_accounts[-1] = (account, credential)
            read = await self.call(
                self.witness.operation, credential, label="what is it then?", role=Role.CONTROL
            )
            return answer, read, credential

        # What the owner of the service says that people may send is theirs to set, document or not.
        sent = json.loads(register.request("somebody", Secret("")).body or b"{}")
        asked = {pointer.rpartition("/")[2] for pointer in flattened(sent)}
        taken = _properties(register.operation) | asked
        plain = Place(register.operation.name, taken, _members(shown), True, send)
        return await self._with_insides(plain, register.operation, sent, self.witness.operation)

    def _newcomer(self, style: str) -> Account:
        name = styled(f"x{self.scene.run_id}{self.word(9)}", style)
        password = Secret(self.password())
        self.scene.recorder.redactor.learn(password)
        return Account(f"m{len(self.scene.made_accounts) + 1}", name, password, expendable=True)

    async def _at_profile(self, number: int) -> Place | None:
        """An operation that changes the account which the witness shows."""
        if self.target.witness is None or not self.target.logins:
            return None
        operation = next(islice(await self._profile_operations(), number, None), None)
        if operation is None:
            return None
        account = await self.disposable("profile")
        if account is None:
            self.notes.append(f"{operation.name} was not tried: no account can be made for it")
            return None
        credential = (await self.log_in(account)).credential
        shown = await self.call(
            self.witness.operation, credential, label="control: the profile", role=Role.CONTROL
        )
        told = {name: value for name, value in _members(shown).items() if name in _properties(operation)}
        for left_out in ((), (None,)):
            # What is shown as null may be none that a change takes.
            kept = {name: value for name, value in told.items() if value not in left_out}
            body = fitted(kept, _json_body(operation))
            control = await self.call(operation, credential, label="control: change nothing", body=body)
            if control.reply.ok or None not in told.values():
                break
        if not control.reply.ok:
            self.notes.append(
                f"{operation.name} did not take a plain change ({control.why or control.status})"
            )
            return None

        async def send(extra: Extra) -> tuple[Answer, Answer | None, Credential | None]:
            request = self._with(operation.request().with_json(body), extra, operation)
            answer = await self._as_caller(
                request, credential, f"change a profile with {extra.label}", operation
            )
            if not answer.reply.ok:
                return answer, None, None
            read = await self.call(
                self.witness.operation, credential, label="what is it then?", role=Role.CONTROL
            )
            return answer, read, credential

        plain = Place(operation.name, _properties(operation), _members(shown), True, send, lasting=True)
        return await self._with_insides(plain, operation, body, self.witness.operation)

    async def _profile_operations(self) -> list[Operation]:
        """What changes the account: at the witness's own path, below it with any body, or by members that it shows."""
        changing = [operation for operation in self.target.operations if operation.method in {"PATCH", "PUT"}]
        home = self.witness.operation.path
        found = [operation for operation in changing if operation.path == home][:1]
        objects = self.target.objects
        taken = (
            {item.name for item in (objects.update,) if item is not None} if objects is not None else set()
        )
        taken |= self._flows() | {item.name for item in found}
        # A session cookie is often not declared: what the witness shows tells whose the members are.
        elsewhere = [
            operation
            for operation in changing
            if "{" not in operation.path and operation.name not in taken and operation.bodies
        ]
        if not elsewhere:
            return found
        found += [item for item in elsewhere if beneath(item.path, home) and not _properties(item)]
        shown = await self.call(
            self.witness.operation, await self.credential(), label="which members are shown?"
        )
        likeness = {
            operation.name: len(_members(shown).keys() & _properties(operation)) for operation in elsewhere
        }
        alike = [item for item in elsewhere if likeness[item.name]]
        return [*found, *sorted(alike, key=lambda item: (-likeness[item.name], not item.protected))]

    def _flows(self) -> set[str]:
        """What takes a name or a password besides: logins, registration, changes and resets of passwords."""
        target = self.target
        found = target.flows()
        found |= {target.password_change.form.operation.name} if target.password_change is not None else set()
        if target.recovery is not None:
            found |= {target.recovery.ask.form.operation.name, target.recovery.confirm.form.operation.name}
        return found

    async def _as_caller(
        self, request: HttpRequest, credential: Credential, label: str, operation: Operation
    ) -> Answer:
        request = request.with_headers(*credential.headers).with_query(*credential.query)
        return await self.send(request, label=label, role=Role.ATTACK, operation=operation.name)

    async def _at_creation(self) -> Place | None:
        objects = self.target.objects
        if objects is None:
            return None
        live = await self.credential()
        control = await self.call(
            objects.create, live, label="control: create an object", body=dict(objects.template)
        )
        if not control.reply.ok:
            raise Unclear(f"{objects.create.name} made no object ({control.why or control.status}).")
        shown = await self._object_of(control, live, {})
        if shown is None:
            return None
        members = _members(shown)

        async def send(extra: Extra) -> tuple[Answer, Answer | None, Credential | None]:
            text = put(dict(objects.template), objects.text_field, self.canary())
            request = self._put_in_beside(objects.create, objects.create.request(), text, extra)
            answer = await self._as_caller(
                request, live, f"create an object with {extra.label}", objects.create
            )
            read = await self._object_of(answer, live, members) if answer.reply.ok else None
            return answer, read, None

        taken = _own_members(objects, objects.create)
        plain = Place(objects.create.name, taken, members, False, send, kept=True)
        return await self._with_insides(plain, objects.create, objects.template, objects.read)

    async def _object_of(self, made: Answer, live: Credential, members: Mapping[str, Any]) -> Answer | None:
        """Read the object that a reply names, and take it away again."""
        objects = self.target.objects
        if objects is None:
            return None
        identifier = resolve(made.reply.json, objects.identifier)
        if not isinstance(identifier, (str, int)):
            return None
        values = self.at(str(identifier))
        read, reader = await self._read_by_either(objects, live, values, members)
        if objects.delete is not None:
            await self.call(objects.delete, reader, label="clean up: delete the object", values=values)
        return read

    async def _read_by_either(
        self, objects: Objects, live: Credential, values: dict[str, str], members: Mapping[str, Any]
    ) -> tuple[Answer, Credential]:
        """What A reads of an object with these members; what B does, and B's credential, where it is A's no more."""
        read = await self.call(objects.read, live, label="what is it then?", role=Role.CONTROL, values=values)
        if _shows(read, members):
            return read, live
        try:
            other = await self.credential(owner="b")
        except (Missing, Unclear):
            return read, live
        label = "A does not read it any more: does B?"
        theirs = await self.call(objects.read, other, label=label, role=Role.CONTROL, values=values)
        return (theirs, other) if _shows(theirs, members) else (read, live)

    async def _at_update(self) -> Place | None:
        objects = self.target.objects
        if objects is None or objects.update is None:
            return None
        update, live = objects.update, await self.credential()
        values = await self._made_anew(objects, live)
        shown = await self.call(
            objects.read, live, label="control: read it", role=Role.CONTROL, values=values
        )
        members = _members(shown)
        control = await self.call(
            update,
            live,
            label="control: change it",
            values=values,
            body=plain_change(self.scene, objects, update, f"changed {self.canary()}"),
        )
        if not control.reply.ok:
            self.notes.append(f"{update.name} did not take a plain change ({control.why or control.status})")
            return None

        async def send(extra: Extra) -> tuple[Answer, Answer | None, Credential | None]:
            nonlocal values
            change = plain_change(self.scene, objects, update, f"changed {self.canary()}")
            request = self._put_in_beside(update, update.request(values), change, extra)
            answer = await self._as_caller(request, live, f"change an object with {extra.label}", update)
            if not answer.reply.ok:
                return answer, None, None
            read, reader = await self._read_by_either(objects, live, values, members)
            if reader is not live:
                values = await self._made_anew(objects, live)
            return answer, read, None

        body = plain_change(self.scene, objects, update, "")
        plain = Place(
            update.name, _own_members(objects, update), members, False, send, kept=True, lasting=True
        )
        return await self._with_insides(plain, update, body, objects.read)

    async def _made_anew(self, objects: Objects, live: Credential) -> dict[str, str]:
        """The path values of a new object of A's. Raises Unclear."""
        made = await self.call(objects.create, live, label="create an object", body=dict(objects.template))
        identifier = resolve(made.reply.json, objects.identifier)
        if not made.reply.ok or not isinstance(identifier, (str, int)):
            raise Unclear(f"{objects.create.name} made no object ({made.why or made.status}).")
        return self.at(str(identifier))

    async def _at_key(self) -> Place | None:
        keys = self.target.keys
        if keys is None or self.target.witness is None or not self.target.logins:
            return None
        login = await self.credential(self._login_kind())
        least = {
            name: value
            for name, value in keys.template.items()
            if name in next(iter(keys.create.bodies.values()), {}).get("required", [])
        }
        control = await self.call(keys.create, login, label="control: create a key", body=least)
        if not control.reply.ok:
            return None

        await KeyExpiry(self.scene, self.rule).revoke_key(control)
        path, _ = wrapped(_json_body(keys.create), least, {})
        own = resolve(least, "".join(f"/{part}" for part in path))
        names = [name for name in _KEY_NAMES if isinstance(own.get(name), str)]

        async def send(extra: Extra) -> tuple[Answer, Answer | None, Credential | None]:
            # Some services refuse a second key of one name, or many at a time.
            body = put_within(least, path, {name: f"conformance {self.word(10)}" for name in names})
            request = self._with(keys.create.request().with_json(body), extra, keys.create)
            answer = await self._as_caller(request, login, f"create a key with {extra.label}", keys.create)
            await KeyExpiry(self.scene, self.rule).revoke_key(answer)
            return answer, answer if answer.reply.ok else None, None

        plain = Place(keys.create.name, _properties(keys.create), _members(control), False, send)
        return await self._with_insides(plain, keys.create, least, keys.create)


def _json_body(operation: Operation) -> Mapping[str, Any]:
    return next((schema for media, schema in operation.bodies.items() if media.endswith("json")), {})


def _properties(operation: Operation) -> frozenset[str]:
    """Return the members that the document lets clients set."""
    return frozenset(name for schema in operation.bodies.values() for name in _settable(schema))


def _settable(schema: Mapping[str, Any]) -> Iterator[str]:
    """The members of a body; where one wraps all others, theirs as well."""
    parts = [schema, *(part for part in schema.get("allOf", ()) if isinstance(part, Mapping))]
    members = {str(name): inner for part in parts for name, inner in part.get("properties", {}).items()}
    yield from members
    if len(members) == 1 and isinstance(inner := next(iter(members.values())), Mapping):
        yield from _settable(inner)


def _own_members(objects: Objects, operation: Operation) -> frozenset[str]:
    """What a client may set of an object: what the document lists, and what is known to be taken without one."""
    taken = flattened(put(dict(objects.template), objects.text_field, ""))
    return _properties(operation) | {pointer.rpartition("/")[2] for pointer in taken}


def _members(answer: Answer) -> dict[str, Any]:
    """Return what a reply shows by name; of two members of one name the outer one, whatever envelope is around."""
    return _members_of(answer.reply.json)


def _members_of(document: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    level = [document]
    while level:
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                for name, value in item.items():
                    found.setdefault(name, value)
                inner += item.values()
        level = inner
    return found


def _shows(read: Answer, members: Mapping[str, Any]) -> bool:
    """Whether an answer shows an object with these members: a page, or an error in a 200, has others."""
    return read.reply.ok and 2 * len(_members(read).keys() & members.keys()) >= len(members)


def _plain(value: object) -> str:
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
