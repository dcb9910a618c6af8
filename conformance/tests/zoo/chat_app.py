"""A team chat on Starlette: the token comes in a response header, the user name is a login_id, ids have no dashes.

The browser gets the same session as a cookie, with a CSRF cookie beside it; the document is YAML at the root.
"""

import json
import secrets
import string

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from zoo.people import MAIL, Book, Brake, Tokens


def new_id():
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(26))


class AppError(Exception):
    def __init__(self, status, id_, message):
        self.status, self.body = status, {"id": id_, "message": message, "status_code": status}


class Chat:
    def __init__(self):
        self.book, self.brake, self.tokens = Book(MAIL), Brake(), Tokens(lifetime=7200)
        self.users = {mail: {"id": new_id(), "username": mail.split("@")[0], "email": mail} for mail in MAIL}
        self.notes = {}
        self.access = {}

    def caller(self, request: Request):
        word, _, token = request.headers.get("authorization", "").partition(" ")
        if word.lower() not in {"bearer", "token"}:
            token = request.cookies.get("CHATAUTHTOKEN", "")
            csrf = request.headers.get("x-csrf-token", "")
            if request.method != "GET" and token and csrf != request.cookies.get("CHATCSRF", "-"):
                token = ""
        request.state.token = token
        mail = self.tokens.owner(token) or self.access.get(token, (None, None))[1]
        if mail is None:
            raise AppError(
                401,
                "api.context.session_expired.app_error",
                "Invalid or expired session, please login again.",
            )
        return self.users[mail]


chat = Chat()


async def body_of(request: Request):
    try:
        found = await request.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        found = None
    if not isinstance(found, dict):
        raise AppError(
            400, "api.context.invalid_body_param.app_error", "Invalid or missing parameters in request body."
        )
    return found


async def login(request: Request):
    body = await body_of(request)
    name = str(body.get("login_id", ""))
    mail = next((one for one, user in chat.users.items() if name in (one, user["username"])), "")
    if wait := chat.brake.wait(name):
        return JSONResponse(
            {"id": "api.limit", "message": "limit exceeded", "status_code": 429},
            429,
            {"Retry-After": str(wait)},
        )
    if not chat.book.check(mail, body.get("password")):
        chat.brake.wrong(name)
        raise AppError(
            401,
            "api.user.login.invalid_credentials_email_username",
            "Enter a valid email or username and/or password.",
        )
    chat.brake.right(name)
    token, csrf = chat.tokens.issue(mail), secrets.token_hex(16)
    answer = JSONResponse(chat.users[mail], headers={"Token": token, "Cache-Control": "no-store"})
    answer.set_cookie("CHATAUTHTOKEN", token, max_age=7200, httponly=True, secure=True, samesite="lax")
    answer.set_cookie("CHATCSRF", csrf, max_age=7200, secure=True, samesite="lax")
    return answer


async def logout(request: Request):
    chat.caller(request)
    chat.tokens.revoke(request.state.token)
    answer = JSONResponse({"status": "OK"})
    answer.delete_cookie("CHATAUTHTOKEN")
    return answer


async def me(request: Request):
    return JSONResponse(chat.caller(request))


async def prefs(request: Request):
    user = chat.caller(request)
    return JSONResponse([{"user_id": user["id"], "category": "display", "name": "theme", "value": "dark"}])


async def notes(request: Request):
    user = chat.caller(request)
    if request.method == "POST":
        body = await body_of(request)
        if not isinstance(body.get("message"), str) or not body["message"]:
            raise AppError(
                400, "api.context.invalid_body_param.app_error", "Invalid or missing message in request body."
            )
        note = {"id": new_id(), "user_id": user["id"], "message": body["message"], "props": {}}
        chat.notes[note["id"]] = note
        return JSONResponse(note, 201)
    return JSONResponse([note for note in chat.notes.values() if note["user_id"] == user["id"]])


async def note(request: Request):
    user = chat.caller(request)
    found = chat.notes.get(request.path_params["note_id"])
    if found is None or found["user_id"] != user["id"]:
        raise AppError(404, "app.note.get.app_error", "Unable to get the note.")
    if request.method == "DELETE":
        del chat.notes[found["id"]]
        return JSONResponse({"status": "OK"})
    if request.method == "PUT":
        found["message"] = str((await body_of(request)).get("message", ""))
    return JSONResponse(found)


