import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.challenge import Challenge, parse_challenges


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Bearer", [Challenge("bearer")]),
        ("Bearer, ApiKey", [Challenge("bearer"), Challenge("apikey")]),
        ('Basic realm="simple"', [Challenge("basic", None, (("realm", "simple"),))]),
        (
            "Negotiate YII==, Basic realm=x",
            [Challenge("negotiate", "YII=="), Challenge("basic", None, (("realm", "x"),))],
        ),
        (
            'Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"',
            [
                Challenge("newauth", None, (("realm", "apps"), ("type", "1"), ("title", 'Login to "apps"'))),
                Challenge("basic", None, (("realm", "simple"),)),
            ],
        ),
        (', ,Bearer realm = "a" ,,', [Challenge("bearer", None, (("realm", "a"),))]),
        (
            'Bearer error="invalid_token", error_description="a, b"',
            [Challenge("bearer", None, (("error", "invalid_token"), ("error_description", "a, b")))],
        ),
    ],
)
def test_challenges_are_read(line: str, expected: list[Challenge]) -> None:
    assert list(parse_challenges(line)) == expected


@pytest.mark.parametrize(
    "line",
    [
        "",
        " , ",
        'realm="nobody"',
        'Bearer realm="open',
        'Bearer realm="a" error="b"',
        'Bearer realm="a", realm="b"',
        'Bearer error_description="said "no""',
        "Bearer, realm=x",
        "Bearer: token",
        'Bearer error="a\x01"',
        "Bearer realm=",
        "Basic YII==, realm=x",
        '"Bearer"',
        "Bearer a b",
    ],
)
def test_what_is_no_challenge_is_refused(line: str) -> None:
    if line == "Bearer realm=":  # a token68 by the grammar, however odd
        assert parse_challenges(line) == (Challenge("bearer", "realm="),)
        return
    with pytest.raises(ValueError, match=r"\w"):
        parse_challenges(line)


TOKEN = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=8)
TOKEN68 = st.builds(
    str.__add__, st.text("abcXYZ019-._~+/", min_size=1, max_size=12), st.sampled_from(["", "=", "=="])
)
TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"]), max_size=12)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def written(challenge: Challenge) -> str:
    if challenge.token68 is not None:
        return f"{challenge.scheme} {challenge.token68}"
    inner = ", ".join(f"{name}={quoted(text)}" for name, text in challenge.parameters)
    return f"{challenge.scheme} {inner}".rstrip(" ")


PARAMETERS = st.lists(st.tuples(TOKEN.map(str.lower), TEXT), unique_by=lambda pair: pair[0], max_size=3).map(
    tuple
)
CHALLENGE = st.one_of(
    st.builds(Challenge, TOKEN.map(str.lower), TOKEN68),
    st.builds(Challenge, TOKEN.map(str.lower), st.none(), PARAMETERS),
)


@given(st.lists(CHALLENGE, min_size=1, max_size=4), st.sampled_from([",", ", ", " ,\t", ",,"]))
def test_what_was_written_by_the_grammar_is_read_back(challenges: list[Challenge], comma: str) -> None:
    assert list(parse_challenges(comma.join(map(written, challenges)))) == challenges


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert parse_challenges(text)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - one of two honest endings
