"""`must_expire`: what has an end stops working there (checklist TOK201, KEY111; §1.3 CC).

Three ways lead past an end: write a token whose end has passed, move the target's clock, or wait. The first
that this target allows decides. A clock that was moved counts only when the target visibly followed it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from auth_conformance.credentials import Credential, Jwt
from auth_conformance.model import Failed, Inconclusive, Need, Passed, Role, Severity, Verdict, Violation
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.entry import Baseline
from auth_conformance.oracles.moments import Moment, moment, moments, shift
from auth_conformance.oracles.pointer import put, resolve
from auth_conformance.probe.clockwork import FOLLOWED, Clockwork
from auth_conformance.probe.core import Answer, Missing, Session, Unclear
from auth_conformance.probe.keeping import Keeping
from auth_conformance.probe.minting import Minting
from auth_conformance.probe.refusal import Attempt
from auth_conformance.secret import Secret
from auth_conformance.target import KeyManagement, Witness

# How many seconds after its end a token is presented: around the usual tolerances for clocks, and far beyond.
LATENESS = (1, 30, 61, 121, 301, 3_600, 100_000_000)
MOVES = (1, 61, 301)
# More than this many seconds late is no tolerance any more.
NO_TOLERANCE = 300
# How long a key may outlive its end, and how far ahead ends are set when the clock can be moved.
KEY_TOLERANCE = 60
HOUR = 3_600
# Longest lifetime that is waited for, and what is added where two clocks are involved, in seconds.
PATIENCE = 120
# How soon a key is asked to end when it must be waited for: some services refuse ends that are near.
SOONEST = (10, 70, PATIENCE)
MARGIN = 4
# A clock was moved visibly when a stated moment moved by at least this share of it.


@dataclass(frozen=True, slots=True)
class Late:
    """A credential presented `seconds` after its end, with the clock moved by `moved`."""

    seconds: float
    attempt: Attempt
    answer: Answer
    moved: float = 0.0


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key and the reply that it came in. `end` is when it ends, None where it has no end."""

    credential: Credential
    answer: Answer
    end: float | None = None


