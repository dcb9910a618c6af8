"""Targets that mostly tell the truth, and lie about one thing: what real deployments do to a tester.

Each takes the application that it stands in front of and returns an ASGI application, like those in `targets`.
Where a deployment counts seconds, these count requests, so that a test does not depend on the clock.
"""

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from hostile.targets import Reply, ask, credentials_of, in_front_of, issued_in, replayed, whole_body
from services.serving import App, Message, Receive, Send

_ATTACKS = re.compile(
    rb"<script|'\s*(or|union|;|--)|union\s+select|sleep\(|\.\./|%00|\x00|\{\{|\$\{"
    rb"|eyJ[\w-]*(bm9uZS|Ik5vbmUi|Ok5PTkU|JOT05F)|eyJ[\w-]+\.[\w-]*\.(?![\w-])",  # JWTs of `none`, or unsigned
    re.IGNORECASE,
)
_LONG = 4_000
_BLOCKED = b"<!doctype html><html><body><h1>Sorry, you have been blocked</h1></body></html>"


def limits_one(app: App, requests: int = 30, *, retry_after: str | None = "60") -> App:
    """Answer 429 to whoever logged in first, once that account has sent so many requests; everybody else goes on."""
    owner: dict[str, str] = {}
    first: list[str] = []
    used: Counter[str] = Counter()
    headers = {"retry-after": retry_after} if retry_after else {}

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        body = await whole_body(receive)
        names = {owner[value] for value in credentials_of(scope) if value in owner} | _named(body)
        used.update(names)
        if first and first[0] in names and used[first[0]] > requests:
            await Reply.json(429, {"detail": "Slow down"}, **headers).to(send)
            return
        reply = await ask(app, scope, replayed(body, receive))
        if reply.status < 300 and (names := _named(body)):
            name = min(names)
            if issued_in(reply) and not first:
                first.append(name)
            owner.update(dict.fromkeys(issued_in(reply), name))
        await reply.to(send)

    return in_front_of(app, answer)


def waf_on_words(app: App, page: Literal["200", "403", "json"] = "403") -> App:
    """Block what looks like an attack, and only that: SQL, markup, JWTs of `none`, headers longer than 4 kB."""
    blocked = {
        "200": Reply.html(200, _BLOCKED),
        "403": Reply.html(403, _BLOCKED),
        "json": Reply.json(403, {"error": "blocked", "incident": "18ab3f"}),
    }[page]

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        body = await whole_body(receive)
        values = [value for _, value in scope["headers"]]
        form = unquote_to_bytes(body.replace(b"+", b" "))
        parts = [scope["path"].encode(), scope.get("query_string", b""), body, form, *values]
        if any(map(_ATTACKS.search, parts)) or any(len(value) > _LONG for value in values):
            await blocked.to(send)
        else:
            await app(scope, replayed(body, receive), send)

    return in_front_of(app, answer)


def knows_its_names(app: App) -> App:
    """A gateway that serves the first name it was called by, and shows a page to whoever uses another one."""
    own: list[bytes] = []

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        name = dict(scope["headers"]).get(b"host", b"")
        own[:] = own or [name]
        if name != own[0]:
            await Reply.html(403, _BLOCKED).to(send)
        else:
            await app(scope, receive, send)

    return in_front_of(app, answer)


def remembers(app: App, requests: int = 6) -> App:
    """A cache that says nothing of itself: the next so many GETs of one caller for one thing get the same answer."""
    kept: dict[tuple[Any, ...], list[Reply]] = {}

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        key = (scope["path"], scope.get("query_string"), *sorted(credentials_of(scope)))
        if scope["method"] == "GET" and kept.get(key):
            await kept[key].pop().to(send)
            return
        reply = await ask(app, scope, receive)
        if scope["method"] == "GET" and reply.status == 200:
            kept[key] = [reply] * requests
        await reply.to(send)

    return in_front_of(app, answer)


