"""What an owner reads before and after: only a difference that the owner sees, and that does not come by itself."""

from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.standing import Standing, changed, flattened

PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
DOCUMENTS = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)


@given(DOCUMENTS)
def test_what_stays_the_same_has_not_changed(document: object) -> None:
    assert changed(Standing.of(200, document, document), 200, document) is None


@given(st.dictionaries(st.text(min_size=1, max_size=5), PLAIN, min_size=1, max_size=4), st.data())
def test_one_changed_member_is_seen(document: dict[str, object], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(document)))
    now = {**document, name: "a text of its own, longer than eight"}
    assert changed(Standing.of(200, document, document), 200, now) is not None


def test_what_changes_by_itself_is_left_out() -> None:
    before = Standing.of(200, {"title": "x", "read_at": 1}, {"title": "x", "read_at": 2})
    assert changed(before, 200, {"title": "x", "read_at": 3}) is None
    assert changed(before, 200, {"title": "y", "read_at": 3}) == "its owner reads another value at /title"


def test_an_object_that_is_gone_has_changed_and_a_refused_owner_proves_nothing() -> None:
    before = Standing.of(200, {"title": "x"}, {"title": "x"})
    assert changed(before, 404, None) == "its owner does not find it any more (404)"
    assert changed(before, 401, None) is None
    assert changed(before, None, None) is None


def test_what_was_attached_is_seen() -> None:
    before = Standing.of(200, {"comments": []}, {"comments": []})
    assert changed(before, 200, {"comments": ["mine"]}) is not None
    assert changed(Standing.of(200, {"tags": ["a"]}, {"tags": ["a"]}), 200, {"tags": ["a", "b"]}) == (
        "its owner reads something new at /tags/1"
    )


def test_containers_are_told_apart_from_nothing() -> None:
    assert flattened({"a": [], "b": {}, "c": None}) == {"/a": "[]", "/b": "{}", "/c": None}
