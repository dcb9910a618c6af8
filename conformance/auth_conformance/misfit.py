"""What of a run that was read from a file has the wrong form: a report is made of any file that people name."""

from __future__ import annotations

import dataclasses
import types
import typing
from datetime import datetime
from functools import lru_cache
from typing import Any

_WORDS = {str: "a text", int: "a number", float: "a number", bool: "true or false", type(None): "null"}


def misfit(value: Any, form: Any, where: str = "") -> str:
    """Say what in `value` is not of the annotated `form`, and where; "" when all of it is.

    Knows what the model is made of: data classes, tuples, unions, enumerations, texts, numbers and moments.
    """
    origin = typing.get_origin(form)
    if origin is tuple:
        return _items(value, typing.get_args(form), where)
    if origin is typing.Union or isinstance(form, types.UnionType):
        found = [misfit(value, each, where) for each in typing.get_args(form)]
        return "" if "" in found else found[0]
    if dataclasses.is_dataclass(form) and isinstance(form, type):
        return _members(value, form, where)
    if form is Any or _is(value, form):
        naive = isinstance(value, datetime) and value.tzinfo is None
        return f"{where} has no time zone" if naive else ""
    return f"{where} is not {_WORDS.get(form) or str(getattr(form, '__name__', form)).lower()}"


def _is(value: Any, form: Any) -> bool:
    if form is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if form is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, form)


def _items(value: Any, forms: tuple[Any, ...], where: str) -> str:
    if not isinstance(value, tuple):
        return f"{where} is not a list"
    if len(forms) == 2 and forms[1] is Ellipsis:
        forms = forms[:1] * len(value)
    if len(forms) != len(value):
        return f"{where} does not have {len(forms)} members"
    found = (
        misfit(item, form, f"{where}[{index}]")
        for index, (item, form) in enumerate(zip(value, forms, strict=True))
    )
    return next(filter(None, found), "")


def _members(value: Any, form: type, where: str) -> str:
    if not isinstance(value, form):
        return f"{where} is not {form.__name__.lower()}"
    dot = "." if where else ""
    found = (
        misfit(getattr(value, name), inner, f"{where}{dot}{name}") for name, inner in _forms(form).items()
    )
    return next(filter(None, found), "")


@lru_cache(maxsize=64)
def _forms(form: type) -> dict[str, Any]:
    hints = typing.get_type_hints(form)
    return {field.name: hints[field.name] for field in dataclasses.fields(form)}
