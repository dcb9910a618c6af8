"""Sites of pages: what a member's pages link to, and what their forms send. It is a document of another kind."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from auth_conformance.credentials import Kind
from auth_conformance.discovery.lifecycle import is_logout
from auth_conformance.discovery.logins import is_repetition
from auth_conformance.discovery.names import avoided, dangerous
from auth_conformance.discovery.providers import own_path
from auth_conformance.discovery.schemas import Field
from auth_conformance.discovery.tokens import names_csrf, opaque
from auth_conformance.model import Provenance
from auth_conformance.oracles.places import attributes
from auth_conformance.target import Form, Operation, PasswordChange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from auth_conformance.credentials import Credential
    from auth_conformance.discovery.access import Doorman
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.target import Login
    from auth_conformance.transports.message import RawReply

# How many pages are read, and how much of each.
_PAGES = 10
_READ = 200_000
_FORM = re.compile(r"<form\b[^>]*>.*?</form>", re.IGNORECASE | re.DOTALL)
_FIELD = re.compile(r"<(?:input|textarea|select)\b[^>]*>", re.IGNORECASE)
_LINK = re.compile(r"<a\b[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")
_BUTTON = re.compile(r"<button\b[^>]*>(.*?)</button>", re.IGNORECASE | re.DOTALL)
_URLENCODED = "application/x-www-form-urlencoded"
_REQUIRED = re.compile(r"\srequired(?=[\s/>=])", re.IGNORECASE)
# Input types whose values people do not type (HTML §4.10.5.1).
_PRESSED = ("submit", "button", "image", "reset")


@dataclass(frozen=True, slots=True)
class PageForm:
    """A form: what it sends where, the hidden field with a token that is another one each time, its password fields."""

    operation: Operation
    proof: str = ""
    secrets: tuple[str, ...] = ()


async def read_pages(scout: Scout, known: Knowledge, doorman: Doorman) -> None:
    """Add what A's pages link to and send to the operations; complete the login with the token that forms carry."""
    login = next((item for item in known.logins if item.cookie is not None), None)
    session = known.credentials.get(("a", Kind.COOKIE))
    if login is None or session is None:
        return
    forms: dict[str, PageForm] = {}
    proof: tuple[str, Operation] | None = None
    read = 0
    async for page, reply in visited(scout, known, session):
        read += 1
        for form in forms_in(known, reply.text, page.path):
            own = {login.operation.name, *(step.operation.name for step in login.before)}
            if form.operation.name in own or form.operation.name in forms:
                continue
            forms[form.operation.name] = form
            _adopt(known, form.operation)
            if form.proof and proof is None:
                proof = form.proof, page
    if not forms:
        return
    known.say(
        "pages",
        f"{read} read, with {len(forms)} forms: {', '.join(sorted(forms))}",
        Provenance.OBSERVED,
        f"account a's pages, from {next(iter(known.opened)).name} on",
    )
    if proof is not None and not known.settings.login and not (login.csrf and login.csrf_field):
        await _carry(known, doorman, login, *proof)
    if known.password_change is None:
        known.password_change = next(filter(None, map(_change, forms.values())), None)
        if known.password_change is not None:
            change = known.password_change
            known.say(
                "password change",
                f"{change.form.operation.name} ({change.current or 'asks for no password'}, {change.new})",
                Provenance.OBSERVED,
                "a form in a member's page takes a password and a new one",
            )


def _adopt(known: Knowledge, sent: Operation) -> None:
    """Add what a form sends; a route of that name which nobody has described gets its body from the form."""
    listed = known.operations.setdefault(sent.name, sent)
    if not listed.bodies:
        summary = listed.summary or sent.summary
        known.operations[sent.name] = replace(listed, bodies=sent.bodies, summary=summary)


async def visited(
    scout: Scout, known: Knowledge, session: Credential
) -> AsyncIterator[tuple[Operation, RawReply]]:
    """The pages that A is shown, those that are known first, then what they link to: GET without a query."""
    waiting = [item for item in known.opened if item.method == "GET"]
    waiting += [Operation("GET", "/", provenance=Provenance.OBSERVED)]
    seen: set[str] = set()
    read = 0
    while waiting and read < _PAGES:
        page = waiting.pop(0)
        if page.path in seen or "{" in page.path:
            continue
        seen.add(page.path)
        label = f"read the page {page.path} as a"
        reply = (await scout.ask(page.request(), label, credential=session)).reply
        if not reply.ok or "html" not in reply.media_type or scout.is_fallback(reply, page.path):
            continue
        read += 1
        yield page, reply
        for path in _links(known, reply.text, page.path):
            linked = Operation("GET", path, provenance=Provenance.OBSERVED)
            if dangerous(linked):
                if is_logout(linked) and not avoided(linked, "logout"):
                    known.operations.setdefault(linked.name, replace(linked, of_page=True))
            elif path not in seen:
                waiting.append(linked)


