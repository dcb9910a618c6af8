"""`must_need_privilege`: operations of administrators, called by somebody who is none."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import (
    Exchange,
    Expectation,
    Failed,
    Inconclusive,
    Need,
    Passed,
    Role,
    Verdict,
    Violation,
)
from auth_conformance.oracles.entry import Fingerprint
from auth_conformance.oracles.normalise import masked
from auth_conformance.oracles.pointer import put
from auth_conformance.probe.core import Answer, Missing, Session, Unclear
from auth_conformance.probe.looking import Looking
from auth_conformance.probe.newcomers import Newcomers
from auth_conformance.probe.ranks import Privileged, parameters
from auth_conformance.target import Operation
from auth_conformance.transports.recorder import BudgetExceededError

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.target import Account, Writing
    from auth_conformance.transports.message import HttpRequest

MOST_PRIVILEGED = 30


@dataclass(slots=True)
class Victim:
    """An expendable account at which privileged operations are aimed, and what is known about it."""

    account: Account
    session: Session
    facts: dict[str, str]


@dataclass(slots=True)
class Findings:
    """What the calls showed so far."""

    violations: list[Violation] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    confirmed: set[str] = field(default_factory=set)
    owned: set[str] = field(default_factory=set)  # where the owner of the account got through
    undecided: list[str] = field(default_factory=list)

    def accuse(self, item: Privileged, message: str, proof: tuple[Exchange, ...]) -> None:
        """A was let in: a finding, or a question where nothing but its place says that A must not be."""
        name = item.operation.name
        if item.suspected:
            self.doubts.append(f"{message.removesuffix('.')}, and nothing says who may")
            self.undecided.append(name)
        else:
            self.violations.append(Violation(name, message, None, proof, Expectation("refused")))


@dataclass(frozen=True, slots=True)
class Standing:
    """How an expendable account stands: what the administrator and it itself see."""

    seen: str
    own: str


class Privilege(Newcomers):
    """Calls privileged operations with each credential of an ordinary user."""

    async def must_need_privilege(self) -> Verdict:
        """Privileged operations must refuse A, while an administrator gets through. Raises Missing or Unclear."""
        raised = await self._raised_by_visitors() if "b" in self.target.accounts else []
        if raised:
            return Failed(tuple(raised), tuple(self.evidence), tuple(self.notes))
        admin = await self.credential(owner="admin") if "admin" in self.target.accounts else None
        live = await self.credential()
        operations = await self.privileged(admin, live)
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, "before")
        self._own_voice_here = baseline.refusals
        attackers = await self._credentials_of_a()
        shown = await self.shown_as_administrator(live) if admin is None else ""
        if shown and operations:
            attackers = await self.newcomers_credentials(shown)
        findings = Findings()
        for seen in await self.shown_to_newcomers(self._left_out):
            findings.violations += [seen.violation()] if seen.registered else []
            if not (seen.registered or shown):
                findings.doubts.append(f"{seen.told}, and whether everybody may, nothing says")
                findings.undecided.append(seen.item.operation.name)
        for item in operations[:MOST_PRIVILEGED]:
            try:
                if item.reads:
                    await self._read_as(item, attackers, admin, findings)
                else:
                    await self._change_as(item, attackers, admin, findings)
            except (Unclear, Missing) as reason:
                findings.doubts.append(f"{item.operation.name}: {reason}")
        findings.doubts += [
            f"{item.operation.name}: there are too many" for item in operations[MOST_PRIVILEGED:]
        ]
        await self.must_live(self.witness, await self.credential(fresh=True), baseline, "after")
        decided = findings.violations or findings.undecided or admin
        if not (decided or any(item.declared for item in operations)) and (
            self._left_out or findings.doubts or not findings.owned
        ):
            self.nothing_privileged(hinted=True)
        return self._privilege_verdict(findings, attackers)

    async def _raised_by_visitors(self) -> list[Violation]:
        """What B does whom A has let in to look; what was found before the budget was used up stands."""
        visitor = Looking(self.scene, self.rule)
        found: list[Violation] = []
        try:
            for tried in (
                *(visitor.raised_by_oneself, visitor.done_by_looking),
                *(visitor.invited_by_looking, visitor.put_out_by_looking),
            ):
                found += await tried()
        except BudgetExceededError:
            if not found:
                raise
        finally:
            self.evidence += visitor.evidence
        return found

    def _privilege_verdict(self, findings: Findings, attackers: dict[str, Credential]) -> Verdict:
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if findings.violations:
            return Failed(tuple(findings.violations), evidence, (*notes, *findings.doubts))
        if findings.doubts:
            more = f" (and {len(findings.doubts) - 1} more)" if len(findings.doubts) > 1 else ""
            remedy = "" if "admin" in self.target.accounts else self.target.remedies.get(Need.ADMIN, "")
            if findings.undecided:
                listed = ", ".join(f'"{name}"' for name in findings.undecided)
                remedy = (
                    f"[policy]\nprivileged_operations = [{listed}]  # those that only administrators may call\n"
                    f"public_operations = [{listed}]  # those that everybody may"
                )
            return Inconclusive(findings.doubts[0] + more, remedy, evidence, notes)
        if "admin" in self.target.accounts and not findings.confirmed | findings.owned:
            reason = "The administrator got through nowhere: refusals of an ordinary user prove nothing."
            return Inconclusive(reason, "", evidence, notes)
        if not findings.refused:
            return Inconclusive("No privileged operation could be called.", "", evidence, notes)
        reason = (
            f"{len(findings.refused)} privileged operations refused an ordinary user with {', '.join(attackers)}; "
            f"an administrator got through at {len(findings.confirmed)} of them"
            f"{f', and at {len(findings.owned)} the owner of the account' if findings.owned else ''}."
        )
        return Passed(reason, evidence, notes)

    async def _credentials_of_a(self) -> dict[str, Credential]:
        """Return every kind of credential that A owns, the refresh token among them."""
        found: dict[str, Credential] = {}
        for kind in self.kinds():
            with contextlib.suppress(Missing, Unclear):
                found[f"a {kind.value} credential"] = await self.credential(kind)
        account = self.account()
        if (
            account.password is not None
            and Kind.BEARER in self.kinds()
            and self.target.login(Kind.BEARER) is not None
        ):
            session = await self.sign_in(account, Kind.BEARER)
            if session.refresh is not None:
                found["a refresh token"] = replace(session.credential, value=session.refresh)
        if not found:
            raise Missing(
                "No credential of an ordinary user is known.", self.target.remedies.get(Need.LOGIN, "")
            )
        return found

    # Reading.

    async def _read_as(
        self, item: Privileged, attackers: dict[str, Credential], admin: Credential | None, findings: Findings
    ) -> None:
        operation, name = item.operation, item.operation.name
        aimed = self._aim(operation, await self._victim()) if parameters(operation) else {}
        request = self._valid_request(operation, aimed)
        allowed = (
            await self._send_as(request, admin, f"control: an administrator calls {name}", operation)
            if admin
            else None
        )
        if item.because == "guessed" and (allowed is None or not allowed.reply.ok):
            return
        anonymous = await self._send_as(request, None, f"control: a stranger calls {name}", operation)
        if anonymous.reply.ok and allowed is not None and _alike(anonymous, allowed):
            self.notes.append(f"{name} is open to strangers: DOC101 says more")
            return
        for label, credential in attackers.items():
            answer = await self._send_as(
                request, credential, f"{label} of A at {name}", operation, Role.ATTACK
            )
            proof = self._read_proof(item, answer, allowed, anonymous)
            if proof:
                again = await self._send_as(
                    replace(request, fresh=True),
                    credential,
                    f"again: {label} of A at {name}",
                    operation,
                    Role.ATTACK,
                )
                if not self._read_proof(item, again, allowed, anonymous):
                    findings.doubts.append(f"{name}: shown to an ordinary user once, then not")
                    return
                shown = (allowed.exchange,) if allowed is not None else ()
                evidence = (*shown, answer.exchange, again.exchange)
                message = f"{name} ({item.because}) answered an ordinary user with {label}: {proof}."
                findings.violations.append(Violation(name, message, None, evidence, Expectation("refused")))
                return
            self._weigh_refusal(item, label, answer, allowed, findings)
        if allowed is not None and allowed.reply.ok:
            findings.confirmed.add(name)

    def _read_proof(self, item: Privileged, answer: Answer, allowed: Answer | None, anonymous: Answer) -> str:
        """Return what proves that A was let in; "" when nothing does."""
        if not answer.reply.ok or answer.judgement is not None:
            return ""
        if anonymous.reply.ok and _alike(anonymous, answer):
            return ""
        if allowed is None:
            return "it is declared privileged, and strangers get something else" if item.declared else ""
        if allowed.reply.ok and _alike(allowed, answer) and answer.reply.body:
            return "the body that an administrator gets"
        admin = self.target.accounts["admin"].username
        if admin in answer.reply.text and admin not in anonymous.reply.text:
            return "the body names the administrator's account"
        return ""

    def _weigh_refusal(
        self, item: Privileged, label: str, answer: Answer, allowed: Answer | None, findings: Findings
    ) -> None:
        """Count a refusal that proves something; tell the others in words."""
        name, status = item.operation.name, answer.status or 0
        if answer.judgement is not None:
            findings.doubts.append(f"{name} with {label}: {answer.why}")
        elif status < 400 and not answer.reply.soft:
            told = f"{name} answered {label} of an ordinary user {status}, but not what an administrator gets"
            (findings.doubts if item.declared or not item.reads else self.notes).append(told)
        elif answer.reply.soft and allowed is not None and allowed.reply.ok:
            findings.refused.add(name)  # in the words of this service, where an administrator is let in
        elif not any(Fingerprint.of(answer.exchange.reply).akin(known) for known in self._own_voice_here):
            findings.doubts.append(f"{name} with {label}: a {status} unlike this application's own refusals")
        elif status in (401, 403) or (status == 404 and allowed is not None and allowed.reply.ok):
            findings.refused.add(name)
        elif allowed is not None and allowed.reply.ok:
            self.notes.append(f"{name} validates before it authorises: {status} for an ordinary user, low")
            findings.doubts.append(
                f"{name} refused {label} with {status}, which may be about the request, not the caller"
            )
        else:
            told = f"{name} refused {label} with {status}, and no administrator's success shows why"
            (findings.doubts if not item.reads or item.declared else self.notes).append(told)

    # Changing, aimed at an expendable account.

    async def _change_as(
        self, item: Privileged, attackers: dict[str, Credential], admin: Credential | None, findings: Findings
    ) -> None:
        operation, name = item.operation, item.operation.name
        victim = await self._victim()
        values = self._aim(operation, victim)
        own = self._profile_at(operation) is not None
        if own and not values:
            self.notes.append(f"{name} was not called: nobody is expendable whose account it may change")
            return
        request = self._valid_request(operation, values, victim)
        before = await self._standing(operation, values, victim, admin)
        answers: dict[str, Answer] = {}
        for label, credential in attackers.items():
            answers[label] = await self._send_as(
                request, credential, f"{label} of A at {name}", operation, Role.ATTACK
            )
            if answers[label].reply.ok:
                break
        after = await self._standing(operation, values, victim, admin)
        label, last = list(answers.items())[-1]
        if last.reply.ok and after != before:
            await self._had_effect(item, label, attackers[label], last, admin=admin, findings=findings)
        elif own and await self._owner_changes(operation, values, request, victim=victim, admin=admin):
            findings.owned.add(name)
            self._weigh_profile(item, answers, findings)
        else:
            last_one = attackers[label]
            await self._compared(
                item, request, answers, values=values, credential=last_one, admin=admin, findings=findings
            )

    async def _compared(
        self,
        item: Privileged,
        request: HttpRequest,
        answers: dict[str, Answer],
        *,
        values: dict[str, str],
        credential: Credential,
        admin: Credential | None,
        findings: Findings,
    ) -> None:
        """Weigh what had no effect by what an administrator gets for the same. `credential` sent the last of it."""
        operation, name = item.operation, item.operation.name
        last = list(answers.values())[-1]
        allowed = None
        if admin is not None and values:
            # Only what is aimed at the expendable account: an administrator can do real harm elsewhere.
            allowed = await self._send_as(
                request, admin, f"control: an administrator calls {name}", operation
            )
            if await self._same_answer(item, request, credential, last, allowed):
                label = list(answers)[-1]
                message = f"{name} ({item.because}) answered an ordinary user with {label} as it does an administrator."
                findings.accuse(item, message, (allowed.exchange, *self._latest(1)))
                return
            if allowed.reply.ok:
                findings.confirmed.add(name)
                self._spent = None  # what an administrator does to it, it may not survive
        anybody = last.reply.ok and allowed is None
        if anybody and await self._done_by_anybody(item, values, credential, last, findings):
            return
        for label, answer in answers.items():
            self._weigh_refusal(item, label, answer, allowed, findings)
        if admin is None and not last.reply.ok:
            told = "refused an ordinary user; without an administrator that may be about the request"
            findings.doubts.append(f"{name} {told}")

    async def _owner_changes(
        self,
        operation: Operation,
        values: dict[str, str],
        request: HttpRequest,
        *,
        victim: Victim | None,
        admin: Credential | None,
    ) -> bool:
        """Whether the same request changes the account when its owner sends it: the control of what A was refused."""
        if victim is None:
            return False
        before = await self._standing(operation, values, victim, admin)
        label = f"control: the owner of the account calls {operation.name}"
        answer = await self._send_as(request, victim.session.credential, label, operation)
        after = await self._standing(operation, values, victim, admin)
        self._spent = None
        return answer.reply.ok and after != before

    def _weigh_profile(self, item: Privileged, answers: dict[str, Answer], findings: Findings) -> None:
        """What A got where only the owner's request had an effect: a refusal, whatever it looks like."""
        name = item.operation.name
        for label, answer in answers.items():
            if answer.judgement is not None:
                findings.doubts.append(f"{name} with {label}: {answer.why}")
                continue
            findings.refused.add(name)
            if answer.reply.ok:
                self.notes.append(f"{name} answered {label} of A {answer.status}, and changed nothing")

    async def _done_by_anybody(
        self,
        item: Privileged,
        values: dict[str, str],
        credential: Credential,
        last: Answer,
        findings: Findings,
    ) -> bool:
        """Whether A was let in where nobody can look at the effect, and no administrator may be sent to compare.

        What is declared privileged is decided by A's success, twice, where a stranger gets something else; of what
        is only named so the configuration has to say whether everybody may.
        """
        operation, name = item.operation, item.operation.name
        refusal = any(Fingerprint.of(last.exchange.reply).akin(known) for known in self._own_voice_here)
        if refusal or last.judgement is not None:
            return False
        if not item.declared:
            findings.doubts.append(
                f"{name} ({item.because}) let in an ordinary user ({last.status}), and nothing says who may"
            )
            findings.undecided.append(name)
            return True
        if self.scene.sampler is None:
            return False
        chance = type(self.rng)(
            f"{self.scene.seed}:{name}:again"
        )  # a second thing by the same name may be refused
        request = self.scene.sampler(operation, chance, path_values=values)
        stranger = await self._send_as(request, None, f"control: a stranger calls {name}", operation)
        again = await self._send_as(
            replace(request, fresh=True), credential, f"again: A at {name}", operation, Role.ATTACK
        )
        if not again.reply.ok or (stranger.reply.ok and _alike(stranger, again)):
            return False
        message = f"{name} ({item.because}) let in an ordinary user: a stranger gets {stranger.status}."
        proof = (stranger.exchange, last.exchange, again.exchange)
        findings.violations.append(Violation(name, message, None, proof, Expectation("refused")))
        return True

    async def _had_effect(
        self,
        item: Privileged,
        label: str,
        credential: Credential,
        answer: Answer,
        *,
        admin: Credential | None,
        findings: Findings,
    ) -> None:
        name = item.operation.name
        if await self._changes_again(item.operation, credential, admin):
            message = (
                f"{name} ({item.because}) worked for an ordinary user with {label}: its effect was seen."
            )
            findings.accuse(item, message, (answer.exchange, *self._latest(2)))
        else:
            findings.doubts.append(f"{name} had an effect for an ordinary user once, then not")

    async def _same_answer(
        self, item: Privileged, request: HttpRequest, credential: Credential, last: Answer, allowed: Answer
    ) -> bool:
        """Whether A got, twice, the body that the administrator gets for the same request."""
        if not (allowed.reply.ok and last.reply.ok and last.reply.body and _alike(allowed, last)):
            return False
        again = await self._send_as(
            replace(request, fresh=True),
            credential,
            f"again: A at {item.operation.name}",
            item.operation,
            Role.ATTACK,
        )
        return again.reply.ok and _alike(allowed, again)

    async def _changes_again(
        self, operation: Operation, credential: Credential, admin: Credential | None
    ) -> bool:
        """Whether the same call has an effect on another account too: 2 of 2."""
        self._spent = None
        victim = await self._victim()
        values = self._aim(operation, victim)
        before = await self._standing(operation, values, victim, admin)
        request = replace(self._valid_request(operation, values, victim), fresh=True)
        answer = await self._send_as(
            request, credential, f"again: A at {operation.name}", operation, Role.ATTACK
        )
        after = await self._standing(operation, values, victim, admin)
        self._spent = None
        return answer.reply.ok and before != after

    _spent: Victim | None = None

    async def _victim(self) -> Victim | None:
        """Return an expendable account with a live session; None where there is none to be had."""
        if self._spent is None:
            try:
                account = await self.expendable()
                session = await self.log_in(account)
            except (Missing, Unclear) as reason:
                note = f"changes were aimed at nobody: {reason}"
                if note not in self.notes:
                    self.notes.append(note)
                return None
            self._spent = Victim(account, session, {})
        victim = self._spent
        answer = await self.call(
            self.witness.operation, victim.session.credential, label="who is the expendable account?"
        )
        if not answer.reply.ok:
            victim.session = await self.log_in(victim.account)
            answer = await self.call(
                self.witness.operation, victim.session.credential, label="who is it now?"
            )
        victim.facts = _facts(answer.reply.json, victim.account.username)
        return victim

    def _aim(self, operation: Operation, victim: Victim | None) -> dict[str, str]:
        """Return path parameters that name the victim; none when that cannot be done for all of them."""
        values: dict[str, str] = {}
        # What is done to one account names it in its only parameter, whatever that is called.
        sole = operation.name in {item.operation.name for item in self.switches()}
        for name in parameters(operation):
            value = _fact(victim.facts, name) if victim is not None else None
            if value is None and sole and victim is not None and len(parameters(operation)) == 1:
                value = self.called({key.lower(): item for key, item in victim.facts.items()}, name)
            if value is None:
                return {}
            values[name] = value
        return values

    async def _standing(
        self, operation: Operation, values: dict[str, str], victim: Victim | None, admin: Credential | None
    ) -> Standing:
        """Look at what the operation would change: as administrator at its path and above, and as the victim."""
        seen = []
        for path in (operation.path, operation.path.rpartition("/")[0]) if admin is not None else ():
            view = self.target.operation(f"GET {path}")
            if view is not None and set(parameters(view)) <= values.keys():
                answer = await self.call(
                    view, admin, label="control: as an administrator sees it", values=values
                )
                seen.append(f"{answer.status} {masked(answer.reply.text)}")
                break
        if victim is None:
            return Standing(" ".join(seen), "")
        record = (
            self.target.operation(f"GET {operation.path}")
            if self._profile_at(operation) is not None
            else None
        )
        own = [
            await self.call(
                view, victim.session.credential, label="control: as it sees itself", values=values
            )
            for view in (self.witness.operation, record)
            if view is not None
        ]
        told = [f"{answer.status} {masked(answer.reply.text) if answer.reply.ok else ''}" for answer in own]
        return Standing(" ".join(seen), " ".join(told))

    # Sending.

    def _valid_request(
        self, operation: Operation, values: dict[str, str], victim: Victim | None = None
    ) -> HttpRequest:
        """Return a request that the document allows: a refusal must be about the caller."""
        profile = self._profile_at(operation)
        if victim is not None and profile is not None:
            kept = {name: victim.facts.get(name, value) for name, value in profile.template.items()}
            return operation.carrying(operation.request(values), put(kept, profile.text_field, self.word(12)))
        if self.scene.sampler is None:
            return operation.request(values)
        # The same chance each time: A and the administrator send the same request.
        chance = type(self.rng)(f"{self.scene.seed}:{operation.name}")
        request = self.scene.sampler(operation, chance, path_values=values)
        body = next((item.body for item in self.switches() if item.operation.name == operation.name), None)
        return operation.carrying(request, body) if body else request

    async def _send_as(
        self,
        request: HttpRequest,
        credential: Credential | None,
        label: str,
        operation: Operation,
        role: Role = Role.CONTROL,
    ) -> Answer:
        if credential is not None:
            request = request.with_headers(*credential.headers).with_query(*credential.query)
        return await self.send(request, label=label, role=role, operation=operation.name)

    def _profile_at(self, operation: Operation) -> Writing | None:
        """How the operation changes the account that its path names, where its owner may call it."""
        return next((item for item in self.target.profiles if item.operation == operation), None)

    def _latest(self, count: int) -> tuple[Exchange, ...]:
        return tuple(self.evidence[-count:])


def _alike(left: Answer, right: Answer) -> bool:
    return left.status == right.status and masked(left.reply.text) == masked(right.reply.text)


def _facts(body: object, username: str) -> dict[str, str]:
    """Return the plain members of the object that names the account, wherever in the body it stands."""
    queue = [body]
    while queue:
        value = queue.pop(0)
        if isinstance(value, dict):
            plain = {
                str(key): str(item)
                for key, item in value.items()
                if isinstance(item, (str, int)) and item != ""
            }
            if username in plain.values():
                return plain
            queue += value.values()
        elif isinstance(value, list):
            queue += value
    return {}


def _fact(facts: dict[str, str], name: str) -> str | None:
    """Return the member that a path parameter asks for: `user_id` is `user_id`, or else the object's `id`."""
    wanted = name.lower().replace("-", "_")
    by_name = {key.lower().replace("-", "_"): value for key, value in facts.items()}
    if wanted in by_name:
        return by_name[wanted]
    last = wanted.replace("userid", "user_id").rpartition("_")[2]
    return by_name.get(last)
