"""`must_not_escalate_by_key`: a key acts within its owner's rights and its own scopes (checklist KEY110)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import (
    Expectation,
    Failed,
    Inconclusive,
    Need,
    Passed,
    Role,
    Verdict,
    Violation,
)
from auth_conformance.oracles.pointer import put, resolve, strings
from auth_conformance.oracles.privilege import role_word
from auth_conformance.oracles.scopes import ScopeMember, only_reads
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.holdings import told_once
from auth_conformance.probe.keylevels import KeyLevels, Narrow, record_in
from auth_conformance.probe.narrowing import Narrowing
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.target import KeyManagement

# So many single scopes are tried; a key whose only scope is managing keys is the one that matters.
_READS = re.compile(r"\bread\b")
MOST_SCOPES = 8
MOST_GUARDED = 3
_OWNERS = ("user_id", "owner_id", "owner", "user", "account_id")
_ADDRESS = ("email", "username", "login")


class KeyScopes(KeyLevels, Narrowing):
    """Tries with a key what its owner's login may do and the key may not."""

    async def must_not_escalate_by_key(self) -> Verdict:
        """No key makes a wider key, changes its owner's secrets, or leaves its scopes. Raises Missing, Unclear."""
        keys = self.target.keys
        if keys is None:
            raise Missing("No operation that creates API keys is known.", self._remedy(Need.KEY_MANAGEMENT))
        login = await self.credential(self._login_kind())
        member = self.scopes_of_keys(keys)
        scopes = await self.scope_names(keys, member, login) if member is not None else []
        made: list[Answer] = []
        violations: list[Violation] = []
        doubts: list[str] = []
        tried: list[str] = []
        try:
            narrow = await self._narrow_keys(keys, login, member, scopes, made)
            witness, baseline = await self._key_witness(narrow[0].credential)
            await self.must_live(witness, narrow[0].credential, baseline, "before")
            if member is not None and member.single and len(narrow) > 1:
                violations += await self.levels_kept(keys, member, narrow, made)
                tried.append("keys of another level")
            elif member is not None and len(narrow) > 1:
                violations += await self._widened(keys, member, narrow, made, doubts)
                tried.append("wider keys")
            elif member is not None:
                doubts.append(f"Wider keys were not tried: no two scopes for {member.name} are known.")
            else:
                self.notes.append("not applicable: wider scopes (keys of this service have no scopes)")
            violations += await self._for_another(keys, member, narrow, made)
            tried.append("keys for another user")
            beyond = await self._beyond_scope(narrow, doubts)
            if beyond is not None:
                violations += beyond
                tried.append("changes beyond their scopes")
            violations += await self._as_administrator_by_key(narrow)
            tried.append("administration")
            violations += await self._account_by_key(tried)
            await self._revokes_another(keys, narrow)
            await self.must_live(witness, narrow[0].credential, baseline, "after")
        finally:
            for answer in made:
                await self.revoke_key(answer)
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(told_once(violations), evidence, notes)
        if doubts:
            return Inconclusive(doubts[0], _scopes_remedy(keys, member), evidence, notes)
        what = ", ".join(tried)
        return Passed(
            f"{len(narrow)} keys with as little as possible made nothing more: {what}.", evidence, notes
        )

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
            held = stated[0] if not scope and len(stated) == 1 else scope
            found.append(Narrow(held, key, answer))
            # What reads has a sister that writes, as a rule: whether there is one, the service says.
            sister = _READS.sub("write", held)
            if len(wanted) == 1 and sister != held:
                wanted.append(sister)
        if not found:
            raise Unclear(f"{keys.create.name} made no key with a single scope.")
        return found

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
                answer = await self.call(
                    keys.create, item.credential, label=label, role=Role.ATTACK, body=body
                )
                wider = self.made_by(keys, answer, made) is not None
                if not wider or not _holds_more(answer, member, item.scope):
                    break
                proof.append(answer.exchange)
            if len(proof) == 2:
                message = (
                    f"{keys.create.name} made a key with all scopes for a key that has only {item.scope}."
                )
                violations.append(
                    Violation(keys.create.name, message, None, tuple(proof), Expectation("refused"))
                )
            violations += await self._rewritten(keys, member, item, everything)
        return violations

    async def _rewritten(
        self, keys: KeyManagement, member: ScopeMember, item: Narrow, everything: list[str]
    ) -> list[Violation]:
        """Change one's own scopes, where keys can be changed; what the owner reads afterwards counts (RR)."""
        change = self.key_record(keys, ("PATCH", "PUT"))
        read = self.key_record(keys, ("GET",)) or keys.listing
        number = resolve(item.answer.reply.json, keys.identifier) if keys.identifier else None
        if change is None or read is None or number is None:
            return []
        parameter = change.path.partition("{")[2].partition("}")[0]
        values = {parameter: str(number)}
        answer = await self.call(
            change,
            item.credential,
            label=f"a key with only {item.scope} changes its scopes",
            role=Role.ATTACK,
            values=values,
            body={member.name: member.written(everything)},
        )
        seen = await self.call(
            read, await self.credential(self._login_kind()), label="the owner reads the key", values=values
        )
        record = seen.reply.json if "{" in read.path else record_in(seen.reply.json, str(number))
        if (member.stated(record) or frozenset()) > {item.scope}:
            message = f"{change.name} gave a key with only {item.scope} all scopes, on its own word."
            proof = (answer.exchange, seen.exchange)
            return [Violation(change.name, message, None, proof, Expectation("refused"))]
        return []

    async def _for_another(
        self, keys: KeyManagement, member: ScopeMember | None, narrow: list[Narrow], made: list[Answer]
    ) -> list[Violation]:
        """A key for B, on A's word: it counts when it works as B."""
        if "b" not in self.target.accounts:
            return []
        theirs = await self.facts_of(await self.credential(owner="b"))
        number = theirs.get("id") or theirs.get("sub") or self.account("b").username
        known = next(iter(keys.create.bodies.values()), {}).get("properties", {})
        # Members that are declared, or else all: a service that forbids unknown ones would refuse them together.
        owners = dict.fromkeys([name for name in _OWNERS if name in known] or _OWNERS, number)
        names = await self._name_at_witness("b")
        for item in narrow:
            own = {member.name: member.written([item.scope])} if member is not None and item.scope else {}
            body = {**keys.template, **own, **owners}
            answer = await self.call(
                keys.create, item.credential, label="a key makes one for B", role=Role.ATTACK, body=body
            )
            key = self.made_by(keys, answer, made)
            if key is None:
                continue
            witness, _ = await self._key_witness(item.credential)
            used = await self.call(
                witness.operation,
                key,
                label="whose is it?",
                role=Role.ATTACK,
                pointer=witness.identity or None,
            )
            if names is not None and used.exchange.reply.principal == names:
                message = f"{keys.create.name} made a key of B for a key of A."
                return [Violation(keys.create.name, message, None, (answer.exchange, used.exchange))]
            self.notes.append("a key may make another key of its owner with the same rights")
            break
        return []

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
                answer = await self.call(
                    objects.create,
                    item.credential,
                    label=f"{again}create an object with a key that has only {item.scope}",
                    role=Role.ATTACK,
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
        return []

    async def _as_administrator_by_key(self, narrow: list[Narrow]) -> list[Violation]:
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
            for item in narrow:
                answer = await self.call(operation, item.credential, label="by key", role=Role.ATTACK)
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

    async def _revokes_another(self, keys: KeyManagement, narrow: list[Narrow]) -> None:
        """Whether one key of A ends another: noted, since neither has more rights after it."""
        revoke = keys.revoke
        if revoke is None or len(narrow) < 2 or "{" not in revoke.path:
            return
        one, other = narrow[0], narrow[-1]
        number = resolve(other.answer.reply.json, keys.identifier) if keys.identifier else None
        if number is None:
            return
        parameter = revoke.path.partition("{")[2].partition("}")[0]
        answer = await self.call(
            revoke,
            one.credential,
            label="a key revokes another key of its owner",
            role=Role.ATTACK,
            values={parameter: str(number)},
        )
        if answer.reply.ok:
            self.notes.append(
                f"a key with only {one.scope or 'what it comes with'} can revoke other keys of its owner"
            )

    async def _account_by_key(self, tried: list[str]) -> list[Violation]:
        """Change password and address of an account made for it, by its key, without the current password."""
        account = await self.disposable("keys")
        if account is None:
            self.notes.append("no password was changed by key: nobody can register here")
            return []
        session = await self.sign_in(account, self._login_kind())
        try:
            key, _ = await self.key_of(session.credential)
        except (Missing, Unclear) as reason:
            self.notes.append(f"no password was changed by key: {reason}")
            return []
        violations: list[Violation] = []
        change = self.target.password_change
        if change is not None:
            new = Secret(self.password())
            self.scene.recorder.redactor.learn(new)
            request = change.request(None, new).with_headers(*key.headers).with_query(*key.query)
            name = change.form.operation.name
            answer = await self.send(
                request, label="change the password by key", role=Role.ATTACK, operation=name
            )
            tried.append("a new password")
            after, login = await self.try_login(account, new, label="log in with the new password")
            if login.read(after.reply, account.label) is not None:
                message = f"{name} set a new password for a key, without the current one."
                proof = (answer.exchange, after.exchange)
                violations.append(Violation(name, message, None, proof, Expectation("refused")))
        return violations + await self._address_by_key(key, session.credential, tried)

    async def _address_by_key(self, key: Credential, login: Credential, tried: list[str]) -> list[Violation]:
        """Change the address at the profile; what the owner reads there afterwards counts (RR)."""
        profile = next(
            (
                operation
                for operation in self.target.operations
                if operation.method in ("PATCH", "PUT") and operation.path == self.witness.operation.path
            ),
            None,
        )
        if profile is None:
            return []
        known = next(iter(profile.bodies.values()), {}).get("properties", {})
        address = f"{self.word(12)}@example.com"
        body = {name: address for name in _ADDRESS if name in known}
        if not body:
            return []
        answer = await self.call(profile, key, label="change the address by key", role=Role.ATTACK, body=body)
        seen = await self.call(self.witness.operation, login, label="the owner reads the profile")
        tried.append("a new address")
        if address in strings(seen.reply.json).values():
            message = f"{profile.name} changed the address of its owner for a key."
            proof = (answer.exchange, seen.exchange)
            return [Violation(profile.name, message, None, proof, Expectation("refused"))]
        return []


def _holds_more(answer: Answer, member: ScopeMember, scope: str) -> bool:
    """Whether the new key says that it may do more; a reply that does not say is taken at its word."""
    stated = member.stated(answer.reply.json)
    return stated is None or bool(stated - {scope})


def _scopes_remedy(keys: KeyManagement, member: ScopeMember | None) -> str:
    if member is None:
        return ""
    example = '["…", "…"]' if member.listed else '"… …"'
    return (
        f'[keys]\ncreate = "{keys.create.name}"\n'
        f"body = {{ {member.name} = {example} }}  # what else it needs, and every scope that A may give"
    )
