"""`must_be_single_use` and `must_register_once`: the same thing asked for many times at the same moment."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from auth_conformance.model import (
    Exchange,
    Failed,
    Inconclusive,
    Masked,
    Need,
    Outcome,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.probe.accountrows import AccountRows
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.handed import Handed, Handing, handed_out
from auth_conformance.probe.invitations import OPEN, Invitations, Taken
from auth_conformance.probe.mailraces import MailRaces
from auth_conformance.probe.memberships import Membership, memberships
from auth_conformance.probe.rotation import Reuse
from auth_conformance.probe.secondfactor import SecondFactor
from auth_conformance.probe.slots import SlotRaces
from auth_conformance.probe.volleys import ROUNDS, TOGETHER, Race
from auth_conformance.secret import Secret
from auth_conformance.target import Account

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from auth_conformance.credentials import Kind
    from auth_conformance.probe.rotation import Renewal
    from auth_conformance.target import Login, Register
    from auth_conformance.transports.message import HttpRequest

REGISTRATIONS = 10
# What a limit of so many registrations per minute has forgotten, in seconds.
WINDOW = 120.0


class Races(MailRaces, SlotRaces, Reuse, AccountRows):
    """Presents one value, or asks for one name, many times together."""

    # Refresh tokens.

    async def must_be_single_use(self) -> Verdict:
        """One-time values of every kind work once when presented many times at once. Raises Missing or Unclear."""
        verdicts: list[Verdict] = []
        left: list[Missing] = []
        for race in (
            *(self._race_refreshes, self.race_resets, self.race_verifications),
            *(self.race_email_changes, self.race_slots, self._race_hand_outs),
            *(self._spent_invitations, self._spent_codes),
        ):
            try:
                verdicts.append(await race())
            except Missing as reason:
                left.append(reason)
            except Unclear as reason:
                verdicts.append(reason.verdict)  # what another race has shown stands
        if not verdicts:
            raise left[0]
        self.notes += [str(reason) for reason in left]
        verdict = self.gravest(verdicts)
        if isinstance(verdict, Passed):
            told = " ".join(item.reason for item in verdicts if isinstance(item, Passed))
            return Passed(told, tuple(self.evidence), tuple(self.notes))
        return verdict

    async def _race_hand_outs(self) -> Verdict:
        """A code that logs somebody in is taken once: another device is let in with it, and nobody after that.

        Raises Missing or Unclear.
        """
        login = next(iter(self.distinct_logins()), None)
        for item in handed_out(self.target) if login is not None else ():
            if not item.redeems:
                continue
            name = item.taker.name
            _, request = await self._handed_request(item)
            uses = [
                await self.send(request, label=label, role=Role.CONTROL, operation=name)
                for label in ("control: one use of a code", "control: the same code afterwards")
            ]
            if login is None or login.read(uses[0].reply, "a") is None or uses[1].judgement is not None:
                continue
            if uses[1].reply.ok:
                return await self._worked_again(name, login, uses)
            return await self._race_grants(name, partial(self._handed_request, item), "login code")
        raise Missing("Not applicable: no operation takes a code and gives a login.", applicable=False)

    async def _spent_codes(self) -> Verdict:
        """The code of a second factor lets nobody in twice. Raises Missing or Unclear."""
        factor = SecondFactor(self.scene, self.rule)
        violations = await factor.used_code_again()
        self.evidence += factor.evidence
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, notes)
        return Passed("A code of a second factor that was used let nobody in.", evidence, notes)

    async def _spent_invitations(self) -> Verdict:
        """An invitation works once, for whom it names, and until it is taken back. Raises Missing or Unclear."""
        group = next(memberships(self.target), None)
        if group is None or "b" not in self.target.accounts:
            raise Missing("Not applicable: nobody is invited in a role that only looks.", applicable=False)
        inviting = Invitations(self.scene, self.rule)
        found = [await self._by_invitation(inviting.used_again, group)]
        for more in (inviting.withdrawn, inviting.of_another):
            try:
                found.append(await self._by_invitation(more, group))
            except (Missing, Unclear) as unseen:
                self.notes.append(f"not judged: {unseen}")
        self.evidence += inviting.evidence
        told = [item for item in found if item is not None]
        open_to_all = self.target.policy.open_invitations
        if open_to_all:
            told = [item for item in told if item.severity is None]
        graver = [item for item in told if item.severity is None or open_to_all is False]
        if graver:
            return Failed(tuple(item.violation() for item in graver), tuple(self.evidence), tuple(self.notes))
        if told:
            reason = f"{told[0].message} Whether whoever has one may use it, nothing says."
            return Inconclusive(reason, OPEN, tuple(self.evidence), tuple(self.notes))
        reason = "An invitation that was used let nobody back in who was put out."
        return Passed(reason, tuple(self.evidence), tuple(self.notes))

    @staticmethod
    async def _by_invitation(
        attack: Callable[[Membership], Awaitable[Taken | None]], group: Membership
    ) -> Taken | None:
        """What an invitation did two times out of two."""
        first = await attack(group)
        if first is None:
            return None
        second = await attack(group)
        if second is None:
            raise Unclear(f"{first.message.removesuffix('.')}: once, and then not.")
        return replace(second, proof=(*first.proof, *second.proof))

    async def _handed_request(self, item: Handed) -> tuple[Account, HttpRequest]:
        async with Handing(self.scene, self.rule).handing(item) as hand_out:
            _, value = await hand_out()
        return self.account(), item.taking(value)

    async def _worked_again(self, name: str, login: Login, uses: list[Answer]) -> Verdict:
        """Whether each use of one code gave a login that lives."""
        found = [(answer, login.read(answer.reply, "a")) for answer in uses]
        issued = [(answer, credential) for answer, credential in found if credential is not None]
        baseline = await self.baseline(self.witness, await self.credential(login.carrier.kind))
        alive = await self.those_that_live(issued, baseline, "use a login that one code gave")
        if len(alive) < 2 or len({credential.value for _, credential in issued}) < 2:
            raise Missing(f"Not applicable: {name} gives no second login for one code.", applicable=False)
        message = (
            f"{name} gave a login for a code that had been used: whoever sees one later is let in with it."
        )
        violation = Violation(name, message, None, tuple(itertools.chain(*alive)))
        return Failed((violation,), tuple(self.evidence), tuple(self.notes))

    async def _race_refreshes(self) -> Verdict:
        if self.target.refresh is None:
            absent = self.target.absent.get(Need.REFRESH)
            raise Missing(
                f"Not applicable: {absent}" if absent else "No refresh operation is known.",
                self._remedy(Need.REFRESH),
                applicable=absent is None,
            )
        if self.target.policy.refresh_window > 0:
            raise Missing(
                "Not applicable: refresh tokens may come back within a declared window.", applicable=False
            )
        if self.target.policy.bound_refresh_tokens:
            raise Missing(
                "Not applicable: refresh tokens may be used again by the client that they are bound to.",
                applicable=False,
            )
        account = await self.disposable("lifecycle") or self.account()
        kind = await self._refreshing_kind(account)
        masked, solo = await self._alone(account, kind)
        if masked is not None:
            return masked
        races: list[Race] = []
        doubts: list[str] = []
        for number in range(ROUNDS):
            session = await self._family(account, kind)
            request = self.refresh_flow.request(self._token_of(session))
            race = await self.together_now(
                [request] * TOGETHER,
                f"round {number + 1}: one refresh token",
                self.refresh_flow.operation.name,
                solo,
            )
            races.append(race)
            violation = await self._children(race, session.credential.carrier.kind, number)
            if violation is not None:
                return Failed((violation,), tuple(self.evidence), tuple(self.notes))
            doubts += self.crashes_of(race)
        verdict = self.raced(
            races, doubts, f"{TOGETHER} uses of one refresh token gave at most one living child"
        )
        await self._still_refreshes(account, kind)
        return verdict

    async def _alone(self, account: Account, kind: Kind) -> tuple[Masked | None, float]:
        """Use a token once and once more, one after the other: what that takes, and that the second is refused."""
        session = await self._family(account, kind)
        token = self._token_of(session)
        first, renewal = await self.renew(token, "control: one use", Role.CONTROL)
        if renewal is None:
            raise Unclear(f"An honest refresh was refused ({first.why or first.status}).")
        second, again = await self.renew(token, "control: a second use afterwards", Role.CONTROL)
        if again is not None and again.access != renewal.access:
            return Masked("LIF107", "a used refresh token works again anyhow", tuple(self.evidence)), 0.0
        return None, max(0.001, min(first.reply.took, second.reply.took))

    async def _children(self, race: Race, kind: Kind, number: int) -> Violation | None:
        """Use each distinct child once; more than one that gets in is the proof."""
        children: dict[Secret, tuple[Answer, Renewal]] = {}
        for answer in race.answers:
            renewal = self.renewal(answer)
            if renewal is not None and renewal.access is not None:
                children.setdefault(renewal.access, (answer, renewal))
        if len(children) < 2:
            return None
        live = await self.credential(kind)
        baseline = await self.baseline(self.witness, live)
        issued = [
            (answer, replace(live, value=access, companions=())) for access, (answer, _) in children.items()
        ]
        alive = await self.those_that_live(issued, baseline, "use a child of the race")
        if len(alive) < 2:
            self.notes.append(f"round {number + 1}: {len(children)} children, of which {len(alive)} lived")
            return None
        operation = self.refresh_flow.operation.name
        message = (
            f"{operation} gave {len(children)} different tokens for one refresh token that was presented "
            f"{len(race.answers)} times at once ({race.at_once} in work together); {len(alive)} of them work."
        )
        return Violation(operation, message, None, tuple(itertools.chain(*alive))[:8])

    async def _still_refreshes(self, account: Account, kind: Kind) -> None:
        session = await self._family(account, kind)
        _, renewal = await self.renew(
            self._token_of(session), "control: a new login can refresh", Role.CONTROL
        )
        if renewal is None:
            raise Unclear("A new login could not refresh any more: refusals were refusals of everything.")

    # Registrations.

    async def must_register_once(self) -> Verdict:
        """Simultaneous registrations of one name must make one account. Raises Missing or Unclear."""
        register = self.target.register
        if register is None:
            raise Missing("Nobody can register here.", self.target.remedies.get(Need.REGISTER, ""))
        known, solo = await self._second_is_refused(register)
        raced: list[str] = []
        races: list[Race] = []
        crashed: list[Answer] = []
        doubts: list[str] = []
        moved = 0.0
        for number in range(ROUNDS):
            pretenders = self._pretenders(register)
            raced += dict.fromkeys(item.username for item in pretenders)
            for _ in range(2):
                race = await self._registration_race(register, pretenders, number, solo, moved)
                if len(race.answers) - race.throttled > 1 or not self.target.in_process:
                    break
                moved += WINDOW  # the service limits registrations by time: let that time pass for it
            races.append(race)
            if len(race.answers) - race.throttled < 2:
                self.notes.append(f"round {number + 1}: throttled")
                break
            crashed += [answer for answer in race.answers if answer.outcome is Outcome.CRASHED]
            violation = await self._all_get_in(register, pretenders, race, moved, doubts)
            if violation is not None:
                return Failed((violation,), tuple(self.evidence), tuple(self.notes))
        proofs = tuple(answer.exchange for race in races[:1] for answer in race.answers[:2])
        found = await self.rows_of_race(known, raced, register.operation.name, proofs)
        if found:
            return Failed(tuple(found), tuple(self.evidence), tuple(self.notes))
        if crashed:
            return self._losers_crashed(register.operation.name, crashed)
        return self.raced(races, doubts[:1], f"{REGISTRATIONS} registrations of one name made one account")

    def _losers_crashed(self, name: str, crashed: list[Answer]) -> Verdict:
        """Losers of the race must be refused: a 500 is a finding, no answer at all may be our load."""
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        answered = [answer for answer in crashed if answer.status is not None]
        message = f"{name} crashed for {len(crashed)} of the simultaneous registrations ({crashed[0].why})."
        if len(answered) < 2:
            return Inconclusive(message, "", evidence, notes)
        proofs = tuple(answer.exchange for answer in answered[:2])
        return Failed((Violation(name, message, Severity.LOW, proofs),), evidence, notes)

    async def _second_is_refused(self, register: Register) -> tuple[Account, float]:
        """Register a name twice, one after the other: whose it is by then, and what one takes, in seconds."""
        first = await self.expendable()
        await self.log_in(first)
        second = replace(first, password=Secret(self.password()))
        answer = await self.send(
            register.request(second.username, second.password or Secret("")),
            label="control: the same name once more",
            role=Role.CONTROL,
            operation=register.operation.name,
        )
        if answer.judgement is not None and answer.outcome is not Outcome.THROTTLED:
            raise Unclear(
                f"{register.operation.name} gave no clear answer to a name that is taken ({answer.why})."
            )
        if await self._gets_in(second, 0.0) is not None:
            raise Unclear(
                f"{register.operation.name} gives a name that is taken to whoever asks: CRD111 says more."
            )
        return first, max(0.001, answer.reply.took)

    def _pretenders(self, register: Register) -> list[Account]:
        """Make accounts of one name, each with a password of its own, some with the name in another case."""
        name = f"x{self.scene.run_id}{self.word(8)}"
        username = f"{name}@example.com" if register.user_style == "email" else name
        found = []
        for number in range(REGISTRATIONS):
            password = Secret(self.password())
            self.scene.recorder.redactor.learn(password)
            spelled = username if number % 3 else username.replace(name, name.capitalize())
            found.append(Account(f"race-{number}", spelled, password, expendable=True))
        return found

    async def _registration_race(
        self, register: Register, pretenders: list[Account], number: int, solo: float, moved: float
    ) -> Race:
        return await self.together_now(
            [register.request(item.username, item.password or Secret("")) for item in pretenders],
            f"round {number + 1}: one name",
            register.operation.name,
            solo,
            moved=moved,
        )

    async def _gets_in(self, account: Account, moved: float) -> Answer | None:
        """The answer that let this account in; None where it was refused. Raises Unclear."""
        answer, login = await self.try_login(
            account, account.password, label=f"log in as {account.label}", moved=moved, role=Role.ATTACK
        )
        if answer.judgement is not None:
            raise Unclear(f"Whether {account.label} got in was not seen ({answer.why}).")
        return answer if login.read(answer.reply, account.label) is not None else None

    async def _all_get_in(
        self,
        register: Register,
        pretenders: list[Account],
        race: Race,
        moved: float,
        doubts: list[str],
    ) -> Violation | None:
        """Log in with each password, by one spelling of the name, then by the own: who gets in is an account."""
        owners: dict[str, Exchange] = {}
        names: dict[str, str] = {}
        # Whose registration was granted comes first: after some wrong passwords a limit may refuse them all.
        for account, registered in sorted(zip(pretenders, race.answers, strict=True), key=_was_refused):
            try:
                answer = await self._gets_in(account, moved)
            except Unclear as reason:
                (self.notes if _was_refused((account, registered)) else doubts).append(str(reason))
                break
            if answer is None:
                continue
            with contextlib.suppress(Missing, Unclear):
                session = await self.log_in(account, moved=moved)
                self.scene.made_accounts.append((account, session.credential))
            owners[account.label] = answer.exchange
            names[account.label] = account.username
        if not owners:
            doubts.append(f"No password of the {len(race.answers)} that registered one name at once logs in")
        if len(owners) < 2:
            return None
        if len(set(names.values())) == len(names):
            # Names that differ in case only are two accounts by design here: CRD115 judges that.
            self.notes.append("names that differ in case only are different accounts")
            return None
        message = (
            f"{register.operation.name} made {len(owners)} accounts of one name that was registered "
            f"{len(race.answers)} times at once ({race.at_once} in work together): each password logs in."
        )
        return Violation(register.operation.name, message, None, tuple(owners.values())[:4])


def _was_refused(asked: tuple[Account, Answer]) -> bool:
    return not asked[1].granted
