"""A second factor by time (RFC 6238): somebody of ours turns it on, and the password alone must open nothing.

ASVS V6.3.3, V6.5.1. Where the service has no such operation, or nobody can be registered, there is nothing to try.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from auth_conformance.model import Exchange, Need, Role, Severity, Violation
from auth_conformance.oracles.otp import Seed, seed_in
from auth_conformance.oracles.pointer import strings
from auth_conformance.oracles.privilege import access_words
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.sessions import Sessions
from auth_conformance.secret import Secret
from auth_conformance.source.words import words

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.target import Account, Operation

# Shorter values are codes and states, and nothing that could open anything.
_TICKET = 12
# So many operations are tried for what turns it on, and for what confirms it.
_MOST = 3
# A code is waited for so many seconds: RFC 6238 §5.2 recommends periods of 30.
_LONGEST = 60.0
_PASSWORDS = ("password", "current_password", "secret", "passwd", "pwd")


@dataclass(slots=True)
class Enrolled:
    """Somebody who has a second factor: the seed of the codes, the last period whose code was used.

    `proof` shows that a login asks for nothing but the password, where it does not.
    """

    account: Account
    seed: Seed
    last: int
    proof: tuple[Exchange, ...] = ()


class SecondFactor(Sessions):
    """Turns a second factor on for an account of its own, and logs in with less than both."""

    @property
    def known(self) -> bool:
        """Whether an operation may turn a second factor on."""
        return any(True for _ in self._turning_on())

    async def enrolled(self) -> Enrolled:
        """Somebody whose password alone is half of a login. Raises Missing or Unclear; made once per run."""
        if not self.known:
            raise Missing("Not applicable: no operation turns a second factor on.", applicable=False)
        found: Enrolled = await self.scene.once(
            "a second factor", lambda: SecondFactor(self.scene, self.rule).enrol()
        )
        return found

    async def unfinished(self) -> dict[str, Secret]:
        """What a login gives to who knows the password and not the code. Raises Missing or Unclear."""
        who = await self.enrolled()
        given = {} if who.proof else await self.half(who)  # a new one: they are short-lived
        return {
            f"the {name} of a login without its second factor as access token": Secret(value)
            for name, value in _tickets(given).items()
        }

    async def opened_without_code(self) -> list[Violation]:
        """A wrong code, twice, each in a login of its own; the right one gets in before. Raises Missing or Unclear."""
        who = await self.enrolled()
        if who.proof:
            login = who.proof[-1].operation or ""
            message = (
                f"{login} asks for nothing but the password of somebody who has turned a second factor on."
            )
            return [Violation(login, message, Severity.CRITICAL, who.proof)]
        await self.log_in_with_both(who)
        proofs: list[Exchange] = []
        for turn in ("", "again: "):
            given = await self.half(who)
            label = f"{turn}a wrong code after the right password"
            answer = await self.finish(given, self.wrong_code(who), label, Role.ATTACK)
            if self._issued(answer, who.account) is None:
                self.must_have_refused(answer, proofs)
                return []
            proofs.append(answer.exchange)
        name = self.finishing(given)[0].name
        message = f"{name} took a wrong code after the right password: the second factor protects nothing."
        return [Violation(name, message, Severity.CRITICAL, tuple(proofs))]

    def wrong_code(self, who: Enrolled, number: int = 1) -> str:
        """A code that is none of these minutes."""
        near = {who.seed.code(self._now(who) + step) for step in range(-3, 4)}
        taken = int(who.seed.code(self._now(who)))
        made = (
            f"{(taken + 271_828 * (number + more)) % 10**who.seed.digits:0{who.seed.digits}d}"
            for more in range(9)
        )
        return next(code for code in made if code not in near)

    async def used_code_again(self) -> list[Violation]:
        """A code that has let somebody in, in the next login (RFC 6238 §5.2). Raises Missing or Unclear."""
        who = await self.enrolled()
        proofs: list[Exchange] = []
        for turn in ("", "again: "):
            first, code = await self.log_in_with_both(who)
            given = await self.half(who)
            again = await self.finish(given, code, f"{turn}a code that has been used", Role.ATTACK)
            if self._issued(again, who.account) is None:
                self.must_have_refused(again, proofs)
                return []
            proofs += [first.exchange, again.exchange]
        name = self.finishing(given)[0].name
        message = f"{name} took a code a second time: whoever looked on as it was typed logs in with it, too."
        return [Violation(name, message, Severity.MEDIUM, tuple(proofs))]

    # Turning it on.

    def _turning_on(self) -> Iterator[Operation]:
        factors = access_words("factors")
        for operation in self.target.operations:
            if _ends_factors(operation):
                continue
            needed = {name for schema in operation.bodies.values() for name in schema.get("required") or ()}
            plain = (
                operation.method in ("POST", "PUT") and "{" not in operation.path and operation.body is None
            )
            if (
                plain
                and set(_parts(operation)) & set(factors)
                and needed <= set(_PASSWORDS)
                and self._wants_login(operation)
            ):
                yield operation

    def _wants_login(self, operation: Operation) -> bool:
        return operation.protected and operation.name not in self.target.flows()

    async def enrol(self) -> Enrolled:
        """Make somebody, and turn it on for them. Raises Missing or Unclear."""
        if self.target.register is None:
            # One that was given would ask for codes from then on, and nobody would have the seed.
            raise Missing(
                "Not tested: a second factor is turned on for accounts that the run registers, and it cannot register.",
                self._remedy(Need.REGISTER),
            )
        account = await self.expendable()
        login = (await self.log_in(account)).credential
        for operation in list(self._turning_on())[:_MOST]:
            body = self._with_password(operation, account)
            begun = await self.call(operation, login, label="turn a second factor on", body=body)
            told = [str(value) for value in strings(begun.reply.json).values()] if begun.reply.ok else []
            seed = seed_in(told)
            if seed is None:
                continue
            for text in told:
                if len(text) >= _TICKET:
                    self.scene.recorder.redactor.learn(Secret(text))
            confirmed = await self._confirmed(operation, login, seed, begun)
            now = seed.step(self.scene.recorder.clock.now())
            who = Enrolled(account, seed, now - 2)
            if confirmed is None:
                await self.half(who)
                return who
            step, shown = confirmed
            return await self._asked_afterwards(replace(who, last=step), (begun.exchange, shown))
        raise Missing("Not applicable: no operation gives a seed for codes.", applicable=False)

    async def _asked_afterwards(self, who: Enrolled, proof: tuple[Exchange, ...]) -> Enrolled:
        """What the password alone is answered now. Where logins take codes, that it lets in is a finding: twice."""
        answers = []
        for turn in ("", "again: "):
            label = f"{turn}log in with the password alone"
            asked, way = await self.try_login(who.account, who.account.password, label=label)
            if way.read(asked.reply, who.account.label) is None:
                self._half_told(asked)
                return who
            answers.append(asked.exchange)
        if not any(map(self._ends_logins, self.target.operations)):
            raise Missing("Not applicable: the second factor is not for logins.", applicable=False)
        return replace(who, proof=(*proof, *answers))

    def _ends_logins(self, operation: Operation) -> bool:
        """Whether a stranger may hand a code to it beside something else: the second step of a login."""
        codes = access_words("factor_codes")
        needed = {str(name) for schema in operation.bodies.values() for name in schema.get("required") or ()}
        is_step = not operation.protected and any(name.lower() in codes for name in needed)
        return is_step and len(needed) > 1 and bool(set(_parts(operation)) & set(access_words("factors")))

    @staticmethod
    def _with_password(operation: Operation, account: Account) -> dict[str, object] | None:
        names = [name for schema in operation.bodies.values() for name in schema.get("required") or ()]
        password = account.password.reveal() if account.password is not None else ""
        return dict.fromkeys(names, password) if names else None

    async def _confirmed(
        self, begun: Operation, login: Credential, seed: Seed, told: Answer
    ) -> tuple[int, Exchange] | None:
        """Show a code of the seed to what wants one of who is logged in; the period whose code was taken."""
        now = seed.step(self.scene.recorder.clock.now())
        for operation, member, more in islice(self._confirming(begun, told), _MOST):
            for step in (now - 1, now):
                body = {**more, member: seed.code(step)}
                answer = await self.call(
                    operation, login, label=f"confirm it by a code at {operation.name}", body=body
                )
                if answer.reply.ok:
                    return step, answer.exchange
        return None

    def _confirming(self, begun: Operation, told: Answer) -> Iterator[tuple[Operation, str, dict[str, Any]]]:
        known = _texts(told)
        factors = set(access_words("factors"))
        for operation in self.target.operations:
            near = bool(set(_parts(operation)) & factors) or operation.path.startswith(begun.path)
            wanted = operation.method in ("POST", "PUT", "PATCH") and "{" not in operation.path
            if _ends_factors(operation):
                continue  # it takes a code as well, and what it says of success is no confirmation
            if near and wanted and operation.name != begun.name and self._wants_login(operation):
                for member, more in _takes_code(operation, known):
                    yield operation, member, more

    # Logging in with both.

    def _now(self, who: Enrolled) -> int:
        return who.seed.step(self.scene.recorder.clock.now())

    async def half(self, who: Enrolled) -> dict[str, str]:
        """What the password alone is answered. Raises Unclear."""
        asked, way = await self.try_login(
            who.account, who.account.password, label="log in with the password alone"
        )
        if way.read(asked.reply, who.account.label) is not None:
            raise Unclear(f"{way.operation.name} did not ask for a code this time.")
        return self._half_told(asked)

    def _half_told(self, asked: Answer) -> dict[str, str]:
        """What an answer to the password alone hands on. Some say 401 or 403 with it. Raises Unclear."""
        given = _texts(asked)
        for value in _tickets(given).values():
            self.scene.recorder.redactor.learn(Secret(value))
        if not asked.reply.ok and not any(True for _ in self._second_steps(given)):
            raise Unclear(
                f"{asked.exchange.operation} refused the password alone ({asked.why or asked.status})."
            )
        return given

    def finishing(self, given: Mapping[str, str]) -> tuple[Operation, str, dict[str, Any]]:
        """What takes a code beside what the password was answered. Raises Missing."""
        found = next(self._second_steps(given), None)
        if found is None:
            raise Missing(
                "Not tested: no operation takes a code together with what the login answers to the password."
            )
        return found

    def _second_steps(self, given: Mapping[str, str]) -> Iterator[tuple[Operation, str, dict[str, Any]]]:
        for operation in self.target.operations:
            if operation.method in ("POST", "PUT") and not operation.protected and "{" not in operation.path:
                for member, more in _takes_code(operation, given):
                    if more:
                        yield operation, member, more

    async def finish(self, given: Mapping[str, str], code: str, label: str, role: Role) -> Answer:
        """Hand in a code with what the password was answered. Raises Missing."""
        operation, member, more = self.finishing(given)
        return await self.call(operation, label=label, role=role, body={**more, member: code})

    async def log_in_with_both(self, who: Enrolled) -> tuple[Answer, str]:
        """Log in with the password and a code that was not used yet; the code. Raises Unclear."""
        for _ in range(3):
            step = max(who.last + 1, self._now(who) - 1)
            # A code of the next period is taken by those who allow for clocks that differ (RFC 6238 §6).
            early = (step - 1) * who.seed.period - self.scene.recorder.clock.now()
            if early > _LONGEST:
                raise Unclear(f"The next code of the second factor is good in {early:.0f} s only.")
            await asyncio.sleep(max(0.0, early))
            code, who.last = who.seed.code(step), step
            answer = await self.finish(await self.half(who), code, "control: password and code", Role.CONTROL)
            if self._issued(answer, who.account) is not None:
                return answer, code
        raise Unclear(f"{answer.exchange.operation} refused the right code ({answer.why or answer.status}).")

    def _issued(self, answer: Answer, account: Account) -> Credential | None:
        """The credential in the answer to a second step: where the login would hold it, or under that name."""
        login = next(iter(self.target.logins), None)
        if login is None:
            return None
        name = (login.token or "").rpartition("/")[2]
        places = [pointer for pointer in strings(answer.reply.json) if pointer.rpartition("/")[2] == name]
        ways = [login, *(replace(login, token=pointer) for pointer in places if login.token is not None)]
        for way in ways:
            found = way.read(answer.reply, account.label)
            if found is not None:
                self.scene.recorder.redactor.learn(found.value)
                return found
        return None


def _tickets(given: Mapping[str, str]) -> dict[str, str]:
    """What may open something of what a login without its code has given."""
    return {name: value for name, value in given.items() if len(value.split(" ")[0]) >= _TICKET}


def _ends_factors(operation: Operation) -> bool:
    """Whether it turns a second factor off, or makes other codes beside it, as its path says."""
    return not set(words(operation.path)).isdisjoint(access_words("factor_ends"))


def _parts(operation: Operation) -> list[str]:
    return operation.path.lower().strip("/").split("/")


def _takes_code(operation: Operation, known: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The member of a body that takes a code, and what else it needs from what is `known`."""
    codes = access_words("factor_codes")
    for schema in operation.bodies.values():
        needed = [str(name) for name in schema.get("required") or ()]
        more = {name: known[name] for name in needed if name in known}
        rest = [name for name in needed if name not in more]
        if len(rest) == 1 and rest[0].lower() in codes:
            yield rest[0], more


def _texts(answer: Answer) -> dict[str, str]:
    """The texts of a reply by the names of their members."""
    return {
        pointer.rpartition("/")[2]: str(value)
        for pointer, value in strings(answer.reply.json).items()
        if isinstance(value, str)
    }
