"""One error body for the whole application: what it must hold, and whether all of them agree."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# A code for machines: no blanks, so no sentence.
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{1,63}")
_MEDIA_TYPES = {"application/json", "application/problem+json"}


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
    if not _CODE.fullmatch(code):
        raise ContractError("`error` is not a code for machines")
    if not isinstance(message, str):
        raise ContractError(f"`message` is {_kind(message)}, not a text")
    if not message.strip():
        raise ContractError("`message` is empty")
    return ErrorBody(code, message, nesting)


def breach_of(case: ErrorCase) -> str | None:
    """How one answer alone breaks the contract, None when it does not."""
    if case.media_type not in _MEDIA_TYPES:
        return f"its media type is {case.media_type or 'not given'}"
    try:
        read_error(case.document)
    except ContractError as error:
        return str(error)
    names = {name.lower() for name in case.headers}
    if case.status == HTTPStatus.METHOD_NOT_ALLOWED and "allow" not in names:
        return "it names no method in Allow"  # RFC 9110 §15.5.6
    if case.status == HTTPStatus.TOO_MANY_REQUESTS and "retry-after" not in names:
        return "it has no Retry-After"
    return None


def disagreements(cases: Iterable[ErrorCase]) -> list[tuple[ErrorCase, str]]:
    """How answers that are fine alone break the contract together: nesting, and codes that say nothing.

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
