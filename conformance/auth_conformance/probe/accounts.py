"""`must_lose_everything`, `must_follow_role`: accounts that are shut and lowered."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from auth_conformance.model import (
    Exchange,
    Failed,
    Inconclusive,
    Need,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.standing import flattened
from auth_conformance.probe.core import Answer, Missing, Session, Unclear
from auth_conformance.probe.guarded import Guarded
from auth_conformance.probe.holdings import Holding, told_once
from auth_conformance.probe.pending import Pending, PendingTokens
from auth_conformance.probe.shutting import Shutting
from auth_conformance.probe.sockets import Sockets
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auth_conformance.target import Account, Operation, Switch, UserManagement


class Accounts(Sockets, Shutting, PendingTokens, Guarded):
    """Changes expendable accounts, and watches what they held."""

    # Disabled and deleted accounts.

    async def must_lose_everything(self) -> Verdict:
        """A disabled or deleted account must lose all its credentials. Raises Missing or Unclear."""
        users = self._manageable()
        alone = users is None and self.target.delete_account is None
        if alone and self.target.database is None:
            self._no_way_to_end_accounts()
        violations: list[Violation] = []
        doubts: list[str] = []
        ended: list[str] = []
        other = await self._watched()
        if users is None or users.disable is None:
            violations += await self._shut_by_row(ended, doubts, alone=alone)
        if users is not None and users.disable is not None:
            violations += await self._disabled(users, users.disable, doubts)
            ended.append(users.disable.operation.name)
        violations += await self._deletions(users, ended, doubts, go_on=not violations)
        if other is not None:
            await self._must_be_live(other, "after another account had ended")
        if violations:
            return Failed(told_once(violations), tuple(self.evidence), tuple(self.notes))
        if doubts:
            return Inconclusive(doubts[0], "", tuple(self.evidence), tuple(self.notes))
        reason = f"After {' and '.join(ended)} every credential of the account was refused; another account went on."
        return Passed(reason, tuple(self.evidence), tuple(self.notes))

    async def _deletions(
        self, users: UserManagement | None, ended: list[str], doubts: list[str], *, go_on: bool
    ) -> list[Violation]:
        """Delete accounts in each way, unless something was found, and shut one whose socket is open."""
        violations: list[Violation] = []
        try:
            for who in self._deleters(users) if go_on else ():
                violations += await self._deleted(who, doubts)
                ended.append("deletion by an administrator" if who is not None else "deletion by its owner")
            violations += await self._socket_outlives(users, doubts)
        except Missing as reason_not:
            if not ended:
                raise
            self.notes.append(f"not everything was tried: {reason_not}")
        return violations

    async def _shut_by_row(self, ended: list[str], doubts: list[str], *, alone: bool) -> list[Violation]:
        """Shut an account in the database, where it is given. `alone` says that there is no other way."""
        if self.target.database is None:
            return []
        try:
            violations, flag = await self.shut_in_storage(doubts)
        except Missing as reason:
            self.notes.append(f"the database shut no account: {reason}")
            if alone:
                self._no_way_to_end_accounts()
            return []
        except Unclear as reason:
            if alone:
                raise
            self.notes.append(f"the database shut no account: {reason}")
            return []
        ended.append(f"a change of {flag}")
        return violations

    def _deleters(self, users: UserManagement | None) -> list[UserManagement | None]:
        """By whom accounts are deleted: an administrator, and None for their owners, who have code of their own."""
        found: list[UserManagement | None] = [users] if users is not None and users.delete is not None else []
        found += [None] if self.target.delete_account is not None else []
        if not found:
            self.notes.append("no way to delete an account is known: disabling was tried only")
        return found

    def _manageable(self) -> UserManagement | None:
        if self.target.users is None:
            return None
        if "admin" not in self.target.accounts:
            self.notes.append("no administrator is known: only what people do to their own account was tried")
            return None
        return self.target.users

    def _no_way_to_end_accounts(self) -> None:
        absent = self.target.absent.get(Need.USER_MANAGEMENT)
        if absent is not None:
            raise Missing(f"Not applicable: {absent}", applicable=False)
        if self.target.users is not None:
            told = "Accounts are disabled and deleted by an administrator, and none is known."
            raise Missing(told, self.target.remedies.get(Need.ADMIN, ""))
        told = "No way is known to disable or delete an account."
        raise Missing(told, self.target.remedies.get(Need.USER_MANAGEMENT, ""))

    async def _watched(self) -> Session | None:
        """Open a session of an account that nothing happens to: the negative control."""
        account = await self.disposable("another user") or self.target.accounts.get("b")
        if account is None or account.password is None or not self.target.logins:
            self.notes.append("whether another account goes on was not seen: none is known")
            return None
        session = await self.sign_in(account, self.target.logins[0].carrier.kind)
        await self._must_be_live(session, "before")
        return session

    async def _disabled(self, users: UserManagement, switch: Switch, doubts: list[str]) -> list[Violation]:
        account = await self.victim()
        held = await self.holdings(account)
        waiting = await self.pending(account)
        facts = await self.facts_of(held[0].credential)
        answer = await self.as_administrator(switch, facts, "an administrator disables the account")
        if not answer.reply.ok:
            raise Unclear(f"{switch.operation.name} disabled nobody ({answer.why or answer.status}).")
        violations = await self.lived_on(
            held, "after the account was disabled", switch.operation.name, doubts, shown=(answer.exchange,)
        )
        logged_in = await self._let_in_twice(self._logs_in, account, "log in to the disabled account", doubts)
        if logged_in:
            message = "A disabled account can log in."
            violations.append(Violation(switch.operation.name, message, None, (answer.exchange, *logged_in)))
        if len(violations) > len(held) and not _says(answer, switch):
            # Everything goes on as before, and nothing says that anything was disabled.
            doubts.append(
                f"{switch.operation.name} answered {answer.status}, and disabled nothing that can be seen"
            )
            return []
        if not logged_in:  # what was never shut cannot be opened again
            violations += await self._redeemed(
                account, waiting, answer, "after the account was disabled", doubts
            )
        if not violations and users.enable is not None:
            violations += await self._enabled(
                users.enable, account, held, facts, doubts, shut=answer.exchange
            )
            if not violations:
                violations += await self._redeemed_late(account, waiting, switch, doubts)
        return violations

    async def _redeemed(
        self, account: Account, waiting: list[Pending], ended: Answer, when: str, doubts: list[str]
    ) -> list[Violation]:
        """Redeem what was sent before the account was shut, and what is sent afterwards: nobody may log in."""
        found = []
        for item in (*waiting, *await self.asked_when_shut(account)):
            reopened = await self.reopened(item, account, when, doubts)
            if reopened is not None:
                message = f"A {item.name} opened the account again {when}."
                proofs = (ended.exchange, *reopened.proofs)
                found.append(Violation(item.redemption.form.operation.name, message, None, proofs))
        return found

    async def _redeemed_late(
        self, account: Account, waiting: list[Pending], switch: Switch, doubts: list[str]
    ) -> list[Violation]:
        """Once the account is open again, a token from before it was shut is one more credential that revived."""
        when = "after the account had been disabled and enabled again"
        for item in waiting:
            reopened = await self.reopened(item, account, when, doubts) if item.resets else None
            if reopened is not None:
                message = f"A {item.name} from before set a password {when}."
                return [Violation(switch.operation.name, message, Severity.MEDIUM, reopened.proofs)]
        return []

    async def _socket_outlives(self, users: UserManagement | None, doubts: list[str]) -> list[Violation]:
        """Shut an account while a WebSocket of it is open: within a minute it must say nothing more."""
        shut = (users.disable or users.delete) if users is not None else None
        if shut is None or not self.target.websockets:
            return []
        account = await self.expendable()
        session = await self.log_in(account)
        facts = await self.facts_of(session.credential)
        ended: list[Answer] = []

        async def end() -> None:
            ended.append(await self.as_administrator(shut, facts, "an administrator shuts the account"))

        kept = await self.kept_open(session.credential, end, "a socket whose account is shut", doubts)
        if kept is None or not ended or not ended[0].reply.ok:
            return []
        message = f"{kept.operation} still served an account {kept.last:.0f} s after it was shut."
        return [Violation(kept.operation, message, Severity.MEDIUM, (ended[0].exchange, kept.exchange))]

    async def _enabled(
        self,
        switch: Switch,
        account: Account,
        held: list[Holding],
        facts: dict[str, str],
        doubts: list[str],
        *,
        shut: Exchange,
    ) -> list[Violation]:
        answer = await self.as_administrator(switch, facts, "an administrator enables the account again")
        if not answer.reply.ok:
            doubts.append(f"{switch.operation.name} enabled nobody ({answer.why or answer.status})")
            return []
        if await self._logs_in(account, "control: log in after it was enabled", Role.CONTROL) is None:
            doubts.append(
                "An account that was enabled again cannot log in: refusals may have another reason."
            )
            return []
        await asyncio.sleep(self._logout_pause)  # what a short cache still knew is no revival
        return await self.lived_on(
            held,
            "after the account had been disabled and enabled again",
            switch.operation.name,
            doubts,
            severity=Severity.MEDIUM,
            shown=(shut, answer.exchange),
        )

    async def _deleted(self, users: UserManagement | None, doubts: list[str]) -> list[Violation]:
        # Where there is no other spare account, the one that was enabled again.
        enabled = users is not None and users.enable is not None
        account = await (self.another_victim() if enabled else self.expendable())
        held = await self.holdings(account)
        waiting = await self.pending(account)
        answer, name = await self._delete(users, account, held)
        if answer is None:
            return []
        violations = await self.lived_on(
            held, "after the account was deleted", name, doubts, shown=(answer.exchange,)
        )
        logged_in = await self._let_in_twice(self._logs_in, account, "log in to the deleted account", doubts)
        if logged_in:
            if len(violations) == len(held):
                doubts.append(f"{name} answered {answer.status}, and deleted nothing that can be seen")
                return []
            message = "A deleted account can log in."
            violations.append(Violation(name, message, None, (answer.exchange, *logged_in)))
        elif not violations:
            violations += await self._redeemed(
                account, waiting, answer, "after the account was deleted", doubts
            )
        return violations

    async def _delete(
        self, users: UserManagement | None, account: Account, held: list[Holding]
    ) -> tuple[Answer | None, str]:
        """Delete an account, as an administrator where one may, else as itself. Raises Unclear."""
        if users is not None and users.delete is not None:
            facts = await self.facts_of(held[0].credential)
            operation = users.delete.operation
            answer = await self.as_administrator(users.delete, facts, "an administrator deletes the account")
        elif self.target.delete_account is not None:
            operation = self.target.delete_account.operation
            answer = await self.deletes_itself(account, held[0].credential, "the account deletes itself")
        else:
            self.notes.append("no way to delete an account is known: disabling was tried only")
            return None, ""
        if not answer.reply.ok:
            raise Unclear(f"{operation.name} deleted nobody ({answer.why or answer.status}).")
        return answer, operation.name

    async def _logs_in(self, account: Account, label: str, role: Role = Role.ATTACK) -> Answer | None:
        """Return the answer to a login that was let in; None when it was refused, or gave what opens nothing.

        Raises Unclear where neither was seen.
        """
        answer, login = await self.try_login(account, account.password, label=label, role=role)
        credential = login.read(answer.reply, account.label)
        if credential is None and answer.judgement is not None:
            raise Unclear(f"{label}: no orderly answer ({answer.why}).")
        if credential is None:
            return None
        used = await self.call(
            self.witness.operation, credential, label=f"use what it gave: {label}", role=role
        )
        if used.judgement is not None:
            raise Unclear(f"{label}: what it gave got no orderly answer ({used.why}).")
        if (used.status or 0) >= HTTPStatus.BAD_REQUEST:
            self.notes.append(f"{login.operation.name} was granted ({label}), and what it gave opens nothing")
            return None
        return answer

    # Roles.

    async def must_follow_role(self) -> Verdict:
        """Credentials of an account that has lost a role must lose what it gave. Raises Missing or Unclear."""
        users = self.target.users
        if users is None or users.promote is None or users.demote is None:
            raise Missing(
                "No operation gives and takes away a role.",
                '[users.promote]\noperation = "PATCH /admin/users/{id}"\nbody = { role = "admin" }',
            )
        operation, allowed = await self.guarded_read()
        account = await self.expendable()
        first = await self.log_in(account)
        facts = await self.facts_of(first.credential)
        chief = await self.facts_of(await self.credential(owner="admin"))
        promote = as_theirs(users.promote, users.demote, chief, facts)
        raised = await self.as_administrator(promote, facts, "an administrator promotes the account")
        if not raised.reply.ok:
            raise Unclear(f"{promote.operation.name} promoted nobody ({raised.why or raised.status}).")
        held = await self.holdings(account)
        powerful = [item for item in held if await self._opens(item, operation, allowed, "control: promoted")]
        if not powerful:
            raise Unclear(f"No credential of a promoted account opens {operation.name}.")
        demote = as_it_was(users.demote, facts)
        lowered = await self.as_administrator(demote, facts, "an administrator demotes the account")
        if not lowered.reply.ok:
            raise Unclear(
                f"{demote.operation.name} demoted nobody ({lowered.why or lowered.status}).",
                f'[users.demote]\noperation = "{demote.operation.name}"\nbody = {{ role = "user" }}'
                "  # what makes an ordinary person of somebody",
            )
        violations: list[Violation] = []
        for pause in (0.0, self._logout_pause):
            await asyncio.sleep(pause)
            if not violations:
                violations = await self._still_powerful(powerful, operation, allowed, lowered)
        refresher = next((item for item in held if item.refresh is not None), None)
        if refresher is not None and not violations:
            violations += await self._refreshed_power(refresher, operation, allowed, lowered)
        later = await self.log_in(account)
        await self._must_be_live(later, "after the demotion")
        if not violations:
            await self._lowered(later, operation, allowed, lowered)
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(told_once(violations), evidence, notes)
        names = ", ".join(item.name for item in powerful)
        reason = f"{operation.name} refused {names} of an account at once when it had lost its role."
        return Passed(reason, evidence, notes)

    async def _opens(
        self, holding: Holding, operation: Operation, allowed: Answer, when: str
    ) -> Answer | None:
        """Return the answer when this credential gets what an administrator gets. Raises Unclear."""
        if holding.refresh is not None:
            return None
        answer = await self.call(
            operation,
            holding.credential,
            label=f"{when} {holding.name} at {operation.name}".strip(),
            role=Role.ATTACK,
            fresh=True,
        )
        if answer.judgement is not None:
            raise Unclear(f"{answer.exchange.label}: no orderly answer ({answer.why}).")
        same_kind = answer.reply.ok and answer.exchange.reply.shape == allowed.exchange.reply.shape
        return answer if same_kind else None

    async def _lowered(self, later: Session, operation: Operation, allowed: Answer, lowered: Answer) -> None:
        """The control: a later login has no such right, and an administrator still has it. Raises Unclear."""
        if await self._opens(Holding("new login", later.credential), operation, allowed, ""):
            name = lowered.exchange.operation
            raise Unclear(f"{name} answered {lowered.status}, and took nothing away.")
        answer = await self.seen_by(await self.credential(owner="admin"), operation)
        if not answer.reply.ok:
            why = answer.why or answer.status
            raise Unclear(f"{operation.name} refused an administrator as well at the end ({why}).")

    async def _still_powerful(
        self, powerful: list[Holding], operation: Operation, allowed: Answer, lowered: Answer
    ) -> list[Violation]:
        found = []
        for holding in powerful:
            proofs: list[Exchange] = []
            for when in ("demoted:", "again, demoted:"):
                answer = await self._opens(holding, operation, allowed, when)
                if answer is None:
                    break
                proofs.append(answer.exchange)
            else:
                message = (
                    f"{operation.name} answered the {holding.name} of an account that had lost its role."
                )
                evidence = (lowered.exchange, *proofs)
                found.append(Violation(operation.name, message, self.severity_of(holding), evidence))
        return found

    async def _refreshed_power(
        self, holding: Holding, operation: Operation, allowed: Answer, lowered: Answer
    ) -> list[Violation]:
        """Refresh after the demotion: what comes out must not have the old role."""
        answer, renewal = await self.renew(
            holding.refresh or Secret(""), "refresh after the demotion", Role.ATTACK
        )
        if renewal is None or renewal.access is None:
            return []
        child = Holding("refreshed token", replace(holding.credential, value=renewal.access))
        found = await self._still_powerful([child], operation, allowed, lowered)
        return [replace(item, evidence=(answer.exchange, *item.evidence)) for item in found]


def _says(answer: Answer, switch: Switch) -> bool:
    """Whether the reply shows the account as the call asked for it."""
    values = {pointer.rsplit("/", 1)[-1]: value for pointer, value in flattened(answer.reply.json).items()}
    return bool(switch.body) and all(values.get(name) == value for name, value in switch.body.items())


def as_theirs(promote: Switch, demote: Switch, chief: Mapping[str, str], facts: Mapping[str, str]) -> Switch:
    """The call with the rank of an administrator, `chief`, that the account has not: no service need say `admin`."""
    ranks = {name.lower() for name, value in promote.body.items() if value != demote.body.get(name)}
    theirs = {name: chief[name] for name in ranks & chief.keys() if facts.get(name) != chief[name]}
    return as_it_was(promote, theirs)


def as_it_was(switch: Switch, facts: Mapping[str, str]) -> Switch:
    """The call with what the account had before: a service need not call its ordinary people `user`."""
    body = {
        name: facts.get(name.lower(), value) if isinstance(value, str) else value
        for name, value in switch.body.items()
    }
    return replace(switch, body=body)
