"""What the checks of one run share: the target, the way out, caches, and what was made along the way."""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from auth_conformance.credentials import Credential, Jwt
from auth_conformance.model import Exchange
from auth_conformance.secret import Secret
from auth_conformance.target import Account, Objects, Operation, Target
from auth_conformance.transports.message import HttpRequest, Transport
from auth_conformance.transports.recorder import METER, Recorder
from auth_conformance.transports.waiting import DEADLINE, Deadline
from auth_conformance.transports.websocket import Opener

T = TypeVar("T")

# Tokens that live no longer than so many seconds may end in the middle of any check.
SHORT = 120.0
# Under this key is kept what signs tokens as A's login did: it names the session of that login.
FORGE = "forge"


@dataclass(frozen=True, slots=True)
class Crash:
    """A request that got no orderly answer, kept so that ERR108 can send it again in the same way."""

    label: str
    request: HttpRequest
    exchange: Exchange
    wire: bool = False
    moved: float = 0.0


class Birth(NamedTuple):
    """When a login gave a credential, by the monotonic and by the wall clock; and for how long, if it said so."""

    since: float
    at: float
    lives: float | None = None


@dataclass(slots=True)
class Scene:
    """Shared by all probes of a run. `patience` is the longest `Retry-After` to wait for, in seconds.

    `second` opens another process of the service, with environment variables of its own: its transport and how it
    is told, or None and why there is none.

    `app` is the application object, where it runs in this process. `sockets` opens WebSockets; `origin` is the
    target's own, as a browser would name it.

    `ca_file` holds the authority that signed the target's certificate, where the usual ones did not.

    `lent` are the declared expendable accounts that each check was given: (code, label); `lost` those whom
    their password does not let in any more, `unknown` those that it never did; `altered` those that kept a
    password of the run. `shut` are the facts of the accounts that are disabled just now, by the check that did
    it and what administrators call them.

    `sampler` makes a request that an operation's schemas allow: (operation, chance, path_values=...).
    """

    target: Target
    recorder: Recorder
    run_id: str
    seed: int = 0
    patience: float = 5.0
    allow_disruptive: bool = True
    level: int = 3
    wire: Callable[[], Awaitable[Transport]] | None = None
    sockets: Callable[[], Awaitable[Opener]] | None = None
    origin: str = "https://testserver"
    second: Callable[[Mapping[str, str]], Awaitable[tuple[Transport | None, str]]] | None = None
    sampler: Callable[..., HttpRequest] | None = None
    app: object | None = None
    ca_file: str | None = None
    crashes: list[Crash] = field(default_factory=list)
    refusals_seen: list[Exchange] = field(default_factory=list)
    made_accounts: list[tuple[Account, Credential | None]] = field(default_factory=list)
    lent: set[tuple[str, str]] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    altered: set[str] = field(default_factory=set)
    shut: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    waited: float = 0.0
    # Who knocks at a login whose limit names no end; whether such a limit has outlasted the patience of the run.
    gate: asyncio.Lock = field(default_factory=asyncio.Lock)
    outlasted: bool = False
    # Whether this machine was shut out for longer than that.
    banned: bool = False
    # Whether a 502, 503 or 504 was over a moment later: something in front says so now and then.
    lets_up: bool = False
    # Instances of the service that take turns, by the header in which they name themselves; empty until they are known.
    instances: dict[str, frozenset[str]] = field(default_factory=dict)
    # Who sends to each of them in turn: eight at a time would keep to the same ones.
    turns: asyncio.Lock = field(default_factory=asyncio.Lock)
    # The loopback address that requests come from which name none: another one once a limit was met.
    caller: str | None = None
    # What stands above objects in their paths: by account, and by the id of an object. Who stands below the same.
    parents: dict[str, Mapping[str, str]] = field(default_factory=dict)
    above: dict[str, Mapping[str, str]] = field(default_factory=dict)
    sharing: set[frozenset[str]] = field(default_factory=set)
    # Members of a creation that no two objects may have alike, by the operation that said so with a 409.
    apart: dict[str, tuple[str, ...]] = field(default_factory=dict)
    made_parents: list[tuple[Operation, Mapping[str, str], Credential]] = field(default_factory=list)
    # How to take away what was made and is still there, by method and path.
    left: dict[tuple[str, str], tuple[str, HttpRequest]] = field(default_factory=dict)
    # Whom an operation answered how, for the matrix of who gets in where: (operation, caller) -> statuses.
    seen: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    live: dict[Secret, str] = field(default_factory=dict)
    _about: dict[str, Scene] = field(default_factory=dict)
    # The checks whose shared login ended in the middle of them, twice.
    outlived: set[str] = field(default_factory=set)
    # How often each check was begun anew: it draws other words then, for those of before may still stand somewhere.
    rounds: dict[str, int] = field(default_factory=dict)
    # When each login gave a credential.
    born: dict[Secret, Birth] = field(default_factory=dict)
    _once: dict[object, asyncio.Future[Any]] = field(default_factory=dict)
    _shared_deadlines: dict[object, Deadline] = field(default_factory=dict)

    def required_of(self, operation: Operation) -> dict[str, Any]:
        """The members that the JSON body of an operation demands, with values that its schema allows."""
        schema = next((schema for media, schema in operation.bodies.items() if media.endswith("json")), {})
        if self.sampler is None or not schema.get("required"):
            return {}
        request = self.sampler(operation, random.Random(f"{self.seed}:{operation.name}"))
        made = json.loads(request.body or b"{}")
        return (
            {name: made[name] for name in schema["required"] if name in made}
            if isinstance(made, dict)
            else {}
        )

    def about(self, objects: Objects) -> Scene:
        """The same scene where another collection is the one that checks look at; what is learned stays in it."""
        if objects.create.name not in self._about:
            self._about[objects.create.name] = replace(
                self,
                target=replace(self.target, objects=objects),
                parents={},
                above={},
                sharing=set(),
            )
        return self._about[objects.create.name]

    def issued(self, credential: Credential) -> Credential:
        """Remember a credential as one that its owner holds; returns it."""
        self.live[credential.value] = f"{credential.carrier.kind.value} of {credential.owner}"
        return credential

    def saw(self, operation: str, credential: Credential | None, status: int | None) -> None:
        """Note how an operation answered nobody, or the holder of a live credential."""
        caller = "nobody" if credential is None else self.live.get(credential.value)
        if caller is not None and status is not None:
            self.seen.setdefault((operation, caller), set()).add(status)

    async def once(self, key: object, make: Callable[[], Awaitable[T]]) -> T:
        """The result of `make`, computed once per run and shared, failures included.

        Requests sent inside are the run's, not the asking check's: which check asks first is chance.
        """
        if key not in self._once:
            shared = self._shared_deadlines[key] = Deadline()

            async def run() -> T:
                METER.set(None)
                DEADLINE.set(shared)
                return await make()

            self._once[key] = asyncio.ensure_future(run())
        with self._shared_deadlines[key].followed_by(DEADLINE.get()):
            return await asyncio.shield(self._once[key])

    def forget(self, key: object) -> None:
        """Compute the result for `key` anew when it is asked for next: what it described may have ended."""
        self._once.pop(key, None)

    def forget_aged(self, key: object) -> None:
        """Let the next to ask log in again where a shared token has less than half of its life before it.

        What a token says of its life is by the service's clock; how old it is, by ours.
        """
        shared = dict(self.shared_credentials()).get(key)
        if shared is not None and self.age(shared.value) > self.life(shared.value) / 2:
            self.forget(key)

    def forget_short(self) -> None:
        """Let the next to ask log in again where tokens live for seconds: it has a whole life before it then."""
        for key, shared in self.shared_credentials():
            if self.life(shared.value) <= SHORT:
                self.forget(key)

    def age(self, value: Secret) -> float:
        """How many seconds ago a login gave this credential; 0 where none is known to have done so."""
        born = self.born.get(value)
        return 0.0 if born is None else time.monotonic() - born.since

    def life(self, value: Secret) -> float:
        """How many seconds a credential lives, by its own times or by what the login said; without end if unknown."""
        born = self.born.get(value)
        if born is None:
            return math.inf
        token = Jwt.parse(value.reveal())
        claims = token.claims if token is not None else {}
        start, end = claims.get("iat", born.at), claims.get("exp")
        if isinstance(start, int | float) and isinstance(end, int | float) and end > start:
            return float(end - start)
        return math.inf if born.lives is None else born.lives

    def shared_credentials(self) -> list[tuple[object, Credential]]:
        """The credentials that checks share, each with the key under which it is kept."""
        return [
            (key, made.result())
            for key, made in self._once.items()
            if isinstance(key, tuple)
            and key[0] == "credential"
            and made.done()
            and not made.cancelled()
            and made.exception() is None
        ]
