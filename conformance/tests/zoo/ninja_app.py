"""Django Ninja: an access and refresh pair, integer ids, snake case, everything below /api with its slashes.

Django's own machinery is used where it is good: password hashers (made cheap), signed tokens with a salt for
each kind, JSON 404s.
"""

import secrets
import time
from typing import Any

import django
from django.conf import settings

SERVER = "uvicorn"

if not settings.configured:
    settings.configure(
        SECRET_KEY=secrets.token_hex(32),
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["127.0.0.1", "testserver"],
        PASSWORD_HASHERS=["zoo.ninja_app.CheapHasher"],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        USE_TZ=True,
    )
    django.setup()

from django.contrib.auth import hashers
from django.core import signing
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import path
from ninja import NinjaAPI, Router, Schema
from ninja.errors import HttpError
from ninja.security import HttpBearer
from zoo.people import PEOPLE, Brake


class CheapHasher(hashers.PBKDF2PasswordHasher):
    iterations = 20_000


class PairIn(Schema):
    username: str
    password: str


class PairOut(Schema):
    username: str
    refresh: str
    access: str


class RefreshIn(Schema):
    refresh: str


class RefreshOut(Schema):
    access: str
    refresh: str


class Me(Schema):
    id: int
    username: str
    last_seen: float


class EntryIn(Schema):
    headline: str
    text: str
    mood: int = 3


class EntryOut(EntryIn):
    id: int


class State:
    def __init__(self) -> None:
        self.users = {name: hashers.make_password(secret) for name, secret in PEOPLE.items()}
        self.nobody = hashers.make_password(secrets.token_hex())
        self.entries: dict[int, tuple[str, dict[str, Any]]] = {}
        self.spent: dict[str, float] = {}
        self.families: set[str] = set()
        self.brake = Brake()

    def next_entry(self) -> int:
        return max(self.entries, default=100) + 1


state = State()
# What is signed says which kind it is by its salt: one is never taken for the other.
access, refresh = signing.TimestampSigner(salt="access"), signing.TimestampSigner(salt="refresh")


class AuthBearer(HttpBearer):
    def authenticate(self, request: HttpRequest, token: str) -> str | None:
        try:
            body = access.unsign_object(token, max_age=900)
        except signing.BadSignature:
            return None
        return body["user"] if body.get("family") in state.families else None


class Challenging(NinjaAPI):
    def create_response(self, request: HttpRequest, data: Any, **rest: Any) -> HttpResponse:
        answer = super().create_response(request, data, **rest)
        if answer.status_code == 401:
            answer["WWW-Authenticate"] = "Bearer"
        if "/token/" in request.path:
            answer["Cache-Control"] = "no-store"
        return answer


api = Challenging(title="Diary", version="2.3", auth=AuthBearer(), urls_namespace="diary")
token = Router(tags=["token"], auth=None)
entries = Router(tags=["entries"])


def pair(username: str, family: str) -> dict[str, str]:
    payload = {"user": username, "family": family, "nonce": secrets.token_hex(8), "born": time.time()}
    return {
        "username": username,
        "access": access.sign_object(payload),
        "refresh": refresh.sign_object(payload),
    }


@token.post("/pair", response=PairOut, url_name="token_obtain_pair")
def obtain_pair(request: HttpRequest, body: PairIn) -> Any:
    if state.brake.wait(body.username):
        raise HttpError(429, "Too many attempts")
    known = state.users.get(body.username)
    right = hashers.check_password(body.password, known or state.nobody) and known is not None
    if not right:
        state.brake.wrong(body.username)
        raise HttpError(401, "No active account found with the given credentials")
    state.brake.right(body.username)
    family = secrets.token_hex(8)
    state.families.add(family)
    return pair(body.username, family)


@token.post("/refresh", response=RefreshOut, url_name="token_refresh")
def refresh_pair(request: HttpRequest, body: RefreshIn) -> Any:
    try:
        old = refresh.unsign_object(body.refresh, max_age=86_400)
    except signing.BadSignature:
        raise HttpError(401, "Token is invalid or expired") from None
    if old["nonce"] in state.spent:
        state.families.discard(old["family"])  # somebody else has it too
    if old["family"] not in state.families:
        raise HttpError(401, "Token is invalid or expired")
    state.spent[old["nonce"]] = time.time()
    return pair(old["user"], old["family"])


@token.post("/blacklist", url_name="token_blacklist")
def blacklist(request: HttpRequest, body: RefreshIn) -> dict[str, str]:
    try:
        state.families.discard(refresh.unsign_object(body.refresh, max_age=86_400)["family"])
    except signing.BadSignature:
        raise HttpError(401, "Token is invalid or expired") from None
    return {}


@api.get("/profile", response=Me, tags=["profile"])
def profile(request: Any) -> Any:
    return {
        "id": sorted(state.users).index(request.auth) + 1,
        "username": request.auth,
        "last_seen": time.time(),
    }


def mine(request: Any, entry_id: int) -> dict[str, Any]:
    owner, entry = state.entries.get(entry_id, (None, {}))
    if owner != request.auth:
        raise HttpError(404, "Not Found")
    return {"id": entry_id, **entry}


@entries.get("/", response=list[EntryOut])
def list_entries(request: Any) -> Any:
    return [{"id": key, **entry} for key, (owner, entry) in state.entries.items() if owner == request.auth]


@entries.post("/", response={201: EntryOut})
def create_entry(request: Any, body: EntryIn) -> Any:
    key = state.next_entry()
    state.entries[key] = (request.auth, body.dict())
    return 201, {"id": key, **body.dict()}


@entries.get("/{int:entry_id}/", response=EntryOut)
def get_entry(request: Any, entry_id: int) -> Any:
    return mine(request, entry_id)


@entries.put("/{int:entry_id}/", response=EntryOut)
def put_entry(request: Any, entry_id: int, body: EntryIn) -> Any:
    mine(request, entry_id)
    state.entries[entry_id] = (request.auth, body.dict())
    return mine(request, entry_id)


@entries.delete("/{int:entry_id}/", response={204: None})
def delete_entry(request: Any, entry_id: int) -> Any:
    mine(request, entry_id)
    del state.entries[entry_id]
    return 204, None


@api.get("/version", auth=None, tags=["meta"])
def version(request: HttpRequest) -> dict[str, str]:
    return {"version": "2.3"}


api.add_router("/token", token)
api.add_router("/entries", entries)
urlpatterns = [path("api/", api.urls)]


def create_app() -> ASGIHandler:
    return ASGIHandler()
