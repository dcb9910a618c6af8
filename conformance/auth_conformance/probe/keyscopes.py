"""`must_not_escalate_by_key`: a key acts within its owner's rights and its own scopes (checklist KEY110)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import (
    Expectation,
    Failed,
    Inconclusive,
    Passed,
    Role,
    Verdict,
    Violation,
)
from auth_conformance.oracles.pointer import put, resolve
from auth_conformance.oracles.privilege import role_word
from auth_conformance.oracles.scopes import ScopeMember, only_reads
from auth_conformance.probe.core import Answer, Unclear
from auth_conformance.probe.holdings import told_once
from auth_conformance.probe.keylevels import Narrow
from auth_conformance.probe.keyreads import KeyReads
from auth_conformance.probe.narrowing import Narrowing
from auth_conformance.probe.tampering import plain_change

if TYPE_CHECKING:
    from auth_conformance.model import Exchange
    from auth_conformance.target import KeyManagement, Objects, Operation

# So many single scopes are tried; a key whose only scope is managing keys is the one that matters.
_READS = re.compile(r"\bread\b")
MOST_SCOPES = 8
MOST_GUARDED = 3
MOST_KINDS = 5
_OWNERS = ("user_id", "owner_id", "owner", "user", "account_id")


def kinds_of_key(keys: KeyManagement, member: ScopeMember | None) -> list[dict[str, Any]]:
    """Bodies of a creation that differ in what kind of key they ask for, as its schema lists kinds; the usual first."""
    known = next(iter(keys.create.bodies.values()), {}).get("properties")
    found = [dict(keys.template)]
    for name, inner in known.items() if isinstance(known, Mapping) else ():
        values = inner.get("enum") if isinstance(inner, Mapping) else None
        if isinstance(values, list) and (member is None or name != member.name):
            found += [{**keys.template, name: value} for value in values if value != keys.template.get(name)]
    return found[:MOST_KINDS]


class KeyScopes(KeyReads, Narrowing):
    """Tries with a key what its owner's login may do and the key may not."""

    async def must_not_escalate_by_key(self) -> Verdict:
        """No key makes a wider key, changes its owner's secrets, or leaves its scopes. Raises Missing, Unclear."""
        keys = self.target.keys
        if keys is None:
            raise self.without_keys()
        login = await self.credential(self._login_kind())
        self._of_other_kinds: list[Narrow] = []
        member = self.scopes_of_keys(keys)
        scopes = await self.scope_names(keys, member, login) if member is not None else []
        made: list[Answer] = []
        violations: list[Violation] = []
        doubts: list[str] = []
        tried: list[str] = []
        remedy = ""
        try:
            keys = await self._kind_that_narrows(keys, login, member, scopes, made)
            narrow = await self._narrow_keys(keys, login, member, scopes, made)
            witness, baseline = await self._key_witness(narrow[0].credential)
            await self.must_live(witness, narrow[0].credential, baseline, "before")
            if member is not None and member.single and len(narrow) > 1:
                violations += await self.levels_kept(keys, member, narrow, made, doubts)
                tried.append("keys of another level")
            elif member is not None and len(narrow) > 1:
                violations += await self._widened(keys, member, narrow, made, doubts)
                tried.append("wider keys")
            elif member is not None:
                doubts.append(f"Wider keys were not tried: no two scopes for {member.name} are known.")
                remedy = _scopes_remedy(keys, member)
            else:
                self.notes.append("not applicable: wider scopes (keys of this service have no scopes)")
            violations += await self._for_another(keys, member, narrow, made, doubts)
            tried.append("keys for another user")
            for objects in (self.target.objects, *self.target.further):
                with self.looking_at(objects) if objects is not None else contextlib.nullcontext():
                    beyond = await self._beyond_scope([*narrow, *self._of_other_kinds], doubts)
                    violations += await self.read_elsewhere(narrow, doubts) if member is not None else []
                if beyond is not None:
                    violations += beyond
                    tried.append("changes beyond their scopes")
            violations += await self._as_administrator_by_key(narrow, tried, doubts)
            violations += await self.account_by_key(tried, doubts)
            await self.revokes_another(keys, narrow)
            with self.doubting(doubts):
                await self.must_live(witness, narrow[0].credential, baseline, "after")
        finally:
            for answer in made:
                await self.revoke_key(answer)
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(told_once(violations), evidence, notes)
        if doubts:
            return Inconclusive(doubts[0], remedy, evidence, (*notes, *doubts[1:]))
        what = ", ".join(dict.fromkeys(tried))
        return Passed(
            f"{len(narrow)} keys with as little as possible made nothing more: {what}.", evidence, notes
        )

    async def _kind_that_narrows(
        self,
        keys: KeyManagement,
        login: Credential,
        member: ScopeMember | None,
        scopes: list[str],
        made: list[Answer],
    ) -> KeyManagement:
        """The flow by whose keys a single scope stays single: where there are several kinds, some look at none."""
        if member is None:
            return keys
        for template in kinds_of_key(keys, member):
            kept = []
            found: list[Narrow] = []
            for scope in scopes[:2]:
                answer = await self.call(
                    keys.create,
                    login,
                    label="a key of which kind has one scope alone?",
                    body=put(dict(template), member.name, member.written([scope])),
                )
                stated = member.stated(answer.reply.json)
                key = self.made_by(keys, answer, made)
                kept.append(key is not None and stated in (None, frozenset({scope})))
                if key is not None and stated is not None and len(stated) == 1:
                    found.append(Narrow(next(iter(stated)), key, answer))
            if all(kept):
                return replace(keys, template=template)
            # A kind that has one scope whatever is asked for: it is as narrow, and may have rules of its own.
            self._of_other_kinds += found[:1]
        return keys

    async def _narrow_keys(
        self,
        keys: KeyManagement,
        login: Credential,
        member: ScopeMember | None,
        scopes: list[str],
        made: list[Answer],
    ) -> list[Narrow]:
        """One key per single scope that A may give; one as it comes where that cannot be. Raises Unclear."""
        found: list[Narrow] = []
        wide: list[Narrow] = []
        wanted = scopes[:MOST_SCOPES] or [""]
        for scope in wanted:
            body = dict(keys.template)
            if member is not None and scope:
                body = put(body, member.name, member.written([scope]))
            answer = await self.call(
                keys.create, login, label=f"a key with only {scope}".removesuffix(" with only "), body=body
            )
            if (key := self.made_by(keys, answer, made)) is None:
                continue
            stated = sorted(member.stated(answer.reply.json) or ()) if member is not None else []
            if scope and set(stated) - {scope}:
                # It was asked for less and has more: nothing that it holds later shows that it grew.
                wide.append(Narrow("", key, answer))
                continue
            held = stated[0] if not scope and len(stated) == 1 else scope
            found.append(Narrow(held, key, answer))
            # What reads has a sister that writes, as a rule: whether there is one, the service says.
            sister = _READS.sub("write", held)
            if len(wanted) == 1 and sister != held:
                wanted.append(sister)
        if wide:
            self.notes.append(f"{keys.create.name} gave {len(wide)} keys more scopes than were asked for")
        if not found and not wide:
            raise Unclear(f"{keys.create.name} made no key with a single scope.")
        return found or wide[:1]

    async def _widened(
        self,
        keys: KeyManagement,
        member: ScopeMember,
        narrow: list[Narrow],
        made: list[Answer],
        doubts: list[str],
    ) -> list[Violation]:
        """Each narrow key asks for all that A may give, at creation, by exchange, and by change."""
        everything = sorted(item.scope for item in narrow)
        # The control: A's login itself may give all of them.
        body = put(dict(keys.template), member.name, member.written(everything))
        whole = await self.call(
            keys.create,
            await self.credential(self._login_kind()),
            label="control: a key with all scopes",
            body=body,
        )
        if self.made_by(keys, whole, made) is None:
            doubts.append(f"{keys.create.name} makes no key with all scopes for A's login ({whole.status})")
        violations = []
        for item in narrow:
            proof = []
            for again in ("", "again: "):
                label = f"{again}a key with only {item.scope} makes one with all scopes"
                answer = await self.by_key(keys.create, item.credential, label=label, body=body)
                self.unjudged(answer, doubts)
                wider = self.made_by(keys, answer, made) is not None
                if not wider or not await self._holds_more(keys, answer, member, item.scope, doubts):
                    break
                proof.append(answer.exchange)
            if len(proof) == 2:
                message = (
                    f"{keys.create.name} made a key with all scopes for a key that has only {item.scope}."
                )
                violations.append(
                    Violation(keys.create.name, message, None, tuple(proof), Expectation("refused"))
                )
            violations += await self._rewritten(keys, member, item, everything, doubts)
        return violations

    async def _rewritten(
        self,
        keys: KeyManagement,
        member: ScopeMember,
        item: Narrow,
        everything: list[str],
        doubts: list[str],
    ) -> list[Violation]:
        """Change one's own scopes, where keys can be changed; what the owner reads afterwards counts (RR)."""
        changed = await self.rewritten_by_key(keys, member, item, everything, doubts)
        if changed is None or not changed.stated > {item.scope}:
            return []
        message = f"{changed.operation} gave a key with only {item.scope} all scopes, on its own word."
        return [Violation(changed.operation, message, None, changed.proof, Expectation("refused"))]

    async def _holds_more(
        self, keys: KeyManagement, answer: Answer, member: ScopeMember, scope: str, doubts: list[str]
    ) -> bool:
        """Whether the new key may do more, as its creation says, or else what its owner reads of it (RR)."""
        stated = member.stated(answer.reply.json)
        if stated is None:
            _, stated = await self.stated_afterwards(keys, member, answer)
        if stated is None:
            doubts.append(
                f"{keys.create.name} made a key for a key that has only {scope}, and nothing shows the scopes of it."
            )
        return bool((stated or frozenset()) - {scope})

    async def _for_another(
        self,
        keys: KeyManagement,
        member: ScopeMember | None,
        narrow: list[Narrow],
        made: list[Answer],
        doubts: list[str],
    ) -> list[Violation]:
        """A key for B, on A's word or at B's place in the path: it counts when it works as B."""
        if "b" not in self.target.accounts:
            return []
        theirs = await self.facts_of(await self.credential(owner="b"))
        number = theirs.get("id") or theirs.get("sub") or self.account("b").username
        known = next(iter(keys.create.bodies.values()), {}).get("properties", {})
        # Members that are declared, or else all: a service that forbids unknown ones would refuse them together.
        owners = dict.fromkeys([name for name in _OWNERS if name in known] or _OWNERS, number)
        names = await self._name_at_witness("b")
        ways: list[tuple[str, dict[str, object], dict[str, str]]] = [
            ("a key makes one for B", {**owners}, {})
        ]
        if keys.owner_parameter:
            place = {keys.owner_parameter: self.account("b").username}
            ways.append(("a key makes one at B's place", {}, place))
        for label, named, values in ways:
            for item in narrow:
                own = {member.name: member.written([item.scope])} if member is not None and item.scope else {}
                answer = await self.by_key(
                    keys.create,
                    item.credential,
                    label=label,
                    values=values,
                    body={**keys.template, **own, **named},
                )
                self.unjudged(answer, doubts)
                key = self.made_by(keys, answer, made)
                if key is None:
                    continue
                proof = await self._works_as(key, names, doubts)
                if proof:
                    message = f"{keys.create.name} made a key of B for a key of A."
                    return [Violation(keys.create.name, message, None, (answer.exchange, *proof))]
                self.notes.append("a key may make another key of its owner with the same rights")
                break
        return []

    async def _works_as(self, key: Credential, name: str | None, doubts: list[str]) -> list[Exchange]:
        """How the key worked as that person, twice; nothing where it did not."""
        witness, _ = await self._key_witness(key)
        proof = []
        for again in ("", "again: "):
            used = await self.by_key(
                witness.operation,
                key,
                label=f"{again}whose is it?",
                pointer=witness.identity or None,
                fresh=bool(again),
            )
            self.unjudged(used, doubts)
            told = used.exchange.reply.principal
            if used.reply.ok and (name is None or told is None):
                doubts.append(f"{witness.operation.name} does not tell whose the key is that a key made.")
            if name is None or told != name:
                return []
            proof.append(used.exchange)
        return proof

    async def _name_at_witness(self, owner: str) -> str | None:
        # A witness of keys calls people otherwise than theirs does: there a key of the owner's tells the name.
        kind = Kind.KEY if self.target.key_witness is not None else None
        live = await self.credential(kind, owner)
        return (await self.baseline(self.witness, live)).principal

    async def _beyond_scope(self, narrow: list[Narrow], doubts: list[str]) -> list[Violation] | None:
        """Create an object with a key whose only scope is not the one that the document asks for.

        Where the document asks for none, with a key whose scope says that it only reads. None where that cannot be
        tried.
        """
        objects = self.target.objects
        asked = objects.create.scopes if objects is not None else ()
        others = [item for item in narrow if (item.scope not in asked if asked else only_reads(item.scope))]
        if objects is None or not others:
            missing = (
                f"no key without {asked[0]}" if asked else "the document names none, and no key only reads"
            )
            self.notes.append(f"no change was tried beyond the scopes: {missing}")
            return None
        control = await self.call(
            objects.create,
            await self.credential(self._login_kind()),
            label="control: the owner's login creates an object",
            role=Role.CONTROL,
            body=dict(objects.template),
        )
        if not control.reply.ok:
            self.notes.append(
                f"no change was tried beyond the scopes: {objects.create.name}: {control.status}"
            )
            return None
        for item in others:
            proof = []
            for again in ("", "again: "):
                answer = await self.by_key(
                    objects.create,
                    item.credential,
                    label=f"{again}create an object with a key that has only {item.scope}",
                    body=dict(objects.template),
                )
                if answer.judgement is not None:
                    doubts.append(
                        f"{objects.create.name} with a key that has only {item.scope}: {answer.why}."
                    )
                if not answer.reply.ok or resolve(answer.reply.json, objects.identifier) is None:
                    break
                proof.append(answer.exchange)
            if len(proof) == 2:
                message = f"{objects.create.name} works with a key that has only {item.scope}."
                return [Violation(objects.create.name, message, None, tuple(proof), Expectation("refused"))]
        reader = next((item for item in others if only_reads(item.scope)), None)
        if reader is None:
            return []
        changed = await self._changed_by_reader(objects, reader, doubts)
        return changed + await self._deleted_by_reader(objects, reader, doubts)

    async def _changed_by_reader(
        self, objects: Objects, reader: Narrow, doubts: list[str]
    ) -> list[Violation]:
        """A key that only reads, as its scope says, changes no object of its owner's: by none of its methods."""
        found: list[Violation] = []
        for operation in self.target.operations:
            if operation.path != objects.read.path or operation.method not in ("PUT", "PATCH"):
                continue
            once = await self._change_seen(objects, operation, reader, doubts, "")
            again = await self._change_seen(objects, operation, reader, doubts, "again: ") if once else ()
            if again:
                message = f"{operation.name} works with a key that has only {reader.scope}."
                proof = (*once, *again)
                found.append(Violation(operation.name, message, None, proof, Expectation("refused")))
            elif once:
                doubts.append(f"{operation.name} worked once with a key that has only {reader.scope}")
        return found

    async def _change_seen(
        self, objects: Objects, operation: Operation, reader: Narrow, doubts: list[str], again: str
    ) -> tuple[Exchange, ...]:
        """The change by key and its owner's look, where the new text is seen; else nothing."""
        login, text = await self.credential(self._login_kind()), self.canary()
        number = await self.own_object(objects, f"a key with only {reader.scope}", doubts, again=again)
        if not number:
            return ()
        place = self.at(number)
        label = f"{again}change it by {operation.method} with a key that has only {reader.scope}"
        change = plain_change(self.scene, objects, operation, text)
        done = await self.by_key(operation, reader.credential, label=label, values=place, body=change)
        self.unjudged(done, doubts)
        label = f"{again}control: the owner's login reads what may have changed"
        seen = await self.call(objects.read, login, label=label, role=Role.CONTROL, values=place)
        if not seen.reply.ok:
            doubts.append(
                f"{objects.read.name} did not show an object to its owner ({seen.why or seen.status})"
            )
        if objects.delete is not None:
            await self.call(objects.delete, login, label="clean up: delete it", values=place)
        return (done.exchange, seen.exchange) if text in seen.reply.text else ()

    async def _deleted_by_reader(
        self, objects: Objects, reader: Narrow, doubts: list[str]
    ) -> list[Violation]:
        """A key that only reads, as its scope says, deletes no object of its owner's."""
        if objects.delete is None:
            return []
        login = await self.credential(self._login_kind())
        proof: list[Exchange] = []
        for again in ("", "again: "):
            number = await self.own_object(objects, f"a key with only {reader.scope}", doubts, again=again)
            if not number:
                return []
            place = self.at(number)
            label = f"{again}delete it with a key that has only {reader.scope}"
            gone = await self.by_key(objects.delete, reader.credential, label=label, values=place)
            self.unjudged(gone, doubts)
            label = f"{again}control: the owner's login reads it"
            seen = await self.call(objects.read, login, label=label, role=Role.CONTROL, values=place)
            if seen.reply.ok or not gone.reply.ok:
                await self.call(objects.delete, login, label="clean up: delete it", values=place)
                return []
            proof += [gone.exchange, seen.exchange]
        message = f"{objects.delete.name} works with a key that has only {reader.scope}."
        return [Violation(objects.delete.name, message, None, tuple(proof), Expectation("refused"))]

    async def _as_administrator_by_key(
        self, narrow: list[Narrow], tried: list[str], doubts: list[str]
    ) -> list[Violation]:
        """What A's login may not read, A's keys may not either."""
        login = await self.credential(self._login_kind())
        guarded = [
            operation
            for operation in self.target.operations
            if operation.method == "GET"
            and "{" not in operation.path
            and (
                operation.name in self.target.policy.privileged_operations
                or role_word([operation.path, operation.operation_id])
            )
        ]
        violations = []
        for operation in guarded[:MOST_GUARDED]:
            owner = await self.call(operation, login, label="control: the owner's login")
            if owner.reply.ok or owner.judgement is not None:
                continue
            tried.append("administration")
            for item in narrow:
                answer = await self.by_key(operation, item.credential, label="by key")
                self.unjudged(answer, doubts)
                again = (
                    await self.call(
                        operation, item.credential, label="again: by key", role=Role.ATTACK, fresh=True
                    )
                    if answer.reply.ok
                    else answer
                )
                if answer.reply.ok and again.reply.ok:
                    message = f"{operation.name} answers a key of A, and refuses A's login ({owner.status})."
                    proof = (owner.exchange, answer.exchange, again.exchange)
                    violations.append(Violation(operation.name, message, None, proof, Expectation("refused")))
                    break
        return violations


def _scopes_remedy(keys: KeyManagement, member: ScopeMember | None) -> str:
    if member is None:
        return ""
    example = '["…", "…"]' if member.listed else '"… …"'
    return (
        f'[keys]\ncreate = "{keys.create.name}"\n'
        f"body = {{ {member.name} = {example} }}  # what else it needs, and every scope that A may give"
    )
