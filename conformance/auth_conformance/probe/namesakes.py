"""`must_inherit_nothing`: accounts whose name is given out again, after they were deleted or renamed (LIF112)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.model import Exchange, Role, Severity, Verdict, Violation
from auth_conformance.oracles.canary import leaked
from auth_conformance.oracles.pointer import put, resolve
from auth_conformance.probe.accounts import Accounts
from auth_conformance.probe.core import Answer, Missing, Session, Unclear
from auth_conformance.probe.holdings import told_once
from auth_conformance.probe.welcome import welcome
from auth_conformance.secret import Secret
from auth_conformance.target import styled

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.target import Account, Operation, UserManagement


@dataclass(frozen=True, slots=True)
class Renaming:
    """How people change the name that they log in with: `member` takes it, in the object at `prefix`."""

    operation: Operation
    prefix: str
    member: str
    schema: Mapping[str, Any]


class Namesakes(Accounts):
    """Gives names out again, and sees what comes with them."""

    async def must_inherit_nothing(self) -> Verdict:
        """Nothing of an account may belong to a later one of its name, once it is deleted or renamed.

        Raises Missing or Unclear.
        """
        users = self._manageable()
        deletes = self.target.delete_account is not None or (users is not None and users.delete is not None)
        renaming = self.renaming()
        if not deletes and renaming is None:
            self._no_way_to_end_accounts()
        violations: list[Violation] = []
        doubts: list[str] = []
        told: list[str] = []
        if deletes:
            violations += await self._after_deletion(users, doubts, told)
        if renaming is not None:
            try:
                violations += await self._after_renaming(renaming, doubts, told)
            except Unclear as reason:
                if not deletes:
                    raise
                self.notes.append(f"a name that was given up was not tried: {reason}")
        return self.decided(told_once(violations), doubts, "; ".join(told) + ".")

    async def _after_deletion(
        self, users: UserManagement | None, doubts: list[str], told: list[str]
    ) -> list[Violation]:
        first = await self.expendable()
        held = await self.holdings(first)
        before = await self.facts_of(held[0].credential)
        left = await self._left_behind(held[0].credential)
        waiting = [item for item in await self.pending(first) if item.resets]
        answer, name = await self._delete(users, first, held)
        if answer is None:
            raise Missing("No way to delete an account is known.")
        made, anew = await self._named_alike(first, name)
        violations = await self.lived_on(
            held,
            "after somebody else had taken the name",
            name,
            doubts,
            shown=(answer.exchange, made.exchange),
        )
        if anew is not None:
            violations += await self._inherited(anew.credential, left, doubts)
            after = await self.facts_of(anew.credential)
            same = [
                key
                for key in ("id", "user_id", "sub", "uuid")
                if key in before and before[key] == after.get(key)
            ]
            self.notes += [f"the later account got the same {key} as the deleted one" for key in same]
            await self._must_be_live(anew, "after the replays")
            when = "after somebody else had taken the name"
            for item in waiting:
                taken = await self.reopened(item, anew.account, when, doubts)
                if taken is not None:
                    message = f"A {item.name} of the deleted account set the password of the later one."
                    proofs = (answer.exchange, made.exchange, *taken.proofs)
                    violations.append(Violation(name, message, None, proofs))
            if waiting and not violations:
                await self._must_be_live(anew, "after the old tokens were redeemed")
        heir = (
            "the later account saw nothing of it" if anew is not None else "its name is not given out again"
        )
        told.append(
            f"{len(held)} credentials of a deleted account were refused once its name was asked for; {heir}"
        )
        return violations

    # Names that are given up.

    def renaming(self) -> Renaming | None:
        """The operation by which people change the name that they log in with."""
        register = self.target.register
        return self._changing(register.user_field) if register is not None else None

    def readdressing(self) -> Renaming | None:
        """The operation by which people change their e-mail address, whether they log in with it or not."""
        register = self.target.register
        if register is None:
            return None
        if register.user_style == "email":
            return self.renaming()
        address = next((name for name, style in register.also if style == "email"), None)
        return self._changing(address) if address is not None else None

    def _changing(self, field: str) -> Renaming | None:
        witness, member = self.target.witness, field.rpartition("/")[2]
        if witness is None:
            return None
        # Where the session is a resource, logging in is a POST to the very path that names the caller.
        flows = {login.operation.name for login in self.target.logins}
        flows |= {self.target.register.operation.name} if self.target.register is not None else set()
        for operation in self.target.operations:
            own = operation.path == witness.operation.path or operation.path.startswith(
                f"{witness.operation.path}/"
            )
            changes = operation.method in ("PATCH", "PUT", "POST") and "{" not in operation.path
            if not own or not changes or operation.name in flows:
                continue
            for prefix, schema in _bodies(operation):
                known = schema.get("properties") or {}
                if member in known:
                    return Renaming(operation, prefix, member, schema)
        return None

    async def rename(
        self, renaming: Renaming, first: Account, credential: Credential, *, address: bool = False
    ) -> tuple[Account, Answer]:
        """Give up the name, or only the `address`; the account as it is then, and the answer.

        Raises Unclear when the old one is kept.
        """
        register = self.target.register
        style = register.user_style if register is not None else "name"
        only = address and style != "email"
        name = styled(f"r{self.scene.run_id}{self.word(8)}", "email" if address else style)
        facts = await self.facts_of(credential)
        required = renaming.schema.get("required") or ()
        inner: dict[str, object] = {key: facts[key] for key in required if key in facts}
        for key in renaming.schema.get("properties") or ():
            # Where a change asks for the present password; in an object of the profile it would set a new one.
            confirms = "current" in key.lower() or (key.lower() == "password" and key in required)
            if confirms and "password" in key.lower() and first.password is not None:
                inner[key] = first.password.reveal()
        inner[renaming.member] = name
        body = {renaming.prefix: inner} if renaming.prefix else inner
        answer = await self.call(
            renaming.operation,
            credential,
            label=f"the account takes another {'e-mail address' if address else 'name'}",
            body=body,
        )
        if only:
            second = replace(first, email=name)
        else:
            second = replace(first, username=name, email=name if style == "email" else first.email)
        self.scene.made_accounts = [
            (second if made is first else made, known) for made, known in self.scene.made_accounts
        ]
        logged_in = await self._logs_in(second, "control: log in with the new name", Role.CONTROL)
        taken = logged_in is not None
        if only and taken:
            session = await self.log_in(second)
            taken = name in (await self.facts_of(session.credential)).values()
        if not answer.reply.ok or not taken:
            raise Unclear(f"{renaming.operation.name} gave no other name ({answer.why or answer.status}).")
        return second, answer

    async def _after_renaming(
        self, renaming: Renaming, doubts: list[str], told: list[str]
    ) -> list[Violation]:
        """Somebody registers the name that was given up: what its first owner holds is not theirs."""
        first = await self.expendable()
        held = await self.holdings(first)
        left = await self._left_behind(held[0].credential)
        renamed, answer = await self.rename(renaming, first, held[0].credential)
        own = await self._called_at_witness(await self.log_in(renamed))
        made, anew = await self._named_alike(first, renaming.operation.name)
        if anew is None:
            told.append("a name that was given up is not given out again")
            return []
        theirs = await self._called_at_witness(anew)
        if own is None or theirs is None or own == theirs:
            raise Unclear("The two owners of a name cannot be told apart at the witness.")
        violations = []
        for holding in held:
            found = await self.presented(holding, "of who gave the name up")
            if found.accepted and found.principal == theirs:
                message = f"The {holding.name} of who gave the name up works as its later owner."
                proofs = (answer.exchange, made.exchange, *found.proofs)
                violations.append(Violation(renaming.operation.name, message, None, proofs))
            elif found.unclear:
                doubts.append(found.unclear)
        violations += await self._inherited(anew.credential, left, doubts)
        await self._must_be_live(anew, "after the replays")
        told.append("what the first owner of a name held was not its later owner's")
        return violations

    async def _called_at_witness(self, session: Session) -> str | None:
        answer = await self.at_witness(session.credential, label="who is this?", role=Role.CONTROL)
        return answer.exchange.reply.principal if answer.reply.ok else None

    async def _named_alike(self, first: Account, deletion: str) -> tuple[Answer, Session | None]:
        """Register the name again with another password; None where it is not given out again. Raises Unclear."""
        register = self.target.register
        if register is None:
            raise Missing("Nobody can register here.")
        second = replace(first, label=f"{first.label}-again", password=Secret(self.password()))
        before = await self.last_mail(second) if register.confirmed else None
        made = await self.send(
            register.request(second.username, second.password or Secret("")),
            label="somebody else registers the name of the deleted account",
            operation=register.operation.name,
        )
        if made.judgement is not None:
            raise Unclear(
                f"{register.operation.name} gave no clear answer to a name that was free again ({made.why})."
            )
        if register.confirmed and made.granted:
            await welcome(self, second, after=before)
        try:
            anew = await self.log_in(second)
        except Unclear as refusal:
            again, _ = await self.try_login(second, second.password, label="again: log in as the later one")
            if again.judgement is not None:
                why = f"{again.exchange.operation} gave no clear answer ({again.why})"
                raise Unclear(f"Whether the name is given out again was not seen: {why}.") from None
            if await self._logs_in(first, "log in to the deleted account") is not None:
                raise Unclear(f"{deletion} answered with success, and the account is still there.") from None
            self.notes.append(f"the name is not given out again: {refusal}")
            return made, None
        self.scene.made_accounts.append((second, anew.credential))
        return made, anew

    async def _left_behind(self, credential: Credential) -> tuple[str, str] | None:
        """Create an object; return its identifier and its canary."""
        objects = self.target.objects
        if objects is None:
            return None
        canary = self.canary()
        body = put(dict(objects.template), objects.text_field, canary)
        answer = await self.call(
            objects.create, credential, label="the first account creates an object", body=body
        )
        identifier = resolve(answer.reply.json, objects.identifier)
        return (str(identifier), canary) if answer.reply.ok and isinstance(identifier, (str, int)) else None

    async def _inherited(
        self, credential: Credential, left: tuple[str, str] | None, doubts: list[str]
    ) -> list[Violation]:
        objects = self.target.objects
        if objects is None or left is None:
            return []
        identifier, canary = left
        views: list[tuple[Operation, dict[str, str]]] = [(objects.read, self.at(identifier))]
        if objects.listing is not None:
            views.append((objects.listing, {}))
        found = []
        for operation, values in views:
            proofs: list[Exchange] = []
            for prefix in ("", "again: "):
                answer = await self.call(
                    operation,
                    credential,
                    label=f"{prefix}the later account asks {operation.name}",
                    role=Role.ATTACK,
                    values=values,
                    fresh=bool(prefix),
                )
                if answer.judgement is not None:
                    doubts.append(f"{operation.name}: {answer.why}")
                if leaked(canary, answer.reply.text) is None:
                    break
                proofs.append(answer.exchange)
            else:
                message = f"{operation.name} showed the later account what the deleted one had written."
                found.append(Violation(operation.name, message, Severity.MEDIUM, tuple(proofs)))
        return found


def _bodies(operation: Operation) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The JSON body of an operation, and the objects right below it: each with its name, "" for the body."""
    schema = operation.bodies.get("application/json")
    if not isinstance(schema, Mapping):
        return
    yield "", schema
    for name, inner in (schema.get("properties") or {}).items():
        if isinstance(inner, Mapping) and inner.get("properties"):
            yield str(name), inner
