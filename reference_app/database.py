"""Storage: tables, repositories, and the transaction that ties them together.

Everything that must survive a restart, or be shared between workers, lives here: accounts, sessions, refresh
tokens, one-time tokens, API keys, and the counters of failed logins (ASVS V7.4.1).

Three rules hold in this file. A secret is stored only as a digest or a password hash. Expiry is decided by
the time that the caller passes in, never by the clock of the database. Values reach SQL only as bound
parameters.
"""

import hashlib
import re
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    DateTime,
    Dialect,
    ForeignKey,
    String,
    Text,
    TypeDecorator,
    delete,
    event,
    func,
    select,
    update,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import AsyncAdaptedQueuePool

ID_PATTERN = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def new_id() -> str:
    """Return a random identifier; identifiers are names, not secrets, and are never reused."""
    return str(uuid.uuid4())


def digest(secret: str) -> str:
    """Return the SHA-256 of a random secret, in hex.

    A fast hash is right for 256 random bits and wrong for a password (ASVS V11.4.2, V6.5.2).
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def hash_api_key(key: str) -> str:
    """Return what is stored of an API key."""
    return digest(key)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, aware in Python; SQLite would otherwise hand back naive values."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive moments: they shift by hours between machines."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored moment needs a time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give every moment its zone back."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Declarative base of the tables below."""


