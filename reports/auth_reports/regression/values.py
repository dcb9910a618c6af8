"""Values of a test: which text came from which reply, from the environment, or is made anew."""

from __future__ import annotations

import json
import keyword
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from auth_reports.regression.literals import joined, kind, literal
from auth_reports.regression.marks import MARK, ids_in, made_up, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auth_conformance.model import Derivation, Exchange, Mailed, Run, Signing

# What a test imports, where it needs it.
MODULES = (
    *("base64", "email", "hashlib", "hmac", "html", "httpx", "json", "jwt", "os", "re", "secrets", "shlex"),
    *("subprocess", "threading", "time", "uuid"),
)
# The variable of the environment that says how messages are read.
MAILBOX = "MAILBOX_COMMAND"
# Members of a body that say whose password stands beside them.
_OWNERS = ("username", "user", "email", "login", "identifier", "name", "account")


@dataclass(slots=True)
class Values:
    """Writes texts, URLs and bodies as expressions; knows which value came from which reply."""

    run: Run
    needed: set[str]
    environment: dict[str, str] = field(default_factory=dict)
    # Variables of the environment by digest, of all tests of a folder: they are run together.
    shared: dict[str, str] = field(default_factory=dict)
    # Variables that name a file, which holds what the variable of the second name stands for.
    files: dict[str, str] = field(default_factory=dict)
    # By the numbers of the exchanges that asked for it: what came by mail.
    mailed: dict[int, list[Mailed]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)
    _ids: dict[str, str] = field(default_factory=dict)
    _recipes: dict[str, Derivation] = field(default_factory=dict)
    _taken: set[str] = field(
        default_factory=lambda: {
            *(
                "altered",
                "at_once",
                "claim",
                "cookie_line",
                "encoded",
                "mailed",
                "meaningless",
                "message_to",
                "private_key",
                "problem",
                "send",
                "signature",
                "signed",
                "turn",
            ),
            *MODULES,
        }
    )
    _helpers: set[str] = field(default_factory=set)
    # Ids in the paths of steps that no earlier reply told: of something that is not there any more.
    lost: list[str] = field(default_factory=list)
    _replies: dict[int, str] = field(default_factory=dict)
    # Whose secrets stand in the body that is being written, as a part of a variable's name.
    _owner: str = ""
    # Texts that evidence shows by their digests and that its labels say in clear.
    _spoken: dict[str, str] = field(default_factory=dict)

    def _url(self, exchange: Exchange) -> str:
        self._owner = ""
        parts = urlsplit(exchange.request.url)
        own = urlsplit(self.run.target.address) if self.run.target.kind == "url" else None
        base = own.path.rstrip("/") if own else ""
        path = parts.path.removeprefix(base) if base else parts.path
        pieces: list[str] = []
        self.lost += self.strange(exchange)
        scoped = {value: self._ids[key] for key, value in ids_in(exchange).items() if key in self._ids}
        for index, segment in enumerate(path.split("/")):
            pieces += [literal("/")] if index else []
            pieces += [f"str({scoped[segment]})"] if segment in scoped else self._segment(segment)
        return joined(pieces + self._query(parts.query, met=(exchange.reply.status or 500) < 400))

    def strange(self, exchange: Exchange) -> list[str]:
        """The ids in a path that the service knew, and that no reply before tells."""
        if exchange.reply.status is None or exchange.reply.status >= 400:
            return []
        return [
            segment
            for key, segment in ids_in(exchange).items()
            if key not in self._ids
            and (self._unheard_of(segment) or (segment.isdecimal() and segment not in self._ids))
        ]

    def _query(self, query: str, *, met: bool) -> list[str]:
        """The query, with ids of earlier replies; one that no reply told is lost, where the service knew it."""
        found: list[str] = []
        for index, pair in enumerate(query.split("&") if query else ()):
            name, equals, value = pair.partition("=")
            found.append(literal("&" if index else "?"))
            found += self._pieces(name + equals, "query")
            if met and self._unheard_of(value):
                self.lost.append(value)
            found += self._segment(value) if value else []
        return found

    def _unheard_of(self, segment: str) -> bool:
        """Whether it is the id of something, and no earlier reply told it."""
        known = {segment, segment.lower(), segment.upper()} & self._ids.keys()
        return not known and not MARK.search(segment) and self.run.run_id not in segment and made_up(segment)

    def _segment(self, segment: str) -> list[str]:
        """A part of a path: an id of an earlier reply, also in the other case, or text."""
        for known, spelled in ((segment, ""), (segment.lower(), ".upper()"), (segment.upper(), ".lower()")):
            if known in self._ids:
                return [f"str({self._ids[known]}){spelled}"]
        return self._pieces(segment, "path")

    def _body(self, exchange: Exchange) -> list[str]:
        body = exchange.request.body
        if not body:
            return []
        media = next(
            (value for name, value in exchange.request.headers if name.lower() == "content-type"), ""
        )
        if "json" in media:
            try:
                return [f"json={self._value(json.loads(quoted(body)))}"]
            except ValueError:
                pass
        if "x-www-form-urlencoded" in media:
            pairs = parse_qsl(body.replace("+", "%20"), keep_blank_values=True)
            self._owner = self._named_in(pairs)
            return [
                "data={"
                + ", ".join(f"{literal(key)}: {self._text(value, key)}" for key, value in pairs)
                + "}"
            ]
        return [f"content=({self._text(body, 'body')}).encode(), extra={{'Content-Type': {literal(media)}}}"]

    def _named_in(self, pairs: Iterable[tuple[str, Any]]) -> str:
        """The name that stands beside a password, as part of a variable's; "" where none does, or one of this run."""
        told = {name.lower(): value for name, value in pairs if isinstance(value, str)}
        name = next((told[key] for key in _OWNERS if told.get(key)), "").partition("@")[0]
        if MARK.search(name) or (self.run.run_id and self.run.run_id in name):
            return ""
        return re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")[:24]

    def _value(self, value: Any, name: str = "") -> str:
        match value:
            case dict():
                self._owner = self._named_in(value.items()) or self._owner
                members = (f"{literal(key)}: {self._value(inner, key)}" for key, inner in value.items())
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
        return joined(self._pieces(text, name))

    def _pieces(self, text: str, name: str) -> list[str]:
        found: list[str] = []
        end = 0
        for match in MARK.finditer(text):
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
            return [literal(text)]
        self._helpers.add("RUN")
        found: list[str] = []
        for index, piece in enumerate(text.split(run_id)):
            found += (["RUN"] if index else []) + ([literal(piece)] if piece else [])
        return found

    def _secret(self, digest: str, name: str) -> str:
        if digest in self._names:
            return self._names[digest]
        if digest in self._spoken:
            return literal(self._spoken[digest])
        recipe = self._recipes.get(digest)
        if recipe is not None and recipe.signed is not None:
            return self._signed(recipe, recipe.signed, name)
        if recipe is not None and not recipe.base:
            return literal("".join(piece for piece in recipe.pieces if isinstance(piece, str)))
        if recipe is not None and recipe.case == "meaningless":
            self._helpers.add("meaningless")
            return f"meaningless({self._secret(recipe.base, name)})"
        if recipe is not None:
            base = self._secret(recipe.base, name) + (f".{recipe.case}()" if recipe.case else "")
            self._helpers.add("altered")
            self._names[digest] = self._unused("altered")
            self.lines.append(
                f"{self._names[digest]} = altered({base}, {list(recipe.pieces)!a}, parts={recipe.parts})"
            )
            return self._names[digest]
        variable = self._names[digest] = self._variable(kind(name).upper(), digest)
        self.environment[variable] = digest
        return variable

    def _variable(self, wanted: str, digest: str) -> str:
        """The variable of the environment for a secret: the same in all tests of a folder, and nobody else's."""
        known = self.shared.get(digest)
        if known is not None and known not in self._taken:
            self._taken.add(known)
            return known
        wanted = "_".join(filter(None, (wanted, self._owner)))
        variable = self._unused(wanted)
        while variable in self.shared.values():
            variable = self._unused(wanted)
        self.shared[digest] = variable
        return variable

    def _signed(self, recipe: Derivation, signing: Signing, name: str) -> str:
        """A token that is signed anew: the key comes from the environment."""
        base = self._secret(recipe.base, name)
        pair = not signing.algorithm.startswith("sha")
        if signing.own and signing.key not in self._names:
            # Nobody's secret: the attacker's own key, or a public one that is taken for a secret.
            self._names[signing.key] = self._unused("key")
            read = f"base64.b64decode({literal(signing.own)})"
            self.lines.append(f"{self._names[signing.key]} = {f'private_key({read})' if pair else read}")
            self._helpers |= {"own key"} if pair else set()
        if signing.key not in self._names:
            self._owner = ""
            self._names[signing.key] = variable = self._variable("SIGNING_KEY", signing.key)
            if pair:  # a text of many lines: pipelines hand it over as a file
                self.files[f"{variable}_FILE"] = variable
            self.environment[f"{variable}_FILE" if pair else variable] = signing.key
        self._helpers |= {"signed", "signed by a pair"} if pair else {"signed"}
        edits = [
            f"{word}={self._value(value)}"
            for word, value in (
                ("claims", json.loads(signing.claims)),
                ("moments", dict(signing.moments)),
                ("fresh", list(signing.fresh)),
                ("without", list(signing.without)),
                ("respelled", {name: rest for name, *rest in signing.respelled}),
            )
            if value
        ]
        if signing.repeated:
            self._helpers.add("claim")
            members = (
                f"({literal(member)}, {self._repeated(json.loads(member), source)})"
                for member, source in signing.repeated
            )
            edits.append(f"repeated=[{', '.join(members)}]")
        edits += [f"header={literal(signing.header)}"] if signing.header else []
        made = self._names[recipe.digest] = self._unused("forged")
        arguments = [base, self._names[signing.key], f"algorithm={literal(signing.algorithm)}", *edits]
        self.lines.append(f"{made} = signed({', '.join(arguments)})")
        return made

    def _repeated(self, name: str, source: str | float) -> str:
        """The value of a member that stands twice: a claim of a live token, or a moment."""
        if isinstance(source, str):
            return f"claim({self._secret(source, 'token')}, {literal(name)})"
        return f"int(time.time()) + {source!a}"

    def _unused(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._taken or keyword.iskeyword(name):
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        return name
