"""Where stories are played: users, their credentials, and every step as real requests on the loop.

Each method of `Stage` does one thing that a user or an administrator can do, tells the model, and writes the
story down. What breaks the model is raised as `BrokenError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Credential, Jwt, Kind
from auth_conformance.model import Exchange, Expectation, Outcome, Role, Rule, Severity
from auth_conformance.oracles.pointer import resolve
from auth_conformance.probe import Missing, Unclear
from auth_conformance.secret import Secret
from auth_conformance.target import Account
from auth_fuzz import rules
from auth_fuzz.lifecycle import Book, Habits, Holding, Life
from auth_fuzz.people import Searcher

if TYPE_CHECKING:
    from auth_conformance.probe import Answer
    from auth_conformance.target import Refresh
    from auth_conformance.transports.message import HttpRequest
    from auth_fuzz.moves import Moves, Switch
    from auth_fuzz.world import World

NAMES = ("ann", "bob")
# What is presented to the witness.
_PRESENTED = ("bearer", "cookie", "basic", "key")
# After a step so many live credentials are presented, and at the end so many in all.
_ALIVE = 1
_LAST = 12


class BrokenError(Exception):
    """The service did what the model forbids; the text is the last line of the story."""

    def __init__(
        self,
        rule: Rule,
        line: str,
        operation: str | None,
        severity: Severity | None = None,
        *,
        expected: Expectation | None = None,
    ) -> None:
        super().__init__(line)
        self.rule, self.line, self.operation, self.severity = rule, line, operation, severity
        self.expected = expected


class OffStageError(Exception):
    """The story cannot go on: a step that must work did not, for a reason that is no violation."""


@dataclass(slots=True)
class Actor:
    """A user of the stories. `known` are the credentials by the model's number."""

    name: str
    account: Account
    password: Secret
    former: list[Secret] = field(default_factory=list)
    identifier: str | None = None
    principal: str | None = None
    # The reply that told `identifier`.
    met: Exchange | None = None
    present: bool = True
    blocked: bool = False


@dataclass(slots=True)
class Held:
    """A holding of the model with the credential that it stands for, and an API key's id."""

    holding: Holding
    credential: Credential | None
    refresh: Secret | None = None
    identifier: str | None = None
    # When it was last presented, by the number of the look, and what was demanded of it then.
    looked: int = 0
    demanded: Life = Life.ALIVE


