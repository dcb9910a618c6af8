"""Checks as pytest items, by two doors: a collector on the ini-file, and `Suite` in a user's module."""

from __future__ import annotations

import itertools
import shlex
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy
import pytest

from auth_conformance import catalog, fuzzing
from auth_conformance.acceptance import BASELINE, WAIVERS
from auth_conformance.conductor import Conductor
from auth_conformance.console import printable
from auth_conformance.discovery.application import load_app
from auth_conformance.document import from_document, to_document
from auth_conformance.engine import acceptances, finished
from auth_conformance.gate import UNUSABLE
from auth_conformance.model import (
    Exchange,
    Failed,
    Result,
    Run,
    Skipped,
    TargetSummary,
)
from auth_conformance.notation import Given
from auth_conformance.secret import Secret, without_secrets
from auth_conformance.settings import ConfigurationError, Settings, load
from auth_conformance.speaking import (
    BrokenRuleError,
    OurBugError,
    UndecidedError,
    properties,
    speak,
    standing,
)
from auth_conformance.tables import AccountSettings

if TYPE_CHECKING:
    from auth_conformance.sdk import Check
    from auth_conformance.suite import Suite

# So often, after a pause of so many seconds, what parses source is done again.
_AGAIN = 20
_PAUSE = 0.25
# Flags that have another name in the configuration.
_FLAGS = {
    "auth_url": "url",
    "auth_app": "app",
    "auth_users": "users_file",
    "auth_app_dir": "app_dir",
    "auth_openapi": "openapi",
    "auth_source": "source",
    "auth_db": "db",
    "auth_profile": "profile",
    "auth_level": "level",
    "auth_only": "only",
    "auth_ignore": "ignore",
    "auth_fail_on": "fail_on",
    "auth_fuzz": "fuzz",
    "auth_fuzz_budget": "fuzz_budget",
    "auth_fuzz_seed": "fuzz_seed",
    "auth_strict": "strict",
    "auth_allow_inconclusive": "allow_inconclusive",
    "auth_allow_disruptive": "allow_disruptive",
    "auth_waivers": "waivers",
    "auth_baseline": "baseline",
    "auth_new_only": "new_only",
}


def hooks_of(node: pytest.Item | pytest.Collector) -> pluggy.HookRelay:
    """Pytest finds the conftests of a path by its folder, and takes a file that is not there for one."""
    return node.session.gethookproxy(node.path if node.path.exists() else node.path.parent)


