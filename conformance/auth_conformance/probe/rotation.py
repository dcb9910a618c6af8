"""Refresh tokens: one step of the chain, and what the refresh operation's own refusal looks like."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from auth_conformance.credentials import Credential, Jwt, Kind
from auth_conformance.model import (
    Expectation,
    Failed,
    Inconclusive,
    Need,
    Outcome,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.cookies import parse_set_cookie
from auth_conformance.oracles.entry import Fingerprint
from auth_conformance.oracles.scopes import scopes_of
from auth_conformance.probe.core import Answer, Missing, Session, Unclear
from auth_conformance.probe.sessions import NEXT_SECOND, Sessions
from auth_conformance.secret import Secret
from auth_conformance.target import Account, Refresh

# A longer window in which a used refresh token may come back is not waited for, in seconds.
LONGEST_GRACE = 10.0
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
        self, token: Secret, label: str, role: Role = Role.SETUP, *, fresh: bool = False, moved: float = 0.0
    ) -> tuple[Answer, Renewal | None]:
        """Present a refresh token. The renewal is None when nothing was given for it."""
        flow = self.refresh_flow
        self.scene.recorder.redactor.learn(token)
        request = replace(flow.request(token), fresh=fresh)
        answer = await self.send(request, label=label, role=role, operation=flow.operation.name, moved=moved)
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
        if answer.judgement is not None or (answer.status or 0) >= 500:
            why = answer.why or answer.status
            raise Unclear(
                f"{self.refresh_flow.operation.name} gave a bland refresh token no clear answer ({why})."
            )
        return answer

    async def is_refresh_refusal(self, answer: Answer, bland: Answer | None = None) -> bool:
        """Whether this is the application's own way of refusing a refresh token, as it refuses a `bland` one."""
        if answer.outcome in (Outcome.CRASHED, Outcome.THROTTLED, Outcome.INTERCEPTED):
            return False
        canonical = (bland or await self.bland_refusal()).exchange.reply
        seen = answer.exchange.reply
        if not Fingerprint.of(seen).akin(Fingerprint.of(canonical)):
            return False
        # A 2xx without tokens is a refusal only for a service that refuses the bland one in the same way.
        return seen.status == canonical.status or 400 <= (seen.status or 0) < 500

    async def refuses_other_kind(self, value: Secret, answer: Answer) -> bool:
        """Whether `answer` refuses what is no refresh token: as a bland one, or as one of its length.

        Who limits the length of refresh tokens has another refusal for a JWT.
        """
        if await self.is_refresh_refusal(answer):
            return True
        filled = (BLAND * (len(value.reveal()) // len(BLAND) + 1))[: len(value.reveal())]
        label = "control: a bland wrong refresh token of that length"
        alike, renewal = await self.renew(Secret(filled), label, Role.CONTROL)
        return renewal is None and alike.judgement is None and await self.is_refresh_refusal(answer, alike)


@dataclass(frozen=True, slots=True)
class Chain:
    """Refresh tokens in the order in which they were issued; `reusable` proves that the last one never dies."""

    tokens: tuple[Secret, ...]
    access: Secret | None
    steps: tuple[Answer, ...]
    reusable: bool = False


class Reuse(Rotation):
    """Uses refresh tokens again that have been used, and others that never were any."""

    async def must_rotate(self) -> Verdict:
        """See that a used refresh token is dead, and that its reuse ends the family. Raises Missing or Unclear."""
        account = await self.disposable("lifecycle") or self.account()
        await self.bland_refusal()
        self._found: list[Violation] = []
        self._doubts: list[str] = []
        kind = await self._refreshing_kind(account)
        survivor = await self._family(account, kind)
        first = await self._reused(account, kind, 2)
        if first is not None:
            with self.doubting(self._doubts):
                second = await self._reused(account, kind, 3)
                self._family_verdict(first, second)
        with self.doubting(self._doubts):
            await self._survivor(survivor)
            await self._other_kinds(survivor.credential)
        for step in (self._other_caller, self._wider_scope, self._after_logout):
            with self.doubting(self._doubts):
                await step(account, kind)
        lively = await self._family(account, kind)
        _, renewal = await self.renew(
            self._token_of(lively), "control: a new login can refresh", Role.CONTROL
        )
        if renewal is None:
            raise Unclear("A new login could not refresh any more: refusals were refusals of everything.")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if self._found:
            return Failed(tuple(self._found), evidence, notes)
        if self._doubts:
            return Inconclusive(self._doubts[0], "", evidence, notes)
        operation = self.refresh_flow.operation.name
        reason = f"{operation}: used refresh tokens were refused in two families, and their reuse ended the family."
        if any("declared as bound" in note for note in notes):
            reason = f"{operation} gave tokens for refresh tokens only, in their scope, and to their owner."
        return Passed(reason, evidence, notes)

    async def _refreshing_kind(self, account: Account) -> Kind:
        for kind in dict.fromkeys(login.carrier.kind for login in self.target.logins):
            if (await self.sign_in(account, kind)).refresh is not None:
                return kind
        raise Missing(
            "No login is known that gives a refresh token.", self.target.remedies.get(Need.REFRESH, "")
        )

    async def _family(self, account: Account, kind: Kind) -> Session:
        session = await self.sign_in(account, kind)
        self._token_of(session)
        return session

    @staticmethod
    def _token_of(session: Session) -> Secret:
        if session.refresh is None:
            raise Unclear("A login gave no refresh token, unlike the one before.")
        return session.refresh

    async def _chain(self, token: Secret, length: int) -> Chain:
        """Refresh `length` times as an honest client does. Raises Unclear when that does not work."""
        tokens, steps = [token], []
        access = None
        while len(tokens) <= length:
            label = f"refresh R{len(tokens) - 1} → R{len(tokens)}"
            answer, renewal = await self.renew(tokens[-1], label, Role.CONTROL)
            steps.append(answer)
            if renewal is None:
                raise Unclear(f"{label}: an honest refresh was refused ({answer.why or answer.status}).")
            if renewal.following is None or renewal.following in tokens:
                # JWTs of one second are the same text; a second later the same again is no rotation.
                await asyncio.sleep(NEXT_SECOND)
                answer, again = await self.renew(tokens[-1], f"{label}, once more", Role.ATTACK, fresh=True)
                steps.append(answer)
                if again is None:
                    raise Unclear(
                        "A refresh token works once and has no successor: there is no chain to follow."
                    )
                if renewal.following is None or again.following is None or again.following in tokens:
                    return Chain(tuple(tokens), again.access, tuple(steps), reusable=True)
                renewal = again
            access = renewal.access
            if renewal.following is not None:
                tokens.append(renewal.following)
        return Chain(tuple(tokens), access, tuple(steps))

    async def _reused(self, account: Account, kind: Kind, length: int) -> tuple[Answer, Answer, bool] | None:
        """Use an old token of a chain again; return reuse, use of the newest, and whether the newest lived.

        None when the old one was accepted, or nothing clear was seen: then the family says nothing.
        """
        operation = self.refresh_flow.operation.name
        session = await self._family(account, kind)
        chain = await self._chain(self._token_of(session), length)
        if chain.reusable and self._bound():
            return None
        if chain.reusable:
            message = f"{operation} accepts the same refresh token again and again: a copy works as long as it does."
            self._found.append(
                Violation(operation, message, None, tuple(step.exchange for step in chain.steps))
            )
            return None
        if chain.access is not None and session.credential.carrier.kind is Kind.BEARER:
            live = replace(session.credential, value=chain.access)
            await self.must_live(self.witness, live, await self.baseline(self.witness, live), "in the chain")
        await self._wait_out_grace()
        number = length - 2
        old = chain.tokens[number]
        reuse, renewal = await self.renew(
            old, f"reuse R{number} after R{length} was issued", Role.ATTACK, fresh=True
        )
        if renewal is not None and self._bound():
            return None
        if renewal is not None:
            again, second = await self.renew(old, f"reuse R{number} again", Role.ATTACK, fresh=True)
            if second is not None:
                message = f"{operation} accepted a refresh token that had been used already."
                used = tuple(step.exchange for step in chain.steps)
                evidence = (*used, reuse.exchange, again.exchange)
                self._found.append(Violation(operation, message, None, evidence, Expectation("refused")))
            else:
                self._doubts.append("A used refresh token was accepted once and then refused.")
            return None
        if not await self.is_refresh_refusal(reuse):
            self._doubts.append(f"A used refresh token got no clear answer ({reuse.why or reuse.status}).")
            return None
        newest, following = await self.renew(
            chain.tokens[-1], f"use R{length} after the reuse", Role.ATTACK, fresh=True
        )
        if following is None and not await self.is_refresh_refusal(newest):
            self._doubts.append(
                f"The newest refresh token got no clear answer after a reuse ({newest.why or newest.status})."
            )
            return None
        if chain.access is not None and session.credential.carrier.kind is Kind.BEARER:
            await self._note_access(replace(session.credential, value=chain.access))
        return reuse, newest, following is not None

    def _bound(self) -> bool:
        """Whether used refresh tokens may work again, by declaration; it is told then that they do."""
        if self.target.policy.bound_refresh_tokens:
            self.notes.append("used refresh tokens work again: they are declared as bound to their client")
        return self.target.policy.bound_refresh_tokens

    async def _wait_out_grace(self) -> None:
        window = self.target.policy.refresh_window
        if window > LONGEST_GRACE:
            raise Unclear(f"The declared window of {window:g} s for reuse is too long to wait for.")
        await asyncio.sleep(window + 0.5 if window else 0.0)

    async def _note_access(self, access: Credential) -> None:
        baseline = await self.baseline(self.witness, access)
        answer = await self.at_witness(
            access, label="the access token of the family after the reuse", baseline=baseline, fresh=True
        )
        if answer.accepted and "the family's access token outlives the reuse" not in self.notes:
            self.notes.append("the family's access token outlives the reuse")

    def _family_verdict(
        self, first: tuple[Answer, Answer, bool], second: tuple[Answer, Answer, bool] | None
    ) -> None:
        if second is None:
            return
        operation = self.refresh_flow.operation.name
        if first[2] and second[2]:
            message = (
                f"{operation} refused a used refresh token, but the newest of the family went on working."
            )
            evidence = tuple(answer.exchange for answer in (*first[:2], *second[:2]))
            self._found.append(Violation(operation, message, Severity.MEDIUM, evidence))
        elif first[2] or second[2]:
            self._doubts.append("The reuse of a refresh token ended one family, and another it did not.")

    async def _survivor(self, session: Session) -> None:
        """Another login of the same user should not suffer; noted, because ending everything is a choice."""
        answer, renewal = await self.renew(
            self._token_of(session), "control: another login can still refresh", Role.CONTROL
        )
        if renewal is None:
            self.notes.append(f"a reuse also ended the user's other logins ({answer.why or answer.status})")

    async def _other_kinds(self, access: Credential) -> None:
        """Present what is no refresh token: an access token, a key, a session cookie."""
        operation = self.refresh_flow.operation.name
        vectors = {"an access token": access.value} if access.carrier.kind is Kind.BEARER else {}
        for kind in self.kinds():
            if kind in (Kind.BASIC, access.carrier.kind):
                continue
            try:
                vectors[f"a live {kind.value} credential"] = (await self.credential(kind)).value
            except (Missing, Unclear) as reason:
                self._doubts.append(
                    f"No {kind.value} credential could be presented as refresh token: {reason}"
                )
        for label, value in vectors.items():
            answer, renewal = await self.renew(value, f"{label} as refresh token", Role.ATTACK)
            if renewal is None:
                if not await self.refuses_other_kind(value, answer):
                    self._doubts.append(
                        f"{label} as refresh token: no clear answer ({answer.why or answer.status})"
                    )
                continue
            again, second = await self.renew(
                value, f"{label} as refresh token, again", Role.ATTACK, fresh=True
            )
            if second is not None:
                message = f"{operation} took {label} for a refresh token."
                proof = (answer.exchange, again.exchange)
                self._found.append(Violation(operation, message, None, proof, Expectation("refused")))

    async def _other_caller(self, account: Account, kind: Kind) -> None:
        """Refresh beside another user's credential: that must not give that user's tokens."""
        stranger = await self.disposable("another user") or self.target.accounts.get("b")
        if (
            stranger is None
            or stranger.password is None
            or kind is not Kind.BEARER
            or not self.witness.identity
        ):
            return
        theirs = (await self.sign_in(stranger, kind)).credential
        baseline = await self.baseline(self.witness, theirs)
        session = await self._family(account, kind)
        request = self.refresh_flow.request(self._token_of(session)).with_headers(*theirs.headers)
        answer = await self.send(
            request,
            label="refresh beside another user's credential",
            role=Role.ATTACK,
            operation=self.refresh_flow.operation.name,
        )
        renewal = self.renewal(answer)
        if renewal is None or renewal.access is None:
            return
        given = replace(session.credential, value=renewal.access)
        seen = await self.at_witness(given, label="whose token is it?", baseline=baseline, fresh=True)
        own = await self.at_witness(
            session.credential,
            label="control: the owner's own token",
            role=Role.CONTROL,
            baseline=baseline,
            fresh=True,
        )
        if by_cache(seen.reply) or own.exchange.reply.principal == baseline.principal:
            raise Unclear(
                f"{self.witness.operation.name} names the same caller for everybody: a cache may answer."
            )
        if seen.exchange.reply.principal is not None and seen.exchange.reply.principal == baseline.principal:
            operation = self.refresh_flow.operation.name
            message = f"{operation} gave another user's token for a refresh token."
            self._found.append(Violation(operation, message, None, (answer.exchange, seen.exchange)))

    async def _wider_scope(self, account: Account, kind: Kind) -> None:
        """RFC 6749 §6: a refresh must not give a scope that was not granted before."""
        session = await self._family(account, kind)
        granted = scopes_of(session.answer.reply.json, _claims(session.credential.value))
        wider = {scope for operation in self.target.operations for scope in operation.scopes} - granted
        if not granted or not wider or self.refresh_flow.place not in ("json", "form"):
            return
        asked = " ".join(sorted(granted | wider))
        flow = replace(self.refresh_flow, template={**self.refresh_flow.template, "scope": asked})
        answer = await self.send(
            flow.request(self._token_of(session)),
            label="refresh with a wider scope",
            role=Role.ATTACK,
            operation=flow.operation.name,
        )
        renewal = self.renewal(answer)
        if renewal is None:
            return
        given = scopes_of(answer.reply.json, _claims(renewal.access))
        if given & wider:
            more = ", ".join(sorted(given & wider))
            message = f"{flow.operation.name} gave the scope {more}, which was not granted before."
            self._found.append(
                Violation(flow.operation.name, message, None, (session.answer.exchange, answer.exchange))
            )

    async def _after_logout(self, account: Account, kind: Kind) -> None:
        """Refresh after a logout: LIF101 judges that, here it is only told."""
        logout = next((logout for logout in self.target.logouts if logout.kind is kind), None)
        if logout is None:
            return
        session = await self._family(account, kind)
        token = self._token_of(session)
        body = logout.body(session.credential.value, token)
        going = logout.leaving(session.credential, token)
        await self.call(logout.operation, going, label="log out", body=body)
        _, renewal = await self.renew(token, "refresh after a logout", Role.ATTACK, fresh=True)
        if renewal is not None:
            self.notes.append("a refresh token outlives the logout of its session: see LIF101")


def _claims(token: Secret | None) -> dict[str, object]:
    parsed = Jwt.parse(token.reveal()) if token is not None else None
    return dict(parsed.claims) if parsed is not None else {}
