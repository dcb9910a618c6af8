"""From settings to a finished run: opens the target, discovers it, runs the checks, cleans up."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import platform
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_conformance import catalog, concluding, gate
from auth_conformance.acceptance import Accepted, accept, given
from auth_conformance.clock import Clock
from auth_conformance.discovery import discover
from auth_conformance.discovery.application import load_app, said
from auth_conformance.discovery.sampling import build_request
from auth_conformance.model import Access, Result, Run, Severity, TargetSummary
from auth_conformance.probe import Scene
from auth_conformance.runner import run_all
from auth_conformance.settings import ConfigurationError, Settings
from auth_conformance.transports.asgi import BASE_URL, AsgiTransport, LifespanFailedError
from auth_conformance.transports.heap import share
from auth_conformance.transports.http import HttpTransport
from auth_conformance.transports.loopback import is_loopback
from auth_conformance.transports.mailbox import Lookup, Mailbox
from auth_conformance.transports.recorder import METER, BudgetExceededError, Recorder
from auth_conformance.transports.redaction import Redactor
from auth_conformance.transports.second import SecondProcessError, second_process
from auth_conformance.transports.websocket import AsgiSockets, Opener, WireSockets
from auth_conformance.transports.wire import NoWire, WireTransport, WireUnavailableError, serve_app

if TYPE_CHECKING:
    from auth_conformance.sdk import Check
    from auth_conformance.target import Operation, Target
    from auth_conformance.transports.message import HttpRequest, Transport

# Requests per second towards somebody else's machine, unless told otherwise (checklist §1.6).
REMOTE_RATE = 5.0
# Who pressed Ctrl-C waits no longer than this for the accounts of the run to be deleted, in seconds.
CLEANING_UP = 5.0
# So many objects that checks have left are deleted at the end.
MOST_LEFT = 200
# Most requests of a run, unless told otherwise: without the checks that lock, delete or flood, and with them.
USUAL, LARGEST = 3_000, 15_000
# What each operation beyond ten adds to that, up to so many: some checks call all of them.
PER_OPERATION, FEW, MANY = 8, 10, 160


def version() -> str:
    """The version of the installed distribution."""
    try:
        return importlib.metadata.version("fastapi-auth-conformance")
    except importlib.metadata.PackageNotFoundError:
        return "0+unknown"


def versions() -> tuple[tuple[str, str], ...]:
    """The versions that a reader of the report needs to reproduce the run."""
    found = [("python", platform.python_version()), ("fastapi-auth-conformance", version())]
    for name in ("fastapi", "starlette", "httpx", "PyJWT", "pytest"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append((name, importlib.metadata.version(name)))
    return tuple(sorted(found))


@dataclass(slots=True)
class Opened:
    """A target that is open: what checks share, and when it was opened."""

    scene: Scene
    settings: Settings
    started: datetime


@contextlib.asynccontextmanager
async def opened(
    settings: Settings, *, app: object | None = None, mailbox: Lookup | None = None
) -> AsyncIterator[Opened]:
    """Open and discover the target; clean up and close at the end.

    `app` is an application object, used instead of `settings.app`; `mailbox` returns the last message
    to an address, used instead of `settings.mailbox`. Raises ConfigurationError when there is
    no target or it cannot be used. When the task is cancelled (Ctrl-C), cleaning up takes five seconds at most.
    """
    started = datetime.now(UTC)
    agent = f"auth-conformance/{version()}"
    settings.insist_on_variables()
    transport: Transport
    wire: Transport | None = None
    if app is None and settings.app is not None:
        app = load_app(settings.app, settings.app_dir)
    if app is not None:
        kind, address = "app", settings.app or "application"
        share()
        transport = AsgiTransport(app, timeout=settings.timeout, agent=agent)  # type: ignore[arg-type] # any ASGI app
        rate = settings.rate
    elif settings.url is not None:
        kind, address = "url", settings.url.rstrip("/")
        check_url(address)
        transport = HttpTransport(address, timeout=settings.timeout, verify=settings.trust, agent=agent)
        rate = settings.rate or (None if is_loopback(address) else REMOTE_RATE)
    else:
        raise ConfigurationError(
            "No target: give a URL, an application as module:app, or set url or app in the configuration."
        )
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(transport.close)
        if isinstance(transport, AsgiTransport):
            try:
                await transport.start()
            except LifespanFailedError as error:
                reason = said(error.__cause__) if error.__cause__ is not None else str(error).rstrip(".")
                raise ConfigurationError(f"{address} refused to start: {reason}.") from None
        disruptive = settings.allow_disruptive or kind == "app"
        recorder = Recorder(
            transport,
            Redactor(),
            budget=settings.budget or (LARGEST if disruptive else USUAL),
            rate=rate,
            clock=Clock(movable=kind == "app"),
        )
        run_id = secrets.token_hex(3)
        try:
            target = await discover(
                recorder,
                settings,
                kind=kind,
                address=address,
                app=app,
                run_id=run_id,
                mailbox=Mailbox(mailbox) if mailbox is not None else None,
            )
        except BudgetExceededError as error:
            raise ConfigurationError(f"Getting to know the target took too much: {error}.") from None
        recorder.budget += _more_for(target, settings)

        opening = asyncio.Lock()

        async def open_wire() -> Transport:
            nonlocal wire
            async with opening:
                wire = wire or await _wire(stack, transport, address, settings, agent)
            return wire

        async def open_sockets() -> Opener:
            return _sockets(transport, address, settings, agent)

        async def open_second(environment: Mapping[str, str]) -> tuple[Transport | None, str]:
            return await _second(stack, target, settings, environment, agent)

        scene = Scene(
            target,
            recorder,
            run_id,
            seed=settings.seed,
            patience=settings.patience,
            allow_disruptive=disruptive,
            level=settings.level,
            wire=open_wire,
            second=open_second,
            sockets=open_sockets,
            origin=_origin(BASE_URL if kind == "app" else address),
            sampler=build_request,
            app=app,
            ca_file=settings.ca_file,
        )
        async with _cleaned_up(scene):
            yield Opened(scene, settings, started)


def _more_for(target: Target, settings: Settings) -> int:
    """How many requests the size of the service adds to the budget, where nobody has set it."""
    return 0 if settings.budget else PER_OPERATION * max(0, min(len(target.operations), MANY) - FEW)


@contextlib.asynccontextmanager
async def _cleaned_up(scene: Scene) -> AsyncIterator[None]:
    """Clean up at the end of the block; in a hurry if that was cancelled."""
    patience: float | None = None
    try:
        yield
    except asyncio.CancelledError:
        patience = CLEANING_UP
        raise
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await clean_up(scene)


async def _wire(
    stack: contextlib.AsyncExitStack, transport: Transport, address: str, settings: Settings, agent: str
) -> Transport:
    if not isinstance(transport, AsgiTransport):
        return WireTransport(address, timeout=settings.timeout, verify=settings.trust, agent=agent)
    try:
        served = await stack.enter_async_context(serve_app(transport.app, state=transport.state))
    except WireUnavailableError as error:
        return NoWire(str(error))
    # The same Host as in process: the application may know its own name.
    return WireTransport(served.url, timeout=settings.timeout, agent=agent, host=urlsplit(BASE_URL).netloc)


def _sockets(transport: Transport, address: str, settings: Settings, agent: str) -> Opener:
    if isinstance(transport, AsgiTransport):
        return AsgiSockets(transport.app, state=transport.state, host=urlsplit(BASE_URL).netloc)
    return WireSockets(WireTransport(address, timeout=settings.timeout, verify=settings.trust, agent=agent))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


async def _second(
    stack: contextlib.AsyncExitStack,
    target: Target,
    settings: Settings,
    environment: Mapping[str, str],
    agent: str,
) -> tuple[Transport | None, str]:
    """Open another process of the service: a replica by its URL, or one that is started for this."""
    if target.replica is not None and not environment:
        check_url(target.replica)
        return HttpTransport(
            target.replica, timeout=settings.timeout, verify=settings.trust, agent=agent
        ), "the replica"
    if target.restart is None:
        return None, "no other process of this service is known"
    try:
        url = await stack.enter_async_context(second_process(target.restart, settings.app_dir, environment))
    except SecondProcessError as error:
        return None, f"a second process of {target.restart} did not start: {error}"
    return HttpTransport(url, timeout=max(settings.timeout, 10.0), agent=agent), "a new process"


def check_url(url: str) -> None:
    """Raises ConfigurationError for what is no http(s) URL, or has credentials in it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{url} is not a URL: it must begin with http:// or https://.")
    if parts.username or parts.password:
        raise ConfigurationError(
            "The URL holds a user name or password: credentials stand in the configuration, "
            "by the name of an environment variable."
        )