class CheckItem(pytest.Function):
    """One check. A function item, so that fixtures of the user's conftest apply."""

    check: Check

    @property
    def ihook(self) -> pluggy.HookRelay:
        """The hooks that apply here, those of the user's conftest included."""
        return hooks_of(self)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]  # pytest's own is narrower here
        """Findings in their own words; only our bugs have tracebacks."""
        if isinstance(excinfo.value, (BrokenRuleError, UndecidedError, OurBugError, ConfigurationError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The anchor file, a line (pytest insists on one), and the item's name."""
        return self.path, 0, self.name


class FuzzItem(CheckItem):
    """One search of `auth_fuzz`: an operation, a grammar or a machine."""

    part: str


class CheckCollector(pytest.File):
    """The suite hung on the ini-file: its items can be named on the command line."""

    obj = None
    suite: Suite | None = None

    @property
    def ihook(self) -> pluggy.HookRelay:
        """The hooks that apply here, those of the user's conftest included."""
        return hooks_of(self)

    def collect(self) -> Iterator[CheckItem]:
        """One item per selected check, in order of execution; none where a module's `Suite` is this very run."""
        plugin: Collection = self.config.pluginmanager.get_plugin("auth_conformance.collection")  # type: ignore[assignment]
        if not plugin.stands_in_a_module():
            yield from plugin.items(self, self.suite)


class SuiteCollector(pytest.Collector):
    """`test_auth = Suite()` in a module."""

    obj = None
    suite: Suite

    def collect(self) -> Iterator[CheckItem]:
        """As CheckCollector; fixtures of the module's own conftest apply."""
        plugin: Collection = self.config.pluginmanager.get_plugin("auth_conformance.collection")  # type: ignore[assignment]
        yield from plugin.items(self, self.suite)


class Collection:
    """Collects, conducts and reports. One per pytest process; reports are written by the controller."""

    def __init__(self, config: pytest.Config, asked_for: Callable[[pytest.Config], bool]) -> None:
        self.config = config
        self._asked_for = asked_for
        self.catalogue = catalog.load()
        self.conductors: dict[int, Conductor] = {}
        self.results: dict[str, Result] = {}
        self.target = TargetSummary("unknown", "")
        self.requests = 0
        self.started = datetime.now(UTC)
        self.run_id = ""
        self.broken_off = False
        self.untold: list[str] = []
        self._suites: list[Suite] = []
        self._numbers = itertools.count(1)

    # Collection.

    def settings(self, suite: Suite | None = None) -> Settings:
        """The configuration for this session, or for one `Suite`. Raises UsageError."""
        option = self.config.getoption
        flags: dict[str, Any] = {name: option(flag) for flag, name in _FLAGS.items()}
        if not (flags["url"] or flags["app"]):
            flags |= {name: self.config.getini(f"auth_{name}") or None for name in ("url", "app")}
        if suite is not None:
            if suite.url or suite.app is not None:
                flags |= {"url": suite.url, "app": suite.app if isinstance(suite.app, str) else None}
            flags["only"] = list(suite.only) or flags["only"]
            flags["ignore"] = list(suite.ignore) or flags["ignore"]
            flags["level"] = suite.level or flags["level"]
        if flags["app"] is not None:
            flags["app_dir"] = flags["app_dir"] or str(self.config.rootpath)
        if option("auth_no_four_file"):
            flags["policy"] = {"four_file": False}
        if name := option("auth_database_env"):
            flags["database"] = {"env": name}
        if name := option("auth_signing_key_env"):
            flags["signing"] = {"key": {"env": name}}
        for name, usual in (("waivers", WAIVERS), ("baseline", BASELINE)):
            # Beside the configuration, wherever pytest was started.
            path = self.config.rootpath / (flags[name] or usual)
            wanted = flags[name] is not None or ((name == "waivers" or flags["new_only"]) and path.is_file())
            flags[name] = str(path) if wanted else None
        file = option("auth_config")
        try:
            return load(flags, file=Path(file) if file else None, start=self.config.rootpath)
        except ConfigurationError as error:
            raise pytest.UsageError(str(error)) from None

    def items(self, parent: pytest.Collector, suite: Suite | None) -> Iterator[CheckItem]:
        """The selected checks as items below `parent`."""
        settings = self.settings(suite)
        only, ignore = settings.only, settings.ignore
        if settings.fuzz:
            only, ignore = fuzzing.without_ours(only), fuzzing.without_ours(ignore)
        try:
            selected = catalog.select(
                self.catalogue, level=settings.level, only=only, ignore=ignore, restate=settings.restated()
            )
            # Read again at the end; what cannot be read is told before anything runs.
            acceptances(settings)
        except (catalog.UnknownCodeError, ConfigurationError) as error:
            raise pytest.UsageError(str(error)) from None
        if settings.only and not only:
            selected = []
        for check in selected:
            item: CheckItem = CheckItem.from_parent(
                parent,
                name=f"{check.rule.code} {check.rule.name}",
                callobj=_decide,
            )
            item.check = check
            item.add_marker("auth_conformance")
            yield item
        if settings.fuzz:
            yield from self._searches(parent, suite, settings)

    def _searches(
        self, parent: pytest.Collector, suite: Suite | None, settings: Settings
    ) -> Iterator[FuzzItem]:
        """One item per search. The target is asked for its document only."""
        app = suite.app if suite is not None and not isinstance(suite.app, str) else None
        if app is None and settings.app is not None:
            app = load_app(settings.app, settings.app_dir)
        if app is None and settings.url is None:
            return
        try:
            names = fuzzing.parts(settings, app)
        except ConfigurationError as error:
            raise pytest.UsageError(str(error)) from None
        for part in names:
            shown = part.replace("[", "(").replace("]", ")").replace("::", ":")
            item: FuzzItem = FuzzItem.from_parent(parent, name=f"FUZZ {shown}", callobj=_decide)
            item.part = part
            item.add_marker("auth_conformance")
            yield item

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        """Add our node once, behind the user's own tree."""
        report: Any = yield
        if not isinstance(collector, pytest.Session) or not report.passed or not self._wanted():
            return report
        if any(isinstance(node, CheckCollector) for node in report.result):
            return report
        anchor = self.config.inipath or self.config.rootpath / "auth-conformance.toml"
        # A file, never the directory: a node on the root directory breaks the tree of VS Code's test explorer.
        node = CheckCollector.from_parent(collector, name=anchor.name, path=anchor, nodeid=anchor.name)
        report.result = [*report.result, node]
        return report

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> CheckCollector | None:
        """Make `pytest "pyproject.toml::TOK101 …"` work."""
        if file_path == self.config.inipath and parent.session.isinitpath(file_path):
            return CheckCollector.from_parent(parent, path=file_path)
        return None

    def _wanted(self) -> bool:
        if self.config.args_source is self.config.ArgsSource.ARGS and not (
            self.config.getoption("auth_url") or self.config.getoption("auth_app")
        ):
            return False
        return self._asked_for(self.config)

    def suite_in_module(self, collector: pytest.Collector, name: str, suite: Suite) -> SuiteCollector:
        """The collector for a `Suite` in a user's module."""
        node: SuiteCollector = SuiteCollector.from_parent(collector, name=name)
        node.suite = suite
        self._suites.append(suite)
        return node

    def stands_in_a_module(self) -> bool:
        """Whether the file configures what a `Suite` runs: it names that target, or none. Our node is collected last.

        The accounts of a `Suite` stand in the file, too: it is no wish for a second run. A flag is.
        """
        if any(self.config.getoption(f"auth_{name}") for name in ("url", "app", "config")):
            return False
        if not self._suites:
            return False
        own = self.settings()
        if not (own.url or own.app):
            return True
        named = [suite for suite in self._suites if suite.app is None or isinstance(suite.app, str)]
        return any((own.url, own.app) == (its.url, its.app) for its in map(self.settings, named))

    # Reporting.

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        """Put the result on the report as plain data: under xdist it travels to the controller."""
        report: Any = yield
        if isinstance(item, CheckItem) and call.when == "call":
            results = item.stash.get(RESULTS, [])
            if results:
                report.auth_run = to_document(self._run(results))
            for result in results if not isinstance(item, FuzzItem) else ():
                # JUnit reads the properties of the item's last report, which is that of its teardown.
                item.user_properties += properties(result)
                report.user_properties += properties(result)
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Gather results where reports are written."""
        data = getattr(report, "auth_run", None)
        if data is None and report.when == "???":
            self.broken_off = True  # a worker of xdist died, and with it the verdict that it owed
        if data is None or hasattr(self.config, "workerinput"):
            return
        run = from_document(data)
        self.target = run.target
        self.requests += sum(result.requests for result in run.results)
        self.run_id = run.run_id
        for result in run.results:
            self._keep(self._renumbered(result))

    def _keep(self, result: Result) -> None:
        earlier = self.results.get(result.rule.code)
        if result.rule.family == fuzzing.FAMILY:
            known = [earlier] if earlier is not None else []
            self.results[result.rule.code] = fuzzing.merged([*known, result])
            return
        # A rerun must not turn a security finding into a pass.
        if (
            earlier is not None
            and isinstance(earlier.verdict, Failed)
            and not isinstance(result.verdict, Failed)
        ):
            return
        self.results[result.rule.code] = result

    def _renumbered(self, result: Result) -> Result:
        numbers: dict[int, int] = {}

        def new(exchanges: tuple[Exchange, ...]) -> tuple[Exchange, ...]:
            return tuple(
                replace(item, number=numbers.setdefault(item.number, next(self._numbers)))
                for item in exchanges
            )

        verdict = replace(result.verdict, evidence=new(result.verdict.evidence))
        if isinstance(verdict, Failed):
            violations = tuple(replace(item, evidence=new(item.evidence)) for item in verdict.violations)
            verdict = replace(verdict, violations=violations)
        return replace(result, verdict=verdict, origins=new(result.origins))

    def _run(self, results: list[Result], *, interrupted: bool = False) -> Run:
        try:
            settings = self.settings()
        except pytest.UsageError:
            settings = Settings()
        conductor = next(iter(self.conductors.values()), None)
        return finished(
            (conductor.target if conductor is not None else None) or self.target,
            results,
            settings,
            run_id=(conductor.run_id if conductor is not None else "") or self.run_id,
            started=self.started,
            requests=max((conductor.requests for conductor in self.conductors.values()), default=0)
            or self.requests,
            command=shlex.join(["pytest", *without_secrets(map(str, self.config.invocation_params.args))]),
            interrupted=interrupted,
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Stop the engine, and write the reports on the controller."""
        for conductor in self.conductors.values():
            conductor.stop()
        if exitstatus == pytest.ExitCode.INTERRUPTED and not hasattr(self.config, "workerinput"):
            self._tell_untold()
        stopped = exitstatus == pytest.ExitCode.INTERRUPTED or session.shouldstop or session.shouldfail
        self.broken_off = self.broken_off or bool(stopped)
        if hasattr(self.config, "workerinput") or not self._has_something_to_tell():
            return
        run = self._run(list(self.results.values()), interrupted=self.broken_off)
        _patiently(lambda: self.config.hook.pytest_auth_report_write(config=self.config, run=run))
        lacking = any(isinstance(item.verdict, Skipped) and item.verdict.applicable for item in run.results)
        if exitstatus == pytest.ExitCode.OK and run.decision.exit_code == UNUSABLE and lacking:
            # Only skipped items are a success to pytest. That nothing was tested is none.
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _has_something_to_tell(self) -> bool:
        """Whether there are results, or a run that was broken off before the first: that it is incomplete is told."""
        return bool(self.results) or (self.broken_off and bool(self.conductors))

    @pytest.hookimpl(wrapper=True)
    def pytest_keyboard_interrupt(
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> Generator[None, Any, Any]:
        """Stop the engine before pytest reads the source for its traceback.

        Up to CPython 3.11.7 two threads that parse source at once disturb each other's count of depth, and one gets
        a SystemError (python/cpython#106905). A search may parse: it is waited for, and pytest asked again.
        """
        for conductor in self.conductors.values():
            conductor.stop()
        try:
            return (yield)
        except SystemError:
            reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
            return _patiently(lambda: reporter.pytest_keyboard_interrupt(excinfo)) if reporter else None

    def _tell_untold(self) -> None:
        """Keep what was decided before Ctrl-C and no item had come to ask for."""
        for conductor in self.conductors.values():
            for result in conductor.untold():
                self.untold.append(result.rule.code)
                self._keep(self._renumbered(result))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """One sentence: what was decided, and how much could not be."""
        if not self._has_something_to_tell():
            return
        run: Run = self._run(list(self.results.values()), interrupted=self.broken_off)
        decision = run.decision
        terminalreporter.section(f"authentication: {decision.word}", sep="-")
        for code in dict.fromkeys(self.untold):
            # No item has spoken of these: Ctrl-C came before its turn.
            for finding in self.results[code].findings:
                title = self.results[code].rule.title
                terminalreporter.line(f"{code} {finding.severity.value} {title}: {finding.message}")
        for note in run.notes:
            terminalreporter.line(printable(f"note: {note}"))
        terminalreporter.line(decision.sentence)


def _patiently(work: Callable[[], Any]) -> Any:
    """Do what parses source; it may break while another thread does so, too (see `loop`), and is done again."""
    for _ in range(_AGAIN):
        try:
            return work()
        except SystemError:
            time.sleep(_PAUSE)
    return work()


RESULTS = pytest.StashKey[list[Result]]()


def _decide(request: pytest.FixtureRequest, auth_session: Session) -> None:
    if isinstance(request.node, CheckItem):
        auth_session.decide(request.node)


class Session:
    """The engine as the items see it: started at the first question, with everything that was selected."""

    def __init__(
        self,
        collection: Collection,
        session: pytest.Session,
        app: object | None,
        users: Mapping[str, Mapping[str, str]] | None,
        mailbox: Callable[[str], str | None] | None = None,
    ) -> None:
        self._collection = collection
        self._session = session
        self._app = app
        self._users = users
        self._mailbox = mailbox
        self._unusable = ""

    def conductor(self, suite: Suite | None) -> Conductor:
        """The conductor for the ini-file's target, or for one `Suite`. Started once."""
        key = id(suite)
        conductors = self._collection.conductors
        if key not in conductors:
            settings = self._collection.settings(suite)
            if self._users:
                settings = settings.model_copy(update={"accounts": supplied(self._users)})
            app = self._app
            if suite is not None and suite.app is not None and not isinstance(suite.app, str):
                app = suite.app
            conductors[key] = Conductor(settings, app=app, mailbox=self._mailbox)
            searches = [item.part for item in self._items(suite) if isinstance(item, FuzzItem)]
            then = fuzzing.parted(settings, searches, conductors[key].deliver_part) if searches else None
            conductors[key].start(self._selected(suite), searches, then)
        return conductors[key]

    def _items(self, suite: Suite | None) -> list[CheckItem]:
        return [
            item for item in self._session.items if isinstance(item, CheckItem) and suite_of(item) is suite
        ]

    def _selected(self, suite: Suite | None) -> list[Check]:
        mine = [item for item in self._items(suite) if not isinstance(item, FuzzItem)]
        return list({item.check.rule.code: item.check for item in mine}.values())

    def decide(self, item: CheckItem) -> None:
        """Wait for the verdict on the item's check and speak pytest's language about it."""
        if self._unusable:
            pytest.skip(f"Not tested: {self._unusable}")
        try:
            conductor = self.conductor(suite_of(item))
            if isinstance(item, FuzzItem):
                results = conductor.part(item.part)
            else:
                results = [conductor.result(item.check.rule.code)]
        except ConfigurationError as error:
            self._unusable = str(error)
            raise
        item.stash[RESULTS] = results
        settings = self._collection.settings(suite_of(item))
        for result in _telling(results) if isinstance(item, FuzzItem) else results:
            speak(result, settings, standing(result, settings))

    def stop(self) -> None:
        """Close all targets."""
        for conductor in self._collection.conductors.values():
            conductor.stop()


def _telling(results: list[Result]) -> list[Result]:
    """What a search has to say: what failed, else what is unclear, else that nothing could be tested."""
    if not results:
        pytest.skip("Not tested: this operation is left out of fuzzing (the lifecycle machine may play it).")
    for name in ("errored", "failed", "inconclusive"):
        found = [result for result in results if result.name == name]
        if found:
            return sorted(found, key=lambda result: -result.severity.rank)
    return [result for result in results if result.name == "passed"] or results[:1]


def suite_of(item: CheckItem) -> Suite | None:
    """The `Suite` that an item belongs to; None for the collector on the ini-file."""
    return getattr(item.parent, "suite", None)


def supplied(users: Mapping[str, Mapping[str, str]]) -> dict[str, AccountSettings]:
    """Accounts from a fixture or a hook: their secrets are values, which a configuration file may not hold."""
    return {
        label: AccountSettings.model_construct(**_account(label, members)) for label, members in users.items()
    }


def _account(label: str, members: Mapping[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = dict.fromkeys(("password", "token", "key", "cookie"))
    fields |= {"username": "", "role": label if label in {"a", "b", "admin"} else ""}
    for name, value in members.items():
        if name not in fields:
            raise ConfigurationError(f"auth_users: account {label!r} has an unknown member {name!r}.")
        fields[name] = Given(Secret(value)) if name in {"password", "token", "key", "cookie"} else value
    return fields
