"""What the recorder keeps: replies by operation, where credentials came from, how altered ones follow."""

import asyncio
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.credentials import Jwt
from auth_conformance.model import Role
from auth_conformance.secret import Secret
from auth_conformance.transports.derivation import derive, digest_of
from auth_conformance.transports.message import HttpRequest, RawReply, Step
from auth_conformance.transports.recorder import Recorder, _special
from auth_conformance.transports.redaction import Redactor

LOGIN = b'{"access_token": "opaque-0123456789abcdef-token"}'
TOKEN = "opaque-0123456789abcdef-token"


class Echo:
    """Answers every login with the same token, everything else with an empty object."""

    async def send(self, request: HttpRequest) -> RawReply:
        body = LOGIN if request.path == "/login" else b'{"id": "9b1c7a52"}'
        return RawReply(200, (("content-type", "application/json"),), body)

    async def close(self) -> None:
        """Nothing is open."""


def recorder() -> Recorder:
    return Recorder(Echo(), Redactor())


@pytest.mark.parametrize(
    ("request_", "operation", "kept"),
    [
        (HttpRequest("GET", "/things/7"), "GET /things/{id}", True),
        (HttpRequest("GET", "/health"), "GET /things/{id}", False),
        (HttpRequest("POST", "/things/7"), "DELETE /things/{id}", False),
        (HttpRequest("GET", "/things/"), "GET /things/{id}", False),
        (HttpRequest("GET", "/me"), None, True),
    ],
)
def test_only_replies_of_an_operation_are_kept_for_it(
    request_: HttpRequest, operation: str | None, kept: bool
) -> None:
    way = recorder()
    asyncio.run(way.send(request_, label="x", operation=operation))
    assert bool(list(way.archive)) is kept


def test_a_request_of_megabytes_takes_little_room_and_is_the_same_again() -> None:
    way = recorder()
    large = HttpRequest("POST", "/things", body=b"a" * 3_000_000)
    asyncio.run(way.send(large, label="x"))
    [kept] = way.archive
    assert kept.request == large
    assert kept.size < 30_000


def test_the_login_that_issued_a_token_is_found_again() -> None:
    way = recorder()

    async def run() -> None:
        await way.send(
            HttpRequest("POST", "/register", body=b'{"password": "hunter-2-hunter"}'), label="register"
        )
        way.redactor.learn(Secret("hunter-2-hunter"))
        await way.send(HttpRequest("POST", "/login", body=b'{"password": "hunter-2-hunter"}'), label="log in")
        way.redactor.learn(Secret(TOKEN))
        used = HttpRequest("GET", "/me", headers=(("Authorization", f"Bearer {TOKEN}"),))
        sent = await way.send(used, label="attack", role=Role.ATTACK)
        assert [item.label for item in way.origins([sent.exchange])] == ["register", "log in"]

    asyncio.run(run())


def test_the_registration_of_an_account_that_is_only_named_is_found() -> None:
    way = recorder()

    async def run() -> None:
        for name in ("ac1234a@example.com", "ac1234b@example.com"):
            body = f"email={quote(name)}&password=hunter-2-{name[6]}".encode()
            await way.send(HttpRequest("POST", "/register", body=body), label=f"register {name}")
        named = HttpRequest("GET", "/me", headers=(("X-Forwarded-User", "ac1234b@example.com"),))
        sent = await way.send(named, label="attack", role=Role.ATTACK)
        assert [item.label for item in way.origins([sent.exchange])] == ["register ac1234b@example.com"]

    asyncio.run(run())


def test_the_creation_of_an_object_is_found_by_the_id_in_the_path() -> None:
    way = recorder()

    async def run() -> None:
        await way.send(HttpRequest("POST", "/things", body=b"{}"), label="create")
        sent = await way.send(
            HttpRequest("GET", "/things/9b1c7a52"), label="read", operation="GET /things/{id}"
        )
        assert [item.label for item in way.origins([sent.exchange])] == ["create"]

    asyncio.run(run())


