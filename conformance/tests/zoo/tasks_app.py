"""Litestar with its own JWTAuth: a login answers 201 and puts the token into the Authorization header of its reply.

Errors are Litestar's `{"status_code", "detail"}`; the document is below /schema; ids are UUIDs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

from litestar import Controller, Litestar, Request, Response, delete, get, patch, post
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException, NotAuthorizedException, NotFoundException
from litestar.openapi.config import OpenAPIConfig
from litestar.params import Parameter
from litestar.security.jwt import JWTAuth, Token
from zoo.people import PEOPLE, Book, Brake


@dataclass
class Credentials:
    user: str
    password: str


@dataclass
class User:
    name: str
    plan: str = "free"


@dataclass
class TaskIn:
    summary: str
    done: bool = False


@dataclass
class TaskPatch:
    summary: str | None = None
    done: bool | None = None


@dataclass
class Task:
    summary: str
    done: bool
    owner: str
    task_id: UUID = field(default_factory=uuid4)


BOOK, BRAKE = Book(PEOPLE), Brake()
TASKS: dict[UUID, Task] = {}


async def retrieve_user(token: Token, _: ASGIConnection[Any, Any, Any, Any]) -> User | None:
    return User(token.sub) if token.sub in PEOPLE else None


jwt_auth = JWTAuth[User](
    retrieve_user_handler=retrieve_user,
    token_secret="d1f04b92e6c8a7350be29f4c6d7a81e35b02c9fd84e617a0",
    default_token_expiration=timedelta(minutes=30),
    exclude=["/auth/login", "/schema", "/health"],
)


@post("/auth/login", tags=["auth"], security=[])
async def login(data: Credentials) -> Response[User]:
    if wait := BRAKE.wait(data.user):
        raise HTTPException("Too many attempts", status_code=429, headers={"Retry-After": str(wait)})
    if not BOOK.check(data.user, data.password):
        BRAKE.wrong(data.user)
        raise NotAuthorizedException("Wrong name or password", headers={"WWW-Authenticate": "Bearer"})
    BRAKE.right(data.user)
    answer = jwt_auth.login(identifier=data.user, response_body=User(data.user))
    answer.headers["Cache-Control"] = "no-store"
    return answer


@get("/health", tags=["meta"], security=[])
async def health() -> dict[str, str]:
    return {"status": "up"}


@get("/account", tags=["account"])
async def account(request: Request[User, Token, Any]) -> User:
    return request.user


class TaskController(Controller):
    path = "/tasks"
    tags = ["tasks"]

    @staticmethod
    def own(task_id: UUID, name: str) -> Task:
        task = TASKS.get(task_id)
        if task is None or task.owner != name:
            raise NotFoundException("No such task")
        return task

    @get()
    async def index(self, request: Request[User, Token, Any]) -> list[Task]:
        return [task for task in TASKS.values() if task.owner == request.user.name]

    @post()
    async def create(self, data: TaskIn, request: Request[User, Token, Any]) -> Task:
        task = Task(data.summary, data.done, request.user.name)
        TASKS[task.task_id] = task
        return task

    @get("/{task_id:uuid}")
    async def show(self, task_id: Annotated[UUID, Parameter()], request: Request[User, Token, Any]) -> Task:
        return self.own(task_id, request.user.name)

    @patch("/{task_id:uuid}")
    async def change(self, task_id: UUID, data: TaskPatch, request: Request[User, Token, Any]) -> Task:
        task = self.own(task_id, request.user.name)
        task.summary = task.summary if data.summary is None else data.summary
        task.done = task.done if data.done is None else data.done
        return task

    @delete("/{task_id:uuid}")
    async def remove(self, task_id: UUID, request: Request[User, Token, Any]) -> None:
        del TASKS[self.own(task_id, request.user.name).task_id]


def unauthorised(_: Request[Any, Any, Any], error: NotAuthorizedException) -> Response[dict[str, Any]]:
    return Response(
        {"status_code": 401, "detail": error.detail}, status_code=401, headers={"WWW-Authenticate": "Bearer"}
    )


def create_app() -> Litestar:
    return Litestar(
        [login, health, account, TaskController],
        on_app_init=[jwt_auth.on_app_init],
        openapi_config=OpenAPIConfig(title="Tasks", version="1.4.0"),
        exception_handlers={NotAuthorizedException: unauthorised},
    )
