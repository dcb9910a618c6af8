"""`must_know_its_own_name`: links, redirects, cookies and mails that follow what the client calls the server."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_conformance.model import (
    Expectation,
    Failed,
    Inconclusive,
    Outcome,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.cookies import parse_set_cookie
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.mailing import Mailing
from auth_conformance.secret import Secret
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_EVIL = "evil.example"
_LINK = re.compile(r"(?:https?:)?//(?:[^/\s\"'<>@]*@)?(?:[\w-]+\.)*evil\.example", re.IGNORECASE)
_FORWARDED = (
    ("X-Forwarded-Host", _EVIL),
    ("X-Forwarded-Server", _EVIL),
    ("Forwarded", f"host={_EVIL};proto=http"),
)


@dataclass(frozen=True, slots=True)
class Name:
    """One way in which a client can call the server by a wrong name."""

    label: str
    headers: tuple[tuple[str, str], ...] = ()
    absolute: bool = False
    twice: bool = False
    forwarded: bool = False


_NAMES = (
    Name("another Host", (("Host", _EVIL),)),
    Name("a second Host", (("Host", _EVIL),), twice=True),
    Name("another host in the request line", absolute=True),
    Name("forwarding headers", _FORWARDED, forwarded=True),
)


def _unled(answer: Answer) -> Expectation | None:
    """Where the wrong name must not stand in such an answer; None where a key or a scheme is what is wrong."""
    for name in ("set-cookie", "location", "link"):
        if any(_EVIL in line.lower() for line in answer.reply.header_lines(name)):
            return Expectation("no header", name, _EVIL, about=answer.exchange.number)
    found = _EVIL in answer.reply.text.lower()
    return Expectation("no text", value=_EVIL, about=answer.exchange.number) if found else None


class Hosts(Mailing):
    """Sentences about what the client calls the server."""

    async def must_know_its_own_name(self) -> Verdict:
        """No answer, cookie or mail leads to the name that the client has used, and no redirect carries a key."""
        await self.must_answer("before")
        violations: list[Violation] = []
        unsure: list[str] = []
        delivered = 0
        key = self.canary()
        self.scene.recorder.redactor.learn(Secret(key))
        for label, request in await self._named_places(key):
            for name in _NAMES if "slash" in label or "login" in label else _NAMES[:1] + _NAMES[3:]:
                answer = await self._called(request, name, f"{label}, {name.label}")
                # A gateway that knows its names is no answer of the service, nor is one that broke.
                if answer.status is None or answer.outcome in (Outcome.CRASHED, Outcome.INTERCEPTED):
                    unsure.append(f"{label}, {name.label}: {answer.why or 'no answer'}")
                    continue
                delivered += 1
                found = await self._led_astray(request, name, answer, (label, key))
                violations += [found] if isinstance(found, Violation) else []
                unsure += [found] if isinstance(found, str) else []
        violations += await self._wandering(unsure)
        mail = await self._mailed_link(unsure)
        violations += [mail] if mail is not None else []
        await self.must_answer("after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            once: dict[str | None, Violation] = {}
            for item in sorted(violations, key=lambda item: (item.severity or Severity.MEDIUM).rank):
                once[item.operation] = item
            return Failed(tuple(once.values()), evidence, notes)
        if unsure:
            more = f" (and {len(unsure) - 1} more)" if unsure[1:] else ""
            return Inconclusive(f"{unsure[0]}{more}.", "", evidence, notes)
        if self.target.in_process:
            notes = (
                *notes,
                "asked behind a server of our own: what stands in front of the public one was not seen",
            )
        return Passed(f"{delivered} requests by wrong names: nothing follows them.", evidence, notes)

    async def _led_astray(
        self, request: HttpRequest, name: Name, first: Answer, place: tuple[str, str]
    ) -> Violation | str | None:
        """What an answer does with the wrong name, if it does so twice, or that it did so once.

        `place`: what was asked, and the key in it.
        """
        label, key = place
        fault = self._follows(first, key)
        if fault is None:
            return None
        own = await self._called(request, Name(""), f"control: {label}, by its own name")
        if self._follows(own, key) == fault and "links" in fault[0]:
            return None  # somebody wrote that address into what is shown
        again = await self._called(request, name, f"again: {label}, {name.label}")
        if self._follows(again, key) != fault:
            return f"{label}, {name.label}: it {fault[0]} once, and then not ({again.why or again.status})"
        return self._misled(request, name, fault, (first, again))

    async def _named_places(self, key: str) -> list[tuple[str, HttpRequest]]:
        """Requests whose answers may hold absolute addresses."""
        found: list[tuple[str, HttpRequest]] = []
        # Only where keys are taken in the query is a query that comes back a key that comes back.
        query = tuple((item.name, key) for item in self.target.carriers if item.place == "query")[:1]
        plain = next(
            (item.path for item in self.target.operations if item.method == "GET" and "{" not in item.path),
            "/",
        )
        witness = self.target.witness
        path = witness.operation.address if witness is not None else plain
        slashed = path[:-1] if path.endswith("/") and len(path) > 1 else f"{path}/"
        found.append(("a slash too many", HttpRequest("GET", slashed, query)))
        if witness is not None and self.kinds():
            # With a credential: links to oneself and to the next page stand in what strangers do not get.
            live, objects = await self.credential(), self.target.objects
            reads = [("the protected operation", witness.operation)]
            if objects is not None and objects.listing is not None and "{" not in objects.listing.path:
                reads.append(("a list", objects.listing))
            found += [
                (what, operation.request().with_headers(*live.headers).with_query(*live.query))
                for what, operation in reads
            ]
        found += [
            ("the document", HttpRequest("GET", item.path))
            for item in self.target.documents[:1]
            if item.path is not None and item.openly
        ]
        login = next((item for item in self.target.logins if item.encoding in ("json", "form")), None)
        account = self.target.accounts.get("a")
        if login is not None and account is not None and account.password is not None:
            found.append(("a login", login.request(account.username, account.password)))
        return found

    async def _called(self, request: HttpRequest, name: Name, label: str) -> Answer:
        headers = name.headers
        if name.twice:
            own = "testserver" if self.target.in_process else urlsplit(self.target.address).netloc
            headers = (("Host", own), *headers)
        target = f"http://{_EVIL}{request.url}".encode() if name.absolute else None
        sent = replace(request, target=target).with_headers(*headers)
        answer = await self.send(sent, label=label, role=Role.ATTACK, raw_wire=True)
        for login in self.target.logins:
            if answer.reply.ok and (issued := login.read(answer.reply, "a")) is not None:
                self.scene.recorder.redactor.learn(issued.value)
        return answer

    def _follows(self, answer: Answer, key: str) -> tuple[str, Severity] | None:
        """In what an answer follows the client, and how grave that is."""
        reply = answer.reply
        for line in reply.header_lines("set-cookie"):
            cookie = parse_set_cookie(line)
            if cookie is not None and _EVIL in (cookie.attribute("domain") or ""):
                return "sets a cookie for that domain", Severity.HIGH
        location = reply.header("location") or ""
        if 300 <= (reply.status or 0) < 400 or location:
            if _LINK.match(location):
                carries = ", with the key of the request in it" if key in location else ""
                return f"redirects there{carries}", Severity.MEDIUM
            if key in location:
                return "redirects with the key of the request in the address", Severity.MEDIUM
            if self.target.address.startswith("https://") and location.startswith("http://"):
                return "redirects from https to http", Severity.MEDIUM
        if any(_LINK.search(line) for line in reply.header_lines("link")):
            return "answers with links to it", Severity.MEDIUM
        if reply.ok and _LINK.search(reply.text[:200_000]):
            return "answers with links to it", Severity.MEDIUM
        return None

    def _misled(
        self, request: HttpRequest, name: Name, fault: tuple[str, Severity], answers: tuple[Answer, Answer]
    ) -> Violation | None:
        message = f"{request.method} {request.path} believes {name.label}, and {fault[0]}."
        if name.forwarded and (urlsplit(self.target.address).hostname or "") in (
            "127.0.0.1",
            "localhost",
            "::1",
        ):
            # Servers trust forwarding headers from their own machine: asked from here that shows nothing.
            self.notes.append(f"{message} Sent from the machine itself, which servers trust")
            return None
        proof = tuple(answer.exchange for answer in answers)
        expected = _unled(answers[0])
        return Violation(f"{request.method} {request.path}", message, fault[1], proof, expected=expected)

    async def _wandering(self, unsure: list[str]) -> list[Violation]:
        """Open redirects: addresses in the path, and `next` parameters at the login."""
        requests = [
            ("an address in the path", HttpRequest("GET", "/", target=f"//{_EVIL}/%2e%2e".encode())),
            (
                "an address in the path with a slash behind",
                HttpRequest("GET", "/", target=f"//{_EVIL}//".encode()),
            ),
        ]
        for login in [item for item in self.target.logins if item.encoding in ("json", "form")][:1]:
            account = self.target.accounts.get("a")
            if account is not None and account.password is not None:
                honest = login.request(account.username, account.password)
                requests += [
                    (f"{word} at the login", honest.with_query((word, f"https://{_EVIL}/")))
                    for word in ("next", "redirect_uri", "return_to")
                ]
        return [item async for item in self._redirected(requests, unsure)]

    async def _redirected(
        self, requests: list[tuple[str, HttpRequest]], unsure: list[str]
    ) -> AsyncIterator[Violation]:
        for label, request in requests:
            answers = []
            for number in range(2):
                answer = await self.send(
                    request, label=f"{'again: ' * number}{label}", role=Role.ATTACK, raw_wire=True
                )
                answers.append(answer)
                if not _LINK.match(answer.reply.header("location") or ""):
                    if number or answer.status is None or answer.outcome is Outcome.THROTTLED:
                        unsure.append(
                            f"{label}: {answer.why or f'it led there once, and then not ({answer.status})'}"
                        )
                    break
            else:
                name = f"{request.method} {request.path}"
                proof = tuple(answer.exchange for answer in answers)
                message = f"{name} redirects to another site for {label}."
                yield Violation(name, message, Severity.MEDIUM, proof, expected=_unled(answers[0]))

    async def _mailed_link(self, unsure: list[str]) -> Violation | None:
        """The link in a reset mail, asked for under another name."""
        try:
            ask, account = self.recovery.ask, await self.expendable()
        except (Missing, Unclear) as reason:
            self.notes.append(f"not judged: the link in a mail: {reason}")
            return None
        proofs = []
        for number in range(2):
            answers: list[Answer] = []

            async def send(answers: list[Answer] = answers, number: int = number) -> Answer:
                request = ask.request(account).with_headers(("Host", _EVIL), *_FORWARDED[:1])
                answer = await self.send(
                    request,
                    label=f"{'again: ' * number}a reset asked for under another Host",
                    role=Role.ATTACK,
                    operation=ask.form.operation.name,
                    raw_wire=True,
                )
                answers.append(answer)
                return answer

            try:
                _, letter = await self.mailed(account, send)
            except (Missing, Unclear) as reason:
                # Who refuses the name sends nothing; who grants it and sends nothing, or breaks, was not seen.
                refused = answers and answers[0].judgement is None and not answers[0].granted
                told = self.notes if refused or isinstance(reason, Missing) else unsure
                told.append(f"not judged: the link in a mail: {reason}")
                return None
            if not _LINK.search(letter.text):
                unsure += [
                    f"the link in a mail: {ask.form.operation.name} followed the name once, and then not"
                ] * number
                return None
            proofs.append(answers[0].exchange)
        name = ask.form.operation.name
        return Violation(
            name, f"{name} mails a link to the host that the client names.", Severity.HIGH, tuple(proofs)
        )
