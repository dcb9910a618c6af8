"""The rules that judge one file: what bandit is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from auth_conformance.source.rules.calls import chance, hashing, settings
from auth_conformance.source.rules.literals import literals
from auth_conformance.source.rules.tokens import decoding
from auth_conformance.source.rules.values import comparisons, sql
from auth_conformance.source.tree import Module, Spot

LOCAL: tuple[Callable[[Module], Iterator[Spot]], ...] = (
    literals,
    decoding,
    hashing,
    comparisons,
    chance,
    sql,
    settings,
)
