"""The statements of a test, and the file around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_conformance.model import Expectation, Outcome, Role
from auth_reports.regression.layout import Layout
from auth_reports.regression.literals import comment, kind, literal
from auth_reports.regression.marks import (
    MARK,
    leaves,
    names_something,
    read_json,
    shown,
    spoken,
)
from auth_reports.regression.values import MAILBOX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth_conformance.model import Derivation, Exchange

# What the client sets itself, and what describes a body that is written anew.
_OUR_OWN = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "user-agent", "content-type"}
)
# Who wins a race is chance: it is run by so many clients.
# Characters that a chosen password has at least.
_CHOSEN = 24
_CLIENTS = 10


@dataclass(slots=True)
class Writer(Layout):
    """Writes steps as statements."""

    # Secrets that nobody but the attack ever sent: where all that counts is whether they come back, any will do.
    free: set[str] = field(default_factory=set)
    # Secrets that are read from a reply only to be looked for later: a service without the flaw may tell none.
    sought: set[str] = field(default_factory=set)
    _sought: set[str] = field(default_factory=set)
    # The steps by their numbers.
    _done: dict[int, Exchange] = field(default_factory=dict)
    # Digests of keys under which an honest control got in.
    proved: set[str] = field(default_factory=set)

    def step(self, exchange: Exchange, *others: Exchange) -> None:
        """One request on the way to the attack, or several at once: it must do now what it did then."""
        if others:
            self._race((exchange, *others))
            return
        if self._registers(exchange):
            for match in MARK.finditer(exchange.request.body or ""):
                self._chosen(match[1])
        self._choose_anew(exchange)
        letters = [letter for letter in self.mailed.get(exchange.number, ()) if letter.digest in self.needed]
        earlier = self._unused("earlier") if letters else ""
        if letters:
            self._helpers |= {"mailed"}
            self.environment.setdefault(MAILBOX, "")
            self.lines.append(f"{earlier} = message_to({self._text(letters[0].address, '')})")
        reply = self._call(exchange)
        self._replies[exchange.number] = reply
        self._done[exchange.number] = exchange
        if exchange.role is Role.ATTACK and 200 <= (exchange.reply.status or 0) < 300:
            word = "continue" if self.raced else "return"
            self.lines += [f"if not {reply}.is_success:", f"    {word}  # refused: the flaw is gone"]
        elif exchange.reply.status is not None and exchange.reply.status < 400:
            self.proved |= {recipe.signed.key for recipe in exchange.request.derived if recipe.signed}
            if self.raced:
                self.lines += [
                    f"if turn and {reply}.status_code == 429:",
                    "    return  # no more is let through",
                ]
            self.lines.append(
                f"assert {reply}.status_code < 400, {literal('before the attack: ' + exchange.label)}"
            )
        self._learn(exchange, reply)
        for letter in letters:
            name = self._names[letter.digest] = self._unused("mailed_token")
            where = f"{self._text(letter.address, '')}, {literal(letter.before)}, {earlier}"
            only = f', secret=r"\\d{{{letter.digits}}}"' if letter.digits else ""
            self.lines.append(f"{name} = mailed({where}{only})")

    def _race(self, exchanges: Sequence[Exchange]) -> None:
        """Requests that go out at the same instant: what one of them issued exists only where it was served."""
        calls = [f"lambda gate: send({self._sent(item)}, gate=gate)" for item in exchanges]
        replies = [self._unused("reply") for _ in exchanges]
        self._helpers.add("at_once")
        self.lines.append(f"# at once: {comment(', '.join(item.label for item in exchanges))}")
        self.lines.append(f"{', '.join(replies)} = at_once({', '.join(calls)})")
        for item, reply in zip(exchanges, replies, strict=True):
            self._replies[item.number] = reply
            before = len(self.lines)
            self._learn(item, reply)
            if len(self.lines) > before:
                self.lines[before:before] = [
                    f"if not {reply}.is_success:",
                    "    continue  # another was first",
                ]

    def _once(self, exchange: Exchange, expected: Expectation) -> bool:
        """Several clients send the attack at once: one of them gets something, or all get the same."""
        value = _found(expected.name)
        if not value:
            return False
        self._helpers.add("at_once")
        replies, given = self._unused("replies"), self._unused("given")
        self.lines += [
            f"# {_CLIENTS} clients at once: {comment(exchange.label)}",
            f"{replies} = at_once(*[lambda gate: send({self._sent(exchange)}, gate=gate)] * {_CLIENTS})",
            f"{given} = {{reply{value} for reply in {replies} if reply.is_success}}",
            f"assert len({given}) <= 1, {literal('each got something of its own: ' + exchange.label)}",
        ]
        return True

    def attack(self, exchange: Exchange, expected: Expectation | None) -> bool:
        """The attack, and what a service without the flaw answers; whether that can be asserted."""
        if expected is not None and expected.kind == "once":
            return self._once(exchange, expected)
        self._spoken |= spoken(exchange)
        if expected is not None and expected.kind == "no secret":
            for match in MARK.finditer(exchange.request.body or ""):
                self._chosen(match[1])
            self.invent(*exchange.request.derived)
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
            self.files.get(variable, variable): digest
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
            case "no status":
                return [f"str({reply}.status_code) not in {expected.value.split()!a}"]
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
                body = set(MARK.findall(exchange.reply.body))
                return [
                    (f"{name} is None or " if name in self._sought else "")
                    + f"{name} not in {reply}.text" * (digest in body)
                    + f"{name} not in str({reply}.headers)" * (digest not in body)
                    for digest, name in self._names.items()
                    if digest in shown(exchange)
                ]
            case "members":
                self._helpers.add("problem")
                return [
                    f"isinstance(problem({reply}).get({literal(name)}), str)"
                    for name in expected.value.split()
                ]
            case "alike" if expected.value.isdecimal() and int(expected.value) in self._done:
                twin = int(expected.value)
                other = self._replies[twin]
                # Of headers only whether they are there: the values of many are new each time.
                reply_then, other_then = exchange.reply, self._done[twin].reply
                names = sorted(_header_names(exchange) ^ _header_names(self._done[twin]))
                if not names and (reply_then.status, reply_then.body) == (other_then.status, other_then.body):
                    return []
                return [
                    f"({reply}.status_code, {reply}.text) == ({other}.status_code, {other}.text)",
                    *(
                        f"({literal(name)} in {reply}.headers) == ({literal(name)} in {other}.headers)"
                        for name in names
                    ),
                ]
            case _:
                return []

    def _call(self, exchange: Exchange) -> str:
        self._spoken |= spoken(exchange)
        arguments, reply = self._sent(exchange), self._unused("reply")
        self.lines.append(f"# {comment(exchange.label)}")
        self.lines.append(f"{reply} = send({arguments})")
        return reply

    def _sent(self, exchange: Exchange) -> str:
        """What `send` is given for a request."""
        request = exchange.request
        for recipe in request.derived:
            self._recipes[recipe.digest] = recipe
        own = {"testserver", urlsplit(self.run.target.address).netloc}
        headers = [
            (name, value)
            for name, value in request.headers
            # A name for the server that is not its own is the attack.
            if name.lower() not in _OUR_OWN or (name.lower() == "host" and value not in own)
        ]
        arguments = [literal(request.method), self._url(exchange)]
        if headers:
            pairs = ", ".join(f"({literal(name)}, {self._text(value, name)})" for name, value in headers)
            arguments.append(f"headers=[{pairs}]")
        arguments += self._body(exchange)
        return ", ".join(arguments)

    def invent(self, *recipes: Derivation) -> None:
        """Choose what the attack made up, as long as what it made of it by these recipes."""
        made = {recipe.digest for recipe in recipes}
        sizes = {
            recipe.base: max((piece[1] for piece in recipe.pieces if not isinstance(piece, str)), default=0)
            for recipe in recipes
        }
        for digest in sorted(self.free - self._names.keys() - self._spoken.keys() - made):
            self._helpers.add("PASSWORD")
            size = sizes.get(digest, 0)
            if 0 < size <= _CHOSEN:
                self._names[digest] = f"NEW_PASSWORD[:{size}]"
                continue
            # No account's own: a wrong password is the one thing that it must not be.
            name = self._names[digest] = self._unused("made_up")
            self.lines.append(f"{name} = NEW_PASSWORD + {literal(str(len(self._names)))}")

    def _registers(self, exchange: Exchange) -> bool:
        """Whether the step makes an account of this run: its name carries the run's id."""
        return "register" in exchange.label and self.run.run_id in (exchange.request.body or "")

    def _chosen(self, digest: str) -> None:
        """The password of an account that the test registers itself: any good one will do."""
        if digest not in self._names:
            self._helpers.add("PASSWORD")
            self._names[digest] = "NEW_PASSWORD"

    def _choose_anew(self, exchange: Exchange) -> None:
        """The new password of who gives the old one, or a mailed token, too: it is the test's to choose."""
        headers = " ".join(value for _, value in exchange.request.headers)
        told = list(dict.fromkeys(MARK.findall(exchange.request.body or "")))
        new = [digest for digest in told if digest not in self._names]
        logged_in = any(digest in self._names for digest in MARK.findall(headers))
        logged_in = logged_in or any(item.digest in self._names for item in exchange.request.mailed)
        if exchange.role is Role.SETUP and logged_in and len(new) == 1 and len(told) > 1:
            self._helpers.add("PASSWORD")
            name = self._names[new[0]] = self._unused("changed_password")
            self.lines.append(f"{name} = NEW_PASSWORD + {literal(str(len(self.lines)))}")

    def _unlearnt(self) -> set[str]:
        """The secrets that replies may still tell: not what the test made itself and sent."""
        return self.needed - self._names.keys() - self._recipes.keys()

    def _learn(self, exchange: Exchange, reply: str) -> None:
        for path, value in leaves(read_json(exchange.reply.body)):
            expression = reply + ".json()" + "".join(f"[{part!a}]" for part in path)
            mark = MARK.fullmatch(value) if isinstance(value, str) else None
            if mark is not None and mark[1] in self._unlearnt():
                variable = self._unused(kind(str(path[-1]) if path else "token"))
                self._names[mark[1]] = variable
                if mark[1] in self.sought:
                    self._sought.add(variable)
                    parent, _, member = expression.rpartition("[")
                    expression = (
                        f"{parent}.get({member[:-1]})" if path and isinstance(path[-1], str) else expression
                    )
                self.lines.append(f"{variable} = {expression}")
            elif mark is None and path and names_something(value):
                self._ids.setdefault(str(value), expression)
                if exchange.request.method != "GET":
                    place = urlsplit(exchange.request.url).path.rstrip("/")
                    self._ids.setdefault(f"{place} {value}", expression)
        for name, value in exchange.reply.headers:
            mark = MARK.search(value)
            if mark is None or mark[1] not in self._unlearnt():
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


def _header_names(exchange: Exchange) -> set[str]:
    return {name.lower() for name, _ in exchange.reply.headers}


def _found(place: str) -> str:
    """What reads a place in a reply, to be written behind the reply's name; "" for a place that none does."""
    kind, _, name = place.partition(" ")
    match kind:
        case "cookie":
            return f".cookies.get({literal(name)})"
        case "header":
            return f".headers.get({literal(name)})"
        case pointer if pointer.startswith("/"):
            parts = (part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))
            return ".json()" + "".join(f"[{part if part.isdecimal() else literal(part)}]" for part in parts)
        case _:
            return ""
