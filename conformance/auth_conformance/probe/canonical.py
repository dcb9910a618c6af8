"""`must_know_names_apart`: no spelling of a name reaches another's account, or stands beside it (CRD115)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from auth_conformance.model import Need, Role, Severity, Verdict
from auth_conformance.oracles.naming import Spelling, awkward_pairs, respelled
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.knocking import Knocking, Tally
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from auth_conformance.credentials import Credential
    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Account

_IDS = ("id", "uuid", "uid", "user_id", "sub", "pk", "_id", "account_id")
# Spellings that mail systems fold: a reset for them must not go to them.
_MAILED = ("in full-width letters", "with a dotless i", "with a ligature")


class Canonical(Knocking):
    """Registers names that look like a name that exists."""

    async def must_know_names_apart(self) -> Verdict:
        """Each other spelling is refused, or is nobody new and changes nothing for the owner."""
        register = self.target.register
        if register is None:
            raise Missing("Nobody can register here.", self._remedy(Need.REGISTER))
        tally, login = Tally(), self.logins()[0]
        victim = await self._owner()
        await self.right_login(login, victim, "before")
        for spelling in respelled(victim.username):
            await self._weigh_spelling(victim, spelling, tally)
            if any(item.severity is None for item in tally.violations):
                # Taken over: nothing more can be learnt from this account.
                return self.concluded(tally, "")
        for number in range(len(awkward_pairs("", email=False))):
            await self._weigh_awkward(number, tally)
        await self._mail_goes_home(victim, tally)
        if any(item.severity is None for item in tally.violations):
            # The owner's password is another one now.
            return self.concluded(tally, "")
        await self.right_login(login, victim, "after")
        return self.concluded(tally, f"{tally.delivered} other spellings of a name reached nothing.")

    async def _owner(self) -> Account:
        """An account whose name has letters that fold: i, ff, a and o."""
        register = self.target.register
        style = register.user_style if register is not None else "name"
        local = f"alphaffio{self.scene.run_id}{self.word(5)}"
        name = f"{local}@example.com" if style == "email" else local
        answer, account = await self.registered(Secret(self.password()), name, "register the owner of a name")
        if answer.judgement is not None or (answer.status or 500) >= 400:
            raise Unclear(f"A name of letters was refused ({answer.why or answer.status}).")
        return account

    async def _weigh_awkward(self, number: int, tally: Tally) -> None:
        """Names that services may well refuse from the start: then nobody has one that could be mistaken."""

        async def another() -> tuple[Account, Spelling]:
            register = self.target.register
            email = register is not None and register.user_style == "email"
            core = f"alpha{self.scene.run_id}{self.word(5)}"
            name, spelling = awkward_pairs(core, email=email)[number]
            answer, owner = await self.registered(Secret(self.password()), name, "register an awkward name")
            if answer.judgement is not None:
                raise Unclear(f"no orderly answer ({answer.why})")
            if (answer.status or 500) >= 400:
                raise Missing(f"a name {spelling.words} has no shorter one: that is refused")
            await self.right_login(self.logins()[0], owner, "with an awkward name")
            return owner, spelling

        try:
            victim, spelling = await another()
        except (Missing, Unclear) as reason:
            self.notes.append(f"names that another spelling may reach were not all made: {reason}")
            return
        await self._weigh_spelling(victim, spelling, tally, another)

    async def _another_owner(self, words: str) -> tuple[Account, Spelling]:
        owner = await self._owner()
        return owner, next(item for item in respelled(owner.username) if item.words == words)

    async def _weigh_spelling(
        self,
        victim: Account,
        spelling: Spelling,
        tally: Tally,
        another: Callable[[], Awaitable[tuple[Account, Spelling]]] | None = None,
    ) -> None:
        try:
            first = await self._reached(victim, spelling)
            if first is None:
                tally.delivered += 1
                return
            owner, again = await (another() if another else self._another_owner(spelling.words))
            second = await self._reached(owner, again)
        except (Missing, Unclear) as reason:
            tally.doubt(f"a name {spelling.words}: {reason}")
            return
        if second is None or first[0] != second[0]:
            tally.doubt(f"a name {spelling.words} reached something once, and then not.")
            return
        kind, answers = first
        operation = answers[0].exchange.operation
        if kind == "taken over":
            message = (
                f"{operation}: registering a known name {spelling.words} reaches the account of its owner."
            )
            tally.violate(operation, message, *answers, *second[1])
        elif spelling.harmless:
            self.notes.append(f"a name {spelling.words} is another account: people may mistake it")
            tally.delivered += 1
        else:
            message = f"{operation} makes a second account for a known name {spelling.words}."
            tally.violate(operation, message, *answers, *second[1], severity=Severity.MEDIUM)

    async def _reached(self, victim: Account, spelling: Spelling) -> tuple[str, list[Answer]] | None:
        """What registering this spelling led to: `taken over`, `beside`, or None for nothing."""
        login = self.logins()[0]
        answer, attacker = await self.registered(
            Secret(self.password()),
            spelling.text,
            f"register a known name {spelling.words}",
            confirm="if sent",
        )
        if answer.judgement is not None:
            raise Unclear(f"no orderly answer ({answer.why})")
        if (answer.status or 500) >= 400:
            return None
        attacker = replace(attacker, email="")
        tried = await self.send(
            login.request(attacker.username, attacker.password or Secret("")),
            label=f"log in with the name {spelling.words}",
            role=Role.ATTACK,
            operation=login.operation.name,
        )
        credential = login.read(tried.reply, attacker.label)
        owner = await self.send(
            login.request(victim.username, victim.password or Secret("")),
            label="the owner logs in with the password of old",
            role=Role.CONTROL,
            operation=login.operation.name,
        )
        owned = login.read(owner.reply, victim.label)
        if owned is None:
            if owner.judgement is not None:
                raise Unclear(f"the owner got no orderly answer ({owner.why})")
            return "taken over", [answer, owner]
        if credential is None:
            return None
        for secret in (credential.value, owned.value):
            self.scene.recorder.redactor.learn(secret)
        if await self.named(credential) is None:
            return None
        same = await self._shown_identity(credential) == await self._shown_identity(owned)
        return ("taken over" if same else "beside"), [answer, tried]

    async def _shown_identity(self, credential: Credential) -> Any:
        """The immutable id that the witness shows, else the name."""
        if self.target.witness is None:
            return credential.value
        answer = await self.call(
            self.target.witness.operation,
            credential,
            label="who this is",
            role=Role.CONTROL,
            pointer=self.target.witness.identity or None,
        )
        body = answer.reply.json
        if isinstance(body, dict):
            for name in _IDS:
                if isinstance(body.get(name), (str, int)):
                    return body[name]
        return answer.exchange.reply.principal

    async def _mail_goes_home(self, victim: Account, tally: Tally) -> None:
        """A reset for another spelling is not mailed to that spelling with a token for the owner."""
        if self.target.recovery is None or self.target.mailbox is None or "@" not in victim.address:
            return
        login = self.logins()[0]
        for spelling in respelled(victim.address):
            if spelling.words not in _MAILED:
                continue
            other = replace(victim, username=spelling.text, email=spelling.text, label="another spelling")
            try:
                token = await self.reset_token(other, within=1.0)
            except Unclear:
                tally.delivered += 1  # nothing came to that address
                continue
            if token.reveal() in (await self.last_mail(victim) or ""):
                # It lies in the owner's mailbox, which whoever reads it for us cannot tell from the other one.
                self.notes.append(
                    f"the mailbox gives the owner's messages for an address {spelling.words}, too"
                )
                continue
            new = Secret(self.password())
            self.scene.recorder.redactor.learn(new)
            confirm = self.recovery.confirm
            answer = await self.send(
                confirm.request(token, new, victim.address),
                label=f"redeem a token that was mailed to an address {spelling.words}",
                role=Role.ATTACK,
                operation=confirm.form.operation.name,
            )
            tried = await self.send(
                login.request(victim.username, new),
                label="log in as the owner with it",
                role=Role.ATTACK,
                operation=login.operation.name,
            )
            if await self.let_in(login, tried) is not None:
                operation = self.recovery.ask.form.operation.name
                message = f"{operation} mails the owner's token to an address {spelling.words}."
                tally.violate(operation, message, answer, tried)
                return
            tally.delivered += 1