class User(Base):
    """An account. The identity is `id`; the e-mail address is stored in its one canonical spelling."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    display_name: Mapped[str | None] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(16))
    is_active: Mapped[bool] = mapped_column(default=True)
    is_verified: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LoginSession(Base):
    """One login: a browser session, or the family of all tokens that descend from one bearer login.

    A row with `ended_at` is the denylist entry of the whole family. It is keyed by id and not by the text of
    a token, so no other spelling of a token can evade it.
    """

    __tablename__ = "login_sessions"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    cookie_digest: Mapped[str | None] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RefreshToken(Base):
    """A refresh token, by its `jti`: an identifier, worthless without our signature over it."""

    __tablename__ = "refresh_tokens"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("login_sessions.id", ondelete="CASCADE"), index=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class OneTimeToken(Base):
    """A mailed token (`reset` or `verify`): bound to one account and purpose, stored as a digest."""

    __tablename__ = "one_time_tokens"

    token_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str] = mapped_column(String(16))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ApiKey(Base):
    """An API key: a public prefix to find it by, and the digest of the whole key to verify it with."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    key_digest: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PasswordAttempt(Base):
    """One password tried for one account name, known or not; the name itself is not kept."""

    __tablename__ = "password_attempts"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    subject_digest: Mapped[str] = mapped_column(String(64), index=True)
    tried_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Note(Base):
    """A note, private to its owner."""

    __tablename__ = "notes"

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    title: Mapped[str] = mapped_column(String(200))
    content: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Repository:
    """A repository works inside the transaction that it was made for."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session


class UserRepository(Repository):
    """Accounts."""

    async def add(self, user: User) -> bool:
        """Store a new account; return False if its address is taken.

        The unique constraint decides, not an earlier look-up: two registrations may arrive at once.
        """
        try:
            async with self._session.begin_nested():
                self._session.add(user)
        except IntegrityError:
            return False
        return True

    async def get(self, user_id: str) -> User | None:
        """Return the account with this id, active or not."""
        return await self._session.get(User, user_id)

    async def get_active(self, user_id: str) -> User | None:
        """Return the account with this id if it may act (ASVS V7.4.2)."""
        row: User | None = await self._session.scalar(select(User).where(User.id == user_id, User.is_active))
        return row

    async def find_by_email(self, email: str) -> User | None:
        """Return the account with this address; the caller passes the canonical spelling."""
        row: User | None = await self._session.scalar(select(User).where(User.email == email))
        return row

    async def list_all(self, limit: int, offset: int) -> Sequence[User]:
        """Return one page of accounts, oldest first."""
        page = select(User).order_by(User.created_at, User.id).limit(limit).offset(offset)
        return (await self._session.scalars(page)).all()

    async def has_other_active(self, user: User) -> bool:
        """Say whether another active account has the role of this one."""
        others = select(User.id).where(User.role == user.role, User.is_active, User.id != user.id).limit(1)
        return await self._session.scalar(others) is not None

    async def remove(self, user_id: str) -> bool:
        """Delete an account; foreign keys take everything it owned along. Return whether it existed."""
        gone = await self._session.scalar(delete(User).where(User.id == user_id).returning(User.id))
        return gone is not None


class SessionRepository(Repository):
    """Logins: browser sessions and token families."""

    async def start(self, login: LoginSession, limit: int) -> LoginSession:
        """Store a new login; the oldest logins beyond the limit end (ASVS V7.1.2)."""
        surplus = (
            select(LoginSession.id)
            .where(LoginSession.user_id == login.user_id, LoginSession.ended_at.is_(None))
            .order_by(LoginSession.created_at.desc(), LoginSession.id)
            .offset(limit - 1)
        )
        crowded_out = (await self._session.scalars(surplus)).all()
        await self._end(login.created_at, LoginSession.id.in_(crowded_out))
        self._session.add(login)
        await self._session.flush()
        return login

    async def get_live(self, session_id: str, now: datetime) -> LoginSession | None:
        """Return the login with this id unless it was ended or has reached its absolute limit."""
        row: LoginSession | None = await self._session.scalar(
            select(LoginSession).where(
                LoginSession.id == session_id,
                LoginSession.ended_at.is_(None),
                LoginSession.expires_at > now,
            )
        )
        return row

    async def resume(self, cookie_digest: str, now: datetime, idle: timedelta) -> LoginSession | None:
        """Return the browser session of this cookie and note its use; None if it is unknown or over.

        One statement reads and writes, so that no request slips in between (ASVS V7.3.1, V7.3.2).
        """
        row: LoginSession | None = await self._session.scalar(
            update(LoginSession)
            .where(
                LoginSession.cookie_digest == cookie_digest,
                LoginSession.ended_at.is_(None),
                LoginSession.last_used_at > now - idle,
                LoginSession.expires_at > now,
            )
            .values(last_used_at=now)
            .returning(LoginSession)
        )
        return row

    async def list_live(self, user_id: str, now: datetime) -> Sequence[LoginSession]:
        """Return the logins of a user that still count, newest first."""
        return (
            await self._session.scalars(
                select(LoginSession)
                .where(
                    LoginSession.user_id == user_id,
                    LoginSession.ended_at.is_(None),
                    LoginSession.expires_at > now,
                )
                .order_by(LoginSession.created_at.desc(), LoginSession.id)
            )
        ).all()

    async def end(self, session_id: str, now: datetime) -> None:
        """End one login, and with it every token of its family."""
        await self._end(now, LoginSession.id == session_id)

    async def end_by_cookie(self, cookie_digest: str, now: datetime) -> None:
        """End the browser session of this cookie, if there is one."""
        await self._end(now, LoginSession.cookie_digest == cookie_digest)

    async def end_own(self, session_id: str, owner_id: str, now: datetime) -> bool:
        """End one login if this user owns it; return whether there was one."""
        return await self._end(now, LoginSession.id == session_id, LoginSession.user_id == owner_id)

    async def end_all(self, user_id: str, now: datetime, keep: str | None = None) -> None:
        """End all logins of a user except the one to keep."""
        await self._end(now, LoginSession.user_id == user_id, LoginSession.id.is_distinct_from(keep))

    async def _end(self, now: datetime, *criteria: ColumnElement[bool]) -> bool:
        ended = await self._session.scalars(
            update(LoginSession)
            .where(LoginSession.ended_at.is_(None), *criteria)
            .values(ended_at=now)
            .returning(LoginSession.id)
            .execution_options(synchronize_session=False)
        )
        return bool(ended.all())

    async def purge(self, before: datetime) -> None:
        """Forget logins that no token can refer to any more (ASVS V14.2.7)."""
        await self._session.execute(delete(LoginSession).where(LoginSession.expires_at < before))


class RefreshTokenRepository(Repository):
    """Refresh tokens: each works once."""

    def add(self, token: RefreshToken) -> None:
        """Store a new token."""
        self._session.add(token)

    async def get(self, token_id: str) -> RefreshToken | None:
        """Return a token, used or not."""
        return await self._session.get(RefreshToken, token_id)

    async def claim(self, token_id: str, now: datetime) -> RefreshToken | None:
        """Use up a token: of any number of simultaneous callers one gets it, the others None.

        The condition and the mark are one statement (ASVS V15.4.2; RFC 9700 §4.14.2).
        """
        return await self._session.scalar(
            update(RefreshToken)
            .where(
                RefreshToken.id == token_id,
                RefreshToken.used_at.is_(None),
                RefreshToken.expires_at > now,
            )
            .values(used_at=now)
            .returning(RefreshToken)
        )


class OneTimeTokenRepository(Repository):
    """Mailed tokens: the newest of a purpose works, once, until it expires (ASVS V6.4.1)."""

    async def replace(self, token: OneTimeToken) -> None:
        """Store a token in place of earlier ones of the same account and purpose."""
        await self.discard(token.user_id, token.purpose)
        self._session.add(token)

    async def claim(self, token_digest: str, purpose: str, now: datetime) -> str | None:
        """Use up a token; return the id of its account, or None if the token does not work."""
        return await self._session.scalar(
            delete(OneTimeToken)
            .where(
                OneTimeToken.token_digest == token_digest,
                OneTimeToken.purpose == purpose,
                OneTimeToken.expires_at > now,
            )
            .returning(OneTimeToken.user_id)
        )

    async def discard(self, user_id: str, purpose: str) -> None:
        """Forget the outstanding tokens of an account for a purpose."""
        await self._session.execute(
            delete(OneTimeToken).where(OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose)
        )

    async def purge(self, now: datetime) -> None:
        """Forget expired tokens."""
        await self._session.execute(delete(OneTimeToken).where(OneTimeToken.expires_at < now))


class ApiKeyRepository(Repository):
    """API keys; a revoked key stays as a row so that its prefix is never given out again."""

    async def add(self, key: ApiKey) -> None:
        """Store a new key."""
        self._session.add(key)
        await self._session.flush()

    async def find_by_prefix(self, prefix: str) -> ApiKey | None:
        """Return the unrevoked key with this public prefix; the caller must still verify the secret."""
        row: ApiKey | None = await self._session.scalar(
            select(ApiKey).where(ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None))
        )
        return row

    async def get_own(self, key_id: str, owner_id: str) -> ApiKey | None:
        """Return an unrevoked key if this user owns it."""
        row: ApiKey | None = await self._session.scalar(
            select(ApiKey).where(ApiKey.id == key_id, ApiKey.user_id == owner_id, ApiKey.revoked_at.is_(None))
        )
        return row

    async def list_own(self, owner_id: str) -> Sequence[ApiKey]:
        """Return the unrevoked keys of a user, newest first."""
        own = select(ApiKey).where(ApiKey.user_id == owner_id, ApiKey.revoked_at.is_(None))
        return (await self._session.scalars(own.order_by(ApiKey.created_at.desc(), ApiKey.id))).all()

    async def count_own(self, owner_id: str) -> int:
        """Count the unrevoked keys of a user."""
        own = select(func.count()).where(ApiKey.user_id == owner_id, ApiKey.revoked_at.is_(None))
        return await self._session.scalar(own) or 0

    async def revoke_all(self, owner_id: str, now: datetime) -> None:
        """Revoke the keys of a user."""
        await self._session.execute(
            update(ApiKey)
            .where(ApiKey.user_id == owner_id, ApiKey.revoked_at.is_(None))
            .values(revoked_at=now)
        )


class PasswordAttemptRepository(Repository):
    """Counters against password guessing; they outlive a restart (ASVS V6.3.1)."""

    async def reserve(self, subject: str, now: datetime, limit: int, window: timedelta) -> datetime | None:
        """Count an attempt before the password is looked at, so that a burst cannot outrun the count.

        Return None if the attempt may go on, else the moment at which the next one may. A refused attempt is
        not counted: whoever keeps trying must not keep the owner out (ASVS V6.1.1).
        """
        recent = (
            select(PasswordAttempt.tried_at)
            .where(PasswordAttempt.subject_digest == digest(subject), PasswordAttempt.tried_at > now - window)
            .order_by(PasswordAttempt.tried_at.desc())
            .limit(limit)
        )
        tried = (await self._session.scalars(recent)).all()
        if len(tried) >= limit:
            return tried[-1] + window
        self._session.add(PasswordAttempt(subject_digest=digest(subject), tried_at=now))
        return None

    async def clear(self, subject: str) -> None:
        """Forget the attempts for a name after a success."""
        await self._session.execute(
            delete(PasswordAttempt).where(PasswordAttempt.subject_digest == digest(subject))
        )

    async def purge(self, before: datetime) -> None:
        """Forget attempts that no longer count."""
        await self._session.execute(delete(PasswordAttempt).where(PasswordAttempt.tried_at < before))


class NoteRepository(Repository):
    """Notes; each query names the owner, so that another person's note does not exist (ASVS V8.2.2)."""

    async def add(self, note: Note) -> Note:
        """Store a new note."""
        self._session.add(note)
        await self._session.flush()
        return note

    async def get_own(self, note_id: str, owner_id: str) -> Note | None:
        """Return a note if this user owns it."""
        row: Note | None = await self._session.scalar(
            select(Note).where(
                Note.id == note_id,
                Note.owner_id == owner_id,
            )
        )
        return row

    async def list_own(self, owner_id: str, limit: int, offset: int) -> Sequence[Note]:
        """Return one page of a user's notes, newest first."""
        own = select(Note).where(Note.owner_id == owner_id)
        page = own.order_by(Note.created_at.desc(), Note.id).limit(limit).offset(offset)
        return (await self._session.scalars(page)).all()

    async def remove_own(self, note_id: str, owner_id: str) -> bool:
        """Delete a note if this user owns it; return whether there was one."""
        gone = await self._session.scalar(
            delete(Note).where(Note.id == note_id).where(Note.owner_id == owner_id).returning(Note.id)
        )
        return gone is not None


