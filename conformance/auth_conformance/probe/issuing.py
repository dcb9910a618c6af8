"""What logins issue: `must_issue_discreet_tokens` (TOK213) and `must_issue_unguessable_tokens` (TOK401)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Jwt, Kind
from auth_conformance.model import Failed, Inconclusive, Need, Passed, Severity, Skipped, Verdict, Violation
from auth_conformance.oracles.entropy import FEWEST, MOST, Sample, estimate, renewed
from auth_conformance.oracles.standing import flattened
from auth_conformance.oracles.tokenprofile import MOST_MEMBERS, columns, personal, secrets_in
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.handed import Handing, handed_out
from auth_conformance.probe.mailing import Mailing
from auth_conformance.probe.memberships import Memberships, memberships
from auth_conformance.probe.refusal import Refusal
from auth_conformance.probe.unguessable import Unguessable, guessable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from auth_conformance.model import Exchange
    from auth_conformance.probe.core import Session
    from auth_conformance.target import Account

# How long tokens may live, in seconds: access at level 1 and above it, and refresh (checklist TOK213).
ACCESS_AT_FIRST, ACCESS, REFRESH = 3_600.0, 900.0, 30 * 86_400.0
_LIVES = ("access", "refresh")
# How long a cookie may live that is the whole session and is never renewed (as SES115: NIST SP 800-63B-4 §2.2.3).
SESSION = 43_200.0
# What is issued and counted in whole seconds may be one off.
ROUNDING = 2.0
# How many logins a service on another machine is asked for.
ELSEWHERE = 20
# How many kinds of links and codes are collected.
MOST_HANDED = 4
# What is so short is typed from a message, and guarded by a limit.
CODE = 10


class Issuing(Handing, Mailing, Unguessable, Refusal):
    """Logs in again and again, and reads what comes."""

    async def must_issue_discreet_tokens(self) -> Verdict:
        """Issue JWTs that are short-lived, apart, and free of secrets. Raises Missing or Unclear."""
        self._must_log_in_for_tokens()
        account = self.account()
        known = await self._held_secrets(account)
        sessions = [
            await self.log_in(account, self.token_kind, label=f"log in as {account.label}{word}")
            for word in ("", ", at once again", ", and again")
        ]
        tokens = [(session, self.jwt_of(session.credential)) for session in sessions]
        violations = [
            *self._told_in(sessions, known),
            *self._too_long(sessions[:2]),
            *self._alike(sessions),
        ]
        claims = tokens[0][1].claims
        missing = [name for name in ("sub", "iss", "aud", "jti") if name not in claims]
        if missing:
            self.notes.append(f"tokens lack {', '.join(missing)}")
        if named := personal(claims):
            self.notes.append(f"tokens tell an address or number ({', '.join(named)}) to whoever reads them")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, notes)
        return Passed(
            f"{len(tokens)} tokens of one account: apart, short-lived, and without secrets.", evidence, notes
        )

    def _must_log_in_for_tokens(self) -> None:
        """Raise Missing unless a login is known that issues bearer tokens."""
        if self.target.login(self.token_kind) is None:
            raise Missing(
                "Not tested: no login is known that issues bearer tokens.", self._remedy(Need.LOGIN)
            )

    async def _held_secrets(self, account: Account) -> dict[str, str]:
        """What no token of this account may tell: its password, and the keys that it has when it logs in."""
        known = {f"the ready {kind.value}": secret.reveal() for kind, secret in account.ready.items()}
        if account.password is not None:
            known["the password"] = account.password.reveal()
        if Kind.KEY in self.target.kinds():
            try:
                known["an API key"] = (
                    await self.credential(Kind.KEY, account.label, fresh=True)
                ).value.reveal()
            except (Missing, Unclear) as reason:
                self.notes.append(f"no API key was looked for in tokens: {reason}")
        return known

    def _told_in(self, sessions: Sequence[Session], known: dict[str, str]) -> Iterator[Violation]:
        for kind, token, session in (*_jwts(sessions[:1]), *_further(sessions[0])):
            known = {what: text for what, text in known.items() if text != session.credential.value.reveal()}
            operation = session.answer.exchange.operation
            if found := secrets_in(token.claims, known):
                message = f"{operation} issues {kind} tokens that tell secrets: {', '.join(found)}."
                yield Violation(operation, message, Severity.HIGH, _logins(sessions[:2]))
            if kind in _LIVES and (count := columns(token.claims)) > MOST_MEMBERS:
                message = (
                    f"{operation} issues {kind} tokens with {count} members of its own: a row, not a token."
                )
                yield Violation(operation, message, None, _logins(sessions[:2]))

    def _too_long(self, sessions: Sequence[Session]) -> Iterator[Violation]:
        policy = self.target.policy
        usual = ACCESS if self.scene.level > 1 else ACCESS_AT_FIRST
        if self.token_kind is Kind.COOKIE and self.target.refresh is None:
            usual = SESSION
        access = policy.access_lifetime or usual
        limits = {"access": access, "refresh": policy.refresh_lifetime or REFRESH}
        for kind, limit in limits.items():
            lives = [life for name, token, _ in _jwts(sessions) if name == kind and (life := _life(token))]
            if len(lives) == len(sessions) and min(lives) > limit + ROUNDING:
                operation = sessions[0].answer.exchange.operation
                message = (
                    f"{operation} issues {kind} tokens that live for {min(lives) / 60:.0f} minutes; "
                    f"{limit / 60:.0f} are the limit."
                )
                yield Violation(operation, message, None, _logins(sessions))

    def _alike(self, sessions: Sequence[Session]) -> Iterator[Violation]:
        texts = [session.credential.value.reveal() for session in sessions]
        if len(set(texts)) < len(texts):
            operation = sessions[0].answer.exchange.operation
            message = f"{operation} gave one token for two logins: one cannot be revoked without the other."
            yield Violation(operation, message, Severity.LOW, _logins(sessions))

    async def must_issue_unguessable_tokens(self) -> Verdict:
        """Opaque tokens of logins, refreshes, resets, links and codes show no structure and carry enough chance.

        Raises Missing or Unclear.
        """
        mailed = await self._unguessable_mail()
        others = [*([mailed] if mailed is not None else []), *await self._unguessable_hand_outs()]
        try:
            issued = await self._issued_tokens()
        except Missing:
            if not others:
                raise
            note = "every token that a login issues is a JWT: only what is mailed or handed out was judged"
            return self._worst_of(others, note)
        return self._worst_of([issued, *others])

    def _worst_of(self, verdicts: list[Verdict], *notes: str) -> Verdict:
        """The gravest verdict, or what all of them passed for; `notes` go with a pass."""
        worst = self.gravest(verdicts)
        if not isinstance(worst, Passed):
            return worst
        told = " ".join(item.reason for item in verdicts if isinstance(item, Passed))
        return replace(worst, reason=told, notes=(*worst.notes, *notes))

    async def _unguessable_hand_outs(self) -> list[Verdict]:
        """What links and codes that open something to whoever has them are made of, and those of invitations."""
        found: list[Verdict] = []
        for item in [*handed_out(self.target)][:MOST_HANDED]:
            try:
                samples, proof = await self.handed_values(item, FEWEST)
            except (Missing, Unclear) as reason:
                self.notes.append(f"not judged: what {item.maker.name} hands out: {reason}")
                continue
            what = f"values of {item.member} (which {item.taker.name} takes from anybody)"
            found.append(await self.must_be_unguessable(samples, what, item.maker.name, proof))
        for group in [*memberships(self.target)][:1] if "b" in self.target.accounts else ():
            inviting = Memberships(self.scene, self.rule)
            try:
                samples, proof, taker = await inviting.invitation_codes(group, FEWEST)
            except (Missing, Unclear) as reason:
                self.notes.append(f"not judged: the codes of {group.invite.name}: {reason}")
                continue
            what = f"codes of invitations (which {taker} takes)"
            found.append(await self.must_be_unguessable(samples, what, group.invite.name, proof))
        return found

    async def _unguessable_mail(self) -> Verdict | None:
        """Reset tokens of two people in turn; None where no mail can be read, or what it holds is none of these."""
        if self.target.recovery is None or self.target.mailbox is None:
            self.notes.append("reset tokens were not collected: no mailbox or no reset is known")
            return None
        samples: list[Sample] = []
        try:
            people = [await self.expendable() for _ in range(2)]
            for number in range(FEWEST):
                account = people[number % 2]
                text = (await self.reset_token(account)).reveal()
                if len(text) <= CODE or text.count(".") in (2, 4):
                    # Codes live by a limit on guessing, and signatures are TOK114's.
                    self.notes.append("reset tokens are codes or JWTs: CRD112, CRD117 and TOK114 judge those")
                    return None
                samples.append(self.sample(text, account))
        except (Missing, Unclear) as reason:
            self.notes.append(f"{len(samples)} reset tokens, then: {reason}")
            if len(samples) < FEWEST:
                return None
        operation = self.target.recovery.ask.form.operation.name
        return await self.must_be_unguessable(samples, "reset tokens", operation, self.evidence[-1:])

    async def _issued_tokens(self) -> Verdict:
        """What logins give."""
        self._must_log_in_for_tokens()
        people = [self.account(label) for label in ("a", "b") if label in self.target.accounts]
        samples: dict[str, list[Sample]] = {"access tokens": [], "refresh tokens": []}
        proof: list[Exchange] = []
        operation = ""
        # Logins are often limited, and other checks need some, too.
        for number in range(MOST if self.target.in_process else ELSEWHERE):
            account = people[number % len(people)]
            try:
                session = await self.log_in(account, Kind.BEARER)
            except (Missing, Unclear) as reason:
                self.notes.append(f"{number} logins, then: {reason}")
                break
            operation = session.answer.exchange.operation
            proof += [session.answer.exchange] if len(proof) < 2 else []
            for what, text in _opaque(session):
                samples[what].append(self.sample(text, account))
            if not any(samples.values()):
                raise Missing("Not applicable: every token that a login issues is a JWT.", applicable=False)
        live = await self.credential(Kind.BEARER)
        await self.must_live(self.witness, live, await self.baseline(self.witness, live), "after")
        if not any(samples.values()):
            return Inconclusive(f"No token could be collected; fewer than {FEWEST} show nothing.")
        verdicts = [
            await self._unguessable_references(values, what, operation, proof)
            for what, values in samples.items()
            if values
        ]
        judged = [verdict for verdict in verdicts if not isinstance(verdict, Skipped)]
        self.notes += [verdict.reason for verdict in verdicts if judged and isinstance(verdict, Skipped)]
        return self.gravest(judged or verdicts[:1])

    async def _unguessable_references(
        self, values: Sequence[Sample], what: str, operation: str, proof: Sequence[Exchange]
    ) -> Verdict:
        """Judge what was made, not how often it was shown: a person may be given the token again that there is."""
        anew = renewed(values)
        if len({sample.value for sample in anew}) < len(anew):
            return await self.must_be_unguessable(values, what, operation, proof)
        if len(anew) >= FEWEST or len(values) < FEWEST:
            return await self.must_be_unguessable(anew, what, operation, proof)
        found = estimate(anew)
        violation = guessable(found, what, operation, proof)
        if violation is not None and not found.bits:
            return Failed((violation,), tuple(self.evidence), tuple(self.notes))
        return Skipped(
            f"Not tested: {operation} gives people the {what} again that they had: {len(anew)} different ones were "
            f"seen, and fewer than {FEWEST} show nothing."
        )


def _jwts(sessions: Sequence[Session]) -> Iterator[tuple[str, Jwt, Session]]:
    for session in sessions:
        texts = {"access": session.credential.value, "refresh": session.refresh}
        for kind, secret in texts.items():
            token = Jwt.parse(secret.reveal()) if secret is not None else None
            if token is not None:
                yield kind, token, session


def _further(session: Session) -> Iterator[tuple[str, Jwt, Session]]:
    """Whatever else in the answer of the login is a JWT: an ID token, a CSRF token."""
    known = {
        session.credential.value.reveal(),
        session.refresh.reveal() if session.refresh is not None else "",
    }
    for pointer, text in flattened(session.answer.reply.json).items():
        token = Jwt.parse(text) if isinstance(text, str) and text not in known else None
        if token is not None:
            yield pointer.rpartition("/")[2], token, session


def _opaque(session: Session) -> Iterator[tuple[str, str]]:
    texts = {"access tokens": session.credential.value, "refresh tokens": session.refresh}
    for what, secret in texts.items():
        if secret is not None and secret.reveal().count(".") not in (2, 4):
            yield what, secret.reveal()


def _life(token: Jwt) -> float:
    start, end = token.claims.get("iat", token.claims.get("nbf")), token.claims.get("exp")
    if isinstance(start, int | float) and isinstance(end, int | float):
        return float(end - start)
    return 0.0


def _logins(sessions: Sequence[Session]) -> tuple[Exchange, ...]:
    return tuple(session.answer.exchange for session in sessions)
