"""Accounts that a database came with: their stored hashes against passwords that everybody knows (CRD119)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from auth_conformance.model import Exchange, Role, Violation
from auth_conformance.oracles.knownhashes import opens
from auth_conformance.oracles.passwords import parse_hash
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.knocking import Knocking, Tally
from auth_conformance.probe.opened import Opened
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.storage import Dump, Row
    from auth_conformance.target import Login

# A slow hash takes a tenth of a second: so many accounts are compared, those that were there first.
MOST_HASHES = 12
_NAMES = ("email", "username", "user_name", "login", "name")


class Seeded(Opened, Knocking):
    """Compares what the database holds with the passwords of templates and tutorials."""

    async def must_hold_no_default_hash(self, login: Login, passwords: Sequence[str], tally: Tally) -> None:
        """No account of the database has such a password, whatever it is called; nothing where none can be read."""
        if self.target.database is None:
            self.notes.append("stored hashes were not compared with these passwords: no database is known")
            return
        try:
            dump = await self.stored()
        except (Missing, Unclear) as reason:
            self.notes.append(f"stored hashes were not compared with these passwords: {reason}")
            return
        compared = unread = 0
        for row, column, stored in self._foreign_hashes(dump):
            if compared + unread == MOST_HASHES:
                self.notes.append(f"only {MOST_HASHES} stored hashes were compared with these passwords")
                break
            found = await asyncio.to_thread(_matching, stored, passwords)
            unread += found is None
            compared += found is not None
            if found:
                proofs = await self._shown_by_login(login, row, found)
                message = (
                    f"{row.table}.{column} holds the hash of {found!r}, a password that things come with."
                )
                tally.violations.append(Violation(login.operation.name, message, None, proofs))
        if unread:
            self.notes.append(
                f"{unread} stored hashes could not be compared: their library is not installed here"
            )
        tally.delivered += compared

    def _foreign_hashes(self, dump: Dump) -> Iterator[tuple[Row, str, str]]:
        """Password hashes of accounts that neither the tester nor this run has made."""
        known = [*self.target.accounts.values(), *(made for made, _ in self.scene.made_accounts)]
        ours = {text.casefold() for account in known for text in (account.username, account.address)}
        for row in dump.rows:
            if any(isinstance(value, str) and value.casefold() in ours for value in row.values.values()):
                continue
            for column, value in row.values.items():
                if isinstance(value, str) and parse_hash(value) is not None:
                    yield row, column, value

    async def _shown_by_login(self, login: Login, row: Row, password: str) -> tuple[Exchange, ...]:
        """A login with what was found: the account may be shut, which the finding does not depend on."""
        name = next((row.values[item] for item in _NAMES if isinstance(row.values.get(item), str)), None)
        if not isinstance(name, str):
            return ()
        answer = await self.send(
            login.request(name, Secret(password)),
            label="log in with the password whose hash is stored",
            role=Role.ATTACK,
            operation=login.operation.name,
        )
        return (answer.exchange,)


def _matching(stored: str, passwords: Sequence[str]) -> str | None:
    """The password that has this hash, "" for none of them; None where it cannot be computed here."""
    for password in passwords:
        if (found := opens(stored, password)) is None:
            return None
        if found:
            return password
    return ""
