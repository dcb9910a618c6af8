"""Where stories are played: users, their credentials, and every step as real requests on the loop.

Each method of `Stage` does one thing that a user or an administrator can do, tells the model, and writes the
story down. What breaks the model is raised as `BrokenError`.
"""

from __future__ import annotations

from auth_fuzz.stories.accounts import Accounts
from auth_fuzz.stories.looks import Looks
from auth_fuzz.stories.races import Races


class Stage(Accounts, Races, Looks):
    """One story: all that can happen in it."""

    async def wait(self, seconds: float) -> None:
        """Let time pass: the clock of this process moves."""
        self.moved += seconds
        self.book.now = self._now()
        self.tell(f"{seconds / 60:g} minutes pass")

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
