"""The pytest plugin: options, and a look whether this run asks for us.

This module is imported by every pytest run of every project in the environment, so it imports nothing but
pytest; everything else is behind `asked_for`.
"""

from __future__ import annotations

import pytest

from auth_conformance import hookspecs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

FILE_NAME = "auth-conformance.toml"
# The name under which the real plugin is registered.
COLLECTION = "auth_conformance.collection"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options; names follow the configuration, with `auth-` before them."""
    group = parser.getgroup("auth-conformance", "conformance of authentication (fastapi-auth-conformance)")
    group.addoption("--auth-url", metavar="URL", help="test the service at this URL")
    group.addoption(
        "--auth-app", metavar="MODULE:APP", help="test this ASGI application (module:app or module:factory())"
    )
    group.addoption(
        "--auth-app-dir",
        metavar="DIR",
        help="where the module of --auth-app is looked for (default: the root directory)",
    )
    group.addoption(
        "--auth-config",
        metavar="FILE",
        help=f"read this configuration (default: {FILE_NAME} or pyproject.toml)",
    )
    group.addoption(
        "--auth-users", metavar="FILE", help="accounts from a Web Fuzzing Commons file (YAML, JSON or TOML)"
    )
    group.addoption(
        "--auth-openapi",
        metavar="PATH",
        help="where the OpenAPI document is: a path of the service, or a file",
    )
    group.addoption(
        "--auth-profile",
        metavar="NAME",
        help="checks, thresholds and severities as data: a name (auth-conformance profiles), or a file",
    )
    group.addoption(
        "--auth-level", type=int, choices=(1, 2, 3), help="highest ASVS level of checks to run (default: 3)"
    )
    group.addoption(
        "--auth-only", action="append", metavar="CODE", help="run this check or family only; may be repeated"
    )
    group.addoption(
        "--auth-ignore",
        action="append",
        metavar="CODE",
        help="leave out this check or family; may be repeated",
    )
    group.addoption(
        "--auth-fail-on",
        choices=("info", "low", "medium", "high", "critical"),
        help="lowest severity that fails (default: low)",
    )
    group.addoption(
        "--auth-fuzz", action="store_true", default=None, help="search for flaws, too (extra: fuzz)"
    )
    group.addoption("--auth-fuzz-budget", metavar="TIME", help="how long to search: 90s, 2m (default: 60s)")
    group.addoption("--auth-fuzz-seed", type=int, metavar="N", help="seed of the search (default: 0)")
    group.addoption(
        "--auth-strict", action="store_true", default=None, help="fail also on what could not be tested"
    )
    group.addoption(
        "--auth-allow-inconclusive", action="store_true", default=None, help="let inconclusive checks through"
    )
    group.addoption(
        "--auth-allow-disruptive",
        action="store_true",
        default=None,
        help="against a URL: also lock, delete and flood (on accounts of our own)",
    )
    group.addoption(
        "--auth-database-env",
        metavar="NAME",
        help="environment variable that holds the URL of the target's database",
    )
    group.addoption(
        "--auth-db",
        metavar="URL",
        help="SQLAlchemy URL of the target's database; one with a password is given by --auth-database-env",
    )
    group.addoption(
        "--auth-source",
        metavar="PATH",
        help="folder with the code of the service (default: where the application was imported from)",
    )
    group.addoption(
        "--auth-no-four-file",
        action="store_true",
        default=None,
        help="leave out the standards of the four-file layout (SRC108 to SRC111)",
    )
    group.addoption(
        "--auth-signing-key-env",
        metavar="NAME",
        help="environment variable that holds the key that signs tokens",
    )
    group.addoption("--auth-waivers", metavar="FILE", help="findings accepted by people")
    group.addoption("--auth-baseline", metavar="FILE", help="findings known from an earlier run")
    group.addoption(
        "--auth-new-only",
        action="store_true",
        default=None,
        help="fail only on findings that the baseline does not know",
    )
    group.addoption("--auth-json", metavar="FILE", help="write the run as JSON")
    group.addoption("--auth-html", metavar="FILE", help="write the HTML report")
    group.addoption("--auth-sarif", metavar="FILE", help="write the findings as SARIF 2.1.0")
    group.addoption("--auth-markdown", metavar="FILE", help="write a summary in Markdown")
    group.addoption(
        "--auth-export-tests", metavar="DIR", help="write one stand-alone pytest file per finding into DIR"
    )
    parser.addini("auth_url", "the service to test (see --auth-url)")
    parser.addini("auth_app", "the application to test (see --auth-app)")


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the hooks that a conftest.py may implement."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and bring in the suite when this run asks for it."""
    config.addinivalue_line("markers", "auth_conformance: a check of fastapi-auth-conformance")
    if asked_for(config):
        activate(config)
    elif config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Controller(config), "auth_conformance.controller")


class Controller:
    """Brings the suite in where pytest-xdist distributes: only workers collect, and with them a module's `Suite`.

    Reports are written here, so the first result that arrives is what asks for them.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Hand the first result over; the suite hears of the others by itself."""
        if getattr(report, "auth_run", None) is None or self._config.pluginmanager.hasplugin(COLLECTION):
            return
        activate(self._config).pytest_runtest_logreport(report)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> object | None:
    """Collect `test_auth = Suite()` in a user's module."""
    kind = type(obj)
    if kind.__module__ != "auth_conformance.suite" or kind.__name__ != "Suite":
        return None
    node: object = activate(collector.config).suite_in_module(collector, name, obj)
    return node


def asked_for(config: pytest.Config) -> bool:
    """Whether a flag, the ini-file or a configuration file asks for the suite.

    A configuration file alone does not when paths were given on the command line: `pytest tests/test_own.py`
    stays the user's quick loop.
    """
    if config.getoption("auth_url") or config.getoption("auth_app") or config.getoption("auth_config"):
        return True
    if config.args_source is config.ArgsSource.ARGS and not _anchored(config):
        return False
    return bool(config.getini("auth_url") or config.getini("auth_app")) or _configured(config)


def _anchored(config: pytest.Config) -> bool:
    # `pytest "pyproject.toml::TOK101 …"` names the file that our items hang on.
    anchor = config.inipath or config.rootpath / FILE_NAME
    return any(argument.split("::")[0].endswith(anchor.name) for argument in config.args)


def _configured(config: pytest.Config) -> bool:
    own: Path = config.rootpath / FILE_NAME
    if own.is_file():
        return True
    project = config.rootpath / "pyproject.toml"
    if config.inipath != project and not project.is_file():
        return False
    return "[tool.auth-conformance" in project.read_text("utf-8", "replace")


def activate(config: pytest.Config) -> Any:
    """Register the real plugin once and return it."""
    plugin = config.pluginmanager.get_plugin(COLLECTION)
    if plugin is None:
        from auth_conformance.collection import Collection  # noqa: PLC0415 - only when asked for

        plugin = Collection(config, asked_for)
        config.pluginmanager.register(plugin, COLLECTION)
        for module in ("auth_conformance.fixtures", "auth_reports.plugin"):
            config.pluginmanager.import_plugin(module)
    return plugin
