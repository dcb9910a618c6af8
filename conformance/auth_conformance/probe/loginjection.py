"""`must_not_run_input`: what is typed at login, registration and reset is looked up, never run (CRD102)."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from auth_conformance.model import Outcome, Role, Verdict, Violation
from auth_conformance.oracles.injection import Pause, delayed, error_text, pauses
from auth_conformance.oracles.normalise import masked
from auth_conformance.probe.core import Missing
from auth_conformance.probe.knocking import Knock, Knocking, Tally
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Account, Login
    from auth_conformance.transports.message import HttpRequest

ROUNDS = 3
_TRUTHS = {
    "an alternative that is always true": "' OR '1'='1'--",
    "a name with the rest commented out": "{name}'--",
    "a name with the rest commented out by #": "{name}'#",
    "an alternative in double quotes": '" OR ""="',
    "an alternative in brackets": "') OR ('1'='1",
    "a backslash": "\\",
    "a filter of LDAP": "*)(uid=*",
    "any name of LDAP": "*",
    "an operator of MongoDB": '{{"$regex":".*"}}',
    "a wildcard of LIKE": "%",
    "the first letters and a wildcard": "{start}%",
    "the name with a wildcard for its last character": "{cut}_",
}
_UNION = "x' UNION SELECT NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL--"


class LoginInjection(Knocking):
    """Types language where a name or password belongs."""

    async def must_not_run_input(self) -> Verdict:
        """Nothing typed lets in, tells true from false, delays, or comes back as an error of a database."""
        tally, login = Tally(), self.logins()[0]
        await self.must_stay_out(login, self._truths(login), self.another_victim, tally)
        await self._booleans(login, tally)
        await self._delayed_logins(login, tally)
        await self._other_inputs(tally)
        self._errors_said(tally)
        return self.concluded(
            tally, f"{tally.delivered} texts in the language of databases were looked up as text."
        )

    def _truths(self, login: Login) -> list[Knock]:
        texts = {**_TRUTHS, **({"a union": _UNION} if self.scene.allow_disruptive else {})}

        def as_name(text: str) -> Callable[[Account], HttpRequest]:
            return lambda account: login.request(_filled(text, account.username), Secret(self.password()))

        def as_password(text: str) -> Callable[[Account], HttpRequest]:
            return lambda account: login.request(account.username, Secret(_filled(text, account.username)))

        names = [Knock(f"{words} as name", as_name(text)) for words, text in texts.items()]
        tried = ("an alternative that is always true", "an alternative in brackets", "a backslash")
        return names + [Knock(f"{words} as password", as_password(texts[words])) for words in tried]

    async def _booleans(self, login: Login, tally: Tally) -> None:
        """A true and a false condition after a name that exists, three times: they must be refused alike."""
        operation = login.operation.name
        different: list[Answer] = []
        classes: list[tuple[object, object]] = []
        for _ in range(ROUNDS):
            account = await self.another_victim()
            pair = [
                await self._typed(login, account.username + condition, account.password or Secret(""), words)
                for words, condition in (
                    ("a name and a true condition", "' AND '1'='1"),
                    ("a name and a false condition", "' AND '1'='2"),
                )
            ]
            if any(answer.judgement is not None for answer in pair):
                tally.doubt(f"{operation}: a condition after a name got no orderly answer.")
                return
            for answer in pair:
                if await self.let_in(login, answer) is None and not await self._says_so_itself(login, answer):
                    # A firewall that knows the one phrase and not the other tells nothing about the application.
                    tally.doubt(
                        f"{operation}: a condition after a name was refused by something before the service."
                    )
                    return
            if _class(pair[0], account) == _class(pair[1], account):
                tally.delivered += 1
                return
            different += pair
            classes.append((_class(pair[0], account), _class(pair[1], account)))
        by_status = all(
            left.status != right.status for left, right in zip(different[::2], different[1::2], strict=True)
        )
        if not by_status and any(len(set(side)) > 1 for side in zip(*classes, strict=True)):
            # A page with a number of its own each time, as of a firewall, differs from itself as well.
            tally.doubt(f"{operation}: the answers to a condition after a name differ each time.")
            return
        tally.violate(
            operation, f"{operation} tells a true condition in a name from a false one.", *different[:2]
        )

    async def _says_so_itself(self, login: Login, answer: Answer) -> bool:
        """Firewalls may write JSON too: a 403 is the service's own where wrong logins are answered with one."""
        forbidden = answer.status == HTTPStatus.FORBIDDEN and not self.target.policy.trust_waf
        if forbidden and (await self.bland_login(login)).status != HTTPStatus.FORBIDDEN:
            return False
        return await self._is_own(login, answer)

    async def _delayed_logins(self, login: Login, tally: Tally) -> None:
        for pause in pauses():
            await self._delayed_by(login, pause, tally)

    async def _delayed_by(self, login: Login, pause: Pause, tally: Tally) -> None:
        proof: list[Answer] = []
        for _ in range(ROUNDS):
            pair = [
                await self._typed(
                    login, text, Secret(self.password()), f"a {words} condition for {pause.engine}"
                )
                for words, text in (("slow", pause.slow), ("quick", pause.quick))
            ]
            if any(answer.outcome is Outcome.THROTTLED for answer in pair):
                tally.doubt(f"{login.operation.name}: the conditions for {pause.engine} were limited.")
                return
            if not delayed(pair[0].reply.took, pair[1].reply.took):
                tally.delivered += 1
                return
            proof += pair
        slow, quick = proof[-2].reply.took, proof[-1].reply.took
        message = (
            f"{login.operation.name} runs what stands in the name: a slow condition for {pause.engine} takes "
            f"{slow:.1f} s, its twin {quick:.1f} s, three times of three."
        )
        tally.violate(login.operation.name, message, *proof[-2:])

    async def _other_inputs(self, tally: Tally) -> None:
        """Quotes at registration and in reset tokens: only their errors are looked at."""
        quote = f"x{self.word(5)}' OR '1'='1"
        try:
            await self.registered(
                Secret(self.password()),
                f"{quote}@example.com",
                "register a name with a quote",
                confirm="never",
            )
        except Missing as reason:
            self.notes.append(str(reason))
        recovery = self.target.recovery
        if recovery is None:
            return
        account = await self.another_victim()
        new = Secret(self.password())
        for words, text in (("an alternative", "' OR '1'='1'--"), ("a wildcard", "%"), ("a backslash", "\\")):
            answer = await self.send(
                recovery.confirm.request(Secret(text), new, account.address),
                label=f"{words} as reset token",
                role=Role.ATTACK,
                operation=recovery.confirm.form.operation.name,
            )
            if answer.reply.ok and answer.judgement is None:
                await self._reset_by(account, new, answer, words, tally)
            elif answer.judgement is not None and answer.outcome is not Outcome.CRASHED:
                tally.doubt(f"{answer.exchange.operation}: {words} as reset token: {answer.why}")
            else:
                tally.delivered += 1

    async def _reset_by(
        self, account: Account, new: Secret, answer: Answer, words: str, tally: Tally
    ) -> None:
        tried = await self._typed(self.logins()[0], account.username, new, "log in with the password so set")
        if await self.let_in(self.logins()[0], tried) is None:
            tally.delivered += 1
            return
        message = f"{answer.exchange.operation} takes {words} for a reset token."
        tally.violate(answer.exchange.operation, message, answer, tried)

    def _errors_said(self, tally: Tally) -> None:
        """Answers that speak the language of a database, at least two of them."""
        said = [item for item in self.evidence if item.role is Role.ATTACK and error_text(item.reply.body)]
        if len(said) > 1:
            words = error_text(said[0].reply.body)
            message = f"{said[0].operation} answers {said[0].label} with {words!r}."
            tally.violations.append(Violation(said[0].operation, message, None, tuple(said[:2])))

    async def _typed(self, login: Login, name: str, password: Secret, label: str) -> Answer:
        return await self.send(
            login.request(name, password),
            label=label,
            role=Role.ATTACK,
            operation=login.operation.name,
            patient=False,
        )


def _filled(text: str, name: str) -> str:
    return text.format(name=name, start=name[:4], cut=name[:-1]) if "{" in text else text


def _class(answer: Answer, account: Account) -> tuple[int | None, str]:
    echoes = (account.username + "' AND '1'='1", account.username + "' AND '1'='2", account.username)
    return answer.status, masked(answer.reply.text, echoes)