async def clean_up(scene: Scene) -> None:
    """Delete the objects that checks have left, what they stood in, and the accounts of the run, where it may."""
    target, send = scene.target, scene.recorder.send
    METER.set(None)
    with contextlib.suppress(BudgetExceededError):
        await _take_away(scene)
        for operation, values, credential in reversed(scene.made_parents):
            request = operation.request(values).with_headers(*credential.headers)
            await send(request.with_query(*credential.query), label="clean up: delete what objects stood in")
    if target.delete_account is None:
        return
    # By label: the account may have another password by now, and is the user's all the same.
    declared = {account.label for account in target.expendables()}
    ours = [made for made in scene.made_accounts if made[0].label not in declared]
    login = next(iter(target.logins), None)
    with contextlib.suppress(BudgetExceededError):
        for label, account in target.accounts.items():
            # What the user declared as expendable may be locked, and is still the user's.
            if (
                label in ("a", "b")
                and account.expendable
                and account.password is not None
                and login is not None
            ):
                sent = await send(login.request(account.username, account.password), label="clean up: log in")
                ours.append((account, login.read(sent.reply, account.label)))
        for account, held in ours:
            if held is not None:
                request = target.delete_account.request(account).with_headers(*held.headers)
                await send(request.with_query(*held.query), label="clean up: delete an account of this run")


