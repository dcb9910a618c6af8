"""One token out of a message, redeemed many times at once: it resets, confirms or changes something."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.model import Failed, Inconclusive, Need, Provenance, Role, Severity, Verdict, Violation
from auth_conformance.oracles.entry import Fingerprint
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.mailing import EMAIL_CHANGE, Mailing
from auth_conformance.probe.volleys import ROUNDS, TOGETHER, Race, Volleys
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from auth_conformance.credentials import Credential
    from auth_conformance.target import Account
    from auth_conformance.transports.message import HttpRequest


class MailRaces(Volleys, Mailing):
    """Redeems what was mailed many times together."""

    async def race_resets(self) -> Verdict:
        """One reset token, and as many new passwords as requests: one of them may be said to be set."""
        confirm = self.recovery.confirm
        name = confirm.form.operation.name
        account = await self.victim()
        token = await self.reset_token(account)
        alone = []
        for label in ("control: one reset", "control: the same token afterwards"):
            account, request = self._reset_to(account, token)
            answer = await self.send(request, label=label, role=Role.CONTROL, operation=name)
            alone.append(answer)
            if answer.judgement is not None or alone[0].status is None or not alone[0].reply.ok:
                raise Unclear(
                    f"{name} gave {label.removeprefix('control: ')} no clear answer ({answer.status})."
                )
            if answer is alone[0]:
                await self.log_in(account)
                self.now_known_by(account, account.password or Secret(""))
        if Fingerprint.of(alone[0].exchange.reply) == Fingerprint.of(alone[1].exchange.reply):
            reason = f"{name} answers a used token as a good one: CRD117 says whether it works."
            return Inconclusive(reason, "", tuple(self.evidence), tuple(self.notes))
        solo = max(0.001, min(answer.reply.took for answer in alone))
        races: list[Race] = []
        doubts: list[str] = []
        for number in range(ROUNDS):
            token = await self.reset_token(account)
            pretended = [self._reset_to(account, token) for _ in range(TOGETHER)]
            source = self._round_address(number)
            requests = [replace(request, source=source) for _, request in pretended]
            race = await self.together_now(requests, f"round {number + 1}: one reset token", name, solo)
            races.append(race)
            done = [
                answer
                for answer in race.answers
                if answer.granted
                and Fingerprint.of(answer.exchange.reply) == Fingerprint.of(alone[0].exchange.reply)
            ]
            if done:
                account = pretended[race.answers.index(done[0])][0]
                self.now_known_by(account, account.password or Secret(""))
            if len(done) > 1:
                message = (
                    f"{name} said {len(done)} times that a password is set, for one token that was presented "
                    f"{TOGETHER} times at once with as many passwords ({race.at_once} in work together)."
                )
                proofs = tuple(answer.exchange for answer in done[:4])
                return Failed(
                    (Violation(name, message, None, proofs),), tuple(self.evidence), tuple(self.notes)
                )
            doubts += self.crashes_of(race)
        await self.log_in(account)
        return self.raced(races, doubts, f"{TOGETHER} uses of one reset token set at most one password")

    def _reset_to(self, account: Account, token: Secret) -> tuple[Account, HttpRequest]:
        """The account with a new password, and the request that would set it."""
        new = Secret(self.password())
        self.scene.recorder.redactor.learn(new)
        request = self.recovery.confirm.request(token, new, account.address)
        return replace(account, password=new), request

    async def race_verifications(self) -> Verdict:
        """One token that confirms an address is taken once. Raises Missing or Unclear.

        An address cannot be more than confirmed: that several uses of one token were granted is grave only
        where each of them gave a login of its own.
        """
        # What is redeemed is limited by address, and the resets had theirs.
        self._next_network()
        name = self.verification.confirm.form.operation.name
        return await self._race_grants(name, self._confirming, "confirmation")

    async def race_email_changes(self) -> Verdict:
        """One token that changes an address is taken once, as one that confirms it. Raises Missing or Unclear."""
        change = self.email_change
        self._next_network()
        try:
            return await self._race_grants(
                change.confirm.form.operation.name, self._readdressing, "e-mail change"
            )
        except Unclear as reason:
            if change.provenance is Provenance.DECLARED:
                raise
            # What was found by its shape may be something else.
            raise Missing(f"Changes of the e-mail address were not raced: {reason}", EMAIL_CHANGE) from reason

    async def _race_grants(
        self, name: str, prepare: Callable[[], Awaitable[tuple[Account, HttpRequest]]], what: str
    ) -> Verdict:
        """Present a token many times at once to who answers a used one otherwise. Raises Missing or Unclear.

        `prepare` makes an account and the request that presents its token.
        """
        account, request = await prepare()
        alone = [
            await self.send(request, label=label, role=Role.CONTROL, operation=name)
            for label in (f"control: one {what}", "control: the same token afterwards")
        ]
        if alone[0].judgement is not None or not alone[0].reply.ok:
            raise Unclear(
                f"{name} did not take the token of the message ({alone[0].why or alone[0].status})."
            )
        if alone[1].judgement is not None:
            raise Unclear(f"{name} gave a token that was used no clear answer ({alone[1].why}).")
        if Fingerprint.of(alone[0].exchange.reply) == Fingerprint.of(alone[1].exchange.reply):
            raise Missing(
                f"Not applicable: {name} answers a used token as a good one: what is confirmed stays so.",
                applicable=False,
            )
        solo = max(0.001, min(answer.reply.took for answer in alone))
        races: list[Race] = []
        doubts: list[str] = []
        granted: list[tuple[Race, list[Answer]]] = []
        for number in range(ROUNDS):
            account, request = await prepare()
            request = replace(request, source=self._round_address(number))
            race = await self.together_now(
                [request] * TOGETHER, f"round {number + 1}: one {what}", name, solo
            )
            races.append(race)
            done = [answer for answer in race.answers if answer.judgement is None and answer.reply.ok]
            doubts += self.crashes_of(race)
            if len(done) > 1:
                granted.append((race, done))
            violation = await self._logins_of(name, done, account, race)
            if violation is not None:
                return Failed((violation,), tuple(self.evidence), tuple(self.notes))
        if len(granted) > 1:
            race, done = max(granted, key=lambda pair: len(pair[1]))
            message = (
                f"{name} granted one token {len(done)} times when it was presented {TOGETHER} times at once "
                f"({race.at_once} in work together), in {len(granted)} of {ROUNDS} rounds; one after the other, "
                "the second use is refused."
            )
            proofs = tuple(answer.exchange for answer in done[:4])
            return Failed(
                (Violation(name, message, Severity.LOW, proofs),), tuple(self.evidence), tuple(self.notes)
            )
        if granted:
            return Inconclusive(
                f"{name} granted one token {len(granted[0][1])} times in one round, and then no more.",
                "",
                tuple(self.evidence),
                tuple(self.notes),
            )
        return self.raced(races, doubts, f"{TOGETHER} uses of one {what} token were granted at most once")

    def _round_address(self, number: int) -> str:
        """Another address for each round: what is redeemed is limited by address."""
        return f"{self.address.rpartition('.')[0]}.{number + 1}"

    def _next_network(self) -> None:
        network, place = self.address.rsplit(".", 2)[0], int(self.address.split(".")[2])
        self.address = f"{network}.{1 + place % 254}.1"

    async def _confirming(self) -> tuple[Account, HttpRequest]:
        account, token = await self._unconfirmed()
        self.scene.recorder.redactor.learn(token)
        return account, self.verification.confirm.request(token, None, account.address)

    async def _readdressing(self) -> tuple[Account, HttpRequest]:
        """A new account that asked for another address, and the request that presents the token mailed there.

        Raises Missing or Unclear.
        """
        change = self.email_change
        account = await self.another_victim()
        live = (await self.log_in(account)).credential
        after = replace(account, email=f"n{self.scene.run_id}{self.word(8)}@example.com")
        request = change.request(after.address, account.password)
        operation = change.ask.operation.name

        async def ask() -> Answer:
            return await self.send(
                request.with_headers(*live.headers).with_query(*live.query),
                label=f"{account.label} asks for another e-mail address",
                operation=operation,
            )

        _, letter = await self.mailed(after, ask)
        if letter.token is None:
            raise Unclear(f"The message after {operation} holds nothing that looks like a token.")
        token = Secret(letter.token)
        self.scene.recorder.redactor.learn(token)
        redeemed = change.confirm.request(token, None, after.address)
        if change.confirm.form.operation.protected:
            redeemed = redeemed.with_headers(*live.headers).with_query(*live.query)
        return account, redeemed

    async def _unconfirmed(self) -> tuple[Account, Secret]:
        """An account and the unused token that confirms its address.

        A new account each time: many services send no second message to an address that is confirmed.
        """
        try:
            if self.target.register is not None:
                return await self.newcomer()
            account = await self.another_victim()
            return account, await self.verify_token(account)
        except Unclear as reason:
            raise Missing(f"Confirmations were not raced: {reason}", self._remedy(Need.VERIFY)) from reason

    async def _logins_of(
        self, name: str, done: list[Answer], account: Account, race: Race
    ) -> Violation | None:
        """Use the login that each confirmation gave, where it gives one: more than one that lives is the proof."""
        login = next(iter(self.distinct_logins()), None)
        if len(done) < 2 or login is None:
            return None
        found: dict[Secret, tuple[Answer, Credential]] = {}
        for answer in done:
            credential = login.read(answer.reply, account.label)
            if credential is not None:
                found.setdefault(credential.value, (answer, credential))
        if len(found) < 2:
            return None
        baseline = await self.baseline(self.witness, (await self.log_in(account)).credential)
        alive = await self.those_that_live(
            list(found.values())[:4], baseline, "use a login that a confirmation gave"
        )
        if len(alive) < 2:
            return None
        message = (
            f"{name} gave {len(found)} logins for one token that was presented {TOGETHER} times at once "
            f"({race.at_once} in work together); {len(alive)} of those tried work."
        )
        return Violation(name, message, None, tuple(itertools.chain(*alive)))
