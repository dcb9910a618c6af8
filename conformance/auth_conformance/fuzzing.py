"""The door to `auth_fuzz`, which is imported when a run asks for it and never before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.asking import Scout
from auth_conformance.discovery.document import base_paths, read_document
from auth_conformance.discovery.locating import find_documents
from auth_conformance.loop import run_to_end
from auth_conformance.model import Result, Rule
from auth_conformance.settings import ConfigurationError, Settings
from auth_conformance.transports.asgi import AsgiTransport
from auth_conformance.transports.http import HttpTransport
from auth_conformance.transports.recorder import Recorder
from auth_conformance.transports.redaction import Redactor

if TYPE_CHECKING:
    from auth_conformance.probe import Scene
    from auth_conformance.transports.message import Transport

FAMILY = "FUZ"
Then = Callable[["Scene", Callable[[Result], None]], Awaitable[None]]


def rules() -> dict[str, Rule]:
    """The rules that fuzzing decides, by code."""
    from auth_fuzz.rules import RULES

    return {rule.code: rule for rule in RULES}


def without_ours(codes: Iterable[str]) -> list[str]:
    """The codes that are checks' and not fuzzing's."""
    return [code for code in codes if not code.upper().startswith(FAMILY)]


def wanted(settings: Settings) -> Callable[[Result], bool]:
    """Whether `only`, `ignore` and `level` let a result through."""
    only = {code.upper() for code in settings.only if code.upper().startswith(FAMILY)}
    ignored = {code.upper() for code in settings.ignore}

    def fits(result: Result) -> bool:
        names = {result.rule.code, FAMILY}
        return (
            (not settings.only or bool(names & only))
            and not names & ignored
            and result.rule.level <= settings.level
        )

    return fits


def searching(settings: Settings, *, on_progress: Callable[[str], None] = lambda _: None) -> Then:
    """What `conduct` does after the checks: one result per rule, also when it is interrupted.

    Raises ConfigurationError for a budget that cannot be read.
    """
    from auth_fuzz import Budget, fuzz
    from auth_fuzz.ledger import combined

    budget = Budget(seconds=read_budget(settings))
    fits = wanted(settings)

    async def then(scene: Scene, deliver: Callable[[Result], None]) -> None:
        gathered: dict[str, list[Result]] = {}

        def keep(_: str, results: list[Result]) -> None:
            for result in results:
                gathered.setdefault(result.rule.code, []).append(result)

        try:
            await fuzz(scene, budget, settings.fuzz_seed, on_part=keep, on_progress=on_progress)
        finally:
            for _, results in sorted(gathered.items()):
                result = combined(results)
                if fits(result):
                    deliver(result)

    return then


def read_budget(settings: Settings) -> float:
    """The seconds of `fuzz_budget`. Raises ConfigurationError."""
    from auth_fuzz import seconds

    try:
        return seconds(settings.fuzz_budget)
    except ValueError as error:
        raise ConfigurationError(f"Option fuzz_budget: {error}.") from None


def operations(settings: Settings, app: object | None) -> list[str]:
    """The names of the documented operations: all that a collection of tests may ask a target for."""
    return run_to_end(_operations(settings, app))


async def _operations(settings: Settings, app: object | None) -> list[str]:
    agent = "auth-conformance"
    transport: Transport
    if app is not None:
        transport, address, origin, prefix = AsgiTransport(app, agent=agent), "", "https://testserver", ""  # type: ignore[arg-type] # any ASGI app
    else:
        address = (settings.url or "").rstrip("/")
        transport = HttpTransport(address, timeout=settings.timeout, verify=settings.trust, agent=agent)
        scheme, _, rest = address.partition("://")
        host, slash, path = rest.partition("/")
        origin, prefix = f"{scheme}://{host}", slash + path
    try:
        scout = Scout(Recorder(transport, Redactor()), settings, "collection")
        found = (await find_documents(scout, settings.openapi, address, app)).found
    finally:
        await transport.close()
    names: dict[str, None] = {}
    for item in found:
        bases = base_paths(item.raw, origin, prefix, item.path or "/")
        base = item.prefix or bases[0]
        names |= dict.fromkeys(operation.name for operation in read_document(item.raw, base).operations)
    return list(names)


def parts(settings: Settings, app: object | None) -> list[str]:
    """The names of the searches of a run: one per operation, and the machines."""
    from auth_fuzz import names

    return names(operations(settings, app))


def merged(results: list[Result]) -> Result:
    """Results of one rule from several searches as one."""
    from auth_fuzz.ledger import combined

    return combined(results)


def parted(settings: Settings, only: list[str], on_part: Callable[[str, list[Result]], None]) -> Any:
    """A run of these searches only; each hands over its own results when it ends."""
    from auth_fuzz import Budget, fuzz

    budget = Budget(seconds=read_budget(settings))
    fits = wanted(settings)

    async def then(scene: Scene, _: Callable[[Result], None]) -> None:
        await fuzz(
            scene,
            budget,
            settings.fuzz_seed,
            only=only,
            on_part=lambda name, results: on_part(name, [item for item in results if fits(item)]),
        )

    return then