def rebuilt(text: str, base: str) -> str | None:
    recipe = derive(text, [base])
    if recipe is None:
        return None
    assert recipe.digest == digest_of(text)
    assert recipe.base == digest_of(base)
    whole: str | list[str] = base.split(".") if recipe.parts else base
    pieces = (piece if isinstance(piece, str) else whole[piece[0] : piece[1]] for piece in recipe.pieces)
    return "".join(piece if isinstance(piece, str) else ".".join(piece) for piece in pieces)


JWT = Jwt.build({"alg": "HS256"}, {"sub": "alice", "exp": 1}).text + "c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "text",
    [
        Jwt.parse(JWT).with_header(alg="none").unsigned().text,
        Jwt.parse(JWT).with_header(alg="none").unsigned().text.rstrip("."),
        Jwt.parse(JWT).with_signature(b"another signature").text,
    ],
)
def test_an_altered_token_is_rebuilt_from_the_live_one(text: str) -> None:
    assert rebuilt(text, JWT) == text


def test_an_altered_payload_is_never_written_down() -> None:
    forged = Jwt.parse(JWT).with_claims(sub="mallory").text
    assert derive(forged, [JWT]) is None
    assert derive("something else entirely", [JWT, TOKEN]) is None


@given(
    base=st.text(alphabet="abcdef0123456789", min_size=20, max_size=60),
    place=st.integers(0, 19),
    middle=st.text(alphabet="XYZ", max_size=6),
)
def test_a_splice_is_rebuilt_and_holds_no_more_than_a_few_characters(
    base: str, place: int, middle: str
) -> None:
    text = base[:place] + middle + base[place + 1 :]
    if text != base:
        assert rebuilt(text, base) in {text, None}
        recipe = derive(text, [base])
        literal = [piece for piece in (recipe.pieces if recipe else ()) if isinstance(piece, str)]
        assert sum(map(len, literal)) <= 12


@pytest.mark.parametrize(
    ("request_", "special"),
    [
        (HttpRequest("GET", "/users/me/", headers=(("Host", "evil.example"),)), ""),
        (HttpRequest("GET", "/users//me"), "raw wire"),
        (HttpRequest("GET", "/users/%6de"), "raw wire"),
        (HttpRequest("GET", "/me", headers=(("Authorization", "a"), ("authorization", "b"))), "raw wire"),
        (HttpRequest("GET", "/me", headers=(("Authorization", "Bearer\tx"),)), "raw wire"),
        (HttpRequest("GET", "/me", headers=(("Transfer-Encoding", "chunked"),)), "raw wire"),
        (HttpRequest("GET", "/me", target=b"http://evil.example/me"), "raw wire"),
        (HttpRequest("GET", "/me", version="1.0"), "raw wire"),
    ],
)
def test_only_what_a_plain_client_cannot_send_is_said_to_be_raw(request_: HttpRequest, special: str) -> None:
    assert _special(request_, 0.0, other=True, own_wire=True) == special
    # Another process than the one that a test would talk to.
    assert _special(request_, 0.0, other=True, own_wire=False) == "raw wire"


def test_what_comes_before_and_after_a_request_comes_from_its_address() -> None:
    seen: list[tuple[str, str | None]] = []

    class Noting(Echo):
        async def send(self, request: HttpRequest) -> RawReply:
            seen.append((request.path, request.source))
            return await super().send(request)

    request = HttpRequest(
        "POST",
        "/login",
        source="127.0.0.9",
        before=(Step(HttpRequest("GET", "/form")),),
        then=(HttpRequest("GET", "/first-page"),),
    )
    asyncio.run(Recorder(Noting(), Redactor()).send(request, label="x"))
    assert seen == [(path, "127.0.0.9") for path in ("/form", "/login", "/first-page")]
