"""A scheme of the document may stand for two kinds of credential; the one that can be had is used."""

from auth_conformance.credentials import Carrier, Kind
from auth_conformance.secret import Secret
from auth_conformance.target import Account, Target


def test_a_scheme_means_the_carrier_whose_credentials_can_be_had() -> None:
    token = Carrier(Kind.BEARER, "header", "Authorization", "Bearer", "Bearer")
    key = Carrier(Kind.KEY, "header", "Authorization", "Bearer", "Bearer")
    nobody = Target("url", "http://x", carriers=(token, key))
    assert nobody.carrier_of("Bearer") == token
    assert nobody.carrier_of("other") is None
    owner = Account("a", "alice", None, {Kind.KEY: Secret("k-1")})
    known = Target("url", "http://x", carriers=(token, key), accounts={"a": owner})
    assert known.carrier_of("Bearer") == key
