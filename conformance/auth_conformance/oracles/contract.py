"""One error body for the whole application: what it must hold, and whether all of them agree.

The names in it are the service's own affair (RFC 9457 §3 has others than `error` and `message`): what most of its
errors hold is the rule for the rest, unless the configuration names the members.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from auth_conformance.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# A code for machines: no blanks, so no sentence.
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{1,63}")
# The reason phrases of HTTP are codes as well: frameworks write them there, and the list is fixed (RFC 9110 §15).
_PHRASES = frozenset(status.phrase for status in HTTPStatus) | {"Payload Too Large", "Unprocessable Entity"}
# RFC 6839 §3.1: whatever ends in +json is read as JSON, RFC 9457's application/problem+json among it.
_JSON = re.compile(r"application/(?:[\w.-]+\+)?json")
# The body that the strict reading asks for, and whose codes are compared.
COMMON = ("error", "message")


class ContractError(ValueError):
    """A body is no error body; the message says why."""


class Nesting(Enum):
    """Where the members `error` and `message` stand."""

    TOP = "at top level"
    DETAIL = "inside `detail`"


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """An error body that holds what it must."""

    code: str
    message: str
    nesting: Nesting


@dataclass(frozen=True, slots=True)
class ErrorCase:
    """An error answer and what provoked it. Cases of one `group` may share a code, others may not."""

    cause: str
    group: str
    status: int
    media_type: str
    document: Any
    headers: Mapping[str, str]


def read_error(document: Any) -> ErrorBody:
    """Read the members of an error body. Raises ContractError that says what is missing."""
    if not isinstance(document, dict):
        raise ContractError(f"the body is {_kind(document)}, not a JSON object")
    inner = document.get("detail")
    if "error" in document:
        found, nesting = document, Nesting.TOP
    elif isinstance(inner, dict):
        found, nesting = inner, Nesting.DETAIL
    elif inner is not None:
        raise ContractError(f"`detail` is {_kind(inner)}, and there is no `error`")
    else:
        raise ContractError("there is no member `error`")
    code, message = found.get("error"), found.get("message")
    if not isinstance(code, str):
        raise ContractError(f"`error` is {_kind(code)}, not a text")
    if not _CODE.fullmatch(code) and code not in _PHRASES:
        raise ContractError("`error` is not a code for machines")
    if not isinstance(message, str):
        raise ContractError(f"`message` is {_kind(message)}, not a text")
    if not message.strip():
        raise ContractError("`message` is empty")
    return ErrorBody(code, message, nesting)


@dataclass(frozen=True, slots=True)
class Contract:
    """What every error body of a service holds: the texts `members`, or its own member of that name and kind."""

    members: tuple[str, ...] = COMMON
    kind: str = ""

    @property
    def common(self) -> bool:
        """Whether these are `error` and `message`, with a code that can be compared."""
        return self.members == COMMON

    def __str__(self) -> str:
        return " and ".join(f"`{name}`" for name in self.members)


@dataclass(frozen=True, slots=True)
class Breach:
    """How an answer breaks a contract, its `body` or a header; `severity` None stands for the check's own."""

    words: str
    severity: Severity | None = None
    body: bool = True


def contract_among(cases: Iterable[ErrorCase], declared: tuple[str, ...] = ()) -> Contract:
    """The contract that the errors of a service keep to: the declared one, or what most of them hold.

    Where most hold `error` and `message`, it is these; otherwise the member with text in it that most have.
    """
    if declared:
        return Contract(declared)
    documents = [case.document for case in cases if isinstance(case.document, dict)]
    if 2 * sum(_common(document) for document in documents) > len(documents):
        return Contract()
    kinds: dict[str, list[str]] = {}
    for document in documents:
        for name, value in document.items():
            if _speaks(value):
                kinds.setdefault(name, []).append(_kind(value))
    if not kinds:
        return Contract()
    usual = max(kinds, key=lambda name: len(kinds[name]))
    return Contract((usual,), max(kinds[usual], key=kinds[usual].count))


def breach_of(case: ErrorCase, contract: Contract = Contract()) -> Breach | None:
    """How one answer alone breaks the contract, None when it does not."""
    if not _JSON.fullmatch(case.media_type):
        return Breach(f"its media type is {case.media_type or 'not given'}")
    found = _breach_of_body(case, contract)
    if found is not None:
        return found
    names = {name.lower() for name in case.headers}
    if case.status == HTTPStatus.METHOD_NOT_ALLOWED and "allow" not in names:
        # RFC 9110 §15.5.6 demands it; the body keeps to the contract all the same.
        return Breach("it names no method in Allow", Severity.LOW, body=False)
    if case.status == HTTPStatus.TOO_MANY_REQUESTS and "retry-after" not in names:
        return Breach("it has no Retry-After", body=False)
    return None


def _breach_of_body(case: ErrorCase, contract: Contract) -> Breach | None:
    document = case.document
    if contract.common:
        try:
            read_error(document)
        except ContractError as error:
            return Breach(str(error))
        return None
    if not isinstance(document, dict):
        return Breach(f"the body is {_kind(document)}, not a JSON object")
    if not contract.kind:
        inner = document.get("detail")
        places = (document, inner if isinstance(inner, dict) else {})
        texts = [{name for name, value in place.items() if _is_text(value)} for place in places]
        missing = [name for name in contract.members if not any(name in names for names in texts)]
        whole = any(set(contract.members) <= names for names in texts)
        words = f"there is no text `{missing[0]}`" if missing else f"{contract} stand in different places"
        return None if whole else Breach(words)
    (name,) = contract.members
    if name not in document:
        return Breach(f"there is no member `{name}`, which most errors have")
    kind = _kind(document[name])
    if kind == contract.kind:
        return None
    # Whoever reads it knows where to look: frameworks list there what is wrong with the input.
    severity = Severity.LOW if case.group == "input" and kind == "a list" else None
    return Breach(f"`{name}` is {kind}, elsewhere {contract.kind}", severity)


def disagreements(cases: Iterable[ErrorCase]) -> list[tuple[ErrorCase, str]]:
    """How answers with `error` and `message` break the contract together: nesting, and codes that say nothing.

    Two answers must differ in code when they differ both in what provoked them and in status: an
    application that hides existence, or calls all bad input the same, is free to do so.
    """
    read = [(case, read_error(case.document)) for case in cases if breach_of(case) is None]
    found: list[tuple[ErrorCase, str]] = []
    if not read:
        return found
    # What most answers do is the rule, the others break it.
    nestings = [body.nesting for _, body in read]
    usual = max(Nesting, key=nestings.count)
    for case, body in read:
        if body.nesting is not usual:
            found.append((case, f"`error` stands {body.nesting.value}, elsewhere {usual.value}"))
    for index, (case, body) in enumerate(read):
        for other, earlier in read[:index]:
            if body.code == earlier.code and case.group != other.group and case.status != other.status:
                found.append((case, f"its code {body.code} is also that of {other.cause} ({other.status})"))
                break
    return found


def _common(document: Any) -> bool:
    try:
        read_error(document)
    except ContractError:
        return False
    return True


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _speaks(value: Any) -> bool:
    """Whether there is text in it."""
    match value:
        case dict():
            return any(map(_speaks, value.values()))
        case list():
            return any(map(_speaks, value))
        case _:
            return _is_text(value)


def _kind(value: Any) -> str:
    match value:
        case None:
            return "missing"
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return "a text"
        case _:
            return f"a {type(value).__name__}"
