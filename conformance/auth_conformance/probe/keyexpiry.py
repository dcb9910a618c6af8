"""`keys_must_expire`: an API key stops working at its end, in whatever notation that was given (checklist KEY111)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

from auth_conformance.credentials import Credential
from auth_conformance.model import Failed, Inconclusive, Need, Passed, Verdict, Violation
from auth_conformance.oracles.entry import Baseline
from auth_conformance.oracles.moments import day_of, moments, shift, timed
from auth_conformance.oracles.pointer import put, resolve
from auth_conformance.probe.clockwork import FOLLOWED
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.expiry import HOUR, MARGIN, PATIENCE, Expiry, Late, how_late, stated
from auth_conformance.probe.refusal import Attempt
from auth_conformance.secret import Secret
from auth_conformance.target import KeyManagement, Witness

# How long a key may outlive its end, in seconds.
KEY_TOLERANCE = 60
DAY = 24 * HOUR
# How far the days of the earth's zones begin before, and end after, that of UTC, in seconds.
EASTERNMOST, WESTERNMOST = 14 * HOUR, 12 * HOUR
# How soon a key is asked to end when it must be waited for: some services refuse ends that are near.
SOONEST = (10, 70, PATIENCE)


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key and the reply that it came in. `end` is when it ends, None where it has no end."""

    credential: Credential
    answer: Answer
    end: float | None = None


