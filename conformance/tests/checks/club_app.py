"""A club with opaque tokens and names of its own for everything; a test replaces one decision of its house."""

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field
from services.people import PEOPLE

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Result
from auth_conformance.settings import load

SPARE = {"spare": "spare-Marble-Cascade-52"}
MAILS: dict[str, list[str]] = {}


def post(address: str, letter: str, *, slowly: bool) -> None:
    """Write to somebody: at once, or so that it is there only when the mailbox is looked into for the second time."""
    MAILS[address] = [*MAILS.get(address, [""]), letter] if slowly else [letter]


def last_mail(address: str) -> str | None:
    """What has come last to this address, as far as the post has carried it."""
    letters = MAILS.get(address, [""])
    return letters.pop(0) if letters[1:] else letters[0]


class Credentials(BaseModel):
    username: str
    password: str


class Rename(BaseModel):
    username: str


class Slip(BaseModel):
    text: str


class Wish(BaseModel):
    label: str
    permissions: list[str] = Field([], examples=[["slips:read", "slips:write", "keys"]])


class PlainWish(BaseModel):
    label: str
    permissions: str


class LevelWish(BaseModel):
    label: str
    access: Literal["look", "change"]


class Permissions(BaseModel):
    permissions: list[str]


class Forgotten(BaseModel):
    email: str


class Renewal(BaseModel):
    token: str
    new_password: str


@dataclass
class Club:
    """What the house decides; sound as it stands."""

    people: dict[str, str] = field(default_factory=lambda: {**PEOPLE, **SPARE})
    sessions: dict[str, str] = field(default_factory=dict)
    slips: dict[str, tuple[str, str]] = field(default_factory=dict)
    resets: dict[str, str] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    mails_each: int = 1_000_000
    keys: dict[str, tuple[str, str, list[str]]] = field(default_factory=dict)
    wish: type[BaseModel] = Wish
    most_at_once: int = 100
    joins: bool = False
    mails: bool = True
    by_name: bool = False
    closed_to_heirs: bool = False
    given_up: set[str] = field(default_factory=set)
    keys_change: bool = False
    keys_rename: bool = False
    tells_time: bool = False
    refuses_readers: int = 403
    key_in_query: str = ""
    welcomes: bool = False

    def welcome(self, address: str) -> None:
        """Write to a new member, with a token that only confirms the address."""
        if self.welcomes:
            letter = f"Confirm: https://club.example/welcome?token={secrets.token_urlsafe(24)}"
            post(address, letter, slowly=True)

    def renamed(self, old: str, new: str) -> None:
        """A member takes another name; whoever held a badge under the old one is still that member."""
        self.people[new] = self.people.pop(old)
        self.given_up |= {old} if self.closed_to_heirs else set()
        if not self.by_name:
            self.sessions = {token: new if name == old else name for token, name in self.sessions.items()}
            for kept in (self.keys, self.slips):
                kept.update({key: (new, *rest) for key, (name, *rest) in kept.items() if name == old})

    def granted(self, held: list[str] | None, wanted: list[str]) -> list[str]:
        """What a new key may do, asked for by one with these permissions, or by a member (None)."""
        if held is not None and ("keys" not in held or not set(wanted) <= set(held)):
            raise HTTPException(403, "not yours to give")
        return wanted

    def regranted(self, held: list[str] | None, wanted: list[str]) -> list[str]:
        """What a key may do from now on, asked for as for a new one."""
        return self.granted(held, wanted)

    def may_remove(self, slip: str, name: str | None) -> bool:
        """Whether this caller (None is a stranger) may take that slip down."""
        return name is not None and self.slips.get(slip, ("", ""))[0] == name

    def may_write(self, held: list[str] | None) -> bool:
        """Whether a key with these permissions, or a member (None), may pin slips."""
        return held is None or bool({"slips:write", "change"} & set(held))

    def spent(self, token: str) -> None:
        """What becomes of a reset token that was used."""
        del self.resets[token]


