"""The rules that judge one file: what bandit is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from auth_conformance.source.rules.certificates import certificates
from auth_conformance.source.rules.chance import chance
from auth_conformance.source.rules.comparisons import comparisons
from auth_conformance.source.rules.hashing import hashing
from auth_conformance.source.rules.literals import literals
from auth_conformance.source.rules.settings import settings
from auth_conformance.source.rules.sql import sql
from auth_conformance.source.rules.tokens import decoding
from auth_conformance.source.tree import Module, Spot

LOCAL: tuple[Callable[[Module], Iterator[Spot]], ...] = (
    literals,
    decoding,
    hashing,
    comparisons,
    chance,
    sql,
    settings,
    certificates,
)
