"""JSON:API to the letter: `application/vnd.api+json` or 415, everything below `data.attributes`, ids as text.

A raw ASGI application, without a framework. A session is a resource that is created, and deleted to leave.
"""

import hashlib
import hmac
import itertools
import json
import secrets
import time

from zoo.people import PEOPLE, Book, Brake

MEDIA = "application/vnd.api+json"
book, brake = Book(PEOPLE), Brake()
pepper = secrets.token_bytes(32)
sessions, articles, count = {}, {}, itertools.count(40)


class Stop(Exception):
    def __init__(self, status, code, **headers):
        self.status, self.code, self.headers = status, code, headers


def key_of(text):
    return hmac.new(pepper, text.encode("utf-8", "replace"), "sha256").hexdigest()


def resource(kind, ident, **attributes):
    return {"data": {"type": kind, "id": str(ident), "attributes": attributes}}


class Call:
    def __init__(self, scope, body):
        self.method, self.path = scope["method"], scope["path"]
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self.raw = body

    def attributes(self, kind):
        if self.headers.get("content-type") != MEDIA:
            raise Stop(415, "unsupported_media_type")
        try:
            data = json.loads(self.raw)["data"]
            found = data["attributes"]
        except (ValueError, KeyError, TypeError):
            raise Stop(400, "malformed") from None
        if data.get("type") != kind or not isinstance(found, dict):
            raise Stop(409, "type_mismatch")
        return found

    def session(self):
        word, _, token = self.headers.get("authorization", "").partition(" ")
        found = sessions.get(key_of(token))
        if word.lower() != "bearer" or found is None or found["until"] < time.time():
            raise Stop(401, "unauthorized", **{"www-authenticate": "Bearer"})
        return found


def create_session(call):
    given = call.attributes("sessions")
    name = str(given.get("login"))
    if wait := brake.wait(name):
        raise Stop(429, "too_many_requests", **{"retry-after": str(wait)})
    if not book.check(given.get("login"), given.get("password")):
        brake.wrong(name)
        raise Stop(422, "invalid_credentials")
    brake.right(name)
    token = secrets.token_urlsafe(32)
    ident = secrets.token_hex(6)
    sessions[key_of(token)] = {"id": ident, "name": name, "until": time.time() + 3600}
    return (
        201,
        resource("sessions", ident, token=token, **{"expires-in": 3600}),
        {"cache-control": "no-store"},
    )


def destroy_session(call):
    current = call.session()
    for key in [key for key, one in sessions.items() if one["id"] == current["id"]]:
        del sessions[key]
    return 204, None, {}


def people_me(call):
    name = call.session()["name"]
    ident = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:8]
    return 200, resource("people", ident, **{"display-name": name.title(), "login": name}), {}


def settings(call):
    call.session()
    return 200, resource("settings", 1, locale="en", timezone="UTC"), {}


def shown(article):
    return resource("articles", article["id"], title=article["title"], body=article["body"])


def list_articles(call):
    name = call.session()["name"]
    return 200, {"data": [shown(one)["data"] for one in articles.values() if one["owner"] == name]}, {}


def create_article(call):
    name = call.session()["name"]
    given = call.attributes("articles")
    if not isinstance(given.get("title"), str) or not given["title"]:
        raise Stop(422, "title_required")
    ident = str(next(count))
    articles[ident] = {
        "id": ident,
        "title": given["title"],
        "body": str(given.get("body") or ""),
        "owner": name,
    }
    return 201, shown(articles[ident]), {"location": f"/articles/{ident}"}


def own(call):
    name = call.session()["name"]
    found = articles.get(call.path.rsplit("/", 1)[-1])
    if found is None or found["owner"] != name:
        raise Stop(404, "not_found")
    return found


def show_article(call):
    return 200, shown(own(call)), {}


def update_article(call):
    article = own(call)
    given = call.attributes("articles")
    article.update({key: str(given[key]) for key in ("title", "body") if key in given})
    return 200, shown(article), {}


def delete_article(call):
    del articles[own(call)["id"]]
    return 204, None, {}


def root(call):
    return 200, {"meta": {"jsonapi": "1.1"}, "links": {"describedby": "/schema.json"}}, {}


def _schema(kind, required, **more):
    attributes = {
        "type": "object",
        "required": required,
        "properties": {**{key: {"type": "string"} for key in required}, **more},
    }
    properties = {"type": {"type": "string", "enum": [kind]}, "attributes": attributes}
    data = {"type": "object", "required": ["type", "attributes"], "properties": properties}
    schema = {"type": "object", "required": ["data"], "properties": {"data": data}}
    return {"requestBody": {"required": True, "content": {MEDIA: {"schema": schema}}}}


def _op(tag, secured=True, **more):
    ok = {
        "responses": {"200": {"description": "ok", "content": {MEDIA: {"schema": {}}}}},
        "tags": [tag],
        **more,
    }
    return {**ok, "security": [{"session": []}]} if secured else ok


_ID = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Articles", "version": "1"},
    "paths": {
        "/": {"get": _op("root", secured=False)},
        "/sessions": {"post": _op("sessions", secured=False, **_schema("sessions", ["login", "password"]))},
        "/sessions/current": {"delete": _op("sessions")},
        "/people/me": {"get": _op("people")},
        "/settings": {"get": _op("settings")},
        "/articles": {
            "get": _op("articles"),
            "post": _op("articles", **_schema("articles", ["title"], body={"type": "string"})),
        },
        "/articles/{id}": {
            "get": _op("articles", parameters=_ID),
            "patch": _op("articles", parameters=_ID, **_schema("articles", [], title={"type": "string"})),
            "delete": _op("articles", parameters=_ID),
        },
    },
    "components": {"securitySchemes": {"session": {"type": "http", "scheme": "bearer"}}},
}
ROUTES = {
    ("GET", "/"): root,
    ("GET", "/schema.json"): lambda call: (200, DOCUMENT, {}),
    ("POST", "/sessions"): create_session,
    ("DELETE", "/sessions/current"): destroy_session,
    ("GET", "/people/me"): people_me,
    ("GET", "/settings"): settings,
    ("GET", "/articles"): list_articles,
    ("POST", "/articles"): create_article,
    ("GET", "/articles/*"): show_article,
    ("PATCH", "/articles/*"): update_article,
    ("DELETE", "/articles/*"): delete_article,
}


def answer(call):
    path = "/articles/*" if call.path.count("/") == 2 and call.path.startswith("/articles/") else call.path
    handler = ROUTES.get((call.method, path))
    if handler is None:
        known = any(other == path for _, other in ROUTES)
        raise Stop(405, "method_not_allowed") if known else Stop(404, "not_found")
    return handler(call)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message.get("body", b""), message.get("more_body", False)
    try:
        status, content, headers = answer(Call(scope, body[:100_000]))
    except Stop as stop:
        error = {
            "status": str(stop.status),
            "code": stop.code,
            "title": stop.code.replace("_", " ").capitalize(),
        }
        status, content, headers = stop.status, {"errors": [error]}, stop.headers
    sent = [(b"content-type", MEDIA.encode())] if content is not None else []
    sent += [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send(
        {"type": "http.response.body", "body": b"" if content is None else json.dumps(content).encode()}
    )


def create_app():
    return app