class KeyExpiry(Expiry):
    """The ends of API keys are kept."""

    async def keys_must_expire(self) -> Verdict:
        """Refuse API keys after their end, in whatever notation it was given. Raises Missing or Unclear."""
        keys = self.target.keys
        if keys is None:
            raise self.without_keys()
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
        doubts: list[str] = []
        odd = await self._keys_with_odd_ends(keys, field, made, doubts)
        violations = await self._keys_already_over(odd, witness, baseline, doubts)
        ending = {"a key": key}
        if movable:
            zoned = {name: odd[name] for name in ("with the offset +14:00", "without a zone") if name in odd}
            ending |= {f"a key whose end was given {name}": item for name, item in zoned.items()}
        else:
            doubts += _shifted(odd, self._clock_now())
        late = await self._keys_after_end(ending, witness, baseline)
        await self.must_live(witness, endless.credential, baseline, "by the moved clock", moved=late[0].moved)
        accepted = [item for item in late if item.answer.accepted]
        if accepted and movable:
            await self._keys_followed_clock(keys, endless, accepted[0].moved, made)
        violations += [await self._late_again(item, witness, baseline) for item in accepted]
        await self.must_live(witness, endless.credential, baseline, "after")
        if violations:
            return Failed(tuple(violations), tuple(self.evidence), tuple(self.notes))
        unclear = [f"{item.attempt.label}: {item.answer.why}" for item in late if not item.answer.rejected]
        if unclear or doubts:
            first, *more = (*unclear, *doubts)
            return Inconclusive(first, "", tuple(self.evidence), (*self.notes, *more))
        how = "by a moved clock" if movable else "after waiting"
        reason = (
            f"A key worked before its end and not {late[0].seconds:g} s after it ({how}), while a key with another "
            f"end got in; {len(odd)} of {len(self._odd_ends(_schema_of(keys, field)))} odd ends were taken, "
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
        # Two ends of whole days are told apart by more than a day.
        later = (5 if whole_days(_schema_of(keys, field)) else 1) * DAY
        return await self._key_until(keys, field, self._clock_now() + later, made)

    async def _key_until(self, keys: KeyManagement, field: str, end: float, made: list[MadeKey]) -> MadeKey:
        """Make a key that ends at `end`, or, where the field is a duration, when the service says so."""
        refused = "no way to write it is known"
        for value in _spelled(_schema_of(keys, field), end):
            answer = await self._create_key(keys, field, value)
            refused = str(answer.reply.error or answer.status)
            stated = [item.at for item in moments(answer.reply.json, self._clock_now()) if item.ahead > 1]
            real = end if isinstance(value, str) else max(stated, default=None)
            if isinstance(value, str) and (day := day_of(value)) is not None:
                real = _end_of(day, answer.reply.json, self._clock_now())
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
        self, keys: KeyManagement, field: str, made: list[MadeKey], doubts: list[str]
    ) -> dict[str, MadeKey]:
        """Make keys with ends that a careless reader gets wrong; those that the service refuses are missing."""
        schema = _schema_of(keys, field)
        odd: dict[str, MadeKey] = {}
        for name, (value, end) in self._odd_ends(schema).items():
            if isinstance(value, str) and "string" not in _types(schema):
                continue
            answer = await self._create_key(keys, field, value)
            if answer.judgement is not None:
                doubts.append(f"{keys.create.name} with an end {name}: {answer.why}.")
            if (key := self._kept_key(keys, answer, end, made)) is not None:
                odd[name] = key
        return odd

    def _odd_ends(self, schema: Mapping[str, Any]) -> Mapping[str, tuple[object, float | None]]:
        now = self._clock_now()
        return _odd_days(now) if whole_days(schema) else _odd_values(now)

    async def _keys_already_over(
        self, odd: Mapping[str, MadeKey], witness: Witness, baseline: Baseline, doubts: list[str]
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
            elif not answer.rejected:
                doubts.append(f"{attempt.label}: {answer.why}")
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
                early = Attempt(f"a key {how_late(2)}", key.credential)
                answer = await self.attempt(witness, early, baseline)
                if answer.rejected:
                    late.append(Late(2, early, answer))
                    continue
                await asyncio.sleep(max(0.0, end - self._clock_now() + seconds + MARGIN))
            attempt = Attempt(f"{name} {how_late(seconds)}", key.credential)
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
        before, after = stated(usual, self._clock_now()), stated(ahead, self._clock_now())
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


def _pointer(field: str) -> str:
    return field if field.startswith("/") else f"/{field}"


def _schema_of(keys: KeyManagement, field: str) -> Mapping[str, Any]:
    bodies = keys.create.bodies
    schema: Any = next((body for media, body in bodies.items() if "json" in media), None)
    schema = next(iter(bodies.values()), {}) if schema is None else schema
    for part in _pointer(field)[1:].split("/"):
        schema = (schema.get("properties") or {}).get(part) or {} if isinstance(schema, Mapping) else {}
    return schema if isinstance(schema, Mapping) else {}


def whole_days(schema: Mapping[str, Any]) -> bool:
    """Whether a field takes days and no times (OpenAPI's formats `date` and `date-time`)."""
    formats = set(_formats(schema))
    return "date" in formats and "date-time" not in formats


def _formats(schema: Mapping[str, Any]) -> Iterator[object]:
    yield schema.get("format")
    for word in ("anyOf", "oneOf", "allOf"):
        for inner in schema.get(word) or ():
            if isinstance(inner, Mapping):
                yield from _formats(inner)


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
    """An end as the field may want it: a date with time, or a whole day, or the smallest duration, or the epoch."""
    at = datetime.fromtimestamp(end, UTC)
    text = at.isoformat(timespec="seconds").replace("+00:00", "Z")
    # The first day that has begun nowhere yet: where keys end as it begins, this one lives now.
    day = datetime.fromtimestamp(end + EASTERNMOST + DAY, UTC).date().isoformat()
    numbers: list[object] = [schema.get("minimum", 1), int(end)]
    types = _types(schema)
    if whole_days(schema):
        return [day]
    if "string" in types:
        # What says no format may want a whole day, and refuses a time.
        return [text, day, *(numbers if types & {"integer", "number"} else [])]
    return numbers


def _end_of(day: date, document: object, now: float) -> float:
    """When a key that ends on this day is over: when the service says, or else where the day ends last on earth.

    A day is no moment (RFC 3339 §5.6, full-date): that of the service may begin 14 hours before that of UTC, and end
    12 hours after it.
    """
    begins = datetime.combine(day, time(), UTC).timestamp()
    last = begins + DAY + WESTERNMOST
    told = [
        item.at
        for item in moments(timed(document), now)
        if begins - EASTERNMOST <= item.at <= last and item.ahead > 1
    ]
    return max(told, default=last)


def _shifted(odd: Mapping[str, MadeKey], now: float) -> list[str]:
    """What the service itself says of an end that it took: hours late is a doubt where nobody can wait for it."""
    found = []
    for name, key in odd.items():
        told = [item.at for item in moments(key.answer.reply.json, now) if item.ahead > 1]
        if key.end is not None and told and min(abs(at - key.end) for at in told) > HOUR / 2:
            hours = (min(told, key=lambda at: abs(at - (key.end or 0.0))) - key.end) / HOUR
            found.append(f"A key with an end {name} is said to end {hours:+.1f} h from it.")
    return found


def _odd_days(now: float) -> dict[str, tuple[object, float | None]]:
    """As `_odd_values`, where only whole days are taken: a day has no zone."""
    past = datetime.fromtimestamp(now - 3 * DAY, UTC).date()
    return {
        "in the past": (past.isoformat(), datetime.combine(past, time(), UTC).timestamp()),
        "that is negative": (-1, None),
        "that is null": (None, None),
        "in the year 9999": ("9999-12-31", None),
    }


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