class Transaction:
    """The repositories of one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self.users = UserRepository(session)
        self.sessions = SessionRepository(session)
        self.refresh_tokens = RefreshTokenRepository(session)
        self.one_time_tokens = OneTimeTokenRepository(session)
        self.api_keys = ApiKeyRepository(session)
        self.attempts = PasswordAttemptRepository(session)
        self.notes = NoteRepository(session)


class Database:
    """The engine, and transactions on it.

    A transaction is opened where it is needed and closed before the response is sent. A session kept open by
    a `yield` dependency would, in current FastAPI, commit only after the client has read "created".
    """

    def __init__(self, url: str) -> None:
        self.engine = _create_engine(make_url(url))
        self._new_session = async_sessionmaker(self.engine, expire_on_commit=False)

    async def create_tables(self) -> None:
        """Create the tables that do not exist yet."""
        async with self.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Give the repositories of a new transaction: committed at the end, rolled back on any exception."""
        async with self._new_session() as session, session.begin():
            yield Transaction(session)

    async def dispose(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


def _create_engine(url: URL) -> AsyncEngine:
    # hide_parameters: an SQL error that is logged must not carry the bound values (ASVS V16.2.5).
    if url.get_backend_name() != "sqlite":
        return create_async_engine(url, hide_parameters=True, pool_pre_ping=True)
    if url.database and url.database != ":memory:":
        # Created here, readable by its owner only; SQLite itself would follow the umask (ASVS V13.2.2).
        file = Path(url.database)
        file.touch(mode=0o600)
        file.chmod(0o600)
    # SQLite has one writer. One pooled connection makes callers wait in our queue and not in its busy loop,
    # and it keeps an in-memory database alive.
    engine = create_async_engine(
        url, hide_parameters=True, poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0
    )
    event.listen(engine.sync_engine, "connect", _configure_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, record: object) -> None:
    del record
    connection.isolation_level = None  # the driver would start transactions late; _begin_sqlite does it
    cursor = connection.cursor()
    for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = NORMAL", "busy_timeout = 10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    # IMMEDIATE: a transaction that reads and then writes must not find another process in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
