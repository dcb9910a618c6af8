"""SRC102: start the application in processes of their own, each with other secrets in its environment.

Run as a module it is such a process: it reads a job from its input, forks once per start where the system can,
and writes one line of JSON for each. The application gets an empty folder to work in and no network but loopback.
"""

from __future__ import annotations

import ast
import asyncio
import base64
import contextlib
import importlib
import inspect
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from auth_conformance.source.rules.literals import environment_name
from auth_conformance.source.tree import Function, Module, Tree, import_name
from auth_conformance.source.words import argument, is_secret, keyword, name_of, text_of
from auth_conformance.transports.message import HttpRequest, RawReply

# One start may take so long, in seconds, and all of them together.
PATIENCE = 20
ALTOGETHER = 240
MOST = 40
_FACTORIES = (
    "create_app",
    "make_app",
    "get_app",
    "build_app",
    "create_application",
    "get_application",
    "app_factory",
)
_NUMBERS = frozenset(("int", "float", "bool", "timedelta", "PositiveInt", "PositiveFloat"))


@dataclass(frozen=True, slots=True)
class Start:
    """One start: what the environment holds, by a name for it."""

    name: str
    environment: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Started:
    """How a start went. `said` is why it failed; replies are those to the requests that were sent after it."""

    name: str
    started: bool
    said: str = ""
    replies: tuple[RawReply, ...] = field(default=(), repr=False)


_ENVIRON = frozenset(("os.environ", "environ"))
_SECRET_TYPES = frozenset(("SecretStr", "SecretBytes"))
_READS = frozenset(("os.getenv", "getenv", "os.environ.get", "environ.get"))


def secret_variables(tree: Tree) -> list[str]:
    """The environment variables that the source reads secrets from."""
    found: dict[str, None] = {}
    readers = _readers(tree)
    for module in tree.modules:
        for node in module.nodes:
            name = environment_name(module, node)
            if not name and isinstance(node, ast.Call) and name_of(node.func) in readers and node.args:
                name = text_of(node.args[0]) or ""
            if name and is_secret(name):
                found[name] = None
            elif isinstance(node, ast.ClassDef):
                found |= dict.fromkeys(_members(tree, module, node))
    return list(found)


def _readers(tree: Tree) -> set[str]:
    """The functions of the application that read the environment variable which their first argument names."""
    found: set[str] = set()
    for module in tree.modules:
        for function in module.functions:
            first = next(iter([*function.args.posonlyargs, *function.args.args]), None)
            read = (
                part.slice if isinstance(part, ast.Subscript) else argument(part, 0, "key")
                for part in ast.walk(function)
                if (isinstance(part, ast.Subscript) and module.dotted(part.value) in _ENVIRON)
                or (isinstance(part, ast.Call) and module.dotted(part.func) in _READS)
            )
            if first is not None and any(
                isinstance(item, ast.Name) and item.id == first.arg for item in read
            ):
                found.add(function.name)
    return found


def _members(tree: Tree, module: Module, node: ast.ClassDef) -> Iterator[str]:
    """The variables that a settings class of pydantic is filled from."""
    if not _is_settings(tree, module, node):
        return
    prefix = _prefix(node)
    for item in node.body:
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        kinds = {name_of(part) for part in ast.walk(item.annotation)}
        # Whatever it is called, in whatever language: its type says that it is a secret, and that it has to be given.
        typed = not kinds.isdisjoint(_SECRET_TYPES) and _is_required(item.value)
        if not (is_secret(item.target.id) or typed) or not kinds.isdisjoint(_NUMBERS):
            continue
        aliases = ("validation_alias", "alias", "env")
        given = (
            [text_of(keyword(item.value, name)) for name in aliases]
            if isinstance(item.value, ast.Call)
            else []
        )
        yield (next(filter(None, given), None) or prefix + item.target.id).upper()


def _is_required(value: ast.expr | None) -> bool:
    """Whether a member of a settings class has no default."""
    if isinstance(value, ast.Call) and name_of(value.func) == "Field":
        first = value.args[0] if value.args else keyword(value, "default")
        no_default = first is None or (isinstance(first, ast.Constant) and first.value is ...)
        return no_default and keyword(value, "default_factory") is None
    return value is None


def _prefix(node: ast.ClassDef) -> str:
    for item in node.body:
        if isinstance(item, ast.Assign) and isinstance(item.value, ast.Call):
            if name_of(item.targets[0]) == "model_config":
                return text_of(keyword(item.value, "env_prefix")) or ""
        elif isinstance(item, ast.ClassDef) and item.name == "Config":
            for part in item.body:
                if isinstance(part, ast.Assign) and name_of(part.targets[0]) == "env_prefix":
                    return text_of(part.value) or ""
    return ""


