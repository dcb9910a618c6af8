"""What travels by mail: resets of forgotten passwords, and confirmations of new addresses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.oracles.mail import read
from auth_conformance.probe import Unclear
from auth_conformance.secret import Secret
from auth_conformance.transports.mailbox import MailboxError
from auth_fuzz import rules
from auth_fuzz.stories.cast import NEWCOMER, Actor, Held
from auth_fuzz.stories.ground import BrokenError, OffStageError, accepted, done
from auth_fuzz.stories.model import CONFIRMATION, RESET, Life
from auth_fuzz.stories.sessions import Sessions

if TYPE_CHECKING:
    from auth_conformance.probe import Answer
    from auth_conformance.target import Account, Mailing, Redemption

# Most newcomers of a search against a service that runs elsewhere: nobody can delete who was never let in.
_NEWCOMERS = 3
# How long a message may take, in seconds: some services send none to an account that needs none.
_MAIL = 1.0


class Letters(Sessions):
    """Tokens out of messages."""

    async def _with_letter(
        self, account: Account, send: Callable[[], Awaitable[Answer]]
    ) -> tuple[Answer, Secret | None]:
        """What `send` was answered, and the token of the message that followed. Raises OffStageError without one."""
        try:
            answer, letter = await self.searcher.mailed(account, send, within=_MAIL)
        except Unclear as reason:
            raise OffStageError(str(reason)) from None
        return answer, Secret(letter.token) if letter.token is not None else None

    def _keep_letter(self, name: str, kind: str, token: Secret) -> None:
        self.held.append(Held(self.book.mailed(name, kind), None, mailed=token))

    # Asking.

    async def ask_reset(self, name: str) -> None:
        """Somebody forgot the password: a token is mailed."""
        if self.moves.reset is not None:
            await self._ask(name, self.moves.reset.ask, RESET, "asks for a reset of the password")

    async def ask_confirmation(self, name: str) -> None:
        """Have the confirmation of the address sent again."""
        if self.moves.confirmation is not None and self.moves.confirmation.ask is not None:
            await self._ask(name, self.moves.confirmation.ask, CONFIRMATION, "asks for another confirmation")

    async def _ask(self, name: str, ask: Mailing, kind: str, words: str) -> None:
        actor, answers = self.actor(name), []

        async def send() -> Answer:
            answers.append(
                await self.searcher.send(
                    ask.request(actor.account),
                    label=f"{name} {words}",
                    operation=ask.form.operation.name,
                    moved=self.moved,
                )
            )
            return answers[-1]

        try:
            _, token = await self._with_letter(actor.account, send)
        except OffStageError:
            token = None  # no message: it is confirmed already, or has had too many
        if token is not None:
            self.tell(f"{name} {words}", *answers)
            self._keep_letter(name, kind, token)

    async def arrive(self) -> None:
        """Somebody registers in the middle of the story, and the address is not confirmed yet."""
        register, mailbox = self.target.register, self.target.mailbox
        enough = not self.target.in_process and self.troupe.arrived >= _NEWCOMERS
        if register is None or not register.confirmed or mailbox is None or NEWCOMER in self.actors or enough:
            return
        self.troupe.arrived += 1
        account = await self.searcher.fresh_account(register)
        if account.password is None:
            return
        exchange = self.searcher.evidence[-1]
        try:
            letter = read(await mailbox.first_to(account.address, _MAIL) or "")
        except MailboxError as error:
            raise OffStageError(f"the mailbox cannot be used: {error}") from None
        self.tell(f"{NEWCOMER} registers", replace(exchange, operation=register.operation.name))
        self.actors[NEWCOMER] = Actor(
            NEWCOMER, replace(account, label=NEWCOMER), account.password, confirmed=False
        )
        if letter.token is not None:
            self.searcher.scene.recorder.learn_mail(letter.token, account.address, letter.text, exchange)
            self._keep_letter(NEWCOMER, CONFIRMATION, Secret(letter.token))

    async def try_unconfirmed(self, name: str) -> None:
        """Log in by every door, although the address is not confirmed."""
        for kind in self.troupe.kinds:
            if self.actor(name).confirmed is False:
                await self.log_in(name, kind)

    # Redeeming.

    def _redemption(self, held: Held) -> Redemption | None:
        if held.holding.kind == RESET:
            return self.moves.reset.confirm if self.moves.reset is not None else None
        return self.moves.confirmation.confirm if self.moves.confirmation is not None else None

    async def redeem(self, held: Held) -> None:
        """Redeem a mailed token; one that must be dead must change nothing."""
        actor, redemption = self.actor(held.holding.owner), self._redemption(held)
        self.book.now = self._now()
        life, why = self.book.demand(held.holding)
        shut = not actor.present or actor.blocked or actor.confirmed is False
        if redemption is None or held.mailed is None:
            return
        if life is Life.DEAD and held.holding.kind == CONFIRMATION and not shut:
            return  # an address cannot be more than confirmed
        new = Secret(self.searcher.password()) if held.holding.kind == RESET else None
        for secret in (held.mailed, new):
            if secret is not None:
                self.searcher.scene.recorder.redactor.learn(secret)
        answer = await self.searcher.send(
            redemption.request(held.mailed, new, actor.account.address),
            label=f"redeem {held.holding.name}",
            operation=redemption.form.operation.name,
            moved=self.moved,
        )
        granted = done(answer) and answer.reply.granted
        if life is Life.DEAD:
            if granted:
                await self._judge_revival(held, actor, why, answer, new)
            return
        self.tell(f"{held.holding.name} is redeemed", answer)
        if not granted:
            return
        self.book.revoked(held.holding, "it was used")
        if new is None:
            actor.confirmed, actor.spoiled = True, self.target.in_process
            return
        actor.former.append(actor.password)
        actor.password = new
        actor.account = replace(actor.account, password=new)
        # Who reads the mail has shown whose address it is; whether that confirms it is the service's choice.
        actor.confirmed = actor.confirmed or None
        self.book.reset(actor.name)

    async def _judge_revival(
        self, held: Held, actor: Actor, why: str, answer: Answer, new: Secret | None
    ) -> None:
        """A token that must be dead was taken: what counts is whether the account opens by it."""
        self.tell(f"{held.holding.name} is redeemed, although {why}", answer)
        account = replace(actor.account, password=new) if new is not None else actor.account
        logins = [
            await self.searcher.try_login(
                account, account.password, moved=self.moved, label=f"log in as {actor.name}"
            )
            for _ in range(2)
        ]
        if not all(login.read(tried.reply, actor.name) is not None for tried, login in logins):
            actor.spoiled = actor.spoiled or new is not None
            return
        self.tell(f"somebody logs in as {actor.name}", *(accepted(tried) for tried, _ in logins))
        rule, line = self._zombie, f"{held.holding.name} is taken, although {why}, and the account opens"
        if held.holding.kind == CONFIRMATION and actor.confirmed is False:
            rule, line = (
                rules.UNCONFIRMED,
                f"{held.holding.name}, of an earlier account, confirms the new one",
            )
        elif why.startswith("its owner's account was deleted") and actor.present:
            rule, line = (
                rules.MISTAKEN,
                f"{held.holding.name}, of the deleted account, opens the new one of that name",
            )
        raise BrokenError(rule, line, answer.exchange.operation)
