"""An identity server in Python's own `http.server`: a login is a flow that is opened first and then completed.

`GET /self-service/login/api` gives a flow with the address and the token to post to it; only the post takes the
password. The session token travels in `X-Session-Token`. Errors have a code, a status and a reason.
"""

import json
import secrets
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from zoo.people import MAIL, Book, Brake, Tokens

SERVER = "own"
LOCK = threading.Lock()
BOOK, BRAKE, TOKENS = Book(MAIL), Brake(), Tokens(3600)
FLOWS, CARDS = {}, {}
IDENTITIES = {mail: str(uuid.uuid4()) for mail in MAIL}


class Refused(Exception):
    def __init__(self, code, reason, **headers):
        self.code, self.reason, self.headers = code, reason, headers


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "flows"
    sys_version = ""

    def log_message(self, *_):
        pass

    def say(self, status, body, **headers):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if body is not None:
            self.send_header("Content-Type", "application/json; charset=utf-8")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def body(self):
        length = self.headers.get("Content-Length", "0")
        raw = self.rfile.read(min(int(length), 100_000)) if length.isdecimal() else b""
        return raw

    def json_body(self):
        try:
            found = json.loads(self.raw)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Refused(400, "The request body is not a JSON object.")
        return found

    def caller(self):
        word, _, bearer = (self.headers.get("Authorization") or "").partition(" ")
        self.token = self.headers.get("X-Session-Token") or (bearer if word.lower() == "bearer" else None)
        mail = TOKENS.owner(self.token)
        if mail is None:
            raise Refused(
                401, "No valid session credentials found in the request.", WWW_Authenticate="Bearer"
            )
        return mail

    def handle_any(self):
        parts = urlsplit(self.path)
        self.query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.raw = self.body()
        pieces = parts.path.strip("/").split("/")
        try:
            with LOCK:
                status, body, headers = self.route(parts.path, pieces)
        except Refused as refused:
            words = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed"}
            error = {
                "code": refused.code,
                "status": words.get(refused.code, "Error"),
                "reason": refused.reason,
            }
            status, body, headers = refused.code, {"error": error}, refused.headers
        self.say(status, body, **headers)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any

    def route(self, path, pieces):
        name = (
            f"{self.command} /{pieces[0]}/*"
            if pieces[0] == "cards" and len(pieces) == 2
            else f"{self.command} {path}"
        )
        handlers = {
            "GET /health/alive": lambda: (200, {"status": "ok"}, {}),
            "GET /openapi.json": lambda: (200, DOCUMENT, {}),
            "GET /self-service/login/api": self.open_flow,
            "POST /self-service/login": self.complete_flow,
            "DELETE /self-service/logout/api": self.leave,
            "GET /sessions/whoami": self.whoami,
            "GET /sessions": self.sessions,
            "GET /cards": self.list_cards,
            "POST /cards": self.new_card,
            "GET /cards/*": lambda: (200, self.own(pieces[1]), {}),
            "PATCH /cards/*": lambda: self.change(pieces[1]),
            "DELETE /cards/*": lambda: self.drop(pieces[1]),
        }
        if name in handlers:
            return handlers[name]()
        known = any(one.split(" ")[1] == name.split(" ")[1] for one in handlers)
        raise (
            Refused(405, "This method is not supported.")
            if known
            else Refused(404, "The requested resource could not be found.")
        )

    def open_flow(self):
        flow = str(uuid.uuid4())
        FLOWS[flow] = csrf = secrets.token_urlsafe(24)
        nodes = [
            {
                "type": "input",
                "attributes": {"name": "csrf_token", "type": "hidden", "value": csrf, "required": True},
            },
            {
                "type": "input",
                "attributes": {"name": "identifier", "type": "text", "value": "", "required": True},
            },
            {"type": "input", "attributes": {"name": "password", "type": "password", "required": True}},
            {"type": "input", "attributes": {"name": "method", "type": "submit", "value": "password"}},
        ]
        host = self.headers.get("Host", "")
        action = f"http://{host}/self-service/login?flow={flow}"
        return (
            200,
            {"id": flow, "type": "api", "ui": {"action": action, "method": "POST", "nodes": nodes}},
            {},
        )

    def complete_flow(self):
        given = self.json_body()
        csrf = FLOWS.pop(self.query.get("flow", ""), None)
        if csrf is None or given.get("csrf_token") != csrf:
            raise Refused(410, "The login flow expired or does not exist.")
        if given.get("method") != "password":
            raise Refused(400, "Could not find any login strategy.")
        mail = str(given.get("identifier"))
        if wait := BRAKE.wait(mail):
            raise Refused(429, "Too many attempts.", Retry_After=str(wait))
        if not BOOK.check(mail, given.get("password")):
            BRAKE.wrong(mail)
            raise Refused(400, "The provided credentials are invalid.")
        BRAKE.right(mail)
        return (
            200,
            {"session_token": TOKENS.issue(mail, "ory_st_"), "session": self.session(mail)},
            {"Cache_Control": "no-store"},
        )

    @staticmethod
    def session(mail):
        identity = {"id": IDENTITIES[mail], "schema_id": "default", "traits": {"email": mail}}
        return {"active": True, "identity": identity}

    def whoami(self):
        return 200, self.session(self.caller()), {}

    def sessions(self):
        self.caller()
        return 200, [], {}

    def leave(self):
        token = self.json_body().get("session_token")
        if TOKENS.owner(token if isinstance(token, str) else None) is None:
            raise Refused(403, "The session token is not valid.")
        TOKENS.revoke(token)
        return 204, None, {}

    def list_cards(self):
        mail = self.caller()
        return 200, {"cards": [card for owner, card in CARDS.values() if owner == mail]}, {}

    def new_card(self):
        mail, given = self.caller(), self.json_body()
        if not isinstance(given.get("front"), str) or not isinstance(given.get("back"), str):
            raise Refused(400, "front and back are required.")
        card = {"uuid": str(uuid.uuid4()), "front": given["front"], "back": given["back"]}
        CARDS[card["uuid"]] = (mail, card)
        return 201, card, {}

    def own(self, key):
        mail = self.caller()
        owner, card = CARDS.get(key, (None, None))
        if owner != mail:
            raise Refused(404, "Unable to locate the card.")
        return card

    def change(self, key):
        card, given = self.own(key), self.json_body()
        card.update({side: str(given[side]) for side in ("front", "back") if side in given})
        return 200, card, {}

    def drop(self, key):
        self.own(key)
        del CARDS[key]
        return 204, None, {}