def _is_settings(tree: Tree, module: Module, node: ast.ClassDef, depth: int = 4) -> bool:
    for base in node.bases:
        name = module.dotted(base)
        if name.rpartition(".")[2] == "BaseSettings":
            return True
        found = tree.find(module, name) if depth else None
        if found and isinstance(found[1], ast.ClassDef) and _is_settings(tree, found[0], found[1], depth - 1):
            return True
    return False


def find_spec(tree: Tree) -> tuple[str, str]:
    """What starts the application, as `module:app`, and the folder for its module; "" where the source does not say."""
    constants, factories = [], []
    for module in tree.modules:
        name, folder = import_name(module.path)
        constants += [
            (name, str(folder), key) for key, value in module.constants.items() if _makes(module, value)
        ]
        factories += [
            (name, str(folder), node.name)
            for node in module.tree.body
            if isinstance(node, ast.FunctionDef) and _is_factory(module, node)
        ]
    if constants:
        module_name, place, attribute = min(constants, key=lambda item: (item[2] != "app", len(item[0])))
        return f"{module_name}:{attribute}", place
    if factories:
        known = {factory: index for index, factory in enumerate(_FACTORIES)}
        module_name, place, attribute = min(
            factories, key=lambda item: (known.get(item[2], 99), len(item[0]))
        )
        return f"{module_name}:{attribute}()", place
    return "", ""


def _makes(module: Module, value: ast.expr) -> bool:
    if not isinstance(value, ast.Call):
        return False
    last = module.dotted(value.func).rpartition(".")[2]
    return last in {"FastAPI", "Starlette"} or last in _FACTORIES


def _is_factory(module: Module, node: Function) -> bool:
    required = len(node.args.posonlyargs) + len(node.args.args) - len(node.args.defaults)
    made = {
        module.dotted(part.func).rpartition(".")[2] for part in ast.walk(node) if isinstance(part, ast.Call)
    }
    returns = any(isinstance(part, ast.Return) for part in node.body)
    return bool(made & {"FastAPI", "Starlette"}) and required == 0 and all(node.args.kw_defaults) and returns


def base_environment(given: Mapping[str, str], folder: str) -> dict[str, str]:
    """The environment of this process with databases in files moved to `folder`, and nothing of ours."""
    found = {
        key: value for key, value in given.items() if not key.startswith(("AUTH_CONFORMANCE_", "PYTEST_"))
    }
    for key, value in found.items():
        if value.startswith("sqlite") and ":///" in value:
            found[key] = f"{value.partition(':///')[0]}:///{folder}/started.db"
    return found


def randomised(environment: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """The environment with new random values for those of the secrets that are plain texts."""
    plain = [name for name in names if environment.get(name) and not structured(environment[name])]
    return {**environment, **{name: f"{secrets.token_urlsafe(36)}7qX" for name in plain}}


def structured(value: str) -> bool:
    """Whether a value has a form that chance does not hit: a key in PEM or JSON, a URL."""
    return "-----BEGIN" in value or value.lstrip().startswith("{") or "://" in value


def start_all(
    spec: str, folder: str, starts: Sequence[Start], requests: Sequence[HttpRequest], preload: Sequence[str]
) -> list[Started]:
    """Start the application once for each entry and send it the requests."""
    job = {
        "spec": spec,
        "folder": folder,
        "preload": list(preload),
        "requests": [_packed(request) for request in requests],
        "patience": PATIENCE,
    }
    groups = [list(starts[:MOST])] if hasattr(os, "fork") else [[start] for start in starts[:MOST]]
    found: dict[str, Started] = {}
    for group in groups:
        entries = [{"name": start.name, "environment": dict(start.environment)} for start in group]
        found |= {item.name: item for item in _answers(json.dumps({**job, "starts": entries}))}
    late = "no answer came from it in time"
    return [found.get(start.name, Started(start.name, started=False, said=late)) for start in starts]


def _answers(job: str) -> Iterator[Started]:
    command = [sys.executable, "-m", "auth_conformance.source.launch"]
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter and this module
            command, input=job.encode(), capture_output=True, timeout=ALTOGETHER, check=False
        )
    except subprocess.TimeoutExpired:
        return
    for line in done.stdout.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            item = json.loads(line)
            replies = tuple(_reply(reply) for reply in item["replies"])
            yield Started(item["name"], bool(item["started"]), str(item["said"]), replies)


