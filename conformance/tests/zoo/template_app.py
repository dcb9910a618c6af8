"""The habits of a well-known FastAPI starter: /api/v1, e-mail as the OAuth2 user name, trailing slashes, UUIDs.

Its document says `oauth2` and stands below the prefix. Tokens are HS256 and last half an hour; a change of
password ends them by a number in the token.
"""

import time
import uuid
from typing import Annotated, Any

import jwt
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Response
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pydantic import BaseModel, Field
from zoo.people import MAIL, Book, Brake

API = "/api/v1"
SECRET = "5f0c2b7e91d84a36b8e7c5d20f9a6b1347de08c9152ab6f3"


class Token(BaseModel):
    access_token: str
    token_type: str = "bearer"


class UserPublic(BaseModel):
    email: str
    is_active: bool = True
    is_superuser: bool = False
    full_name: str | None = None
    id: uuid.UUID


class UserRegister(BaseModel):
    email: str = Field(max_length=255, json_schema_extra={"format": "email"})
    password: str = Field(min_length=8, max_length=128)
    full_name: str | None = Field(default=None, max_length=255)


class UpdatePassword(BaseModel):
    current_password: str = Field(min_length=8, max_length=128)
    new_password: str = Field(min_length=8, max_length=128)


class ItemCreate(BaseModel):
    title: str = Field(min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=255)


class ItemUpdate(BaseModel):
    title: str | None = Field(default=None, min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=255)


class ItemPublic(ItemCreate):
    id: uuid.UUID
    owner_id: uuid.UUID


class ItemsPublic(BaseModel):
    data: list[ItemPublic]
    count: int


class Message(BaseModel):
    message: str


def create_app() -> FastAPI:
    book, brake = Book(MAIL), Brake()
    users: dict[str, dict[str, Any]] = {
        mail: {"email": mail, "id": uuid.uuid4(), "full_name": None, "version": 0} for mail in MAIL
    }
    items: dict[uuid.UUID, dict[str, Any]] = {}
    scheme = OAuth2PasswordBearer(tokenUrl=f"{API}/login/access-token")

    def get_current_user(token: Annotated[str, Depends(scheme)]) -> dict[str, Any]:
        try:
            claims = jwt.decode(token, SECRET, algorithms=["HS256"], options={"require": ["exp", "sub"]})
        except jwt.PyJWTError:
            claims = {}
        user = next((one for one in users.values() if str(one["id"]) == claims.get("sub")), None)
        if user is None or claims.get("ver") != user["version"]:
            raise HTTPException(401, "Could not validate credentials", {"WWW-Authenticate": "Bearer"})
        return user

    CurrentUser = Annotated[dict[str, Any], Depends(get_current_user)]
    login, me, things, utils = (
        APIRouter(tags=["login"]),
        APIRouter(prefix="/users", tags=["users"]),
        APIRouter(prefix="/items", tags=["items"]),
        APIRouter(prefix="/utils", tags=["utils"]),
    )

    @login.post("/login/access-token")
    def login_access_token(
        form: Annotated[OAuth2PasswordRequestForm, Depends()], response: Response
    ) -> Token:
        """OAuth2 compatible token login, get an access token for future requests"""
        response.headers["Cache-Control"] = "no-store"
        wait = brake.wait(form.username)
        if wait:
            raise HTTPException(429, "Too many attempts", {"Retry-After": str(wait)})
        if not book.check(form.username, form.password):
            brake.wrong(form.username)
            raise HTTPException(400, "Incorrect email or password")
        brake.right(form.username)
        user = users[form.username]
        now = int(time.time())
        claims = {"sub": str(user["id"]), "iat": now, "exp": now + 1800, "ver": user["version"]}
        return Token(access_token=jwt.encode(claims, SECRET, algorithm="HS256"))

    @me.post("/signup", response_model=UserPublic)
    def register_user(body: UserRegister) -> Any:
        if body.email in users:
            raise HTTPException(400, "The user with this email already exists in the system")
        book.add(body.email, body.password)
        users[body.email] = {
            "email": body.email,
            "id": uuid.uuid4(),
            "full_name": body.full_name,
            "version": 0,
        }
        return users[body.email]

    @me.get("/me", response_model=UserPublic)
    def read_user_me(current_user: CurrentUser) -> Any:
        return current_user

    @me.patch("/me/password")
    def update_password_me(body: UpdatePassword, current_user: CurrentUser) -> Message:
        if not book.check(current_user["email"], body.current_password):
            raise HTTPException(400, "Incorrect password")
        book.add(current_user["email"], body.new_password)
        current_user["version"] += 1
        return Message(message="Password updated successfully")

    @me.delete("/me")
    def delete_user_me(current_user: CurrentUser) -> Message:
        users.pop(current_user["email"])
        book.drop(current_user["email"])
        return Message(message="User deleted successfully")

    @me.get("/")
    def read_users(current_user: CurrentUser) -> Message:
        raise HTTPException(403, f"The user {current_user['id']} doesn't have enough privileges")

    def owned(item_id: uuid.UUID, user: dict[str, Any]) -> dict[str, Any]:
        item = items.get(item_id)
        if item is None or item["owner_id"] != user["id"]:
            raise HTTPException(404, "Item not found")
        return item

    @things.get("/", response_model=ItemsPublic)
    def read_items(current_user: CurrentUser, skip: int = 0, limit: int = 100) -> Any:
        mine = [item for item in items.values() if item["owner_id"] == current_user["id"]]
        return {"data": mine[skip : skip + limit], "count": len(mine)}

    @things.post("/", response_model=ItemPublic)
    def create_item(body: ItemCreate, current_user: CurrentUser) -> Any:
        item = {**body.model_dump(), "id": uuid.uuid4(), "owner_id": current_user["id"]}
        items[item["id"]] = item
        return item

    @things.get("/{id}", response_model=ItemPublic)
    def read_item(id: uuid.UUID, current_user: CurrentUser) -> Any:  # noqa: A002 - as the starter does
        return owned(id, current_user)

    @things.put("/{id}", response_model=ItemPublic)
    def update_item(id: uuid.UUID, body: ItemUpdate, current_user: CurrentUser) -> Any:  # noqa: A002 - as above
        item = owned(id, current_user)
        item.update(body.model_dump(exclude_unset=True))
        return item

    @things.delete("/{id}")
    def delete_item(id: uuid.UUID, current_user: CurrentUser) -> Message:  # noqa: A002 - as above
        del items[owned(id, current_user)["id"]]
        return Message(message="Item deleted successfully")

    @utils.get("/health-check/")
    def health_check() -> bool:
        return True

    app = FastAPI(title="Full Stack Project", openapi_url=f"{API}/openapi.json")
    for router in (login, me, things, utils):
        app.include_router(router, prefix=API)
    return app
