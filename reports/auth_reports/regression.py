"""A finding as a stand-alone pytest file: httpx only, credentials from the environment.

The file repeats the exchanges that prove the finding, oldest first. What a reply issued (tokens, cookies,
ids) is read from the new reply, and altered credentials are altered anew, so nothing in it is a secret and
nothing in it expires. It fails while the flaw is there, and passes once the attack is refused.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from auth_conformance.model import Expectation, Outcome, Role

if TYPE_CHECKING:
    from pathlib import Path

    from auth_conformance.model import Derivation, Exchange, Finding, Run

_MARK = re.compile(r"‹[^‹›\n]{0,2000}?sha256:([0-9a-f]{12})›")
# What the client sets itself, and what describes a body that is written anew.
_OUR_OWN = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "user-agent", "content-type"}
)
_UNSEEN = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class Regression:
    """A test file: its `name`, its `text`, and the environment variables that it reads."""

    name: str
    text: str
    environment: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotWritten:
    """Why a finding has no test of its own."""

    finding: Finding
    reason: str


def export(run: Run, folder: Path) -> tuple[list[Path], list[NotWritten]]:
    """Write one file per finding into `folder`; say for which it cannot be done, and why. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    left: list[NotWritten] = []
    for finding in run.findings:
        made = regression(finding, run)
        if isinstance(made, NotWritten):
            left.append(made)
            continue
        path = folder / made.name
        number = 1
        while path in written:
            number += 1
            path = folder / made.name.replace(".py", f"_{number}.py")
        path.write_text(made.text, encoding="utf-8", newline="\n")
        written.append(path)
    return written, left


def regression(finding: Finding, run: Run) -> Regression | NotWritten:
    """The test of one finding, or why there is none."""
    attack = _attack(finding)
    named = finding.expected is not None and bool(finding.expected.about)
    if attack is None:
        return NotWritten(finding, _without_attack(finding.evidence))
    # What an expectation is about may come after the attack: then the attack is a step on the way to it.
    before = [
        item
        for item in finding.evidence
        if item.number < attack.number and (_prepares(item) or (named and item.role is Role.ATTACK))
    ]
    steps = sorted(
        {item.number: item for item in (*finding.origins, *before)}.values(), key=lambda e: e.number
    )
    odd = next((item.special for item in (*steps, attack) if item.special), "")
    if odd:
        return NotWritten(finding, f"a plain HTTP client cannot repeat it ({odd})")
    cut = next((item for item in (*steps, attack) if len(item.request.body or "") >= 8000), None)
    if cut is not None:
        return NotWritten(finding, f"the body of request {cut.number} is too long for a test")
    unmade = _unmade(attack, steps)
    if unmade:
        return NotWritten(
            finding, f"its credential cannot be made without a key or the other user's token: {unmade}"
        )
    needed = {digest for item in (*steps, attack) for digest in _asked(item)}
    if finding.expected is not None and finding.expected.kind == "no secret":
        needed |= _shown(attack)
    writer = _Writer(run, needed)
    for step in steps:
        writer.step(step)
    if not writer.attack(attack, finding.expected):
        return NotWritten(
            finding, f"what must be answered to request {attack.number} cannot be said without its secrets"
        )
    name = re.sub(r"\W+", "_", f"{finding.code} {attack.operation}".lower()).strip("_")[:80]
    return Regression(
        f"test_{name}.py", writer.file(finding, f"test_{name}"), tuple(sorted(writer.environment))
    )


def _attack(finding: Finding) -> Exchange | None:
    evidence = finding.evidence
    if finding.expected is not None:
        about = next((item for item in evidence if item.number == finding.expected.about), None)
        if about is not None:
            return about
        attacks = [item for item in evidence if item.role is Role.ATTACK]
        return attacks[0] if attacks else (evidence[-1] if evidence else None)
    wanted = (Outcome.ACCEPTED, Outcome.CRASHED)
    found = [item for item in evidence if item.role is Role.ATTACK and item.outcome in wanted]
    # Of several ways in, the one that is easiest to repeat: what follows from a live credential.
    return min(
        found, key=lambda item: (bool(item.special), not item.request.derived, item.number), default=None
    )


def _unmade(attack: Exchange, steps: Sequence[Exchange]) -> str:
    """The attack's label, if it presents what no step has issued or shown alive and no recipe makes."""
    alive = {digest for step in steps for digest in _marks(step)}
    recipes = {recipe.digest for recipe in attack.request.derived}
    lost = (
        {digest for _, value in attack.request.headers for digest in _MARK.findall(value)} - alive - recipes
    )
    return attack.label if lost else ""


