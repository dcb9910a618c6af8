"""How people log in: operations that look like it, ordered, and what each needs to be told."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from auth_conformance.credentials import Carrier, Kind
from auth_conformance.discovery.names import (
    IN_PATH,
    avoided,
    likeness,
    mentions,
    names,
    plain,
    rank,
    speaks_of_password,
)
from auth_conformance.discovery.sampling import sample
from auth_conformance.discovery.schemas import Field, fields, reply_fields
from auth_conformance.discovery.tokens import opaque
from auth_conformance.model import Provenance
from auth_conformance.oracles.places import attributes
from auth_conformance.oracles.pointer import put
from auth_conformance.target import Login, LoginStep, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from auth_conformance.discovery.knowledge import Knowledge

_ENCODINGS = {"application/x-www-form-urlencoded": "form", "multipart/form-data": "form", "query": "query"}
_NOWHERE = Carrier(Kind.BEARER, "header", "Authorization", "Bearer")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A way to log in that has not been tried: what `Login` needs, and how likely it is right."""

    operation: Operation
    encoding: str
    user_field: str
    password_field: str
    template: Mapping[str, Any] = field(default_factory=dict)
    score: int = 0
    before: tuple[LoginStep, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    media: str = ""

    def login(self) -> Login:
        """The attempt as a login whose reply has not been read yet."""
        return Login(
            self.operation,
            self.encoding,
            self.user_field,
            self.password_field,
            _NOWHERE,
            self.template,
            before=self.before,
            headers=self.headers,
            query=self.query,
            media=self.media,
        )

    @property
    def described(self) -> str:
        """For messages: `POST /login (JSON: username, password)`."""
        kind = {"form": "form", "json": "JSON", "query": "query", "basic": "HTTP Basic"}[self.encoding]
        if self.encoding == "basic":
            return f"{self.operation.name} (HTTP Basic)"
        return f"{self.operation.name} ({kind}: {self.user_field}, {self.password_field})"


def attempts(known: Knowledge, rng: Any) -> list[Attempt]:
    """The login operations of the document, likeliest first; each body that they take is an attempt."""
    found: list[Attempt] = []
    for operation in known.by_method("POST", "PUT"):
        if "{" in operation.path or avoided(operation, "login"):
            continue
        for media, schema in operation.bodies.items():
            attempt = _attempt(known, operation, media, schema, rng)
            if attempt is not None:
                found.append(attempt)
        if not operation.bodies:
            # FastAPI functions that take plain arguments read them from the query.
            attempt = _attempt(known, operation, "query", _query_schema(operation), rng)
            attempt = attempt or _basic_attempt(known, operation)
            found += [attempt] if attempt is not None else []
    # Frameworks document urlencoded and multipart beside each other: both are sent as one form.
    once: dict[tuple[str, str, str], Attempt] = {}
    for attempt in found:
        once.setdefault((attempt.operation.name, attempt.encoding, attempt.media), attempt)
    return sorted(once.values(), key=lambda attempt: -attempt.score)


def _attempt(
    known: Knowledge, operation: Operation, media: str, schema: Mapping[str, Any], rng: Any
) -> Attempt | None:
    encoding = _ENCODINGS.get(media, "json" if media.endswith("json") else "")
    members = fields(schema)
    password = password_of(members) or _other_text(operation, members)
    if not encoding or password is None:
        return None
    handed = [item for item in members if mentions(item.name, names("steps"))]
    user = user_of([item for item in members if item not in handed], password)
    if user is None and rank(handed[0].name if handed else "", names("fields", "user")) is not None:
        # A handle may be how people are called, or a thread that an earlier step gave: alone it is a name.
        user = handed.pop(0)
    if user is None and not handed:
        return None
    if user is None and mentions(password.name, names("login", "factors")):
        return None  # a second factor beside what the first step gave: no place for a password
    pointed = any(
        operation.path.endswith("/" + path.strip("/").rsplit("/", 1)[-1]) for path in known.token_paths
    )
    others = [item for item in members if item.required and item not in (user, password, *handed)]
    score = 2 * likeness(operation, "login") + (8 if pointed and encoding == "form" else 0) - 2 * len(others)
    score += 4 if _promises_token(operation) else 0
    score -= 6 if operation.protected else 0
    # A collection of users with a password in the body is how people register, not how they log in.
    score -= 6 if likeness(operation, "register") > likeness(operation, "login") else 0
    if score < 0:
        return None
    return Attempt(
        operation,
        encoding,
        user.pointer if user else "",
        password.pointer,
        _template(schema, members, rng),
        score,
        media=media if encoding == "json" else "",
    )


def completed(attempt: Attempt, rng: Any) -> Attempt | None:
    """The attempt with every member that its schema lists, for services that need more than they declare."""
    schema = attempt.operation.bodies.get(attempt.media) or next(iter(attempt.operation.bodies.values()), {})
    left = names("login", "optional")
    own = (attempt.user_field, attempt.password_field)
    template = dict(attempt.template)
    for item in fields(schema):
        if item.required or item.pointer in own or mentions(item.name, left):
            continue
        template = put(template, item.pointer, sample(item.schema, rng, item.name))
    return replace(attempt, template=template) if template != attempt.template else None


def _basic_attempt(known: Knowledge, operation: Operation) -> Attempt | None:
    """A session is opened with HTTP Basic: an operation without a body, named like a login, declares that."""
    basic = {carrier.scheme for carrier in known.carriers if carrier.kind is Kind.BASIC}
    demanded = set().union(*(operation.security or ()))
    if basic.isdisjoint(demanded) or likeness(operation, "login") < IN_PATH:
        return None
    return Attempt(operation, "basic", "", "", {}, 2 * likeness(operation, "login"))


def _query_schema(operation: Operation) -> dict[str, Any]:
    members = [item for item in operation.parameters if item.place == "query"]
    return {
        "type": "object",
        "properties": {item.name: dict(item.schema) for item in members},
        "required": [item.name for item in members if item.required],
    }


def _template(schema: Mapping[str, Any], members: list[Field], rng: Any) -> dict[str, Any]:
    made = sample(schema, rng)
    template = made if isinstance(made, dict) else {}
    for item in members:
        # OAuth2 forms: harmless where it is optional, demanded by strict ones.
        if item.name == "grant_type":
            template = put(template, item.pointer, "password")
    return template


def _promises_token(operation: Operation) -> bool:
    declared = reply_fields(operation.responses)
    return any(rank(item.name, names("tokens", "access")) is not None for item in declared)


def password_of(members: list[Field]) -> Field | None:
    """The member that takes the password: by format, by name, by `writeOnly`; not a new one to be set."""
    usable = [
        item
        for item in members
        if rank(item.name, names("fields", "new_password")) is None
        and not is_repetition(item)
        and item.schema.get("type", "string") not in ("boolean", "integer", "array")
    ]
    changing = len(usable) < len([item for item in members if not is_repetition(item)])
    listed = names("fields", "password")
    ranked = [(place, item) for item in usable if (place := rank(item.name, listed)) is not None]
    marked = [
        item for item in usable if item.schema.get("format") == "password" and item.name != "client_secret"
    ]
    hidden = [item for item in usable if item.schema.get("writeOnly") and item.name != "client_secret"]
    if changing and not ranked:
        return None
    if ranked:
        return min(ranked, key=lambda pair: pair[0])[1]
    return next(iter(marked or hidden), None)


def _other_text(operation: Operation, members: list[Field]) -> Field | None:
    """The member that can only be the password: a login for strangers takes a known user name and one more text.

    Nothing else is tried by shape alone: a password must not land in somebody's comment.
    """
    if operation.protected or not likeness(operation, "login"):
        return None
    required = [item for item in members if item.required]
    listed = (*names("fields", "user"), *names("fields", "email"))
    users = [
        item
        for item in required
        if rank(item.name, listed) is not None or item.schema.get("format") == "email"
    ]
    others = [item for item in required if item not in users and item.schema.get("type") == "string"]
    one_each = len(users) == 1 and len(others) == 1 and len(required) == 2
    if not one_each or mentions(others[0].name, (*names("steps"), *names("login", "codes"))):
        return None
    return others[0]


def is_repetition(item: Field) -> bool:
    """Whether a member takes the password a second time: a word for passwords, and one for again."""
    if rank(item.name, names("fields", "confirm")) is not None:
        return True
    return speaks_of_password(item.name) and mentions(item.name, names("fields", "again"))


def user_of(members: list[Field], password: Field) -> Field | None:
    """The member that takes the user name: by name, by the e-mail format, or the only other required text."""
    texts = [
        item
        for item in members
        if item is not password
        and not is_repetition(item)
        and item.schema.get("type", "string") in ("string", ["string", "null"])
    ]
    listed = names("fields", "user")
    ranked = [
        (not item.required, place, item) for item in texts if (place := rank(item.name, listed)) is not None
    ]
    if ranked:
        return min(ranked, key=lambda entry: entry[:2])[2]
    by_format = [item for item in texts if item.schema.get("format") == "email"]
    required = [item for item in texts if item.required and item.name not in ("grant_type", "client_id")]
    return next(iter(by_format), None) or (required[0] if len(required) == 1 else None)


_INPUT = re.compile(r"<input\b[^>]*>", re.IGNORECASE)
_FORM = re.compile(r"<form\b[^>]*>.*?</form>", re.IGNORECASE | re.DOTALL)


def html_attempts(page: str, path: str, own: Callable[[str], str | None]) -> Iterator[Attempt]:
    """The login forms in the HTML of the page at `path`: fields and hidden values as a browser would send them.

    `own` gives the path below the target's address for the URL of an action, None for another host's.
    """
    for form in _FORM.findall(page[:200_000]):
        head = attributes(form[: form.index(">") + 1])
        inputs = [attributes(tag) for tag in _INPUT.findall(form)]
        secret = [
            item["name"] for item in inputs if item.get("type", "").lower() == "password" and item.get("name")
        ]
        texts = [
            item["name"]
            for item in inputs
            if item.get("type", "text").lower() in ("text", "email", "tel") and item.get("name")
        ]
        if len(secret) != 1 or not texts or head.get("method", "get").lower() != "post":
            continue
        action = own(urljoin(path, html.unescape(head.get("action") or path)))
        if action is None or not action.startswith("/") or mentions(action, names("login", "avoid")):
            continue
        ranked = sorted(
            texts, key=lambda name: 99 if (place := rank(name, names("fields", "user"))) is None else place
        )
        hidden = {
            item["name"]: item.get("value", "")
            for item in inputs
            if item.get("type", "").lower() == "hidden" and item.get("name")
        }
        # What looks like a token is another one in each page: it is fetched before each login.
        fresh = [name for name, value in hidden.items() if opaque(value)]
        step = LoginStep(
            Operation("GET", path, provenance=Provenance.OBSERVED),
            takes=tuple((plain(name), f"input {name}") for name in fresh),
        )
        template = {**hidden, **{name: "{{" + plain(name) + "}}" for name in fresh}}
        operation = Operation("POST", action, provenance=Provenance.OBSERVED)
        yield Attempt(operation, "form", ranked[0], secret[0], template, 5, (step,) if fresh else ())
