"""Spellings of a path: each is another text, and none is a request that a server could not read."""

from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.spellings import other_versions, path_spellings

SEGMENTS = st.text(st.sampled_from("abcxyz019-_"), min_size=1, max_size=6)
PATHS = st.lists(SEGMENTS, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(PATHS)
def test_no_spelling_is_the_path_itself_or_breaks_the_request_line(path: str) -> None:
    for spelling in (*path_spellings(path), *other_versions(path)):
        assert spelling.target != path.encode()
        assert not set(spelling.target) & {0x0A, 0x0D, 0x20}
        assert spelling.why


def test_versions_and_prefixes_are_swapped() -> None:
    assert [item.target for item in other_versions("/api/v2/me")] == [
        b"/api/v0/me",
        b"/api/v1/me",
        b"/api/v3/me",
        b"/v2/me",
    ]
    assert other_versions("/users/me") == []


def test_the_line_break_that_routes_is_among_them() -> None:
    assert b"/users/me%0a" in [item.target for item in path_spellings("/users/me")]
