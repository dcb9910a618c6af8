"""`must_end_others`: what a new password ends, after a change and after a reset."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import Exchange, Need, Role, Severity, Verdict, Violation
from auth_conformance.probe.core import Answer, Missing, Session, Unclear
from auth_conformance.probe.holdings import NAMES, Holding, told_once
from auth_conformance.probe.mailing import Mailing
from auth_conformance.probe.namesakes import Namesakes
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.target import Account

# Members of a password change by which its caller chooses to end other logins (ASVS V7.4.3 wants a choice).
OPTIONS = ("logout", "log_out", "sign_out", "signout", "revoke", "terminate", "other", "invalidate")


class PasswordEnds(Namesakes, Mailing):
    """Gives expendable accounts new passwords, and new addresses."""

    async def must_end_others(self) -> Verdict:
        """A new password must end the old one, and other logins. Raises Missing or Unclear."""
        resettable = self.target.recovery is not None and self.target.mailbox is not None
        if self.target.password_change is None and not resettable:
            nowhere = self.target.absent.keys() >= {Need.PASSWORD_CHANGE, Need.RESET}
            raise Missing(
                "Not applicable: nobody can get another password here, neither by a change nor by a reset."
                if nowhere
                else "No way is known to change a password, or to read the mail of a reset.",
                self.target.remedies.get(Need.PASSWORD_CHANGE, "")
                or self.target.remedies.get(Need.MAILBOX, ""),
                applicable=not nowhere,
            )
        violations: list[Violation] = []
        doubts: list[str] = []
        done: list[str] = []
        if self.target.password_change is not None:
            try:
                violations += await self._changed(doubts)
                done.append("a change")
            except Unclear as problem:
                doubts.append(str(problem))
        else:
            self.notes.append("no password change is known: only the reset was tried")
        if resettable:
            try:
                violations += await self._reset(doubts)
                done.append("a reset")
            except Unclear as problem:
                doubts.append(str(problem))  # what the change has shown stands
        else:
            self.notes.append("no mailbox or no reset is known: only the change was tried")
        try:
            violations += await self._readdressed()
        except (Missing, Unclear) as reason_not:
            # Where a new address has to be confirmed first, nothing has changed yet.
            self.notes.append(f"a change of the e-mail address was not tried: {reason_not}")
        reason = f"After {' and '.join(done)} the old password and the other logins were refused; the new one works."
        return self.decided(told_once(violations), doubts, reason)

    async def _changed(self, doubts: list[str]) -> list[Violation]:
        name = self.password_change.form.operation.name
        account = await self.victim()
        others = await self.holdings(account)
        session = await self._changer(account, others)
        await self._must_be_live(session, "before")
        new = Secret(self.password())
        self.scene.recorder.redactor.learn(new)
        answer = await self.change_password(account, new, session.credential)
        if not answer.granted:
            raise Unclear(f"{name} changed nothing ({answer.why or answer.status}).")
        changed = replace(account, password=new)
        violations = await self._old_is_dead(account, changed, answer, name)
        alive = await self._other_logins(others, "after the password was changed", name, answer, doubts)
        option = self._option()
        if alive and option:
            self.notes += [f"{item.message} {option}" for item in alive]
        else:
            violations += [replace(item, severity=Severity.MEDIUM) for item in alive]
        await self._own_session(session, name)
        return violations

    async def _changer(self, account: Account, others: list[Holding]) -> Session:
        """Log in for the session that changes something, apart from the others where logins can be told apart."""
        held = [item.credential for item in others]
        session = await self.sign_in(account, self._login_kind(), held, ends=False)
        if session.credential.value in {credential.value for credential in held}:
            self.notes.append(
                "each login of a person gives the same credential again: none can be ended alone"
            )
        return session

    def _option(self) -> str:
        """Return how people can end other logins themselves, which is what ASVS V7.4.3 asks for; "" when not."""
        form = self.password_change.form
        members = {
            str(key) for schema in form.operation.bodies.values() for key in schema.get("properties", {})
        }
        chosen = next((key for key in sorted(members) if any(word in key.lower() for word in OPTIONS)), None)
        if chosen is not None:
            return f"Its member {chosen} is the option to end them."
        sessions = self.target.sessions
        if sessions is not None and sessions.end_all is not None:
            return f"{sessions.end_all.name} is the option to end them."
        return ""

    async def _own_session(self, session: Session, name: str) -> None:
        """Note whether the session that changed the password goes on under its old id."""
        answer = await self._replay_once(
            self.witness, session.credential, "control: the session that changed it", Role.CONTROL
        )
        if answer.accepted and session.credential.carrier.kind is Kind.COOKIE:
            self.notes.append(f"{name} does not renew the session that called it")

    async def _reset(self, doubts: list[str]) -> list[Violation]:
        recovery = self.recovery
        name = recovery.confirm.form.operation.name
        account = await self.another_victim()
        others = await self.holdings(account)
        token = await self.reset_token(account)
        new = Secret(self.password())
        self.scene.recorder.redactor.learn(new)
        request = recovery.confirm.request(token, new, account.address)
        answer = await self.send(request, label="set a new password by mail", operation=name)
        if not answer.granted:
            raise Unclear(f"{name} set no password ({answer.why or answer.status}).")
        violations = await self._old_is_dead(account, replace(account, password=new), answer, name)
        violations += await self._other_logins(others, "after the password was reset", name, answer, doubts)
        return violations

    async def _readdressed(self) -> list[Violation]:
        """Change the e-mail address: where it is the name, the old one is dead; other logins that go on are noted.

        ASVS V7.4.3 wants other logins ended after a change of what people prove themselves by, which an address is
        not. Raises Missing or Unclear.
        """
        renaming = self.readdressing()
        if renaming is None:
            raise Missing("no operation is known that changes it.")
        name = renaming.operation.name
        account = await self.another_victim()
        others = await self.holdings(account, keys=False)
        session = await self._changer(account, others)
        changed, answer = await self.rename(renaming, account, session.credential, address=True)
        living = [
            item.name
            for item in others
            if (await self.presented(item, "after the e-mail address was changed")).accepted
        ]
        if living:
            self.notes.append(f"after {name} gave another e-mail address these go on: {', '.join(living)}")
        if changed.username == account.username:
            return []
        proofs = await self._still_lets_in(account, "the old address")
        if not proofs:
            return []
        message = f"After {name} gave another e-mail address the old one still logs in."
        return [Violation(name, message, None, (answer.exchange, *proofs))]

    async def _still_lets_in(self, former: Account, what: str) -> list[Exchange]:
        """The two answers that let in who logs in as before; none unless both did. Raises Unclear."""
        proofs: list[Exchange] = []
        for prefix in ("", "again: "):
            tried, login = await self.try_login(
                former, former.password, label=f"{prefix}log in with {what}", role=Role.ATTACK
            )
            if login.read(tried.reply, former.label) is None:
                if tried.judgement is not None or proofs:
                    raise Unclear(f"Whether {what} still logs in was not seen ({tried.why or tried.status}).")
                return []
            proofs.append(tried.exchange)
        return proofs

    async def _old_is_dead(
        self, before: Account, after: Account, answer: Answer, name: str
    ) -> list[Violation]:
        """See that the new password logs in, and that the old one does not, twice. Raises Unclear."""
        session = await self.log_in(after)
        await self._must_be_live(session, "with the new password")
        self.scene.made_accounts = [
            (after, session.credential) if made.label == before.label else (made, known)
            for made, known in self.scene.made_accounts
        ]
        proofs = await self._still_lets_in(before, "the old password")
        if not proofs:
            return []
        message = f"After {name} the old password still logs in."
        return [Violation(name, message, Severity.HIGH, (answer.exchange, *proofs))]

    async def _other_logins(
        self, others: list[Holding], when: str, name: str, answer: Answer, doubts: list[str]
    ) -> list[Violation]:
        """Present what other devices hold; keys may go on, since they do not come from the password."""
        keys = [item for item in others if item.name == NAMES[Kind.KEY]]
        logins = [item for item in others if item.name not in (NAMES[Kind.KEY], NAMES[Kind.BASIC])]
        found = await self.lived_on(
            logins, when, name, doubts, severity=Severity.HIGH, shown=(answer.exchange,)
        )
        for item in keys:
            if (await self.presented(item, when)).accepted:
                self.notes.append(f"API keys go on {when}")
        return found
