"""What users do with a session: begin it by every door, renew it, end it, and change its password."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Credential, Jwt, Kind
from auth_conformance.model import Severity
from auth_conformance.oracles.cookies import parse_set_cookie
from auth_conformance.oracles.pointer import resolve
from auth_conformance.secret import Secret
from auth_fuzz import rules
from auth_fuzz.stories.ground import BrokenError, Ground, OffStageError, done
from auth_fuzz.stories.model import Life

if TYPE_CHECKING:
    from auth_conformance.probe import Answer
    from auth_conformance.target import Refresh
    from auth_conformance.transports.message import HttpRequest
    from auth_fuzz.stories.cast import Held


class Sessions(Ground):
    """Logins, refreshes, logouts and new passwords."""

    async def log_in(self, name: str, kind: Kind) -> Held | None:
        """Log in; the session is alive from here on."""
        actor = self.actor(name)
        answer, login = await self.searcher.try_login(
            actor.account, actor.password, kind, moved=self.moved, label=f"{name} logs in"
        )
        credential = login.read(answer.reply, name)
        self.tell(f"{name} logs in for a {kind.value} credential", answer)
        if not actor.present or actor.blocked:
            if credential is not None:
                raise await self._opened(credential, f"{name}, whose account is gone, logs in", answer)
            return None
        if actor.confirmed is False:
            if credential is not None:
                raise await self._opened(
                    credential, f"{name} logs in before the address is confirmed", answer, rules.UNCONFIRMED
                )
            return None
        if credential is None:
            actor.spoiled = answer.outcome is None
            raise OffStageError(f"{name} cannot log in ({answer.status})")
        return await self._keep_session(name, kind, answer, credential)

    async def _keep_session(
        self, name: str, kind: Kind, answer: Answer, credential: Credential
    ) -> Held | None:
        login = self.target.login(kind)
        learn = self.searcher.scene.recorder.redactor.learn
        learn(credential.value)
        for _, value in (*credential.companions, *credential.crumbs):
            learn(Secret(value))
        known = next(
            (item for item in self.held if item.credential and item.credential.value == credential.value),
            None,
        )
        if known is not None:
            # It is in the book already: tokens of one second are one token, and some services give one for good.
            # What was ended may have begun again with this login.
            if known.holding.life is Life.DEAD:
                known.holding.life, known.holding.expires = Life.EITHER, None
            return None
        family = self.book.family()
        self.book.logged_in(name, family)
        held = self._keep(name, kind.value, family, credential, _expiry(credential, answer, self._now()))
        held.beside = _others_set(answer, credential)
        for _, value in held.beside:
            learn(Secret(value))
        refresh = login.read_refresh(answer.reply) if login is not None else None
        refresh = refresh or self.searcher.refresh_cookie(answer.reply)
        if refresh is not None and self.target.refresh is not None:
            learn(refresh)
            self._keep(name, "refresh token", family, None, _token_end(refresh), refresh)
        return held

    # Refresh tokens.

    async def refresh(self, held: Held) -> Held | None:
        """Exchange a refresh token, as its client does."""
        name = held.holding.owner
        answer, renewal = await self.renew(held, f"{name} refreshes")
        self.tell(f"{name} exchanges {held.holding.name}", answer)
        self._judge_refresh(held, renewal is not None)
        if renewal is None:
            return None
        was_used = held.holding.used
        self.book.refreshed(held.holding)
        return self._renewed(held, renewal) if not was_used else None

    async def renew(self, held: Held, label: str) -> tuple[Answer, Any]:
        """Present a refresh token; the renewal is None when nothing was given. Raises OffStageError."""
        flow, request = self._renewing(held)
        answer = await self.searcher.send(
            request, label=label, operation=flow.operation.name, moved=self.moved
        )
        return answer, self.searcher.renewal(answer)

    def _renewing(self, held: Held) -> tuple[Refresh, HttpRequest]:
        """The request that exchanges a refresh token. Raises OffStageError."""
        flow = self.target.refresh
        if held.refresh is None or flow is None:
            raise OffStageError("no refresh token is known")
        self.searcher.scene.recorder.redactor.learn(held.refresh)
        return flow, flow.request(held.refresh)

    def _judge_refresh(self, held: Held, given: bool) -> None:  # noqa: FBT001 - what came of it
        life, why = self.book.demand(held.holding)
        if held.holding.used and self.book.habits.refresh_rotates and not self.target.policy.refresh_window:
            life, why = Life.DEAD, "it was used before"
        if given and life is Life.DEAD:
            self._got_in()
            raise BrokenError(
                self._zombie,
                f"{held.holding.name} still gives new tokens, although {why}",
                self.target.refresh.operation.name if self.target.refresh else None,
            )
        if not given and life is Life.ALIVE and not held.holding.used:
            held.holding.life = Life.EITHER

    def _renewed(self, held: Held, renewal: Any) -> Held | None:
        name, family = held.holding.owner, held.holding.family
        learn = self.searcher.scene.recorder.redactor.learn
        made: Held | None = None
        bearer = self.target.login(Kind.BEARER)
        if renewal.access is not None and bearer is not None:
            learn(renewal.access)
            credential = Credential(bearer.carrier, renewal.access, name)
            made = self._keep(name, "bearer", family, credential, _token_end(renewal.access))
        if renewal.following is not None and renewal.following != held.refresh:
            learn(renewal.following)
            self._keep(name, "refresh token", family, None, _token_end(renewal.following), renewal.following)
        return made

    async def reuse(self, held: Held) -> None:
        """Present a refresh token that was used already: what a thief does, or its victim after them."""
        answer, renewal = await self.renew(held, "a used refresh token comes back")
        self.tell(f"{held.holding.name}, used before, is presented again", answer)
        self._judge_refresh(held, renewal is not None)
        if renewal is None and answer.outcome is None:
            self.book.reused(held.holding)

    # The end of a session.

    async def log_out(self, held: Held) -> None:
        """End one session."""
        name = held.holding.owner
        kind = Kind(held.holding.kind)
        logout = next((item for item in self.target.logouts if item.kind is kind), None)
        if logout is None or held.credential is None:
            return
        refresh = next(
            (
                item.refresh
                for item in reversed(self.held)
                if item.refresh is not None and item.holding.family == held.holding.family
            ),
            None,
        )
        body = logout.body(held.credential.value, refresh)
        answer = await self.searcher.call(
            logout.operation, held.credential, label=f"{name} logs out", body=body, moved=self.moved
        )
        self.tell(f"{name} logs out {held.holding.name}", answer)
        if done(answer):
            self.book.logged_out(held.holding)

    async def log_out_everywhere(self, held: Held) -> None:
        """End all sessions of the user."""
        if self.moves.logout_all is None:
            return
        name = held.holding.owner
        answer = await self.searcher.call(
            self.moves.logout_all, held.credential, label=f"{name} logs out everywhere", moved=self.moved
        )
        self.tell(f"{name} logs out everywhere with {held.holding.name}", answer)
        if done(answer):
            self.book.logged_out_everywhere(name, held.holding.family)

    async def change_password(self, held: Held, *, back: bool = False) -> None:
        """Set a new password with one session; with `back` the one before the present one once more."""
        move, actor = self.moves.change, self.actor(held.holding.owner)
        if move is None or held.credential is None or (back and not actor.former):
            return
        new = actor.former[-1] if back else Secret(self.searcher.password())
        self.searcher.scene.recorder.redactor.learn(new)
        request = move.request(actor.password, new)
        answer = await self.searcher.send(
            request.with_headers(*held.credential.headers).with_query(*held.credential.query),
            label=f"{actor.name} changes the password",
            operation=move.form.operation.name,
            moved=self.moved,
        )
        word = "back " if back else ""
        self.tell(f"{actor.name} changes the password {word}with {held.holding.name}", answer)
        if done(answer) and answer.reply.granted:
            actor.former = [item for item in actor.former if item != new] + [actor.password]
            actor.password = new
            actor.account = replace(actor.account, password=new)
            self.book.changed_password(actor.name, held.holding.family)
            self.doubt_the_dead(actor.name)

    async def put_password_back(self, name: str) -> None:
        """Set the password before the present one once more; the change may have ended every session."""
        session = next(iter(self.alive("bearer", "cookie", "basic", owner=name)), None)
        session = session or await self.log_in(name, self.troupe.kinds[0])
        if session is not None:
            await self.change_password(session, back=True)

    async def try_former_password(self, name: str) -> None:
        """Log in with a password that was replaced."""
        actor = self.actor(name)
        if not actor.former or not actor.present:
            return
        answer, login = await self.searcher.try_login(
            actor.account, actor.former[-1], moved=self.moved, label=f"{name} tries the former password"
        )
        self.tell(f"somebody logs in as {name} with the former password", answer)
        if login.read(answer.reply, name) is not None:
            self._got_in()
            raise BrokenError(
                rules.ZOMBIE, f"{name}'s former password still logs in", login.operation.name, Severity.HIGH
            )


def _others_set(answer: Answer, credential: Credential) -> tuple[tuple[str, str], ...]:
    """The cookies that a login set and its credential has no use for."""
    sent = {credential.carrier.name, *(name for name, _ in credential.crumbs)}
    lines = map(parse_set_cookie, answer.reply.header_lines("set-cookie"))
    return tuple((item.name, item.value) for item in lines if item and item.value and item.name not in sent)


def _expiry(credential: Credential, answer: Answer, now: float) -> float | None:
    end = _token_end(credential.value)
    if end is not None:
        return end
    seconds = resolve(answer.reply.json, "/expires_in")
    return now + seconds if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) else None


def _token_end(secret: Secret) -> float | None:
    token = Jwt.parse(secret.reveal())
    end = token.claims.get("exp") if token is not None else None
    return float(end) if isinstance(end, (int, float)) and not isinstance(end, bool) else None
