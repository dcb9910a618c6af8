"""Where mailed secrets come from, as an exported test has to read them."""

from __future__ import annotations

from auth_conformance.model import Exchange, Mailed, Reply, Request, Role
from auth_conformance.secret import Secret
from auth_conformance.transports.derivation import digest_of
from auth_conformance.transports.origins import Origins
from auth_conformance.transports.redaction import Redactor, mark

ADDRESS = "x1a2b3c@example.com"


def exchange(number: int, label: str, path: str, body: str) -> Exchange:
    request = Request("POST", f"https://h{path}", body=body)
    return Exchange(number, label, Role.SETUP, f"POST {path}", request, Reply(202), 0.1)


REGISTERED = exchange(1, "register an account", "/register", f'{{"email": "{ADDRESS}"}}')
ASKED = exchange(2, "ask for a reset", "/forgot", f'{{"email": "{ADDRESS}"}}')


def known(text: str, token: str, asked: Exchange | None = ASKED) -> tuple[Origins, tuple[Mailed, ...]]:
    redactor = Redactor()
    redactor.learn(Secret(token))
    origins = Origins(redactor)
    for item in (REGISTERED, ASKED):
        origins.keep(item, json=False)
    origins.learn_mail(token, ADDRESS, text, asked)
    return origins, origins.by_mail(mark(token))


def test_what_stands_before_it_finds_it_in_the_next_message() -> None:
    token = "Zk3vQ9wLr8_tYb2Nf5"
    _, told = known(f"Hello {ADDRESS},\nhttps://shop.example/r/77?user=x1a&token={token}\n", token)
    assert told == (Mailed(digest_of(token), ADDRESS, "&token=", 2),)
    _, told = known("Your code is: 493817.", "493817")
    assert told == (Mailed(digest_of("493817"), ADDRESS, "Your code is: ", 2, digits=6),)


def test_a_welcome_came_after_the_registration() -> None:
    _, told = known("Your code is: 493817.", "493817", None)
    assert [item.asked for item in told] == [1]


def test_what_nothing_stands_before_is_not_found_again() -> None:
    assert known("493817", "493817")[1] == ()


def test_the_request_that_led_to_the_message_is_an_origin_and_so_is_who_asked() -> None:
    origins, told = known("Your code is: 493817.", "493817")
    redeemed = exchange(5, "set a new password", "/reset", f'{{"code": "{mark("493817")}"}}')
    redeemed = Exchange(
        *(5, redeemed.label, redeemed.role, redeemed.operation),
        Request("POST", "https://h/reset", body=redeemed.request.body, mailed=told),
        Reply(204),
        0.1,
    )
    assert [item.number for item in origins.of([redeemed])] == [1, 2]