def _asked(exchange: Exchange) -> set[str]:
    request = exchange.request
    texts = [request.url, request.body or "", *(value for _, value in request.headers)]
    return {digest for text in texts for digest in _MARK.findall(text)} | {
        item.base for item in request.derived
    }


def _marks(exchange: Exchange) -> set[str]:
    return _shown(exchange) | _asked(exchange)


def _shown(exchange: Exchange) -> set[str]:
    """The secrets in the reply alone."""
    texts = [exchange.reply.body, *(value for _, value in exchange.reply.headers)]
    return {digest for text in texts for digest in _MARK.findall(text)}


def _prepares(exchange: Exchange) -> bool:
    """Whether the attack needs it: a setup, or a control that shows that the honest twin gets in."""
    refused = exchange.outcome is not None and exchange.outcome is not Outcome.ACCEPTED
    return exchange.role is not Role.ATTACK and not refused


def _without_attack(evidence: Sequence[Exchange]) -> str:
    if not evidence:
        return "it was not found by sending requests"
    return "what is wrong is not that a request was let in or crashed: the evidence in the report says what to assert"


@dataclass(slots=True)
class _Writer:
    """Writes steps as statements; knows which value came from which reply."""

    run: Run
    needed: set[str]
    environment: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)
    _ids: dict[str, str] = field(default_factory=dict)
    _recipes: dict[str, Derivation] = field(default_factory=dict)
    _taken: set[str] = field(
        default_factory=lambda: {"altered", "cookie_line", "problem", "send", "os", "secrets", "httpx"}
    )
    _helpers: set[str] = field(default_factory=set)
    _replies: dict[int, str] = field(default_factory=dict)

    def step(self, exchange: Exchange) -> None:
        """One request on the way to the attack: it must do now what it did then."""
        if self._registers(exchange):
            for match in _MARK.finditer(exchange.request.body or ""):
                self._chosen(match[1])
        reply = self._call(exchange)
        self._replies[exchange.number] = reply
        if exchange.role is Role.ATTACK:
            self.lines += [f"if not {reply}.is_success:", "    return  # refused: the flaw is gone"]
        elif exchange.reply.status is not None and exchange.reply.status < 400:
            self.lines.append(
                f"assert {reply}.status_code < 400, {_literal('before the attack: ' + exchange.label)}"
            )
        self._learn(exchange, reply)

    def attack(self, exchange: Exchange, expected: Expectation | None) -> bool:
        """The attack, and what a service without the flaw answers; whether that can be asserted."""
        reply = self._call(exchange)
        expected = expected or Expectation("no crash" if exchange.outcome is Outcome.CRASHED else "refused")
        asserted = [
            f"assert {condition}, {_literal(exchange.label)}"
            for condition in (
                self._by_reply(expected, reply)
                or self._by_header(expected, reply)
                or self._by_body(expected, reply, exchange)
            )
        ]
        self.lines += asserted
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
        name, value = _literal(expected.name), _literal(expected.value.lower())
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
                shown = _shown(exchange)
                return [
                    f"{name} not in {reply}.text" for digest, name in self._names.items() if digest in shown
                ]
            case "members":
                self._helpers.add("problem")
                return [
                    f"isinstance(problem({reply}).get({_literal(name)}), str)"
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
        arguments = [_literal(request.method), self._url(exchange)]
        if headers:
            pairs = ", ".join(f"({_literal(name)}, {self._text(value, name)})" for name, value in headers)
            arguments.append(f"headers=[{pairs}]")
        arguments += self._body(exchange)
        reply = self._unused("reply")
        self.lines.append(f"# {_comment(exchange.label)}")
        self.lines.append(f"{reply} = send({', '.join(arguments)})")
        return reply

    def _url(self, exchange: Exchange) -> str:
        parts = urlsplit(exchange.request.url)
        own = urlsplit(self.run.target.address) if self.run.target.kind == "url" else None
        base = own.path.rstrip("/") if own else ""
        path = parts.path.removeprefix(base) if base else parts.path
        query = f"?{parts.query}" if parts.query else ""
        pieces: list[str] = []
        for index, segment in enumerate(path.split("/")):
            pieces += [_literal("/")] if index else []
            pieces += (
                [f"str({self._ids[segment]})"] if segment in self._ids else self._pieces(segment, "path")
            )
        return _joined(pieces + self._pieces(query, "query"))

    def _body(self, exchange: Exchange) -> list[str]:
        body = exchange.request.body
        if not body:
            return []
        media = next(
            (value for name, value in exchange.request.headers if name.lower() == "content-type"), ""
        )
        if "json" in media:
            try:
                return [f"json={self._value(json.loads(_quoted(body)))}"]
            except ValueError:
                pass
        if "x-www-form-urlencoded" in media:
            pairs = parse_qsl(body.replace("+", "%20"), keep_blank_values=True)
            return [
                "data={"
                + ", ".join(f"{_literal(key)}: {self._text(value, key)}" for key, value in pairs)
                + "}"
            ]
        return [f"content=({self._text(body, 'body')}).encode(), extra={{'Content-Type': {_literal(media)}}}"]

    def _value(self, value: Any, name: str = "") -> str:
        match value:
            case dict():
                members = (f"{_literal(key)}: {self._value(inner, key)}" for key, inner in value.items())
                return "{" + ", ".join(members) + "}"
            case list():
                return "[" + ", ".join(self._value(inner, name) for inner in value) + "]"
            case str():
                return self._ids.get(value) or self._text(value, name)
            case int() if not isinstance(value, bool) and str(value) in self._ids:
                return self._ids[str(value)]
            case _:
                return ascii(value)

    def _text(self, text: str, name: str) -> str:
        return _joined(self._pieces(text, name))

    def _pieces(self, text: str, name: str) -> list[str]:
        found: list[str] = []
        end = 0
        for match in _MARK.finditer(text):
            found += self._plain(text[end : match.start()])
            found.append(self._secret(match[1], name))
            end = match.end()
        return found + self._plain(text[end:])

    def _plain(self, text: str) -> list[str]:
        """Literal text; what carries the run's id is made unique, since names may be taken by now."""
        run_id = self.run.run_id
        if not text:
            return []
        if not run_id or run_id not in text:
            return [_literal(text)]
        self._helpers.add("RUN")
        found: list[str] = []
        for index, piece in enumerate(text.split(run_id)):
            found += (["RUN"] if index else []) + ([_literal(piece)] if piece else [])
        return found

    def _secret(self, digest: str, name: str) -> str:
        if digest in self._names:
            return self._names[digest]
        recipe = self._recipes.get(digest)
        if recipe is not None:
            base = self._secret(recipe.base, name)
            self._helpers.add("altered")
            self._names[digest] = self._unused("altered")
            self.lines.append(
                f"{self._names[digest]} = altered({base}, {list(recipe.pieces)!a}, parts={recipe.parts})"
            )
            return self._names[digest]
        variable = self._unused(_kind(name).upper())
        self._names[digest] = variable
        self.environment[variable] = digest
        return variable

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

    def _learn(self, exchange: Exchange, reply: str) -> None:
        try:
            document = json.loads(_quoted(exchange.reply.body)) if exchange.reply.body else None
        except ValueError:
            document = None
        for path, value in _leaves(document):
            expression = reply + ".json()" + "".join(f"[{part!a}]" for part in path)
            mark = _MARK.fullmatch(value) if isinstance(value, str) else None
            if mark is not None and mark[1] in self.needed - self._names.keys():
                variable = self._unused(_kind(str(path[-1]) if path else "token"))
                self._names[mark[1]] = variable
                self.lines.append(f"{variable} = {expression}")
            elif mark is None and path and _names_something(value):
                self._ids.setdefault(str(value), expression)
        for name, value in exchange.reply.headers:
            mark = _MARK.search(value)
            if mark is None or mark[1] not in self.needed - self._names.keys():
                continue
            variable = self._unused("cookie" if name.lower() == "set-cookie" else _kind(name))
            self._names[mark[1]] = variable
            if name.lower() == "set-cookie":
                self.lines.append(f"{variable} = {reply}.cookies[{_literal(value.partition('=')[0])}]")
            else:
                before = value[: mark.start()]
                self.lines.append(
                    f"{variable} = {reply}.headers[{_literal(name)}].removeprefix({_literal(before)})"
                )

    def _unused(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._taken or keyword.iskeyword(name):
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        return name

    def file(self, finding: Finding, function: str) -> str:
        """The whole file."""
        needs = [
            f"    {name}: the value that the report shows as sha256:{digest}"
            for name, digest in self.environment.items()
        ]
        base = "http://127.0.0.1:8000" if self.run.target.kind == "app" else self.run.target.address
        head = [
            '"""' + _comment(f"{finding.code} {finding.title}: {finding.operation or ''}").strip(),
            "",
            _comment(finding.message),
            "",
            f"Written by auth-conformance from run {_comment(self.run.run_id)}.",
            "It fails while the flaw is there, and passes once it is mended.",
            "Environment:",
            f"    BASE_URL: where the service listens (default {_comment(base)})",
            *needs,
            '"""',
            "",
            "import os",
            *(["import secrets"] if self._helpers & {"RUN", "PASSWORD"} else []),
            "",
            "import httpx",
            "",
            f'BASE_URL = os.environ.get("BASE_URL", {_literal(base)})',
            *(["RUN = secrets.token_hex(3)"] if "RUN" in self._helpers else []),
            *(['NEW_PASSWORD = f"{secrets.token_urlsafe(18)}-7qX"'] if "PASSWORD" in self._helpers else []),
            *(f'{name} = os.environ["{name}"]' for name in self.environment),
            "",
            "",
            _SEND,
        ]
        if "altered" in self._helpers:
            head += ["", _ALTERED]
        if "cookie_line" in self._helpers:
            head += ["", _COOKIE_LINE]
        if "problem" in self._helpers:
            head += ["", _PROBLEM]
        return "\n".join(
            [*head, "", f"def {function}() -> None:", *(f"    {line}" for line in self.lines), ""]
        )


_SEND = '''def send(method, path, *, headers=(), extra=None, **body):
    """One request on a connection of its own: no cookie jar, no redirect."""
    with httpx.Client(base_url=BASE_URL, follow_redirects=False, timeout=30) as client:
        request = client.build_request(method, path, headers=[*headers, *(extra or {}).items()], **body)
        return client.send(request)
'''
_ALTERED = '''def altered(token, pieces, *, parts):
    """The credential `token`, altered: texts and ranges of it (of its parts, or of its characters)."""
    whole = token.split(".") if parts else token
    slices = (piece if isinstance(piece, str) else whole[piece[0] : piece[1]] for piece in pieces)
    return "".join(piece if isinstance(piece, str) else ".".join(piece) for piece in slices)
'''


_PROBLEM = '''def problem(reply):
    """The error in a body, or in its `detail`; empty where there is none."""
    try:
        body = reply.json()
    except ValueError:
        return {}
    inner = body.get("detail") if isinstance(body, dict) and "error" not in body else body
    return inner if isinstance(inner, dict) else {}
'''
_COOKIE_LINE = '''def cookie_line(reply, name):
    """The line that sets a cookie, in lower case; "" where none does."""
    lines = (line.lower() for line in reply.headers.get_list("set-cookie"))
    return next((line for line in lines if line.startswith(name.lower() + "=")), "")
'''


def _quoted(text: str) -> str:
    """Redacted JSON as JSON again: a mark of a JWT holds quotation marks."""
    return _MARK.sub(lambda match: f"‹sha256:{match[1]}›", text)


def _leaves(document: Any) -> Iterable[tuple[tuple[str | int, ...], Any]]:
    queue: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    for _ in range(2000):
        if not queue:
            return
        path, value = queue.pop(0)
        if isinstance(value, dict):
            queue += [((*path, key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            queue += [((*path, index), inner) for index, inner in enumerate(value)]
        else:
            yield path, value


def _names_something(value: Any) -> bool:
    """Whether a value may be the id of something: a number, or a text of letters and digits without blanks."""
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, int):
        return True
    return isinstance(value, str) and bool(re.fullmatch(r"(?=.*\d)[\w-]{8,64}", value))


def _kind(name: str) -> str:
    lowered = re.sub(r"\W+", "_", name.lower())
    for part, kind in (
        ("refresh", "refresh_token"),
        ("authorization", "token"),
        ("csrf", "csrf_token"),
        ("token", "token"),
        ("key", "api_key"),
        ("pass", "password"),
        ("sess", "session"),
        ("cookie", "session"),
    ):
        if part in lowered:
            return kind
    return "secret"


def _joined(pieces: list[str]) -> str:
    """One expression; literals side by side become one."""
    merged: list[str] = []
    for piece in pieces:
        if merged and piece.startswith('"') and merged[-1].startswith('"'):
            merged[-1] = merged[-1][:-1] + piece[1:]
        else:
            merged.append(piece)
    return " + ".join(merged) if merged else '""'


def _literal(text: str) -> str:
    """A Python string literal in ASCII with double quotes: nothing of a target can end it or hide in it."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if " " <= character <= "~":
        return character
    number = ord(character)
    return f"\\U{number:08x}" if number > 0xFFFF else f"\\u{number:04x}"


def _comment(text: str) -> str:
    """One line for a comment or docstring, without what could end it or steer a terminal."""
    line = _UNSEEN.sub("?", " ".join(text.split()))
    return line.replace("\\", "/").replace('"""', "'''")[:400]
