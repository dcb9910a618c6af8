"""Mistakes in a configuration as sentences that mend them: what was meant, and what may stand there instead."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

_MENDING = {
    "string_type": 'write a text in quotes, as in "text"',
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "int_from_float": "write a whole number",
    "float_type": "write a number",
    "float_parsing": "write a number",
    "list_type": 'write a list, as in ["one", "two"]',
    "dict_type": "write a table, as in { name = value }",
    "model_type": "write a table, as in { name = value }",
    "model_attributes_type": "write a table, as in { name = value }",
    "missing": "it has to be given",
}
_CLOSE = 0.6
_TELLING = 3


def sentences(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """One line per mistake. `where` names the file, as in ` in auth-conformance.toml`; values are never quoted."""
    return "\n".join(_sentence(item, model, where) for item in error.errors(include_url=False))


def _sentence(item: Any, model: type[BaseModel], where: str) -> str:
    loc: tuple[int | str, ...] = item["loc"]
    name = dotted(loc) or "configuration"
    if item["type"] == "extra_forbidden":
        return f"Unknown option {name}{where}: {_meant(str(loc[-1]), _keys(model, loc[:-1]))}"
    if item["type"] == "missing":
        return f"Option {name}{where} is missing: {_MENDING['missing']}."
    if item["type"] == "literal_error":
        return f"Option {name}{where}: {_one_of(item)}"
    message = _MENDING.get(item["type"]) or item["msg"].removeprefix("Value error, ")
    return f"Option {name}{where}: {message}."


def dotted(loc: tuple[int | str, ...]) -> str:
    """The place of a mistake as people write it: `login[1].operation` is in the first `[[login]]`."""
    text = ""
    for part in loc:
        text += f"[{part + 1}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


def _one_of(item: Any) -> str:
    allowed = [part.strip(" '") for part in item["ctx"]["expected"].replace(" or ", ", ").split(", ")]
    near = nearest(str(item["input"]), allowed)
    named = ", ".join(f'"{part}"' for part in allowed)
    return f"it takes one of {named}" + (f'; did you mean "{near}"?' if near else ".")


def _meant(key: str, known: list[str]) -> str:
    near = nearest(key, known)
    if near is not None:
        return f"did you mean {near}?"
    return f"there are {', '.join(sorted(known))}." if known else "check its spelling."


def nearest(word: str, known: list[str]) -> str | None:
    """The known word that `word` probably stands for."""
    plain = {name.lower().replace("-", "_"): name for name in known if name}
    wanted = word.lower().replace("-", "_")
    close = difflib.get_close_matches(wanted, plain, 1, _CLOSE)
    close += [name for name in plain if len(name) >= _TELLING and wanted.startswith(name)]
    return plain[close[0]] if close else None


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys that may stand in a table, as they are written."""
    return [info.alias or name for name, info in model.model_fields.items()]


def _keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that may stand in the table at `loc`."""
    found: Any = model
    for part in loc:
        inner = list(tables_in(found))
        if isinstance(part, int) or not inner:
            continue
        field = next(
            (info for name, info in inner[0].model_fields.items() if part in (name, info.alias)), None
        )
        if field is not None:
            found = field.annotation
    inner = list(tables_in(found))
    return keys_of(inner[0]) if inner else []


def tables_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a type: of a field, of the items of its list, of the values of its mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType, list) or origin is not None:
        parts = get_args(annotation)
        parts = parts[1:] if origin in (dict, Mapping) else parts
        for part in parts:
            yield from tables_in(part)
