"""A members' club whose new accounts wait for a code by mail, and whose logins take the name first.

`POST /auth/identify` takes the e-mail address and gives a ticket, `POST /auth/prove` takes the ticket and the
password. The token belongs into the query, for the sake of the downloads. Quart, no prefix, snake case.
"""

import secrets

from quart import Quart, jsonify, request
from zoo.people import MAIL, Book, Brake, Tokens

SERVER = "hypercorn"


def create_app():
    app = Quart("club", static_folder=None)
    book, brake, tickets, tokens = Book(MAIL), Brake(), Tokens(120), Tokens(1800)
    waiting, letters = {}, {}

    def no(status, code):
        answer = jsonify(ok=False, problem=code)
        answer.status_code = status
        if status == 401:
            answer.headers["WWW-Authenticate"] = "Token"
        return answer

    async def given(*names):
        body = await request.get_json(silent=True)
        values = [body.get(name) if isinstance(body, dict) else None for name in names]
        return values if all(isinstance(value, str) and value for value in values) else None

    def caller():
        return tokens.owner(request.args.get("access_token"))

    @app.post("/auth/join")
    async def join():
        if (
            (values := await given("email", "password")) is None
            or "@" not in values[0]
            or len(values[1]) < 10
        ):
            return no(422, "email_and_password")
        waiting[values[0]] = (values[1], secrets.token_hex(3))
        return jsonify(ok=True, next="/auth/confirm"), 202

    @app.post("/auth/confirm")
    async def confirm():
        if (values := await given("email", "code")) is None:
            return no(422, "email_and_code")
        password, code = waiting.get(values[0], ("", ""))
        if not code or not secrets.compare_digest(code, values[1]):
            return no(400, "wrong_code")
        book.add(values[0], password)
        del waiting[values[0]]
        return jsonify(ok=True)

    @app.post("/auth/identify")
    async def identify():
        values = await given("email")
        return (
            no(422, "email")
            if values is None
            else jsonify(ok=True, ticket=tickets.issue(values[0]), next="/auth/prove")
        )

    @app.post("/auth/prove")
    async def prove():
        if (values := await given("ticket", "password")) is None:
            return no(422, "ticket_and_password")
        mail = tickets.owner(values[0])
        tickets.revoke(values[0])
        if mail is None:
            return no(400, "ticket")
        if wait := brake.wait(mail):
            answer = no(429, "slow_down")
            answer.headers["Retry-After"] = str(wait)
            return answer
        if not book.check(mail, values[1]):
            brake.wrong(mail)
            return no(401, "credentials")
        brake.right(mail)
        answer = jsonify(ok=True, access_token=tokens.issue(mail), lifetime=1800)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @app.post("/auth/leave")
    async def leave():
        if caller() is None:
            return no(401, "token")
        tokens.revoke(request.args.get("access_token"))
        return jsonify(ok=True)

    @app.get("/member")
    async def member():
        mail = caller()
        return no(401, "token") if mail is None else jsonify(ok=True, member={"email": mail, "tier": "gold"})

    @app.get("/letters")
    async def index():
        mail = caller()
        if mail is None:
            return no(401, "token")
        return jsonify(ok=True, letters=[one for one in letters.values() if one["from"] == mail])

    @app.post("/letters")
    async def write():
        mail = caller()
        if mail is None:
            return no(401, "token")
        if (values := await given("subject", "message")) is None:
            return no(422, "subject_and_message")
        key = secrets.token_urlsafe(9)
        letters[key] = {"letter_id": key, "from": mail, "subject": values[0], "message": values[1]}
        return jsonify(ok=True, letter=letters[key]), 201

    @app.route("/letters/<letter_id>", methods=["GET", "DELETE"])
    async def one(letter_id):
        mail = caller()
        if mail is None:
            return no(401, "token")
        found = letters.get(letter_id)
        if found is None or found["from"] != mail:
            return no(404, "letter")
        if request.method == "DELETE":
            del letters[letter_id]
        return jsonify(ok=True, letter=found)

    @app.get("/hello")
    async def hello():
        return jsonify(ok=True)

    @app.get("/openapi.json")
    async def document():
        return DOCUMENT

    async def failed(error):
        return no(error.code, error.name.lower().replace(" ", "_"))

    for status in (400, 404, 405):
        app.register_error_handler(status, failed)
    return app


def _op(tag, *names, secured=True, **more):
    found = {"tags": [tag], "responses": {"200": {"description": "ok"}}, **more}
    if names:
        schema = {
            "type": "object",
            "required": list(names),
            "properties": {name: {"type": "string"} for name in names},
        }
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {**found, "security": [{"token": []}]} if secured else found


_ID = {"parameters": [{"name": "letter_id", "in": "path", "required": True, "schema": {"type": "string"}}]}
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Club", "version": "5"},
    "paths": {
        "/auth/join": {"post": _op("auth", "email", "password", secured=False, summary="Become a member")},
        "/auth/confirm": {"post": _op("auth", "email", "code", secured=False)},
        "/auth/identify": {"post": _op("auth", "email", secured=False, summary="First step of signing in")},
        "/auth/prove": {
            "post": _op("auth", "ticket", "password", secured=False, summary="Second step of signing in")
        },
        "/auth/leave": {"post": _op("auth", summary="Sign out")},
        "/member": {"get": _op("member")},
        "/letters": {"get": _op("letters"), "post": _op("letters", "subject", "message")},
        "/letters/{letter_id}": {"get": _op("letters", **_ID), "delete": _op("letters", **_ID)},
        "/hello": {"get": _op("hello", secured=False)},
    },
    "components": {"securitySchemes": {"token": {"type": "apiKey", "in": "query", "name": "access_token"}}},
}
