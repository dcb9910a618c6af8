"""JSON that does not say that it is JSON: what a foreign page can send, and a preflight would have stopped."""

from __future__ import annotations

from dataclasses import replace

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Expectation, Need, Role, Severity, Verdict, Violation
from auth_conformance.oracles.pointer import put
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.crosssite import EVIL, CrossSite, Forgeries
from auth_conformance.probe.mutations import Mutation
from auth_conformance.probe.simplerequests import SIMPLE, shaped
from auth_conformance.transports.message import HttpRequest


class JsonBodies(CrossSite):
    """Sends what is JSON as something else."""

    async def must_insist_on_json(self) -> Verdict:
        """JSON in a body that is not called JSON changes nothing."""
        mutation = self.mutation()
        if mutation is None:
            raise Missing(
                "No operation that creates something is known.", self.target.remedies.get(Need.OBJECTS, "")
            )
        if mutation.operation.bodies and not any("json" in media for media in mutation.operation.bodies):
            raise Missing(f"Not applicable: {mutation.operation.name} takes no JSON.", applicable=False)
        kind = Kind.COOKIE if Kind.COOKIE in self.kinds() else self._login_kind()
        account = await self.disposable("cross-site", kind) or self.account()
        session = await self.sign_in(account, kind)
        live = session.credential
        reach = self._reach_of_cookie(session.answer, live) if kind is Kind.COOKIE else ""
        await self._must_create(mutation, live)
        broken = replace(mutation.operation.request().with_json({}), body=b'{"a":')
        refused = await self.send(
            broken.with_headers(*live.headers),
            label="control: broken JSON",
            role=Role.CONTROL,
            operation=mutation.operation.name,
        )
        if refused.reply.ok:
            raise Unclear(f"{mutation.operation.name} takes broken JSON: what it takes means nothing.")
        found = Forgeries(reach=reach)
        for shape in SIMPLE:
            text = self.word(14)
            body = {**put(dict(mutation.template), mutation.text_field, text), **live.members}
            request = shaped(mutation.operation.request(), shape, body)
            await self._take_as_json(mutation, live, (request, text, shape.label), found)
        await self._must_create(mutation, live)
        return self._concluded_forgeries(found, "bodies that are JSON and not called so")

    async def _take_as_json(
        self, mutation: Mutation, live: Credential, sent: tuple[HttpRequest, str, str], found: Forgeries
    ) -> None:
        request, text, label = sent
        reach, name = found.reach, mutation.operation.name
        whole = request.with_headers(*live.headers).with_query(*live.query)
        proofs = await self._carried_out(mutation, live, (whole, text, label), found)
        if not proofs:
            return
        severity = Severity.LOW
        # Scripts can join two types into one line only, and ask first then (Fetch §2.2.2): a lax parser, no forgery.
        joined = sum(header.lower() == "content-type" for header, _ in request.headers) > 1
        browsers = "no client should send" if joined else "browsers send without asking first"
        if reach and not joined:
            forged = await self.send(
                request.with_headers(*replace(live, companions=()).headers, ("Origin", EVIL)),
                label=f"{label}, with the cookie alone",
                role=Role.ATTACK,
                operation=name,
            )
            if forged.reply.ok:
                severity = self._grade(reach)
                proofs.append(forged.exchange)
        message = f"{name} carries out {label}, which {browsers}."
        found.violations.append(Violation(name, message, severity, tuple(proofs), Expectation("refused")))
