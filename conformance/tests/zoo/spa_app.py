"""A single-page application's back end in the manner of a PHP framework: session and XSRF cookies, 419, 422.

Before anything is posted, `/sanctum/csrf-cookie` hands out a token in a cookie that has to come back, unquoted,
in a header. Personal access tokens look like `7|letters` and are bearers.
"""

import hashlib
import secrets
import time
from urllib.parse import quote, unquote

from flask import Flask, Response, g, jsonify, request
from zoo.people import MAIL, Book, Brake

SERVER = "waitress"
app = Flask(__name__, static_folder=None)
app.json.sort_keys = False
BOOK, BRAKE = Book(MAIL), Brake(allowed=5, window=20)
SESSIONS, TOKENS, ALBUMS = {}, {}, {}
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


def _id(text):
    return hashlib.sha256((text or "").encode("utf-8", "replace")).hexdigest()


class Session(dict):
    """What the server keeps under the digest of the cookie."""

    @classmethod
    def of_request(cls):
        found = SESSIONS.get(_id(request.cookies.get("laravel_session")))
        return found if found is not None and found["until"] > time.time() else None

    @classmethod
    def fresh(cls, **more):
        name = secrets.token_urlsafe(30)
        SESSIONS[_id(name)] = cls(csrf=secrets.token_urlsafe(30), until=time.time() + 7200, **more)
        return name, SESSIONS[_id(name)]


def _with_session(answer, name, session):
    answer.set_cookie("laravel_session", name, max_age=7200, httponly=True, secure=True, samesite="Lax")
    answer.set_cookie("XSRF-TOKEN", quote(session["csrf"] + "=="), max_age=7200, secure=True, samesite="Lax")
    return answer


def _says(status, message, **more):
    answer = jsonify(message=message, **more)
    answer.status_code = status
    if status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


@app.before_request
def middleware():
    g.session, g.mail, g.token = Session.of_request(), None, None
    word, _, text = request.headers.get("Authorization", "").partition(" ")
    if word == "Bearer":
        g.token = text.strip()
        g.mail = TOKENS.get(_id(g.token), {}).get("mail")
    elif g.session is not None:
        g.mail = g.session.get("mail")
        sent = unquote(request.headers.get("X-XSRF-TOKEN", ""))
        if request.method in UNSAFE and not secrets.compare_digest(
            sent.encode(), (g.session["csrf"] + "==").encode()
        ):
            return _says(419, "CSRF token mismatch.")
    if g.session is None and request.method in UNSAFE and request.path == "/login":
        return _says(419, "CSRF token mismatch.")
    if request.path.startswith("/api/") and g.mail is None and request.path != "/api/status":
        return _says(401, "Unauthenticated.")
    return None


@app.get("/sanctum/csrf-cookie")
def csrf_cookie():
    answer = Response(status=204)
    if g.session is not None:
        return _with_session(answer, request.cookies["laravel_session"], g.session)
    return _with_session(answer, *Session.fresh())


@app.post("/login")
def login():
    body = request.get_json(silent=True) or request.form.to_dict()
    mail, password = body.get("email"), body.get("password")
    missing = {key: [f"The {key} field is required."] for key in ("email", "password") if not body.get(key)}
    if missing:
        return _says(422, next(iter(missing.values()))[0], errors=missing)
    if wait := BRAKE.wait(str(mail)):
        answer = _says(429, "Too many login attempts.")
        answer.headers["Retry-After"] = str(wait)
        return answer
    if not BOOK.check(mail, password):
        BRAKE.wrong(str(mail))
        text = "These credentials do not match our records."
        return _says(422, text, errors={"email": [text]})
    BRAKE.right(str(mail))
    SESSIONS.pop(_id(request.cookies.get("laravel_session")), None)
    return _with_session(Response(status=204), *Session.fresh(mail=mail))


@app.post("/logout")
def logout():
    if g.mail is None:
        return _says(401, "Unauthenticated.")
    SESSIONS.pop(_id(request.cookies.get("laravel_session")), None)
    return Response(status=204)


@app.get("/api/user")
def user():
    return jsonify(
        id=list(MAIL).index(g.mail) + 1,
        name=g.mail.split("@")[0].title(),
        email=g.mail,
        email_verified_at=None,
    )


