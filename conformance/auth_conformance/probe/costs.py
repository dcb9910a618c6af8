"""`must_stay_cheap`: tokens that cost a careless parser time, memory or its life (checklist TOK126).

Each is compared with a bland token of the same length, so that what a long header costs every service is not
counted. Memory can only be seen in this process.
"""

from __future__ import annotations

import asyncio
import statistics
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.credentials import Jwt, b64url, compact_json
from auth_conformance.model import Failed, Inconclusive, Outcome, Passed, Role, Verdict, Violation
from auth_conformance.probe.core import Answer, hung_up
from auth_conformance.probe.encryption import INFLATED, bombs, encrypted
from auth_conformance.probe.keyforms import PublicKey, public_key
from auth_conformance.probe.refusal import Attempt, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.credentials import Credential
    from auth_conformance.oracles.entry import Baseline

REPEATS = 3
# Slower than this, in seconds, and than so many times the twin, is too slow.
SLOW, TIMES = 2.0, 20.0
# How many bytes more than its twin a small token may make the application allocate.
HUNGRY = 4_000_000
# How much slower the service may be afterwards, what is noise, and how much later it must be over, in seconds.
AFTERWARDS, NOISE, LATER = 3.0, 1.0, 10.0
_NESTED = 2_000
_DEEP = 12_000
_TOO_LONG = {400, 413, 414, 431}
# Servers stop reading a head of this size, answer 400 and close: what they said may be lost in the reset.
_LONGEST_HEAD = 65_536


@dataclass(frozen=True, slots=True)
class _Cost:
    """A costly token and its bland twin. `inflates` says that it is small and grows."""

    label: str
    text: str
    twin: str
    inflates: bool = False


