"""Whether a scope says of itself that it only reads, and whether it may hold another one in it."""

import pytest

from auth_conformance.oracles.scopes import may_include, only_reads


@pytest.mark.parametrize(
    ("scope", "reads"),
    [
        ("docs:read", True),
        ("read", True),
        ("read_only", True),
        ("Orders.Read.All", False),
        ("readWrite", False),
        ("docs:write", False),
        ("repo", False),
        ("thread:edit", False),
        ("read:*", False),
        ("", False),
    ],
)
def test_what_a_scope_says(scope: str, reads: object) -> None:
    assert only_reads(scope) is reads


@pytest.mark.parametrize(
    ("held", "other", "may"),
    [
        ("notes:read", "notes:write", False),
        ("notes:write", "notes:read", True),
        ("notes:write", "profile:write", False),
        ("notes:manage", "notes:delete", True),
        ("write", "read", True),
        ("read", "write", False),
        ("profile", "profile:read", True),
        ("profile", "email", False),
        ("admin", "notes:delete", True),
        ("*", "read", True),
        ("items.readonly", "items", False),
        ("READ_ITEMS", "WRITE_ITEMS", False),
    ],
)
def test_what_a_scope_may_hold(held: str, other: str, may: object) -> None:
    assert may_include(held, other) is may
