"""A scheme of the document may stand for two kinds of credential; the one that can be had is used."""

from typing import Annotated, Any

from discovery_people import Store, let_in
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import APIKeyCookie, OAuth2PasswordBearer

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


def test_a_token_that_a_body_told_goes_into_a_header_before_a_cookie(learn: Any) -> None:
    """Libraries take one value in either place, and list the cookie first: the login is that of a bearer token."""
    app, store = FastAPI(), Store()

    def caller(
        cookie: Annotated[str | None, Depends(APIKeyCookie(name="sid", auto_error=False))],
        header: Annotated[str | None, Depends(OAuth2PasswordBearer(tokenUrl="login", auto_error=False))],
    ) -> str:
        name = store.owner(header) or store.owner(cookie)
        if name is None:
            raise HTTPException(401, "no")
        return name

    let_in(app, store, Depends(caller))
    assert learn(app).target.logins[0].carrier.kind is Kind.BEARER