async def _take_away(scene: Scene) -> None:
    """Delete the objects that checks have left; where its maker's login is over, with a new one."""
    refused = await _deleted(scene, list(reversed(scene.left.values()))[:MOST_LEFT])
    login = next(iter(scene.target.logins), None)
    for label in ("a", "b", "admin"):
        account = scene.target.accounts.get(label)
        if not refused or login is None or account is None or account.password is None:
            continue
        request = login.request(account.username, account.password)
        sent = await scene.recorder.send(request, label="clean up: log in")
        credential = login.read(sent.reply, label)
        if credential is not None:
            bare = [
                (name, replace(item, headers=tuple(_of_body(item.headers)), query=()))
                for name, item in refused
            ]
            refused = await _deleted(
                scene,
                [
                    (name, item.with_headers(*credential.headers).with_query(*credential.query))
                    for name, item in bare
                ],
            )


def _of_body(headers: Sequence[tuple[str, str | bytes]]) -> Iterator[tuple[str, str | bytes]]:
    return (pair for pair in headers if pair[0].lower() == "content-type")


async def _deleted(
    scene: Scene, requests: Sequence[tuple[str, HttpRequest]]
) -> list[tuple[str, HttpRequest]]:
    """Send what deletes, each with the name of its operation; return what was refused."""
    refused = []
    for name, request in requests:
        sent = await scene.recorder.send(
            request, label="clean up: delete an object of this run", operation=name
        )
        if sent.reply.status in (401, 403):
            refused.append((name, request))
    return refused


