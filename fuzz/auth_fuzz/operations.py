"""One operation under generated requests: each that is served is sent again by those who must not be served."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from auth_conformance.credentials import Credential
from auth_conformance.model import Exchange, Expectation, Outcome, Role, Rule, Severity, Violation
from auth_conformance.oracles.entry import Baseline, Fingerprint, classify
from auth_conformance.oracles.normalise import same_structure
from auth_fuzz import rules
from auth_fuzz.documents import document_of, placeholders
from auth_fuzz.engine import Source
from auth_fuzz.forging import Forgery, forgeries
from auth_fuzz.people import Person, collection_of

if TYPE_CHECKING:
    from auth_conformance.probe import Answer
    from auth_conformance.target import Operation
    from auth_conformance.transports.message import HttpRequest, RawReply
    from auth_fuzz.bridge import Bridge
    from auth_fuzz.ledger import Ledger
    from auth_fuzz.world import World

# Rules that are decided operation by operation.
OPERATION_RULES = (
    rules.REACH,
    rules.STRANGER,
    rules.FORGED,
    rules.FOREIGN_READ,
    rules.FOREIGN_WRITE,
    rules.CRASH,
    rules.UNEVEN,
    rules.SECRET,
    rules.ALTERNATIVE,
)
# What a framework answers before the handler runs.
_BEFORE_THE_HANDLER = {400, 401, 405, 406, 413, 415, 422, 429}
_SAFE = {"GET", "HEAD", "OPTIONS"}
# How password hashes begin wherever they are shown (modular crypt format, Django, Werkzeug).
_HASHES = re.compile(
    r"\$argon2(?:id|i|d)\$v=|\$2[aby]\$\d\d\$[./\w]{20}|pbkdf2[_:]sha\d+[$:]\d+\$|scrypt:\d+:"
)
# So many characters of a hash say which kind it is, and nothing of the password.
_BEGINNING = 7
# After so many refusals of an ordinary user the administrator is asked with, where one is known.
_ENOUGH = 6
# Attacks per served request; the next served request gets others.
_ATTACKS = 5
# While there is time served requests are sent again, up to so many times the examples.
_AGAIN = 4
# Longest time, in seconds, and most requests to bring the caller back to life when the search is over.
_SETTLING = (10.0, 30)
# Served requests that are kept, to be sent again.
_KEPT = 8


@dataclass(slots=True)
class Reach:
    """How far the generated requests of one operation got."""

    operation: str
    sent: int = 0
    validated: int = 0
    served: int = 0
    statuses: Counter[int | None] = field(default_factory=Counter)

    def __str__(self) -> str:
        if self.validated:
            return f"{self.operation}: {self.validated} of {self.sent} past validation, {self.served} served"
        seen = ", ".join(
            f"{count} × {status or 'no answer'}" for status, count in self.statuses.most_common(3)
        )
        return f"{self.operation}: none of {self.sent} past validation ({seen})"


class OperationSearch:
    """Fuzzes one operation. What it finds goes to `ledger`."""

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
        self._pending: list[str] = ["bland", "other", "alternatives", "forged", "forged"]
        self._dealt: dict[tuple[str, bool], list[str]] = {}
        self._anonymous: Answer | None = None
        self._served: list[HttpRequest] = []
        self._served_by: Counter[str] = Counter()
        self._lock = asyncio.Lock()
        target = self.searcher.target
        self._guarded = operation.protected and operation.name not in target.policy.public_operations

    def run(self) -> None:
        """Search until the examples or the time are used up. Blocks: for a thread of its own."""
        document = document_of(self.operation, self.searcher.target.carriers)
        Source(document, self._handle, self.bridge, self._seed, self._examples).exhaust()
        # Few parameters give few requests: those that were served are sent again, with other attacks.
        while self._served and self._turn < _AGAIN * self._examples and not self.bridge.spent:
            self.bridge.run(self._handle(self._rng.choice(self._served)))
        # What was served last may have ended a credential that the next search needs.
        self.bridge.resume(time.monotonic() + _SETTLING[0], _SETTLING[1])
        self.bridge.run(self._mend())

    async def _handle(self, request: HttpRequest) -> RawReply:
        async with self._lock:
            return await self._case(request)

    async def _case(self, request: HttpRequest) -> RawReply:
        """One generated request: by the caller, and if that is served, by everybody else."""
        self._turn += 1
        self.searcher.forget()
        request, owned = await self._addressed(request)
        if owned and self.operation.method == "DELETE":
            request = await self._fresh(request)
        live = self._live()
        good = await self._send(request, live, f"control: {self._who()}", Role.CONTROL)
        self._count(good)
        self._served_by[_ways(live)] += good.reply.ok
        if good.reply.ok:
            if len(self._served) < _KEPT:
                self._served.append(request)
            self.world.harvest(self._caller, self.operation, request, good.reply)
        self._look_for_secrets(good, live)
        if good.reply.ok and self.operation.name not in self.world.exercised:
            await self._attack(request, live, good, owned=owned)
        elif not good.reply.ok and self._anonymous is None:
            await self._refused_everywhere(request, live)
        if good.status == 401 or self.reach.served == 1:
            await self._mend()
        return good.reply

    # Who calls, and what.

    def _who(self) -> str:
        return f"{self._caller.label}'s live credential"

    def _live(self) -> tuple[Credential, ...]:
        """The caller's credentials for this call: one alternative of the document, another one each time."""
        usable = [
            found
            for alternative in self.operation.security or ()
            if alternative and (found := self.world.holding(self._caller, alternative)) is not None
        ]
        if not usable:
            usable = [(item,) for item in self._caller.credentials.values()]
        tried = [item for item in usable if _ways(item) in self._served_by]
        new = [item for item in usable if _ways(item) not in self._served_by]
        working = [item for item in tried if self._served_by[_ways(item)]]
        choice = new or (usable if self._turn % 8 == 0 else working) or usable
        return choice[self._turn % len(choice)] if choice else ()

    async def _addressed(self, request: HttpRequest) -> tuple[HttpRequest, bool]:
        """The request with ids of the caller's own in its path, more often than not; whether it has any."""
        names = placeholders(self.operation.path)
        if not names or self._rng.random() > 0.9:
            return request, False
        known = self.world.ids_for(self._caller, self.operation)
        if not known:
            await self.world.list_own(self._caller, self.operation)
            known = self.world.ids_for(self._caller, self.operation)
        if not known:
            return request, False
        return self._with_id(request, self._rng.choice(known)), True

    def _with_id(self, request: HttpRequest, identifier: str) -> HttpRequest:
        template, actual = self.operation.path.split("/"), request.path.split("/")
        if len(template) != len(actual):
            return request
        first = next(index for index, piece in enumerate(template) if "{" in piece)
        actual[first] = quote(identifier, safe="")
        return replace(request, path="/".join(actual))

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

    def _count(self, good: Answer) -> None:
        reach, status = self.reach, good.status
        reach.sent += 1
        reach.statuses[status] += 1
        if good.reply.ok:
            reach.served += 1
        by_path = status == 404 and "{" not in self.operation.path
        if status is not None and status not in _BEFORE_THE_HANDLER and status < 500 and not by_path:
            reach.validated += 1
        refused = reach.statuses[403] + reach.statuses[401]
        admin = self.world.admin
        if not reach.served and refused >= _ENOUGH and admin is not None and self._caller is self.world.a:
            self._caller = admin

    async def _mend(self) -> None:
        """See that the caller lives on: what was just served may have ended the credential."""
        if self.operation.method in _SAFE or self._caller is self.world.admin:
            return
        self._caller = self.world.a = await self.world.living(self.world.a)

    # Attacks.

    async def _attack(
        self, request: HttpRequest, live: tuple[Credential, ...], good: Answer, *, owned: bool
    ) -> None:
        if self._anonymous is None:
            await self._as_stranger(request, good, (), "no credential", rules.STRANGER)
        for attack in self._next_attacks():
            if self.bridge.spent:
                return
            match attack:
                case "bland":
                    wrong = tuple(self.searcher.bland(item) for item in live)
                    await self._as_stranger(request, good, wrong, "a meaningless credential", rules.STRANGER)
                case "forged":
                    await self._forged(request, live, good)
                case "alternatives":
                    await self._alternatives(request, good)
                case "other":
                    rule = rules.FOREIGN_READ if self.operation.method in _SAFE else rules.FOREIGN_WRITE
                    if owned and self.world.b is not None and not self.ledger.found(rule):
                        await self._as_other(request, good)
                case _:
                    await self._as_stranger(request, good, (), "no credential", rules.STRANGER)

    def _next_attacks(self) -> list[str]:
        if len(self._pending) < _ATTACKS:
            deck = [
                "bland",
                "forged",
                "forged",
                "forged",
                "forged",
                "forged",
                "alternatives",
                "other",
                "none",
            ]
            self._rng.shuffle(deck)
            self._pending += deck
        taken, self._pending = self._pending[:_ATTACKS], self._pending[_ATTACKS:]
        return taken

    async def _fresh(self, request: HttpRequest) -> HttpRequest:
        """The request for an object of its own, where an earlier one may have used the object up."""
        if self.operation.method in _SAFE or not placeholders(self.operation.path):
            return request
        if self._caller is self.world.admin:
            victim = await self.world.victim(anew=self.operation.method == "DELETE")
            return self._with_id(request, victim) if victim is not None else request
        made = await self.world.make(self._caller, collection_of(self.operation))
        return self._with_id(request, made) if made is not None else request

    async def _as_stranger(
        self,
        request: HttpRequest,
        good: Answer,
        credentials: tuple[Credential, ...],
        label: str,
        rule: Rule,
        *,
        odd: bool = False,
    ) -> None:
        """Somebody without a valid credential sends the same request: it must not be served."""
        if self.ledger.found(rule, self.operation.name):
            return  # told already
        mine = await self._fresh(request)
        answer = await self._send(mine, credentials, label)
        if not credentials and self._anonymous is None:
            self._anonymous = answer
        if answer.outcome is Outcome.CRASHED:
            await self._crashed(mine, credentials, answer, odd=odd)
            return
        if answer.outcome is not None:
            return
        shown = self._shows(answer, self._caller)
        if not self._let_in(answer, good, bool(credentials)) and not shown:
            self.ledger.tried(rule, answer.exchange)
            if odd:
                self.ledger.tried(rules.CRASH, answer.exchange)
            return
        again = await self._send(await self._fresh(request), credentials, f"again: {label}", fresh=True)
        if not (self._let_in(again, good, bool(credentials)) or self._shows(again, self._caller)):
            return
        if again.reply.header("age") is not None:
            return
        what = "what only its owner may see" if shown else f"as it serves {self._who()}"
        self._broken(
            rule,
            f"{self.operation.name} serves {label} ({answer.status}), {what}.",
            (good, answer, again),
        )

    def _let_in(self, answer: Answer, good: Answer, with_credential: bool) -> bool:  # noqa: FBT001
        """Whether a stranger got what the live credential gets, at an operation that demands one."""
        if not self._guarded or not answer.reply.ok:
            return False
        if not with_credential or self._anonymous is None:
            return self._same_kind(answer, good)
        return (
            classify(
                answer.exchange.reply,
                Baseline(
                    good.exchange.reply,
                    self._anonymous.exchange.reply,
                    accepted_refusals=self.searcher.target.policy.refusals,
                    canonical=self.world.canonical,
                ),
            ).outcome
            is Outcome.ACCEPTED
        )

    def _same_kind(self, answer: Answer, good: Answer) -> bool:
        seen, served, refusal = answer.exchange.reply, good.exchange.reply, self.world.canonical
        if (
            "envelope" in self.searcher.target.policy.refusals
            and refusal is not None
            and refusal.shape == seen.shape
        ):
            return False
        return (seen.status, seen.media_type) == (served.status, served.media_type) and same_structure(
            seen.shape, served.shape
        )

    def _shows(self, answer: Answer, person: Person) -> bool:
        """Whether a reply to somebody else holds what the service keeps for `person` alone."""
        if not answer.reply.ok or self.operation.name in self.searcher.target.policy.public_operations:
            return False
        text = answer.reply.text
        sent = _sent_text(answer.request)
        return any(mark in text and mark not in sent for mark in self.world.private_marks(person))

    async def _crashed(
        self, request: HttpRequest, credentials: tuple[Credential, ...], answer: Answer, *, odd: bool
    ) -> None:
        """A crash that only the credential can have caused: the live one does not crash, this one does again."""
        control = await self._send(
            await self._fresh(request), self._live(), f"control: {self._who()}", Role.CONTROL
        )
        if control.outcome is Outcome.CRASHED:
            return
        again = await self._send(request, credentials, f"again: {answer.exchange.label}", fresh=True)
        if again.outcome is Outcome.CRASHED:
            kind = "a malformed" if odd else "a wrong"
            got = f"{self.operation.name} answers {answer.status or 'nothing'}"
            message = f"{got} to {kind} credential: {answer.exchange.label}."
            self._broken(rules.CRASH, message, (control, answer, again))

    async def _forged(self, request: HttpRequest, live: tuple[Credential, ...], good: Answer) -> None:
        if not live:
            return
        leg = self._rng.randrange(len(live))
        other = self.world.b.credentials.get(live[leg].carrier.kind) if self.world.b is not None else None
        choice = self._deal(forgeries(live[leg], self._rng, other), str(live[leg].carrier))
        presented = (*live[:leg], choice.credential, *live[leg + 1 :])
        await self._as_stranger(request, good, presented, choice.label, rules.FORGED, odd=choice.odd)

    def _deal(self, made: list[Forgery], way: str) -> Forgery:
        """A forgery that was not sent here before by that way, until all have been; the sharp ones come first."""
        known = {item.label: item for item in made}
        for odd in (False, True):
            pending = self._dealt.get((way, odd))
            if pending is None:
                pending = [item.label for item in made if item.odd is odd]
                self._rng.shuffle(pending)
                self._dealt[way, odd] = pending
            while pending:
                label = pending.pop()
                if label in known:
                    return known[label]
        del self._dealt[way, False], self._dealt[way, True]
        return self._rng.choice(made)

    async def _refused_everywhere(self, request: HttpRequest, live: tuple[Credential, ...]) -> None:
        """Nobody is served: wrong credentials must at least be refused in an orderly way."""
        wrong = [self.searcher.bland(item) for item in live]
        if live:
            wrong.append(self._rng.choice(forgeries(live[0], self._rng)).credential)
        for item in wrong[:2]:
            answer = await self._send(request, (item,), "a wrong credential")
            if answer.outcome is Outcome.CRASHED:
                await self._crashed(request, (item,), answer, odd=True)

    async def _alternatives(self, request: HttpRequest, good: Answer) -> None:
        """Each declared alternative works by itself; a leg of a combined one does not."""
        singles = {frozenset(item) for item in self.operation.security or () if len(item) == 1}
        for alternative in self.operation.security or ():
            held = self.world.holding(self._caller, alternative)
            if held is None or not alternative:
                continue
            if len(alternative) > 1:
                for number, scheme in enumerate(sorted(alternative)):
                    if frozenset({scheme}) not in singles:
                        await self._as_stranger(
                            request, good, (held[number],), f"{scheme} alone", rules.ALTERNATIVE
                        )
            elif self.operation.method in _SAFE and not self.operation.scopes:
                await self._declared(request, good, held, next(iter(alternative)))

    async def _declared(
        self, request: HttpRequest, good: Answer, held: tuple[Credential, ...], scheme: str
    ) -> None:
        answer = await self._send(request, held, f"{self._caller.label} by {scheme} alone", Role.CONTROL)
        if answer.status != 401:
            self.ledger.tried(rules.ALTERNATIVE, answer.exchange)
            return
        alive = await self.searcher.ask_witness(held[0], f"control: the {scheme} credential lives")
        again = await self._send(request, held, f"again: by {scheme} alone", fresh=True)
        if alive.reply.ok and again.status == 401:
            message = f"{self.operation.name} declares {scheme} as enough, and refuses it (401)."
            self._broken(rules.ALTERNATIVE, message, (good, alive, answer, again), Severity.LOW)

    # Another user.

    async def _as_other(self, request: HttpRequest, good: Answer) -> None:
        owner, other = self._caller, self.world.b
        if other is None or owner is self.world.admin or not await self.world.keeps_apart(self.operation):
            return
        credential = other.login()
        if credential is None:
            return
        if self.operation.method in _SAFE:
            await self._read_by_other(request, credential, good)
        else:
            await self._changed_by_other(request, credential)

    async def _read_by_other(self, request: HttpRequest, credential: Credential, good: Answer) -> None:
        identifier = self._id_in(request)

        def showed(answer: Answer) -> bool:
            same = answer.exchange.reply.digest == good.exchange.reply.digest
            named = identifier in answer.reply.text
            return answer.reply.ok and ((same and named) or self._shows(answer, self._caller))

        answer = await self._send(request, (credential,), "another user asks for it by its id")
        if answer.outcome is not None:
            return
        if not showed(answer):
            self.ledger.tried(rules.FOREIGN_READ, answer.exchange)
            return
        again = await self._send(request, (credential,), "again: another user", fresh=True)
        if showed(again):
            message = f"{self.operation.name} shows another user what the other's own list hides."
            self._broken(rules.FOREIGN_READ, message, (good, answer, again))

    async def _changed_by_other(self, request: HttpRequest, credential: Credential) -> None:
        evidence: list[Answer] = []
        for label in ("another user's request", "again: another user's request"):
            mine = await self._fresh(request)
            identifier = self._id_in(mine)
            before = await self.world.owner_view(self._caller, self.operation, identifier)
            steady = await self.world.owner_view(self._caller, self.operation, identifier)
            if before is None or steady is None or not before.reply.ok or _seen(before) != _seen(steady):
                return
            answer = await self._send(mine, (credential,), label, fresh=bool(evidence))
            after = await self.world.owner_view(self._caller, self.operation, identifier)
            if after is None or answer.outcome is Outcome.THROTTLED or after.outcome is not None:
                return
            if _seen(after) == _seen(before):
                self.ledger.tried(rules.FOREIGN_WRITE, answer.exchange)
                return
            evidence += [before, answer, after]
        message = f"{self.operation.name} by another user changed what its owner sees (answered {evidence[1].status})."
        self._broken(rules.FOREIGN_WRITE, message, evidence)

    def _id_in(self, request: HttpRequest) -> str:
        pieces = zip(self.operation.path.split("/"), request.path.split("/"), strict=False)
        return next((unquote(actual) for piece, actual in pieces if "{" in piece), "")

    # What replies say.

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


def _ways(credentials: Sequence[Credential]) -> str:
    return " and ".join(str(item.carrier) for item in credentials)


def _seen(answer: Answer) -> tuple[int | None, str]:
    return answer.status, answer.exchange.reply.digest


def _sent_text(request: HttpRequest) -> str:
    body = (request.body or b"").decode("utf-8", "replace")
    headers = " ".join(
        value if isinstance(value, str) else value.decode("utf-8", "replace") for _, value in request.headers
    )
    return f"{request.url} {headers} {body} {unquote(request.url)}"
