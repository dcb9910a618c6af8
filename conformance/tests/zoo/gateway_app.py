"""Boards of workspaces behind a gateway: Starlette with a document written by hand, all below /gw/v3.

The login answers 204, its token stands in the header X-Auth-Token alone and travels back in a header of that name.
Versions are asked for by media type. Identifiers are ULIDs. To whoever may not see something it does not exist:
strangers get 404 below /workspaces, and 401 elsewhere. Every person has one workspace, and nobody makes further ones.
"""

import secrets
import time

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from zoo.people import PEOPLE, Book, Brake, Tokens

PREFIX = "/gw/v3"
MEDIA = "application/vnd.acme.boards.v2+json"
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid():
    number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


class Answer(JSONResponse):
    media_type = MEDIA


def create_app():
    book, brake, tokens = Book(PEOPLE), Brake(), Tokens()
    spaces = {ulid(): name for name in PEOPLE}
    boards = {}

    def fault(status, code, **headers):
        return Answer({"fault": {"code": code, "trace": secrets.token_hex(6)}}, status, headers)

    def caller(request):
        return tokens.owner(request.headers.get("x-auth-token"))

    async def body_of(request):
        try:
            found = await request.json()
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    async def open_session(request):
        body = await body_of(request)
        name = str(body.get("loginName"))
        if wait := brake.wait(name):
            return fault(429, "SLOW_DOWN", **{"Retry-After": str(wait)})
        if not book.check(body.get("loginName"), body.get("passPhrase")):
            brake.wrong(name)
            return fault(401, "BAD_LOGIN", **{"WWW-Authenticate": "X-Auth-Token"})
        brake.right(name)
        headers = {"X-Auth-Token": tokens.issue(name), "Cache-Control": "no-store"}
        return Response(status_code=204, headers=headers)

    async def close_session(request):
        if caller(request) is None:
            return fault(401, "NO_SESSION", **{"WWW-Authenticate": "X-Auth-Token"})
        tokens.revoke(request.headers.get("x-auth-token"))
        return Response(status_code=204)

    async def myself(request):
        name = caller(request)
        if name is None:
            return fault(401, "NO_SESSION", **{"WWW-Authenticate": "X-Auth-Token"})
        return Answer({"person": {"loginName": name, "displayName": name.title()}}, headers=PRIVATE)

    async def mine(request):
        name = caller(request)
        if name is None:
            return fault(404, "NOT_FOUND")
        found = [
            {"workspaceId": key, "title": f"Desk of {name}"} for key, owner in spaces.items() if owner == name
        ]
        return Answer({"workspaces": found, "next": None}, headers=PRIVATE)

    async def collection(request):
        name, space = caller(request), request.path_params["workspaceId"]
        if name is None or spaces.get(space) != name:
            return fault(404, "NOT_FOUND")
        if request.method == "GET":
            found = [board for (above, _), board in boards.items() if above == space]
            return Answer({"boards": found, "next": None}, headers=PRIVATE)
        body = await body_of(request)
        if not isinstance(body.get("caption"), str) or not 0 < len(body["caption"]) <= 200:
            return fault(422, "CAPTION")
        board = {"boardId": ulid(), "caption": body["caption"], "archived": False}
        boards[space, board["boardId"]] = board
        return Answer({"board": board}, 201)

    async def one(request):
        name, space = caller(request), request.path_params["workspaceId"]
        board = boards.get((space, request.path_params["boardId"]))
        if name is None or spaces.get(space) != name or board is None:
            return fault(404, "NOT_FOUND")
        if request.method == "DELETE":
            del boards[space, board["boardId"]]
            return Response(status_code=204)
        if request.method == "PATCH":
            body = await body_of(request)
            if not isinstance(body.get("caption"), str) or not 0 < len(body["caption"]) <= 200:
                return fault(422, "CAPTION")
            board["caption"] = body["caption"]
        return Answer({"board": board}, headers=PRIVATE)

    async def uptime(request):
        return Answer({"up": True})

    async def document(request):
        return JSONResponse(DOCUMENT)

    async def unknown(request, error):
        return fault(404, "NOT_FOUND")

    async def wrong_verb(request, error):
        return fault(405, "VERB", **(error.headers or {}))

    return Starlette(
        routes=[
            Mount(
                PREFIX,
                routes=[
                    Route("/session", open_session, methods=["POST"]),
                    Route("/session", close_session, methods=["DELETE"]),
                    Route("/myself", myself),
                    Route("/workspaces", mine),
                    Route("/workspaces/{workspaceId}/boards", collection, methods=["GET", "POST"]),
                    Route(
                        "/workspaces/{workspaceId}/boards/{boardId}", one, methods=["GET", "PATCH", "DELETE"]
                    ),
                    Route("/uptime", uptime),
                    Route("/openapi.json", document),
                ],
            )
        ],
        exception_handlers={404: unknown, 405: wrong_verb},
    )


PRIVATE = {"Cache-Control": "private, no-store"}


def _op(summary, *parameters, body=None, code="200", open_to_all=False):
    found = {"summary": summary, "parameters": list(parameters), "responses": {code: {"description": "ok"}}}
    if body is not None:
        found["requestBody"] = {"required": True, "content": {MEDIA: {"schema": body}}}
    return {**found, "security": []} if open_to_all else found


def _path(name):
    schema = {"type": "string", "pattern": "^[0-9A-HJKMNP-TV-Z]{26}$"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _body(**properties):
    return {"type": "object", "required": list(properties), "properties": properties}


_SPACE, _BOARD = _path("workspaceId"), _path("boardId")
_NEW = _body(caption={"type": "string", "minLength": 1, "maxLength": 200})
_LOGIN = _body(loginName={"type": "string"}, passPhrase={"type": "string", "format": "password"})
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Boards", "version": "3"},
    "servers": [{"url": "https://api.boards.example/gw/v3"}, {"url": "/gw/v3"}],
    "components": {
        "securitySchemes": {"session": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}}
    },
    "security": [{"session": []}],
    "paths": {
        "/session": {
            "post": _op("Open a session", body=_LOGIN, code="204", open_to_all=True),
            "delete": _op("Close the session", code="204"),
        },
        "/myself": {"get": _op("Who am I")},
        "/workspaces": {"get": _op("My workspaces")},
        "/workspaces/{workspaceId}/boards": {
            "get": _op("Boards", _SPACE),
            "post": _op("New board", _SPACE, body=_NEW, code="201"),
        },
        "/workspaces/{workspaceId}/boards/{boardId}": {
            "get": _op("One board", _SPACE, _BOARD),
            "patch": _op("Rename", _SPACE, _BOARD, body=_NEW),
            "delete": _op("Throw away", _SPACE, _BOARD, code="204"),
        },
        "/uptime": {"get": _op("Alive", open_to_all=True)},
    },
}