class Expiry(Keeping, Minting, Clockwork):
    """Ends are kept."""

    # Tokens.

    async def must_expire(self) -> Verdict:
        """Refuse bearer tokens after their end; a small tolerance for clocks is fine.

        Raises Unclear or Missing when no way leads past an end.
        """
        problems: list[Unclear | Missing] = []
        for strategy in (self._minted_late, self._clock_moved, self._waited_for, self._kept_earlier):
            try:
                return await strategy()
            except (Unclear, Missing) as problem:
                problems.append(problem)
        raise next((problem for problem in problems if isinstance(problem, Unclear)), problems[-1])

    async def _minted_late(self) -> Verdict:
        forge = await self.forge()
        if not isinstance(forge.token.claims.get("exp"), int | float):
            raise Unclear(
                "Issued tokens carry no exp, or none that is a number: there is no end to be late for."
            )
        live = await self.credential(self.token_kind, fresh=True)
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, "before")
        control = await self.attempt(self.witness, await self.honest(), baseline, role=Role.CONTROL)
        if not control.accepted:
            raise Unclear(f"A token of our own with honest claims was not accepted ({control.why}).")
        attempts = []
        for seconds in self._lateness():
            claims = forge.late_claims(self._clock_now(), seconds, self.rng.randrange(1 << 30))
            attempts.append(Attempt(f"a token {_after(seconds)}", forge.credential(claims)))
        answers = await self.together(self.witness, attempts, baseline, live)
        await self.must_live(self.witness, live, baseline, "after")
        late = [
            Late(seconds, attempt, answer)
            for seconds, attempt, answer in zip(self._lateness(), attempts, answers, strict=True)
        ]
        return await self._judged_late(late, baseline, "signed by us with the true key")

    def _lateness(self) -> tuple[float, ...]:
        margin = 0 if self.target.in_process else MARGIN
        return tuple(seconds + margin for seconds in LATENESS)

    async def _clock_moved(self) -> Verdict:
        if not self.scene.recorder.clock.movable:
            raise Missing("Not tested: the clock of this target cannot be moved.", self._remedy(Need.CLOCK))
        session, end = await self._issued_until()
        baseline = await self.baseline(self.witness, session.credential)
        await self.must_live(self.witness, session.credential, baseline, "before")
        late = []
        for seconds in MOVES:
            moved = end - self._clock_now() + seconds
            attempt = Attempt(f"a token {_after(seconds)}, by a moved clock", session.credential)
            late.append(
                Late(
                    seconds, attempt, await self.attempt(self.witness, attempt, baseline, moved=moved), moved
                )
            )
        farthest = late[-1].moved
        moved_session = await self.log_in(
            self.account(), self.token_kind, moved=farthest, label="log in, by the moved clock"
        )
        await self.must_live(
            self.witness, moved_session.credential, baseline, "by the moved clock", moved=farthest
        )
        fresh = await self.log_in(self.account(), self.token_kind)
        await self.must_live(self.witness, fresh.credential, baseline, "after")
        if any(item.answer.accepted for item in late):
            before, after = (_stated(item, self._clock_now()) for item in (session, moved_session))
            direct = (shift(before, after) or 0.0) >= FOLLOWED * farthest
            if not direct and not await self.clock_followed(self.account(), farthest, self.token_kind):
                self._must_have_followed(before, after, farthest)
        return await self._judged_late(late, baseline, "issued by the service, its clock moved")

    async def _waited_for(self) -> Verdict:
        session, end = await self._issued_until()
        if end - self._clock_now() > PATIENCE:
            raise Missing(
                f"Not tested: tokens live for {end - self._clock_now():.0f} s, too long to wait for.",
                self._remedy(Need.SIGNING_KEY),
            )
        baseline = await self.baseline(self.witness, session.credential)
        await self.must_live(self.witness, session.credential, baseline, "before")
        seconds = self.target.policy.leeway + 1 + MARGIN
        await asyncio.sleep(max(0.0, end - self._clock_now() + seconds))
        attempt = Attempt(f"a token {_after(seconds)}", session.credential)
        late = Late(seconds, attempt, await self.attempt(self.witness, attempt, baseline))
        fresh = await self.log_in(self.account(), self.token_kind)
        await self.must_live(self.witness, fresh.credential, baseline, "after")
        return await self._judged_late([late], baseline, "issued by the service, after waiting")

    async def _kept_earlier(self) -> Verdict:
        """Present the token of an earlier run again, and keep one for the next."""
        session, end = await self._issued_until()
        try:
            token, over = self.kept_token()
        except Missing:
            self.keep_token(session, end)
            raise
        seconds = self._clock_now() - over
        if seconds <= max(self.target.policy.leeway, 0.0) + MARGIN:
            raise Missing(
                f"Not tested: the token that is kept ends in {max(0.0, -seconds):.0f} s; run again later."
            )
        signed = Jwt.parse(token.reveal())
        own = session.credential.jwt
        if signed is not None and own is not None and signed.header != own.header:
            self.keep_token(session, end)
            raise Unclear("The kept token was signed with another key or header than those of today.")
        baseline = await self.baseline(self.witness, session.credential)
        await self.must_live(self.witness, session.credential, baseline, "before")
        attempt = Attempt(
            f"a token {_after(seconds)}, of an earlier run", self.as_kept(session.credential, token)
        )
        late = Late(seconds, attempt, await self.attempt(self.witness, attempt, baseline))
        await self.must_live(self.witness, session.credential, baseline, "after")
        self.keep_token(session, end)
        return await self._judged_late([late], baseline, "issued by the service in an earlier run")

    async def _issued_until(self) -> tuple[Session, float]:
        """Issue a token now and say when it ends."""
        session = await self.log_in(self.account(), self.token_kind)
        token = session.credential.jwt
        end = moment(token.claims.get("exp"), self._clock_now()) if token else None
        if end is None:
            stated = [
                item.at for item in moments(session.answer.reply.json, self._clock_now()) if item.ahead > 0
            ]
            end = min(stated, default=None)
        if end is None:
            raise Unclear(
                "Neither the issued tokens nor the login say when they end.", self._remedy(Need.SIGNING_KEY)
            )
        return session, end

    async def _judged_late(self, late: Sequence[Late], baseline: Baseline, how: str) -> Verdict:
        tolerance = max(self.target.policy.leeway, 0.0) + (0 if self.target.in_process else MARGIN)
        tolerated = [item.seconds for item in late if item.answer.accepted and item.seconds <= tolerance]
        if tolerated:
            self.notes.append(f"accepted up to {max(tolerated):g} s after the end: tolerance for clocks")
        beyond = [item for item in late if item.seconds > tolerance]
        worst = max(
            (item for item in beyond if item.answer.accepted), key=lambda item: item.seconds, default=None
        )
        if worst is not None:
            violation = await self._late_again(worst, self.witness, baseline)
            if worst.seconds <= NO_TOLERANCE:
                violation = replace(violation, severity=Severity.MEDIUM)
            return Failed((violation,), tuple(self.evidence), tuple(self.notes))
        unclear = [item for item in beyond if not item.answer.rejected]
        if unclear:
            reason = f"{unclear[0].attempt.label}: {unclear[0].answer.why}"
            return Inconclusive(reason, "", tuple(self.evidence), tuple(self.notes))
        nearest = min(item.seconds for item in beyond)
        reason = (
            f"Tokens {how} are refused {nearest:g} s after their end; a fresh one got in before and after."
        )
        return Passed(reason, tuple(self.evidence), tuple(self.notes))

    async def _late_again(self, late: Late, witness: Witness, baseline: Baseline) -> Violation:
        again = await self.attempt(
            witness,
            replace(late.attempt, label=f"again: {late.attempt.label}"),
            baseline,
            fresh=True,
            moved=late.moved,
        )
        if not again.accepted:
            raise Unclear(f"{late.attempt.label}: accepted once, then not ({again.why}).")
        if by_cache(again.reply):
            raise Unclear(f"{late.attempt.label}: a cache answered in the application's place (Age).")
        return Violation(
            witness.operation.name,
            f"{witness.operation.name} let in {late.attempt.label} ({again.why}).",
            None,
            (late.answer.exchange, again.exchange),
        )

    def _must_have_followed(self, before: list[Moment], after: list[Moment], moved: float) -> None:
        """CC: a moment that the service states moved with the clock. Raises Unclear."""
        seen = shift(before, after)
        if seen is None or seen < FOLLOWED * moved:
            raise Unclear(
                "The credential was accepted after its end, but the service did not visibly follow the moved clock: "
                "it may read the time elsewhere.",
                self._remedy(Need.SIGNING_KEY),
            )

    def _clock_now(self) -> float:
        return self.scene.recorder.clock.now()

    # API keys.

    async def keys_must_expire(self) -> Verdict:
        """Refuse API keys after their end, in whatever notation it was given. Raises Missing or Unclear."""
        keys = self.target.keys
        if keys is None:
            raise Missing("No operation that creates API keys is known.", self._remedy(Need.KEY_MANAGEMENT))
        if keys.expiry_field is None:
            raise Missing(
                "Not applicable: API keys of this service have no end (ASVS V13.3.4 asks for one)."
                if self.target.has_document
                else "Not tested: whether API keys can have an end is not known.",
                "" if self.target.has_document else '[keys]\nexpiry_field = "expires_at"',
                applicable=not self.target.has_document,
            )
        made: list[MadeKey] = []
        try:
            return await self._keys_expire(keys, keys.expiry_field, made)
        finally:
            for key in made:
                await self.revoke_key(key.answer)

    async def _keys_expire(self, keys: KeyManagement, field: str, made: list[MadeKey]) -> Verdict:
        endless = await self._key_without_end(keys, field, made)
        witness, baseline = await self._key_witness(endless.credential)
        movable = self.scene.recorder.clock.movable
        key = (
            await self._key_soon_over(keys, field, made)
            if not movable
            else await self._key_until(keys, field, self._clock_now() + HOUR, made)
        )
        await self.must_live(witness, endless.credential, baseline, "before")
        await self.must_live(witness, key.credential, baseline, "before the end")
        odd = await self._keys_with_odd_ends(keys, field, made)
        violations = await self._keys_already_over(odd, witness, baseline)
        ending = {"a key": key}
        if movable:
            zoned = {name: odd[name] for name in ("with the offset +14:00", "without a zone") if name in odd}
            ending |= {f"a key whose end was given {name}": item for name, item in zoned.items()}
        late = await self._keys_after_end(ending, witness, baseline)
        await self.must_live(witness, endless.credential, baseline, "by the moved clock", moved=late[0].moved)
        accepted = [item for item in late if item.answer.accepted]
        if accepted and movable:
            await self._keys_followed_clock(keys, endless, accepted[0].moved, made)
        violations += [await self._late_again(item, witness, baseline) for item in accepted]
        await self.must_live(witness, endless.credential, baseline, "after")
        if violations:
            return Failed(tuple(violations), tuple(self.evidence), tuple(self.notes))
        unclear = next((item for item in late if not item.answer.rejected), None)
        if unclear is not None:
            return Inconclusive(
                f"{unclear.attempt.label}: {unclear.answer.why}", "", tuple(self.evidence), tuple(self.notes)
            )
        how = "by a moved clock" if movable else "after waiting"
        reason = (
            f"A key worked before its end and not {late[0].seconds:g} s after it ({how}), while a key with another "
            f"end got in; {len(odd)} of {len(_odd_values(self._clock_now()))} odd ends were taken, "
            "and none of those outlives it."
        )
        return Passed(reason, tuple(self.evidence), tuple(self.notes))

    async def _key_without_end(self, keys: KeyManagement, field: str, made: list[MadeKey]) -> MadeKey:
        """Make the sibling: a key without an end, or with a later one where an end is required."""
        if resolve(dict(keys.template), _pointer(field)) is None:
            answer = await self._create_key(keys, None, "")
            if (key := self._kept_key(keys, answer, None, made)) is not None:
                self.notes.append("keys without an end can be made")
                return key
        return await self._key_until(keys, field, self._clock_now() + 24 * HOUR, made)

    async def _key_until(self, keys: KeyManagement, field: str, end: float, made: list[MadeKey]) -> MadeKey:
        """Make a key that ends at `end`, or, where the field is a duration, when the service says so."""
        refused = "no way to write it is known"
        for value in _spelled(_schema_of(keys, field), end):
            answer = await self._create_key(keys, field, value)
            refused = str(answer.reply.error or answer.status)
            stated = [item.at for item in moments(answer.reply.json, self._clock_now()) if item.ahead > 1]
            real = end if isinstance(value, str) else max(stated, default=None)
            if real is not None and (key := self._kept_key(keys, answer, real, made)) is not None:
                return key
        raise Unclear(
            f"{keys.create.name} made no key whose end is known ({refused}).",
            '[keys]\nexpiry_field = "expires_at"',
        )

    async def _key_soon_over(self, keys: KeyManagement, field: str, made: list[MadeKey]) -> MadeKey:
        problem: Unclear | None = None
        for seconds in SOONEST:
            try:
                key = await self._key_until(keys, field, self._clock_now() + seconds, made)
            except Unclear as error:
                problem = error
                continue
            if key.end is not None and key.end - self._clock_now() <= PATIENCE:
                return key
        raise problem or Missing("Not tested: keys live too long to wait for.", self._remedy(Need.CLOCK))

    async def _keys_with_odd_ends(
        self, keys: KeyManagement, field: str, made: list[MadeKey]
    ) -> dict[str, MadeKey]:
        """Make keys with ends that a careless reader gets wrong; those that the service refuses are missing."""
        schema = _schema_of(keys, field)
        odd: dict[str, MadeKey] = {}
        for name, (value, end) in _odd_values(self._clock_now()).items():
            if isinstance(value, str) and "string" not in _types(schema):
                continue
            answer = await self._create_key(keys, field, value)
            if (key := self._kept_key(keys, answer, end, made)) is not None:
                odd[name] = key
        return odd

    async def _keys_already_over(
        self, odd: Mapping[str, MadeKey], witness: Witness, baseline: Baseline
    ) -> list[Violation]:
        """Present the keys that were over when they were made."""
        violations = []
        for name, key in odd.items():
            stated = [item for item in moments(key.answer.reply.json, self._clock_now()) if item.ahead > 1]
            passed = [
                item
                for item in moments(key.answer.reply.json, self._clock_now())
                if item.ahead < -KEY_TOLERANCE
            ]
            over = name == "in the past" or (name == "that is negative" and passed)
            if not over or stated:
                continue
            attempt = Attempt(f"a key whose end lies {name.removeprefix('that is ')}", key.credential)
            answer = await self.attempt(witness, attempt, baseline)
            if answer.accepted:
                violations.append(await self._late_again(Late(HOUR, attempt, answer), witness, baseline))
        return violations

    async def _keys_after_end(
        self, keys: Mapping[str, MadeKey], witness: Witness, baseline: Baseline
    ) -> list[Late]:
        late = []
        for name, key in keys.items():
            end, seconds = key.end or 0.0, KEY_TOLERANCE + 1
            moved = 0.0
            if self.scene.recorder.clock.movable:
                moved = end - self._clock_now() + seconds
            else:
                await asyncio.sleep(max(0.0, end - self._clock_now() + 2))
                early = Attempt(f"a key {_after(2)}", key.credential)
                answer = await self.attempt(witness, early, baseline)
                if answer.rejected:
                    late.append(Late(2, early, answer))
                    continue
                await asyncio.sleep(max(0.0, end - self._clock_now() + seconds + MARGIN))
            attempt = Attempt(f"{name} {_after(seconds)}", key.credential)
            late.append(
                Late(seconds, attempt, await self.attempt(witness, attempt, baseline, moved=moved), moved)
            )
        return late

    async def _keys_followed_clock(
        self, keys: KeyManagement, sibling: MadeKey, moved: float, made: list[MadeKey]
    ) -> None:
        """CC for keys: what the service states by the moved clock moved as well. Raises Unclear."""
        account, kind = self.account(), self._login_kind()
        usual = await self.log_in(account, kind)
        ahead = await self.log_in(account, kind, moved=moved, label="log in, by the moved clock")
        before, after = _stated(usual, self._clock_now()), _stated(ahead, self._clock_now())
        if (shift(before, after) or 0.0) < FOLLOWED * moved:
            answer = await self._create_key(keys, None, "", moved=moved, login=ahead.credential)
            self._kept_key(keys, answer, None, made)
            before, after = (moments(item.reply.json, self._clock_now()) for item in (sibling.answer, answer))
        self._must_have_followed(before, after, moved)

    async def _key_witness(self, credential: Credential) -> tuple[Witness, Baseline]:
        """The first of the known protected operations that takes keys."""
        problem: Unclear | None = None
        for witness in self.witnesses:
            try:
                return witness, await self.baseline(witness, credential)
            except Unclear as error:
                problem = problem or error
        raise problem or Unclear("No protected operation is known.")

    async def _create_key(
        self,
        keys: KeyManagement,
        field: str | None,
        value: object,
        *,
        moved: float = 0.0,
        login: Credential | None = None,
    ) -> Answer:
        body = dict(keys.template) if field is None else put(dict(keys.template), field, value)
        return await self.call(
            keys.create,
            login or await self.credential(self._login_kind()),
            label="create an API key" + (f" with the end {value}" if field is not None else ""),
            body=body,
            moved=moved,
        )

    def _kept_key(
        self, keys: KeyManagement, answer: Answer, end: float | None, made: list[MadeKey]
    ) -> MadeKey | None:
        value = resolve(answer.reply.json, keys.value)
        if not answer.reply.ok or not isinstance(value, str) or not value:
            return None
        self.scene.recorder.redactor.learn(Secret(value))
        key = MadeKey(Credential(keys.carriers[0], Secret(value), "a"), answer, end)
        made.append(key)
        return key

    async def revoke_key(self, answer: Answer, owner: str = "a") -> None:
        """Revoke the key that `answer` created for `owner`, where that is possible."""
        keys = self.target.keys
        identifier = (
            resolve(answer.reply.json, keys.identifier) if keys is not None and keys.identifier else None
        )
        if keys is None or keys.revoke is None or identifier is None:
            return
        login = await self.credential(self._login_kind(), owner)
        values = {keys.id_parameter: str(identifier)}
        await self.call(keys.revoke, login, label="clean up: revoke the key", values=values)


