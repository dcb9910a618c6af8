"""What people own at a service: API keys, and objects with what stands above them."""

from __future__ import annotations

import contextlib
import random
import string
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from auth_conformance.credentials import Carrier
from auth_conformance.model import Provenance
from auth_conformance.oracles.pointer import escape, put, put_alike, resolve
from auth_conformance.target.operations import Operation


@dataclass(frozen=True, slots=True)
class KeyManagement:
    """How a user makes, lists and revokes API keys. Pointers are into the creation reply.

    `listing` and `revoke` are None where the service has none; `revoke`'s path parameter is `id_parameter`.
    `owner_parameter` is the one in all three paths that names whose keys they are, where there is one.
    """

    create: Operation
    template: Mapping[str, Any]
    value: str
    carriers: tuple[Carrier, ...]
    identifier: str | None = None
    listing: Operation | None = None
    revoke: Operation | None = None
    id_parameter: str = ""
    expiry_field: str | None = None
    provenance: Provenance = Provenance.OBSERVED
    owner_parameter: str = ""


@dataclass(frozen=True, slots=True)
class ToldKey:
    """An operation that tells its caller their API key each time, at `pointer` of its reply."""

    operation: Operation
    pointer: str


@dataclass(frozen=True, slots=True)
class Writing:
    """A change by which people leave a text of their own: the member that takes it, and what else the body holds."""

    operation: Operation
    template: Mapping[str, Any]
    text_field: str


@dataclass(frozen=True, slots=True)
class Parent:
    """What stands above objects, in their paths or in the body of a creation, and where a caller gets one of their own.

    `parameter` is the name of a path parameter, the JSON pointer of a member of the body, or `header NAME`.
    `operation` makes one from `template`, with a new word in the members `fresh`, or lists or names it. `value`
    points into its reply at what `parameter` takes. `delete` takes away what was made. `above` is what the body of
    that creation names in turn: the organisation of a project that tasks belong to.
    """

    parameter: str
    operation: Operation
    value: str
    template: Mapping[str, Any] = field(default_factory=dict)
    fresh: tuple[str, ...] = ()
    delete: Operation | None = None
    above: tuple[Parent, ...] = ()

    @property
    def in_body(self) -> bool:
        """Whether the body of a creation names it, and no path."""
        return self.parameter.startswith("/")

    @property
    def makes(self) -> bool:
        """Whether each caller makes one, which then is theirs alone."""
        return self.operation.method == "POST"

    def deletion(self, values: Mapping[str, str]) -> dict[str, str]:
        """The path values that `delete` takes, which may name its parameter otherwise."""
        last = (
            self.delete.path.rpartition("{")[2].partition("}")[0]
            if self.delete is not None
            else self.parameter
        )
        return {**values, last: values[self.parameter]}

    def body(self, word: str, above: Mapping[str, str]) -> dict[str, Any]:
        """A body for a new one, called `word`, in what stands `above` it by the pointers of its members."""
        made = dict(self.template)
        for name in self.fresh:
            made = put(made, name, word)
        for name, value in above.items():
            made = put_alike(made, name, value, self.template)
        return made


@dataclass(frozen=True, slots=True)
class Objects:
    """A collection whose objects belong to users. `text_field` takes free text; `identifier` is a pointer.

    `id_parameter` is the path parameter that takes an object's id, or the JSON pointer of the member that does where
    bodies name it. `parents` are what stands above them, the outermost first. `private` says that people who have the
    same one must not see what the others keep there. `fresh` are the members of the body, as pointers, that no two
    objects may have alike: a name in addresses, a number that people choose. `chosen` is an id of theirs where a PUT
    creates an object in the place that its path names (RFC 9110 §9.3.4): each one gets another.
    """

    create: Operation
    read: Operation
    template: Mapping[str, Any]
    text_field: str
    identifier: str
    id_parameter: str
    listing: Operation | None = None
    update: Operation | None = None
    delete: Operation | None = None
    provenance: Provenance = Provenance.OBSERVED
    parents: tuple[Parent, ...] = ()
    private: bool = False
    fresh: tuple[str, ...] = ()
    chosen: str = ""

    def placed(self, values: Mapping[str, str], chance: random.Random) -> dict[str, str]:
        """The path values of a creation, with an id that nothing has where its maker chooses it."""
        chosen = {self.id_parameter: another(self.chosen, chance)} if self.chosen else {}
        return {**chosen, **values}

    def apart(self, body: dict[str, Any], chance: random.Random, fresh: Sequence[str] = ()) -> dict[str, Any]:
        """The body of a creation with values of its own in the members `fresh`, where it has those of the template."""
        for pointer in self.fresh or fresh:
            told = resolve(dict(self.template), pointer)
            if isinstance(told, str) and resolve(body, pointer) == told:
                body = put(body, pointer, another(told, chance))
        return body


def open_texts(operation: Operation, template: Mapping[str, Any], text_field: str) -> tuple[str, ...]:
    """The pointers of the texts in a body, besides `text_field`, whose schema leaves open what they are."""
    properties = next(iter(operation.bodies.values()), {}).get("properties", {})
    told = ("enum", "const", "format", "anyOf", "oneOf", "allOf")
    return tuple(
        f"/{escape(name)}"
        for name, value in template.items()
        if isinstance(value, str)
        and name != text_field
        and not any(key in properties.get(name, {}) for key in told)
    )


def another(text: str, chance: random.Random) -> str:
    """Another text of the same make: what a pattern or a length lets through as `text`, it lets through as this."""
    with contextlib.suppress(ValueError):
        return str(uuid.UUID(int=uuid.UUID(text).int ^ chance.getrandbits(48)))
    local, at, host = text.partition("@")
    kinds = ("123456789", string.ascii_lowercase, string.ascii_uppercase)
    return (
        "".join(next((chance.choice(kind) for kind in kinds if sign in kind), sign) for sign in local)
        + at
        + host
    )
