"""`must_not_believe_decoys`: a worthless credential beside the cookie switches no defence off (checklist MIX109)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import (
    Expectation,
    Failed,
    Inconclusive,
    Masked,
    Need,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.pointer import put
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.crosssite import CrossSite
from auth_conformance.probe.mutations import Mutation
from auth_conformance.probe.simplerequests import SIMPLE, Simple, shaped

if TYPE_CHECKING:
    from auth_conformance.transports.message import HttpRequest


@dataclass(frozen=True, slots=True)
class Decoy:
    """Something worthless that looks like a credential; `easy` ones are sent by any form of any page."""

    label: str
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    member: str = ""
    easy: bool = False


DECOYS = (
    Decoy("Authorization: Bearer x", (("Authorization", "Bearer x"),)),
    Decoy("Authorization: Basic", (("Authorization", "Basic eDp4"),)),
    Decoy("an empty Authorization", (("Authorization", ""),)),
    Decoy("X-API-Key: x", (("X-API-Key", "x"),)),
    Decoy("X-Requested-With", (("X-Requested-With", "XMLHttpRequest"),)),
    Decoy("?api_key=x", query=(("api_key", "x"),), easy=True),
    Decoy("?access_token=x", query=(("access_token", "x"),), easy=True),
    Decoy("a member access_token=x", member="access_token", easy=True),
)


class Decoys(CrossSite):
    """Forges requests with something worthless beside the cookie."""

    async def must_not_believe_decoys(self) -> Verdict:
        """No decoy makes a forged change work. Raises Missing or Unclear."""
        account = await self.disposable("decoys", Kind.COOKIE) or self.account()
        live = (await self.sign_in(account, Kind.COOKIE)).credential
        if not live.companions:
            raise Missing(
                "Not applicable: no login answers with a CSRF token, so there is none to do without.",
                applicable=False,
            )
        mutation = self.mutation()
        if mutation is None:
            raise Missing("No operation that creates something is known.", self._remedy(Need.OBJECTS))
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, "before")
        await self._must_create(mutation, live)
        bare = replace(live, companions=())
        plain = await self._forged(mutation, bare, None, SIMPLE[0])
        if await self._came(mutation, live, plain):
            reason = "without a decoy the request of another site is carried out already"
            return Masked("WEB104", reason, tuple(self.evidence))
        if plain[0].judgement is not None:
            raise Unclear(f"The request without a decoy got no clear answer ({plain[0].why}).")
        shapes: tuple[Simple | None, ...] = (None, SIMPLE[0])
        if await self._came(mutation, live, await self._forged(mutation, bare, None, None)):
            # Nobody asks for the token there: a page that CORS does not allow to send JSON is the defence.
            self.notes.append(
                f"{mutation.operation.name} takes JSON without a CSRF token, with or without decoys"
            )
            shapes = (SIMPLE[0],)
        violations, doubts = await self._all_decoys(mutation, live, shapes)
        await self._must_create(mutation, live)
        await self.must_live(self.witness, live, baseline, "after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, (*notes, *doubts))
        if doubts:
            return Inconclusive(doubts[0], "", evidence, notes)
        reason = (
            f"{len(shapes) * len(DECOYS)} requests of another site with {len(DECOYS)} decoys changed nothing."
        )
        return Passed(reason, evidence, notes)

    async def _all_decoys(
        self, mutation: Mutation, live: Credential, shapes: tuple[Simple | None, ...]
    ) -> tuple[list[Violation], list[str]]:
        violations: list[Violation] = []
        doubts: list[str] = []
        # What changes need is no decoy, where any script's header will do.
        needed = {name.lower() for name, _ in live.companions}
        for decoy in DECOYS:
            if any(name.lower() in needed for name, _ in decoy.headers):
                continue
            for shape in shapes:
                found = await self._believed(mutation, live, decoy, shape)
                if isinstance(found, Violation):
                    violations.append(found)
                    break
                doubts += [found] if found else []
        return violations, doubts

    async def _defended(self, mutation: Mutation, live: Credential) -> tuple[Simple | None, ...]:
        """The shapes of a body for which the token is asked: a decoy switches nothing off where it is not."""
        as_it_is = await self._forged(mutation, replace(live, companions=()), None, None)
        if not await self._came(mutation, live, as_it_is):
            return None, SIMPLE[0]
        # A page that CORS does not allow to send JSON is the defence there.
        self.notes.append(
            f"{mutation.operation.name} takes JSON without a CSRF token, with or without decoys"
        )
        return (SIMPLE[0],)

    async def _forged(
        self,
        mutation: Mutation,
        bare: Credential,
        decoy: Decoy | None,
        shape: Simple | None,
        again: str = "",
    ) -> tuple[Answer, str]:
        """What a foreign page sends with the cookie: as the service takes it, or as any form can."""
        text = self.word(14)
        body = put(dict(mutation.template), mutation.text_field, text)
        if decoy is not None and decoy.member:
            body = put(body, decoy.member, "x")
        forms = [media for media in mutation.operation.bodies if "form" in media]
        request: HttpRequest = mutation.operation.request()
        if forms:
            request = shaped(request, Simple("a form", (forms[0],), forms[0]), body)
        elif shape is not None:
            request = shaped(request, shape, body)
        else:
            request = request.with_json(body)
        request = request.with_headers(*bare.headers, *self._foreign()["of another site"])
        if decoy is not None:
            request = request.with_headers(*decoy.headers).with_query(*decoy.query)
        label = (
            f"{again}another site, with {decoy.label}" if decoy else "control: another site, without a decoy"
        )
        role = Role.ATTACK if decoy else Role.CONTROL
        sent = replace(request, fresh=bool(again))
        return await self.send(sent, label=label, role=role, operation=mutation.operation.name), text

    async def _came(self, mutation: Mutation, live: Credential, forged: tuple[Answer, str]) -> bool:
        return await self._came_into_being(mutation, live, forged[1], forged[0]) is not None

    async def _believed(
        self, mutation: Mutation, live: Credential, decoy: Decoy, shape: Simple | None
    ) -> Violation | str | None:
        bare = replace(live, companions=())
        proof = []
        for again in ("", "again: "):
            forged = await self._forged(mutation, bare, decoy, shape, again)
            if forged[0].judgement is not None:
                return f"{decoy.label}: {forged[0].why}"
            try:
                if not await self._came(mutation, live, forged):
                    return None
            except Unclear as reason:
                return f"{decoy.label}: {reason}"
            proof.append(forged[0].exchange)
        # A header, or a body that no form can send, needs a page that CORS allows to send it.
        simple = decoy.easy and (
            shape is not None or any("form" in item for item in mutation.operation.bodies)
        )
        name = mutation.operation.name
        message = (
            f"{name} is carried out for another site, without a CSRF token, when {decoy.label} is present."
        )
        return Violation(
            name, message, Severity.HIGH if simple else Severity.MEDIUM, tuple(proof), Expectation("refused")
        )