def _after(seconds: float) -> str:
    return f"{seconds:g} s after its end"


def _stated(session: Session, now: float) -> list[Moment]:
    """Every moment that a login states, its token's claims included."""
    token = session.credential.jwt
    claims = moments({"token": dict(token.claims)}, now) if token else []
    # `expires_in` is a duration: it does not follow a clock.
    return claims + [
        item for item in moments(session.answer.reply.json, now) if not item.pointer.endswith("/expires_in")
    ]


def _pointer(field: str) -> str:
    return field if field.startswith("/") else f"/{field}"


def _schema_of(keys: KeyManagement, field: str) -> Mapping[str, Any]:
    bodies = keys.create.bodies
    schema: Any = next((body for media, body in bodies.items() if "json" in media), None)
    schema = next(iter(bodies.values()), {}) if schema is None else schema
    for part in _pointer(field)[1:].split("/"):
        schema = (schema.get("properties") or {}).get(part) or {} if isinstance(schema, Mapping) else {}
    return schema if isinstance(schema, Mapping) else {}


def _types(schema: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    declared = schema.get("type")
    found |= {declared} if isinstance(declared, str) else set(declared or ())
    for word in ("anyOf", "oneOf", "allOf"):
        for inner in schema.get(word) or ():
            if isinstance(inner, Mapping):
                found |= _types(inner)
    return found or {"string"}


def _spelled(schema: Mapping[str, Any], end: float) -> list[object]:
    """An end as the field may want it: a date with time, or the smallest duration, or the epoch."""
    text = datetime.fromtimestamp(end, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    numbers: list[object] = [schema.get("minimum", 1), int(end)]
    types = _types(schema)
    if "string" in types:
        return [text, *(numbers if types & {"integer", "number"} else [])]
    return numbers


def _odd_values(now: float) -> dict[str, tuple[object, float | None]]:
    """Ends that a careless reader gets wrong, each with the moment that it means."""
    end = datetime.fromtimestamp(int(now) + 2 * HOUR, UTC)
    past = datetime.fromtimestamp(int(now) - HOUR, UTC)
    return {
        "in the past": (past.isoformat(), past.timestamp()),
        "that is negative": (-1, None),
        "that is null": (None, None),
        "in the year 9999": ("9999-12-31T23:59:59Z", None),
        "with the offset +14:00": (
            end.astimezone(timezone(timedelta(hours=14))).isoformat(),
            end.timestamp(),
        ),
        "without a zone": (end.replace(tzinfo=None).isoformat(), end.timestamp()),
    }
