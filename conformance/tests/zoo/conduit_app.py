"""Conduit in Flask: every body is wrapped in the name of its thing, the scheme word is Token, ids are slugs.

The document is YAML, and only the documentation page knows where it is. Errors are `{"errors": {…}}`.
"""

from __future__ import annotations

import secrets
from typing import Any

import yaml
from flask import Blueprint, Flask, Response, abort, g, jsonify, request
from zoo.people import MAIL, Book, Brake, Tokens

SERVER = "waitress"

PAGE = """<!DOCTYPE html><html><head><title>Conduit API</title></head><body><div id="swagger-ui"></div>
<script src="/static/swagger-ui-bundle.js"></script>
<script>window.onload = () => { window.ui = SwaggerUIBundle({ url: "/spec/conduit.yml", dom_id: "#swagger-ui" }) }</script>
</body></html>"""

DOCUMENT = """
openapi: 3.0.1
info: {title: Conduit API, version: 1.0.0}
servers: [{url: /api}]
paths:
  /users/login:
    post:
      operationId: Login
      tags: [User and Authentication]
      requestBody: {$ref: '#/components/requestBodies/LoginUserRequest'}
      responses: {'200': {$ref: '#/components/responses/UserResponse'}, '422': {$ref: '#/components/responses/GenericError'}}
  /users:
    post:
      operationId: CreateUser
      tags: [User and Authentication]
      requestBody: {$ref: '#/components/requestBodies/NewUserRequest'}
      responses: {'201': {$ref: '#/components/responses/UserResponse'}, '422': {$ref: '#/components/responses/GenericError'}}
  /user:
    get:
      operationId: GetCurrentUser
      tags: [User and Authentication]
      responses: {'200': {$ref: '#/components/responses/UserResponse'}, '401': {$ref: '#/components/responses/Unauthorized'}}
      security: [{Token: []}]
  /user/feed-settings:
    get:
      operationId: GetFeedSettings
      tags: [Settings]
      responses: {'200': {description: ok}, '401': {$ref: '#/components/responses/Unauthorized'}}
      security: [{Token: []}]
  /tags:
    get: {operationId: GetTags, tags: [Tags], responses: {'200': {description: ok}}}
  /drafts:
    get:
      operationId: GetDrafts
      tags: [Drafts]
      responses: {'200': {description: ok}, '401': {$ref: '#/components/responses/Unauthorized'}}
      security: [{Token: []}]
    post:
      operationId: CreateDraft
      tags: [Drafts]
      requestBody:
        required: true
        content:
          application/json:
            schema:
              required: [draft]
              type: object
              properties:
                draft:
                  required: [title, body]
                  type: object
                  properties:
                    title: {type: string}
                    body: {type: string}
                    tagList: {type: array, items: {type: string}}
      responses: {'201': {description: made}, '401': {$ref: '#/components/responses/Unauthorized'}}
      security: [{Token: []}]
  /drafts/{slug}:
    parameters: [{name: slug, in: path, required: true, schema: {type: string}}]
    get:
      operationId: GetDraft
      tags: [Drafts]
      responses: {'200': {description: ok}, '401': {$ref: '#/components/responses/Unauthorized'}, '404': {description: none}}
      security: [{Token: []}]
    put:
      operationId: UpdateDraft
      tags: [Drafts]
      requestBody:
        required: true
        content:
          application/json:
            schema:
              required: [draft]
              type: object
              properties: {draft: {type: object, properties: {title: {type: string}, body: {type: string}}}}
      responses: {'200': {description: ok}, '401': {$ref: '#/components/responses/Unauthorized'}, '404': {description: none}}
      security: [{Token: []}]
    delete:
      operationId: DeleteDraft
      tags: [Drafts]
      responses: {'204': {description: gone}, '401': {$ref: '#/components/responses/Unauthorized'}, '404': {description: none}}
      security: [{Token: []}]
components:
  requestBodies:
    LoginUserRequest:
      required: true
      content: {application/json: {schema: {required: [user], type: object, properties: {user: {$ref: '#/components/schemas/LoginUser'}}}}}
    NewUserRequest:
      required: true
      content: {application/json: {schema: {required: [user], type: object, properties: {user: {$ref: '#/components/schemas/NewUser'}}}}}
  responses:
    Unauthorized: {description: Unauthorized}
    GenericError: {description: Unexpected error}
    UserResponse:
      description: User
      content: {application/json: {schema: {required: [user], type: object, properties: {user: {$ref: '#/components/schemas/User'}}}}}
  schemas:
    LoginUser:
      required: [email, password]
      type: object
      properties: {email: {type: string}, password: {type: string, format: password}}
    NewUser:
      required: [username, email, password]
      type: object
      properties: {username: {type: string}, email: {type: string}, password: {type: string, format: password}}
    User:
      required: [email, token, username, bio, image]
      type: object
      properties: {email: {type: string}, token: {type: string}, username: {type: string}, bio: {type: string}, image: {type: string}}
  securitySchemes:
    Token:
      type: apiKey
      description: "For accessing the protected API resources, you must have received a valid token. The token must be sent as `Authorization: Token xxxxxx.yyyyyyy.zzzzzz`"
      name: Authorization
      in: header
"""

