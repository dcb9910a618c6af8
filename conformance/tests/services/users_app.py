"""A service on fastapi-users 15, assembled as its documentation's full example is, with a second backend.

`/auth/jwt/login|logout` (form login, bearer JWT) and `/auth/cookie/login|logout` (cookie
`fastapiusersauth`, tokens in the database), `/auth/register`, `/auth/forgot-password`,
`/auth/reset-password`, `/auth/request-verify-token`, `/auth/verify`, `/users/me`, `/users/{id}`
(superusers) and `/authenticated-route`. The login name is the e-mail address. Start:
`services.users_app:create_app`; alice@example.com and bob@example.com exist, others register. State lives
in `database_url`, or in a temporary SQLite file. Mails that would be sent stand in `app.state.outbox` as
(kind, address, token).

True faults, all the library's defaults: no limit on wrong passwords (login, forgot, verify); registration
and a change of address tell which addresses have an account; any password is accepted, the empty one too;
`PATCH /users/me` changes password and address without the old password; neither backend revokes anything
when the password changes or is reset; logout of the JWT backend answers 204 and ends nothing; JWTs have no
`iat` and no `jti`, so two logins within one second give the same token; token answers without `no-store`;
forgot-password takes about four times as long for an account that exists; `{"email": null}` to `PATCH
/users/me` is a 500, so is a lone surrogate in the JSON of `/auth/register`. Sound: reset tokens work once,
login takes the same time for unknown names, the cookie backend's logout ends the session.

A wrong login is a 400. The cookie is `Secure`: over plain http clients keep it to themselves.
"""

import asyncio
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, CookieTransport, JWTStrategy
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import SQLAlchemyAccessTokenDatabase as TokenDatabase
from fastapi_users_db_sqlalchemy.access_token import SQLAlchemyBaseAccessTokenTableUUID
from services.people import PEOPLE, SIGNING_SECRET
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    pass


class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
    pass


class UserRead(schemas.BaseUser[uuid.UUID]):
    pass


class UserCreate(schemas.BaseUserCreate):
    pass


class UserUpdate(schemas.BaseUserUpdate):
    pass


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    def __init__(self, store: SQLAlchemyUserDatabase[User, uuid.UUID], secret: str) -> None:
        super().__init__(store)
        self.reset_password_token_secret = secret
        self.verification_token_secret = secret

    async def on_after_forgot_password(self, user: User, token: str, request: Request | None = None) -> None:
        if request is not None:
            request.app.state.outbox.append(("reset", user.email, token))

    async def on_after_request_verify(self, user: User, token: str, request: Request | None = None) -> None:
        if request is not None:
            request.app.state.outbox.append(("verify", user.email, token))


def create_app(
    database_url: str | None = None,
    *,
    secret: str = SIGNING_SECRET,
    people: Mapping[str, str] = PEOPLE,
    cookie_secure: bool = True,
) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with tempfile.TemporaryDirectory() as folder:
            engine = create_async_engine(database_url or f"sqlite+aiosqlite:///{Path(folder) / 'users.db'}")
            app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            async with app.state.sessions() as session:
                manager = UserManager(SQLAlchemyUserDatabase(session, User), secret)
                for name, password in people.items():
                    if await manager.user_db.get_by_email(f"{name}@example.com") is None:
                        await manager.create(UserCreate(email=f"{name}@example.com", password=password))
            try:
                yield
            finally:
                await asyncio.shield(engine.dispose())

    app = FastAPI(title="fastapi-users", lifespan=lifespan)
    app.state.outbox = []

    async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
        async with request.app.state.sessions() as session:
            yield session

    session_of_request = Annotated[AsyncSession, Depends(get_session)]

    async def get_user_manager(session: session_of_request) -> AsyncIterator[UserManager]:
        yield UserManager(SQLAlchemyUserDatabase(session, User), secret)

    def jwt_strategy() -> JWTStrategy[User, uuid.UUID]:
        return JWTStrategy(secret=secret, lifetime_seconds=3600)

    def database_strategy(session: session_of_request) -> DatabaseStrategy[User, uuid.UUID, AccessToken]:
        return DatabaseStrategy(TokenDatabase(session, AccessToken), lifetime_seconds=3600)

    bearer = BearerTransport(tokenUrl="auth/jwt/login")
    cookie = CookieTransport(cookie_max_age=3600, cookie_secure=cookie_secure)
    backends = [
        AuthenticationBackend("jwt", bearer, jwt_strategy),
        AuthenticationBackend("cookie", cookie, database_strategy),
    ]
    fastapi_users = FastAPIUsers[User, uuid.UUID](get_user_manager, backends)
    for backend in backends:
        prefix = f"/auth/{backend.name}"
        app.include_router(fastapi_users.get_auth_router(backend), prefix=prefix, tags=["auth"])
    app.include_router(fastapi_users.get_register_router(UserRead, UserCreate), prefix="/auth", tags=["auth"])
    app.include_router(fastapi_users.get_reset_password_router(), prefix="/auth", tags=["auth"])
    app.include_router(fastapi_users.get_verify_router(UserRead), prefix="/auth", tags=["auth"])
    app.include_router(fastapi_users.get_users_router(UserRead, UserUpdate), prefix="/users", tags=["users"])

    @app.get("/authenticated-route")
    async def authenticated_route(
        user: Annotated[User, Depends(fastapi_users.current_user(active=True))],
    ) -> dict[str, str]:
        return {"message": f"Hello {user.email}!"}

    return app
