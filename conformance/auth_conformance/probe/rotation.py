"""Refresh tokens: one step of the chain, and what the refresh operation's own refusal looks like."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.model import Outcome, Role
from auth_conformance.oracles.cookies import parse_set_cookie
from auth_conformance.oracles.entry import Fingerprint
from auth_conformance.probe.core import Answer, Unclear
from auth_conformance.probe.sessions import Sessions
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.target import Refresh

# RFC 6749 §10.4: nobody can guess a refresh token; this one is no guess but plainly none.
BLAND = "bland0refresh0token0of0the0conformance0suite"


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a refresh gave: an access token, the next refresh token, a session cookie; None if not given."""

    access: Secret | None
    following: Secret | None
    cookie: Secret | None = None


class Rotation(Sessions):
    """Sends refresh tokens and reads what comes of it."""

    @property
    def refresh_flow(self) -> Refresh:
        """The refresh operation. Raises Unclear; checks that need it declare the need."""
        if self.target.refresh is None:
            raise Unclear("No refresh operation is known.")
        return self.target.refresh

    async def renew(
        self, token: Secret, label: str, role: Role = Role.SETUP, *, fresh: bool = False
    ) -> tuple[Answer, Renewal | None]:
        """Present a refresh token. The renewal is None when nothing was given for it."""
        flow = self.refresh_flow
        self.scene.recorder.redactor.learn(token)
        request = replace(flow.request(token), fresh=fresh)
        answer = await self.send(request, label=label, role=role, operation=flow.operation.name)
        return answer, self.renewal(answer)

    def renewal(self, answer: Answer) -> Renewal | None:
        """Read what a refresh reply gives; None when it gives no credential."""
        if not answer.reply.ok:
            return None
        found = self.refresh_flow.read(answer.reply)
        access, following = found if found is not None else (None, None)
        following = following or self.refresh_cookie(answer.reply)
        names = {login.cookie for login in self.target.logins if login.cookie}
        cookies = (parse_set_cookie(line) for line in answer.reply.header_lines("set-cookie"))
        session = next(
            (
                Secret(item.value)
                for item in cookies
                if item is not None and item.name in names and item.value
            ),
            None,
        )
        for secret in (access, following, session):
            if secret is not None:
                self.scene.recorder.redactor.learn(secret)
        if access is None and following is None and session is None:
            return None
        return Renewal(access, following, session)

    async def bland_refusal(self) -> Answer:
        """Return what the refresh operation says to a meaningless token; learned once. Raises Unclear."""
        return await self.scene.once("bland refresh", self._ask_blandly)

    async def _ask_blandly(self) -> Answer:
        answer, renewal = await self.renew(
            Secret(BLAND), "control: a bland wrong refresh token", Role.CONTROL
        )
        if renewal is not None:
            raise Unclear(f"{self.refresh_flow.operation.name} gave tokens for a meaningless refresh token.")
        if answer.judgement is not None or (answer.status or 0) >= 500:  # noqa: PLR2004 - the server's failures
            raise Unclear(
                f"{self.refresh_flow.operation.name} gave a bland refresh token no clear answer ({answer.why or answer.status})."
            )
        return answer

    async def is_refresh_refusal(self, answer: Answer) -> bool:
        """Whether this is the application's own way of refusing a refresh token."""
        if answer.outcome in (Outcome.CRASHED, Outcome.THROTTLED, Outcome.INTERCEPTED):
            return False
        bland = (await self.bland_refusal()).exchange.reply
        seen = answer.exchange.reply
        if not Fingerprint.of(seen).akin(Fingerprint.of(bland)):
            return False
        # A 2xx without tokens is a refusal only for a service that refuses the bland one in the same way.
        return seen.status == bland.status or 400 <= (seen.status or 0) < 500  # noqa: PLR2004 - the refusing class