def _packed(request: HttpRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.path,
        "query": [list(pair) for pair in request.query],
        "headers": [
            [name, value if isinstance(value, str) else value.decode("latin-1")]
            for name, value in request.headers
        ],
        "body": None if request.body is None else base64.b64encode(request.body).decode(),
    }


def _reply(item: Mapping[str, Any]) -> RawReply:
    headers = tuple((name, value) for name, value in item["headers"])
    return RawReply(item["status"], headers, base64.b64decode(item["body"]), item["error"])


# From here on it runs in the other process.


def main() -> None:
    """Read the job, start, answer."""
    job = json.load(sys.stdin.buffer)
    answers = os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    for name in ["auth_conformance.transports.asgi", *job["preload"]]:
        with contextlib.suppress(BaseException):
            importlib.import_module(name)
    for start in job["starts"]:
        if not hasattr(os, "fork"):
            answers.write(_once(job, start))
            answers.flush()
            continue
        child = os.fork()
        if child == 0:
            answers.write(_once(job, start))
            answers.flush()
            os._exit(0)
        os.waitpid(child, 0)


def _once(job: Mapping[str, Any], start: Mapping[str, Any]) -> bytes:
    result: dict[str, Any] = {"name": start["name"], "started": False, "said": "", "replies": []}
    with tempfile.TemporaryDirectory(prefix="auth-conformance-start-") as folder:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(base_environment(start["environment"], folder))
        _without_network()
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, _late)
            signal.alarm(int(job["patience"]))
        try:
            asyncio.run(_run(job, result))
        except BaseException as error:  # noqa: BLE001 - whatever the application raises, SystemExit included
            # The text may hold a value of the environment: the type says enough.
            result["said"] = type(error).__name__
        finally:
            if hasattr(signal, "SIGALRM"):
                signal.alarm(0)
            os.chdir(tempfile.gettempdir())
    return json.dumps(result).encode() + b"\n"


def _late(number: int, frame: object) -> None:
    del number, frame
    raise TimeoutError


def _without_network() -> None:
    connect = socket.socket.connect

    def local(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if isinstance(address, tuple) and host not in {"127.0.0.1", "::1", "localhost"}:
            raise OSError("no network for an application that is only started")
        connect(self, address)

    socket.socket.connect = local  # type: ignore[method-assign, assignment] # this process ends soon


async def _run(job: Mapping[str, Any], result: dict[str, Any]) -> None:
    from auth_conformance.transports.asgi import AsgiTransport

    transport = AsgiTransport(
        _application(job["spec"], job["folder"]), timeout=10.0, agent="auth-conformance"
    )
    await transport.start()
    result["started"] = True
    for item in job["requests"]:
        body = None if item["body"] is None else base64.b64decode(item["body"])
        pairs = tuple((name, value) for name, value in item["headers"])
        request = HttpRequest(item["method"], item["path"], tuple(map(tuple, item["query"])), pairs, body)
        reply = await transport.send(request)
        result["replies"].append(
            {
                "status": reply.status,
                "headers": [list(pair) for pair in reply.headers],
                "body": base64.b64encode(reply.body).decode(),
                "error": reply.error,
            }
        )
    await transport.close()


def _application(spec: str, folder: str) -> Any:
    sys.path.insert(0, folder)
    name, _, attribute = spec.partition(":")
    found: Any = importlib.import_module(name)
    for part in attribute.removesuffix("()").split("."):
        found = getattr(found, part)
    if attribute.endswith("()") or (not hasattr(found, "routes") and _takes_nothing(found)):
        found = found()
    return found


def _takes_nothing(found: Any) -> bool:
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return False
    many = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return all(item.default is not inspect.Parameter.empty or item.kind in many for item in parameters)


def preloaded(tree: Tree) -> list[str]:
    """What the source imports from elsewhere: loaded once, before the starts part."""
    own = {name.partition(".")[0] for name in tree.by_name}
    own |= {import_name(module.path)[0].partition(".")[0] for module in tree.modules}
    taken = {name for module in tree.modules for name in _imported(module)}
    return sorted(name for name in taken if name.partition(".")[0] not in own)


def _imported(module: Module) -> Iterator[str]:
    for node in module.tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif (
            isinstance(node, ast.ImportFrom)
            and not node.level
            and node.module
            and node.module != "__future__"
        ):
            yield node.module


if __name__ == "__main__":
    main()
