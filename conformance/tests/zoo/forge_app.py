"""A code forge on Quart: HTTP Basic makes access tokens, which then travel after the word `token` or in the query.

The document is Swagger 2. A repository is named by two path parameters, its owner and its own name.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field

from quart import Quart, Response, g, jsonify, request
from zoo.people import PEOPLE, Book, Brake

SERVER = "hypercorn"


@dataclass
class Forge:
    book: Book = field(default_factory=lambda: Book(PEOPLE))
    brake: Brake = field(default_factory=Brake)
    tokens: dict = field(default_factory=dict)  # digest -> (id, owner, name)
    repos: dict = field(default_factory=dict)  # (owner, name) -> repository
    ids: int = 1000


def digest(text):
    return hashlib.sha1(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


def create_app():
    app, forge = Quart("forge", static_folder=None), Forge()

    def refusal(status, message):
        answer = jsonify({"message": message, "url": "https://forge.example.com/api/swagger"})
        answer.status_code = status
        if status == 401:
            answer.headers["WWW-Authenticate"] = 'Basic realm="Forge", Token'
        return answer

    def by_token(text):
        return forge.tokens.get(digest(text), (0, None, ""))[1]

    def caller():
        word, _, rest = request.headers.get("Authorization", "").partition(" ")
        g.basic = False
        if word.lower() in {"token", "bearer"}:
            return by_token(rest.strip())
        if word.lower() == "basic":
            try:
                name, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
            except ValueError:
                return None
            if forge.brake.wait(name):
                g.throttled = forge.brake.wait(name)
                return None
            if not forge.book.check(name, password):
                forge.brake.wrong(name)
                return None
            forge.brake.right(name)
            g.basic = True
            return name
        return by_token(request.args["token"]) if request.args.get("token") else None

    @app.before_request
    async def authenticate():
        if not request.path.startswith("/api/v1/") or request.path == "/api/v1/version":
            return None
        g.throttled = 0
        g.user = caller()
        if g.throttled:
            answer = refusal(429, "too many attempts")
            answer.headers["Retry-After"] = str(g.throttled)
            return answer
        return refusal(401, "token is required") if g.user is None else None

    @app.get("/api/v1/version")
    async def version():
        return {"version": "1.21.4"}

    @app.get("/api/v1/user")
    async def user():
        return {
            "id": sorted(PEOPLE).index(g.user) + 1,
            "login": g.user,
            "email": f"{g.user}@noreply.example.com",
        }

    @app.get("/api/v1/user/settings")
    async def settings():
        return {"theme": "auto", "language": "en-US", "hide_email": True}

    def basic_only(username):
        if not g.basic:
            return refusal(401, "auth required")
        return None if username == g.user else refusal(403, "not yours")

    @app.get("/api/v1/users/<username>/tokens")
    async def list_tokens(username):
        mine = [{"id": i, "name": n} for i, owner, n in forge.tokens.values() if owner == username]
        return basic_only(username) or jsonify(mine)

    @app.post("/api/v1/users/<username>/tokens")
    async def create_token(username):
        if (no := basic_only(username)) is not None:
            return no
        body = await request.get_json(silent=True) or {}
        if not isinstance(body.get("name"), str) or not body["name"]:
            return refusal(422, "[Name]: Required")
        forge.ids += 1
        token = secrets.token_hex(20)
        forge.tokens[digest(token)] = (forge.ids, username, body["name"])
        made = {"id": forge.ids, "name": body["name"], "sha1": token, "token_last_eight": token[-8:]}
        answer = jsonify(made)
        answer.status_code = 201
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @app.delete("/api/v1/users/<username>/tokens/<token>")
    async def delete_token(username, token):
        if (no := basic_only(username)) is not None:
            return no
        found = next(
            (k for k, (i, o, n) in forge.tokens.items() if o == username and token in (str(i), n)), None
        )
        if found is None:
            return refusal(404, "not found")
        del forge.tokens[found]
        return Response(status=204)

    @app.get("/api/v1/user/repos")
    async def repos():
        return jsonify([one for (owner, _), one in forge.repos.items() if owner == g.user])

    @app.post("/api/v1/user/repos")
    async def create_repo():
        body = await request.get_json(silent=True) or {}
        name = body.get("name")
        if (
            not isinstance(name, str)
            or not name.replace("-", "").replace("_", "").isalnum()
            or len(name) > 100
        ):
            return refusal(422, "[Name]: AlphaDashDot")
        if (g.user, name) in forge.repos:
            return refusal(409, "The repository with the same name already exists.")
        forge.ids += 1
        made = {
            "id": forge.ids, "name": name, "full_name": f"{g.user}/{name}", "owner": {"login": g.user},
            "description": str(body.get("description") or ""), "private": True,
        }  # fmt: skip
        forge.repos[g.user, name] = made
        return made, 201

    @app.route("/api/v1/repos/<owner>/<repo>", methods=["GET", "PATCH", "DELETE"])
    async def one_repo(owner, repo):
        found = forge.repos.get((owner, repo))
        if found is None or owner != g.user:
            return refusal(404, "not found")
        if request.method == "DELETE":
            del forge.repos[owner, repo]
            return Response(status=204)
        if request.method == "PATCH":
            body = await request.get_json(silent=True) or {}
            found["description"] = str(body.get("description", found["description"]))
        return found

    @app.get("/api/swagger")
    async def page():
        return Response(
            "<!DOCTYPE html><html><head><title>Forge API</title></head><body>"
            '<div id="swagger-ui" data-source="/swagger.v1.json"></div></body></html>',
            content_type="text/html",
        )

    @app.get("/swagger.v1.json")
    async def swagger():
        return DOCUMENT

    async def failed(error):
        return refusal(getattr(error, "code", 500), getattr(error, "name", "error"))

    for status in (400, 404, 405):
        app.register_error_handler(status, failed)
    return app


def _parameter(name):
    return {"name": name, "in": "path", "required": True, "type": "string"}


def _body(model):
    return {"name": "body", "in": "body", "schema": {"$ref": f"#/definitions/{model}"}}


_USER, _OWNER, _REPO = _parameter("username"), _parameter("owner"), _parameter("repo")
DOCUMENT = {
    "swagger": "2.0",
    "info": {"title": "Forge API", "version": "1.21.4"},
    "basePath": "/api/v1",
    "consumes": ["application/json"],
    "produces": ["application/json"],
    "securityDefinitions": {
        "BasicAuth": {"type": "basic"},
        "Token": {"type": "apiKey", "name": "token", "in": "query"},
        "AuthorizationHeaderToken": {
            "type": "apiKey", "name": "Authorization", "in": "header",
            "description": 'API tokens must be prepended with "token" followed by a space.',
        },
    },
    "security": [{"BasicAuth": []}, {"Token": []}, {"AuthorizationHeaderToken": []}],
    "paths": {
        "/version": {"get": {"tags": ["misc"], "operationId": "getVersion", "security": [], "responses": {"200": {"description": "ok"}}}},
        "/user": {"get": {"tags": ["user"], "operationId": "userGetCurrent", "responses": {"200": {"description": "ok"}}}},
        "/user/settings": {"get": {"tags": ["user"], "operationId": "getUserSettings", "responses": {"200": {"description": "ok"}}}},
        "/user/repos": {
            "get": {"tags": ["user", "repository"], "operationId": "userCurrentListRepos", "responses": {"200": {"description": "ok"}}},
            "post": {"tags": ["repository"], "operationId": "createCurrentUserRepo", "parameters": [_body("CreateRepoOption")], "responses": {"201": {"description": "made"}}},
        },
        "/repos/{owner}/{repo}": {
            "get": {"tags": ["repository"], "operationId": "repoGet", "parameters": [_OWNER, _REPO], "responses": {"200": {"description": "ok"}}},
            "patch": {"tags": ["repository"], "operationId": "repoEdit", "parameters": [_OWNER, _REPO, _body("EditRepoOption")], "responses": {"200": {"description": "ok"}}},
            "delete": {"tags": ["repository"], "operationId": "repoDelete", "parameters": [_OWNER, _REPO], "responses": {"204": {"description": "gone"}}},
        },
        "/users/{username}/tokens": {
            "get": {"tags": ["user"], "operationId": "userGetTokens", "security": [{"BasicAuth": []}], "parameters": [_USER], "responses": {"200": {"description": "ok"}}},
            "post": {"tags": ["user"], "operationId": "userCreateToken", "security": [{"BasicAuth": []}], "parameters": [_USER, _body("CreateAccessTokenOption")], "responses": {"201": {"description": "made"}}},
        },
        "/users/{username}/tokens/{token}": {
            "delete": {"tags": ["user"], "operationId": "userDeleteAccessToken", "security": [{"BasicAuth": []}], "parameters": [_USER, _parameter("token")], "responses": {"204": {"description": "gone"}}},
        },
    },
    "definitions": {
        "CreateAccessTokenOption": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "scopes": {"type": "array", "items": {"type": "string"}}}},
        "CreateRepoOption": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "maxLength": 100}, "description": {"type": "string"}, "private": {"type": "boolean"}}},
        "EditRepoOption": {"type": "object", "properties": {"description": {"type": "string"}}},
    },
}  # fmt: skip
