"""What the sentences about credentials are made of: values in requests, counted hashes, the pair of digests."""

import hashlib
import json

import pytest
from argon2 import PasswordHasher

from auth_conformance.probe.derivations import counting
from auth_conformance.probe.knocking import MISSING, with_member
from auth_conformance.probe.passwords import NUL_PAIR
from auth_conformance.probe.policy import common_passwords, default_pairs
from auth_conformance.probe.urlborne import in_address
from auth_conformance.secret import Secret
from auth_conformance.target import Account, Form, Mailing, Operation, PasswordChange, Redemption
from auth_conformance.transports.message import HttpRequest


def test_the_pair_agrees_when_its_digests_are_cut_at_a_nul() -> None:
    first, second = (hashlib.sha256(text.encode()).digest().split(b"\0")[0] for text in NUL_PAIR)
    assert NUL_PAIR[0] != NUL_PAIR[1]
    assert first == second


def test_the_lists_are_usable() -> None:
    assert len(default_pairs()) == 20
    assert len(common_passwords()) >= 12
    assert all(len(text) >= 8 for text in common_passwords())


@pytest.mark.parametrize("value", [None, True, ["x"], {"$ne": ""}, 7, "text"])
def test_a_member_of_a_json_body_takes_any_value(value: object) -> None:
    request = HttpRequest("POST", "/login").with_json({"user": {"name": "a"}, "password": "b"})
    assert json.loads(with_member(request, "password", value).body or b"") == {
        "user": {"name": "a"},
        "password": value,
    }
    assert json.loads(with_member(request, "/user/name", MISSING).body or b"") == {
        "user": {},
        "password": "b",
    }


def test_a_member_of_a_form_is_replaced_or_taken_away() -> None:
    request = HttpRequest("POST", "/login").with_form((("username", "a"), ("password", "b")))
    assert with_member(request, "password", "c d").body == b"username=a&password=c+d"
    assert with_member(request, "password", MISSING).body == b"username=a"


def test_the_same_values_in_the_address() -> None:
    request = HttpRequest("POST", "/login").with_json({"username": "a", "password": "b"})
    moved = in_address(request)
    assert moved.body is None
    assert moved.query == (("username", "a"), ("password", "b"))
    assert moved.header("content-type") is None


def test_forms_put_values_where_they_belong() -> None:
    operation = Operation("POST", "/users/{token}/reset", bodies={"application/json": {}})
    redemption = Redemption(Form(operation), "path:token", "password", ("again",), "query:user")
    request = redemption.request(Secret("a/b"), Secret("new"), "ada")
    assert request.path == "/users/a%2Fb/reset"
    assert request.query == (("user", "ada"),)
    assert json.loads(request.body or b"") == {"password": "new", "again": "new"}
    change = PasswordChange(Form(Operation("POST", "/p"), "form"), "old", "new")
    assert change.request(Secret("a"), Secret("b")).body == b"new=b&old=a"
    assert change.request(None, Secret("b")).body == b"new=b"
    account = Account("x", "ada", email="ada@example.com")
    assert Mailing(Form(operation), "to").request(account).body == b'{"to": "ada@example.com"}'
    assert Mailing(Form(operation), "to", "name").request(account).body == b'{"to": "ada"}'


def test_password_hashes_are_counted_with_their_cost_and_nothing_else() -> None:
    with counting() as derived:
        hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 10)
        hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 10)
        hashlib.sha256(b"secret")
    assert dict(derived.counts) == {"hashlib.pbkdf2_hmac(10)": 2}
    hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 10)
    assert sum(derived.counts.values()) == 2
    assert "secret" not in str(derived)


def test_a_hash_that_is_spent_on_nobody_costs_what_verifying_costs() -> None:
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    hashed = hasher.hash("a")
    with counting() as verified:
        hasher.verify(hashed, "a")
    with counting() as spent:
        hasher.hash("b")
    assert verified.counts == spent.counts == {"argon2(1 64 1)": 1}