def by_path(app: App, *, owned: bool = False) -> App:
    """A cache that says nothing of itself and looks at no query: whoever asks for a path is given its first 200.

    With `owned` at least the headers with the credentials must be the same.
    """
    kept: dict[tuple[Any, ...], Reply] = {}

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        names = (b"authorization", b"cookie", b"x-api-key") if owned else ()
        key = (scope["path"], *(headers.get(name) for name in names))
        if scope["method"] != "GET" or key not in kept:
            reply = await ask(app, scope, receive)
            if scope["method"] != "GET" or reply.status != 200:
                await reply.to(send)
                return
            kept[key] = reply
        await kept[key].to(send)

    return in_front_of(app, answer)


def tears(app: App) -> App:
    """A proxy whose buffer is full now and then: two of four readings of one note are half of it."""
    read: Counter[str] = Counter()

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        reply = await ask(app, scope, receive)
        shown = scope["method"] == "GET" and scope["path"].startswith("/notes/") and reply.status == 200
        read[scope["path"]] += shown
        if shown and read[scope["path"]] % 4 in (3, 0):
            reply = replace(reply, body=reply.body[: len(reply.body) // 2])
        await reply.to(send)

    return in_front_of(app, answer)


def lags(app: App, requests: int = 4) -> App:
    """Reads go to a replica: so many requests after a write, each caller is shown what it was shown last."""
    shown: dict[tuple[Any, ...], Reply] = {}
    numbers, written = itertools.count(), -requests

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal written
        number, key = next(numbers), (scope["path"], *sorted(credentials_of(scope)))
        if scope["method"] != "GET":
            written = number
        elif number - written < requests and key in shown:
            await shown[key].to(send)
            return
        reply = await ask(app, scope, receive)
        if scope["method"] == "GET" and reply.status == 200:
            shown[key] = reply
        await reply.to(send)

    return in_front_of(app, answer)


def worker_down(app: App) -> App:
    """A load balancer with two workers, one of which is dead: every second request is a 502."""
    numbers = itertools.count(1)

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        if next(numbers) % 2:
            await app(scope, receive, send)
        else:
            await Reply.html(502, b"<h1>502 Bad Gateway</h1>", server="lb").to(send)

    return in_front_of(app, answer)


def late(app: App, requests: int = 5, paths: str = "logout|sessions") -> App:
    """Say at once that a login was ended, and end it so many requests later: eventual consistency."""
    waiting: list[tuple[int, Callable[[], Any]]] = []
    numbers = itertools.count(1)

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        number = next(numbers)
        for due, end in [item for item in waiting if item[0] <= number]:
            waiting.remove((due, end))
            await end()
        if (
            scope["method"] in ("POST", "DELETE")
            and re.search(paths, scope["path"])
            and credentials_of(scope)
        ):
            body = await whole_body(receive)
            waiting.append((number + requests, partial(ask, app, scope, replayed(body, receive))))
            await Reply(204).to(send)
            return
        await app(scope, receive, send)

    return in_front_of(app, answer)


def away(app: App, paths: str = "logout") -> App:
    """Who logs out is shown a maintenance page the first time, and the service hears nothing of it."""
    shown: set[str] = set()

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        leaving = scope["method"] == "POST" and re.search(paths, scope["path"])
        who = set(credentials_of(scope)) if leaving else set()
        if who - shown:
            shown.update(who)
            await Reply.html(200, b"<h1>We will be back soon</h1>").to(send)
        else:
            await app(scope, receive, send)

    return in_front_of(app, answer)


def restless(app: App) -> App:
    """Number every answer, in its headers and in its body, and never say two things in the same order."""
    numbers = itertools.count(1)

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        reply, number = await ask(app, scope, receive), next(numbers)
        extra = {
            "request_id": f"req-{number * 7919:08x}",
            "served_at": f"2026-03-01T12:00:{number % 60:02d}Z",
        }
        reply = _reworded(reply, lambda data: _turned({**data, **extra}, number))
        pair = (b"x-request-id", extra["request_id"].encode())
        await replace(reply, headers=(*reply.headers, pair)).to(send)

    return in_front_of(app, answer)


def soft(app: App) -> App:
    """Answer 200 to everything: what went wrong stands in the body, `{"ok": false}`."""

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        reply = await ask(app, scope, receive)
        if reply.status < 400:
            await reply.to(send)
            return
        await Reply.json(200, {"ok": False, "error": f"E{reply.status}"}).to(send)

    return in_front_of(app, answer)


def repeats(app: App, every: int = 5) -> App:
    """A gateway that gives every fifth caller what the one before was answered."""
    numbers = itertools.count(1)
    last: list[Reply] = []

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        if next(numbers) % every or not last:
            last[:] = [await ask(app, scope, receive)]
        await last[0].to(send)

    return in_front_of(app, answer)


def takes_turns(app: App, header: bytes, *, strangers: bool = True) -> App:
    """A load balancer over two instances, which name themselves; without `strangers` one has all that bring nothing."""
    numbers = itertools.count()

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        second = (strangers or credentials_of(scope)) and next(numbers) % 2
        reply = await ask(app, scope, receive)
        await replace(reply, headers=(*reply.headers, (header, b"2" if second else b"1"))).to(send)

    return in_front_of(app, answer)


def other_seeds(app: App) -> App:
    """Two workers of one version: what FastAPI takes from a set is ordered as the hash seed of each process has it."""
    numbers = itertools.count()

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        reply = await ask(app, scope, receive)
        if scope["path"] == "/openapi.json" and next(numbers) % 2:
            reply = replace(reply, body=reply.body.replace(b'"operationId":"', b'"operationId":"second_'))
        await reply.to(send)

    return in_front_of(app, answer)


def blinks(app: App, served: int = 20, refused: int = 3) -> App:
    """Whoever knows credentials is away for three requests now and then: 401 in the application's own words."""
    numbers = itertools.count()
    away = {"error": "invalid_token", "message": "The token is not valid."}

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        if next(numbers) % (served + refused) >= served and credentials_of(scope):
            await Reply.json(401, away, **{"www-authenticate": "Bearer"}).to(send)
        else:
            await app(scope, receive, send)

    return in_front_of(app, answer)


def under_maintenance(app: App, served: int = 30, closed: int = 15) -> App:
    """A page with 503 instead of everything, for fifteen requests in forty-five."""
    numbers = itertools.count()

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        if next(numbers) % (served + closed) < served:
            await app(scope, receive, send)
        else:
            await Reply.html(503, b"<!doctype html><h1>We'll be right back</h1>").to(send)

    return in_front_of(app, answer)


LIARS: Mapping[str, Callable[[App], App]] = {
    "limits_one": limits_one,
    "limits_one_untold": partial(limits_one, retry_after=None),
    "waf_200": partial(waf_on_words, page="200"),
    "waf_403": waf_on_words,
    "waf_json": partial(waf_on_words, page="json"),
    "knows_its_names": knows_its_names,
    "remembers": remembers,
    "by_path": by_path,
    "ignores_query": partial(by_path, owned=True),
    "lags": lags,
    "tears": tears,
    "worker_down": worker_down,
    "late": late,
    "away": away,
    "restless": restless,
    "soft": soft,
    "repeats": repeats,
    "two_versions": partial(takes_turns, header=b"x-app-version"),
    "two_instances": partial(takes_turns, header=b"x-served-by"),
    "other_seeds": other_seeds,
    "blinks": blinks,
    "under_maintenance": under_maintenance,
    "one_for_strangers": partial(takes_turns, header=b"x-served-by", strangers=False),
}


def _named(body: bytes) -> set[str]:
    """The addresses in a body: whose login or registration it is."""
    return {
        found.decode().lower().replace("%40", "@")
        for found in re.findall(rb"[\w.+-]{1,60}(?:@|%40)[\w.-]{1,60}", body[:2_000])
    }


def _reworded(reply: Reply, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Reply:
    try:
        data = json.loads(reply.body)
    except ValueError:
        return reply
    if not isinstance(data, dict):
        return reply
    return replace(reply, body=json.dumps(change(data)).encode())


def _turned(data: dict[str, Any], by: int) -> dict[str, Any]:
    pairs = list(data.items())
    at = by % len(pairs)
    return dict(pairs[at:] + pairs[:at])