@app.route("/api/albums", methods=["GET", "POST"])
def albums():
    if request.method == "POST":
        title = (request.get_json(silent=True) or {}).get("title")
        if not isinstance(title, str) or not title:
            return _says(
                422, "The title field is required.", errors={"title": ["The title field is required."]}
            )
        key = len(ALBUMS) + 1
        ALBUMS[key] = {"id": key, "title": title, "mail": g.mail}
        return jsonify(data={"id": key, "title": title}), 201
    return jsonify(
        data=[{"id": one["id"], "title": one["title"]} for one in ALBUMS.values() if one["mail"] == g.mail]
    )


@app.route("/api/albums/<int:album>", methods=["GET", "PUT", "DELETE"])
def album(album):
    found = ALBUMS.get(album)
    if found is None or found["mail"] != g.mail:
        return _says(404, "No query results for model [Album].")
    if request.method == "DELETE":
        ALBUMS.pop(album)
        ALBUMS[-album] = {"id": -album, "title": "", "mail": ""}  # ids are not used twice
        return Response(status=204)
    if request.method == "PUT":
        found["title"] = str((request.get_json(silent=True) or {}).get("title") or found["title"])
    return jsonify(data={"id": found["id"], "title": found["title"]})


@app.route("/api/tokens", methods=["GET", "POST"])
def tokens():
    mine = {key: one for key, one in TOKENS.items() if one["mail"] == g.mail}
    if request.method == "GET":
        return jsonify(data=[{"id": one["id"], "name": one["name"]} for one in mine.values()])
    name = (request.get_json(silent=True) or {}).get("name")
    if not isinstance(name, str) or not name:
        return _says(422, "The name field is required.", errors={"name": ["The name field is required."]})
    text = f"{len(TOKENS) + 1}|{secrets.token_urlsafe(30)}"
    TOKENS[_id(text)] = {"id": len(TOKENS) + 1, "name": name, "mail": g.mail}
    answer = jsonify(accessToken={"id": len(TOKENS), "name": name}, plainTextToken=text)
    answer.headers["Cache-Control"] = "no-store"
    return answer, 201


@app.delete("/api/tokens/<int:token>")
def revoke(token):
    found = next((key for key, one in TOKENS.items() if (one["id"], one["mail"]) == (token, g.mail)), None)
    if found is None:
        return _says(404, "No query results.")
    TOKENS[found] = {"id": 0, "name": "", "mail": None}
    return Response(status=204)


@app.get("/api/status")
def status():
    return jsonify(status="ok")


for code in (400, 404, 405, 415, 500):
    app.register_error_handler(
        code, lambda error: _says(getattr(error, "code", 500) or 500, getattr(error, "name", "Server Error"))
    )


def _schema(**properties):
    return {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "properties": properties, "required": list(properties)}
            }
        },
    }


TEXT = {"type": "string"}
ANSWERS = {"responses": {"200": {"description": ""}}}
ONE = [{"name": "album", "in": "path", "required": True, "schema": {"type": "integer"}}]
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Albums", "version": "0.0.1"},
    "servers": [{"url": "https://albums.example.com/api"}],
    "security": [{"http": []}],
    "paths": {
        "/user": {"get": {"operationId": "user.show", "tags": ["User"], **ANSWERS}},
        "/albums": {
            "get": {"operationId": "albums.index", "tags": ["Album"], **ANSWERS},
            "post": {
                "operationId": "albums.store",
                "tags": ["Album"],
                "requestBody": _schema(title={**TEXT, "maxLength": 255}),
                **ANSWERS,
            },
        },
        "/albums/{album}": {
            "get": {"operationId": "albums.show", "tags": ["Album"], "parameters": ONE, **ANSWERS},
            "put": {
                "operationId": "albums.update",
                "tags": ["Album"],
                "parameters": ONE,
                "requestBody": _schema(title=TEXT),
                **ANSWERS,
            },
            "delete": {"operationId": "albums.destroy", "tags": ["Album"], "parameters": ONE, **ANSWERS},
        },
        "/tokens": {
            "get": {"operationId": "tokens.index", "tags": ["Token"], **ANSWERS},
            "post": {
                "operationId": "tokens.store",
                "tags": ["Token"],
                "requestBody": _schema(name=TEXT),
                **ANSWERS,
            },
        },
        "/tokens/{token}": {
            "delete": {
                "operationId": "tokens.destroy",
                "tags": ["Token"],
                "parameters": [{**ONE[0], "name": "token"}],
                **ANSWERS,
            }
        },
        "/status": {"get": {"operationId": "status", "tags": ["Status"], "security": [], **ANSWERS}},
    },
    "components": {"securitySchemes": {"http": {"type": "http", "scheme": "bearer"}}},
}


@app.get("/docs/api.json")
def document():
    return DOCUMENT


def create_app():
    return app
