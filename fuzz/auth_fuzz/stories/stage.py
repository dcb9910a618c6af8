"""Where stories are played: users, their credentials, and every step as real requests on the loop.

Each method of `Stage` does one thing that a user or an administrator can do, tells the model, and writes the
story down. What breaks the model is raised as `BrokenError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.transports.asgi import AsgiTransport, LifespanFailedError
from auth_fuzz.stories.accounts import Accounts
from auth_fuzz.stories.ground import OffStageError
from auth_fuzz.stories.looks import Looks
from auth_fuzz.stories.model import Life
from auth_fuzz.stories.races import Races

if TYPE_CHECKING:
    from auth_conformance.credentials import Kind


class Stage(Accounts, Races, Looks):
    """One story: all that can happen in it."""

    async def end_some(self, name: str, kinds: list[Kind]) -> None:
        """A session of each of these kinds that was logged out, and a key that was revoked."""
        for kind in kinds:
            held = await self.log_in(name, kind)
            if held is not None:
                await self.log_out(held)
        key = await self.create_key(name)
        if key is not None:
            await self.revoke_key(key)

    async def wait(self, seconds: float) -> None:
        """Let time pass: the clock of this process moves."""
        self.moved += seconds
        self.book.now = self._now()
        self.tell(f"{seconds / 60:g} minutes pass")

    async def restart(self) -> None:
        """Shut the application down and start it again in this process. Raises OffStageError when it does not."""
        transport = self.searcher.scene.recorder.transport
        if not isinstance(transport, AsgiTransport) or self.world.restarts is False:
            raise OffStageError("the service cannot be restarted from here")
        await transport.close()
        try:
            await transport.start()
        except LifespanFailedError as error:
            self.world.restarts = False
            raise OffStageError(f"the application does not start twice in one process ({error})") from None
        self.restarted = True
        self.tell("the service is restarted")
        self.book.restarted()
        for item in self.held:
            item.demanded = Life.ALIVE

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
