"""Those who have an account and too few rights: fewer scopes than an operation demands, or a lesser role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import Need, Role
from auth_conformance.oracles.privilege import role_word
from auth_fuzz import rules
from auth_fuzz.operations.ground import SAFE
from auth_fuzz.operations.others import Others
from auth_fuzz.operations.strangers import Strangers
from auth_fuzz.things import Thing, id_of, places

if TYPE_CHECKING:
    from auth_conformance.probe import Answer
    from auth_conformance.transports.message import HttpRequest
    from auth_fuzz.rights import Lesser

_BARRED = {401, 403, 404}


class Lessers(Strangers, Others):
    """Attacks with true credentials that may do less than the caller's."""

    async def _as_lesser(self, request: HttpRequest, good: Answer) -> None:
        if self.ledger.found(rules.LESSER, self.operation.name):
            return
        if self._caller is self.world.admin:
            await self._as_user(request, good)
            return
        if self.world.admin is not None and self.reach.statuses[403] and not self._ranked:
            self._ranked = True
            await self._as_user(request, good)
        lessers = await self.world.rights.lessers(self._caller, self.operation)
        if not lessers:
            return
        chosen = lessers[self._lesser_turn % len(lessers)]
        self._lesser_turn += 1
        if chosen.lacks:
            await self._without_scope(request, good, chosen)
        else:
            await self._reading_only(request, chosen)

    async def _without_scope(self, request: HttpRequest, good: Answer, lesser: Lesser) -> None:
        """The caller's own credential with fewer scopes than the operation declares."""
        credentials = (lesser.credential,)
        answer = await self._send(await self._fresh(request), credentials, lesser.label)
        if answer.outcome is not None:
            return
        if not self._let_in(answer, good, with_credential=True):
            await self._barred(answer, lesser)
            return
        again = await self._send(
            await self._fresh(request), credentials, f"again: {lesser.label}", fresh=True
        )
        if self._let_in(again, good, with_credential=True) and again.reply.header("age") is None:
            self._accuse(
                f"{self.operation.name} declares {lesser.lacks} and serves {lesser.label} ({answer.status}), "
                f"as it serves {self._who()}.",
                (good, answer, again),
            )

    async def _reading_only(self, request: HttpRequest, lesser: Lesser) -> None:
        """Where no scope is declared: a credential that says that it only reads must change nothing."""
        if self.operation.method == "POST":
            await self._made_by(request, lesser)
            return
        if self._thing is None:
            return
        evidence = await self._changes(request, lesser.credential, lesser.label, rules.LESSER)
        if evidence:
            self._accuse(
                f"{self.operation.name} by {lesser.label} changed what its owner sees ({evidence[1].status}).",
                evidence,
            )

    async def _made_by(self, request: HttpRequest, lesser: Lesser) -> None:
        below = [
            place
            for item in self.searcher.target.operations
            for place in places(item.path)
            if place.collection == self.operation.path
        ]
        if not below or places(self.operation.path):
            return
        evidence: list[Answer] = []
        for prefix in ("", "again: "):
            answer = await self._send(request, (lesser.credential,), f"{prefix}{lesser.label}")
            made = id_of(answer.reply.json, below[0].name) if answer.reply.ok else None
            if made is None:
                if answer.outcome is None and not answer.reply.ok:
                    await self._barred(answer, lesser)
                return
            thing = Thing(self.operation.path, made, below[0].name)
            seen = await self.world.things.owner_view(self._caller, thing)
            if seen is None or not seen.reply.ok or made not in seen.reply.text:
                return
            evidence += [answer, seen]
        self._accuse(f"{self.operation.name} makes something for {lesser.label}.", evidence)

    async def _barred(self, answer: Answer, lesser: Lesser) -> None:
        """A refusal counts where the credential is alive: what is dead is refused for that."""
        if answer.status == 401 and self.searcher.target.witness is not None:
            alive = await self.searcher.ask_witness(lesser.credential, f"control: {lesser.label} is alive")
            if alive.status == 401:
                self.world.rights.forget(self._caller)
                return
        self.ledger.tried(rules.LESSER, answer.exchange)

    async def _as_user(self, request: HttpRequest, good: Answer) -> None:
        """The administrator is served: an ordinary user is not, whatever kind of credential they come with.

        That the operation is the administrator's own is declared, or seen: it refuses a login of the same user, and
        no such login of the administrator's.
        """
        user, name = self.world.a, self.operation.name
        mine = await self._fresh(request)
        asked: dict[Kind, Answer] = {}
        for kind, credential in user.credentials.items():
            label = f"{user.label}'s {kind.value} credential"
            asked[kind] = await self._send(mine, (credential,), label)
        # The administrator's control beside each refusal of the same kind.
        allowed = {
            kind: control
            for kind, answer in asked.items()
            if answer.status in _BARRED
            and self._tells(kind)
            and (control := await self._opens_to_admin(kind, mine, good)) is not None
        }
        inside = [
            kind
            for kind, answer in asked.items()
            if answer.outcome is None and self._let_in(answer, good, with_credential=True)
        ]
        told = name in self.searcher.target.policy.privileged_operations or role_word(self.operation.scopes)
        refused = next(iter(allowed), None)
        if not inside or (refused is None and not told):
            for kind in allowed:
                self.ledger.tried(rules.LESSER, asked[kind].exchange)
            return
        again = await self._send(
            await self._fresh(request),
            (user.credentials[inside[0]],),
            f"again: {user.label}'s {inside[0].value} credential",
            fresh=True,
        )
        if not self._let_in(again, good, with_credential=True) or again.reply.header("age") is not None:
            return
        served = f"{name} serves an ordinary user by {inside[0].value} ({again.status}) as it serves the administrator"
        if refused is None:
            self._accuse(f"{served}.", (good, asked[inside[0]], again))
            return
        barred = replace(asked[refused], exchange=replace(asked[refused].exchange, role=Role.CONTROL))
        self._accuse(
            f"{served}, and refuses them by {refused.value} ({barred.status}).",
            (allowed[refused], barred, asked[inside[0]], again),
        )

    async def _opens_to_admin(self, kind: Kind, request: HttpRequest, good: Answer) -> Answer | None:
        """The same request with the administrator's credential of that kind, if it is served."""
        admin = self.world.admin
        credential = admin.credentials.get(kind) if admin is not None else None
        if credential is None:
            return None
        label = f"control: the administrator's {kind.value} credential"
        allowed = await self._send(await self._fresh(request), (credential,), label, Role.CONTROL)
        return allowed if self._let_in(allowed, good, with_credential=True) else None

    def _tells(self, kind: Kind) -> bool:
        """Whether a refusal speaks of the role: keys may have fewer scopes, cookies want a token beside them."""
        return kind in {Kind.BEARER, Kind.BASIC} or (kind is Kind.COOKIE and self.operation.method in SAFE)

    def _accuse(self, message: str, answers: Sequence[Answer]) -> None:
        self._broken(rules.LESSER, message, answers)

    def _why_no_lesser(self) -> None:
        """Say why nobody with fewer rights was sent, where that is so, and which line would change it."""
        entry, world = self.ledger.of(rules.LESSER), self.world
        if entry.tried or entry.absent:
            return
        remedies = world.target.remedies
        if self.operation.scopes and not world.rights.known:
            entry.absent = "no login and no key here can be asked for fewer scopes"
            entry.remedy = remedies.get(Need.KEY_MANAGEMENT, "")
        elif not self.reach.served and world.admin is None:
            entry.absent = "nobody known here is served, and no administrator is known"
            entry.remedy = remedies.get(Need.ADMIN, "")
        elif not self.reach.served:
            entry.absent = "nobody known here is served"
        else:
            entry.absent = "nothing here demands a scope or a role that somebody known lacks"
            entry.remedy = "" if world.admin is not None else remedies.get(Need.ADMIN, "")
