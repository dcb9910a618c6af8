"""The statements of a test, and the file around them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from auth_conformance.model import Expectation, Outcome, Role
from auth_reports.regression.literals import comment, kind, literal
from auth_reports.regression.marks import MARK, leaves, names_something, quoted, shown
from auth_reports.regression.snippets import ALTERED, COOKIE_LINE, PROBLEM, SEND, SIGNED
from auth_reports.regression.values import Values

if TYPE_CHECKING:
    from auth_conformance.model import Exchange, Finding

# What the client sets itself, and what describes a body that is written anew.
_OUR_OWN = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "user-agent", "content-type"}
)


@dataclass(slots=True)
class Writer(Values):
    """Writes steps as statements."""

    # Digests of keys under which an honest control got in, and by their variables the keys that none shows to be right.
    proved: set[str] = field(default_factory=set)
    unproved: dict[str, str] = field(default_factory=dict)

    def step(self, exchange: Exchange) -> None:
        """One request on the way to the attack: it must do now what it did then."""
        if self._registers(exchange):
            for match in MARK.finditer(exchange.request.body or ""):
                self._chosen(match[1])
        self._choose_anew(exchange)
        reply = self._call(exchange)
        self._replies[exchange.number] = reply
        if exchange.role is Role.ATTACK:
            self.lines += [f"if not {reply}.is_success:", "    return  # refused: the flaw is gone"]
        elif exchange.reply.status is not None and exchange.reply.status < 400:
            self.proved |= {recipe.signed.key for recipe in exchange.request.derived if recipe.signed}
            self.lines.append(
                f"assert {reply}.status_code < 400, {literal('before the attack: ' + exchange.label)}"
            )
        self._learn(exchange, reply)

    def attack(self, exchange: Exchange, expected: Expectation | None) -> bool:
        """The attack, and what a service without the flaw answers; whether that can be asserted."""
        presented = {recipe.signed.key for recipe in exchange.request.derived if recipe.signed}
        reply = self._call(exchange)
        expected = expected or Expectation("no crash" if exchange.outcome is Outcome.CRASHED else "refused")
        asserted = [
            f"assert {condition}, {literal(exchange.label)}"
            for condition in (
                self._by_reply(expected, reply)
                or self._by_header(expected, reply)
                or self._by_body(expected, reply, exchange)
            )
        ]
        self.lines += asserted
        self.unproved = {
            variable: digest
            for variable, digest in self.environment.items()
            if digest in presented - self.proved
        }
        return bool(asserted)

    @staticmethod
    def _by_reply(expected: Expectation, reply: str) -> list[str]:
        match expected.kind:
            case "refused":
                return [f"not {reply}.is_success"]
            case "accepted":
                return [f"{reply}.status_code < 400"]
            case "no crash":
                return [f"{reply}.status_code < 500"]
            case "status":
                return [f"str({reply}.status_code) in {expected.value.split()!a}"]
            case _:
                return []

    def _by_header(self, expected: Expectation, reply: str) -> list[str]:
        name, value = literal(expected.name), literal(expected.value.lower())
        match expected.kind:
            case "header" if not expected.value:
                return [f"{name} in {reply}.headers"]
            case "header":
                return [f"{value} in {reply}.headers.get({name}, '').lower()"]
            case "no header":
                return [f"{value} not in {reply}.headers.get({name}, '').lower()"]
            case "cookie" | "no cookie":
                self._helpers.add("cookie_line")
                word = "in" if expected.kind == "cookie" else "not in"
                return [f"{value} {word} cookie_line({reply}, {name})"]
            case _:
                return []

    def _by_body(self, expected: Expectation, reply: str, exchange: Exchange) -> list[str]:
        match expected.kind:
            case "text":
                return [f"{self._text(expected.value, '')} in {reply}.text"]
            case "no text":
                return [f"{self._text(expected.value, '')} not in {reply}.text"]
            case "no secret":
                told = shown(exchange)
                return [
                    f"{name} not in {reply}.text" for digest, name in self._names.items() if digest in told
                ]
            case "members":
                self._helpers.add("problem")
                return [
                    f"isinstance(problem({reply}).get({literal(name)}), str)"
                    for name in expected.value.split()
                ]
            case "alike" if expected.value.isdecimal() and int(expected.value) in self._replies:
                other = self._replies[int(expected.value)]
                return [f"({reply}.status_code, {reply}.text) == ({other}.status_code, {other}.text)"]
            case _:
                return []

    def _call(self, exchange: Exchange) -> str:
        request = exchange.request
        for recipe in request.derived:
            self._recipes[recipe.digest] = recipe
        headers = [(name, value) for name, value in request.headers if name.lower() not in _OUR_OWN]
        arguments = [literal(request.method), self._url(exchange)]
        if headers:
            pairs = ", ".join(f"({literal(name)}, {self._text(value, name)})" for name, value in headers)
            arguments.append(f"headers=[{pairs}]")
        arguments += self._body(exchange)
        reply = self._unused("reply")
        self.lines.append(f"# {comment(exchange.label)}")
        self.lines.append(f"{reply} = send({', '.join(arguments)})")
        return reply

    def _registers(self, exchange: Exchange) -> bool:
        """Whether the step makes an account of this run: its name carries the run's id."""
        body = exchange.request.body or ""
        return (
            exchange.role is Role.SETUP and exchange.label.startswith("register") and self.run.run_id in body
        )

    def _chosen(self, digest: str) -> None:
        """The password of an account that the test registers itself: any good one will do."""
        if digest not in self._names:
            self._helpers.add("PASSWORD")
            self._names[digest] = "NEW_PASSWORD"

    def _choose_anew(self, exchange: Exchange) -> None:
        """The new password of a user who is logged in and gives the old one, too: it is the test's to choose."""
        headers = " ".join(value for _, value in exchange.request.headers)
        told = list(dict.fromkeys(MARK.findall(exchange.request.body or "")))
        new = [digest for digest in told if digest not in self._names]
        logged_in = any(digest in self._names for digest in MARK.findall(headers))
        if exchange.role is Role.SETUP and logged_in and len(new) == 1 and len(told) > 1:
            self._helpers.add("PASSWORD")
            name = self._names[new[0]] = self._unused("changed_password")
            self.lines.append(f"{name} = NEW_PASSWORD + {literal(str(len(self.lines)))}")

    def _learn(self, exchange: Exchange, reply: str) -> None:
        try:
            document = json.loads(quoted(exchange.reply.body)) if exchange.reply.body else None
        except ValueError:
            document = None
        for path, value in leaves(document):
            expression = reply + ".json()" + "".join(f"[{part!a}]" for part in path)
            mark = MARK.fullmatch(value) if isinstance(value, str) else None
            if mark is not None and mark[1] in self.needed - self._names.keys():
                variable = self._unused(kind(str(path[-1]) if path else "token"))
                self._names[mark[1]] = variable
                self.lines.append(f"{variable} = {expression}")
            elif mark is None and path and names_something(value):
                self._ids.setdefault(str(value), expression)
        for name, value in exchange.reply.headers:
            mark = MARK.search(value)
            if mark is None or mark[1] not in self.needed - self._names.keys():
                continue
            variable = self._unused("cookie" if name.lower() == "set-cookie" else kind(name))
            self._names[mark[1]] = variable
            if name.lower() == "set-cookie":
                self.lines.append(f"{variable} = {reply}.cookies[{literal(value.partition('=')[0])}]")
            else:
                before = value[: mark.start()]
                self.lines.append(
                    f"{variable} = {reply}.headers[{literal(name)}].removeprefix({literal(before)})"
                )

    def file(self, finding: Finding, function: str) -> str:
        """The whole file."""
        needs = [
            f"    {name}: the value that the report shows as sha256:{digest}"
            for name, digest in self.environment.items()
        ]
        base = "http://127.0.0.1:8000" if self.run.target.kind == "app" else self.run.target.address
        head = [
            '"""' + comment(f"{finding.code} {finding.title}: {finding.operation or ''}").strip(),
            "",
            comment(finding.message),
            "",
            f"Written by auth-conformance from run {comment(self.run.run_id)}.",
            "It fails while the flaw is there, and passes once it is mended.",
            "Environment:",
            f"    BASE_URL: where the service listens (default {comment(base)})",
            *needs,
            '"""',
            "",
            *(f"import {name}" for name in self._modules()),
            "",
            "import httpx",
            "",
            f'BASE_URL = os.environ.get("BASE_URL", {literal(base)})',
            *(["RUN = secrets.token_hex(3)"] if "RUN" in self._helpers else []),
            *(['NEW_PASSWORD = f"{secrets.token_urlsafe(18)}-7qX"'] if "PASSWORD" in self._helpers else []),
            *(f'{name} = os.environ["{name}"]' for name in self.environment),
            "",
            "",
            SEND,
        ]
        if "altered" in self._helpers:
            head += ["", ALTERED]
        if "signed" in self._helpers:
            head += ["", SIGNED]
        if "cookie_line" in self._helpers:
            head += ["", COOKIE_LINE]
        if "problem" in self._helpers:
            head += ["", PROBLEM]
        return "\n".join(
            [*head, "", f"def {function}() -> None:", *(f"    {line}" for line in self._body_lines()), ""]
        )

    def _modules(self) -> list[str]:
        """What is imported of the standard library, in order."""
        needed = {"os"}
        if self._helpers & {"RUN", "PASSWORD"}:
            needed.add("secrets")
        if "signed" in self._helpers:
            needed |= {"base64", "hmac", "json", "time", "uuid"}
        if self.unproved:
            needed.add("hashlib")
        return sorted(needed)

    def _body_lines(self) -> list[str]:
        """The statements; first, that the key is the one of the finding, where no accepted control shows it."""
        return [
            f"assert hashlib.sha256({variable}.encode()).hexdigest().startswith({literal(digest)}), "
            f'"{variable} is not the key that the finding is about"'
            for variable, digest in self.unproved.items()
        ] + self.lines
