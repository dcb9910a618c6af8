"""Whether a limit on failures at one name keeps everybody out, from wherever they come (checklist CRD114)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.model import Role
from auth_conformance.probe import lasting
from auth_conformance.probe.core import Unclear
from auth_conformance.probe.knocking import Knocking, Tally
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.model import Exchange
    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Account, Login

# Where proxies say who called: a service behind one counts by these, and sees one caller where there is none.
NAMED_BY_PROXIES = ("X-Forwarded-For", "X-Real-IP")


class Neighbours(Knocking):
    """Lets somebody else log in while failures at one name are limited."""

    async def neighbour_goes_in(
        self, login: Login, neighbour: Account, shown: Exchange, tally: Tally, over: float
    ) -> None:
        """Somebody else logs in during the block that `shown` tells of; by `over` seconds later it has ended."""
        try:
            await self.right_login(login, neighbour, "somebody else")
        except Unclear:
            # One address cannot tell a limit per client from a limit per account.
            await self._from_another_place(login, neighbour, shown, tally, over)
            return
        tally.delivered += 1

    async def right_from_elsewhere(
        self, login: Login, account: Account, *, moved: float = 0.0, named: bool = False
    ) -> Answer:
        """The right password from another address of this machine; the same one where the target is not on it.

        `named` says that address in the words of a proxy, too.
        """
        address = self.another_address()
        request = login.request(account.username, account.password or Secret(""))
        told = [(name, address) for name in NAMED_BY_PROXIES if named]
        return await self.send(
            replace(request.with_headers(*told), source=address),
            label=f"control: the right password of {account.label} from another address",
            role=Role.CONTROL,
            operation=login.operation.name,
            moved=moved,
            patient=False,
        )

    async def goes_in_by_then(self, login: Login, neighbour: Account, moved: float) -> bool:
        """Whether who has not failed gets in by a moved clock: maintenance and bans lock no account."""
        answer = await self.right_from_elsewhere(login, neighbour, moved=moved)
        return login.read(answer.reply, neighbour.label) is not None

    async def _from_another_place(
        self, login: Login, neighbour: Account, shown: Exchange, tally: Tally, over: float
    ) -> None:
        refused: list[Answer] = []
        for named in (False, True):
            answer = await self.right_from_elsewhere(login, neighbour, named=named)
            if login.read(answer.reply, neighbour.label) is not None:
                tally.delivered += 1
                self.notes.append(
                    "other accounts are limited too from this address, and not from another one"
                )
                return
            refused.append(answer)
            if not self.target.in_process:
                # Seen from there, all that comes from this machine may be one address.
                self.notes.append(
                    "other accounts are limited too, from this address: nothing is known of others, for which it "
                    "takes a client elsewhere"
                )
                return
            await asyncio.sleep(lasting.CALM)  # a limit on requests by the second is over by then
        later = await self.right_from_elsewhere(login, neighbour, moved=over)
        operation = login.operation.name
        alike = all(item.status == shown.reply.status for item in refused)
        if login.read(later.reply, neighbour.label) is None or not alike:
            why = later.why or later.status
            tally.doubt(
                f"{operation}: somebody else could not log in meanwhile, and nothing shows that it was the limit "
                f"that kept them out ({why} once it should be over)."
            )
            return
        message = f"{operation}: failed logins at one name keep everybody out, from any address."
        tally.violate(operation, message, *refused, later)
