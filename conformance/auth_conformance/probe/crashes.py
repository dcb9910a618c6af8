"""Credentials that break careless readers, and whatever else in the run got no orderly answer."""

from __future__ import annotations

import base64
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Carrier, Credential, Kind, b64url
from auth_conformance.model import Failed, Inconclusive, Outcome, Passed, Role, Verdict, Violation
from auth_conformance.probe.core import TRUST, Answer, Missing, Unclear
from auth_conformance.probe.refusal import Attempt, Refusal
from auth_conformance.probe.scene import Crash
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.target import Account

# What PASS needs at least, answered by the application itself.
ENOUGH = 40
# How many crashes of one operation are tried again, shortest first.
_TRIED_AGAIN = 3
# How many crashes of other checks are tried again.
_REPLAYED = 20
_NEST = "[" * 2000 + "]" * 2000
_DEEP = "[" * 12_000
_DIGITS = "9" * 5000
_AGAIN = "again: "
# What servers answer to bytes that they do not take, before any application sees them.
_PARSERS = frozenset({400, 411, 413, 414, 417, 421, 429, 431, 451})


@dataclass(frozen=True, slots=True)
class Hostile:
    """One entry of the corpus: where it goes, what it is, and its value in bytes as they are sent."""

    to: str
    label: str
    why: str
    value: bytes
    wire: bool = False


@cache
def corpus() -> tuple[Hostile, ...]:
    """Read every hostile credential of `data/hostile_credentials.toml`."""
    text = resources.files("auth_conformance").joinpath("data", "hostile_credentials.toml").read_text("utf-8")
    return tuple(
        Hostile(entry["to"], entry["label"], entry["why"], _value(entry), entry.get("wire", False))
        for entry in tomllib.loads(text)["credential"]
    )


