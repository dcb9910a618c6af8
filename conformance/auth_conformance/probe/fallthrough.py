"""`must_not_ignore_bad_credentials`: what is presented and bad makes the request fail (checklist MIX103)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import (
    Expectation,
    Failed,
    Inconclusive,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.probe.answers import Shut
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.mixing import Pair
from auth_conformance.probe.refusal import Attempt
from auth_conformance.probe.schemes import declares
from auth_conformance.probe.sessions import Sessions
from auth_conformance.probe.stored import Stored
from auth_conformance.probe.ways import Ways

if TYPE_CHECKING:
    from auth_conformance.model import Exchange
    from auth_conformance.target import Operation, Witness


@dataclass(frozen=True, slots=True)
class Bad:
    """A credential that is bad in a way of its own, and the exchanges that made it so."""

    how: str
    credential: Credential
    ended: tuple[Exchange, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """A bad credential beside a good one at one operation. `taken` is None when the answer was unclear."""

    bad: Bad
    good: Credential
    first: str
    operation: str
    answer: Answer
    taken: bool | None

    @property
    def pair(self) -> tuple[str, str]:
        """Where the two stand."""
        return str(self.bad.credential.carrier), str(self.good.carrier)

    @property
    def words(self) -> str:
        """The trial, for people."""
        bad, good = self.pair
        return f"{self.bad.how} in {bad} with a good one in {good} ({self.first} first) at {self.operation}"


class Fallthrough(Sessions, Stored):
    """Puts a bad credential beside a good one."""

    async def must_not_ignore_bad_credentials(self) -> Verdict:
        """Refuse what is bad whatever stands beside it, or, by declared policy, ignore it everywhere alike.

        Raises Missing or Unclear.
        """
        ways = Ways(self)
        goods = await self._good_ones(ways)
        if len({good.carrier.kind for good in goods}) < 2:
            raise ways.too_few()
        trials: list[Trial] = []
        for bad_at in goods:
            bads = await self._bad_ones(bad_at)
            partners = {
                good.carrier.kind: good
                for good in reversed(goods)
                if good.carrier.kind is not bad_at.carrier.kind
                and (good.carrier.place, good.carrier.name) != (bad_at.carrier.place, bad_at.carrier.name)
            }
            for good in partners.values():
                trials += await self._tried(bads, good, bad_at)
        if not trials:
            raise Missing("Not tested: no two kinds of credentials fit into one request.")
        verdict = await self._judged_trials(trials)
        for good in goods:
            await self.must_live(self.witness, good, await self.baseline(self.witness, good), "alone, after")
        return ways.settled(replace(verdict, evidence=tuple(self.evidence)))

    async def _good_ones(self, ways: Ways) -> list[Credential]:
        """A's live credential in each carrier that the witness takes it from."""
        found = []
        for carrier in self.target.carriers:
            try:
                live = (await self.credential(carrier.kind)).moved_to(carrier)
                baseline = await self.baseline(self.witness, live)
                await self.must_live(self.witness, live, baseline, "alone, before")
                bland = await self.attempt(
                    self.witness,
                    Attempt(f"control: a bad credential alone in {carrier}", self.bland(live)),
                    baseline,
                    role=Role.CONTROL,
                )
            except (Missing, Unclear) as reason:
                ways.closed(str(carrier), reason)
                continue
            if bland.rejected:
                found.append(live)
            else:
                told = f"a wrong credential alone is not clearly refused ({bland.why})"
                ways.closed(str(carrier), Shut(told) if bland.accepted else Unclear(told))
        return found

    async def _bad_ones(self, live: Credential) -> list[Bad]:
        bads = [Bad("a made-up credential", self.bland(live)), Bad("nonsense", live.with_value("x"))]
        token = live.jwt
        if token is not None:
            bads.append(Bad("a wrong signature", live.with_value(token.with_flipped_signature().text)))
        for how, make in (("an expired token", self._expired), ("a revoked credential", self._just_revoked)):
            try:
                dead, ended = await make(live)
            except (Missing, Unclear) as reason:
                self.notes.append(f"{how} for {live.carrier}: not tried ({reason})")
                continue
            if dead is not None and (alive := await self._lives_on(how, dead)):
                self.notes.append(f"{how} for {live.carrier}: not tried ({alive})")
            elif dead is not None:
                bads.append(Bad(how, dead, ended))
            elif how == "a revoked credential":
                self.notes.append(f"{how} for {live.carrier}: not tried (nothing is known that ends one)")
        return bads

    async def _lives_on(self, how: str, dead: Credential) -> str:
        """Why a credential that should be bad may be good: what gets in alone is ignored by nobody. "" when refused."""
        answer = await self.attempt(
            self.witness,
            Attempt(f"control: {how} alone in {dead.carrier}", dead),
            await self.baseline(self.witness, await self.credential(dead.carrier.kind)),
            role=Role.CONTROL,
        )
        return "" if answer.rejected else f"alone it is not clearly refused: {answer.why or answer.status}"

    async def _expired(self, live: Credential) -> tuple[Credential | None, tuple[Exchange, ...]]:
        if live.carrier.kind is not Kind.BEARER or live.jwt is None:
            return None, ()
        forge = await self.forge()
        claims = forge.late_claims(self.scene.recorder.clock.now(), 100_000, self.rng.randrange(1 << 30))
        return live.with_value(forge.credential(claims).value.reveal()), ()

    async def _just_revoked(self, live: Credential) -> tuple[Credential | None, tuple[Exchange, ...]]:
        """A key that was deleted, or a session that was logged out, of an account made for that."""

        async def revoke() -> tuple[Credential | None, tuple[Exchange, ...]]:
            another = Fallthrough(self.scene, self.rule)
            return await another.revoke(live), tuple(another.evidence)

        return await self.scene.once(("revoked", live.carrier.kind), revoke)

    async def revoke(self, live: Credential) -> Credential | None:
        """Make a credential and end it. Called once per kind and run."""
        kind = live.carrier.kind
        if kind is Kind.KEY:
            keys = self.target.keys
            if keys is None or keys.revoke is None or keys.identifier is None:
                return None
            key, answer = await self.make_key()
            await self.revoke_key(answer)
            return live.with_value(key.value.reveal())
        logout = next((item for item in self.target.logouts if item.kind is kind), None)
        # Where nobody can register it is a session of B: what is good here is A's.
        account = await self.disposable("revoked", kind) or self.target.accounts.get("b")
        if logout is None or account is None or account.password is None or self.target.login(kind) is None:
            return None
        session = await self.sign_in(account, kind)
        await self.call(logout.operation, session.credential, label="log out")
        if not account.expendable:
            self.forget_shared(account)
        return live.with_value(session.credential.value.reveal())

    async def _tried(self, bads: list[Bad], good: Credential, kin: Credential) -> list[Trial]:
        """Each of the bad ones beside the good one; `kin` is what would be good in their place."""
        trials: list[Trial] = []
        for bad in bads:
            await self.paced()
            both_headers = bad.credential.headers and good.headers
            orders = ("bad", "good")[: 2 if both_headers and bad is bads[0] else 1]
            trials += [await self._at_witness(self.witness, bad, good, order) for order in orders]
        if self.target.second is not None:
            try:
                if await self._taken_there(self.witness_for(good, self.target.second), kin):
                    trials.append(await self._at_witness(self.target.second, bads[0], good, "bad"))
            except Unclear as reason:
                self.notes.append(f"not tried there: {reason}")  # a key may lack the scope
        change = await self._at_change(bads[0], good, kin)
        return [*trials, *([change] if change else [])]

    async def _taken_there(self, witness: Witness, kin: Credential) -> bool:
        """Whether an operation looks at all where the bad one stands: else it has nothing to ignore. Raises Unclear."""
        if not declares(witness.operation, kin.carrier):
            return False
        alone = await self.scene.once(
            ("taken there", witness.operation.name, kin.carrier),
            lambda: Fallthrough(self.scene, self.rule).call(
                witness.operation, kin, label="control: a good one alone", role=Role.CONTROL
            ),
        )
        return alone.reply.ok or alone.status == HTTPStatus.FORBIDDEN

    async def _at_witness(self, witness: Witness, bad: Bad, good: Credential, order: str) -> Trial:
        witness = self.witness_for(good, witness)  # what a key opens may be another operation
        baseline = await self.baseline(witness, good)
        pair = Pair(bad.credential, good) if order == "bad" else Pair(good, bad.credential)
        label = f"{bad.how} in {bad.credential.carrier} with a good one in {good.carrier} ({order} first)"
        attempt = Attempt(label, headers=pair.headers, query=pair.query)
        answer = await self.attempt(witness, attempt, baseline)
        taken = True if answer.accepted else (False if answer.rejected else None)
        return Trial(bad, good, order, witness.operation.name, answer, taken)

    async def _at_change(self, bad: Bad, good: Credential, kin: Credential) -> Trial | None:
        """The same at an operation that changes something, if the good one alone may, and `kin` is looked at."""
        objects = self.target.objects
        if objects is None or not all(declares(objects.create, item.carrier) for item in (good, kin)):
            return None
        body = dict(objects.template)

        async def alone(live: Credential) -> Answer:
            return await self.scene.once(
                ("may create", live.carrier),
                lambda: Fallthrough(self.scene, self.rule).call(
                    objects.create, live, label="control: alone", body=body
                ),
            )

        known = await alone(kin)
        if not (await alone(good)).reply.ok or not (known.reply.ok or known.status == HTTPStatus.FORBIDDEN):
            return None
        answer = await self._created(objects.create, bad, good, body)
        if answer.judgement is not None:
            return Trial(bad, good, "bad", objects.create.name, answer, None)
        return Trial(bad, good, "bad", objects.create.name, answer, answer.reply.ok)

    async def _created(
        self, create: Operation, bad: Bad, good: Credential, body: dict[str, object]
    ) -> Answer:
        pair = Pair(bad.credential, good)
        return await self.call(
            create,
            label=f"{bad.how} in {bad.credential.carrier} with a good one in {good.carrier}",
            role=Role.ATTACK,
            headers=pair.headers,
            query=pair.query,
            body=body,
        )

    async def _judged_trials(self, trials: list[Trial]) -> Verdict:
        violations: list[Violation] = []
        groups: dict[tuple[str, str], list[Trial]] = {}
        for trial in trials:
            groups.setdefault(trial.pair, []).append(trial)
        ignored = []
        for group in groups.values():
            taken = [trial for trial in group if trial.taken]
            refused = [trial for trial in group if trial.taken is False]
            if not taken or self._tolerated(taken[0]):
                continue
            ignored.append(taken[0].words)
            if refused:
                violations.append(self._violation(taken[0], refused[0]))
            elif not self.target.policy.first_valid_wins:
                violations.append(self._violation(taken[0], None))
        again = [violation for violation in violations if await self._still(violation, trials)]
        evidence = tuple(self.evidence)
        notes = (*self.notes, *(f"ignored: {words}" for words in ignored[:8]))
        if again:
            return Failed(tuple(again[:6]), evidence, notes)
        unclear = next((trial for trial in trials if trial.taken is None), None)
        if violations or unclear is not None:
            reason = (
                f"{unclear.words}: {unclear.answer.why}"
                if unclear
                else "A bad credential was ignored once, and then not."
            )
            return Inconclusive(
                reason, self.policy_remedy(unclear.answer) if unclear else "", evidence, notes
            )
        how = "refused" if not ignored else "treated alike, as declared"
        return Passed(f"{len(trials)} requests with a bad and a good credential were {how}.", evidence, notes)

    def _tolerated(self, trial: Trial) -> bool:
        """A browser sends its stale cookie beside a fresh token: by declaration that is fine."""
        kinds = (trial.bad.credential.carrier.kind, trial.good.carrier.kind)
        return self.target.policy.stale_cookie_ignored and kinds == (Kind.COOKIE, Kind.BEARER)

    @staticmethod
    def _violation(taken: Trial, refused: Trial | None) -> Violation:
        attack = taken.answer.exchange
        expected = Expectation("refused", about=attack.number)
        if refused is None:
            message = f"{taken.operation} ignores {taken.words}."
            proof = (attack, *taken.bad.ended)
            return Violation(taken.operation, message, Severity.LOW, proof, expected)
        message = f"{taken.operation} ignores {taken.words}, while {refused.words} is refused."
        proof = (attack, refused.answer.exchange, *taken.bad.ended)
        return Violation(taken.operation, message, Severity.MEDIUM, proof, expected)

    async def _still(self, violation: Violation, trials: list[Trial]) -> bool:
        """RP: the one that was let in is sent once more."""
        trial = next(item for item in trials if item.answer.exchange is violation.evidence[0])
        request = replace(trial.answer.request, fresh=True)
        answer = await self.send(request, label=f"again: {trial.words}", role=Role.ATTACK)
        return answer.reply.ok
