"""Who plays in the stories: users with their accounts, and what they hold."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.oracles.mail import read
from auth_conformance.probe import Missing, Unclear
from auth_conformance.secret import Secret
from auth_fuzz.stories.model import Holding, Life

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential, Kind
    from auth_conformance.model import Exchange
    from auth_conformance.target import Account
    from auth_fuzz.things import Thing
    from auth_fuzz.world import World

NAMES = ("ann", "bob")
# Who registers in the middle of a story.
NEWCOMER = "cy"


@dataclass(slots=True)
class Actor:
    """A user of the stories. `known` are the credentials by the model's number."""

    name: str
    account: Account
    password: Secret
    former: list[Secret] = field(default_factory=list)
    # What the witness calls the account, by the names of its members.
    facts: dict[str, str] = field(default_factory=dict)
    principal: str | None = None
    # The reply that told `facts`.
    met: Exchange | None = None
    present: bool = True
    blocked: bool = False
    # Whether the address is confirmed, where that is asked for before anybody may log in; None when nobody knows.
    confirmed: bool | None = True
    # The token that confirmed it: used up, and no use for whoever registers under the name later.
    welcome: Secret | None = None
    # What the account kept when it was deleted, and the word in it.
    left: tuple[Thing, str] | None = None
    # Whether it serves no other story: nobody knows its password any more, or its address is confirmed for good.
    spoiled: bool = False


@dataclass(slots=True)
class Held:
    """A holding of the model with the credential that it stands for, and an API key's id."""

    holding: Holding
    credential: Credential | None
    refresh: Secret | None = None
    identifier: str | None = None
    mailed: Secret | None = None
    # The other cookies that its login set, which may open by themselves: `remember me`.
    beside: tuple[tuple[str, str], ...] = ()
    # When it was last presented, by the number of the look, and what was demanded of it then.
    looked: int = 0
    demanded: Life = Life.ALIVE


class Troupe:
    """The accounts that stories use, one after the other: registrations are limited almost everywhere."""

    def __init__(self, world: World, kinds: list[Kind]) -> None:
        self.world, self.kinds = world, kinds
        self.privileged: Any = None
        # How many newcomers registered in the middle of stories.
        self.arrived = 0
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
        register = self.world.target.register
        welcome = None
        if register is not None and register.confirmed:
            letter = read(await searcher.last_mail(account) or "")
            welcome = Secret(letter.token) if letter.token is not None else None
        session = await searcher.log_in(account, self.kinds[0], moved=0.0)
        answer = await searcher.ask_witness(session.credential, f"who {name} is")
        return Actor(
            name,
            replace(account, label=name),
            account.password,
            facts=searcher.facts_in(answer),
            principal=answer.exchange.reply.principal,
            met=answer.exchange,
            welcome=welcome,
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
        whole = actor.present and not actor.blocked and not actor.spoiled and actor.confirmed is True
        if whole and actor.name in NAMES and len(actor.former) < 20:
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
