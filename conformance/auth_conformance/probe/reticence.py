"""What errors give away: the inside of the service, and what the caller had sent."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
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
from auth_conformance.oracles.canary import leaked
from auth_conformance.oracles.internals import Revealed, revealed, versions
from auth_conformance.oracles.pointer import put
from auth_conformance.probe.core import Answer, Missing
from auth_conformance.probe.described import Described
from auth_conformance.secret import Secret
from auth_conformance.target import Operation, styled
from auth_conformance.transports.asgi import AsgiTransport
from auth_conformance.transports.inside import failing_route
from auth_conformance.transports.message import HttpRequest
from auth_conformance.transports.recorder import Kept

if TYPE_CHECKING:
    from auth_conformance.target import Login, Register
    from auth_conformance.transports.message import RawReply

# How many kinds of telling answer are asked again, gravest first.
_AGAIN = 12
_ENOUGH = 4


_AS_A_NAME = "the password as a name of a member"


@dataclass(frozen=True, slots=True)
class Utterance:
    """A request with a secret in it that has to be refused, and what it is called."""

    label: str
    operation: str
    request: HttpRequest
    secret: str
    severity: Severity | None = None


class Reticence(Described):
    """Sentences about what an error may say."""

    async def must_reveal_no_internals(self) -> Verdict:
        """No error of the run shows a stack, a query, a path, a library's words or somebody's secret."""
        gallery = await self.gallery()
        defective = await self._defective_tokens()
        found: dict[tuple[str, str], tuple[Kept, Revealed]] = {}
        judged = 0
        # The archive keeps one of many like bodies; what only a header says stands in these.
        for kept in (*self.scene.recorder.archive, *defective):
            if not 400 <= (kept.reply.status or 0) < 600:
                continue
            judged += 1
            for sign in self._signs(kept):
                found.setdefault((kept.exchange.operation, sign.what), (kept, sign))
        violations: list[Violation] = []
        ordered = sorted(found.values(), key=lambda item: -item[1].severity.rank)
        for kept, sign in ordered[:_AGAIN]:
            if sign.severity is Severity.INFO:
                self.notes.append(f"{kept.exchange.operation} tells {sign.what}")
                continue
            again = await self._answered_again(kept)
            if any(other.what == sign.what for other in self._signs(again)):
                message = f"{kept.exchange.operation}, {again.reply.status}: the error holds {sign.what} ({sign.text})."
                proof = (kept.exchange, again.exchange)
                kept_text = sign.text if 3 < len(sign.text) < 200 and sign.text in again.reply.text else ""
                expected = (
                    Expectation("no text", value=kept_text, about=again.exchange.number)
                    if kept_text
                    else None
                )
                violations.append(Violation(kept.exchange.operation, message, sign.severity, proof, expected))
            else:
                self.notes.append(f"seen only once: {kept.exchange.operation} tells {sign.what}")
        violations += await self._forced_error()
        self.notes += [f"tells a version: {text}" for text in dict.fromkeys(versions(gallery.good.headers))]
        await self.must_answer("after")
        evidence, notes = tuple(self.evidence), tuple(dict.fromkeys(self.notes))
        if violations:
            return Failed(_gravest(violations), evidence, notes)
        if judged < _ENOUGH:
            return Inconclusive(f"Only {judged} errors were seen.", "", evidence, notes)
        return Passed(f"{judged} errors tell nothing of the inside.", evidence, notes)

    async def _defective_tokens(self) -> list[Kept]:
        """Tokens with one defect each: a library's words would tell them apart."""
        if Kind.BEARER not in self.kinds():
            return []
        live = await self.credential(Kind.BEARER)
        text = live.value.reveal()
        values = {"no token at all": "x", "two parts of a token": "a.b", "three parts of nothing": "!.!.!"}
        if live.jwt is not None:
            values["a token with a wrong signature"] = live.jwt.with_flipped_signature().text
            values["a token cut in two"] = text[: len(text) // 2]
            values["a token of an unknown algorithm"] = live.jwt.with_header(alg="HS999").text
        answers = [
            await self.call(
                self.witness.operation, live.with_value(value), label=f"refusal: {label}", role=Role.ATTACK
            )
            for label, value in values.items()
        ]
        return [Kept(answer.request, answer.reply, answer.exchange) for answer in answers]

    def _signs(self, kept: Kept) -> list[Revealed]:
        request = kept.request
        said = [request.url, request.path, *(value for _, value in request.query)]
        said += [
            value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            for _, value in request.headers
        ]
        said.append((request.body or b"")[:200_000].decode("utf-8", "replace"))
        signs = revealed(f"{kept.reply.text}\n{_explained(kept)}".strip(), said)
        secret = self.scene.recorder.redactor.known_in(kept.reply.text, "\n".join(said))
        if secret is not None:
            signs.insert(0, Revealed("a secret that the request did not hold", Severity.HIGH, secret))
        return signs

    async def _forced_error(self) -> list[Violation]:
        """In this process: let a handler raise, and look for the exception's words in the answer."""
        transport = self.scene.recorder.transport
        if not isinstance(transport, AsgiTransport):
            return []
        canary, path = self.canary(), f"/{self.word(12)}"
        error = RuntimeError(f"the row of '{canary}' in /srv/app/users.db is broken")
        answers = []
        with failing_route(transport.app, path, error) as placed:
            if not placed:
                self.notes.append("not forced: the application has no routes that could be added to")
                return []
            for number in range(2):
                label = f"{'again: ' if number else ''}a handler that raises"
                answers.append(await self.send(HttpRequest("GET", path), label=label, role=Role.ATTACK))
        self.scene.crashes = [
            crash for crash in self.scene.crashes if crash.exchange not in [item.exchange for item in answers]
        ]
        if all(leaked(canary, _whole(answer.reply)) for answer in answers):
            message = "An unhandled exception is answered with its own message."
            return [Violation(None, message, Severity.HIGH, tuple(answer.exchange for answer in answers))]
        signs = [revealed(answer.reply.text, [path]) for answer in answers]
        telling = [
            sign
            for sign in signs[0]
            if sign.severity > Severity.INFO and sign.what in {s.what for s in signs[1]}
        ]
        if telling:
            message = f"An unhandled exception is answered with {telling[0].what}."
            return [Violation(None, message, telling[0].severity, tuple(item.exchange for item in answers))]
        return []

    # What the caller had sent.

    async def must_not_echo(self) -> Verdict:
        """A password, key or token that was refused does not come back in the answer."""
        await self.must_answer()
        violations: list[Violation] = []
        unsure: list[str] = []
        told = Counter[str]()
        for utterance in await self._utterances():
            told[utterance.operation] += 0
            await self.paced()
            self.scene.recorder.redactor.learn(Secret(utterance.secret))
            answer = await self._utter(utterance, "")
            how = leaked(utterance.secret, _whole(answer.reply))
            if answer.status is None or answer.outcome not in (None, Outcome.CRASHED):
                unsure.append(f"{utterance.label}: {answer.why}")
                continue
            if answer.reply.ok and not answer.reply.asks_for_password:
                # What was accepted is no refusal: what is issued may show what it was made from.
                self.notes.append(f"not judged: {utterance.label} was taken ({answer.status})")
                continue
            told[utterance.operation] += 1
            if how is None:
                continue
            again = await self._utter(utterance, "again: ")
            if leaked(utterance.secret, _whole(again.reply)) is None:
                unsure.append(f"{utterance.label}: came back once, then not")
                continue
            what = f"answers {answer.status} to {utterance.label} and repeats the secret {how}"
            message = f"{utterance.operation} {what}."
            violations.append(
                Violation(
                    utterance.operation,
                    message,
                    utterance.severity,
                    (answer.exchange, again.exchange),
                    Expectation("no secret"),
                )
            )
        await self.must_answer("after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(_gravest(violations), evidence, notes)
        if unsure:
            more = f" (and {len(unsure) - 1} more)" if unsure[1:] else ""
            return Inconclusive(f"{unsure[0]}{more}.", "", evidence, notes)
        taking = next((operation for operation, refused in told.items() if not refused), None)
        if taking is not None:
            reason = (
                f"{taking} refused nothing that was sent with a secret: what its refusals say was not seen."
            )
            return Inconclusive(reason, "", evidence, notes)
        if not told:
            raise Missing("Nothing is known here that takes a secret.")
        return Passed(f"{told.total()} refused requests with secrets: none comes back.", evidence, notes)

    async def _utter(self, utterance: Utterance, prefix: str) -> Answer:
        request = replace(utterance.request, fresh=bool(prefix))
        return await self.send(
            request, label=f"{prefix}{utterance.label}", role=Role.ATTACK, operation=utterance.operation
        )

    async def _utterances(self) -> list[Utterance]:
        found: list[Utterance] = []
        register = self.target.register
        if register is not None:
            found += self._bodies(register, register.encoding)
        login = next((item for item in self.target.logins if item.encoding in ("json", "form")), None)
        if login is not None:
            # A password that an earlier step takes is not in this body.
            found += self._bodies(login, login.encoding) if login.password_field else []
        found += await self._headers()
        return found

    def _bodies(self, door: Register | Login, encoding: str) -> list[Utterance]:
        """Requests with a password that fail because of something else in them."""
        what, name = ("registration" if door is self.target.register else "login"), door.operation.name
        user = styled(f"nobody{self.word(8)}", "email" if "@" in self.account_name() else "name")
        made: list[Utterance] = []

        def say(label: str, secret: str, request: HttpRequest) -> None:
            # No client that means well writes a password where names of members stand: frameworks repeat those.
            severity = Severity.LOW if label == _AS_A_NAME else None
            made.append(Utterance(f"a {what} with {label}", name, request, secret, severity))

        def whole(secret: str) -> HttpRequest:
            return door.request(user, Secret(secret))

        secret = self.password()
        say("a user name that cannot be one", secret, door.request("\x01 @@", Secret(secret)))
        if encoding == "form":
            secret = self.password()
            say("the user name missing", secret, whole(secret).with_form(((door.password_field, secret),)))
            return made
        others: list[tuple[str, Callable[[str], object]]] = [
            ("the user name missing", lambda text: put({}, door.password_field, text)),
            (
                "a list for a password",
                lambda text: put(put({}, door.user_field, user), door.password_field, [text]),
            ),
            ("an object for a password", lambda text: put({}, door.password_field, {"a": text})),
            ("the password in an unknown member", lambda text: {"unknown": text}),
            (_AS_A_NAME, lambda text: {text: 1}),
            ("the password as the whole body", lambda text: text),
        ]
        for label, body in others:
            secret = self.password()
            say(label, secret, whole(secret).with_json(body(secret)))
        short = self.canary()[:7]
        if what == "register":
            say("a password that is too short", short, whole(short))
        secret = self.password()
        cut = json.dumps({door.password_field: secret})[:-1]
        say("a body that breaks off", secret, replace(whole(secret), body=cut.encode()))
        for media in ("text/plain", "application/x-www-form-urlencoded"):
            secret = self.password()
            sent = whole(secret)
            kept = tuple(pair for pair in sent.headers if pair[0].lower() != "content-type")
            say(f"a body as {media}", secret, replace(sent, headers=(*kept, ("Content-Type", media))))
        return made

    async def _headers(self) -> list[Utterance]:
        """Keys and tokens that are refused, at the witness, below it, and at a path that does not exist."""
        if self.target.witness is None:
            return []
        operation = self.target.witness.operation
        made: list[Utterance] = []

        def say(label: str, secret: str, request: HttpRequest, severity: Severity | None = None) -> None:
            made.append(Utterance(label, operation.name, request, secret, severity))

        for carrier in self.target.carriers[:5]:
            secret = self.canary()
            request = operation.request()
            if carrier.place == "query":
                request = request.with_query((carrier.name, secret))
                say("a wrong key in the query", secret, request)
                lost = Operation("GET", f"{operation.address}/{self.word(8)}").request()
                say("a key in the query of an unknown path", secret, lost.with_query((carrier.name, secret)))
                slash = replace(request, path=f"{operation.address}/")
                say("a key in the query of a path with a slash too many", secret, slash)
            elif carrier.place == "cookie":
                say("a wrong cookie", secret, request.with_headers(("Cookie", f"{carrier.name}={secret}")))
            elif carrier.kind is Kind.KEY:
                odd = request.with_headers((carrier.name, f'{secret}" <>&;'))
                say("a key with characters that no key has", secret, odd)
            else:
                sent = request.with_headers((carrier.name, f"{carrier.prefix} {secret}".strip()))
                say("a token that is none", secret, sent, Severity.MEDIUM)
        secret = self.canary()
        basic = base64.b64encode(f"nobody:{secret}".encode()).decode()
        say("a Basic password", secret, operation.request().with_headers(("Authorization", f"Basic {basic}")))
        return made


def _explained(kept: Kept) -> str:
    """What headers say of an error: challenges, and those that are the service's own."""
    return "\n".join(
        value
        for name, value in kept.reply.headers
        if name.lower() == "www-authenticate" or name.lower().startswith("x-")
    )


def _whole(reply: RawReply) -> str:
    return "\n".join((*(f"{name}: {value}" for name, value in reply.headers), reply.text))


def _gravest(violations: list[Violation]) -> tuple[Violation, ...]:
    """One violation per operation; of several the gravest, the others counted."""
    groups: dict[str | None, list[Violation]] = {}
    for violation in violations:
        groups.setdefault(violation.operation, []).append(violation)
    merged = []
    for group in groups.values():
        group.sort(key=lambda item: -(item.severity.rank if item.severity else Severity.HIGH.rank))
        more = f" And {len(group) - 1} more." if len(group) > 1 else ""
        merged.append(replace(group[0], message=group[0].message + more))
    return tuple(merged)
