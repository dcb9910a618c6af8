"""The rows that registrations left in the database (checklist LIF110, grey)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.model import Exchange, Severity, Violation
from auth_conformance.oracles.disclosure import is_slow_hash
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.opened import Opened

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auth_conformance.storage import Dump, Row
    from auth_conformance.target import Account


class AccountRows(Opened):
    """Counts accounts where they are kept."""

    async def rows_of_race(
        self, known: Account, raced: Iterable[str], operation: str, proofs: tuple[Exchange, ...]
    ) -> list[Violation]:
        """What the database shows after names were raced.

        `known` registered once, and was refused once: a column that holds that name once is one of accounts, and
        none of a log. More than one row of a raced name there are several accounts. Where the row of `known` holds
        its password and nothing keeps two such rows apart, the race was only not lost.
        """
        if self.target.database is None:
            return []
        try:
            dump = await self.stored()
        except (Missing, Unclear) as reason:
            self.notes.append(f"rows were not counted: {reason}")
            return []
        once = {place: rows[0] for place, rows in _places(dump, known.username).items() if len(rows) == 1}
        if not once:
            self.notes.append(
                "rows were not counted: no column of the database holds the name of an account once"
            )
            return []
        for name in raced:
            counts = {place: len(rows) for place, rows in _places(dump, name).items() if place in once}
            place, most = max(counts.items(), key=lambda pair: pair[1], default=(("", ""), 0))
            if most > 1:
                message = (
                    f"{operation} left {most} rows of one name in {'.'.join(place)}: as many accounts, of which "
                    "one can log in."
                )
                return [Violation(operation, message, None, proofs)]
        return [
            Violation(
                operation,
                f"Nothing in {row.table} keeps two accounts of one name apart: {', '.join(_held(row, known))} "
                "has no unique constraint or index.",
                Severity.LOW,
                proofs,
            )
            for row in {row.table: row for row in once.values()}.values()
            if any(is_slow_hash(value) for value in row.values.values()) and not _kept_apart(dump, row, known)
        ][:1]


def _places(dump: Dump, name: str) -> dict[tuple[str, str], list[Row]]:
    """The rows in which a value is exactly this name, by table and column."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row, column, value in dump.cells():
        if value == name:
            found.setdefault((row.table, column), []).append(row)
    return found


def _held(row: Row, account: Account) -> list[str]:
    return [f"{row.table}.{column}" for column, value in row.values.items() if value == account.username]


def _kept_apart(dump: Dump, row: Row, account: Account) -> bool:
    """Whether such a row cannot be there twice: by its primary key when that is the name, or by anything unique.

    What is unique beside the key may be a normal form of the name, or a digest of it.
    """
    key = dump.primary.get(row.table, frozenset())
    held = {column.rpartition(".")[2] for column in _held(row, account)}
    return bool(key & held) or any(group and group != key for group in dump.unique.get(row.table, ()))