def summary(target: Target, seen: Mapping[tuple[str, str], set[int]] | None = None) -> TargetSummary:
    """What reports say about the target; `seen` are the statuses by operation and caller."""
    declared = {operation.name: _declared(operation) for operation in target.operations}
    return TargetSummary(
        kind=target.kind,
        address=target.address,
        title=target.title,
        facts=target.facts,
        operations=tuple(declared),
        access=tuple(
            Access(operation, declared.get(operation, ""), caller, _answer(statuses))
            for (operation, caller), statuses in sorted((seen or {}).items())
        ),
    )


def _declared(operation: Operation) -> str:
    if operation.security is None:
        return ""
    names = [" and ".join(sorted(alternative)) or "nobody" for alternative in operation.security]
    return " or ".join(names) or "open"


def _answer(statuses: set[int]) -> str:
    if any(status < 300 for status in statuses):
        return "let in"
    return "refused" if statuses <= {401, 403} else "unclear"


def finished(
    target: TargetSummary,
    results: Sequence[Result],
    settings: Settings,
    *,
    run_id: str,
    started: datetime,
    requests: int,
    command: str = "",
    interrupted: bool = False,
) -> Run:
    """The run as a value, decided. Raises ConfigurationError when waivers or baseline cannot be read."""
    accepted = acceptances(settings)
    standing = accept(results, accepted.waivers, accepted.baseline.findings)
    stranger = accepted.baseline.stranger(target)
    decision = gate.decide(
        results,
        fail_on=Severity(settings.fail_on),
        strict=settings.strict,
        allow_inconclusive=settings.allow_inconclusive,
        interrupted=interrupted,
        acceptances=standing,
        new_only=accepted.new_only,
    )
    return Run(
        run_id=run_id,
        version=version(),
        started=started,
        finished=datetime.now(UTC),
        target=target,
        level=settings.level,
        results=tuple(sorted(results, key=lambda result: result.rule.code)),
        decision=decision,
        requests=requests,
        command=command,
        interrupted=interrupted,
        versions=versions(),
        acceptances=standing,
        notes=(
            *filter(None, [concluding.gone(results)]),
            *([f"The baseline was written for another service: {stranger}."] if stranger else []),
            *(
                f"{code} counts as {item.severity}: {item.because}"
                for code, item in sorted(settings.restate.items())
            ),
        ),
        baselined=accepted.baselined,
    )


def acceptances(settings: Settings) -> Accepted:
    """The waivers and the baseline that the settings name. Raises ConfigurationError."""
    return given(
        settings.waivers,
        settings.baseline,
        new_only=settings.new_only,
        folder=Path.cwd(),
        codes=catalog.load(),
    )


async def conduct(
    settings: Settings,
    checks: Sequence[Check],
    *,
    app: object | None = None,
    command: str = "",
    on_target: Callable[[Target], None] = lambda _: None,
    on_result: Callable[[Result], None] = lambda _: None,
    then: Callable[[Scene, Callable[[Result], None]], Awaitable[None]] | None = None,
) -> Run:
    """Open, run, close, decide. Raises ConfigurationError when the target cannot be used.

    `then` goes on with the open target after the checks, and delivers further results.

    When the task is cancelled (Ctrl-C), what is decided by then is reported, and the run says so.
    """
    results: list[Result] = []
    interrupted = False
    acceptances(settings)  # what cannot be read is told before the run, not after it

    def keep(result: Result) -> None:
        results.append(result)
        on_result(result)

    door: Opened | None = None
    try:
        async with opened(settings, app=app) as door:
            scene = door.scene
            on_target(scene.target)
            await run_all(checks, scene, keep)
            if then is not None:
                await then(scene, keep)
    except asyncio.CancelledError:
        # Before the target was known there is nothing to report.
        if door is None:
            raise
        scene, interrupted = door.scene, True
    return finished(
        summary(scene.target, scene.seen),
        results,
        settings,
        run_id=scene.run_id,
        started=door.started,
        requests=scene.recorder.sent,
        command=command,
        interrupted=interrupted,
    )
