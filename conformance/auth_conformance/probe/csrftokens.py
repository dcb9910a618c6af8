"""CSRF tokens that are not the session's own: empty, made up, somebody else's, old, or whatever the cookie says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Role
from auth_conformance.oracles.cookies import parse_set_cookie
from auth_conformance.probe.core import Missing, Session, Unclear
from auth_conformance.probe.sessions import Sessions
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from auth_conformance.target import Account
    from auth_conformance.transports.message import HttpRequest

# Shorter values of a page are words, and no secrets.
_SECRET_FROM = 12
Crumbs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class WrongToken:
    """A live session with a CSRF token that is not its own. `harmless` ones are noted when they are taken.

    `planted` ones need a cookie that a page of another site cannot set.
    """

    label: str
    credential: Credential
    harmless: bool = False
    planted: bool = False


class CsrfTokens(Sessions):
    """Knows which CSRF tokens a service must tell from the right one."""

    async def wrong_tokens(self, account: Account, session: Session) -> list[WrongToken]:
        """Every wrong token for this session; none where its login gives no token."""
        live, login = session.credential, self.target.login(Kind.COOKIE)
        if not live.companions or (login is not None and login.csrf and not login.secret_proof):
            return []  # a header that only a script sends, or the page's own origin, is no secret
        (name, right), *others = live.companions

        def carrying(token: str, crumbs: Crumbs = live.crumbs) -> Credential:
            return replace(live, companions=((name, token), *others), crumbs=crumbs)

        chosen = "".join(self._another(character) for character in right)
        found = [
            # A script of another site cannot send the rest either, where that is no form.
            WrongToken("without its CSRF token", replace(live, companions=tuple(others)), harmless=True),
            WrongToken("with an empty CSRF token", carrying("")),
            WrongToken("with a made-up CSRF token", carrying(chosen)),
        ]
        if live.crumbs:
            planted = tuple(
                (key, chosen if value == right or len(live.crumbs) == 1 else value)
                for key, value in live.crumbs
            )
            # A cookie with this prefix cannot be planted by a sibling (RFC 6265bis §4.1.3.2).
            bound = all(key.startswith("__Host-") for key, _ in live.crumbs)
            place = "field" if live.members else "header"
            label = f"with a CSRF token of the page's choice, in cookie and {place}"
            found.append(WrongToken(label, carrying(chosen, planted), harmless=bound, planted=True))
        found += await self._tokens_of_others(live, account, carrying)
        return found

    async def _tokens_of_others(
        self, live: Credential, account: Account, carrying: Callable[..., Credential]
    ) -> list[WrongToken]:
        found = []
        theirs = await self._session_of_another()
        if theirs is not None:
            (_, token), *_ = theirs.companions
            found.append(WrongToken("with the CSRF token of another user", carrying(token)))
            if theirs.crumbs:
                label = "with CSRF token and cookie of another user"
                bound = all(key.startswith("__Host-") for key, _ in theirs.crumbs)
                found.append(WrongToken(label, carrying(token, theirs.crumbs), harmless=bound, planted=True))
        else:
            self.notes.append("the CSRF token of another user was not tried: nobody else could log in")
        logout = next((item for item in self.target.logouts if item.kind is Kind.COOKIE), None)
        if logout is not None:
            earlier = await self.sign_in(account, Kind.COOKIE, [live])
            ended = await self.call(logout.operation, earlier.credential, label="end an earlier session")
            if ended.reply.ok and earlier.credential.companions:
                (_, token), *_ = earlier.credential.companions
                # It was the same person's: whoever could know it was in that session.
                found.append(
                    WrongToken("with the CSRF token of an ended session", carrying(token), harmless=True)
                )
        return found

    async def _session_of_another(self) -> Credential | None:
        try:
            other = await self.disposable("another user", Kind.COOKIE) or self.account("b")
            credential = (await self.sign_in(other, Kind.COOKIE)).credential
        except (Missing, Unclear):
            return None
        return credential if credential.companions else None

    async def planted(self, request: HttpRequest) -> HttpRequest:
        """`request` as a page of another site can cause it: what came before it was the attacker's own visit.

        The values of that visit stand in the form; the cookies are those of another browser, and of these only
        what browsers send from other sites.
        """
        if not request.before:
            return request
        values, _ = await self._visited(request)
        _, cookies = await self._visited(request)
        return replace(request, before=()).filled(values).with_cookies(cookies)

    async def _visited(self, request: HttpRequest) -> tuple[dict[str, str], dict[str, str]]:
        """What the steps before `request` give to a new visitor: values, and the cookies that travel across sites."""
        values: dict[str, str] = {}
        cookies: dict[str, str] = {}
        crossing: dict[str, str] = {}
        for step in request.before:
            label = f"a visit: {step.request.method} {step.request.path}"
            asked = step.request.filled(values).with_cookies(cookies)
            reply = (await self.send(replace(asked, fresh=True), label=label, role=Role.CONTROL)).reply
            values |= step.read(reply)
            cookies |= reply.cookies
            for line in reply.header_lines("set-cookie"):
                cookie = parse_set_cookie(line)
                if cookie is not None and cookie.same_site not in ("lax", "strict"):
                    crossing |= {cookie.name: cookie.value}
        for value in values.values():
            if len(value) >= _SECRET_FROM:
                self.scene.recorder.redactor.learn(Secret(value))
        return values, crossing
