"""Sessions that a check may end: whose they are, and that each is one of its own."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import Outcome
from auth_conformance.oracles.cookies import parse_set_cookie
from auth_conformance.oracles.standing import flattened
from auth_conformance.probe.core import Answer, Missing, Session, Unclear
from auth_conformance.probe.refusal import Refusal
from auth_conformance.probe.scene import FORGE
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from auth_conformance.credentials import Credential
    from auth_conformance.model import Exchange
    from auth_conformance.target import Account, Login
    from auth_conformance.transports.message import RawReply

# Two logins within one second may give the same token: JWTs count whole seconds (RFC 7519 §2).
NEXT_SECOND = 1.1
_ONE_FOR_ALL = "# let each login issue a credential of its own: one that all share cannot be ended alone"

# How paths and answers call what people are known by, where that is no number.
_CALLED = ("username", "user_name", "login", "handle", "name", "email")


class Sessions(Refusal):
    """Opens sessions apart from the ones that all checks share."""

    _last_victim: Account | None = None

    async def disposable(self, purpose: str, kind: Kind | None = None) -> Account | None:
        """Return an account made for this purpose that can log in; None where nobody can register.

        Checks of one purpose share it, so they must not run at the same time. It loses sessions, and may be
        logged out everywhere; it is never locked or deleted.
        """

        async def make() -> Account | None:
            if self.target.register is None:
                return None  # declared expendable accounts are few, and kept for checks that lock or delete
            maker = Sessions(self.scene, self.rule)
            try:
                account = await maker.expendable()
                await maker.log_in(account, kind)
            except (Missing, Unclear):
                return None
            return account

        return await self.scene.once(("disposable", purpose, kind), make)

    @staticmethod
    def must_have_refused(answer: Answer, before: Sequence[Exchange] = ()) -> None:
        """What did not get in was refused by the service, and `before` as well: it never got in. Raises Unclear."""
        label = answer.exchange.label
        if answer.judgement is not None:
            raise Unclear(f"{label}: no orderly answer ({answer.why}).")
        if before:
            raise Unclear(f"{label}: it got in once, and then not ({answer.status}).")

    async def victim(self) -> Account:
        """A new account to be attacked, or a declared one that this check did not have yet. Raises Missing."""
        self._last_victim = await self.expendable()
        return self._last_victim

    async def another_victim(self) -> Account:
        """As `victim`; the last one again where there is no other. Raises Missing where there was none."""
        try:
            return await self.victim()
        except Missing:
            if self._last_victim is None:
                raise
            latest = self._last_victim
            return next((made for made, _ in self.scene.made_accounts if made.label == latest.label), latest)

    def forget_shared(self, account: Account) -> None:
        """Let the next check log in anew: a logout may have ended more sessions of this account than its own."""
        for kind in Kind:
            self.scene.forget(("credential", kind, account.label))
        if account.label == "a":
            self.scene.forget(FORGE)

    async def sign_in(
        self, account: Account, kind: Kind, apart_from: Iterable[Credential] = (), *, ends: bool = True
    ) -> Session:
        """Log in until the credential is unlike all others of this account. Raises Unclear.

        Ending a session whose token is, letter for letter, somebody else's would end that one too. Whoever only
        shows it (not `ends`) takes it as it is.
        """
        others = {credential.value for credential in apart_from}
        if self.target.accounts.get(account.label) is account:
            others.add((await self.credential(kind, account.label)).value)
        for attempt in range(3):
            if attempt:
                await asyncio.sleep(NEXT_SECOND)
            session = await self.log_in(account, kind)
            # A second later the same again is what this service does, and no accident of the clock.
            if session.credential.value not in others or (attempt and not ends):
                return replace(session, refresh=session.refresh or self.refresh_cookie(session.answer.reply))
        raise Unclear(
            "Each login gives the same credential again: sessions cannot be told apart.", _ONE_FOR_ALL
        )

    def refresh_cookie(self, reply: RawReply) -> Secret | None:
        """Return the refresh token that a reply sets as a cookie, where this service keeps it in one."""
        refresh = self.target.refresh
        if refresh is None or refresh.place != "cookie":
            return None
        for line in reply.header_lines("set-cookie"):
            cookie = parse_set_cookie(line)
            if cookie is not None and cookie.name == refresh.field and cookie.value:
                secret = Secret(cookie.value)
                self.scene.recorder.redactor.learn(secret)
                return secret
        return None

    async def facts_of(self, credential: Credential) -> dict[str, str]:
        """Return what the witness says about the caller, by the names of its members."""
        return self.facts_in(
            await self.call(self.witness.operation, credential, label="what is the account called?")
        )

    @staticmethod
    def facts_in(answer: Answer) -> dict[str, str]:
        """Return what a reply of the witness says about the caller, by the names of its members."""
        return {
            pointer.rsplit("/", 1)[-1].lower().replace("-", "_"): str(value)
            for pointer, value in reversed(flattened(answer.reply.json).items())
            if isinstance(value, (str, int)) and not isinstance(value, bool) and value != ""
        }

    @staticmethod
    def called(facts: dict[str, str], parameter: str) -> str | None:
        """What a path parameter of this name would call the account with these facts."""
        wanted = parameter.lower().replace("-", "_")
        if wanted in _CALLED and wanted not in facts:
            return next((facts[name] for name in _CALLED if name in facts), None)
        return (
            facts.get(wanted) or facts.get(wanted.rpartition("_")[2]) or facts.get("id") or facts.get("sub")
        )

    @staticmethod
    def policy_remedy(answer: Answer) -> str:
        """Return the declaration that would make an odd refusal a clear one; "" when none would."""
        if answer.outcome is not Outcome.AMBIGUOUS:
            return ""
        word = "redirect" if answer.status in range(300, 400) else "envelope"
        return f'[policy]\nrefusals = ["{word}"]  # if this is how the service refuses'

    def distinct_logins(self) -> tuple[Login, ...]:
        """Return one login per operation."""
        return tuple({login.operation.name: login for login in reversed(self.target.logins)}.values())[::-1]