def _links(known: Knowledge, page: str, path: str) -> list[str]:
    """The paths of this service that a page links to, one of those that differ in numbers only."""
    found: dict[str, str] = {}
    for tag in _LINK.findall(page[:_READ]):
        href = attributes(tag).get("href", "")
        if not href or href.startswith("#") or "?" in href:
            continue
        there = _own(known, href, path)
        if there is not None:
            found.setdefault(re.sub(r"\d+", "0", there), there)
    return list(found.values())


def _own(known: Knowledge, url: str, page: str) -> str | None:
    """The path on this service that a page means by a URL; None where it leads elsewhere."""
    joined = urljoin(page, html.unescape(url))
    if urlsplit(joined).scheme not in ("", "http", "https"):
        return None
    there = own_path(known, joined)
    if there is None or not there.startswith("/"):
        return None
    return there.partition("?")[0].partition("#")[0]


def forms_in(known: Knowledge, page: str, path: str) -> Iterator[PageForm]:
    """The forms of a page that send something to this service by POST; uploads are left out."""
    for text in _FORM.findall(page[:_READ]):
        head = attributes(text[: text.index(">") + 1])
        action = _own(known, head.get("action") or path, path)
        fields = [_attributes(tag) for tag in _FIELD.findall(text)]
        types = {item.get("type", "text").lower() for item in fields}
        if head.get("method", "get").lower() != "post" or action is None or "file" in types:
            continue
        yield _form(text, action, [item for item in fields if item.get("name")])


def _attributes(tag: str) -> dict[str, str]:
    """The attributes of a field; `required` is there without a value as well."""
    found = attributes(tag)
    return found | {"required": ""} if _REQUIRED.search(tag) else found


def _form(text: str, action: str, fields: list[dict[str, str]]) -> PageForm:
    properties: dict[str, Any] = {}
    required: list[str] = []
    proof = ""
    secrets: list[str] = []
    for item in fields:
        name, kind = item["name"], item.get("type", "text").lower()
        if kind in _PRESSED:
            continue
        if kind == "hidden":
            value = item.get("value", "")
            if names_csrf(name) or (not proof and opaque(value)):
                proof = name
            else:
                properties[name] = {"type": "string", "const": value}
                required.append(name)
            continue
        schema: dict[str, Any] = {"type": "string"}
        if kind in ("password", "email"):
            schema["format"] = kind
        if item.get("maxlength", "").isdecimal():
            schema["maxLength"] = int(item["maxlength"])
        properties[name] = schema
        if "required" in item or kind == "password":
            required.append(name)
        if kind == "password":
            secrets.append(name)
    body = {"type": "object", "properties": properties, "required": required}
    said = " ".join(" ".join(_TAG.sub(" ", button).split()) for button in _BUTTON.findall(text))
    said += " ".join(
        item.get("value", "")
        for tag in _FIELD.findall(text)
        if (item := attributes(tag)).get("type") in _PRESSED
    )
    operation = Operation(
        "POST",
        action,
        # What a button says in two words stands in paths as one: "Sign out" is `signout`.
        summary=f"{said} {said.replace(' ', '')}"[:120] if said else "",
        bodies={_URLENCODED: body},
        provenance=Provenance.OBSERVED,
        of_page=True,
    )
    return PageForm(operation, proof, tuple(secrets))


def _change(form: PageForm) -> PasswordChange | None:
    """A form with two or three password fields: the one of now, the new one, and the new one again."""
    names = [name for name in form.secrets if not is_repetition(Field(name, name, {}, required=True))]
    repeated = [name for name in form.secrets if name not in names]
    if len(names) == 3 and not repeated:
        names, repeated = names[:2], names[2:]
    if len(names) != 2:
        return None
    schema = form.operation.bodies[_URLENCODED]
    fixed = {name: item["const"] for name, item in schema["properties"].items() if "const" in item}
    return PasswordChange(
        Form(form.operation, "form", fixed), names[0], names[1], tuple(repeated), Provenance.OBSERVED
    )


async def _carry(known: Knowledge, doorman: Doorman, login: Login, name: str, page: Operation) -> None:
    """Let the sessions of this login carry the token of the forms: each takes its own from `page`."""
    wanted = replace(login, csrf=f"input {name}", csrf_from=page, csrf_field=name, csrf_header="")
    fresh = {}
    for label in [who for who, kind in known.credentials if kind is Kind.COOKIE]:
        reply = await doorman.send(wanted, known.accounts[label])
        credential = wanted.read(reply, label) if reply is not None else None
        if credential is None or not credential.companions:
            return
        fresh[label] = credential
    known.logins[known.logins.index(login)] = wanted
    for label, credential in fresh.items():
        known.credentials[label, Kind.COOKIE] = credential
    known.say(
        "CSRF",
        f"input {name} of {page.name} → member {name} of bodies",
        Provenance.OBSERVED,
        "each form of a member's pages carries it",
    )
