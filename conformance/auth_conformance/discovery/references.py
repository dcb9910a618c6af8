"""Local `$ref`s replaced by what they point to: cycles are cut, and so are documents made to explode."""

from __future__ import annotations

from typing import Any

from auth_conformance.oracles.pointer import resolve

_DEEPEST = 24
_LARGEST = 20_000


class References:
    """Resolves references inside one document. `problems` collects those that point nowhere."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._whole: dict[str, Any] = {}
        self._cuts = 0
        self._nodes = 0
        self.problems: list[str] = []
        # Schemas as requests may follow them: see schemas.writable.
        self.written: dict[int, tuple[Any, Any]] = {}

    def resolve(self, value: Any) -> Any:
        """`value` with every local reference in it replaced; a reference to itself becomes `{}`."""
        self._nodes = 0
        return self._walk(value, (), 0)

    def _walk(self, value: Any, open_references: tuple[str, ...], depth: int) -> Any:
        self._nodes += 1
        if depth > _DEEPEST or self._nodes > _LARGEST:
            self._cuts += 1
            return {}
        match value:
            case {"$ref": str() as reference}:
                found = self._follow(reference, open_references, depth)
                beside = {key: item for key, item in value.items() if key != "$ref"}
                if beside and isinstance(found, dict):
                    return {**found, **self._walk(beside, open_references, depth + 1)}
                return found
            case dict():
                return {str(key): self._walk(item, open_references, depth + 1) for key, item in value.items()}
            case list():
                return [self._walk(item, open_references, depth + 1) for item in value]
            case _:
                return value

    def _follow(self, reference: str, open_references: tuple[str, ...], depth: int) -> Any:
        if reference in self._whole:
            return self._whole[reference]
        if reference in open_references:
            self._cuts += 1
            return {}
        target = resolve(self._document, reference[1:]) if reference.startswith("#") else None
        if target is None:
            problem = f"the reference {reference[:80]} points nowhere"
            if problem not in self.problems:
                self.problems.append(problem)
            return {}
        before = self._cuts
        found = self._walk(target, (*open_references, reference), depth + 1)
        if self._cuts == before:  # a cut result is right only where it was cut
            self._whole[reference] = found
        return found
