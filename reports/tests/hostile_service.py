"""A service with flaws whose every answer attacks whoever reads a report of it.

It stands for itself: a process of its own imports it, writes down each secret that passed through it, and
how much memory it took in the end. In `NOTED`, both.
"""

import atexit
import gzip
import json
import re
import resource
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm

Message = MutableMapping[str, Any]

NOTED = Path("noted.json")
KEY = secrets.token_hex(32)
PEOPLE = {"alice": "alice-Tangerine-41", "bob": "bob-Velvet-87"}
# HTML and script, terminal escapes (CSI, OSC, C1), Markdown, workflow commands of two forges, templates, text
# that runs backwards or cannot be seen, NUL, half a character, line ends, the end of a Python string.
ATTACKS = (
    "</script><script>alert(1)</script><img src=x onerror=alert(1)>",
    "\x1b[2J\x1b[31mred\x1b]0;title\x07\x9b31m",
    "[click](javascript:alert(1)) ![pixel](https://evil.example/p.png) <https://evil.example> | a | `b` |",
    "\n::error file=app.py,line=1::owned\n::add-mask::a\n::set-output name=a::b\n##vso[task.setvariable variable=a]b\n",
    "{{ 7 * 7 }}{% raw %}${{ github.token }}",
    "safe\u202egnp.exe\u2066\u200b\u2028",
    "\x00 \ud83d ]]> &amp; \r\n'''\"\"\"\\",
)
HOSTILE = " ".join(ATTACKS)
BOMB = gzip.compress(b'{"error": "' + b" " * 50_000_000 + b'"}')
TOKENS = re.compile(rb"eyJ[\w-]+\.[\w-]+\.[\w-]+")

bearer = OAuth2PasswordBearer(tokenUrl="/token")
passed: set[str] = set()


inner = FastAPI(title=HOSTILE.replace("\ud83d", ""))


@inner.post("/token")
def login(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, str]:
    passed.add(form.password)
    if PEOPLE.get(form.username) != form.password:
        raise HTTPException(401, "wrong", {"WWW-Authenticate": "Bearer"})
    claims = {"sub": form.username, "jti": secrets.token_hex(8)}
    return {"access_token": jwt.encode(claims, KEY, "HS256"), "token_type": "bearer"}


@inner.get("/me")
def me(value: Annotated[str, Depends(bearer)]) -> dict[str, str]:
    try:
        name = jwt.decode(value, options={"verify_signature": False})["sub"]
    except (jwt.PyJWTError, KeyError):
        raise HTTPException(401, "bad token", {"WWW-Authenticate": "Bearer"}) from None
    if name not in PEOPLE:
        raise HTTPException(401, "nobody", {"WWW-Authenticate": "Bearer"})
    return {"username": str(name)}


@inner.get("/bomb")
def bomb(_: Annotated[dict[str, str], Depends(me)]) -> dict[str, str]:
    return {}


@inner.get("/huge")
def huge(_: Annotated[dict[str, str], Depends(me)]) -> dict[str, str]:
    return {}


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """The service, and what stands in front of it and spoils each answer."""
    if scope["type"] != "http":
        await inner(scope, receive, send)
        return
    for name, value in scope["headers"]:
        if name == b"authorization":
            passed.update(match.decode() for match in TOKENS.findall(value))
    start: Message = {}
    body = bytearray()

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            body.extend(message.get("body", b""))

    await inner(scope, receive, keep)
    passed.update(match.decode() for match in TOKENS.findall(bytes(body)))
    headers = [pair for pair in start["headers"] if pair[0] != b"content-length"]
    spoilt, more = spoil(scope["path"], start["status"], bytes(body))
    headers += [(b"x-note", HOSTILE.encode("utf-8", "replace")), (b"x-long", b"A" * 100_000), *more]
    await send({"type": "http.response.start", "status": start["status"], "headers": headers})
    await send({"type": "http.response.body", "body": spoilt})


def spoil(path: str, status: int, body: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    if path == "/bomb":
        return BOMB, [(b"content-encoding", b"gzip")]
    if path == "/huge":
        return body + b"\xff\xfe<b>\x00" * 1_500_000, []
    if status == 404:
        return b"not brotli \xff", [(b"content-encoding", b"br")]
    if path == "/openapi.json":
        return body, []
    try:
        document = json.loads(body)
    except ValueError:
        return body + HOSTILE.encode("utf-8", "replace") + b"\xff", []
    return json.dumps({**document, "note": HOSTILE, HOSTILE: [HOSTILE]}).encode(), []


def note() -> None:
    # Linux counts the parent's peak into ru_maxrss across exec; VmHWM begins anew with the program.
    status = Path("/proc/self/status")
    lines = status.read_text("utf-8").splitlines() if status.exists() else []
    own = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)
    most = (own or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024
    secret = [KEY, *PEOPLE.values(), *passed]
    NOTED.write_text(json.dumps({"secrets": secret, "megabytes": most}), "utf-8")


# The reports are written after the service has stopped: the whole of the process counts.
atexit.register(note)
