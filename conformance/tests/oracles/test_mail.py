"""Tokens and links in messages, and mailboxes of every kind."""

import asyncio
import secrets
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_conformance.oracles.mail import read
from auth_conformance.transports.mailbox import Mailbox, MailboxError, from_command, from_folder

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
TOKEN = "q7Zk2vXw9LmN4pRt6YbC1dF8"


@pytest.mark.parametrize(
    ("text", "token"),
    [
        (f"Set a new password: https://x.test/reset#token={TOKEN}\n\nToken: {TOKEN}", TOKEN),
        (f'<a href="https://x.test/reset?user=1&amp;token={JWT}">here</a>', JWT),
        (f"Go to http://x.test/password/reset/{TOKEN}/ now.", TOKEN),
        (f"Open https://x.test/#/reset?token={TOKEN}.", TOKEN),
        ("Your verification code is 493817. It works for ten minutes.", "493817"),
        ("Code: 1a2b3c", "1a2b3c"),
        (f"Use this:\n\n{TOKEN}\n", TOKEN),
    ],
)
def test_the_token_of_a_message_is_found(text: str, token: str) -> None:
    assert read(text).token == token


@pytest.mark.parametrize(
    "text",
    [
        "Your password has been reset.",
        "Somebody tried to register your address again: ada.lovelace.the.first@example.com",
        "Read more at https://x.test/help/passwords.",
    ],
)
def test_a_message_without_a_token_has_none(text: str) -> None:
    assert read(text).token is None


def test_hosts_of_links() -> None:
    assert read("see https://evil.test:8443/reset?token=abcdef12 and http://x.test.").hosts == {
        "evil.test:8443",
        "x.test",
    }


@given(st.binary(min_size=16, max_size=48))
def test_any_random_token_in_a_link_comes_back(raw: bytes) -> None:
    token = raw.hex()
    assert read(f"Hello,\nhttps://x.test/r?token={token}\nBye").token == token


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    letter = read(text)
    assert all(len(token) >= 4 for token in letter.tokens)


def test_a_folder_gives_the_newest_message_to_the_address(tmp_path: Path) -> None:
    box = from_folder(tmp_path)
    assert asyncio.run(box.last_to("ada@x.test")) is None
    (tmp_path / "1.eml").write_text("To: ada@x.test\nSubject: one\n\nfirst\n")
    (tmp_path / "2.eml").write_text("To: bob@x.test\nSubject: two\n\nabout ada@x.test\n")
    assert asyncio.run(box.last_to("ada@x.test")) == "first\n"
    with pytest.raises(MailboxError, match="cannot be read"):
        asyncio.run(from_folder(tmp_path / "none").last_to("ada@x.test"))


def test_an_encoded_mail_is_decoded() -> None:
    mail = (
        "To: ada@x.test\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
        "Content-Transfer-Encoding: quoted-printable\n\nhttps://x.test/r?token=3D" + TOKEN + "\n"
    )
    text = asyncio.run(Mailbox(lambda _: mail).last_to("ada@x.test"))
    assert text is not None
    assert read(text).token == TOKEN


def test_a_command_gets_the_address() -> None:
    said = secrets.token_hex(4)
    box = from_command(f"{sys.executable} -c 'import sys; print(\"{said}\", sys.argv[1])'")
    assert asyncio.run(box.last_to("ada@x.test")) == f"{said} ada@x.test\n"
    with pytest.raises(MailboxError, match="ended with 3"):
        asyncio.run(from_command(f"{sys.executable} -c 'raise SystemExit(3)'").last_to("ada@x.test"))


@pytest.mark.parametrize("wrong", [lambda _: 7, lambda _: 1 / 0])
def test_a_broken_mailbox_says_so(wrong: object) -> None:
    with pytest.raises(MailboxError):
        asyncio.run(Mailbox(wrong).last_to("ada@x.test"))  # type: ignore[arg-type] # that is the test
