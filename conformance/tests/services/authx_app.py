"""A service on authx 1.7, put together from the pages of its documentation.

`POST /login` takes JSON `{"username", "password"}` and answers `access_token` and `refresh_token`; `POST
/refresh`, `POST /logout`, `GET /me` (names the caller), `GET /protected`. Tokens travel in `Authorization:
Bearer`; with `locations=("headers", "query")` also in `?token=`. Start: `services.authx_app:create_app`;
alice and bob exist.

True faults, the library's or its documentation's: no limit on wrong passwords; token answers without
`no-store`; the refresh token works any number of times and outlives logout; logout blocks the *text* of a
token, so the same token with a `=` behind it works on; the scheme may be missing or doubled
(`Authorization: <token>`), while `bearer` in lower case is refused; a token without `exp`, or for a person
who does not exist, is accepted if its signature is right; refusals lack `WWW-Authenticate`; a lone
surrogate as a JSON key is a 500 (FastAPI's own error page cannot write it). Bad, altered and expired tokens
are 422, missing ones and those of the wrong kind 401.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from authx import AuthX, AuthXConfig, TokenPayload
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel
from services.people import PEOPLE, SIGNING_SECRET, PasswordBook


class LoginRequest(BaseModel):
    username: str
    password: str


class TokenPair(BaseModel):
    access_token: str
    refresh_token: str
    token_type: str = "bearer"


def create_app(
    *,
    secret: str = SIGNING_SECRET,
    people: Mapping[str, str] = PEOPLE,
    locations: Sequence[str] = ("headers",),
) -> FastAPI:
    app = FastAPI(title="authx")
    passwords = PasswordBook(people)
    auth: AuthX[None] = AuthX(config=AuthXConfig(JWT_SECRET_KEY=secret, JWT_TOKEN_LOCATION=list(locations)))
    auth.handle_errors(app)
    blocked: set[str] = set()

    @auth.set_token_blocklist
    def revoked(token: str, **_: Any) -> bool:
        return token in blocked

    access = Annotated[TokenPayload, Depends(auth.access_token_required)]
    refresh = Annotated[TokenPayload, Depends(auth.refresh_token_required)]

    @app.post("/login")
    def login(data: LoginRequest) -> TokenPair:
        if not passwords.accepts(data.username, data.password):
            raise HTTPException(401, "Invalid credentials")
        return TokenPair(
            access_token=auth.create_access_token(uid=data.username),
            refresh_token=auth.create_refresh_token(uid=data.username),
        )

    @app.post("/refresh")
    def renew(payload: refresh) -> dict[str, str]:
        return {"access_token": auth.create_access_token(uid=payload.sub)}

    @app.post("/logout")
    async def logout(request: Request, _: access) -> dict[str, str]:
        token = await auth.get_access_token_from_request(request)
        blocked.add(token.token)
        return {"message": "Logged out"}

    @app.get("/me")
    def me(payload: access) -> dict[str, object]:
        return {"user_id": payload.sub, "token_type": payload.type, "is_fresh": payload.fresh}

    @app.get("/protected", dependencies=[Depends(auth.access_token_required)])
    def protected() -> dict[str, str]:
        return {"message": "Hello World"}

    return app