def create_app(club: Club) -> FastAPI:  # noqa: PLR0915 - a service is many handlers
    app = FastAPI(redirect_slashes=False)
    bearer = HTTPBearer(auto_error=False, scheme_name="Badge")

    header = APIKeyHeader(name="X-Club-Key", auto_error=False, scheme_name="Key")

    async def caller(
        request: Request,
        badge: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
        key: Annotated[str | None, Depends(header)],
    ) -> tuple[str, list[str] | None]:
        key = key or request.query_params.get(club.key_in_query)
        if key is not None and key in club.keys:
            return club.keys[key][0], club.keys[key][2]
        if badge is None or club.sessions.get(badge.credentials) not in club.people:
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        return club.sessions[badge.credentials], None

    Caller = Annotated[tuple[str, list[str] | None], Depends(caller)]

    async def member(who: Caller) -> str:
        return who[0]

    Member = Annotated[str, Depends(member)]

    async def make_key(body: Any, who: Caller) -> dict[str, Any]:
        word = "access" if club.wish is LevelWish else "permissions"
        told = getattr(body, word)
        wanted = told.split() if isinstance(told, str) else told
        granted = club.granted(who[1], wanted)
        secret, number = f"club_{secrets.token_urlsafe(24)}", secrets.token_hex(6)
        club.keys[secret] = (who[0], number, granted)
        shown = " ".join(granted) if isinstance(told, str) else granted
        return {"id": number, "label": body.label, word: shown, "key": secret}

    make_key.__annotations__["body"] = club.wish
    app.post("/keys", status_code=201)(make_key)

    if club.keys_change:

        def own_key(number: str, name: str) -> str:
            found = next((key for key, value in club.keys.items() if value[:2] == (name, number)), None)
            if found is None:
                raise HTTPException(404, "nothing")
            return found

        @app.get("/keys/{key_id}")
        async def read_key(key_id: str, name: Member) -> dict[str, Any]:
            return {"id": key_id, "permissions": club.keys[own_key(key_id, name)][2]}

        @app.patch("/keys/{key_id}")
        async def change_key(key_id: str, body: Permissions, who: Caller) -> dict[str, Any]:
            key = own_key(key_id, who[0])
            club.keys[key] = (who[0], key_id, club.regranted(who[1], body.permissions))
            return {"id": key_id, "permissions": body.permissions}

    @app.delete("/keys/{key_id}", status_code=204)
    async def revoke(key_id: str, name: Member) -> None:
        found = next((key for key, value in club.keys.items() if value[:2] == (name, key_id)), None)
        if found is None:
            raise HTTPException(404, "nothing")
        del club.keys[found]

    @app.post("/login")
    async def login(body: Credentials) -> dict[str, str]:
        if body.username in club.given_up:
            raise HTTPException(429, "too many logins")
        if not secrets.compare_digest(club.people.get(body.username, "").encode(), body.password.encode()):
            raise HTTPException(401, "no", {"WWW-Authenticate": "Bearer"})
        token = secrets.token_urlsafe(24)
        club.sessions[token] = body.username
        return {"access_token": token, "token_type": "bearer"}

    if club.joins:

        @app.post("/register", status_code=201)
        async def register(body: Credentials) -> dict[str, str]:
            if body.username in club.people:
                raise HTTPException(409, "taken")
            club.people[body.username] = body.password
            club.welcome(body.username)
            return {"username": body.username}

        @app.patch("/me")
        async def rename(body: Rename, who: Caller) -> dict[str, str]:
            name, held = who
            if held is not None and not club.keys_rename:
                raise HTTPException(403, "not by key")
            if body.username in club.people:
                raise HTTPException(409, "taken")
            club.renamed(name, body.username)
            return {"username": body.username}

    @app.get("/me")
    async def me(name: Member) -> dict[str, Any]:
        told = {"seen_at": time.time()} if club.tells_time else {}
        return {"username": name, "email": f"{name}@example.com", **told}

    @app.post("/forgot", status_code=202)
    async def forgot(body: Forgotten) -> dict[str, str]:
        if not club.mails:
            raise HTTPException(403, "no mails today")
        name = body.email.partition("@")[0]
        club.asked[name] = club.asked.get(name, 0) + 1
        if name in club.people and club.asked[name] <= club.mails_each:
            token = secrets.token_urlsafe(24)
            club.resets = {key: value for key, value in club.resets.items() if value != name}
            club.resets[token] = name
            letter = f"Choose a new password: https://club.example/reset?token={token}"
            post(body.email, letter, slowly=club.welcomes)
        return {"status": "ok"}

    @app.post("/reset")
    async def reset(body: Renewal) -> dict[str, str]:
        if body.token not in club.resets:
            raise HTTPException(400, "no")
        name = club.resets[body.token]
        club.people[name] = body.new_password
        club.spent(body.token)
        return {"status": "ok"}

    @app.post("/slips", status_code=201)
    async def pin(body: Slip, who: Caller) -> dict[str, str]:
        name, held = who
        if not club.may_write(held):
            raise HTTPException(club.refuses_readers, "this key only reads")
        number = secrets.token_hex(8)
        club.slips[number] = (name, body.text)
        return {"id": number, "text": body.text}

    @app.post("/slips/batch", status_code=201)
    async def pin_many(body: list[Slip], name: Member) -> dict[str, int]:
        if len(body) > club.most_at_once:
            raise HTTPException(413, "fewer, please")
        for slip in body:
            club.slips[secrets.token_hex(8)] = (name, slip.text)
        return {"pinned": len(body)}

    @app.get("/slips/{slip_id}")
    async def read(slip_id: str, name: Member) -> dict[str, str]:
        owner, text = club.slips.get(slip_id, ("", ""))
        if owner != name:
            raise HTTPException(404, "nothing")
        return {"id": slip_id, "text": text}

    @app.delete("/slips/{slip_id}", status_code=204)
    async def remove(slip_id: str, request: Request) -> None:
        # No document tells that it looks at a badge.
        name = club.sessions.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if club.may_remove(slip_id, name):
            club.slips.pop(slip_id, None)

    return app


def judged(code: str, club: Club, **configuration: Any) -> Result:
    """The result of one check on this club, whose members alice and bob are known, and one more to spare."""
    people: Mapping[str, dict[str, Any]] = {
        "a": {"username": "alice", "password": {"env": "PASSWORD_OF_ALICE"}},
        "b": {"username": "bob", "password": {"env": "PASSWORD_OF_BOB"}},
        "spare": {
            "username": "spare",
            "email": "spare@example.com",
            "password": {"env": "PASSWORD_OF_SPARE"},
            "role": "expendable",
        },
    }
    mailbox = {"app": f"{__name__}:last_mail"}
    settings = load({"accounts": people, "mailbox": mailbox, **configuration}, start=Path("/"))
    return asyncio.run(conduct(settings, [catalog.load()[code]], app=create_app(club))).results[0]
