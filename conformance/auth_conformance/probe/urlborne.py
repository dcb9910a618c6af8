"""`must_not_take_from_urls`: passwords and codes travel in bodies and headers, never in an address (CRD120)."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from auth_conformance.model import Expectation, Role, Verdict, Violation
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.knocking import MISSING, Knock, Knocking, Tally, with_member
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.target import Account, Login
    from auth_conformance.transports.message import HttpRequest

# A parameter whose name says that it holds a password or a code that stands for one.
_SECRET = re.compile(r"(^|_)(password|passwd|pwd|passphrase|otp|pin|passcode)\d?($|_)", re.IGNORECASE)


class UrlBorne(Knocking):
    """Moves what belongs into the body into the address."""

    async def must_not_take_from_urls(self) -> Verdict:
        """No login, registration, change or reset takes a password out of the address, and no document says so."""
        tally = Tally()
        for login in self.logins():
            if login.encoding == "basic":
                continue
            if login.encoding == "query":
                await self._documented_login(login, tally)
                continue
            knocks = self._moved_logins(login) if login.password_field else []
            await self.must_stay_out(login, knocks, self.another_victim, tally)
        await self._register_by_url(tally)
        await self._change_by_url(tally)
        await self._reset_by_get(tally)
        self._declared_parameters(tally)
        return self.concluded(
            tally, f"{tally.delivered} requests with a password in the address did nothing."
        )

    async def _documented_login(self, login: Login, tally: Tally) -> None:
        account = await self.another_victim()
        await self.right_login(login, account, "in the address")
        message = f"{login.operation.name} takes the password from the address."
        tally.violations.append(
            Violation(
                login.operation.name, message, None, tuple(self.evidence[-2:-1]), Expectation("refused")
            )
        )

    def _moved_logins(self, login: Login) -> list[Knock]:
        def whole(account: Account) -> HttpRequest:
            request = login.request(account.username, account.password or Secret(""))
            return replace(in_address(request), method=request.method)

        def by_get(account: Account) -> HttpRequest:
            return replace(
                in_address(login.request(account.username, account.password or Secret(""))), method="GET"
            )

        def password_only(account: Account) -> HttpRequest:
            password = account.password or Secret("")
            request = with_member(login.request(account.username, password), login.password_field, MISSING)
            return request.with_query((login.password_field.rsplit("/", 1)[-1], password.reveal()))

        return [
            Knock("name and password in the address of a POST", whole),
            Knock("name and password in the address of a GET", by_get, core=False),
            Knock("the password in the address and the name in the body", password_only),
        ]

    async def _register_by_url(self, tally: Tally) -> None:
        register = self.target.register
        if register is None:
            return
        account = self.unborn(Secret(self.password()))
        await self._by_url(
            register.request(account.username, account.password or Secret("")),
            register.operation.name,
            "a registration in the address",
            account,
            tally,
        )

    async def _change_by_url(self, tally: Tally) -> None:
        change = self.target.password_change
        if change is None:
            return
        account, new = await self.another_victim(), Secret(self.password())
        credential = await self.right_login(self.logins()[0], account, "before a change")
        request = change.request(account.password, new)
        request = in_address(request).with_headers(*credential.headers)
        await self._by_url(
            request,
            change.form.operation.name,
            "a change in the address",
            replace(account, password=new),
            tally,
        )

    async def _reset_by_get(self, tally: Tally) -> None:
        """The link of a mail may show a form; opening it must not set the password."""
        if self.target.recovery is None or self.target.mailbox is None:
            return
        account, new = await self.another_victim(), Secret(self.password())
        try:
            token = await self.reset_token(account)
        except (Unclear, Missing) as reason:
            self.notes.append(f"a reset by GET was not tried: {reason}")
            return
        confirm = self.target.recovery.confirm
        request = in_address(confirm.request(token, new, account.address))
        name = confirm.form.operation.name
        await self._by_url(
            replace(request, method="GET"), name, "a reset by GET", replace(account, password=new), tally
        )

    async def _by_url(
        self, request: HttpRequest, operation: str, words: str, account: Account, tally: Tally
    ) -> None:
        password = account.password or Secret("")
        self.scene.recorder.redactor.learn(password)
        request = in_address(request)
        answer = await self.send(request, label=words, role=Role.ATTACK, operation=operation, patient=False)
        if answer.judgement is not None:
            tally.doubt(f"{operation}: {words} got no orderly answer ({answer.why}).")
            return
        login = self.logins()[0]
        for _ in range(2):
            tried = await self.send(
                login.request(account.username, password),
                label=f"log in with the password of {words}",
                role=Role.ATTACK,
                operation=login.operation.name,
            )
            if await self.let_in(login, tried) is None:
                tally.delivered += 1
                return
        self.now_known_by(account, password)
        tally.violate(
            operation,
            f"{operation} takes the password from the address: {words}.",
            answer,
            tried,
            expected=Expectation("refused"),
        )

    def _declared_parameters(self, tally: Tally) -> None:
        for operation in self.target.operations:
            for item in operation.parameters:
                if item.place in ("query", "path") and _SECRET.search(item.name):
                    message = f"{operation.name} declares {item.name!r} in the {item.place}."
                    tally.violations.append(
                        Violation(operation.name, message, None, tuple(self.evidence[:1]))
                    )
            ask = self.target.recovery.ask if self.target.recovery else None
            if ask is not None and operation is ask.form.operation and ask.user.startswith("path:"):
                self.notes.append(
                    f"{operation.name}: the address of a person stands in the path, and so in logs"
                )


def in_address(request: HttpRequest) -> HttpRequest:
    """The same values in the query instead of the body."""
    if not request.body:
        return request
    if request.body[:1] == b"{":
        pairs = tuple((key, str(value)) for key, value in json.loads(request.body).items())
    else:
        pairs = tuple(parse_qsl(request.body.decode(), keep_blank_values=True))
    headers = tuple(pair for pair in request.headers if pair[0].lower() != "content-type")
    return replace(request, body=None, headers=headers).with_query(*pairs)
