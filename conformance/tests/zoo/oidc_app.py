"""An API that trusts an OpenID provider, which happens to live in the same process under /realms/shop.

The API's document says `openIdConnect` and nothing of a login; the provider's metadata names the token
endpoint, which wants the public client's id. Swagger UI knows that id, as Swagger UIs do. RS256, JWKS, PKCE-less
password grant for tests.
"""

import json
import secrets
import time
from typing import Annotated

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import Depends, FastAPI, Form, HTTPException, Request, Response, Security
from fastapi.responses import JSONResponse
from fastapi.security import OpenIdConnect
from pydantic import BaseModel
from zoo.people import PEOPLE, Book, Brake

ISSUER = "https://id.example.com/realms/shop"
CLIENT = "shop-web"
REALM = "/realms/shop"


class NewBasket(BaseModel):
    label: str
    gift: bool = False


class Basket(NewBasket):
    reference: str


class Provider:
    """What stands behind /realms: keys, sessions, tokens."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = secrets.token_urlsafe(12)
        self.book, self.brake = Book(PEOPLE), Brake()
        self.sessions: dict[str, tuple[str, str]] = {}  # sid -> user, current refresh id
        self.subjects = {name: secrets.token_hex(16) for name in PEOPLE}

    def tokens(self, name: str, sid: str) -> dict[str, object]:
        now, jti = int(time.time()), secrets.token_hex(8)
        self.sessions[sid] = (name, jti)
        shared = {"iss": ISSUER, "sub": self.subjects[name], "iat": now, "sid": sid, "azp": CLIENT}
        access = {**shared, "exp": now + 300, "typ": "Bearer", "aud": "shop-api", "preferred_username": name}
        refresh = {**shared, "exp": now + 1800, "typ": "Refresh", "aud": ISSUER, "jti": jti}
        return {
            "access_token": self._signed(access), "expires_in": 300, "refresh_expires_in": 1800,
            "refresh_token": self._signed(refresh), "token_type": "Bearer", "scope": "openid profile",
        }  # fmt: skip

    def _signed(self, claims: dict[str, object]) -> str:
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.kid})

    def read(self, token: str, audience: str, typ: str) -> dict[str, str] | None:
        try:
            claims = jwt.decode(
                token, self.key.public_key(), algorithms=["RS256"], audience=audience, issuer=ISSUER,
                options={"require": ["exp", "iat", "sub", "sid"]},
            )  # fmt: skip
        except jwt.PyJWTError:
            return None
        return claims if claims.get("typ") == typ and claims["sid"] in self.sessions else None


def oauth_error(status: int, error: str, text: str, **headers: str) -> JSONResponse:
    return JSONResponse({"error": error, "error_description": text}, status, headers)


def create_app() -> FastAPI:
    provider, baskets = Provider(), {}
    app = FastAPI(
        title="Shop API",
        openapi_url="/v2/openapi.json",
        docs_url="/docs",
        swagger_ui_init_oauth={"clientId": CLIENT, "scopes": "openid profile"},
    )
    openid = OpenIdConnect(openIdConnectUrl=f"{REALM}/.well-known/openid-configuration", auto_error=False)

    @app.exception_handler(HTTPException)
    async def problem(_: Request, error: HTTPException) -> JSONResponse:
        body = {"type": "about:blank", "title": error.detail, "status": error.status_code}
        return JSONResponse(body, error.status_code, error.headers, media_type="application/problem+json")

    def caller(authorization: Annotated[str | None, Security(openid, scopes=["openid"])]) -> str:
        word, _, token = (authorization or "").partition(" ")
        claims = provider.read(token, "shop-api", "Bearer") if word.lower() == "bearer" else None
        if claims is None:
            raise HTTPException(401, "Unauthorized", {"WWW-Authenticate": 'Bearer realm="shop"'})
        return claims["preferred_username"]

    Caller = Annotated[str, Depends(caller)]

    @app.get(f"{REALM}/.well-known/openid-configuration", include_in_schema=False)
    def metadata(request: Request) -> dict[str, object]:
        base = f"{request.url.scheme}://{request.url.netloc}{REALM}"
        return {
            "issuer": ISSUER,
            "token_endpoint": f"{base}/protocol/openid-connect/token",
            "userinfo_endpoint": f"{base}/protocol/openid-connect/userinfo",
            "end_session_endpoint": f"{base}/protocol/openid-connect/logout",
            "jwks_uri": f"{base}/protocol/openid-connect/certs",
            "grant_types_supported": ["authorization_code", "password", "refresh_token"],
        }

    @app.get(f"{REALM}/protocol/openid-connect/certs", include_in_schema=False)
    def certs() -> dict[str, object]:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(provider.key.public_key()))
        return {
            "keys": [
                {
                    "kty": "RSA",
                    "n": public["n"],
                    "e": public["e"],
                    "alg": "RS256",
                    "use": "sig",
                    "kid": provider.kid,
                }
            ]
        }

    @app.post(f"{REALM}/protocol/openid-connect/token", include_in_schema=False)
    def token(
        grant_type: Annotated[str, Form()] = "",
        client_id: Annotated[str, Form()] = "",
        username: Annotated[str, Form()] = "",
        password: Annotated[str, Form()] = "",
        refresh_token: Annotated[str, Form()] = "",
    ) -> JSONResponse:
        if client_id != CLIENT:
            return oauth_error(401, "invalid_client", "Invalid client or Invalid client credentials")
        if grant_type == "password":
            if wait := provider.brake.wait(username):
                return oauth_error(
                    429, "temporarily_unavailable", "Too many attempts", **{"Retry-After": str(wait)}
                )
            if not provider.book.check(username, password):
                provider.brake.wrong(username)
                return oauth_error(401, "invalid_grant", "Invalid user credentials")
            provider.brake.right(username)
            answer = provider.tokens(username, secrets.token_hex(12))
        elif grant_type == "refresh_token":
            claims = provider.read(refresh_token, ISSUER, "Refresh")
            if claims is None:
                return oauth_error(400, "invalid_grant", "Invalid refresh token")
            name, current = provider.sessions[claims["sid"]]
            if current != claims["jti"]:
                del provider.sessions[claims["sid"]]
                return oauth_error(400, "invalid_grant", "Maximum allowed refresh token reuse exceeded")
            answer = provider.tokens(name, claims["sid"])
        else:
            return oauth_error(400, "unsupported_grant_type", "Unsupported grant_type")
        return JSONResponse(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

    @app.post(f"{REALM}/protocol/openid-connect/logout", include_in_schema=False)
    def logout(
        client_id: Annotated[str, Form()] = "", refresh_token: Annotated[str, Form()] = ""
    ) -> Response:
        claims = provider.read(refresh_token, ISSUER, "Refresh")
        if claims is None or client_id != CLIENT:
            return oauth_error(400, "invalid_grant", "Invalid refresh token")
        del provider.sessions[claims["sid"]]
        return Response(status_code=204)

    @app.get("/v2/me", tags=["customer"])
    def me(name: Caller) -> dict[str, str]:
        return {"customer": name, "currency": "EUR"}

    @app.get("/v2/baskets", tags=["baskets"])
    def index(name: Caller) -> list[Basket]:
        return [basket for owner, basket in baskets.values() if owner == name]

    @app.post("/v2/baskets", tags=["baskets"], status_code=201)
    def create(body: NewBasket, name: Caller) -> Basket:
        basket = Basket(**body.model_dump(), reference=secrets.token_hex(12))
        baskets[basket.reference] = (name, basket)
        return basket

    def own(reference: str, name: str) -> Basket:
        owner, basket = baskets.get(reference, ("", None))
        if owner != name or basket is None:
            raise HTTPException(404, "Not Found")
        return basket

    @app.get("/v2/baskets/{reference}", tags=["baskets"])
    def show(reference: str, name: Caller) -> Basket:
        return own(reference, name)

    @app.patch("/v2/baskets/{reference}", tags=["baskets"])
    def change(reference: str, body: NewBasket, name: Caller) -> Basket:
        basket = own(reference, name)
        basket.label, basket.gift = body.label, body.gift
        return basket

    @app.delete("/v2/baskets/{reference}", tags=["baskets"], status_code=204)
    def remove(reference: str, name: Caller) -> None:
        del baskets[own(reference, name).reference]

    @app.get("/v2/catalogue", tags=["catalogue"])
    def catalogue() -> list[str]:
        return ["tea", "coffee"]

    return app
