"""What users do with their API keys and accounts, and what an administrator does to them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Severity
from auth_conformance.oracles.pointer import resolve
from auth_conformance.probe.accounts import as_it_was
from auth_conformance.secret import Secret
from auth_fuzz import rules
from auth_fuzz.people import Person
from auth_fuzz.stories.ground import BrokenError, accepted, done
from auth_fuzz.stories.letters import Letters
from auth_fuzz.stories.model import CONFIRMATION, Life
from auth_fuzz.things import Thing, places

if TYPE_CHECKING:
    from auth_conformance.probe import Answer
    from auth_fuzz.stories.cast import Held
    from auth_fuzz.stories.moves import Switch


class Accounts(Letters):
    """Keys, accounts, and rights."""

    # API keys.

    async def create_key(self, name: str) -> Held | None:
        """Make an API key."""
        session = next((item for item in self.alive("bearer", "cookie", "basic", owner=name)), None)
        if session is None or session.credential is None or self.target.keys is None:
            return None
        keys = self.target.keys
        answer = await self.searcher.call(
            keys.create,
            session.credential,
            label=f"{name} creates an API key",
            body=dict(keys.template),
            moved=self.moved,
        )
        self.tell(f"{name} creates an API key", answer)
        return self._read_key(name, answer)

    def _read_key(self, name: str, answer: Answer) -> Held | None:
        keys = self.target.keys
        value = resolve(answer.reply.json, keys.value) if keys is not None else None
        if keys is None or not answer.reply.ok or not isinstance(value, str) or not value:
            return None
        self.searcher.scene.recorder.redactor.learn(Secret(value))
        found = resolve(answer.reply.json, keys.identifier) if keys.identifier else None
        identifier = str(found) if isinstance(found, (str, int)) else None
        credential = Credential(keys.carriers[0], Secret(value), name)
        return self._keep(name, "key", self.book.family(), credential, None, None, identifier)

    async def revoke_key(self, held: Held, *, rotate: bool = False) -> None:
        """Revoke an API key, or replace it by another."""
        keys = self.target.keys
        name = held.holding.owner
        operation = self.moves.rotate if rotate else (keys.revoke if keys is not None else None)
        session = next((item for item in self.alive("bearer", "cookie", "basic", owner=name)), None)
        if operation is None or session is None or held.identifier is None:
            return
        parameter = operation.path.split("{")[1].split("}")[0]
        word = "rotates" if rotate else "revokes"
        answer = await self.searcher.call(
            operation,
            session.credential,
            label=f"{name} {word} an API key",
            values={parameter: held.identifier},
            moved=self.moved,
        )
        self.tell(f"{name} {word} {held.holding.name}", answer)
        if done(answer):
            self.book.revoked(held.holding, "it was rotated" if rotate else "it was revoked")
            if rotate:
                self.doubt_the_dead(name)
                self._read_key(name, answer)

    async def edit_key(self, held: Held) -> None:
        """Give an API key another name, be it revoked: that must not revive it."""
        edit, name = self.moves.edit, held.holding.owner
        session = next((item for item in self.alive("bearer", "cookie", "basic", owner=name)), None)
        if edit is None or self.target.keys is None or session is None or held.identifier is None:
            return
        answer = await self.searcher.call(
            edit.operation,
            session.credential,
            label=f"{name} renames an API key",
            values={places(edit.operation.path)[0].name: held.identifier},
            body={edit.member: f"renamed {held.holding.number}"},
            moved=self.moved,
        )
        self.tell(f"{name} renames {held.holding.name}", answer)
        self.doubt_the_dead(name)

    # Accounts.

    async def delete_account(self, held: Held) -> None:
        """Delete the user's own account."""
        deletion, name = self.target.delete_account, held.holding.owner
        if deletion is None or self.target.register is None or held.credential is None:
            return
        actor = self.actor(name)
        await self._leave_something(held)
        request = deletion.request(replace(actor.account, password=actor.password))
        answer = await self.searcher.send(
            request.with_headers(*held.credential.headers).with_query(*held.credential.query),
            label=f"{name} deletes the account",
            operation=deletion.name,
            moved=self.moved,
        )
        self.tell(f"{name} deletes the account", answer)
        if done(answer):
            self.actor(name).present = False
            self.book.left(name)

    async def register_again(self, name: str) -> None:
        """Somebody registers under the name of an account that was deleted."""
        register, actor = self.target.register, self.actor(name)
        if register is None or actor.present:
            return
        new = Secret(self.searcher.password())
        self.searcher.scene.recorder.redactor.learn(new)

        async def send() -> Answer:
            return await self.searcher.send(
                register.request(actor.account.username, new),
                label=f"register {name} again",
                operation=register.operation.name,
                moved=self.moved,
            )

        answer, token = (
            await self._with_letter(actor.account, send) if register.confirmed else (await send(), None)
        )
        self.tell(f"somebody registers under {name}'s name again", answer)
        if done(answer):
            actor.former.append(actor.password)
            actor.password, actor.present, actor.confirmed = new, True, not register.confirmed
            if token is not None:
                self._keep_letter(name, CONFIRMATION, token)
            actor.account = replace(actor.account, password=new)
            self._look_again(name)
            await self._meet_again(name)

    def _look_again(self, name: str) -> None:
        """An account is back: what was dead must still be."""
        self.book.returned(name)
        self.doubt_the_dead(name)

    async def _leave_something(self, held: Held) -> None:
        """Before the account goes its owner keeps something, which no later account of that name may see."""
        actor, objects = self.actor(held.holding.owner), self.target.objects
        if objects is None or actor.left is not None or held.credential is None:
            return
        owner = Person(actor.name, actor.account, {held.credential.carrier.kind: held.credential})
        identifier = await self.searcher.put_down(owner)
        made = self.searcher.evidence[-1]
        if identifier is None or not owner.marks:
            return
        thing = Thing(objects.create.path, identifier, objects.id_parameter)
        if await self.world.keeps_apart(thing):
            actor.left = thing, next(iter(owner.marks))
            self.tell(f"{actor.name} keeps something", made)

    async def _meet_again(self, name: str) -> None:
        """Whom the service takes the new account for: administrators know it by another id than the deleted one."""
        actor = self.actor(name)
        actor.facts, actor.principal, actor.met = {}, None, None
        held = await self.log_in(name, self.troupe.kinds[0]) if actor.confirmed is not False else None
        if held is None or held.credential is None:
            actor.spoiled = True
            return
        answer = await self.searcher.ask_witness(held.credential, f"who {name} is now", moved=self.moved)
        actor.facts = self.searcher.facts_in(answer)
        actor.principal, actor.met = answer.exchange.reply.principal, answer.exchange
        self.searcher.forget()
        await self._heir(name, held.credential)

    async def _heir(self, name: str, credential: Credential) -> None:
        """Whether somebody of the same name is shown what the deleted account kept."""
        actor = self.actor(name)
        if actor.left is None:
            return
        (thing, mark), actor.left = actor.left, None
        heir = Person(name, actor.account, {credential.carrier.kind: credential})
        for look in (self.world.things.look, self.world.things.owner_list):
            answers = [await look(heir, thing) for _ in range(2)]
            shown = [
                item for item in answers if item is not None and item.reply.ok and mark in item.reply.text
            ]
            if len(shown) == len(answers):
                self.tell(f"{name} looks", *map(accepted, shown))
                raise BrokenError(
                    rules.MISTAKEN,
                    f"the new account of {name}'s name is shown what the deleted one kept",
                    shown[0].exchange.operation,
                )

    # What administrators do.

    async def switch(self, name: str, switch: Switch, *, on: bool) -> bool:
        """Change an account as the administrator; whether the service did it."""
        actor, admin = self.actor(name), self.world.admin
        credential = admin.login() if admin is not None else None
        # A rank that only the service has a name for is given back as the witness called it.
        chosen = switch.on if on else as_it_was(switch.off, actor.facts)
        parameter = places(chosen.operation.path)[0].name
        value = self.searcher.called(actor.facts, parameter)
        if credential is None or value is None or not actor.present:
            return False
        if actor.met is not None and actor.met not in self.exchanges:
            self.exchanges.append(actor.met)
        answer = await self.searcher.call(
            chosen.operation,
            credential,
            label=f"the administrator changes {name}",
            values={parameter: value},
            body=dict(chosen.body) or None,
            moved=self.moved,
        )
        told = ", ".join(f"{key}={value}" for key, value in chosen.body.items())
        self.tell(f"the administrator {f'sets {told}' if told else 'changes something'} for {name}", answer)
        return done(answer)

    async def block(self, name: str) -> None:
        """Block an account: nothing of it may open anything."""
        if self.moves.block is not None and await self.switch(name, self.moves.block, on=False):
            self.actor(name).blocked = True
            self.book.left(name, "its owner's account was blocked")

    async def unblock(self, name: str) -> None:
        """Lift the block. What was dead before it stays dead; the rest is the service's business."""
        actor = self.actor(name)
        if (
            actor.blocked
            and self.moves.block is not None
            and await self.switch(name, self.moves.block, on=True)
        ):
            actor.blocked = False
            self._look_again(name)
            for item in self.book.of(name):
                if item.why == "its owner's account was blocked":
                    item.life = Life.EITHER

    async def demote(self, name: str) -> None:
        """Make a user administrator, see that it works, take it away, and see that it is gone."""
        move, admin = self.moves.role, self.world.admin
        sessions = self.alive("bearer", "cookie", "key", owner=name)
        if move is None or admin is None or not sessions:
            return
        guarded = self.troupe.privileged
        if guarded is None or not await self.switch(name, move, on=True):
            return
        # What is given out now may keep the rights that it was given out with.
        fresh = [await self.log_in(name, Kind(self.troupe.kinds[0].value)), await self.create_key(name)]
        tried = sessions[:4] + [item for item in fresh if item is not None]
        opened = [item for item in tried if (await self._asks(guarded, item)).reply.ok]
        if not await self.switch(name, move, on=False):
            self.actor(name).spoiled = True  # it is an administrator's for good
            return
        for item in opened:
            answer = await self._asks(guarded, item)
            if answer.reply.ok and (again := await self._asks(guarded, item)).reply.ok:
                self.tell(
                    f"{item.holding.name} asks what only administrators may",
                    accepted(answer),
                    accepted(again),
                )
                raise BrokenError(
                    rules.MISTAKEN,
                    f"{item.holding.name} keeps the rights of the role that was taken away",
                    guarded.name,
                    Severity.HIGH,
                )

    async def _asks(self, operation: Any, held: Held) -> Answer:
        return await self.searcher.call(
            operation, held.credential, label=f"{held.holding.name} at {operation.name}", moved=self.moved
        )
