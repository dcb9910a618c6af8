"""A consumer service that anybody may join, and that asks a lot: nobody has an account here before the run.

Sign-up wants a nested profile, a birthday, a country, consent and the password twice; names are camel case; the
e-mail address is the name; logins are limited for everybody together, with Retry-After. A login issues a token
pair below `data`; logging out is a PUT.
"""

import datetime
import secrets
import time
import uuid
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from zoo.people import Book, Brake, Tokens


class Base(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Profile(Base):
    first_name: str = Field(min_length=1)
    last_name: str = Field(min_length=1)
    date_of_birth: datetime.date
    country_code: str = Field(pattern="^[A-Z]{2}$")
    phone_number: str = Field(pattern=r"^\+[1-9]\d{6,14}$")


class SignUp(Base):
    email_address: str = Field(pattern=r"^[^@\s]+@[^@\s]+\.[a-z]+$")
    password: str = Field(min_length=12, max_length=128)
    password_confirmation: str
    profile: Profile
    terms_accepted: bool
    referral: str | None = None


class SignIn(Base):
    email_address: str
    password: str
    remember_me: bool = False


class Renewal(Base):
    refresh_token: str


class NewPassword(Base):
    current_password: str
    new_password: str = Field(min_length=12, max_length=128)


class NewNote(Base):
    heading: str = Field(max_length=80)
    contents: str = ""
    colour: str = Field(default="yellow", pattern="^(yellow|blue)$")


def create_app() -> FastAPI:
    book, brake, access, renewals = Book({}), Brake(), Tokens(900), Tokens(86_400)
    profiles: dict[str, Profile] = {}
    notes: dict[uuid.UUID, dict[str, Any]] = {}
    signins: list[float] = []
    app = FastAPI(title="Pinboard", docs_url="/api/docs", openapi_url="/api/swagger.json")
    scheme = HTTPBearer(auto_error=False)

    def envelope(data: Any, status: int = 200, **headers: str) -> JSONResponse:
        return JSONResponse({"success": True, "data": data}, status, headers)

    @app.exception_handler(HTTPException)
    async def problem(_: Request, error: HTTPException) -> JSONResponse:
        body = {"success": False, "error": {"code": error.status_code, "message": error.detail}}
        return JSONResponse(body, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        return JSONResponse({"success": False, "error": {"code": 422, "message": f"{where} is invalid"}}, 422)

    def member(token: Annotated[Any, Depends(scheme)]) -> str:
        mail = access.owner(token.credentials if token else None)
        if mail is None:
            raise HTTPException(401, "Please sign in", {"WWW-Authenticate": "Bearer"})
        return mail

    Member = Annotated[str, Depends(member)]

    def pair(mail: str) -> JSONResponse:
        tokens = {"accessToken": access.issue(mail), "refreshToken": renewals.issue(mail), "expiresIn": 900}
        return envelope({"tokens": tokens}, **{"Cache-Control": "no-store"})

    @app.post("/api/members", tags=["Members"], status_code=201)
    def sign_up(body: SignUp) -> JSONResponse:
        mail = body.email_address.lower()
        if body.password != body.password_confirmation:
            raise HTTPException(400, "The passwords differ")
        if not body.terms_accepted:
            raise HTTPException(400, "Please accept the terms")
        if body.profile.date_of_birth > datetime.date(2008, 1, 1):
            raise HTTPException(400, "You are too young")
        if any(known.phone_number == body.profile.phone_number for known in profiles.values()):
            raise HTTPException(409, "This phone number is taken")
        if mail not in book:
            book.add(mail, body.password)
            profiles[mail] = body.profile
        return envelope({"message": "Welcome"}, 201)

    @app.post("/api/members/sign-in", tags=["Members"])
    def sign_in(body: SignIn) -> JSONResponse:
        now = time.time()
        signins[:] = [moment for moment in signins if now - moment < 5]
        if len(signins) >= 40:
            raise HTTPException(429, "Slow down", {"Retry-After": "2"})
        signins.append(now)
        mail = body.email_address.lower()
        if wait := brake.wait(mail):
            raise HTTPException(429, "Slow down", {"Retry-After": str(wait)})
        if not book.check(mail, body.password):
            brake.wrong(mail)
            raise HTTPException(401, "Wrong e-mail address or password", {"WWW-Authenticate": "Bearer"})
        brake.right(mail)
        return pair(mail)

    @app.post("/api/members/renew", tags=["Members"])
    def renew(body: Renewal) -> JSONResponse:
        mail = renewals.owner(body.refresh_token)
        renewals.revoke(body.refresh_token)
        if mail is None or mail not in book:
            raise HTTPException(401, "Please sign in", {"WWW-Authenticate": "Bearer"})
        return pair(mail)

    @app.put("/api/members/sign-out", tags=["Members"])
    def sign_out(mail: Member, token: Annotated[Any, Depends(scheme)]) -> JSONResponse:
        access.revoke(token.credentials)
        renewals.revoke_all(mail)
        return envelope(None)

    @app.get("/api/members/self", tags=["Members"])
    def myself(mail: Member) -> JSONResponse:
        return envelope(
            {"emailAddress": mail, "profile": profiles[mail].model_dump(mode="json", by_alias=True)}
        )

    @app.put("/api/members/self/password", tags=["Members"])
    def change_password(body: NewPassword, mail: Member) -> JSONResponse:
        if not book.check(mail, body.current_password):
            raise HTTPException(403, "Wrong password")
        book.add(mail, body.new_password)
        access.revoke_all(mail)
        renewals.revoke_all(mail)
        return envelope(None)

    @app.delete("/api/members/self", tags=["Members"])
    def leave(mail: Member) -> JSONResponse:
        book.drop(mail)
        profiles.pop(mail)
        access.revoke_all(mail)
        renewals.revoke_all(mail)
        return envelope(None)

    @app.get("/api/notes", tags=["Notes"])
    def index(mail: Member) -> JSONResponse:
        return envelope([note for note in notes.values() if note["owner"] == mail])

    @app.post("/api/notes", tags=["Notes"], status_code=201)
    def create(body: NewNote, mail: Member) -> JSONResponse:
        key = uuid.uuid4()
        notes[key] = {"noteId": str(key), "owner": mail, **body.model_dump()}
        return envelope(notes[key], 201)

    def own(key: uuid.UUID, mail: str) -> dict[str, Any]:
        if key not in notes or notes[key]["owner"] != mail:
            raise HTTPException(404, "No such note")
        return notes[key]

    @app.get("/api/notes/{noteId}", tags=["Notes"])
    def show(noteId: uuid.UUID, mail: Member) -> JSONResponse:
        return envelope(own(noteId, mail))

    @app.patch("/api/notes/{noteId}", tags=["Notes"])
    def change(noteId: uuid.UUID, body: NewNote, mail: Member) -> JSONResponse:
        own(noteId, mail).update(body.model_dump())
        return envelope(own(noteId, mail))

    @app.delete("/api/notes/{noteId}", tags=["Notes"])
    def remove(noteId: uuid.UUID, mail: Member) -> JSONResponse:
        own(noteId, mail)
        del notes[noteId]
        return envelope(None)

    @app.get("/api/ping", tags=["Status"])
    def ping() -> JSONResponse:
        return envelope({"pong": secrets.token_hex(4), "tidy": True})

    return app