api = Blueprint("api", __name__, url_prefix="/api")
book, tokens, brake = Book(MAIL), Tokens(3600), Brake()
usernames = {mail: mail.split("@", maxsplit=1)[0] for mail in MAIL}
drafts: dict[str, dict[str, Any]] = {}


def problem(status: int, **errors: str) -> tuple[Response, int]:
    return jsonify(errors={key: [text] for key, text in errors.items()}), status


def wrapped(name: str) -> dict[str, Any]:
    body = request.get_json(silent=True)
    inner = body.get(name) if isinstance(body, dict) else None
    if not isinstance(inner, dict):
        abort(problem(422, body="can't be empty")[0])
    return inner


@api.before_request
def find_caller() -> Any:
    word, _, token = request.headers.get("Authorization", "").partition(" ")
    g.mail = tokens.owner(token) if word == "Token" else None
    public = {"api.login", "api.create_user", "api.tags"}
    if g.mail is None and request.endpoint not in public:
        answer, status = problem(401, token="is missing or invalid")
        answer.headers["WWW-Authenticate"] = "Token"
        return answer, status
    return None


def user_of(mail: str, *, token: str | None = None) -> Response:
    answer = jsonify(
        user={"email": mail, "token": token, "username": usernames[mail], "bio": None, "image": None}
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


@api.post("/users/login")
def login() -> Any:
    user = wrapped("user")
    mail = str(user.get("email"))
    if wait := brake.wait(mail):
        answer, status = problem(429, login="too many attempts")
        answer.headers["Retry-After"] = str(wait)
        return answer, status
    if not book.check(mail, user.get("password")):
        brake.wrong(mail)
        return problem(422, **{"email or password": "is invalid"})
    brake.right(mail)
    return user_of(mail, token=tokens.issue(mail))


@api.post("/users")
def create_user() -> Any:
    user = wrapped("user")
    mail, name, password = (str(user.get(key) or "") for key in ("email", "username", "password"))
    if "@" not in mail or len(password) < 8 or not name:
        return problem(422, user="is invalid")
    if mail in usernames or name in usernames.values():
        return problem(422, email="has already been taken")
    usernames[mail] = name
    book.add(mail, password)
    return user_of(mail, token=tokens.issue(mail)), 201


@api.get("/user")
def current_user() -> Any:
    return user_of(g.mail, token=request.headers["Authorization"].partition(" ")[2])


@api.get("/user/feed-settings")
def feed_settings() -> Any:
    return jsonify(settings={"language": "en", "perPage": 20})


@api.get("/tags")
def tags() -> Any:
    return jsonify(tags=["welcome", "introduction"])


def own(slug: str) -> dict[str, Any]:
    draft = drafts.get(slug)
    if draft is None or draft["author"] != usernames[g.mail]:
        answer, status = problem(404, draft="not found")
        answer.status_code = status
        abort(answer)
    return draft


@api.get("/drafts")
def list_drafts() -> Any:
    mine = [one for one in drafts.values() if one["author"] == usernames[g.mail]]
    return jsonify(drafts=mine, draftsCount=len(mine))


@api.post("/drafts")
def create_draft() -> Any:
    body = wrapped("draft")
    if not all(isinstance(body.get(key), str) and body[key] for key in ("title", "body")):
        return problem(422, body="can't be blank")
    slug = f"{'-'.join(body['title'].lower().split())[:30]}-{secrets.token_hex(6)}"
    drafts[slug] = {"slug": slug, "title": body["title"], "body": body["body"], "author": usernames[g.mail]}
    return jsonify(draft=drafts[slug]), 201


@api.get("/drafts/<slug>")
def get_draft(slug: str) -> Any:
    return jsonify(draft=own(slug))


@api.put("/drafts/<slug>")
def update_draft(slug: str) -> Any:
    draft, body = own(slug), wrapped("draft")
    draft.update({key: str(body[key]) for key in ("title", "body") if key in body})
    return jsonify(draft=draft)


@api.delete("/drafts/<slug>")
def delete_draft(slug: str) -> Any:
    del drafts[own(slug)["slug"]]
    return "", 204


def create_app() -> Flask:
    app = Flask("conduit", static_folder=None)
    app.register_blueprint(api)
    app.add_url_rule("/docs", "docs", lambda: PAGE)
    app.add_url_rule("/spec/conduit.yml", "spec", lambda: Response(DOCUMENT, content_type="text/yaml"))
    for status in (404, 405, 500):
        app.register_error_handler(status, lambda error: problem(error.code or 500, request=error.name))
    yaml.safe_load(DOCUMENT)  # a service that serves a broken document should not start
    return app