async def tokens(request: Request):
    """Personal access tokens: shown once, then known by their id."""
    user = chat.caller(request)
    if request.method == "GET":
        mine = [key for key, (_, mail) in chat.access.items() if mail == user["email"]]
        return JSONResponse([{"id": chat.access[key][0], "user_id": user["id"]} for key in mine])
    body = await body_of(request)
    if not isinstance(body.get("description"), str) or not body["description"]:
        raise AppError(
            400, "api.context.invalid_body_param.app_error", "Invalid or missing description in request body."
        )
    token, token_id = new_id(), new_id()
    chat.access[token] = (token_id, user["email"])
    return JSONResponse(
        {"id": token_id, "token": token, "user_id": user["id"], "description": body["description"]}
    )


async def revoke(request: Request):
    user = chat.caller(request)
    wanted = str((await body_of(request)).get("token_id"))
    key = next(
        (key for key, (one, mail) in chat.access.items() if (one, mail) == (wanted, user["email"])), None
    )
    if key is None:
        raise AppError(
            404, "app.user_access_token.get.app_error", "We could not get the personal access token."
        )
    del chat.access[key]
    return JSONResponse({"status": "OK"})


def _op(name, tag, status="200", body=None, secured=True):
    found = {"operationId": name, "tags": [tag], "responses": {status: {"description": "ok"}}}
    if body:
        properties = {key: {"type": "string"} for key in body}
        schema = {"type": "object", "required": list(body), "properties": properties}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if secured:
        found["responses"]["401"] = {"description": "No access token provided"}
    else:
        found["security"] = []
    return found


DOCUMENT = {
    "openapi": "3.0.0",
    "info": {"title": "Chat API", "version": "4.0.0"},
    "servers": [
        {"url": "{your-chat-url}", "variables": {"your-chat-url": {"default": "https://chat.example.com"}}}
    ],
    "security": [{"bearerAuth": []}],
    "paths": {
        "/api/v4/users/login": {"post": _op("Login", "users", body=["login_id", "password"], secured=False)},
        "/api/v4/users/logout": {"post": _op("Logout", "users")},
        "/api/v4/users/me": {"get": _op("GetMe", "users")},
        "/api/v4/users/me/preferences": {"get": _op("GetPreferences", "preferences")},
        "/api/v4/users/me/tokens": {
            "get": _op("GetUserAccessTokens", "users"),
            "post": _op("CreateUserAccessToken", "users", body=["description"]),
        },
        "/api/v4/users/tokens/revoke": {"post": _op("RevokeUserAccessToken", "users", body=["token_id"])},
        "/api/v4/notes": {
            "get": _op("ListNotes", "notes"),
            "post": _op("CreateNote", "notes", "201", ["message"]),
        },
        "/api/v4/notes/{note_id}": {
            "parameters": [{"name": "note_id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": _op("GetNote", "notes"),
            "put": _op("UpdateNote", "notes", body=["message"]),
            "delete": _op("DeleteNote", "notes"),
        },
        "/api/v4/system/ping": {"get": _op("GetPing", "system", secured=False)},
    },
    "components": {"securitySchemes": {"bearerAuth": {"type": "http", "scheme": "bearer"}}},
}


async def document(request: Request):
    return PlainTextResponse(yaml.safe_dump(DOCUMENT, sort_keys=False))


async def ping(request: Request):
    return JSONResponse({"status": "OK"})


async def app_error(request: Request, error: Exception) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    return JSONResponse(error.body, error.status, headers)


async def not_found(request: Request, error: Exception) -> Response:
    return JSONResponse(
        {"id": "api.context.404.app_error", "message": "not found", "status_code": error.status_code},
        error.status_code,
    )


def create_app():
    routes = [
        Route("/users/login", login, methods=["POST"]),
        Route("/users/logout", logout, methods=["POST"]),
        Route("/users/me", me),
        Route("/users/me/preferences", prefs),
        Route("/users/me/tokens", tokens, methods=["GET", "POST"]),
        Route("/users/tokens/revoke", revoke, methods=["POST"]),
        Route("/notes", notes, methods=["GET", "POST"]),
        Route("/notes/{note_id}", note, methods=["GET", "PUT", "DELETE"]),
        Route("/system/ping", ping),
    ]
    return Starlette(
        routes=[Route("/openapi.yaml", document), Mount("/api/v4", routes=routes)],
        exception_handlers={AppError: app_error, 404: not_found, 405: not_found},
    )
