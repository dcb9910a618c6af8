"""Tokens of one kind presented where another kind belongs (checklist TOK210)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Credential, Jwt
from auth_conformance.model import (
    Failed,
    Inconclusive,
    Need,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.places import found_at
from auth_conformance.probe.core import Missing, Session, Unclear
from auth_conformance.probe.minting import Forge, Minting
from auth_conformance.probe.purposes import Purposes
from auth_conformance.probe.refusal import Attempt
from auth_conformance.probe.secondfactor import SecondFactor
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auth_conformance.target import Account

# Times and identifiers differ between any two tokens (RFC 7519 §4.1): they mark no kind.
_PERSONAL = {"iat", "nbf", "exp", "jti", "auth_time"}
# The OIDC name of the one further kind that a login reply may hold (OpenID Connect Core §3.1.3.3).
_ID_TOKEN = "id_token"  # noqa: S105 - the name of a member


@dataclass(frozen=True, slots=True)
class Marks:
    """What tells an access token from a refresh token: members of header and claims, as each kind has them."""

    header: Mapping[str, tuple[Any, Any]]
    claims: Mapping[str, tuple[Any, Any]]

    def __bool__(self) -> bool:
        return bool(self.header or self.claims)

    @property
    def names(self) -> str:
        """Return the names of the marks, for people."""
        return ", ".join((*(f"header {name}" for name in self.header), *self.claims))


# Shorter values are codes, and no tokens.
_TICKET = 12


class TokenKinds(Purposes, Minting):
    """Each kind of token works for its own purpose."""

    async def must_keep_kinds_apart(self) -> Verdict:
        """Present refresh and id tokens as access tokens, access tokens as refresh tokens, and unmarked ones.

        Raises Missing when only one kind is issued, Unclear when a control fails.
        """
        if self.target.login(self.token_kind) is None:
            raise Missing(
                "Not tested: tokens are issued elsewhere, and those of other kinds are not known; TOK208 presents "
                "an ID token that is given as foreign_token."
            )
        session = await self.sign_in(self.account(), self.token_kind, ends=False)
        mailed = {f"a {what} as access token": text for what, text in (await self.mailed_tokens()).items()}
        others = {**self._other_kinds_of_token(session), **mailed, **await self._unfinished(session.account)}
        try:
            others |= await SecondFactor(self.scene, self.rule).unfinished()
        except (Missing, Unclear) as reason:
            if not others and (isinstance(reason, Unclear) or reason.applicable):
                raise
            self.notes.append(f"no login without its second factor was begun: {reason}")
        if not others:
            raise Missing(
                "Not applicable: the login issues one kind of token only."
                if Need.REFRESH in self.target.absent
                else "Not tested: only one kind of token is known.",
                self._remedy(Need.REFRESH),
                applicable=Need.REFRESH not in self.target.absent,
            )
        verdicts = [
            await self.must_refuse(
                [
                    Attempt(name, session.credential.with_value(value.reveal()))
                    for name, value in others.items()
                ],
                credential=session.credential,
                at=self.witnesses,
            )
        ]
        if session.refresh is not None and self.target.refresh is not None:
            verdicts.append(await self._presented_for_refresh(session, others))
            if isinstance(verdicts[0], Passed):
                verdicts.append(await self._marks_flipped(session, session.refresh))
        verdicts += await self.presented_for_other_purposes()
        return self._worst(verdicts)

    def _other_kinds_of_token(self, session: Session) -> dict[str, Secret]:
        found = {"a refresh token as access token": session.refresh} if session.refresh is not None else {}
        body = session.answer.reply.json
        identity = body.get(_ID_TOKEN) if isinstance(body, dict) else None
        if isinstance(identity, str) and identity and identity != session.credential.value.reveal():
            self.scene.recorder.redactor.learn(Secret(identity))
            found["an id token as access token"] = Secret(identity)
        login = self.target.login(self.token_kind)
        if login is not None and login.csrf:
            csrf = found_at(session.answer.reply, login.csrf)
            if isinstance(csrf, str) and csrf:
                found["a CSRF token as access token"] = Secret(csrf)
        return found

    async def _unfinished(self, account: Account) -> dict[str, Secret]:
        """What the first of several steps gives to who knows the password: it must open nothing by itself."""
        login = self.target.login(self.token_kind)
        first = login.before[0] if login is not None and login.before else None
        if first is None or not first.password_field or account.password is None:
            return {}
        step = first.step(account.username, account.password)
        answer = await self.send(
            step.request, label="the first step of a login", operation=first.operation.name
        )
        found = {}
        for name, value in step.read(answer.reply).items():
            if len(value) >= _TICKET:
                self.scene.recorder.redactor.learn(Secret(value))
                found[f"the {name} of an unfinished login as access token"] = Secret(value)
        return found

    async def _presented_for_refresh(self, session: Session, others: Mapping[str, Secret]) -> Verdict:
        """Present what is no refresh token to the refresh operation, which works for one that is."""
        await self.bland_refusal()
        sibling = await self.sign_in(self.account(), self.token_kind, [session.credential], ends=False)
        if sibling.refresh is None:
            raise Unclear("A login gave no refresh token, unlike the one before.")
        _, renewal = await self.renew(
            sibling.refresh, "control: a refresh token at its own operation", Role.CONTROL
        )
        if renewal is None:
            raise Unclear(f"{self.refresh_flow.operation.name} refused a fresh refresh token.")
        tokens = {"an access token": session.credential.value}
        tokens |= {
            name.removesuffix(" as access token"): value
            for name, value in others.items()
            if "refresh" not in name
        }
        operation = self.refresh_flow.operation.name
        for name, value in tokens.items():
            answer, given = await self.renew(value, f"{name} as refresh token", Role.ATTACK)
            if given is None:
                if await self.refuses_other_kind(value, answer):
                    continue
                return Inconclusive(
                    f"{operation} gave {name} no clear answer ({answer.why or answer.status})."
                )
            # Another one: a service that took it for a refresh token may count it as used.
            taken = [session.credential, sibling.credential]
            again = await self.sign_in(self.account(), self.token_kind, taken, ends=False)
            second = again.credential.value if name == "an access token" else value
            confirmed, given = await self.renew(
                second, f"again: {name} as refresh token", Role.ATTACK, fresh=True
            )
            if given is None:
                return Inconclusive(f"{operation} took {name} for a refresh token once, and then not.")
            message = f"{operation} took {name} for a refresh token."
            return Failed((Violation(operation, message, None, (answer.exchange, confirmed.exchange)),))
        # The refusals were refusals of these: the operation has not stopped meanwhile.
        _, renewal = await self.renew(
            renewal.following or await self._another_refresh(sibling),
            "control: a refresh token, after all",
            Role.CONTROL,
        )
        if renewal is None:
            return Inconclusive(f"{operation} refused a fresh refresh token afterwards.")
        return Passed(f"{operation} took nothing but refresh tokens.")

    async def _another_refresh(self, apart_from: Session) -> Secret:
        session = await self.sign_in(self.account(), self.token_kind, [apart_from.credential], ends=False)
        if session.refresh is None:
            raise Unclear("A login gave no refresh token, unlike the one before.")
        return session.refresh

    async def _marks_flipped(self, session: Session, refresh: Secret) -> Verdict:
        """Remove and change what marks an access token, under the true key: without its mark it is none."""
        try:
            forge = await self.forge()
        except (Missing, Unclear) as problem:
            self.notes.append(f"the marks of tokens were not changed: {problem}")
            return Passed("")
        token, other = session.credential.jwt, Jwt.parse(refresh.reveal())
        if token is None or other is None or not forge.key.verifies(other):
            self.notes.append("refresh tokens are no JWTs under the same key: there is no mark to change")
            return Passed("")
        marks = _marks(token, other, forge.token)
        if not marks:
            self.notes.append(
                "access and refresh tokens have no mark: the service knows them by their identifiers"
            )
            return Passed("")
        honest = await self.honest()
        baseline = await self.baseline(self.witness, forge.live)
        swapped = Attempt(
            "a signed token with the marks of a refresh token", self._remarked(forge, marks, "other")
        )
        if (await self.attempt(self.witness, swapped, baseline)).accepted:
            self.notes.append(
                f"{marks.names} do not decide the kind: the service tells its tokens apart by other means"
            )
            return Passed("")
        flips = {
            "removed": "without its mark",
            "wrong": "with a wrong mark",
            "list": "with its mark in a list",
        }
        if marks.claims:
            flips["case"] = "with its mark in another case"
        attempts = [
            Attempt(
                f"a signed token {words} ({marks.names})",
                self._remarked(forge, marks, how),
                severity=Severity.MEDIUM,
            )
            for how, words in flips.items()
        ]
        return await self.must_refuse(attempts, credential=forge.live, controls=(honest,))

    def _remarked(self, forge: Forge, marks: Marks, how: str) -> Credential:
        header, claims = dict(forge.token.header), self.fresh_claims(forge)
        for members, own in ((header, marks.header), (claims, marks.claims)):
            for name, (mine, theirs) in own.items():
                value = _flipped(mine, theirs, how)
                if value is None:
                    members.pop(name, None)
                elif how == "case" and members is header:
                    continue  # media types have no case (RFC 7515 §4.1.9, RFC 2045 §5.1)
                else:
                    members[name] = value
        return forge.credential(claims, header)

    def _worst(self, verdicts: list[Verdict]) -> Verdict:
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        violations = [
            item for verdict in verdicts if isinstance(verdict, Failed) for item in verdict.violations
        ]
        if violations:
            return Failed(tuple(violations), evidence, notes)
        for verdict in verdicts:
            if not isinstance(verdict, Passed):
                return replace(verdict, evidence=evidence)
        reason = " ".join(verdict.reason for verdict in verdicts if verdict.reason)
        return Passed(reason, evidence, notes)


def _marks(access: Jwt, refresh: Jwt, sibling: Jwt) -> Marks:
    """What all access tokens have in common and refresh tokens have otherwise."""

    def differing(
        mine: Mapping[str, Any], theirs: Mapping[str, Any], again: Mapping[str, Any]
    ) -> dict[str, Any]:
        return {
            name: (value, theirs.get(name))
            for name, value in mine.items()
            if name not in _PERSONAL
            and value != theirs.get(name)
            and value == again.get(name)
            and isinstance(value, str | list | bool)
        }

    return Marks(
        differing(access.header, refresh.header, sibling.header),
        differing(access.claims, refresh.claims, sibling.claims),
    )


def _flipped(mine: Any, theirs: Any, how: str) -> Any:
    match how:
        case "other":
            return theirs
        case "removed":
            return None
        case "list":
            return [mine]
        case "case":
            return mine.swapcase() if isinstance(mine, str) else mine
        case _:
            return "another-kind"