class Costs(Refusal):
    """Sends what is cheap to make and dear to read."""

    async def must_stay_cheap(self) -> Verdict:
        """Refuse hostile tokens quickly, in little memory, and live on. Raises Missing or Unclear."""
        live = await self.credential(self.token_kind)
        baseline = await self.baseline(self.witness, live)
        before = [await self.must_live(self.witness, live, baseline, "before") for _ in range(REPEATS)]
        violations: list[Violation] = []
        unclear: list[str] = []
        self._remedies: list[str] = []
        costs = list(self._costs(live))
        for cost in costs:
            outcome = await self._cost_of(cost, live, baseline)
            if isinstance(outcome, Violation):
                violations.append(outcome)
                if "no orderly answer" in outcome.message:
                    break  # whoever was killed once need not be killed by every other token
            elif outcome:
                unclear.append(outcome)
        usual = statistics.median(item.reply.took for item in before)
        for pause in (0.0, LATER):
            await asyncio.sleep(pause)
            after = [await self.must_live(self.witness, live, baseline, "after") for _ in range(REPEATS)]
            now = statistics.median(item.reply.took for item in after)
            if violations or now <= AFTERWARDS * usual + NOISE:
                break
        else:
            message = f"{self.witness.operation.name} needs {now:.2f} s after the attack, and {usual:.2f} s before it."
            shown = (before[0].exchange, after[0].exchange)
            violations.append(Violation(self.witness.operation.name, message, None, shown))
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, notes)
        if unclear:
            return Inconclusive(unclear[0], next(iter(self._remedies), ""), evidence, notes)
        reason = f"{len(costs)} costly tokens were refused as quickly as bland ones of their length."
        return Passed(reason, evidence, notes)

    async def _cost_of(self, cost: _Cost, live: Credential, baseline: Baseline) -> Violation | str | None:
        operation = self.witness.operation.name
        twins: list[Answer] = []
        answers: list[Answer] = []
        for number in range(REPEATS):
            twins.append(
                await self._sent(f"control: a bland token as long as {cost.label}", cost.twin, live, baseline)
            )
            answer = await self._sent(f"{cost.label} ({number + 1})", cost.text, live, baseline)
            answers.append(answer)
            if _hung_up(answer, cost):
                continue
            if answer.outcome is Outcome.CRASHED and twins[-1].outcome is not Outcome.CRASHED:
                again = await self._sent(f"again: {cost.label}", cost.text, live, baseline, fresh=True)
                if again.outcome is not Outcome.CRASHED:
                    return f"{cost.label}: no orderly answer once, and then one ({again.why})"
                message = f"{operation} gave {cost.label} no orderly answer ({answer.why})."
                return Violation(
                    operation, message, None, (twins[-1].exchange, answer.exchange, again.exchange)
                )
        took, usual = (statistics.median(item.reply.took for item in items) for items in (answers, twins))
        shown = (twins[0].exchange, answers[0].exchange, answers[1].exchange)
        if took > max(SLOW, TIMES * usual):
            message = f"{operation} needs {took:.1f} s for {cost.label}, and {usual:.2f} s for a bland one."
            return Violation(operation, message, None, shown)
        if cost.inflates and self.target.in_process:
            grown = await self._grown(cost, live, baseline)
            if grown is not None:
                return Violation(operation, f"{operation} {grown}.", None, shown)
        if any(answer.accepted for answer in answers):
            return f"{cost.label}: accepted ({answers[0].why})"
        odd = next(
            (item for item in answers if not (self._turned_down(item, twins[0]) or _hung_up(item, cost))),
            None,
        )
        if odd is None:
            return None
        self._remedies.append(self._remedy_for(odd))
        return f"{cost.label}: {odd.why}"

    @staticmethod
    def _turned_down(answer: Answer, twin: Answer) -> bool:
        """Refused by the application, or, for its length, by the server in front."""
        if answer.rejected or answer.status in _TOO_LONG:
            return True
        if answer.outcome is Outcome.CRASHED and twin.outcome is Outcome.CRASHED:
            return True  # whatever breaks over the length is for ERR108 to say
        return hung_up(answer.exchange.reply, answer.request) is not None

    async def _sent(
        self, label: str, text: str, live: Credential, baseline: Baseline, *, fresh: bool = False
    ) -> Answer:
        role = Role.CONTROL if label.startswith("control") else Role.ATTACK
        attempt = Attempt(label, live.with_value(text))
        return await self.attempt(self.witness, attempt, baseline, role=role, fresh=fresh)

    async def _grown(self, cost: _Cost, live: Credential, baseline: Baseline) -> str | None:
        """How much more memory than its twin the token takes, in words, if that is too much twice."""
        worst = 0
        for number in range(2):
            peaks = []
            for label, text in ((f"control: the twin of {cost.label}", cost.twin), (cost.label, cost.text)):
                tracemalloc.start()
                try:
                    await self._sent(f"{label}, its memory measured", text, live, baseline)
                    peaks.append(tracemalloc.get_traced_memory()[1])
                finally:
                    tracemalloc.stop()
            worst = peaks[1] - peaks[0] if number == 0 else min(worst, peaks[1] - peaks[0])
        if worst < HUNGRY:
            return None
        size = len(cost.text) / 1e3
        return f"allocates {worst / 1e6:.0f} MB more for {cost.label}, of {size:.0f} kB, than for its twin"

    def _costs(self, live: Credential) -> Iterator[_Cost]:
        for size in (4_000, 16_000, 60_000):
            yield _Cost(f"junk of {size // 1000} kB", self._junk(size), self._bland_text(size))
        yield _Cost("junk of 1 MB", self._junk(1_000_000), self._bland_text(1_000_000))
        token = live.jwt
        payload = token.payload_text if token is not None else b64url(b'{"sub":"x"}')
        members = ",".join(f'"m{number}":1' for number in range(1_000))
        headers = {
            "a header of 2000 nested lists": f'{{"alg":"HS256","x":{"[" * _NESTED}{"]" * _NESTED}}}',
            # CPython 3.12 and later count to 10 000 before they give up; the arrays need not end for that.
            "the start of a header of 12000 nested lists": f'{{"alg":"HS256","x":{"[" * _DEEP}',
            "a header with an integer of 5000 digits": f'{{"alg":"HS256","x":{"9" * 5_000}}}',
            "a header of 1000 members": f'{{"alg":"HS256",{members}}}',
        }
        for label, header in headers.items():
            text = f"{b64url(header.encode())}.{payload}.{b64url(bytes(32))}"
            yield _Cost(label, text, self._bland_text(len(text)))
        yield _Cost("200 dots", "a." * 200 + "a", self._bland_text(401))
        yield from self._encrypted_costs(token)

    def _encrypted_costs(self, token: Jwt | None) -> Iterator[_Cost]:
        key = self._encryption_key(token)
        if key is None or token is None:
            self.notes.append("no bomb was sent: neither a public key nor the secret is known")
            return
        for name, bomb, twin in bombs(key):
            yield _Cost(
                f"an encrypted token that inflates to {INFLATED // 1_000_000} MB ({name})",
                bomb,
                twin,
                inflates=True,
            )
        secret = key if isinstance(key, bytes) else b"password"
        claims = compact_json(dict(token.claims)).encode()
        way = "PBES2-HS256+A128KW"
        yield _Cost(
            "an encrypted token that asks for five million rounds",
            encrypted(secret, way, "A128GCM", claims, {"p2c": 5_000_000}),
            encrypted(secret, way, "A128GCM", claims, {"p2c": 1_000}),
        )

    def _encryption_key(self, token: Jwt | None) -> PublicKey | bytes | None:
        for jwk in self.target.public_keys:
            key = public_key(jwk)
            if key is not None and jwk.get("kty") in ("RSA", "EC"):
                return key
        for known in self.target.signing_keys:
            if known.symmetric and token is not None and known.verifies(token):
                return known.secret.reveal().encode("utf-8", "surrogatepass")
        return None

    def _junk(self, size: int) -> str:
        """Three parts that look like a token's, and decode to nothing."""
        part = self.word(64) * (size // 192 + 1)
        third = size // 3
        return f"{part[:third]}.{part[:third]}.{part[:third]}"

    def _bland_text(self, size: int) -> str:
        return (self.word(64) * (size // 64 + 1))[:size]


def _hung_up(answer: Answer, cost: _Cost) -> bool:
    """Whether the server closed the connection on a head too long to read; that it lives is controlled after."""
    closed = (answer.reply.error or "").startswith("connection closed")
    return closed and len(cost.text) > _LONGEST_HEAD and answer.status is None
