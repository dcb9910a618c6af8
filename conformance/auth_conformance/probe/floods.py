"""`must_limit_requests`: costly operations, asked for again and again, on accounts that were made for it."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.model import Failed, Inconclusive, Outcome, Passed, Role, Severity, Verdict, Violation
from auth_conformance.oracles.pointer import put, resolve
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.mailing import Mailing
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth_conformance.target import Account, Operation
    from auth_conformance.transports.message import HttpRequest

# As many as the checklist allows for one operation, and for one whose lack of a limit is only noted.
_COSTLY, _CHEAP = 60, 30
# A declared limit can be looked for beyond that: it says how far one has to go.
_DECLARED = 200
_PAGES = ("limit", "page_size", "per_page", "size", "count", "first")
_HUGE = 1_000_000
_BODY = 10_000_000
_ITEMS, _BATCHES = 5_000, 2
# A mail that is not sent has to be waited for, in seconds.
_NO_MAIL = 1.0
# What reaches people or money is not done five thousand times.
_FAR = re.compile(r"(?i)invit|mail|send|notif|message|pay|order|charge|delete|remove|purge")


@dataclass(frozen=True, slots=True)
class Flood:
    """One operation that is asked for often. `costly` ones have to be limited, others are noted.

    `works` says that an answer other than 2xx or 3xx means that nothing was done.
    """

    what: str
    operation: str
    request: HttpRequest
    costly: bool
    works: bool = True


class Floods(Mailing):
    """Sentences about how often one may ask."""

    async def must_limit_requests(self) -> Verdict:
        """Strangers cannot register or ask for mails without end, and pages and bodies have a bound."""
        live = await self.credential()
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, "before")
        account = await self.expendable()
        violations: list[Violation] = []
        unsure: list[str] = []
        limited: list[str] = []
        floods = await self._floods(account)

        async def flooded(flood: Flood) -> None:
            before = await self._latest_mail(flood, account)
            sent, answer = await self._flood(flood)
            softly = answer is not None and answer.reply.soft and sent > 1
            if answer is None:
                limited.extend(await self._took_all(flood, sent, (account, before), violations))
            elif answer.outcome is Outcome.THROTTLED or softly:
                limited.append(f"{flood.operation} after {sent}")
                violations.extend([] if softly else self._unusable_signal(flood, answer))
            elif answer.judgement is None:
                unsure.append(f"{flood.operation} did nothing when it was asked ({answer.status}).")
            else:
                unsure.append(f"{flood.operation}: {answer.why} after {sent}")

        for flood in floods:
            await flooded(flood)
        violations += await self._unbounded()
        violations += await self._batches(account)
        told = self.evidence[:6] + self.evidence[6:][-12:]
        # Last: whoever limits logins refuses them now.
        for flood in self._logins(account):
            await flooded(flood)
        # Isolation: what one account or one address asked for does not keep another from its own.
        await self.must_live(self.witness, live, baseline, "after")
        evidence, notes = (*told, *self.evidence[-2:]), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, (*notes, *unsure))
        if unsure:
            return Inconclusive(unsure[0], "", evidence, notes)
        if not any(flood.costly for flood in floods):
            return Inconclusive("No costly operation for strangers is known.", "", evidence, notes)
        return Passed(f"Limits: {'; '.join(limited)}. {live.owner} was not affected.", evidence, notes)

    async def _floods(self, account: Account) -> list[Flood]:
        found: list[Flood] = []
        register, recovery = self.target.register, self.target.recovery
        if register is not None and account.password is not None:
            # The same name each time: the work is done, and no account is made.
            password = Secret(self.password())
            self.scene.recorder.redactor.learn(password)
            request = register.request(account.username, password)
            found.append(Flood("registrations", register.operation.name, request, costly=True, works=False))
        if recovery is not None:
            ask = recovery.ask
            found.append(Flood("reset mails", ask.form.operation.name, ask.request(account), costly=True))
        session = (await self.log_in(account)).credential
        keys, objects = self.target.keys, self.target.objects
        if keys is not None:
            request = keys.create.carrying(keys.create.request(), keys.template).with_headers(
                *session.headers
            )
            found.append(Flood("new keys", keys.create.name, request, costly=False))
        if objects is not None and objects.listing is not None and "{" not in objects.listing.path:
            listing = objects.listing.request().with_headers(*session.headers)
            found.append(Flood("lists", objects.listing.name, listing, costly=False))
        reading = self.witness.operation.request().with_headers(*session.headers).with_query(*session.query)
        found.append(Flood("reads", self.witness.operation.name, reading, costly=False))
        return found

    def _logins(self, account: Account) -> list[Flood]:
        """Right logins: each is a slow hash, and few services limit them, so that only a declared limit must hold."""
        if account.password is None:
            return []
        logins = {item.operation.name: item for item in reversed(self.target.logins)}
        return [
            Flood("right logins", name, item.request(account.username, account.password), costly=False)
            for name, item in logins.items()
        ]

    def _number(self, flood: Flood) -> int:
        declared = self.target.policy.request_limits.get(flood.operation)
        usual = _COSTLY if flood.costly else _CHEAP
        return usual if declared is None else min(_DECLARED, math.ceil(declared * 1.2))

    async def _flood(self, flood: Flood) -> tuple[int, Answer | None]:
        """Ask until something other than an ordinary answer comes; how often, and that answer.

        The first answer already, where it says that nothing was done.
        """
        first: Answer | None = None
        for number in range(1, self._number(flood) + 1):
            answer = await self.send(
                flood.request,
                label=f"{flood.what}, number {number}",
                role=Role.ATTACK,
                operation=flood.operation,
                patient=False,
            )
            idle = number == 1 and flood.works and not 200 <= (answer.status or 0) < 400
            first = first or answer
            # A limit that is told in the body of a 200 says something else than the answers before.
            said = (
                number > 1
                and answer.reply.soft
                and answer.exchange.reply.digest != first.exchange.reply.digest
            )
            if answer.judgement is not None or idle or said:
                return number, answer
        return self._number(flood), None

    async def _latest_mail(self, flood: Flood, account: Account) -> str | None:
        """The last message to the account; None where this flood mails nothing, or no mailbox is read."""
        recovery = self.target.recovery
        if recovery is None or flood.operation != recovery.ask.form.operation.name:
            return None
        try:
            return await self.last_mail(account)
        except (Missing, Unclear):
            return None

    async def _took_all(
        self,
        flood: Flood,
        sent: int,
        mailbox: tuple[Account, str | None],
        violations: list[Violation],
    ) -> list[str]:
        """Every request was answered as the first. Where mails came and then stopped, each mailbox has a limit.

        Nobody may be told that somebody else was mailed too often, so answers do not show such a limit.
        `mailbox` is whose it is, and the last message before. Returns the words of a limit.
        """
        account, before = mailbox
        last = await self._latest_mail(flood, account)
        if last in (None, before):
            self._unlimited(flood, sent, violations)
            return []
        await self.send(
            flood.request,
            label=f"one more of the {flood.what}: does it come?",
            role=Role.CONTROL,
            operation=flood.operation,
            patient=False,
        )
        await asyncio.sleep(_NO_MAIL)
        if await self._latest_mail(flood, account) == last:
            return [f"{flood.operation} mails no more within {sent} and does not say so"]
        self._unlimited(flood, sent, violations)
        return []

    def _unlimited(self, flood: Flood, sent: int, violations: list[Violation]) -> None:
        declared = self.target.policy.request_limits.get(flood.operation)
        if declared is not None and sent >= declared * 1.2:
            message = f"{flood.operation} declares a limit of {declared:g} and took {sent} {flood.what}."
        elif flood.costly and declared is None:
            message = f"{flood.operation} took {sent} {flood.what} of a stranger without a limit."
        else:
            self.notes.append(f"{flood.operation}: no limit within {sent} {flood.what}, which proves none")
            return
        proof = tuple(item for item in self.evidence if item.label.startswith(f"{flood.what}, number "))
        proof = (proof[0], proof[-1])
        violations.append(Violation(flood.operation, message, None, proof))

    @staticmethod
    def _unusable_signal(flood: Flood, answer: Answer) -> list[Violation]:
        reply = answer.reply
        if reply.header("retry-after") is not None or any(
            name.lower().startswith(("ratelimit", "x-ratelimit-reset")) for name, _ in reply.headers
        ):
            return []
        message = (
            f"{flood.operation} limits {flood.what} and does not say for how long: it has no Retry-After."
        )
        return [Violation(flood.operation, message, Severity.LOW, (answer.exchange,))]

    async def _batches(self, account: Account) -> list[Violation]:
        """Five thousand items in one request, where an operation takes several (X does it)."""
        found: list[Violation] = []
        for operation, pointer, schema in batches(self.target.operations)[:_BATCHES]:
            one = replace(operation, bodies={"application/json": schema})
            request = self.scene.sampler(one, self.rng) if self.scene.sampler is not None else one.request()
            item = json.loads(request.body or b"{}")
            live = (await self.log_in(account)).credential
            made = []
            for number, size in enumerate((1, _ITEMS, _ITEMS)):
                items = [item] * size
                answer = await self.call(
                    operation,
                    live,
                    label=f"{'again: ' * (number == 2)}{size} items at once",
                    role=Role.ATTACK if number else Role.CONTROL,
                    body=put({}, pointer, items) if pointer else items,
                )
                if not answer.reply.ok:
                    break
                made.append(answer.exchange)
            if not made:
                self.notes.append(f"{operation.name} took no batch of one: how many it takes was not seen")
            elif len(made) == 3:
                message = f"{operation.name} takes {_ITEMS} items in one request."
                found.append(Violation(operation.name, message, None, tuple(made)))
        return found

    async def _unbounded(self) -> list[Violation]:
        """A page of a million, and a body of ten megabytes."""
        objects = self.target.objects
        if objects is None:
            return []
        found: list[Violation] = []
        live = await self.credential()
        listing = objects.listing
        sizes = (
            [item.name for item in listing.parameters if item.name in _PAGES] if listing is not None else []
        )
        if listing is not None and sizes and "{" not in listing.path:
            answer = await self.call(
                listing, live, label="a page of a million", role=Role.ATTACK, query=((sizes[0], str(_HUGE)),)
            )
            if answer.reply.ok and str(_HUGE) in answer.reply.text:
                again = await self.call(
                    listing,
                    live,
                    label="again: a page of a million",
                    role=Role.ATTACK,
                    query=((sizes[0], str(_HUGE)),),
                )
                proof = (answer.exchange, again.exchange)
                found.append(
                    Violation(listing.name, f"{listing.name} agrees to a page of {_HUGE}.", None, proof)
                )
            elif answer.reply.ok:
                self.notes.append(
                    f"{listing.name} takes {sizes[0]}={_HUGE}: how much it would give is not known"
                )
        # The megabytes come in where the body is bytes already: as text they would be held several times over.
        mark = self.word(12)
        body = put(dict(objects.template), objects.text_field, mark)

        def swollen(request: HttpRequest) -> HttpRequest:
            return replace(request, body=(request.body or b"").replace(mark.encode(), b"x" * _BODY))

        made = []
        for number in range(2):
            try:
                answer = await self.call(
                    objects.create,
                    live,
                    label=f"{'again: ' * number}a body of ten megabytes",
                    role=Role.ATTACK,
                    body=body,
                    edit=swollen,
                )
            except (Missing, Unclear):
                return found
            identifier = resolve(answer.reply.json, objects.identifier)
            if not answer.reply.ok or identifier is None:
                return found
            made.append(answer)
            if objects.delete is not None and isinstance(identifier, (str, int)):
                values = self.at(str(identifier))
                await self.call(objects.delete, live, label="take it away again", values=values)
        proof = (made[0].exchange, made[1].exchange)
        message = f"{objects.create.name} takes a body of {_BODY // 1_000_000} megabytes."
        return [*found, Violation(objects.create.name, message, None, proof)]


def batches(operations: Sequence[Operation]) -> list[tuple[Operation, str, Mapping[str, Any]]]:
    """The operations that take several objects at once: each with where their list goes, and what is in it."""
    found = []
    for operation in operations:
        schema = operation.bodies.get("application/json")
        if (
            operation.method not in ("POST", "PUT")
            or "{" in operation.path
            or not isinstance(schema, Mapping)
        ):
            continue
        properties = schema.get("properties") or {}
        required = [name for name in schema.get("required") or () if name in properties]
        lists = {"": schema, **({f"/{required[0]}": properties[required[0]]} if len(required) == 1 else {})}
        for pointer, listed in lists.items():
            items = listed.get("items") if listed.get("type") == "array" else None
            if isinstance(items, Mapping) and items.get("properties") and not _FAR.search(operation.path):
                found.append((operation, pointer, items))
    return found
