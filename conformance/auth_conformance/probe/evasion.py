"""`must_not_be_evaded`, `must_not_lock_out`: a limit that nobody evades, and that is no weapon (CRD113, CRD114)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import Need, Outcome, Passed, Role, Verdict, Violation
from auth_conformance.oracles import patience
from auth_conformance.oracles.naming import respelled
from auth_conformance.oracles.normalise import masked
from auth_conformance.probe import lasting
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.holdings import Found, Holding, Holdings
from auth_conformance.probe.knocking import Tally, with_member
from auth_conformance.probe.lasting import IN_A_ROW, lasts
from auth_conformance.probe.neighbours import Neighbours
from auth_conformance.secret import Secret
from auth_conformance.transports.waiting import waiting

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Account, Login
    from auth_conformance.transports.message import HttpRequest

_TOGETHER = 20
_SIGNS = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.LOCKED, HTTPStatus.SERVICE_UNAVAILABLE})
_FORWARDED = (
    "X-Forwarded-For",
    "X-Real-IP",
    "X-Client-IP",
    "CF-Connecting-IP",
    "True-Client-IP",
    "Forwarded",
)
# The spellings that services fold most often, out of all (checklist CRD113).
_NAMES = ("in upper case", "with a trailing blank", "in full-width letters", "with a NUL and more")
_RECOVERY = 15 * 60.0
_MOVED = 'app = "module:app"  # if it is ASGI (Python): the clock can then be moved'
# What to wait for the end of a block: as the checklist has it, and as long as a block may last.
_WAITS = (120, int(_RECOVERY))


@dataclass(frozen=True, slots=True)
class Dodge:
    """A login that differs in what a limit may count by. `name` is the spelling used, to be proved the same account.

    `wire` needs the raw wire, by which the limit has to hold without the variation, too.
    """

    words: str
    request: Callable[[Account, Secret], HttpRequest]
    respells: bool = False
    wire: bool = False


@dataclass(slots=True)
class Blocked:
    """An account that a limit holds, as seen from `address`. `refusal` is what a wrong password got before."""

    account: Account
    after: int
    refusal: tuple[int | None, str]
    answer: Answer
    address: str


class Evasion(Holdings, Neighbours):
    """Runs into the limit, and then around it."""

    async def must_not_be_evaded(self) -> Verdict:
        """No header, spelling, encoding or path gets another try while the limit holds, nor does a burst."""
        tally, login = Tally(), self.logins()[0]
        blocked = await self._run_into(login)
        for dodge in self._dodges(login):
            await self._dodge(login, blocked, dodge, tally)
        await self._burst(login, blocked.after, tally)
        return self.concluded(
            tally, f"The limit held against {tally.delivered} variations after {blocked.after} tries."
        )

    async def _run_into(self, login: Login, account: Account | None = None) -> Blocked:
        """Wrong passwords until the limit answers. Raises Unclear when it does not."""
        account = account or await self.victim()
        await self.right_login(login, account, "before")
        first: Answer | None = None
        most = self.target.policy.throttle_limit * 3 // 2
        pause = 0.0 if self.target.in_process else 0.2
        through, refused = 0, 0

        async def limited() -> bool:
            nonlocal through
            answer = await self._wrong_try(login, account, "control: the limit holds")
            through += answer.status not in _SIGNS
            return answer.status in _SIGNS

        for number in range(1, most + 1):
            answer = await self._wrong_try(login, account, f"wrong password {number}")
            if answer.status in _SIGNS:
                refused += 1
                if first is None and refused > IN_A_ROW:
                    raise Unclear("The first wrong passwords met a limit already.")
                if first is not None and await lasts(limited):
                    return Blocked(account, through, _said(first, account), answer, self.address)
                pause = lasting.CALM  # a limit on requests by the second is none on guesses
            elif answer.judgement is not None:
                raise Unclear(f"{login.operation.name} gave no orderly answer ({answer.why}).")
            else:
                first = first or answer
                through += 1
            await asyncio.sleep(pause)
        raise Unclear(
            f"No answer said that a limit was reached in {most} tries: a silent limit cannot be told from none here."
        )

    async def _wrong_try(self, login: Login, account: Account, label: str) -> Answer:
        wrong = Secret(self.password())
        self.scene.recorder.redactor.learn(wrong)
        return await self.send(
            login.request(account.username, wrong),
            label=label,
            role=Role.ATTACK,
            operation=login.operation.name,
            patient=False,
        )

    def _dodges(self, login: Login) -> list[Dodge]:
        def usual(account: Account, password: Secret) -> HttpRequest:
            return login.request(account.username, password)

        found = [
            Dodge(
                f"{header}: {value}",
                lambda account, password, header=header, value=value: usual(account, password).with_headers(  # type: ignore[misc] # bound early on purpose
                    (header, f"for={value}" if header == "Forwarded" else value)
                ),
            )
            for header in _FORWARDED
            for value in ("127.0.0.1", f"203.0.113.{self.rng.randrange(1, 250)}")
        ]
        found += [
            Dodge(
                "another User-Agent",
                lambda account, password: usual(account, password).with_headers(("User-Agent", "curl/8.0")),
            ),
            Dodge(
                "a new connection", lambda account, password: replace(usual(account, password), fresh=True)
            ),
            Dodge("a query", lambda account, password: usual(account, password).with_query(("x", "1"))),
            Dodge(
                "a trailing slash",
                lambda account, password: _at(usual(account, password), lambda path: path + "/"),
            ),
            Dodge(
                "a doubled slash",
                lambda account, password: _at(usual(account, password), lambda path: "/" + path),
            ),
            Dodge(
                "an escaped letter in the path",
                lambda account, password: _at(
                    usual(account, password), lambda path: path[:-1] + f"%{ord(path[-1]):02x}"
                ),
            ),
        ]
        found += [
            Dodge(f"the path {path}", _elsewhere(usual, path)) for path in _versions(login.operation.address)
        ]
        found.append(
            Dodge(
                "HTTP/1.0",
                lambda account, password: replace(usual(account, password), version="1.0"),
                wire=True,
            )
        )
        if login.encoding == "json" and login.password_field:
            found.append(
                Dodge(
                    "a form instead of JSON",
                    lambda account, password: usual(account, password).with_form(
                        ((login.user_field, account.username), (login.password_field, password.reveal()))
                    ),
                )
            )
            found.append(
                Dodge(
                    "an ignored member",
                    lambda account, password: with_member(usual(account, password), "ignored", "x"),
                )
            )
            found.append(
                Dodge(
                    "a list of passwords",
                    lambda account, password: with_member(
                        usual(account, password), login.password_field, [password.reveal()] * 3
                    ),
                )
            )
        found += [
            Dodge(
                f"the login {other.operation.name}",
                lambda account, password, other=other: other.request(account.username, password),  # type: ignore[misc] # bound early on purpose
            )
            for other in self.logins()[1:]
        ]
        found += [
            Dodge(
                f"the name {words}",
                lambda account, password, words=words: login.request(_spelled(account, words), password),  # type: ignore[misc] # bound early on purpose
                respells=True,
            )
            for words in _NAMES
        ]
        local = Dodge(
            "the name with a tag",
            lambda account, password: login.request(account.username.replace("@", "+tag@", 1), password),
            respells=True,
        )
        return [*found, local]

    async def _dodge(self, login: Login, blocked: Blocked, dodge: Dodge, tally: Tally) -> None:
        """A variation gets through when a wrong password is refused as it was before the limit, twice."""
        operation = login.operation.name
        if dodge.respells and not await self._same_account(login, dodge, tally):
            return  # an unknown name also gets a normal refusal
        if dodge.wire and not await self._holds_on_the_wire(login, blocked):
            self.notes.append(f"{dodge.words} was not tried: by the raw wire the limit does not hold anyway")
            return
        answers = []
        for _ in range(2):
            wrong = Secret(self.password())
            self.scene.recorder.redactor.learn(wrong)
            answer = await self.send(
                dodge.request(blocked.account, wrong),
                label=f"a wrong password with {dodge.words}",
                role=Role.ATTACK,
                operation=operation,
                patient=False,
                raw_wire=dodge.wire,
            )
            if _said(answer, blocked.account) != blocked.refusal or answer.judgement is not None:
                tally.delivered += 1
                return
            answers.append(answer)
        held = await self._wrong_try(login, blocked.account, "control: without it the limit holds")
        if held.status not in _SIGNS:
            tally.doubt(f"{operation}: the limit ended while it was tested.")
            return
        tally.violate(operation, f"{operation}: the limit is evaded with {dodge.words}.", *answers, held)

    async def _holds_on_the_wire(self, login: Login, blocked: Blocked) -> bool:
        """Whether the limit holds for the same request by the raw wire: it comes from another address, perhaps."""
        wrong = Secret(self.password())
        self.scene.recorder.redactor.learn(wrong)
        answer = await self.send(
            login.request(blocked.account.username, wrong),
            label="control: the limit holds by the raw wire",
            role=Role.CONTROL,
            operation=login.operation.name,
            patient=False,
            raw_wire=True,
        )
        return answer.status in _SIGNS

    async def _same_account(self, login: Login, dodge: Dodge, tally: Tally) -> bool:
        """Whether this spelling logs in to the account, proved with the right password of a fresh one."""
        try:
            account = await self.victim()
        except Missing as reason:
            # With the right password this is no attack: B's own name, spelled otherwise.
            known = self.target.accounts.get("b")
            if known is None or known.password is None:
                tally.doubt(f"{login.operation.name}: {dodge.words} was not tried: {reason}", reason.remedy)
                return False
            account = known
        answer = await self.send(
            dodge.request(account, account.password or Secret("")),
            label=f"control: the right password with {dodge.words}",
            role=Role.CONTROL,
            operation=login.operation.name,
        )
        if answer.judgement is not None:
            tally.doubt(f"{login.operation.name}: {dodge.words} was not tried: {answer.why}")
            return False
        return await self.let_in(login, answer) is not None

    async def _burst(self, login: Login, limit: int, tally: Tally) -> None:
        """Many at once, begun before the limit: no more than it and those on their way are looked at."""
        operation = login.operation.name
        if limit + _TOGETHER > 90:
            self.notes.append("the limit is too far away for a burst")
            return
        try:
            account = await self.victim()
        except Missing as reason:
            tally.doubt(f"{operation}: a burst was not tried: {reason}", reason.remedy)
            return
        await self.right_login(login, account, "before a burst")
        await asyncio.sleep(lasting.CALM)  # a limit by the second has let up
        first = await self._wrong_try(login, account, "a wrong password before the burst")
        if first.status in _SIGNS:
            tally.doubt(f"{operation}: a burst was not tried: its first wrong password met a limit already.")
            return
        normal = _said(first, account)
        count = limit + _TOGETHER + 5
        answers = await asyncio.gather(
            *(self._wrong_try(login, account, f"burst {number + 1}") for number in range(count))
        )
        evaluated = [answer for answer in answers if _said(answer, account) == normal]
        if len(evaluated) + 1 > limit + _TOGETHER:
            message = (
                f"{operation} looked at {len(evaluated) + 1} passwords of a burst, with a limit of {limit}."
            )
            tally.violate(operation, message, *evaluated[:2])
        else:
            tally.delivered += 1

    # Not a weapon.

    async def must_not_lock_out(self) -> Verdict:
        """While strangers fail, the owner's session, other people and recovery go on, and the block ends."""
        tally, login = Tally(), self.logins()[0]
        owner = await self.victim()
        try:
            neighbour: Account | None = await self.victim()
        except Missing:
            neighbour = self.target.accounts.get("b")  # who logs in rightly, and once
        if self.target.witness is not None:
            await self.credential()  # of somebody at whom nobody guesses: later this address may be shut out
        session = await self.right_login(login, owner, "before")
        held = await self._held(owner)
        try:
            blocked = await self._run_into(login, owner)
        except Unclear as reason:
            if "silent" not in str(reason):
                raise
            silently = await self._blocked_silently(login, owner)
            if silently is None:
                told = "No limit said that it locks anybody, and the right password got in afterwards."
                return Passed(told, tuple(self.evidence[-20:]), tuple(self.notes))
            blocked = silently
        await self._goes_on("session", partial(self._session_found, session), blocked, tally)
        for holding in held:
            asked = partial(self.presented, holding, "while failures are limited")
            await self._goes_on(holding.name, asked, blocked, tally)
        await self._from_elsewhere(login, blocked)
        if neighbour is not None and neighbour.password is not None:
            shown = blocked.answer.exchange
            await self.neighbour_goes_in(login, neighbour, shown, tally, _RECOVERY + 60)
        else:
            self.notes.append("whether others can log in meanwhile was not seen: no other account is known")
        await self._recovery_open(owner, tally)
        await self._block_ends(login, blocked, neighbour, tally)
        return self.concluded(
            tally,
            f"After {blocked.after} failures the owner's session went on, and the block ends by itself.",
        )

    async def _blocked_silently(self, login: Login, owner: Account) -> Blocked | None:
        """The owner as one whom a limit holds that has no sign of its own: the right password is refused as well."""
        answer = await self.send(
            login.request(owner.username, owner.password or Secret("")),
            label="control: the right password after all the wrong ones",
            role=Role.CONTROL,
            operation=login.operation.name,
            patient=False,
        )
        if answer.judgement is not None:
            raise Unclear(f"{login.operation.name} gave no orderly answer ({answer.why}).")
        if login.read(answer.reply, owner.label) is not None:
            return None
        tried = self.target.policy.throttle_limit * 3 // 2
        return Blocked(owner, tried, _said(answer, owner), answer, self.address)

    async def _session_found(self, session: Credential) -> Found:
        return Found(await self.named(session) is not None)

    async def _goes_on(
        self, what: str, present: Callable[[], Awaitable[Found]], blocked: Blocked, tally: Tally
    ) -> None:
        """What the owner holds gets in; where it does not, twice, while somebody else's gets in, failures ended it.

        A service that serves nobody just then (maintenance, a ban of this address) has ended nothing.
        """
        operation, asked = blocked.answer.exchange.operation, len(self.evidence)
        for again in (False, True):
            try:
                if again:
                    live = await self.credential()
                    baseline = await self.baseline(self.witness, live)
                    await self.must_live(self.witness, live, baseline, "of somebody else during")
                found = await present()
            except Unclear as reason:
                tally.doubt(f"{operation}: whether failed logins end the {what} was not seen: {reason}")
                return
            if found.accepted:
                tally.delivered += 1
                return
            if found.unclear:
                tally.doubt(found.unclear)
                return
        message = f"{operation}: failed logins end the {what} of the owner."
        proofs = (blocked.answer.exchange, *self.evidence[asked:])
        tally.violations.append(Violation(operation, message, None, proofs))

    async def _held(self, owner: Account) -> list[Holding]:
        """A refresh token and a key of the owner, as far as there are any, each seen to work."""
        try:
            found = await self.holdings(owner)
        except (Missing, Unclear) as reason:
            self.notes.append(f"refresh tokens and keys during a block were not tried: {reason}")
            return []
        return [
            item for item in found if item.refresh is not None or item.credential.carrier.kind is Kind.KEY
        ]

    async def _from_elsewhere(self, login: Login, blocked: Blocked) -> None:
        """Note whether the owner can log in from another address meanwhile: then strangers cannot keep them out."""
        answer = await self.right_from_elsewhere(login, blocked.account)
        open_ = login.read(answer.reply, blocked.account.label) is not None
        self.notes.append(
            "meanwhile the owner can log in from another address"
            if open_
            else "meanwhile the owner cannot log in from another address of this machine, either"
        )

    async def _recovery_open(self, owner: Account, tally: Tally) -> None:
        if self.target.recovery is None or self.target.mailbox is None:
            self.notes.append("recovery during a block was not tried: no mailbox")
            return
        try:
            await self.reset_token(owner)
        except (Unclear, Missing) as reason:
            tally.doubt(f"Recovery during a block: {reason}")
            return
        tally.delivered += 1

    async def _block_ends(
        self, login: Login, blocked: Blocked, neighbour: Account | None, tally: Tally
    ) -> None:
        """Within a quarter of an hour: by a moved clock, as long as the service's own word says, or by waiting."""
        told = patience.lasting(blocked.answer.reply.header, blocked.answer.reply.json)
        operation = login.operation.name
        if self.scene.recorder.clock.movable:
            moved = _RECOVERY + 60
            answers = []
            for _ in range(2):
                answer = await self._owner_again(login, blocked, "sixteen minutes later", moved)
                if login.read(answer.reply, blocked.account.label) is not None:
                    tally.delivered += 1
                    return
                answers.append(answer)
            disabled = answers[0].status not in _SIGNS and answers[0].outcome is not Outcome.CRASHED
            if disabled:
                if neighbour is not None and not await self.goes_in_by_then(login, neighbour, moved):
                    tally.doubt(f"{operation}: sixteen minutes later nobody else can log in, either.")
                    return
                message = f"{operation}: failed logins lock the account for good: {answers[0].status} after 16 minutes."
                tally.violate(operation, message, blocked.answer, *answers)
                return
        # A limiter that counts by the monotonic clock, or in a store of its own, does not see ours move.
        if told is not None and told <= _RECOVERY:
            tally.delivered += 1
            self.notes.append(f"the block says that it ends after {told:g} s; that was not waited for")
            return
        if self.scene.recorder.clock.movable:
            tally.doubt(
                f"{operation}: the owner is still limited when the clock is moved by 16 minutes, and no Retry-After "
                "says for how long: the limit may count by another clock.",
            )
            return
        if told is None and (waited := await self._sat_out(login, blocked)):
            tally.delivered += 1
            self.notes.append(f"the block was over after {waited:g} s")
            return
        tally.doubt(
            f"{operation}: whether the block ends within 15 minutes could not be seen.",
            self._longer_than(told),
        )

    async def _owner_again(self, login: Login, blocked: Blocked, words: str, moved: float = 0.0) -> Answer:
        request = login.request(blocked.account.username, blocked.account.password or Secret(""))
        return await self.send(
            replace(request, source=blocked.address),
            label=f"the owner logs in {words}",
            role=Role.CONTROL,
            operation=login.operation.name,
            moved=moved,
            patient=False,
        )

    async def _sat_out(self, login: Login, blocked: Blocked) -> float:
        """After how many seconds of waiting the owner got in; 0 where the run's patience ended before."""
        waited, step = 0.0, 1.0
        while (left := min(step, self.scene.patience - waited)) > 0:
            with waiting():
                await asyncio.sleep(left)
            waited, step = waited + left, step * 2
            answer = await self._owner_again(login, blocked, f"after {waited:g} s")
            if login.read(answer.reply, blocked.account.label) is not None:
                return waited
        return 0.0

    def _longer_than(self, told: float | None) -> str:
        """The line that would show the end of a block: patience, where the service names no end that is too late."""
        longer = next((item for item in _WAITS if item > self.scene.patience), None)
        if told is None and longer is not None:
            return f"patience = {longer}  # seconds: so long the end of the block is waited for"
        return self._remedy(Need.CLOCK) or _MOVED


def _versions(path: str) -> tuple[str, ...]:
    """The same path of another version of the interface."""
    found = re.search(r"/v(\d+)(?=/)", path)
    if found is None:
        return (f"/v1{path}",)
    number = int(found[1])
    others = (number - 1, number + 1)
    return tuple(f"{path[: found.start()]}/v{other}{path[found.end() :]}" for other in others if other >= 0)


def _elsewhere(
    usual: Callable[[Account, Secret], HttpRequest], path: str
) -> Callable[[Account, Secret], HttpRequest]:
    """The usual login at another path."""
    return lambda account, password: _at(usual(account, password), lambda _: path)


def _at(request: HttpRequest, edit: Callable[[str], str]) -> HttpRequest:
    return replace(request, path=edit(request.path))


def _spelled(account: Account, words: str) -> str:
    return next((item.text for item in respelled(account.username) if item.words == words), account.username)


def _said(answer: Answer, account: Account) -> tuple[int | None, str]:
    return answer.status, masked(answer.reply.text, (account.username,))
