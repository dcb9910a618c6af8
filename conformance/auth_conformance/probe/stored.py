"""What stands in the target's database of the secrets that it issued (checklist STO104)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.model import Failed, Inconclusive, Passed, Severity, Verdict, Violation
from auth_conformance.oracles.disclosure import WINDOW, Form, Search, Trace, gravest, is_slow_hash
from auth_conformance.oracles.keys import common_start, public_start, public_starts, secret_bits, shown_parts
from auth_conformance.oracles.pointer import resolve, strings
from auth_conformance.probe.keyexpiry import KeyExpiry
from auth_conformance.probe.opened import Opened
from auth_conformance.storage import ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth_conformance.credentials import Credential
    from auth_conformance.probe.core import Answer
    from auth_conformance.storage import Dump, Row

# From this many random bits on a fast digest is as good as a slow one (checklist STO104).
ENOUGH_BITS = 112
SMALLER = (
    f'database = {{ env = "DATABASE_URL" }}  # of a test database with less than {ROWS} rows in each table'
)
# So many other values of a key's row are tried as its salt.
SALTS = 24


class Stored(KeyExpiry, Opened):
    """Secrets are stored so that a reader of the database cannot use them."""

    async def must_hash_keys(self) -> Verdict:
        """Make two keys and look for both in the database. Raises Missing or Unclear."""
        keys = self.target.keys
        if keys is None:
            raise self.without_keys()
        made = [await self.make_key(), await self.make_key()]
        try:
            for credential, _ in made:
                witness, baseline = await self._key_witness(credential)
                await self.must_live(witness, credential, baseline, "before")
            return self._judged_storage(made, await self.stored())
        finally:
            for credential, answer in made:
                await self.revoke_key(answer)
                self.scene.recorder.redactor.learn(credential.value)

    def _judged_storage(self, made: Sequence[tuple[Credential, Answer]], dump: Dump) -> Verdict:
        texts = [credential.value.reveal() for credential, _ in made]
        shown = [shown_of(text, answer) for text, (_, answer) in zip(texts, made, strict=True)]
        bits = secret_bits(texts, min(map(len, shown)))
        allowed = len(common_start(texts)) + WINDOW
        found = [
            self._traced(text, max(public, public_start(text), key=len), allowed, answer, dump)
            for text, public, (_, answer) in zip(texts, shown, made, strict=True)
        ]
        worst = [gravest(traces) for traces in found]
        first, second = worst
        if first is None or second is None:
            return Inconclusive(
                f"Neither the keys nor a digest of them were found in {len(dump.tables)} tables.",
                'database = { env = "DATABASE_URL" }  # the one that the service uses',
            )
        if first[1].form is not second[1].form:
            return Inconclusive(f"One key is stored {first[1].form.value}, another {second[1].form.value}.")
        where, trace = first
        fault = _storage_fault(trace, len(texts[0]) - len(public_start(texts[0])), bits)
        operation = self.target.keys.create.name if self.target.keys is not None else None
        if fault is not None:
            severity, words = fault
            message = f"{where} holds API keys {words} (seen for two keys)."
            return Failed(
                (Violation(operation, message, severity, (made[0][1].exchange, made[1][1].exchange)),)
            )
        if dump.partial:
            return Inconclusive(f"Only digests were found, but {dump.partial}.", SMALLER)
        return Passed(
            f"Of two new keys, {sum(1 for _ in dump.cells())} values in {len(dump.tables)} tables show nothing but "
            f"a digest ({trace.how}, in {where}); the keys carry up to {bits:.0f} random bits."
        )

    def _traced(
        self, text: str, public: str, allowed: int, answer: Answer, dump: Dump
    ) -> list[tuple[str, Trace]]:
        """Look for a key, and for its secret part alone, in every value."""
        keys = [key.secret.reveal().encode() for key in self.target.signing_keys if key.symmetric]
        # Which beginning a service takes off before it hashes, one key does not tell.
        starts = dict.fromkeys(("", public, *public_starts(text)))
        searches = [Search(text[len(start) :], keys) for start in starts]
        identifier = self.target.keys and self.target.keys.identifier
        own = {str(resolve(answer.reply.json, identifier))} if identifier else set()
        found: list[tuple[str, Trace]] = []
        for row in dump.rows:
            mine = _is_row_of(row, own, public)
            for column, value in row.values.items():
                place = f"{row.table}.{column}"
                salts = _salts(row, column) if mine else ()
                found += [(place, trace) for search in searches for trace in search.traces(value, salts)]
                if mine and is_slow_hash(value):
                    found.append((place, Trace(Form.SLOW_DIGEST, "a slow hash in the row of the key")))
        # The public part is no secret: a piece of the whole key that is only that shows nothing.
        return [
            (place, trace)
            for place, trace in found
            if trace.form is not Form.PART or trace.length > max(len(public), allowed)
        ]


def shown_of(text: str, answer: Answer) -> str:
    """Return what the reply shows of the key beside the key: that much is public."""
    texts = [value for value in strings(answer.reply.json).values() if isinstance(value, str)]
    return next((part for part in shown_parts(text, texts) if len(part) <= len(text) / 2), "")


def _storage_fault(trace: Trace, secret_length: int, bits: float) -> tuple[Severity, str] | None:
    match trace.form:
        case Form.CLEAR | Form.ENCODED:
            return (
                Severity.CRITICAL,
                trace.form.value if trace.form is Form.CLEAR else f"encoded ({trace.how})",
            )
        case Form.PART:
            left = bits * max(0, secret_length - trace.length) / max(1, secret_length)
            severity = Severity.MEDIUM if left >= ENOUGH_BITS else Severity.CRITICAL
            return severity, f"in part: {trace.length} characters, which leaves {left:.0f} bits to guess"
        case Form.BROKEN_DIGEST:
            return Severity.HIGH, f"as a digest that is broken ({trace.how})"
        case Form.FAST_DIGEST if bits < ENOUGH_BITS:
            return (
                Severity.HIGH,
                f"as a fast digest ({trace.how}), and they carry {bits:.0f} random bits at most",
            )
        case _:
            return None


def _is_row_of(row: Row, identifiers: set[str], public: str) -> bool:
    plain = {text.replace("-", "") for text in identifiers}
    return any(
        isinstance(value, str)
        and (value in identifiers or value.replace("-", "") in plain or value == public.rstrip("_-.:"))
        for value in row.values.values()
    )


def _salts(row: Row, column: str) -> tuple[bytes, ...]:
    others = [value for name, value in row.values.items() if name != column]
    return tuple(value if isinstance(value, bytes) else value.encode() for value in others)[:SALTS]
