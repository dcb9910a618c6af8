"""Flask-JWT-Extended with tokens in cookies: double-submit CSRF, a refresh cookie with a path of its own.

The login says nothing but "ok". Everything that changes something wants the readable CSRF cookie's value in
`X-CSRF-TOKEN`, the refresh that of the other one. The document is Flasgger's: Swagger 2 at /apispec_1.json.
"""

import datetime
import secrets

from flask import Flask, jsonify, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_jwt,
    get_jwt_identity,
    jwt_required,
    set_access_cookies,
    set_refresh_cookies,
    unset_jwt_cookies,
)
from zoo.people import PEOPLE, Book, Brake

SERVER = "waitress"


def create_app():
    app = Flask(__name__, static_folder=None)
    app.config.update(
        JWT_SECRET_KEY=secrets.token_hex(32),
        JWT_TOKEN_LOCATION=["cookies"],
        JWT_COOKIE_SECURE=True,
        JWT_COOKIE_SAMESITE="Lax",
        JWT_SESSION_COOKIE=False,
        JWT_REFRESH_COOKIE_PATH="/token",
        JWT_ACCESS_TOKEN_EXPIRES=datetime.timedelta(minutes=15),
    )
    manager, book, brake = JWTManager(app), Book(PEOPLE), Brake()
    revoked, recipes = set(), {}

    @manager.user_lookup_loader
    def _user(_header, claims):
        return claims["sub"] if claims["sub"] in PEOPLE else None

    @manager.token_in_blocklist_loader
    def _revoked(_header, claims):
        return claims["jti"] in revoked

    def refuse(text, status=401):
        answer = jsonify(msg=text)
        answer.status_code = status
        if status == 401:
            answer.headers["WWW-Authenticate"] = "Cookie"
        return answer

    manager.unauthorized_loader(lambda reason: refuse("Sign in first."))
    manager.invalid_token_loader(lambda reason: refuse("Sign in first."))
    manager.expired_token_loader(lambda header, claims: refuse("Sign in first."))
    manager.revoked_token_loader(lambda header, claims: refuse("Sign in first."))
    manager.user_lookup_error_loader(lambda header, claims: refuse("Sign in first."))

    def signed_in(name):
        answer = jsonify(login=True)
        set_access_cookies(answer, create_access_token(name))
        set_refresh_cookies(answer, create_refresh_token(name))
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @app.post("/token/auth")
    def login():
        body = request.get_json(silent=True) or {}
        name = str(body.get("username"))
        if wait := brake.wait(name):
            answer = refuse("Too many attempts.", 429)
            answer.headers["Retry-After"] = str(wait)
            return answer
        if not book.check(body.get("username"), body.get("password")):
            brake.wrong(name)
            return refuse("Bad username or password.")
        brake.right(name)
        return signed_in(name)

    @app.post("/token/refresh")
    @jwt_required(refresh=True)
    def refresh():
        revoked.add(get_jwt()["jti"])
        return signed_in(get_jwt_identity())

    @app.delete("/token/remove")
    @jwt_required()
    def logout():
        revoked.add(get_jwt()["jti"])
        answer = jsonify(logout=True)
        unset_jwt_cookies(answer)
        return answer

    @app.get("/api/example/me")
    @jwt_required()
    def me():
        return jsonify(hello=f"from {get_jwt_identity()}", logged_in_as=get_jwt_identity())

    @app.get("/api/recipes")
    @jwt_required()
    def index():
        return jsonify([one for one in recipes.values() if one["cook"] == get_jwt_identity()])

    @app.post("/api/recipes")
    @jwt_required()
    def create():
        text = (request.get_json(silent=True) or {}).get("description")
        if not isinstance(text, str):
            return refuse("description: missing", 422)
        number = f"R{secrets.randbelow(10**9):09}"
        recipes[number] = {"number": number, "description": text, "cook": get_jwt_identity()}
        return jsonify(recipes[number]), 201

    def own(number):
        found = recipes.get(number)
        return found if found is not None and found["cook"] == get_jwt_identity() else None

    @app.get("/api/recipes/<number>")
    @jwt_required()
    def show(number):
        found = own(number)
        return refuse("no such recipe", 404) if found is None else jsonify(found)

    @app.delete("/api/recipes/<number>")
    @jwt_required()
    def remove(number):
        if own(number) is None:
            return refuse("no such recipe", 404)
        return jsonify(recipes.pop(number))

    @app.get("/ping")
    def ping():
        return "pong", {"Content-Type": "text/plain"}

    @app.get("/apispec_1.json")
    def spec():
        return DOCUMENT

    @app.get("/apidocs/")
    def page():
        return "<!doctype html><script>SwaggerUIBundle({url: '/apispec_1.json'})</script>"

    for status in (400, 404, 405, 500):
        app.register_error_handler(status, lambda error: refuse(error.name, error.code))
    return app


def _op(summary, *parameters, secured=True):
    found = {"summary": summary, "parameters": list(parameters), "responses": {"200": {"description": "ok"}}}
    return {**found, "security": [{"cookie": []}]} if secured else found


def _body(**properties):
    schema = {"type": "object", "required": list(properties), "properties": properties}
    return {"in": "body", "name": "body", "required": True, "schema": schema}


_NUMBER = {"in": "path", "name": "number", "required": True, "type": "string"}
_TEXT = {"type": "string"}
DOCUMENT = {
    "swagger": "2.0",
    "info": {"title": "Recipes", "version": "0.1"},
    "paths": {
        "/token/auth": {"post": _op("Sign in", _body(username=_TEXT, password=_TEXT), secured=False)},
        "/token/refresh": {"post": _op("New access cookie")},
        "/token/remove": {"delete": _op("Sign out")},
        "/api/example/me": {"get": _op("Who am I")},
        "/api/recipes": {"get": _op("My recipes"), "post": _op("New recipe", _body(description=_TEXT))},
        "/api/recipes/{number}": {"get": _op("One recipe", _NUMBER), "delete": _op("Throw away", _NUMBER)},
        "/ping": {"get": _op("Alive", secured=False)},
    },
    "securityDefinitions": {"cookie": {"type": "apiKey", "in": "header", "name": "Cookie"}},
}
