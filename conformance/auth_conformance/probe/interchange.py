"""`must_not_interchange`: what is good in one place is worthless in every other (checklist MIX105)."""

from __future__ import annotations

import base64
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.credentials import Carrier, Credential, Kind
from auth_conformance.model import Inconclusive, Outcome, Passed, Role, Severity, Verdict, Violation
from auth_conformance.oracles.pointer import resolve
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.mailing import Mailing
from auth_conformance.probe.refusal import Attempt
from auth_conformance.probe.stored import Stored
from auth_conformance.probe.ways import Ways
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.target import Account

# How `interchangeable` in the policy spells the values.
_WORDS = {Kind.BEARER: "token", Kind.KEY: "key", Kind.COOKIE: "session", Kind.BASIC: "password"}
_PLACES = {Kind.BEARER: "bearer", Kind.KEY: "key", Kind.COOKIE: "cookie", Kind.BASIC: "basic"}


@dataclass(frozen=True, slots=True)
class Token:
    """A value of A: what it is, where it belongs (None: into no header), and the policy's word for it."""

    what: str
    word: str
    text: str
    home: Kind | None = None


class Interchange(Mailing, Stored):
    """Presents each value in the place of every other."""

    async def must_not_interchange(self) -> Verdict:
        """No value gets in outside its own place, unless that is declared. Raises Missing or Unclear."""
        made: list[Answer] = []
        ways = Ways(self)
        try:
            lives = await self._interchanged(ways)
            if len(lives) < 2:
                raise ways.too_few()
            tokens = await self._tokens(lives, made)
            attempts = [item for token in tokens for item in self._in_other_places(token)]
            controls = [
                Attempt(f"control: the live {kind.value} credential in its own place", live)
                for kind, live in lives.items()
            ]
            verdict = await self.must_refuse(
                attempts, credential=next(iter(lives.values())), controls=controls
            )
            logins: list[Violation] = []
            doubts: list[str] = []
            with self.doubting(doubts):
                logins = await self._as_passwords()
        finally:
            for answer in made:
                await self.revoke_key(answer)
        if logins:
            return self.joined(verdict, logins)
        if doubts and isinstance(verdict, Passed):
            return Inconclusive(doubts[0], "", tuple(self.evidence), tuple(self.notes))
        return ways.settled(verdict)

    async def _interchanged(self, ways: Ways) -> dict[Kind, Credential]:
        found = {}
        for kind in self.kinds():
            try:
                live = await self.credential(kind)
                await self.baseline(self.witness, live)
            except (Missing, Unclear) as reason:
                ways.closed(f"no {kind.value} credential", reason)
                continue
            found[kind] = live
        return found

    async def _tokens(self, lives: dict[Kind, Credential], made: list[Answer]) -> list[Token]:
        names = {Kind.BEARER: "the token", Kind.KEY: "the API key", Kind.COOKIE: "the session id"}
        found = [
            Token(names[kind], _WORDS[kind], live.value.reveal(), kind)
            for kind, live in lives.items()
            if kind in names
        ]
        account = self.account()
        by_cookie = self.target.login(Kind.COOKIE)
        for kind, live in lives.items() if by_cookie is None or by_cookie.secret_proof else ():
            found += [
                Token("the CSRF token", "csrf", text)
                for name, text in live.companions
                if kind is Kind.COOKIE and name
            ]
        login = self.target.login(Kind.BEARER)
        if login is not None and login.refresh and account.password is not None:
            refresh = (await self.log_in(account, Kind.BEARER)).refresh
            if refresh is not None:
                found.append(Token("the refresh token", "refresh", refresh.reveal()))
        if self.target.keys is not None and self.target.keys.identifier is not None:
            _, answer = await self.make_key()
            made.append(answer)
            number = resolve(answer.reply.json, self.target.keys.identifier)
            found += [Token("the id of a key", "key id", str(number))] if number is not None else []
        if account.password is not None:
            found.append(Token("the password", "password", account.password.reveal(), Kind.BASIC))
        mailed = await self.mailed_tokens()
        found += [Token(f"a {what}", what, text.reveal()) for what, text in mailed.items()]
        if not mailed:
            self.notes.append("mailed tokens were not presented elsewhere: no mailbox gives any")
        return found

    def _in_other_places(self, token: Token) -> Iterator[Attempt]:
        """The value in each carrier that is not its own."""
        homes = {
            (carrier.place, carrier.name.lower(), carrier.prefix.lower())
            for carrier in self.target.carriers
            if carrier.kind is token.home
        }
        for carrier in self.target.carriers:
            place = (carrier.place, carrier.name.lower(), carrier.prefix.lower())
            declared = f"{token.word} as {_PLACES[carrier.kind]}" in self.target.policy.interchangeable
            if carrier.kind in (token.home, Kind.BASIC) or place in homes or declared:
                continue
            credential = Credential(carrier, Secret(token.text))
            yield Attempt(f"{token.what} in {carrier}", credential, severity=_gravity(token, carrier))
        if token.home is Kind.BASIC or f"{token.word} as basic" in self.target.policy.interchangeable:
            return
        name = self.account().username
        for label, pair in (("user", f"{token.text}:"), ("password", f"{name}:{token.text}")):
            encoded = base64.b64encode(pair.encode("utf-8", "surrogatepass")).decode()
            yield Attempt(
                f"{token.what} as {label} of Basic", headers=(("Authorization", f"Basic {encoded}"),)
            )

    async def _guesser(self, kind: Kind) -> Account | None:
        """Who may type three wrong passwords: an account made for it, else a spare one where locking is allowed."""
        account = await self.disposable("interchange", kind)
        if account is None and self.scene.allow_disruptive:
            with contextlib.suppress(Missing):
                account = await self.expendable()
        return account

    async def _as_passwords(self) -> list[Violation]:
        """Log in with each value as password. It counts as a guess, so an account made for it tries its own."""
        kinds = [kind for kind in (Kind.BEARER, Kind.COOKIE) if self.target.login(kind) is not None]
        account = await self._guesser(kinds[0]) if kinds else None
        if account is None:
            self.notes.append("no value was tried as a password: there is no account for wrong guesses")
            return []
        own: dict[str, Secret] = {}
        for kind in kinds:
            session = await self.sign_in(account, kind)
            own[f"the {_WORDS[kind]}"] = session.credential.value
            if session.refresh is not None:
                own["the refresh token"] = session.refresh
        violations = []
        for what, secret in own.items():
            proof = []
            for again in (False, True):
                label = f"{'again: ' if again else ''}{what} as password"
                answer, login = await self.try_login(account, secret, kinds[0], label=label, role=Role.ATTACK)
                proof.append(answer)
                if answer.outcome in (Outcome.THROTTLED, Outcome.CRASHED):
                    self.notes.append(f"{what} as password: {answer.why}")
                if login.read(answer.reply, account.label) is None:
                    break
            else:
                name = proof[0].exchange.operation
                message = f"{name} took {what} for the password of its owner."
                violations.append(Violation(name, message, None, tuple(item.exchange for item in proof)))
        return violations


def _gravity(token: Token, carrier: Carrier) -> Severity | None:
    """A key that works as cookie opens the door for requests of other sites; the rule says what the rest is."""
    return Severity.MEDIUM if token.home is Kind.KEY and carrier.kind is Kind.COOKIE else None