def _value(entry: dict[str, Any]) -> bytes:
    if "hex" in entry:
        return bytes.fromhex(entry["hex"])
    if "basic" in entry:
        return base64.b64encode(entry["basic"].encode())
    if "header" in entry:
        encoding = entry.get("encoding", "utf-8")
        filled = (
            entry[name].replace("@nest", _NEST).replace("@deep", _DEEP).replace("@digits", _DIGITS)
            for name in ("header", "payload")
        )
        parts = [b64url(text.encode(encoding)) for text in filled]
        return ".".join((*parts, b64url(bytes(32)))).encode()
    text = entry["text"].replace("@surrogate", "\ud800") * entry.get("repeat", 1)
    return bytes(text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class _Seen:
    """A crash, and the answer that showed it."""

    crash: Crash
    answer: Answer

    @property
    def label(self) -> str:
        """What was sent."""
        return self.crash.label.removeprefix(_AGAIN)

    @property
    def operation(self) -> str:
        """Where it was sent."""
        return self.crash.exchange.operation

    @property
    def size(self) -> int:
        """How much has to be sent to see it."""
        request = self.answer.request
        return len(request.url) + sum(len(value) for _, value in request.headers) + len(request.body or b"")


def _by_a_filter(answer: Answer, baseline: Baseline) -> bool:
    """Whether something in front of the application turned this away, and not the parser of an HTTP server."""
    if answer.status is None or answer.status in _PARSERS or answer.status >= 500:
        return False
    if answer.outcome is Outcome.INTERCEPTED:
        return True
    replies = (baseline.good, baseline.anonymous, baseline.canonical)
    spoken = {reply.media_type for reply in replies if reply is not None}
    spoken |= {known.media_type for known in baseline.refusals}
    return answer.outcome is not Outcome.REJECTED and answer.reply.media_type not in spoken


def _may_wrap_a_crash(answer: Answer, baseline: Baseline) -> bool:
    """Whether a 2xx is no refusal that is known here: services that say no in a 200 say so of their crashes, too."""
    status = answer.status or 0
    known = {reply.digest for reply in (baseline.anonymous, baseline.canonical) if reply is not None}
    unlike = answer.outcome is Outcome.AMBIGUOUS and answer.exchange.reply.digest not in known
    return unlike and 200 <= status < 300


def _place(crash: Crash) -> str:
    return f"{crash.exchange.operation} ({crash.exchange.reply.status})"


class Crashes(Refusal):
    """The sentence about credentials that nobody should be hurt by."""

    async def must_survive(self) -> Verdict:
        """No hostile credential, and nothing that another check sent, breaks the service twice."""
        await self.must_be_reachable()
        live = await self.credential()
        baseline = await self.baseline(self.witness, live)
        for when in ("before", "before, again", "before, once more"):
            await self.must_live(self.witness, live, baseline, when)
        earlier = list(self.scene.crashes)
        attempts = self._hostile_attempts(live)
        answers = await self.together(self.witness, attempts, baseline, live)
        await self.must_live(self.witness, live, baseline, "after")
        at_logins = await self._hostile_passwords()
        answered = [*answers, *at_logins]
        wires = {attempt.label for attempt in attempts if attempt.wire}
        crashed = [
            _Seen(Crash(item.exchange.label, item.request, item.exchange, item.exchange.label in wires), item)
            for item in answered
            if item.outcome is Outcome.CRASHED
        ]
        executed = sum(answer.outcome in (Outcome.REJECTED, Outcome.AMBIGUOUS, None) for answer in answered)
        wrapped = [answer.exchange.label for answer in answered if _may_wrap_a_crash(answer, baseline)]
        let_in = [answer.exchange.label for answer in answered if answer.outcome is Outcome.ACCEPTED]
        unsure: list[str] = []
        crashed += await self._replayed_crashes(earlier, unsure)
        violations = await self._confirmed_crashes(crashed, live, baseline, unsure)
        lost = [answer.exchange.label for answer in answered if answer.outcome is Outcome.INTERCEPTED]
        filtered = [answer for answer in answers if _by_a_filter(answer, baseline)]
        # A login may refuse in pages where the witness speaks JSON: here the filter has to be seen elsewhere.
        filtered += [answer for answer in at_logins if answer.outcome is Outcome.INTERCEPTED]
        if filtered and not self.target.policy.trust_waf:
            first = filtered[0]
            unsure.append(
                f"{len(filtered)} hostile credentials were answered before they reached the service: "
                f"{first.exchange.label} ({first.status} {first.reply.media_type})"
            )
        limited = [answer.exchange.label for answer in answered if answer.outcome is Outcome.THROTTLED]
        if limited:
            unsure.append(f"{len(limited)} hostile credentials met a limit of the service ({limited[0]})")
        if let_in:
            # What only the live credential gets was not worked out for this one: a cache may hold it (RFC 9111).
            unsure.append(
                f"{len(let_in)} hostile credentials got what the live one gets ({let_in[0]}): "
                "whether the application read them, nothing shows"
            )
        if wrapped:
            unsure.append(
                f"{len(wrapped)} hostile credentials got a success that neither the live one nor strangers get "
                f"({wrapped[0]}): it may be an error"
            )
        if lost:
            self.notes.append(f"not answered by the application: {', '.join(lost)}")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, (*notes, *unsure))
        if unsure:
            remedy = TRUST if filtered else ""
            more = f" (and {len(unsure) - 1} more)" if unsure[1:] else ""
            return Inconclusive(f"{unsure[0]}{more}.", remedy, evidence, notes)
        if executed < ENOUGH:
            reason = (
                f"Only {executed} of {len(answered)} hostile credentials were answered by the application."
            )
            return Inconclusive(reason, "", evidence, notes)
        return Passed(f"{executed} hostile credentials were answered without a crash.", evidence, notes)

    def _hostile_attempts(self, live: Credential) -> list[Attempt]:
        """Put the corpus into the carriers that this target reads; many read `Authorization: Basic`, too."""
        carriers = {carrier.kind: carrier for carrier in reversed(self.target.carriers)}
        places = {
            "token": live.carrier,
            "basic": Carrier(Kind.BASIC, "header", "Authorization", "Basic"),
            "cookie": carriers.get(Kind.COOKIE),
            "key": carriers.get(Kind.KEY),
        }
        attempts = []
        for hostile in corpus():
            carrier = places.get(hostile.to)
            if carrier is not None:
                attempts.append(_attempt(hostile, carrier))
        return attempts

    async def _hostile_passwords(self) -> list[Answer]:
        """Log in with hostile passwords: as an expendable account, else as A and once only."""
        hostile = [entry for entry in corpus() if entry.to == "password"]
        logins = sorted(self.target.logins, key=lambda login: login.encoding != "json")
        if not logins:
            return []
        try:
            account = await self._loser()
            await self.log_in(account, label="control: a login with the right password")
        except (Missing, Unclear) as reason:
            self.notes.append(f"no hostile passwords were sent: {reason}")
            return []
        answers = []
        for entry in hostile if account.expendable else hostile[:1]:
            try:
                password = Secret(entry.value.decode("utf-8", "surrogatepass"))
                request = logins[0].request(account.username, password)
            except UnicodeEncodeError:
                self.notes.append(f"not sent: {entry.label} cannot be written in this login's encoding")
                continue
            name = logins[0].operation.name
            answers.append(await self.send(request, label=entry.label, role=Role.ATTACK, operation=name))
        return answers

    async def _loser(self) -> Account:
        try:
            return await self.expendable()
        except (Missing, Unclear):
            return self.account()

    async def _replayed_crashes(self, earlier: list[Crash], unsure: list[str]) -> list[_Seen]:
        """Send again what crashed in other checks; return what crashes again."""
        found: dict[tuple[str, str], Crash] = {}
        # What breaks on an honest request is broken for everybody: no credential is to blame (checklist: the baseline).
        honest = dict.fromkeys(_place(crash) for crash in earlier if self._is_honest(crash))
        for crash in earlier:
            if _place(crash) not in honest:
                found.setdefault((crash.exchange.operation, crash.label.removeprefix(_AGAIN)), crash)
        if honest:
            self.notes.append(f"broke on an honest request as well: {', '.join(list(honest)[:10])}")
        again = []
        for (operation, label), crash in list(found.items())[:_REPLAYED]:
            answer = await self._crash_again(crash, crash.label.removeprefix(_AGAIN))
            if answer.outcome is Outcome.CRASHED:
                again.append(_Seen(crash, answer))
            else:
                # A request of our own that met a busy moment says nothing of hostile credentials.
                told = unsure if crash.exchange.role is Role.ATTACK else self.notes
                told.append(f"{operation} crashed once at {label}, and then not")
        if len(found) > _REPLAYED:
            self.notes.append(f"{len(found) - _REPLAYED} more crashes of the run were not tried again")
        return again

    def _is_honest(self, crash: Crash) -> bool:
        """Whether the holder of a live credential asked for what everybody may ask for."""
        if crash.exchange.role is Role.ATTACK:
            return False
        carried = [value for _, value in (*crash.request.headers, *crash.request.query)]
        return any(
            secret.reveal() in value
            for secret in self.scene.live
            for value in carried
            if isinstance(value, str)
        )

    async def _crash_again(self, crash: Crash, label: str) -> Answer:
        return await self.send(
            replace(crash.request, fresh=True),
            label=label,
            role=Role.ATTACK,
            operation=crash.exchange.operation,
            raw_wire=crash.wire,
            moved=crash.moved,
        )

    async def _confirmed_crashes(
        self, crashed: list[_Seen], live: Credential, baseline: Baseline, unsure: list[str]
    ) -> list[Violation]:
        """Find for each operation the shortest request that breaks it twice while the honest get in."""
        by_operation: dict[str, list[_Seen]] = {}
        for seen in sorted(crashed, key=lambda item: item.size):
            by_operation.setdefault(seen.operation, []).append(seen)
        violations = []
        for operation, cases in by_operation.items():
            doubts = []
            for seen in cases[:_TRIED_AGAIN]:
                doubt = await self._crashed_twice(seen, live, baseline)
                if isinstance(doubt, Violation):
                    more = f" {len(cases) - 1} more credentials do the same." if len(cases) > 1 else ""
                    violations.append(replace(doubt, message=doubt.message + more))
                    break
                doubts += [doubt] if doubt else []
            else:
                unsure += [f"{operation}: {doubt}" for doubt in doubts]
        return violations

    async def _crashed_twice(
        self, seen: _Seen, live: Credential, baseline: Baseline
    ) -> Violation | str | None:
        await self.must_live(self.witness, live, baseline, "between")
        again = await self._crash_again(seen.crash, _AGAIN + seen.label)
        await self.must_live(self.witness, live, baseline, "between")
        first, second = seen.answer, again
        if second.outcome is not Outcome.CRASHED:
            return f"it crashed once at {seen.label}, and then not ({second.why or second.status})"
        if not (first.broke and second.broke):
            return f"{seen.label}: no answer in time"
        if seen.operation != self.witness.operation.name:
            secret = {"authorization", "cookie", *(carrier.name.lower() for carrier in self.target.carriers)}
            kept = tuple(pair for pair in seen.crash.request.headers if pair[0].lower() not in secret)
            control = await self.send(
                replace(seen.crash.request, headers=kept, body=None, query=()),
                label="control: the same operation without it",
                role=Role.CONTROL,
                operation=seen.operation,
            )
            if control.outcome is Outcome.CRASHED:
                if control.request == replace(seen.crash.request, fresh=control.request.fresh):
                    # Nothing was presented: that says nothing about credentials.
                    self.notes.append(f"{seen.operation} is broken for everybody: {control.why}")
                    return None
                return f"it crashes without {seen.label}, too ({control.why})"
        proof = (first.exchange, second.exchange)
        return Violation(
            seen.operation, f"{seen.operation} breaks on {seen.label}: {second.why}.", None, proof
        )


def _attempt(hostile: Hostile, carrier: Carrier) -> Attempt:
    label = hostile.label
    if carrier.place == "query":
        # A query is percent-encoded text: bytes that are none arrive as what they stand for in Latin-1.
        text = hostile.value.decode("latin-1")
        return Attempt(label, query=((carrier.name, text),))
    prefix = f"{carrier.prefix} " if carrier.prefix else ""
    if carrier.place == "cookie":
        return Attempt(
            label, headers=(("Cookie", f"{carrier.name}=".encode() + hostile.value),), wire=hostile.wire
        )
    return Attempt(label, headers=((carrier.name, prefix.encode() + hostile.value),), wire=hostile.wire)
