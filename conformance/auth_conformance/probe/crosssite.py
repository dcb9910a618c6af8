"""Requests that a page of somebody else can cause: state is judged by what the owner reads afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import (
    Exchange,
    Expectation,
    Failed,
    Inconclusive,
    Need,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.cookies import reach_of
from auth_conformance.oracles.entry import Baseline
from auth_conformance.oracles.pointer import put
from auth_conformance.probe.core import Answer, Missing, Session, Unclear
from auth_conformance.probe.csrftokens import CsrfTokens
from auth_conformance.probe.described import Described
from auth_conformance.probe.minting import Minting
from auth_conformance.probe.mutations import Mutation, Mutations
from auth_conformance.probe.sessions import Sessions
from auth_conformance.probe.simplerequests import SIMPLE, Simple, shaped
from auth_conformance.secret import Secret
from auth_conformance.target import Account
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    from auth_conformance.target import Form

EVIL = "https://evil.example"
Headers = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Forgeries:
    """What was forged with whose credential, and what came of it. `reach` is the cookie's SameSite."""

    violations: list[Violation] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    refused: int = 0
    reach: str = ""
    remedy: str = ""


# Minting is named so that it comes after Sessions, as everywhere else.
class CrossSite(Described, Mutations, CsrfTokens, Sessions, Minting):
    """Sentences about requests that the user did not mean to send."""

    async def must_resist_forgery(self) -> Verdict:
        """No page of another site changes state, logs in or logs out with the user's cookie."""
        account = await self.disposable("cross-site", Kind.COOKIE) or self.account()
        session = await self.sign_in(account, Kind.COOKIE)
        live, bare = session.credential, replace(session.credential, companions=())
        reach = self._reach_of_cookie(session.answer, live)
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, "before")
        found = Forgeries(reach=reach)
        mutation = self.mutation()
        if mutation is not None:
            await self._must_create(mutation, live)
            await self._forge_creations(mutation, bare, found)
            await self._forge_tokens(mutation, account, session, found)
        written = await self._forge_writings(found)
        if mutation is None:
            self._without_mutation(found, written)
        await self._forge_further(live, bare, found)
        await self._forge_change(found)
        await self._forge_login(account, found)
        await self._forge_logout(account, found)
        closing = await self.sign_in(account, Kind.COOKIE)
        await self.must_live(self.witness, closing.credential, baseline, "after")
        return self._concluded_forgeries(found, "requests that a foreign page can send")

    async def _forge_further(self, live: Credential, bare: Credential, found: Forgeries) -> None:
        """Forge the creations of further collections: what guards one change may have been forgotten at the next."""
        for objects in self.target.further:
            if objects.create.method != "POST":
                continue
            with self.looking_at(objects):
                mutation = self.mutation()
                try:
                    if mutation is not None:
                        await self._must_create(mutation, live)
                        await self._forge_creations(mutation, bare, found)
                except Unclear as unclear:
                    self.notes.append(f"not forged: {objects.create.name}: {unclear.verdict.reason}")

    async def _forge_writings(self, found: Forgeries) -> set[str]:
        """Forge whatever else leaves a text that its owner is shown; returns the names of what was forged."""
        forged: set[str] = set()
        if not self.target.writings:
            return forged
        try:
            live = (await self.sign_in(await self.another_victim(), Kind.COOKIE)).credential
        except Missing as reason:
            self.notes.append(f"what leaves a text was not forged: {reason}")
            return forged
        for item in self.target.writings:
            own = [seen for seen in self.target.operations if seen.name == f"GET {item.operation.path}"]
            shown = (*own, *(witness.operation for witness in self.witnesses))
            mutation = Mutation(item.operation, item.template, item.text_field, "", shown=shown)
            try:
                await self._must_create(mutation, live)
            except Unclear as reason:
                self.notes.append(f"not forged: {item.operation.name}: {reason}")
                continue
            await self._forge_creations(mutation, replace(live, companions=()), found)
            forged.add(item.operation.name)
        return forged

    async def _forge_change(self, found: Forgeries) -> None:
        """Change the password by a page of another site: what guards every other form may be forgotten here.

        Where the present password is asked for, only who knows it can do that: a low finding.
        """
        change = self.target.password_change
        if change is None or change.form.operation.method != "POST":
            return
        name, proofs = change.form.operation.name, []
        try:
            account = await self.another_victim()
        except Missing as reason:
            self.notes.append(f"{name} was not forged: {reason}")
            return
        for number in range(2):
            new = Secret(self.password())
            self.scene.recorder.redactor.learn(new)
            session = await self.sign_in(account, Kind.COOKIE)
            bare = replace(session.credential, companions=())
            request = change.request(account.password, new)
            if (request.body or b"")[:1] == b"{":
                request = shaped(change.form.operation.request(), SIMPLE[0], json.loads(request.body or b""))
            answer = await self.send(
                request.with_headers(*bare.headers, *self._foreign()["of another site"]),
                label=f"{'again: ' * number}change the password by a page of another site",
                role=Role.ATTACK,
                operation=name,
            )
            if answer.judgement is not None:
                found.unsure.append(f"a forged change of the password: {answer.why}")
                return
            try:
                after = await self.log_in(replace(account, password=new), Kind.COOKIE)
            except Unclear:
                found.refused += 1
                return
            account = self.now_known_by(account, new)
            proofs += [answer.exchange, after.answer.exchange]
        asked = change.current is not None
        severity = Severity.LOW if asked else self._grade(found.reach)
        if severity is not Severity.HIGH and self.target.policy.same_site_only:
            self.notes.append(f"{name} is kept from forgery by SameSite={found.reach} alone, as declared")
            return
        message = f"{name} changes the password for a page of another site"
        message += ", which has to know the present one." if asked else "."
        found.violations.append(Violation(name, message, severity, tuple(proofs), Expectation("refused")))

    def _concluded_forgeries(self, found: Forgeries, what: str) -> Verdict:
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if found.violations:
            worst: dict[str | None, Violation] = {}
            for item in sorted(found.violations, key=lambda item: (item.severity or self.rule.severity).rank):
                worst[item.operation] = item
            ordered = sorted(worst.values(), key=lambda item: -(item.severity or self.rule.severity).rank)
            return Failed(tuple(ordered), evidence, (*notes, *found.unsure))
        if found.unsure:
            more = f" (and {len(found.unsure) - 1} more)" if len(found.unsure) > 1 else ""
            return Inconclusive(found.unsure[0] + more, found.remedy, evidence, notes)
        if not found.refused:
            return Inconclusive("Nothing could be forged here.", "", evidence, notes)
        return Passed(f"{found.refused} {what} changed nothing.", evidence, notes)

    def _without_mutation(self, found: Forgeries, written: set[str]) -> None:
        """Where nothing is known to create something: what pages could send all the same is not decided."""
        target = self.target
        flows = target.flows() | {form.operation.name for form in self._forms()} | written
        # Other methods than these a page sends only after it has asked (Fetch, CORS-preflight).
        others = [item.name for item in self.target.operations if item.method == "POST"]
        left = [name for name in others if name not in flows]
        if left or not (target.has_document or written):
            what = left[0] if left else "What changes something"
            found.unsure.append(f"{what} was not forged: nothing is known that shows what it changes")
            found.remedy = self._remedy(Need.OBJECTS)
        if not written:
            self.notes.append(
                "no operation that creates something is known: only login and logout were forged"
            )

    def _forms(self) -> list[Form]:
        """What asks for more than a cookie: the present password, or a token out of a mail."""
        change, recovery, verification = (
            self.target.password_change,
            self.target.recovery,
            self.target.verification,
        )
        found = [change.form] if change is not None else []
        found += [recovery.ask.form, recovery.confirm.form] if recovery is not None else []
        if verification is not None:
            found += [verification.confirm.form]
            found += [verification.ask.form] if verification.ask is not None else []
        return found

    def _reach_of_cookie(self, answer: Answer, live: Credential) -> str:
        """Where browsers send the session cookie: its SameSite, `absent` when it says nothing."""
        return reach_of(answer.reply.header_lines("set-cookie"), live.carrier.name)

    def _grade(self, reach: str) -> Severity:
        return Severity.HIGH if reach not in ("lax", "strict") else Severity.MEDIUM

    def _foreign(self) -> dict[str, Headers]:
        """What a browser says about a page that makes it send something."""
        own = urlsplit(self.target.address).netloc if self.target.kind == "url" else "testserver"
        other = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"))
        return {
            "of another site": (("Origin", EVIL), ("Referer", f"{EVIL}/"), *other),
            "without an Origin": (("Referer", f"{EVIL}/"), *other),
            "of a sandboxed frame": (("Origin", "null"), *other),
            "of a sibling site": (("Origin", f"https://evil.{own}"), ("Sec-Fetch-Site", "same-site")),
            "with the host in its address": (
                ("Origin", f"https://{own}.evil.example"),
                ("Referer", f"{EVIL}/{own}/"),
                *other,
            ),
        }

    async def _forge_creations(self, mutation: Mutation, bare: Credential, found: Forgeries) -> None:
        forms = [media for media in mutation.operation.bodies if "form" in media]
        shapes = [Simple(f"a form ({media})", (media,), media) for media in forms] or [
            SIMPLE[0],
            SIMPLE[2],
            SIMPLE[4],
        ]
        for who, headers in self._foreign().items():
            for shape in shapes if who == "of another site" or forms else shapes[:1]:
                label = f"{shape.label} by a page {who}"
                text = self.word(14)
                body = put(dict(mutation.template), mutation.text_field, text)
                request = shaped(mutation.operation.request(), shape, body)
                sent = request.with_headers(*bare.headers, *headers)
                await self._judge_forgery(mutation, bare, (sent, text, label), found)
        query = (*((key, str(value)) for key, value in mutation.template.items()),)
        # With the run's id in it, an exported test writes another text each time.
        text = f"{self.scene.run_id}{self.word(8)}"
        query = tuple(
            (key, text if key == mutation.text_field.lstrip("/") else value) for key, value in query
        )
        request = HttpRequest("GET", mutation.operation.address, query).with_headers(
            *bare.headers, *self._foreign()["of another site"]
        )
        await self._judge_forgery(mutation, bare, (request, text, "the same by GET"), found)

    async def _forge_tokens(
        self, mutation: Mutation, account: Account, session: Session, found: Forgeries
    ) -> None:
        """The honest request with a CSRF token that is not the session's.

        A header a page needs help to send; the field of a form it sends as it likes.
        """
        form = any("form" in media for media in mutation.operation.bodies) and session.credential.members
        for wrong in await self.wrong_tokens(account, session):
            proofs: list[Exchange] = []
            for number in range(2):
                text = self.word(14)
                answer = await self.call(
                    mutation.operation,
                    wrong.credential,
                    label=f"{'again: ' * number}the honest request {wrong.label}",
                    role=Role.ATTACK,
                    body=put(dict(mutation.template), mutation.text_field, text),
                    fresh=bool(number),
                )
                if answer.judgement is not None:
                    found.unsure.append(f"the honest request {wrong.label}: {answer.why}")
                    break
                seen = None
                with self.doubting(found.unsure):
                    seen = await self._came_into_being(mutation, session.credential, text, answer)
                    found.refused += seen is None
                if seen is None:
                    break
                proofs.append(answer.exchange)
            name = mutation.operation.name
            if len(proofs) < 2:
                continue
            severity = self._grade(found.reach) if form and not wrong.planted else Severity.LOW
            kept_off = severity is Severity.MEDIUM and self.target.policy.same_site_only
            if wrong.harmless or kept_off:
                self.notes.append(f"{name} is carried out {wrong.label}")
                continue
            message = f"{name} is carried out {wrong.label}: what it checks is not that the page knows the session's."
            found.violations.append(Violation(name, message, severity, tuple(proofs)))

    async def _carried_out(
        self, mutation: Mutation, owner: Credential, sent: tuple[HttpRequest, str, str], found: Forgeries
    ) -> list[Exchange]:
        """Send `sent` (request, the text in it, how it is called) twice; return both if its owner finds the text.

        Behind each stands the reply in which the owner found it.
        """
        request, text, label = sent
        proofs: list[Exchange] = []
        for number in range(2):
            answer = await self.send(
                replace(request, fresh=bool(number)),
                label=f"{'again: ' * number}{label}",
                role=Role.ATTACK,
                operation=mutation.operation.name,
            )
            if answer.judgement is not None:
                found.unsure.append(f"{label}: {answer.why}")
                return []
            seen = None
            with self.doubting(found.unsure):
                seen = await self._came_into_being(mutation, owner, text, answer)
                found.refused += seen is None
            if seen is None:
                return []
            proofs += [answer.exchange, seen]
        return proofs

    async def _judge_forgery(
        self, mutation: Mutation, owner: Credential, forged: tuple[HttpRequest, str, str], found: Forgeries
    ) -> None:
        """Send `forged` (request, the text in it, how it is called) and see whether its owner finds the text."""
        reach, label, name = found.reach, forged[2], mutation.operation.name
        proofs = await self._carried_out(mutation, owner, forged, found)
        if not proofs:
            return
        severity = self._grade(reach)
        if severity is Severity.MEDIUM and self.target.policy.same_site_only:
            self.notes.append(f"{label} is kept off by SameSite={reach} alone, as declared")
            return
        kept = (
            f"only SameSite={reach} keeps browsers from it"
            if severity is Severity.MEDIUM
            else f"SameSite is {reach}"
        )
        message = f"{name} is carried out for {label}; {kept}."
        expected = Expectation("refused")
        if forged[0].method == "GET":
            # To read is no crime: a sound service answers as well, and nothing comes of it.
            expected = Expectation("no text", value=forged[1], about=proofs[1].number)
        found.violations.append(Violation(name, message, severity, tuple(proofs), expected))

    async def _forge_login(self, account: Account, found: Forgeries) -> None:
        """Log the browser in as somebody else: the attacker's account, by the attacker's page."""
        login = self.target.login(Kind.COOKIE)
        if login is None or account.password is None or login.encoding not in ("json", "form"):
            return
        honest = login.request(account.username, account.password)
        shapes: list[tuple[str, HttpRequest]] = []
        if login.encoding == "form":
            shapes.append(("a form", honest))
        else:
            for shape in (SIMPLE[0], SIMPLE[2], SIMPLE[5]):
                kept = tuple(pair for pair in honest.headers if pair[0].lower() != "content-type")
                headers = (*kept, *(("Content-Type", media) for media in shape.media))
                shapes.append((shape.label, replace(honest, headers=headers)))
        for label, request in shapes:
            proofs = []
            for number in range(2):
                planted = await self.planted(request)
                answer = await self.send(
                    planted.with_headers(*self._foreign()["of another site"]),
                    label=f"{'again: ' * number}log in by {label} of another site",
                    role=Role.ATTACK,
                    operation=login.operation.name,
                )
                if answer.judgement is not None:
                    found.unsure.append(f"a login by {label} of another site: {answer.why}")
                    break
                issued = login.read(answer.reply, account.label)
                if issued is None:
                    found.refused += 1
                    break
                self.scene.recorder.redactor.learn(issued.value)
                proofs.append(answer.exchange)
            if len(proofs) == 2:
                message = (
                    f"{login.operation.name} sets a session for {label} that a page of another site sends."
                )
                found.violations.append(
                    Violation(
                        login.operation.name, message, Severity.MEDIUM, tuple(proofs), Expectation("refused")
                    )
                )
                return

    async def _forged_out(self, credential: Credential, baseline: Baseline) -> Answer:
        """What the session is answered in the end: a refusal counts when it is the second in a row."""
        answers: list[Answer] = []
        for again in ("", "again: ", "once more: "):
            if len(answers) == 2 and answers[0].accepted is answers[1].accepted:
                break
            answers.append(
                await self.at_witness(
                    credential,
                    label=f"{again}is the session alive?",
                    role=Role.CONTROL,
                    baseline=baseline,
                    fresh=bool(again),
                )
            )
            if len(answers) == 2 and answers[1].accepted:
                break
        return answers[-1]

    async def _forge_logout(self, account: Account, found: Forgeries) -> None:
        logout = next((item for item in self.target.logouts if item.kind is Kind.COOKIE), None)
        if logout is None or logout.operation.method not in ("POST", "GET"):
            return
        proofs: list[Exchange] = []
        for number in range(2):
            session = await self.sign_in(account, Kind.COOKIE)
            bare = replace(session.credential, companions=())
            request = logout.operation.request().with_headers(
                *bare.headers, *self._foreign()["of another site"]
            )
            answer = await self.send(
                request,
                label=f"{'again: ' * number}log out by a page of another site",
                role=Role.ATTACK,
                operation=logout.operation.name,
            )
            baseline = await self.baseline(self.witness, session.credential)
            after = await self._forged_out(session.credential, baseline)
            if after.accepted and answer.judgement is not None:
                found.unsure.append(f"a forged logout: {answer.why}")
                return
            if after.accepted:
                found.refused += 1
                return
            if not after.rejected:
                found.unsure.append(f"after a forged logout: {after.why}")
                return
            proofs += [answer.exchange, after.exchange]
        message = f"{logout.operation.name} ends the session for a page of another site."
        # A link is followed with a lax cookie, a form of another site is sent without.
        if found.reach == "strict" or (found.reach == "lax" and logout.operation.method == "POST"):
            if self.target.policy.same_site_only:
                self.notes.append(f"a forged logout is kept off by SameSite={found.reach} alone, as declared")
                return
            message = f"{message[:-1]}; only SameSite={found.reach} keeps browsers from it."
        found.violations.append(
            Violation(logout.operation.name, message, Severity.LOW, tuple(proofs), Expectation("refused"))
        )
