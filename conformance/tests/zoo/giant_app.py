"""An issue tracker of thousands of operations: two megabytes of document, slow to start, spelled with slashes.

The session is a resource whose reply names its cookie; the document's `servers` entry is the vendor's cloud. Paths
in the document lack the slash that the service wants: it answers 308. Until it is warm, everything is 503.
"""

import json
import secrets
import time

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from zoo.people import PEOPLE, Book, Brake, Tokens

WARM_AFTER = 1.0
OPERATIONS = 3000


def text_schema(*names):
    return {
        "type": "object",
        "required": list(names),
        "properties": {name: {"type": "string"} for name in names},
    }


def described(tag, operation_id, body=None, secured=True, **more):
    found = {
        "tags": [tag], "operationId": operation_id, "summary": f"{operation_id}, as the name says",
        "description": "What this operation does is described at such length that nobody has read it. " * 6,
        "responses": {"200": {"description": "Returned if the request is successful."}, "401": {"description": "No."}},
        **more,
    }  # fmt: skip
    if body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return {**found, "security": [{"cookieAuth": []}]} if secured else {**found, "security": []}


def document():
    key = [{"name": "issueIdOrKey", "in": "path", "required": True, "schema": {"type": "string"}}]
    paths = {}
    for number in range(OPERATIONS // 2):
        tag = f"area{number % 60}"
        paths[f"/rest/api/2/{tag}/thing{number}"] = {"get": described(tag, f"getThing{number}")}
        paths[f"/rest/api/2/{tag}/thing{number}/{{id}}"] = {
            "get": described(tag, f"getThingById{number}", parameters=[{**key[0], "name": "id"}])
        }
    paths |= {
        "/rest/auth/1/session": {
            "post": described("session", "login", text_schema("username", "password"), secured=False),
            "get": described("session", "currentUser"),
            "delete": described("session", "logout"),
        },
        "/rest/api/2/myself": {"get": described("myself", "getUser")},
        "/rest/api/2/serverInfo": {"get": described("serverInfo", "getServerInfo", secured=False)},
        "/rest/api/2/issue": {"post": described("issue", "createIssue", text_schema("summary"))},
        "/rest/api/2/issue/{issueIdOrKey}": {
            "get": described("issue", "getIssue", parameters=key),
            "put": described("issue", "editIssue", text_schema("summary"), parameters=key),
            "delete": described("issue", "deleteIssue", parameters=key),
        },
    }
    return {
        "openapi": "3.0.1",
        "info": {"title": "Tracker", "version": "9.12"},
        "servers": [{"url": "https://your-domain.example.net"}],
        "paths": paths,
        "components": {
            "securitySchemes": {"cookieAuth": {"type": "apiKey", "in": "cookie", "name": "JSESSIONID"}}
        },
    }


class Tracker:
    def __init__(self):
        self.book, self.brake, self.sessions = Book(PEOPLE), Brake(), Tokens(3600)
        self.issues, self.count = {}, 100
        self.document = json.dumps(document()).encode()

    def caller(self, request):
        return self.sessions.owner(request.cookies.get("JSESSIONID"))

    @staticmethod
    def refuse(status, *messages, **headers):
        if status == 401:
            headers["WWW-Authenticate"] = 'OAuth realm="tracker"'
        return JSONResponse({"errorMessages": list(messages), "errors": {}}, status, headers)

    async def session(self, request):
        name = self.caller(request)
        if request.method == "POST":
            return await self.login(request)
        if name is None:
            return self.refuse(401, "You are not authenticated.")
        if request.method == "DELETE":
            self.sessions.revoke(request.cookies["JSESSIONID"])
            return Response(status_code=204)
        return JSONResponse({"self": f"/rest/api/2/user?username={name}", "name": name})

    async def login(self, request):
        try:
            given = json.loads(await request.body())
            name, password = given["username"], given["password"]
        except (ValueError, KeyError, TypeError):
            return self.refuse(400, "username and password are required")
        if wait := self.brake.wait(str(name)):
            return self.refuse(429, "Too many attempts", **{"Retry-After": str(wait)})
        if not self.book.check(name, password):
            self.brake.wrong(str(name))
            return self.refuse(401, "Login failed")
        self.brake.right(name)
        token = self.sessions.issue(name)
        answer = JSONResponse(
            {"session": {"name": "JSESSIONID", "value": token}, "loginInfo": {"loginCount": 127}}
        )
        answer.headers["Cache-Control"] = "no-store"
        answer.set_cookie("JSESSIONID", token, path="/", httponly=True, secure=True, samesite="lax")
        return answer

    async def myself(self, request):
        name = self.caller(request)
        if name is None:
            return self.refuse(401, "You are not authenticated.")
        return JSONResponse({"key": f"JIRAUSER{sorted(PEOPLE).index(name)}", "name": name, "active": True})

    async def info(self, request):
        return JSONResponse({"version": "9.12.4", "buildNumber": 912004})

    async def create(self, request):
        name = self.caller(request)
        if name is None:
            return self.refuse(401, "You are not authenticated.")
        try:
            summary = json.loads(await request.body())["summary"]
        except (ValueError, KeyError, TypeError):
            return self.refuse(400, "summary is required")
        self.count += 1
        key = f"TST-{self.count}{secrets.token_hex(3)}"
        self.issues[key] = {"id": str(self.count), "key": key, "summary": str(summary), "reporter": name}
        return JSONResponse({"id": str(self.count), "key": key, "self": f"/rest/api/2/issue/{key}"}, 201)

    async def issue(self, request):
        name = self.caller(request)
        if name is None:
            return self.refuse(401, "You are not authenticated.")
        found = self.issues.get(request.path_params["key"])
        if found is None or found["reporter"] != name:
            return self.refuse(404, "Issue Does Not Exist")
        if request.method == "DELETE":
            del self.issues[found["key"]]
            return Response(status_code=204)
        if request.method == "PUT":
            try:
                found["summary"] = str(json.loads(await request.body())["summary"])
            except (ValueError, KeyError, TypeError):
                return self.refuse(400, "summary is required")
            return Response(status_code=204)
        return JSONResponse(found)

    async def thing(self, request):
        return (
            JSONResponse({"name": "thing"})
            if self.caller(request)
            else self.refuse(401, "You are not authenticated.")
        )

    async def openapi(self, request):
        return Response(self.document, media_type="application/json")


class Warming:
    """Answers 503 for its first second, and 308 to whoever forgets the slash."""

    def __init__(self, app):
        self.app, self.ready = app, time.monotonic() + WARM_AFTER

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            path = scope["path"]
            if time.monotonic() < self.ready:
                answer = Response("starting", 503, {"Retry-After": "1"}, "text/plain")
                return await answer(scope, receive, send)
            if path.startswith("/rest/") and not path.endswith("/"):
                query = scope["query_string"].decode("latin-1")
                return await RedirectResponse(f"{path}/{'?' + query if query else ''}", 308)(
                    scope, receive, send
                )
        return await self.app(scope, receive, send)


def create_app():
    tracker = Tracker()
    routes = [
        Route("/rest/auth/1/session/", tracker.session, methods=["GET", "POST", "DELETE"]),
        Route("/rest/api/2/myself/", tracker.myself),
        Route("/rest/api/2/serverInfo/", tracker.info),
        Route("/rest/api/2/issue/", tracker.create, methods=["POST"]),
        Route("/rest/api/2/issue/{key}/", tracker.issue, methods=["GET", "PUT", "DELETE"]),
        Route("/rest/api/2/{area}/{thing}/", tracker.thing),
        Route("/rest/api/2/{area}/{thing}/{id}/", tracker.thing),
        Route("/openapi.json", tracker.openapi),
    ]
    missing = {
        code: lambda request, error: tracker.refuse(error.status_code, "not found") for code in (404, 405)
    }
    return Starlette(routes=routes, middleware=[Middleware(Warming)], exception_handlers=missing)