class Stage:
    """One story. `tell` collects its lines and exchanges."""

    def __init__(self, world: World, moves: Moves, habits: Habits, troupe: Troupe) -> None:
        self.searcher: Searcher = world.searcher
        self.target = world.target
        self.world, self.moves, self.troupe = world, moves, troupe
        self.book = Book(habits, self.target.policy.leeway + 5.0)
        self.actors: dict[str, Actor] = {}
        self.held: list[Held] = []
        self.lines: list[str] = []
        self.exchanges: list[Exchange] = []
        self.moved = 0.0
        self._looks = 0
        self._skipped = self.searcher.skipped

    # The story.

    def tell(self, line: str, *answers: Answer) -> None:
        """Write a step down with what was sent for it."""
        shown = ", ".join(
            f"{answer.exchange.operation} → {answer.status or answer.reply.error}" for answer in answers
        )
        self.lines.append(f"{line}" + (f" ({shown})" if shown else ""))
        self.exchanges += [answer.exchange for answer in answers]
        self.searcher.forget()

    @property
    def story(self) -> str:
        """The steps so far, numbered, in one text."""
        return " ".join(f"{number}. {line}." for number, line in enumerate(self.lines, 1))

    async def enter(self) -> None:
        """Bring the actors on: accounts from earlier stories where they are whole, else new ones."""
        for name in NAMES:
            self.actors[name] = await self.troupe.lend(name)

    def _now(self) -> float:
        return self.searcher.scene.recorder.clock.now() + self.moved

    def actor(self, name: str) -> Actor:
        """The user of that name."""
        return self.actors[name]

    def alive(self, *kinds: str, owner: str = "") -> list[Held]:
        """What the model takes for alive, of these kinds."""
        self.book.now = self._now()
        return [
            item
            for item in self.held
            if item.holding.kind in kinds
            and (not owner or item.holding.owner == owner)
            and self.book.demand(item.holding)[0] is Life.ALIVE
        ]

    # What users do.

    async def log_in(self, name: str, kind: Kind) -> Held | None:
        """Log in; the session is alive from here on."""
        actor = self.actor(name)
        answer, login = await self.searcher.try_login(
            actor.account, actor.password, kind, moved=self.moved, label=f"{name} logs in"
        )
        credential = login.read(answer.reply, name)
        self.tell(f"{name} logs in for a {kind.value} credential", answer)
        if not actor.present or actor.blocked:
            if credential is not None:
                raise await self._opened(credential, f"{name}, whose account is gone, logs in", answer)
            return None
        if credential is None:
            raise OffStageError(f"{name} cannot log in ({answer.status})")
        return await self._keep_session(name, kind, answer, credential)

    async def _keep_session(
        self, name: str, kind: Kind, answer: Answer, credential: Credential
    ) -> Held | None:
        login = self.target.login(kind)
        learn = self.searcher.scene.recorder.redactor.learn
        learn(credential.value)
        for _, value in (*credential.companions, *credential.crumbs):
            learn(Secret(value))
        if any(
            item.credential is not None and item.credential.value == credential.value for item in self.held
        ):
            return None  # tokens of one second are one token: it is in the book already
        family = self.book.family()
        self.book.logged_in(name, family)
        held = self._keep(name, kind.value, family, credential, _expiry(credential, answer, self._now()))
        refresh = login.read_refresh(answer.reply) if login is not None else None
        refresh = refresh or self.searcher.refresh_cookie(answer.reply)
        if refresh is not None and self.target.refresh is not None:
            learn(refresh)
            self._keep(name, "refresh token", family, None, _token_end(refresh), refresh)
        return held

    def _keep(  # noqa: PLR0917 - what a holding is made of
        self,
        owner: str,
        kind: str,
        family: int,
        credential: Credential | None,
        expires: float | None = None,
        refresh: Secret | None = None,
        identifier: str | None = None,
    ) -> Held:
        held = Held(self.book.issue(owner, kind, family, expires), credential, refresh, identifier)
        self.held.append(held)
        return held

    async def refresh(self, held: Held) -> Held | None:
        """Exchange a refresh token, as its client does."""
        name = held.holding.owner
        answer, renewal = await self.renew(held, f"{name} refreshes")
        self.tell(f"{name} exchanges {held.holding.name}", answer)
        self._judge_refresh(held, renewal is not None)
        if renewal is None:
            return None
        was_used = held.holding.used
        self.book.refreshed(held.holding)
        return self._renewed(held, renewal) if not was_used else None

    async def renew(self, held: Held, label: str) -> tuple[Answer, Any]:
        """Present a refresh token; the renewal is None when nothing was given. Raises OffStageError."""
        flow, request = self._renewing(held)
        answer = await self.searcher.send(
            request, label=label, operation=flow.operation.name, moved=self.moved
        )
        return answer, self.searcher.renewal(answer)

    def _renewing(self, held: Held) -> tuple[Refresh, HttpRequest]:
        """The request that exchanges a refresh token. Raises OffStageError."""
        flow = self.target.refresh
        if held.refresh is None or flow is None:
            raise OffStageError("no refresh token is known")
        self.searcher.scene.recorder.redactor.learn(held.refresh)
        return flow, flow.request(held.refresh)

    def _got_in(self) -> None:
        """The request that was told last is the one that should have been refused."""
        self.exchanges[-1] = _admitted(self.exchanges[-1])

    def _judge_refresh(self, held: Held, given: bool) -> None:  # noqa: FBT001 - what came of it
        life, why = self.book.demand(held.holding)
        if held.holding.used and self.book.habits.refresh_rotates and not self.target.policy.refresh_window:
            life, why = Life.DEAD, "it was used before"
        if given and life is Life.DEAD:
            self._got_in()
            raise BrokenError(
                rules.ZOMBIE,
                f"{held.holding.name} still gives new tokens, although {why}",
                self.target.refresh.operation.name if self.target.refresh else None,
            )
        if not given and life is Life.ALIVE and not held.holding.used:
            held.holding.life = Life.EITHER

    def _renewed(self, held: Held, renewal: Any) -> Held | None:
        name, family = held.holding.owner, held.holding.family
        learn = self.searcher.scene.recorder.redactor.learn
        made: Held | None = None
        bearer = self.target.login(Kind.BEARER)
        if renewal.access is not None and bearer is not None:
            learn(renewal.access)
            credential = Credential(bearer.carrier, renewal.access, name)
            made = self._keep(name, "bearer", family, credential, _token_end(renewal.access))
        if renewal.following is not None and renewal.following != held.refresh:
            learn(renewal.following)
            self._keep(name, "refresh token", family, None, _token_end(renewal.following), renewal.following)
        return made

    async def reuse(self, held: Held) -> None:
        """Present a refresh token that was used already: what a thief does, or its victim after them."""
        answer, renewal = await self.renew(held, "a used refresh token comes back")
        self.tell(f"{held.holding.name}, used before, is presented again", answer)
        self._judge_refresh(held, renewal is not None)
        if renewal is None and answer.outcome is None:
            self.book.reused(held.holding)

    async def log_out(self, held: Held) -> None:
        """End one session."""
        name = held.holding.owner
        kind = Kind(held.holding.kind)
        logout = next((item for item in self.target.logouts if item.kind is kind), None)
        if logout is None or held.credential is None:
            return
        refresh = next(
            (
                item.refresh
                for item in reversed(self.held)
                if item.refresh is not None and item.holding.family == held.holding.family
            ),
            None,
        )
        body = logout.body(held.credential.value, refresh)
        answer = await self.searcher.call(
            logout.operation, held.credential, label=f"{name} logs out", body=body, moved=self.moved
        )
        self.tell(f"{name} logs out {held.holding.name}", answer)
        if _done(answer):
            self.book.logged_out(held.holding)

    async def log_out_everywhere(self, held: Held) -> None:
        """End all sessions of the user."""
        if self.moves.logout_all is None:
            return
        name = held.holding.owner
        answer = await self.searcher.call(
            self.moves.logout_all, held.credential, label=f"{name} logs out everywhere", moved=self.moved
        )
        self.tell(f"{name} logs out everywhere with {held.holding.name}", answer)
        if _done(answer):
            self.book.logged_out_everywhere(name)

    async def change_password(self, held: Held) -> None:
        """Set a new password with one session."""
        move, actor = self.moves.change, self.actor(held.holding.owner)
        if move is None:
            return
        new = Secret(self.searcher.password())
        self.searcher.scene.recorder.redactor.learn(new)
        answer = await self.searcher.call(
            move.operation,
            held.credential,
            label=f"{actor.name} changes the password",
            body=move.body(actor.password.reveal(), new.reveal()),
            moved=self.moved,
        )
        self.tell(f"{actor.name} changes the password with {held.holding.name}", answer)
        if _done(answer):
            actor.former.append(actor.password)
            actor.password = new
            actor.account = replace(actor.account, password=new)
            self.book.changed_password(actor.name, held.holding.family)

    async def try_former_password(self, name: str) -> None:
        """Log in with a password that was replaced."""
        actor = self.actor(name)
        if not actor.former or not actor.present:
            return
        answer, login = await self.searcher.try_login(
            actor.account, actor.former[-1], moved=self.moved, label=f"{name} tries the former password"
        )
        self.tell(f"somebody logs in as {name} with the former password", answer)
        if login.read(answer.reply, name) is not None:
            self._got_in()
            raise BrokenError(
                rules.ZOMBIE, f"{name}'s former password still logs in", login.operation.name, Severity.HIGH
            )

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
        if _done(answer):
            self.book.revoked(held.holding, "it was rotated" if rotate else "it was revoked")
            if rotate:
                self._read_key(name, answer)

    async def delete_account(self, held: Held) -> None:
        """Delete the user's own account."""
        operation, name = self.target.delete_account, held.holding.owner
        if operation is None or self.target.register is None:
            return
        answer = await self.searcher.call(
            operation, held.credential, label=f"{name} deletes the account", moved=self.moved
        )
        self.tell(f"{name} deletes the account", answer)
        if _done(answer):
            self.actor(name).present = False
            self.book.left(name)

    async def register_again(self, name: str) -> None:
        """Somebody registers under the name of an account that was deleted."""
        register, actor = self.target.register, self.actor(name)
        if register is None or actor.present:
            return
        new = Secret(self.searcher.password())
        self.searcher.scene.recorder.redactor.learn(new)
        answer = await self.searcher.send(
            register.request(actor.account.username, new),
            label=f"register {name} again",
            operation=register.operation.name,
            moved=self.moved,
        )
        self.tell(f"somebody registers under {name}'s name again", answer)
        if _done(answer):
            actor.former.append(actor.password)
            actor.password, actor.present = new, True
            actor.account = replace(actor.account, password=new)
            self._look_again(name)

    def _look_again(self, name: str) -> None:
        """An account is back: what was dead must still be."""
        self.book.returned(name)
        for item in self.held:
            if item.holding.owner == name:
                item.demanded = Life.ALIVE

    # What administrators do.

    async def switch(self, name: str, switch: Switch, *, on: bool) -> bool:
        """Change an account as the administrator; whether the service did it."""
        actor, admin = self.actor(name), self.world.admin
        credential = admin.login() if admin is not None else None
        if credential is None or actor.identifier is None or not actor.present:
            return False
        body = dict(switch.on if on else switch.off)
        if actor.met is not None and actor.met not in self.exchanges:
            self.exchanges.append(actor.met)
        answer = await self.searcher.call(
            switch.operation,
            credential,
            label=f"the administrator changes {name}",
            values={switch.parameter: actor.identifier},
            body=body,
            moved=self.moved,
        )
        self.tell(
            f"the administrator sets {', '.join(f'{key}={value}' for key, value in body.items())} for {name}",
            answer,
        )
        return _done(answer)

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
        fresh = await self.log_in(name, Kind(self.troupe.kinds[0].value))
        tried = sessions[:4] + ([fresh] if fresh is not None else [])
        opened = [item for item in tried if (await self._asks(guarded, item)).reply.ok]
        if not await self.switch(name, move, on=False):
            return
        for item in opened:
            answer = await self._asks(guarded, item)
            if answer.reply.ok and (again := await self._asks(guarded, item)).reply.ok:
                self.tell(
                    f"{item.holding.name} asks what only administrators may",
                    _accepted(answer),
                    _accepted(again),
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

    # Time.

    async def wait(self, seconds: float) -> None:
        """Let time pass: the clock of this process moves."""
        self.moved += seconds
        self.book.now = self._now()
        self.tell(f"{seconds / 60:g} minutes pass")

    # Two at once.

    async def _race(
        self, requests: Sequence[HttpRequest], label: str, operations: Sequence[str]
    ) -> tuple[Answer, ...]:
        """Send all at one moment: a rate or a limited number at a time would let them come one after the other.

        A limit that refuses one of them is not waited for, because what comes later is no part of the race.
        """
        race = await self.searcher.together_now(requests, label, operations, 0.0, moved=self.moved)
        # They are plain requests of the story, whatever held them back: only their moment is special, and a moved
        # clock. What breaks the model is the attack, here or later.
        special = f"clock moved by {self.moved:g} s" if self.moved else ""
        return tuple(
            replace(answer, exchange=replace(answer.exchange, special=special, role=Role.SETUP))
            for answer in race.answers
        )

    async def race_refresh(self, held: Held) -> None:
        """The same refresh token, twice at the same time: at most one client may get tokens."""
        if held.holding.used or not self.book.habits.refresh_rotates or self.target.policy.refresh_window:
            return
        flow, request = self._renewing(held)
        racing = await self._race([request] * 3, "three clients refresh", [flow.operation.name] * 3)
        pairs = [(answer, self.searcher.renewal(answer)) for answer in racing]
        given = [renewal for _, renewal in pairs if renewal is not None]
        held.holding.used = True
        distinct = {renewal.following.reveal() for renewal in given if renewal.following is not None}
        broken = len(given) > 1 and len(distinct) > 1
        answers = _together(
            *(_accepted(answer) if broken and made is not None else answer for answer, made in pairs)
        )
        self.tell(f"three clients exchange {held.holding.name} at once", *answers)
        if broken:
            raise BrokenError(
                rules.RACE,
                f"{len(given)} clients got tokens of their own for one refresh token",
                self.target.refresh.operation.name if self.target.refresh else None,
                expected=Expectation("once", self._place_of_following(), about=answers[0].exchange.together),
            )
        for renewal in given:
            self._renewed(held, renewal)
        self.book.refreshed(held.holding)
        self.book.doubt_family(held.holding)

    def _place_of_following(self) -> str:
        """Where a refresh reply holds the next refresh token."""
        flow = self.target.refresh
        if flow is None or flow.place == "cookie":
            return f"cookie {flow.field if flow is not None else ''}"
        return flow.refresh or flow.token

    async def race_logout(self, held: Held, refresh: Held) -> None:
        """A logout and a refresh at once: in either order the session has ended."""
        logout = next((item for item in self.target.logouts if item.kind.value == held.holding.kind), None)
        if logout is None or held.credential is None or logout.refresh_field:
            return
        flow, request = self._renewing(refresh)
        leaving = logout.operation.request({}).with_headers(*held.credential.headers)
        out, renewed = await self._race(
            [leaving.with_query(*held.credential.query), request],
            "a logout and a refresh at once",
            [logout.operation.name, flow.operation.name],
        )
        renewal = self.searcher.renewal(renewed)
        self.tell(
            f"{held.holding.name} is logged out while {refresh.holding.name} is exchanged",
            *_together(out, renewed),
        )
        if renewal is not None:
            self.book.refreshed(refresh.holding)
            self._renewed(refresh, renewal)
        if _done(out):
            self.book.logged_out(held.holding)

    # What must hold.

    async def audit(self, number: int) -> None:
        """Present one credential and compare with the model."""
        if self.held:
            await self._look(self.held[number % len(self.held)])

    async def sweep(self) -> None:
        """Present what must be dead since the last step, and of what must be alive what was not seen for longest."""
        self.book.now = self._now()
        for item in list(reversed(self.held)):
            if self.book.demand(item.holding)[0] is Life.DEAD and item.demanded is not Life.DEAD:
                await self._look(item)
        alive = [item for item in self.alive(*_PRESENTED) if item.credential is not None]
        for item in sorted(alive, key=lambda one: one.looked)[:_ALIVE]:
            await self._look(item)

    async def audit_all(self) -> None:
        """Present everything that must be alive or dead, the newest first."""
        for item in list(reversed(self.held[-_LAST:])):
            await self._look(item)

    async def _look(self, held: Held) -> None:
        self.book.now = self._now()
        demanded, why = self.book.demand(held.holding)
        self._looks += 1
        held.looked, held.demanded = self._looks, demanded
        if demanded is Life.EITHER:
            return
        if held.credential is None:
            if demanded is Life.DEAD and not held.holding.used and why != "it has expired":
                await self._dead_refresh(held, why)
            return
        answer = await self._present(held.credential, f"{held.holding.name} at the witness")
        if answer.outcome is not None:
            return
        if answer.reply.ok:
            await self._opened_by(held, demanded, why, answer)
        elif demanded is Life.ALIVE and answer.status in {401, 403}:
            await self._refused(held, answer)

    async def _present(self, credential: Credential, label: str, *, fresh: bool = False) -> Answer:
        answer = await self.searcher.ask_witness(
            credential, label, role=Role.ATTACK, moved=self.moved, fresh=fresh
        )
        self.searcher.forget()
        return answer

    async def _opened_by(self, held: Held, demanded: Life, why: str, answer: Answer) -> None:
        actor = self.actor(held.holding.owner)
        principal = answer.exchange.reply.principal
        others = {item.principal for item in self.actors.values() if item is not actor} - {None}
        if demanded is Life.DEAD or principal in others:
            again = await self._present(held.credential, f"again: {held.holding.name}", fresh=True)  # type: ignore[arg-type] # looked at by the caller
            if not again.reply.ok or again.reply.header("age") is not None:
                return
            self.tell(f"{held.holding.name} is presented", _accepted(answer), _accepted(again))
            place = self.searcher.witness.operation.name
            if principal in others:
                line = f"{held.holding.name} opens another account ({principal})"
                raise BrokenError(rules.MISTAKEN, line, place)
            if actor.former and why.startswith("its owner's account was deleted") and actor.present:
                line = f"{held.holding.name}, of the deleted account, opens the new one of that name"
                raise BrokenError(rules.MISTAKEN, line, place)
            severity = Severity.MEDIUM if why == "the password was changed" else None
            raise BrokenError(rules.ZOMBIE, f"{held.holding.name} is alive, although {why}", place, severity)

    async def _refused(self, held: Held, answer: Answer) -> None:
        again = await self._present(held.credential, f"again: {held.holding.name}", fresh=True)  # type: ignore[arg-type] # looked at by the caller
        waited = self.moved or self.searcher.skipped != self._skipped
        if again.reply.ok or again.outcome is not None or waited:
            # After a pause a session may be idle for too long: how long is the service's own business.
            held.holding.life = Life.EITHER
            return
        self.tell(f"{held.holding.name} is presented", answer, again)
        raise BrokenError(
            rules.KILLED,
            f"{held.holding.name} is dead, although nothing that happened may end it",
            self.searcher.witness.operation.name,
        )

    async def _dead_refresh(self, held: Held, why: str) -> None:
        answer, renewal = await self.renew(held, f"{held.holding.name} is presented")
        held.holding.used = True
        # Told in any case: a refresh token that comes back may end other sessions (RFC 9700 §4.14.2).
        self.tell(f"{held.holding.name} is presented", answer)
        if renewal is not None:
            self._got_in()
            operation = self.target.refresh.operation.name if self.target.refresh else None
            raise BrokenError(
                rules.ZOMBIE, f"{held.holding.name} still gives new tokens, although {why}", operation
            )

    async def _opened(self, credential: Credential, line: str, login: Answer) -> BrokenError:
        answer = await self._present(credential, "what such a login opens")
        self.tell("what it gave is presented", _accepted(answer))
        return BrokenError(
            rules.ZOMBIE,
            f"{line}: {'it opens the account' if answer.reply.ok else 'it got a credential'}",
            login.exchange.operation,
        )

    async def leave(self) -> None:
        """Give the accounts back; keys that the story made are revoked, because services limit their number."""
        keys = self.target.keys
        for item in self.alive("key"):
            session = next(iter(self.alive("bearer", "cookie", owner=item.holding.owner)), None)
            if keys is not None and keys.revoke is not None and session is not None and item.identifier:
                await self.searcher.call(
                    keys.revoke,
                    session.credential,
                    label="tidy up: revoke a key",
                    values={keys.id_parameter: item.identifier},
                    moved=self.moved,
                )
        for actor in self.actors.values():
            self.troupe.take_back(actor)
        self.searcher.forget()


class Troupe:
    """The accounts that stories use, one after the other: registrations are limited almost everywhere."""

    def __init__(self, world: World, kinds: list[Kind]) -> None:
        self.world, self.kinds = world, kinds
        self.privileged: Any = None
        self._free: dict[str, Actor] = {}

    async def lend(self, name: str) -> Actor:
        """An account for this name in a story. Raises Missing, Unclear."""
        actor = self._free.pop(name, None)
        if actor is not None:
            return actor
        searcher = self.world.searcher
        account = await searcher.expendable()
        if account.password is None:
            raise Missing("No account with a password is known.")
        session = await searcher.log_in(account, self.kinds[0], moved=0.0)
        answer = await searcher.ask_witness(session.credential, f"who {name} is")
        found = answer.reply.json
        identifier = found.get("id") if isinstance(found, dict) else None
        return Actor(
            name,
            replace(account, label=name),
            account.password,
            identifier=str(identifier) if isinstance(identifier, (str, int)) else None,
            principal=answer.exchange.reply.principal,
            met=answer.exchange,
        )

    async def disband(self) -> None:
        """Log everybody in once more: with that session the run deletes the account at its end."""
        scene = self.world.scene
        for actor in self._free.values():
            try:
                session = await self.world.searcher.log_in(actor.account, self.kinds[0])
            except (Missing, Unclear):
                continue
            scene.made_accounts = [
                (made, session.credential if made.username == actor.account.username else credential)
                for made, credential in scene.made_accounts
            ]

    def take_back(self, actor: Actor) -> None:
        """Keep a whole account for the next story."""
        if actor.present and not actor.blocked and len(actor.former) < 20:
            actor.former = []
            self._free[actor.name] = actor

    async def find_privileged(self) -> None:
        """An operation that the administrator may read and users may not: it shows whose rights a caller has."""
        world, searcher = self.world, self.world.searcher
        mine, theirs = world.a.login(), world.admin.login() if world.admin is not None else None
        if mine is None or theirs is None:
            return
        for operation in world.target.operations:
            if operation.method != "GET" or "{" in operation.path or not operation.protected:
                continue
            if (await searcher.call(operation, theirs, label="the administrator reads")).reply.ok:
                refused = await searcher.call(operation, mine, label="a user reads the same")
                if refused.status == 403:
                    self.privileged = operation
                    return


def _accepted(answer: Answer) -> Answer:
    return replace(answer, exchange=_admitted(answer.exchange))


def _admitted(exchange: Exchange) -> Exchange:
    return replace(exchange, role=Role.ATTACK, outcome=Outcome.ACCEPTED)


def _together(*answers: Answer) -> list[Answer]:
    """The answers to requests that were sent at the same instant, each with that fact."""
    first = min(answer.exchange.number for answer in answers)
    return [replace(answer, exchange=replace(answer.exchange, together=first)) for answer in answers]


def _done(answer: Answer) -> bool:
    return answer.status is not None and answer.status < 400 and answer.outcome is None


def _expiry(credential: Credential, answer: Answer, now: float) -> float | None:
    end = _token_end(credential.value)
    if end is not None:
        return end
    seconds = resolve(answer.reply.json, "/expires_in")
    return now + seconds if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) else None


def _token_end(secret: Secret) -> float | None:
    token = Jwt.parse(secret.reveal())
    end = token.claims.get("exp") if token is not None else None
    return float(end) if isinstance(end, (int, float)) and not isinstance(end, bool) else None
