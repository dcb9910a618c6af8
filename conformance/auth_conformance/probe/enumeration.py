"""`must_hide_addresses`: registration and recovery answer the same whether an address is known or not (CRD111)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.model import Need, Passed, Verdict
from auth_conformance.oracles.timing import LOOKS
from auth_conformance.probe.core import Missing
from auth_conformance.probe.knocking import with_member
from auth_conformance.probe.likeness import Ask, Kinds
from auth_conformance.probe.timing import Stopwatch, TwoKinds
from auth_conformance.secret import Secret
from auth_conformance.target import styled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from auth_conformance.target import Account, Mailing
    from auth_conformance.transports.message import HttpRequest

_PAIRS = 3


class Enumeration(Stopwatch):
    """Asks about addresses that exist and that do not."""

    async def must_hide_addresses(self) -> Verdict:
        """Known and unknown addresses get the same answer, and at a reset it takes the same time."""
        known = await self.victim()
        kinds = [kind for kind in (self._registering(known), *self._asking(known)) if kind is not None]
        if not kinds:
            raise Missing(
                "Not applicable: nobody registers by address here, and no operation sends mail to an address."
                if self.target.register is not None and Need.RESET in self.target.absent
                else "No operation that takes an address is known.",
                self._remedy(Need.RESET),
                applicable=Need.RESET not in self.target.absent,
            )
        verdict = await self.must_look_alike(kinds)
        if not isinstance(verdict, Passed) or self.target.recovery is None:
            return verdict
        if self.target.in_process:
            # What runs after the answer is waited for in this process: a stopwatch would count it.
            note = "the time of a reset was not measured: only a server answers before it sends"
            return replace(verdict, notes=(*verdict.notes, note))
        timed = await self._timed_reset(known)
        return (
            timed if not isinstance(timed, Passed) else replace(verdict, notes=(*verdict.notes, timed.reason))
        )

    def _registering(self, known: Account) -> Kinds | None:
        register = self.target.register
        if register is None:
            return None
        mailed = next((name for name, style in register.also if style == "email"), None)
        if register.user_style != "email" and mailed is None:
            self.notes.append("names that people choose must be unique and cannot be hidden: not compared")
            return None
        pairs = []
        for _ in range(_PAIRS):
            password = Secret(self.password())
            self.scene.recorder.redactor.learn(password)
            fresh = self.unborn(password)
            # What the run makes it also deletes.
            self.scene.made_accounts.append((fresh, None))
            extra: tuple[str, ...] = ()
            if register.user_style == "email":
                again = register.request(known.username, password)
                named = known
                other = self.unborn(password).username
                # A name or a telephone number that is taken as well may be told: only the address is asked about.
                for member, style in register.also:
                    if style in ("name", "phone"):
                        taken = styled(other, style)
                        again, extra = with_member(again, member, taken), (*extra, taken)
            else:
                # Another name with the known address: a name that is taken may be told.
                named = replace(self.unborn(password), email=known.address)
                again = with_member(register.request(named.username, password), mailed or "", known.address)
            pairs.append(
                (
                    Ask(
                        "register a fresh address", register.request(fresh.username, password), _echoes(fresh)
                    ),
                    Ask("register a known address", again, (*_echoes(named), *extra)),
                )
            )
        return Kinds(
            register.operation.name, "fresh addresses", "known addresses", tuple(pairs), self._is_known(known)
        )

    def _is_known(self, known: Account) -> Callable[[], Awaitable[None]]:
        """What proves, before and after, that the known address is one, and that the service lives."""

        async def log_in() -> None:
            await self.right_login(self.logins()[0], known, "of the known address")

        return log_in

    def _asking(self, known: Account) -> list[Kinds]:
        found = []
        for mailing in self._mailings():
            pairs = []
            for _ in range(_PAIRS):
                nobody = self._nobody(known)
                pairs.append(
                    (
                        Ask("ask for mail to an unknown address", mailing.request(nobody), _echoes(nobody)),
                        Ask("ask for mail to a known address", mailing.request(known), _echoes(known)),
                    )
                )
            name = mailing.form.operation.name
            found.append(
                Kinds(name, "unknown addresses", "known addresses", tuple(pairs), self._is_known(known))
            )
        return found

    def _mailings(self) -> list[Mailing]:
        found = [self.target.recovery.ask] if self.target.recovery is not None else []
        if self.target.verification is not None and self.target.verification.ask is not None:
            found.append(self.target.verification.ask)
        return found

    def _nobody(self, known: Account) -> Account:
        stranger = self._stranger(known.username)
        return replace(known, username=stranger, email=self._stranger(known.address))

    async def _timed_reset(self, known: Account) -> Verdict:
        ask = self.recovery.ask

        async def left() -> HttpRequest:
            return ask.request(self._nobody(known))

        async def right() -> HttpRequest:
            return ask.request(known)

        kinds = TwoKinds(
            ask.form.operation.name,
            "an unknown address",
            "a known address",
            left,
            right,
            LOOKS[:1],
            fresh=True,
        )
        timing, shown = await self.measured(kinds)
        return self.timed_verdict(kinds, timing, shown)


def _echoes(account: Account) -> tuple[str, ...]:
    names = (account.username, account.address, account.username.partition("@")[0])
    return (*names, account.password.reveal() if account.password is not None else "")
