"""`must_not_confuse`: one's own id in one place of a request and somebody else's in another."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.model import Exchange, Role, Verdict, Violation
from auth_conformance.oracles.canary import leaked
from auth_conformance.oracles.pointer import put, put_beside
from auth_conformance.oracles.standing import changed, flattened
from auth_conformance.probe.core import Answer, Unclear
from auth_conformance.probe.gathering import OWNER_PARAMETERS
from auth_conformance.probe.owning import Belonging
from auth_conformance.probe.signedlinks import SignedLinks
from auth_conformance.probe.tampering import Tampering

if TYPE_CHECKING:
    from auth_conformance.target import Operation
    from auth_conformance.transports.message import HttpRequest


@dataclass(frozen=True, slots=True)
class Mixture:
    """A request that names two things where one is meant; `core` ones must get an orderly answer."""

    label: str
    operation: Operation
    request: HttpRequest
    core: bool = True


class Confusion(Tampering):
    """Sends ids of two owners in one request."""

    async def must_not_confuse(self) -> Verdict:
        """What is authorised must be what is used. Needs objects and two users. Raises Missing or Unclear."""
        return await self.in_each_collection(self._nothing_confused)

    async def _nothing_confused(self) -> Verdict:
        made: list[Belonging] = []
        violations: list[Violation] = []
        doubts: list[str] = []
        sent = 0
        try:
            mine, theirs = await self._put_down("a", made), await self._put_down("b", made)
            await self._consistent(theirs)
            for mixture in await self._mixtures(mine, theirs):
                sent += 1
                outcome: Violation | str | None = None
                with self.doubting(doubts):
                    outcome = await self._mixed(mixture, mine)
                if isinstance(outcome, Violation):
                    if all(outcome.operation != known.operation for known in violations):
                        violations.append(outcome)
                    mine = await self._put_down("a", made)
                elif outcome and mixture.core:
                    doubts.append(outcome)
                elif outcome:
                    self.notes.append(f"not judged: {outcome}")
            with self.doubting(doubts):
                if not violations:
                    violations += await self._confused_deletions(made, doubts)
                violations += await self._creations(doubts)
                links = SignedLinks(self.scene, self.rule)
                try:
                    violations += await links.good_for_more()
                finally:
                    self.notes += links.notes
                    self.evidence += links.evidence
                await self._consistent(await self._put_down("b", made))
        finally:
            await self._take_away(made)
        reason = (
            f"{sent} requests that named the objects of two users showed and changed only the caller's own."
        )
        if violations:
            await self.must_not_be_shared()
        return self.decided(violations, doubts, reason)

    async def _consistent(self, theirs: Belonging) -> None:
        """See that B gets through with B's id in every place. Raises Unclear."""
        await self._reads_own(theirs, "of consistent requests")
        update = self._own_objects().update
        if update is None:
            return
        answer = await self._as_b(
            Mixture("control: b changes its own object", update, self._update_of(theirs)), Role.CONTROL
        )
        if not answer.reply.ok:
            raise Unclear(
                f"{update.name} did not change an object for its owner ({answer.why or answer.status})."
            )

    def _update_of(self, belonging: Belonging, **more: Any) -> HttpRequest:
        objects = self._own_objects()
        if objects.update is None:
            raise Unclear("No operation changes an object.")
        body: dict[str, Any] = self._change(objects.update)
        for name, value in more.items():
            body = put_beside(body, {name: value})
        bare = objects.update.request(self.at(belonging.identifier))
        return objects.update.carrying(bare, body)

    async def _mixtures(self, mine: Belonging, theirs: Belonging) -> list[Mixture]:
        """List the requests: path against query, path against body, members and parameters twice, other types."""
        objects = self._own_objects()
        in_body = objects.id_parameter.startswith("/")
        names = list(dict.fromkeys((objects.id_parameter.rpartition("/")[2].removeprefix("?"), "id")))
        place = "body" if in_body else "query" if objects.id_parameter.startswith("?") else "path"
        own, foreign = theirs.identifier, mine.identifier
        at_own = objects.read.request(self.at(own))
        found: list[Mixture] = []
        for name in names:
            found += [
                Mixture(
                    f"own id in the {place}, A's as {name} in the query",
                    objects.read,
                    at_own.with_query((name, foreign)),
                ),
                Mixture(
                    f"own id in the {place}, A's as {name}[] in the query",
                    objects.read,
                    at_own.with_query((f"{name}[]", foreign)),
                    core=False,
                ),
                Mixture(
                    f"own id in the {place}, own and A's as {name} in the query",
                    objects.read,
                    at_own.with_query((name, own), (name, foreign)),
                ),
                Mixture(
                    f"own id in the {place}, A's and own as {name} in the query",
                    objects.read,
                    at_own.with_query((name, foreign), (name, own)),
                ),
            ]
        if in_body and not await self._shown_outright(mine, theirs):
            found += [
                Mixture(f"both ids as {names[0]} in the body, A's {where}", objects.read, request)
                for where, request in zip(
                    ("first", "last"), _twice(at_own, names[0], own, foreign), strict=True
                )
            ]
        if objects.update is not None and not (in_body and await self._changed_outright(mine)):
            found += self._changes(objects.update, names, mine, theirs)
        for operation in self.target.operations:
            if operation.method != "GET" or "{" in operation.path or operation.name == objects.read.name:
                continue
            for item in operation.parameters:
                if item.place == "query" and item.name in (*names, "id", "ids"):
                    bare = operation.request()
                    pairs = ((item.name, own), (item.name, foreign))
                    found += [
                        Mixture(
                            f"{item.name} twice at {operation.name}, own first",
                            operation,
                            bare.with_query(*pairs),
                        ),
                        Mixture(
                            f"{item.name} twice at {operation.name}, A's first",
                            operation,
                            bare.with_query(*pairs[::-1]),
                        ),
                    ]
        return found

    async def _shown_outright(self, mine: Belonging, theirs: Belonging) -> bool:
        """Whether B reads A's object by its id alone: two ids then confuse nobody, and AUZ101 tells."""
        answer = await self.call(
            self._own_objects().read,
            theirs.owner,
            label="control: b names A's object alone",
            role=Role.CONTROL,
            values=self.at(mine.identifier),
        )
        return leaked(mine.canary, answer.reply.text) is not None

    async def _changed_outright(self, mine: Belonging) -> bool:
        """Whether B changes A's object by its id alone: two ids then confuse nobody, and AUZ102 tells."""
        update = self._own_objects().update
        if update is None:
            return False
        before = await self._known_to_owner(mine)
        alone = Mixture("control: b changes A's object, named alone", update, self._update_of(mine))
        await self._as_b(alone, Role.CONTROL)
        after = await self._reads_any(mine)
        return changed(before, after.status, after.reply.json) is not None

    def _changes(
        self, update: Operation, names: list[str], mine: Belonging, theirs: Belonging
    ) -> list[Mixture]:
        own, foreign = theirs.identifier, mine.identifier
        plain = self._update_of(theirs)
        found: list[Mixture] = []
        for name in names:
            # Where the body alone names the object, A's id in it is no mixture: AUZ102 sends that.
            alone = update.body is not None and name in update.body
            first, last = _twice(plain, name, own, foreign)
            found += [
                Mixture(
                    f"a change with A's id as {name} in the query", update, plain.with_query((name, foreign))
                ),
                Mixture(
                    f"a change with both ids as {name} in the body, A's last",
                    update,
                    last,
                ),
                Mixture(
                    f"a change with both ids as {name} in the body, A's first",
                    update,
                    first,
                ),
                Mixture(
                    f"a change with both ids as a list {name} in the body",
                    update,
                    self._update_of(theirs, **{name: [own, foreign]}),
                    core=False,
                ),
                Mixture(
                    f"a change with A's id as an object {name} in the body",
                    update,
                    self._update_of(theirs, **{name: {"$eq": foreign}}),
                    core=False,
                ),
            ]
            if not alone:
                by_body = self._update_of(theirs, **{name: foreign})
                found.append(Mixture(f"a change with A's id as {name} in the body", update, by_body))
        form = tuple(
            (str(key), str(value)) for key, value in {**self._change(update), names[-1]: foreign}.items()
        )
        found.append(Mixture("a form with A's id", update, plain.with_form(form), core=False))
        if foreign.isdecimal():
            spelled = (
                f"+{foreign}",
                f"{foreign}.0",
                f"{foreign} ",
                f"0{foreign}",
                f"{foreign[0]}_{foreign[1:]}",
            )
            found += [
                Mixture(
                    f"a change with A's id spelled {text!r} in the query",
                    update,
                    plain.with_query((names[-1], text)),
                    core=False,
                )
                for text in spelled
            ]
        return found

    async def _as_b(self, mixture: Mixture, role: Role, prefix: str = "") -> Answer:
        live = await self.credential(owner="b")
        request = mixture.request.with_headers(*live.headers).with_query(*live.query)
        if prefix:
            request = replace(request, fresh=True)
        return await self.send(
            request, label=prefix + mixture.label, role=role, operation=mixture.operation.name
        )

    async def _mixed(self, mixture: Mixture, mine: Belonging) -> Violation | str | None:
        """Send one as B; what B is shown and what A reads afterwards decide, twice."""
        before = await self._known_to_owner(mine) if mixture.operation.method != "GET" else None
        proofs: list[Exchange] = []
        told = ""
        for prefix in ("", "again: "):
            answer = await self._as_b(mixture, Role.ATTACK, prefix)
            proofs.append(answer.exchange)
            how = leaked(mine.canary, answer.reply.text)
            told = f"B was shown what A had written, {how}" if how else ""
            if not told and before is not None:
                after = await self._reads_any(mine)
                difference = changed(before, after.status, after.reply.json)
                told = f"A's object changed: {difference}" if difference else ""
                proofs.append(after.exchange)
            if not told:
                if prefix:
                    return f"{mixture.label}: an effect once, then not"
                return f"{mixture.label}: {answer.why}" if answer.judgement is not None else None
        message = f"{mixture.operation.name}, {mixture.label}: {told}."
        return Violation(mixture.operation.name, message, None, tuple(proofs))

    async def _confused_deletions(self, made: list[Belonging], doubts: list[str]) -> list[Violation]:
        """Delete B's own object with A's id in the query and in the body: A must find A's, each time anew."""
        objects = self._own_objects()
        if objects.delete is None or objects.id_parameter.startswith("/"):
            return []
        for name in dict.fromkeys((objects.id_parameter.removeprefix("?"), "id")):
            for place in ("query", "body"):
                proofs: list[Exchange] = []
                label = f"a deletion of its own with A's id as {name} in the {place}"
                for prefix in ("", "again: "):
                    mine, theirs = await self._put_down("a", made), await self._put_down("b", made)
                    bare = objects.delete.request(self.at(theirs.identifier))
                    pair = (name, mine.identifier)
                    request = bare.with_query(pair) if place == "query" else bare.with_json(dict([pair]))
                    answer = await self._as_b(Mixture(label, objects.delete, request), Role.ATTACK, prefix)
                    after = await self._looks_again(mine, "control: the owner reads it again")
                    gone = after.status in (404, 410)
                    if answer.judgement is not None or not (gone or after.reply.ok):
                        doubts.append(f"{label}: {answer.why or after.why or after.status}")
                    if not gone:
                        doubts += [f"{label}: an effect once, then not"] if prefix else []
                        break
                    proofs += [answer.exchange, after.exchange]
                else:
                    message = f"{objects.delete.name}, {label}: A does not find A's object any more."
                    return [Violation(objects.delete.name, message, None, tuple(proofs))]
        return []

    async def _creations(self, doubts: list[str]) -> list[Violation]:
        """Create as B, with A as the owner in the query and in the body: nothing of it may turn up at A's."""
        objects = self._own_objects()
        listing = objects.listing
        if listing is None:
            return []
        foreign, own = await self._identity("a"), await self._identity("b")
        plain = self.canary()
        text = put(dict(objects.template), objects.text_field, plain)
        honest = objects.create.carrying(objects.create.request(), text)
        made = await self._as_b(
            Mixture("an honest creation", objects.create, honest), Role.CONTROL, "control: "
        )
        seen = await self.call(listing, await self.credential(), label="what A lists then", role=Role.CONTROL)
        if not made.reply.ok or not seen.reply.ok:
            doubts.append(
                f"{objects.create.name}: whose a creation is was not seen "
                f"({made.why or made.status}, then {seen.why or seen.status} at {listing.name})"
            )
            return []
        if leaked(plain, seen.reply.text) is not None:
            self.notes.append(f"{listing.name} shows A what is B's: whose a creation is cannot be seen there")
            return []
        names = dict.fromkeys([*self._naming_owner(made, own), *OWNER_PARAMETERS[:2]])
        for name in names:
            for query, body in ((own, foreign), (foreign, own)):
                proofs: list[Exchange] = []
                for prefix in ("", "again: "):
                    canary = self.canary()
                    marked = put(dict(objects.template), objects.text_field, canary)
                    text = put_beside(marked, {name: body})
                    bare = objects.create.carrying(objects.create.request(), text).with_query((name, query))
                    mixture = Mixture(
                        f"a creation with {name} of A in one place and of B in the other",
                        objects.create,
                        bare,
                    )
                    answer = await self._as_b(mixture, Role.ATTACK, prefix)
                    owners = await self.call(
                        listing, await self.credential(), label="what A lists then", role=Role.CONTROL
                    )
                    proofs += [answer.exchange, owners.exchange]
                    if answer.judgement is not None or not owners.reply.ok:
                        doubts.append(f"{mixture.label}: {answer.why or owners.why or owners.status}")
                    if leaked(canary, owners.reply.text) is None:
                        break
                else:
                    message = f"{objects.create.name}, {mixture.label}: what B made is A's."
                    return [Violation(objects.create.name, message, None, tuple(proofs))]
        return []

    def _naming_owner(self, made: Answer, own: str) -> list[str]:
        """The members of a new object that hold its owner's identifier: they name the owner."""
        values = flattened(made.reply.json).items()
        held = [pointer for pointer, value in values if str(value) == own and pointer.count("/") == 1]
        return [pointer[1:] for pointer in held if pointer != self._own_objects().identifier][:2]


def _twice(request: HttpRequest, name: str, own: str, foreign: str) -> tuple[HttpRequest, HttpRequest]:
    """The request with both ids as members of one name, after what else its body holds: A's first, and A's last."""
    body = json.loads(request.body or b"{}")
    kept = {key: value for key, value in body.items() if key != name}
    is_number = isinstance(body.get(name), int)
    one, two = (item if is_number and item.isdecimal() else json.dumps(item) for item in (own, foreign))
    text = json.dumps(kept)[1:-1] + (", " if kept else "")
    spelled = json.dumps(name)
    first, last = (
        f"{{{text}{spelled}: {left}, {spelled}: {right}}}".encode()
        for left, right in ((two, one), (one, two))
    )
    return replace(request, body=first), replace(request, body=last)
