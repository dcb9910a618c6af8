"""What all attacks on an operation stand on: who calls it with what, and what any reply of it says."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from auth_conformance.model import Exchange, Expectation, Outcome, Role, Rule, Severity, Violation
from auth_conformance.oracles.entry import Fingerprint
from auth_fuzz import rules
from auth_fuzz.operations.forms import choices
from auth_fuzz.operations.reach import Reach
from auth_fuzz.people import Person
from auth_fuzz.things import Thing, filled, values_in

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.probe import Answer
    from auth_conformance.target import Operation
    from auth_conformance.transports.message import HttpRequest
    from auth_fuzz.bridge import Bridge
    from auth_fuzz.ledger import Ledger
    from auth_fuzz.world import World

# What a framework answers before the handler runs.
_BEFORE_THE_HANDLER = {400, 401, 405, 406, 413, 415, 422, 429}
SAFE = {"GET", "HEAD", "OPTIONS"}
# How password hashes begin wherever they are shown (modular crypt format, Django, Werkzeug).
_HASHES = re.compile(
    r"\$argon2(?:id|i|d)\$v=|\$2[aby]\$\d\d\$[./\w]{20}|pbkdf2[_:]sha\d+[$:]\d+\$|scrypt:\d+:"
)
# So many characters of a hash say which kind it is, and nothing of the password.
_BEGINNING = 7
# After so many refusals of an ordinary user the administrator is asked with, where one is known.
_ENOUGH = 6


class Ground:
    """One operation, its caller, and what is known of it so far."""

    def __init__(
        self, world: World, operation: Operation, ledger: Ledger, bridge: Bridge, *, seed: int, examples: int
    ) -> None:
        self.world, self.operation, self.ledger, self.bridge = world, operation, ledger, bridge
        self.searcher = world.searcher
        self.reach = Reach(operation.name)
        self._seed, self._examples = seed, examples
        self._rng = random.Random(f"{seed}:{operation.name}")
        self._turn = 0
        self._caller = world.a
        # The first served request gets the most telling attacks; after that chance deals them.
        self._pending: list[str] = [
            "bland",
            "other",
            "alternatives",
            "ended",
            "named",
            "lesser",
            "ids",
            "forged",
            "lesser",
            "forged",
        ]
        self._lesser_turn, self._ranked, self._asked_by_id = 0, False, False
        self._dealt: dict[tuple[str, bool], list[str]] = {}
        self._anonymous: Answer | None = None
        # Whether no declared alternative is enough, and all together are tried.
        self._joined = False
        # By which carriers the caller was refused.
        self._refused_by: set[str] = set()
        # How many of the requests were an administrator's.
        self._by_admin = 0
        # The forms of this operation's requests that were served: other code may guard another form.
        self._forms: set[tuple[str, ...]] = set()
        # Choices that the document names and that nobody has made yet.
        self._unmet = choices(operation)
        # What the request under way is about.
        self._thing: Thing | None = None
        self._served: list[HttpRequest] = []
        # A request with a long body that was served, for when no other is.
        self._long: HttpRequest | None = None
        self._only_long = False
        self._served_by: Counter[str] = Counter()
        self._lock = asyncio.Lock()
        target = self.searcher.target
        self._guarded = operation.protected and operation.name not in target.policy.public_operations

    # Who calls, and what.

    def _who(self) -> str:
        return f"{self._caller.label}'s live credential"

    def _live(self) -> tuple[Credential, ...]:
        """The caller's credentials for this call: one alternative of the document, another one each time."""
        usable = self._usable()
        if self.reach.statuses[401] >= len(usable) > 1 and not self.reach.served:
            # Frameworks write two that are needed at once as alternatives: FastAPI does, for two dependencies.
            self._joined = True
            usable.append(tuple({item.carrier: item for held in usable for item in held}.values()))
        tried = [item for item in usable if ways(item) in self._served_by]
        new = [item for item in usable if ways(item) not in self._served_by]
        working = [item for item in tried if self._served_by[ways(item)]]
        choice = new or (usable if self._turn % 8 == 0 else working) or usable
        return choice[self._turn % len(choice)] if choice else ()

    def _usable(self) -> list[tuple[Credential, ...]]:
        """The caller's credentials by the alternatives of the document; each by itself where it has none."""
        usable: list[tuple[Credential, ...]] = [
            found
            for alternative in self.operation.security or ()
            if alternative and (found := self.world.holding(self._caller, alternative)) is not None
        ]
        return usable or [(item,) for item in self._caller.credentials.values()]

    async def _addressed(self, request: HttpRequest) -> HttpRequest:
        """The request with ids of the caller's own in its path, more often than not."""
        self._thing = None
        if "{" not in self.operation.path or self._rng.random() > 0.9:
            return request
        values, self._thing = await self.world.lead(self._caller, self.operation, self._rng)
        return self._with(request, values)

    def _with(self, request: HttpRequest, values: Mapping[str, str]) -> HttpRequest:
        found = values_in(self.operation, request.path)
        return replace(request, path=filled(self.operation.path, {**found, **values})) if found else request

    async def _fresh(self, request: HttpRequest) -> HttpRequest:
        """The request for a thing of its own, where an earlier one may have used the thing up."""
        if self.operation.method in SAFE or self._thing is None:
            return request
        if self._caller is self.world.admin:
            made = await self.world.victim(anew=self.operation.method == "DELETE")
        else:
            made = await self.world.things.make(self._caller, self._thing.collection, self._thing.above)
        if made is None:
            return request
        self._thing = replace(self._thing, identifier=made)
        return self._with(request, {self._thing.parameter: made})

    async def _send(
        self,
        request: HttpRequest,
        credentials: Sequence[Credential],
        label: str,
        role: Role = Role.ATTACK,
        *,
        fresh: bool = False,
    ) -> Answer:
        for credential in credentials:
            request = request.with_headers(*credential.headers).with_query(*credential.query)
        if fresh:
            request = replace(request, fresh=True).with_headers(("Cache-Control", "no-cache"))
        answer = await self.searcher.send(request, label=label, role=role, operation=self.operation.name)
        self._look_at_refusal(answer)
        return answer

    def _count(self, good: Answer, live: Sequence[Credential]) -> None:
        reach, status = self.reach, good.status
        if status in (401, 403):
            self._refused_by.add(ways(live))
        reach.sent += 1
        self._by_admin += self._caller is self.world.admin
        reach.statuses[status] += 1
        if good.reply.ok:
            reach.served += 1
        by_path = status == 404 and "{" not in self.operation.path
        if status is not None and status not in _BEFORE_THE_HANDLER and status < 500 and not by_path:
            reach.validated += 1
        if self._refused_so_far() >= _ENOUGH:
            self._ask_the_administrator()

    def _refused_so_far(self) -> int:
        """How often the ordinary user was refused; what is not there for one may be there for the administrator.

        Two refusals for their rights say as much as six of another kind, for each costs a part of a short budget; but
        not before each kind of their credentials was refused: a key may lack a scope that a login does not need.
        """
        seen = self.reach.statuses
        weight = 3 if {ways(item) for item in self._usable()} <= self._refused_by else 1
        return weight * seen[403] + seen[401] + (seen[404] if "{" not in self.operation.path else 0)

    def _ask_the_administrator(self) -> None:
        """Let the administrator call from here on, where the ordinary user was never served."""
        admin = self.world.admin
        refused = not self.reach.served and self._refused_so_far()
        if refused and admin is not None and self._caller is self.world.a:
            self._caller = admin

    async def _mend(self) -> None:
        """See that the caller lives on: what was just served may have ended the credential."""
        if self.operation.method in SAFE or self._caller is self.world.admin:
            return
        self._caller = self.world.a = await self.world.living(self.world.a)

    # What replies say.

    def _shows(self, answer: Answer, person: Person) -> bool:
        """Whether a reply to somebody else holds what the service keeps for `person` alone."""
        if not answer.reply.ok or self.operation.name in self.searcher.target.policy.public_operations:
            return False
        text = answer.reply.text
        sent = _sent_text(answer.request)
        return any(mark in text and mark not in sent for mark in self.world.private_marks(person))

    def _look_for_secrets(self, answer: Answer, live: tuple[Credential, ...]) -> None:
        text = answer.reply.text
        if not text or not answer.reply.ok:
            return
        sent = _sent_text(answer.request)
        known = set().union(*(person.secrets for person in self.world.people))
        known -= {credential.value.reveal() for credential in live}
        held = next((secret for secret in known if secret in text and secret not in sent), None)
        hashed = _HASHES.search(text)
        if held is None and (hashed is None or hashed[0] in sent):
            self.ledger.tried(rules.SECRET)
            return
        what = "a live credential or password" if held is not None else "a password hash"
        # Of a hash no more than how it begins.
        kind = hashed[0][:_BEGINNING] if hashed is not None else ""
        expected = Expectation("no secret") if held is not None else Expectation("no text", "", kind)
        shown = replace(answer, exchange=replace(answer.exchange, role=Role.ATTACK))
        self._broken(rules.SECRET, f"{self.operation.name} answers with {what}.", (shown,), expected=expected)

    def _look_at_refusal(self, answer: Answer) -> None:
        reply, usual = answer.exchange.reply, self.world.canonical
        if usual is None or reply.status != 401 or usual.status != 401:
            return
        seen, known = Fingerprint.of(reply), Fingerprint.of(usual)
        if (seen.server, seen.via) != (known.server, known.via):
            return
        if usual.header("www-authenticate") is not None and reply.header("www-authenticate") is None:
            self._broken(
                rules.UNEVEN,
                f"{self.operation.name} refuses without a challenge.",
                (answer,),
                expected=Expectation("header", "WWW-Authenticate"),
            )
        elif not seen.akin(known):
            self._broken(
                rules.UNEVEN, f"{self.operation.name} refuses with another body than elsewhere.", (answer,)
            )
        else:
            self.ledger.tried(rules.UNEVEN)

    def _broken(
        self,
        rule: Rule,
        message: str,
        answers: Sequence[Answer],
        severity: Severity | None = None,
        *,
        expected: Expectation | None = None,
    ) -> None:
        accepted = Outcome.ACCEPTED if rule is not rules.CRASH else None
        evidence: tuple[Exchange, ...] = tuple(
            replace(item.exchange, outcome=accepted)
            if item.exchange.role is Role.ATTACK and accepted and item.reply.ok
            else item.exchange
            for item in answers
        )
        self.ledger.broken(rule, Violation(self.operation.name, message, severity, evidence, expected))


def ways(credentials: Sequence[Credential]) -> str:
    """By which carriers these credentials are presented."""
    return " and ".join(str(item.carrier) for item in credentials)


def _sent_text(request: HttpRequest) -> str:
    body = (request.body or b"").decode("utf-8", "replace")
    headers = " ".join(
        value if isinstance(value, str) else value.decode("utf-8", "replace") for _, value in request.headers
    )
    return f"{request.url} {headers} {body} {unquote(request.url)}"
