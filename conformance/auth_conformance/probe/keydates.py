"""`keys_must_end`: an end that is moved into the past in the database itself (checklist KEY111 c).

A service may let the database compare ends by its own clock, which no moved clock of ours reaches: then an
accepted key proves nothing, and only the stored date does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.model import Failed, Inconclusive, Passed, Verdict
from auth_conformance.oracles.disclosure import Search
from auth_conformance.oracles.moments import day_of, is_day_of, moment
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.expiry import HOUR, Late
from auth_conformance.probe.keyexpiry import KEY_TOLERANCE, MadeKey
from auth_conformance.probe.refusal import Attempt
from auth_conformance.probe.stored import Stored
from auth_conformance.storage import StorageError
from auth_conformance.storage_changes import moment_column, postpone

if TYPE_CHECKING:
    from auth_conformance.storage import Row
    from auth_conformance.target import KeyManagement

# How far a stored end may be from the one that was asked for, in seconds.
_NEAR = 5.0


class KeyDates(Stored):
    """Ends of keys, by clock, by waiting, or by the stored date."""

    async def keys_must_end(self) -> Verdict:
        """Refuse keys after their end; the stored date decides where the clock cannot. Raises Missing or Unclear."""
        stored = self.target.database is not None
        try:
            if stored and not self.scene.recorder.clock.movable:
                return await self._ended_in_database()
        except (Unclear, Missing) as reason:
            self.notes.append(f"by the stored date: {reason}")
        try:
            verdict = await self.keys_must_expire()
        except Unclear:
            if not stored:
                raise
            return await self._ended_in_database()
        movable = self.scene.recorder.clock.movable
        if stored and movable and isinstance(verdict, Failed) and any(map(_is_late, verdict.violations)):
            return await self._by_which_clock(verdict)
        return verdict

    async def _by_which_clock(self, verdict: Failed) -> Verdict:
        """Tell whether a key outlived its end, or the database has a clock of its own that was not moved."""
        second = await self._ended_in_database()
        if not isinstance(second, Passed):
            return verdict
        rest = tuple(item for item in verdict.violations if "after its end" not in item.message)
        if rest:
            return replace(verdict, violations=rest)
        note = "ends are compared by a clock that is not the application's: the stored date was moved instead"
        return replace(second, notes=(*second.notes, note))

    async def _ended_in_database(self) -> Verdict:
        keys = self.target.keys
        if keys is None or keys.expiry_field is None:
            raise Missing("No end of API keys is known.")
        made: list[MadeKey] = []
        try:
            return await self._stored_end_passes(keys, keys.expiry_field, made)
        finally:
            for key in made:
                await self.revoke_key(key.answer)

    async def _stored_end_passes(self, keys: KeyManagement, field: str, made: list[MadeKey]) -> Verdict:
        sibling = await self._key_without_end(keys, field, made)
        # Far enough ahead that a database in another time zone does not think it over already.
        key = await self._key_until(keys, field, self._clock_now() + 36 * HOUR, made)
        witness, baseline = await self._key_witness(key.credential)
        await self.must_live(witness, key.credential, baseline, "before")
        await self.must_live(witness, sibling.credential, baseline, "before")
        await self._move_into_the_past(key, field)
        seconds = KEY_TOLERANCE + 24 * HOUR
        attempt = Attempt("a key whose stored end was moved into the past", key.credential)
        answer = await self.attempt(witness, attempt, baseline, fresh=True)
        await self.must_live(witness, sibling.credential, baseline, "after")
        if answer.accepted:
            violation = await self._late_again(Late(seconds, attempt, answer), witness, baseline)
            return Failed((violation,), tuple(self.evidence), tuple(self.notes))
        if not answer.rejected:
            return Inconclusive(f"{attempt.label}: {answer.why}", "", tuple(self.evidence), tuple(self.notes))
        reason = "A key was refused once its stored end lay in the past, and another key got in."
        return Passed(reason, tuple(self.evidence), tuple(self.notes))

    async def _move_into_the_past(self, key: MadeKey, field: str) -> None:
        """Write the end of this one key. Raises Unclear."""
        row, column, value = await self._row_of_key(key)
        end = key.end or 0.0
        names = [
            name
            for name, text in row.values.items()
            if isinstance(text, str) and _states(text, end, self._clock_now())
        ]
        url = self.target.database or ""
        try:
            # A number is not in what was read, and a column may have another name than the field.
            found = None if names else await moment_column(url, row.table, (column, value), end)
            wanted = names[0] if names else found or field.rpartition("/")[2]
            changed = await postpone(
                url,
                row.table,
                (column, value),
                wanted,
                -(self._ahead(end) + KEY_TOLERANCE + 24 * HOUR),
            )
        except StorageError as error:
            raise Unclear(f"The stored end could not be moved: {error}", error.remedy) from None
        if changed != 1:
            raise Unclear(f"The stored end of a key was not found in {row.table}.")

    def _ahead(self, end: float) -> float:
        return max(0.0, end - self._clock_now())

    async def _row_of_key(self, key: MadeKey) -> tuple[Row, str, str | bytes]:
        dump = await self.stored()
        secrets = [item.secret.reveal().encode() for item in self.target.signing_keys if item.symmetric]
        search = Search(key.credential.value.reveal(), secrets)
        for row, column, stored in dump.cells():
            if search.traces(stored):
                return row, column, stored
        raise Unclear("No row of the database holds the key or a digest of it.")


def _states(text: str, end: float, now: float) -> bool:
    """Whether a stored text says that end; a day does where it is the one that is over by then."""
    if (day := day_of(text)) is not None:
        return is_day_of(day, end)
    at = moment(text, now)
    return at is not None and abs(at - end) < _NEAR


def _is_late(violation: object) -> bool:
    return "let in a key 61 s after its end" in getattr(violation, "message", "")
