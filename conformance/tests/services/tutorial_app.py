"""The service that FastAPI's security tutorial ends with.

Form login at `/token`, a JWT (HS256, `sub` and `exp`, half an hour) as bearer, `/users/me` and
`/users/me/items`. Declared in OpenAPI as `oauth2`, not as `http`. Start:
`services.tutorial_app:create_app`; alice and bob exist.

True faults, all from the pattern: no limit on wrong passwords; no way to log out or to revoke a token; no
`iat`, `jti`, `iss` or `aud`, so two logins within one second give the same token; a token without `exp` is
accepted if its signature is right; token answers without `no-store`. The secret is strong here and a
parameter: the one printed in the tutorial would be the worst fault of all.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException, status
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pwdlib import PasswordHash
from pydantic import BaseModel
from services.people import PEOPLE, SIGNING_SECRET

_ALGORITHM = "HS256"


class Token(BaseModel):
    access_token: str
    token_type: str


class User(BaseModel):
    username: str
    email: str | None = None
    disabled: bool = False


class StoredUser(User):
    hashed_password: str


class Item(BaseModel):
    item_id: str
    owner: str


def create_app(
    *,
    secret: str = SIGNING_SECRET,
    people: Mapping[str, str] = PEOPLE,
    lifetime: timedelta = timedelta(minutes=30),
) -> FastAPI:
    app = FastAPI(title="Tutorial")
    passwords = PasswordHash.recommended()
    hash_of_nobody = passwords.hash("nobody has this password")
    scheme = OAuth2PasswordBearer(tokenUrl="token")
    users = {
        name: StoredUser(username=name, email=f"{name}@example.com", hashed_password=passwords.hash(password))
        for name, password in people.items()
    }

    def current_user(token: Annotated[str, Depends(scheme)]) -> User:
        refusal = HTTPException(
            status.HTTP_401_UNAUTHORIZED, "Could not validate credentials", {"WWW-Authenticate": "Bearer"}
        )
        try:
            name = jwt.decode(token, secret, algorithms=[_ALGORITHM]).get("sub")
        except jwt.InvalidTokenError as error:
            raise refusal from error
        if name not in users:
            raise refusal
        return users[name]

    def active_user(user: Annotated[User, Depends(current_user)]) -> User:
        if user.disabled:
            raise HTTPException(status.HTTP_400_BAD_REQUEST, "Inactive user")
        return user

    @app.post("/token")
    def login(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> Token:
        user = users.get(form.username)
        correct = passwords.verify(form.password, user.hashed_password if user else hash_of_nobody)
        if user is None or not correct:
            raise HTTPException(
                status.HTTP_401_UNAUTHORIZED, "Incorrect username or password", {"WWW-Authenticate": "Bearer"}
            )
        claims = {"sub": user.username, "exp": datetime.now(UTC) + lifetime}
        return Token(access_token=jwt.encode(claims, secret, algorithm=_ALGORITHM), token_type="bearer")

    @app.get("/users/me")
    def me(user: Annotated[User, Depends(active_user)]) -> User:
        return user

    @app.get("/users/me/items")
    def my_items(user: Annotated[User, Depends(active_user)]) -> list[Item]:
        return [Item(item_id="Foo", owner=user.username)]

    return app
