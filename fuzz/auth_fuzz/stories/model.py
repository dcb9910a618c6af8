"""The reference model of the credential lifecycle: which credential must be alive, dead, or may be either.

Pure: nothing here sends anything. The machine tells it what was done and asks what must hold.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field


class Life(enum.Enum):
    """What the model demands of a credential."""

    ALIVE = "alive"
    DEAD = "dead"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Habits:
    """What this service was seen to do in the plainest case; in every other case it must do the same.

    A service may end a user's other sessions with one of them, or rotate refresh tokens, or not: that is its
    own business. Doing it only sometimes is not.
    """

    logout_spares_others: bool = False
    everywhere_ends_own: bool = False
    login_spares_others: bool = False
    refresh_spares_access: bool = False
    refresh_rotates: bool = False
    reuse_ends_family: bool = False
    reuse_spares_others: bool = False
    keys_outlive_logout: bool = False
    keys_outlive_password: bool = False
    change_spares_own: bool = False
    change_ends_others: bool = False
    reset_ends_others: bool = False
    keys_outlive_reset: bool = False
    outlives_restart: bool = False


# What comes by mail: it opens nothing by itself, and redeeming it changes an account.
RESET, CONFIRMATION = "reset token", "confirmation token"
MAILED = (RESET, CONFIRMATION)


@dataclass(slots=True)
class Holding:
    """One credential as the model knows it. `family` ties what one login gave; `expires` is in seconds."""

    number: int
    owner: str
    kind: str
    family: int
    life: Life = Life.ALIVE
    expires: float | None = None
    why: str = ""
    used: bool = False

    @property
    def name(self) -> str:
        """What the story calls it, such as `ann's cookie 2`."""
        return f"{self.owner}'s {self.kind} {self.number}"


@dataclass(slots=True)
class Book:
    """All credentials of one story. `leeway` is how long a credential may outlive its end, in seconds."""

    habits: Habits
    leeway: float = 60.0
    now: float = 0.0
    holdings: list[Holding] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    _families: int = 0

    def family(self) -> int:
        """A number for a new login."""
        self._families += 1
        return self._families

    def issue(self, owner: str, kind: str, family: int, expires: float | None = None) -> Holding:
        """A credential was given out."""
        holding = Holding(len(self.holdings) + 1, owner, kind, family, Life.ALIVE, expires)
        self.holdings.append(holding)
        return holding

    def demand(self, holding: Holding) -> tuple[Life, str]:
        """What must hold of a credential now, and why."""
        if holding.life is Life.DEAD:
            return Life.DEAD, holding.why
        if holding.expires is not None:
            if self.now > holding.expires + self.leeway:
                return Life.DEAD, "it has expired"
            if self.now > holding.expires - self.leeway:
                return Life.EITHER, ""
        return holding.life, holding.why

    def of(self, owner: str) -> list[Holding]:
        """Everything that was given to a user."""
        return [item for item in self.holdings if item.owner == owner]

    # What was done.

    def logged_in(self, owner: str, family: int) -> None:
        """A new login may end the user's earlier ones, where the service does that."""
        if not self.habits.login_spares_others:
            self._doubt(item for item in self._sessions(owner) if item.family != family)

    def logged_out(self, holding: Holding) -> None:
        """One session ended: all of its family is dead."""
        family = [item for item in self.of(holding.owner) if item.family == holding.family]
        self._end(family, "its session was logged out")
        if not self.habits.logout_spares_others:
            self._doubt(item for item in self._sessions(holding.owner) if item.family != holding.family)
        if not self.habits.keys_outlive_logout:
            self._doubt(self._keys(holding.owner))

    def logged_out_everywhere(self, owner: str, family: int) -> None:
        """All sessions of a user ended; the one that asked for it where the service was seen to end that, too."""
        spared = 0 if self.habits.everywhere_ends_own else family
        sessions = self._sessions(owner)
        self._end((item for item in sessions if item.family != spared), "its owner logged out everywhere")
        self._doubt(item for item in sessions if item.family == spared)
        if not self.habits.keys_outlive_logout:
            self._doubt(self._keys(owner))

    def refreshed(self, holding: Holding) -> None:
        """A refresh token was exchanged: it is used up where the service rotates."""
        holding.used = True
        if self.habits.refresh_rotates and holding.life is not Life.DEAD:
            holding.life, holding.why = Life.EITHER, "it was used"
        if not self.habits.refresh_spares_access:
            self._doubt(
                item
                for item in self.of(holding.owner)
                if item.family == holding.family and item is not holding and item.kind != "refresh token"
            )

    def reused(self, holding: Holding) -> None:
        """A used refresh token came back: where that ends the family, it must do so every time."""
        family = [item for item in self.of(holding.owner) if item.family == holding.family]
        if self.habits.reuse_ends_family:
            self._end(family, "a used refresh token of its login came back")
        else:
            self._doubt(family)
        self.dead_presented(holding)

    def dead_presented(self, holding: Holding) -> None:
        """A refresh token came back that must be dead: it may end more, where the service was seen to do that."""
        if not self.habits.reuse_spares_others:
            self._doubt(item for item in self._sessions(holding.owner) if item.family != holding.family)

    def changed_password(self, owner: str, family: int, why: str = "the password was changed") -> None:
        """A new password: other sessions are dead, the one that changed it may live on."""
        others = [item for item in self._sessions(owner) if item.family != family]
        if self.habits.change_ends_others:
            self._end(others, why)
        else:
            self._doubt(others)
        if not self.habits.change_spares_own:
            self._doubt(item for item in self._sessions(owner) if item.family == family)
        if not self.habits.keys_outlive_password:
            self._doubt(self._keys(owner))
        self._doubt(self._letters(owner, RESET))

    def mailed(self, owner: str, kind: str) -> Holding:
        """A token was sent by mail: it may have replaced the earlier ones of its kind."""
        self._doubt(self._letters(owner, kind))
        return self.issue(owner, kind, self.family())

    def reset(self, owner: str) -> None:
        """A password was set with a mailed token: whoever was in before may be a thief."""
        if self.habits.reset_ends_others:
            self._end(self._sessions(owner), "the password was reset")
        else:
            self._doubt(self._sessions(owner))
        if not self.habits.keys_outlive_reset:
            self._doubt(self._keys(owner))
        self._doubt(self._letters(owner, RESET))

    def restarted(self) -> None:
        """The service was started anew: where sessions were seen to end with it, nothing must be alive."""
        if not self.habits.outlives_restart:
            self._doubt(self.holdings)

    def revoked(self, holding: Holding, why: str = "it was revoked") -> None:
        """One key is dead."""
        self._end([holding], why)

    def left(self, owner: str, why: str = "its owner's account was deleted") -> None:
        """An account is gone, or blocked: nothing of it opens anything."""
        self._end(self.of(owner), why)
        self.gone.add(owner)

    def returned(self, owner: str) -> None:
        """The account is back, or another one of the same name: what was dead stays dead."""
        self.gone.discard(owner)

    def doubt_family(self, holding: Holding) -> None:
        """Requests crossed: what the family is now depends on which came first."""
        self._doubt(item for item in self.of(holding.owner) if item.family == holding.family)

    def _sessions(self, owner: str) -> list[Holding]:
        return [item for item in self.of(owner) if item.kind not in ("key", *MAILED)]

    def _letters(self, owner: str, kind: str) -> list[Holding]:
        return [item for item in self.of(owner) if item.kind == kind]

    def _keys(self, owner: str) -> list[Holding]:
        return [item for item in self.of(owner) if item.kind == "key"]

    @staticmethod
    def _end(holdings: Iterable[Holding], why: str) -> None:
        for item in holdings:
            if item.life is not Life.DEAD:
                item.life, item.why = Life.DEAD, why

    @staticmethod
    def _doubt(holdings: Iterable[Holding]) -> None:
        for item in holdings:
            if item.life is Life.ALIVE:
                item.life = Life.EITHER