def _op(name, tag, secured=True, body=None, parameters=()):
    found = {
        "operationId": name,
        "tags": [tag],
        "parameters": list(parameters),
        "responses": {"200": {"description": "ok"}},
    }
    if body is not None:
        required, properties = body
        schema = {"type": "object", "required": required, "properties": properties}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {**found, "security": [{"sessionToken": []}]} if secured else found


_TEXT = {"type": "string"}
_FLOW = {"name": "flow", "in": "query", "required": True, "schema": _TEXT, "description": "The Login Flow ID"}
_KEY = {"name": "uuid", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
_LOGIN = (
    ["identifier", "password", "method"],
    {
        "csrf_token": _TEXT,
        "identifier": _TEXT,
        "password": _TEXT,
        "method": {"type": "string", "enum": ["password"]},
    },
)
DOCUMENT = {
    "openapi": "3.0.3",
    "info": {"title": "Flows", "version": "1.0"},
    "paths": {
        "/health/alive": {"get": _op("isAlive", "metadata", secured=False)},
        "/self-service/login/api": {"get": _op("createNativeLoginFlow", "frontend", secured=False)},
        "/self-service/login": {"post": _op("updateLoginFlow", "frontend", False, _LOGIN, [_FLOW])},
        "/self-service/logout/api": {
            "delete": _op(
                "performNativeLogout", "frontend", False, (["session_token"], {"session_token": _TEXT})
            )
        },
        "/sessions/whoami": {"get": _op("toSession", "frontend")},
        "/sessions": {"get": _op("listMySessions", "frontend")},
        "/cards": {
            "get": _op("listCards", "cards"),
            "post": _op("createCard", "cards", body=(["front", "back"], {"front": _TEXT, "back": _TEXT})),
        },
        "/cards/{uuid}": {
            "get": _op("getCard", "cards", parameters=[_KEY]),
            "patch": _op("patchCard", "cards", body=([], {"front": _TEXT, "back": _TEXT}), parameters=[_KEY]),
            "delete": _op("deleteCard", "cards", parameters=[_KEY]),
        },
    },
    "components": {
        "securitySchemes": {"sessionToken": {"type": "apiKey", "in": "header", "name": "X-Session-Token"}}
    },
}


def serve(port):
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
