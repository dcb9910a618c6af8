"""Accounts that no operation can shut, and a flag in their row of the database can (checklist LIF104, grey)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.model import Exchange, Role, Severity, Violation
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.holdings import Holdings
from auth_conformance.probe.opened import Opened
from auth_conformance.storage import StorageError
from auth_conformance.storage_changes import standing_column, turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Account


@dataclass(frozen=True, slots=True)
class Flag:
    """Where a row says that its account may act."""

    table: str
    where: tuple[str, str | bytes]
    column: str

    @property
    def name(self) -> str:
        """The column as people call it."""
        return f"{self.table}.{self.column}"


class Shutting(Holdings, Opened):
    """Turns the flag of an account of this run, and turns it back."""

    async def shut_in_storage(self, doubts: list[str]) -> tuple[list[Violation], str]:
        """What still worked after the flag of an account was turned, and the name of that flag.

        Raises Missing where the database is not known or its rows hold no such flag, or Unclear.
        """
        account = await self.another_victim()
        held = await self.holdings(account)
        flag = await self._flag_of(account)
        name = self.witness.operation.name
        await self._turned(flag)
        when = f"after {flag.name} said that the account is shut"
        violations = await self.lived_on(held, when, name, doubts)
        logged_in = await self._let_in_twice(self._login_answer, account, f"log in {when}", doubts)
        if logged_in and len(violations) == len(held):
            await self._turned(flag)
            raise Missing(
                f"{flag.name} was turned, and nothing of the account changed: it may mean another thing"
            )
        if logged_in:
            message = f"An account can log in {when}."
            violations.append(Violation(logged_in[0].operation, message, None, tuple(logged_in)))
        await self._turned(flag)
        if violations:
            return violations, flag.name
        if (
            await self._login_answer(account, "control: log in after it was opened again", Role.CONTROL)
            is None
        ):
            doubts.append(
                f"After {flag.name} was turned back the account cannot log in: refusals may have another reason."
            )
            return [], flag.name
        await asyncio.sleep(self._logout_pause)  # what a short cache still knew is no revival
        when = f"after {flag.name} had shut the account and opened it again"
        return await self.lived_on(held, when, name, doubts, severity=Severity.MEDIUM), flag.name

    async def _let_in_twice(
        self,
        log_in: Callable[[Account, str], Awaitable[Answer | None]],
        account: Account,
        label: str,
        doubts: list[str],
    ) -> list[Exchange]:
        """The two answers by which an account that was shut logs in; none unless both did, a doubt where one did."""
        found: list[Exchange] = []
        with self.doubting(doubts):
            for prefix in ("", "again: "):
                answer = await log_in(account, f"{prefix}{label}")
                if answer is None:
                    doubts += [f"{label}: let in once, and then not"] * len(found)
                    return []
                found.append(answer.exchange)
            return found
        return []

    async def _login_answer(self, account: Account, label: str, role: Role = Role.ATTACK) -> Answer | None:
        """The answer that gave the account a login; None where it was refused. Raises Unclear."""
        answer, login = await self.try_login(account, account.password, label=label, role=role)
        if answer.judgement is not None:
            raise Unclear(f"{label}: no orderly answer ({answer.why}).")
        return answer if login.read(answer.reply, account.label) is not None else None

    async def _flag_of(self, account: Account) -> Flag:
        dump = await self.stored()
        called = {account.username.casefold(), account.address.casefold()}
        for row, column, value in dump.cells():
            if not isinstance(value, str) or value.casefold() not in called:
                continue
            where = (column, value)
            try:
                found = await standing_column(self.target.database or "", row.table, where)
            except StorageError as error:
                raise Unclear(f"The row of the account could not be read: {error}", error.remedy) from None
            if found is not None:
                return Flag(row.table, where, found)
        raise Missing("no flag in the row of an account says whether it may act")

    async def _turned(self, flag: Flag) -> None:
        try:
            changed = await turn(self.target.database or "", flag.table, flag.where, flag.column)
        except StorageError as error:
            raise Unclear(f"{flag.name} could not be turned: {error}", error.remedy) from None
        if changed != 1:
            raise Unclear(f"{flag.name} could not be turned: {changed} rows changed.")
