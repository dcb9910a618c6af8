"""Whether a scope says of itself that it only reads."""

import pytest

from auth_conformance.oracles.scopes import only_reads


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
