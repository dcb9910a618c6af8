"""The `auth-conformance` command."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from auth_conformance import afterwards, catalog, fuzzing
from auth_conformance.acceptance import BASELINE, WAIVERS
from auth_conformance.console import Console
from auth_conformance.gate import INTERRUPTED
from auth_conformance.loop import run_to_end
from auth_conformance.model import Depth, Need, Run, Severity
from auth_conformance.outputs import Refused, outputs, split, write_all
from auth_conformance.sdk import Check
from auth_conformance.secret import without_secrets
from auth_conformance.settings import (
    FILE_NAME,
    PROFILES,
    ConfigurationError,
    Settings,
    load,
    profile_names,
    read_toml,
)

F = TypeVar("F", bound=Callable[..., Any])
DEMO_REPORT = "auth-conformance-report.html"


def selection(command: F) -> F:
    """Options that choose checks and reports, shared by `run` and `demo`."""
    options = [
        click.option(
            "--only",
            multiple=True,
            metavar="CODE",
            help="Run this check or family only; may be repeated.",
        ),
        click.option(
            "--ignore",
            multiple=True,
            metavar="CODE",
            help="Leave out this check or family; may be repeated.",
        ),
        click.option(
            "--fuzz", is_flag=True, default=None, help="Search for flaws after the checks (extra: fuzz)."
        ),
        click.option("--fuzz-budget", metavar="TIME", help="How long to search: 90s, 2m (default: 60s)."),
        click.option("--fuzz-seed", type=int, metavar="N", help="Seed of the search (default: 0)."),
        click.option("--level", type=click.IntRange(1, 3), help="Highest ASVS level of checks (default: 3)."),
        click.option(
            "--fail-on",
            type=click.Choice(["info", "low", "medium", "high", "critical"]),
            help="Lowest severity that fails (default: low).",
        ),
        click.option(
            "--waivers",
            metavar="FILE",
            help=f"Findings accepted by people (default: {WAIVERS}, where it is).",
        ),
        click.option("--baseline", metavar="FILE", help="Findings known from an earlier run."),
        click.option(
            "--new-only",
            is_flag=True,
            default=None,
            help=f"Fail only on findings that the baseline does not know (default: {BASELINE}).",
        ),
        click.option("--strict", is_flag=True, default=None, help="Fail also on what could not be tested."),
        click.option(
            "--allow-inconclusive",
            is_flag=True,
            default=None,
            help="Let inconclusive checks through.",
        ),
        click.option("--seed", type=int, help="Seed of the run's chance (default: 0)."),
        click.option(
            "--budget",
            type=click.IntRange(1),
            help="Most requests that the run may send (default: 3000, and 15000 with --allow-disruptive).",
        ),
        click.option("--quiet", is_flag=True, help="Print findings and the decision only."),
    ]
    for option in reversed(options):
        command = option(command)
    return outputs(command)


def addressing(command: F) -> F:
    """Options that say what the target is and how to read about it."""
    options = [
        click.argument("target", required=False),
        click.option(
            "--config",
            "config_file",
            type=click.Path(path_type=Path, dir_okay=False),
            help=f"Read this configuration (default: {FILE_NAME} or pyproject.toml).",
        ),
        click.option(
            "--profile",
            metavar="NAME",
            help="Checks, thresholds and severities as data: a name (see `profiles`), or a file.",
        ),
        click.option(
            "--users",
            "users_file",
            metavar="FILE",
            help="Accounts from a Web Fuzzing Commons file (YAML, JSON or TOML).",
        ),
        click.option(
            "--openapi",
            metavar="PATH",
            help="Where the OpenAPI document is: a path of the service, or a file.",
        ),
        click.option(
            "--app-dir",
            metavar="DIR",
            help="Where the module of an application is looked for (default: here).",
        ),
        click.option(
            "--rate",
            type=float,
            metavar="N",
            help="Requests per second (default: 5 towards other machines).",
        ),
        click.option(
            "--timeout",
            type=float,
            metavar="SECONDS",
            help="Longest wait for one reply (default: 10).",
        ),
        click.option("--insecure", is_flag=True, help="Accept any TLS certificate."),
        click.option(
            "--database-env",
            metavar="NAME",
            help="Environment variable with the URL of the target's database.",
        ),
        click.option(
            "--db",
            metavar="URL",
            help="SQLAlchemy URL of the target's database; one with a password is given by --database-env.",
        ),
        click.option(
            "--source",
            "--auth-source",  # as pytest calls it
            metavar="PATH",
            help="Folder with the code of the service (default: where the application was imported from).",
        ),
        click.option(
            "--no-four-file",
            is_flag=True,
            help="Leave out the standards of the four-file layout (SRC108 to SRC111).",
        ),
        click.option(
            "--signing-key-env",
            metavar="NAME",
            help="Environment variable with the key that signs tokens.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="fastapi-auth-conformance", prog_name="auth-conformance")
def main() -> None:
    """Does the authentication of this service hold? Every verdict carries its proof.

    Exit codes: 0 passed, 1 findings, 2 configuration or target unusable, 3 incomplete, 130 interrupted.
    """


@main.command()
@addressing
@selection
@click.option(
    "--allow-disruptive",
    is_flag=True,
    default=None,
    help="Against a URL: also lock, delete and flood, on accounts of our own.",
)
def run(
    target: str | None,
    *,
    quiet: bool,
    **flags: Any,
) -> None:
    """Test TARGET: a URL, or an application as MODULE:APP or MODULE:FACTORY().

    Accounts come from the configuration file, passwords from the environment variables that it names;
    where strangers may register, none are needed.
    """
    files, others = split(flags)
    conclude(configure(target, others), None, files, quiet=quiet)


@main.command()
@selection
@click.option(
    "--algorithm",
    type=click.Choice(["HS256", "ES256", "RS256"]),
    default="HS256",
    help="How the app signs its tokens.",
)
@click.option("--flaw", "flaw_name", metavar="NAME", help="Seed this flaw first; --flaw list names them all.")
def demo(
    algorithm: str,
    flaw_name: str | None,
    *,
    quiet: bool,
    **flags: Any,
) -> None:
    """Test the bundled reference app, with a seeded flaw if you like, and write an HTML report.

    The app runs in this process on an embedded SQLite database in a temporary folder.
    """
    from auth_conformance.demo import bundled
    from auth_conformance.testing import find_flaw, load_flaws

    if flaw_name == "list":
        for known in load_flaws():
            if not known.sound:
                click.echo(f"{known.name:42} {', '.join(sorted(known.caught_by)):24} {known.title}")
        return
    try:
        flaw = find_flaw(flaw_name) if flaw_name else None
        with bundled(algorithm=algorithm, flaw=flaw) as (app, settings):
            files, others = split(flags)
            files["html_file"] = files["html_file"] or Path(DEMO_REPORT)
            conclude(settings.model_copy(update=given(others)), app, files, quiet=quiet)
    except (LookupError, ConfigurationError) as error:
        raise Refused(str(error.args[0])) from None


@main.command()
@addressing
@click.option("--force", is_flag=True, help=f"Overwrite an existing {FILE_NAME}.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path(FILE_NAME),
    help="Where to write.",
)
def init(target: str | None, output: Path, *, force: bool, **flags: Any) -> None:
    """Look at TARGET and write what was found as an editable configuration."""
    from auth_conformance.discovery.writing import as_toml

    if output.exists() and not force:
        raise Refused(f"{output} exists; --force overwrites it.")
    settings = configure(target, flags)
    text = as_toml(look(settings), settings)
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise Refused(f"{output} cannot be written: {error.strerror}.") from None
    # Only the usual name is found without being named.
    named = "" if output == Path(FILE_NAME) else f" --config {shlex.quote(str(output))}"
    click.echo(f"Wrote {output}. Read it, correct it, then: auth-conformance run{named}")


@main.command()
@addressing
def doctor(target: str | None, **flags: Any) -> None:
    """Say what is known about TARGET, what is missing for which checks, and which lines would supply it."""
    from auth_conformance.discovery.advising import doctor as explain_target

    settings = configure(target, flags)
    needs: dict[Need, list[str]] = {}
    for code, check in catalog.load().items():
        for need in check.rule.needs:
            needs.setdefault(need, []).append(code)
        if check.rule.family == "TOK" and check.rule.depth is Depth.GREY:
            # They run without the key, and decide more with it.
            needs.setdefault(Need.SIGNING_KEY, []).append(code)
    click.echo(explain_target(look(settings), needs))


@main.command()
@click.argument("code")
def explain(code: str) -> None:
    """Print the page of a check: requirement, why, how, fix, references."""
    catalogue = catalog.load()
    known = {name: check.rule for name, check in catalogue.items()} | fuzzing.rules()
    rule = known.get(code.upper())
    if rule is None:
        near = ", ".join(name for name in known if name.startswith(code.upper()[:3])) or ", ".join(
            known,
        )
        raise Refused(f"There is no check {code}. There are: {near}.")
    click.echo(f"{rule.code} {rule.name}\n{rule.title}\n")
    click.echo(
        " · ".join(
            [
                rule.severity.value,
                f"ASVS level {rule.level}",
                f"{rule.depth.value} box",
                rule.impact.value,
                f"at most {rule.budget} requests",
            ]
        ),
    )
    if rule.needs:
        click.echo(f"Needs: {', '.join(need.value for need in rule.needs)}")
    for head, text in (("", rule.requirement), ("Why", rule.why), ("How", rule.how), ("Fix", rule.fix)):
        click.echo(f"\n{head}\n{text}" if head else f"\n{text}")
    click.echo("\nReferences")
    for reference in rule.references:
        click.echo(f"  {reference.label}  {reference.url}")


@main.command(name="list")
@click.option("--family", metavar="FAMILY", help="Only this family, such as TOK.")
@click.option("--level", type=click.IntRange(1, 3), help="Highest level to list (default: 3).")
@click.option("--profile", metavar="NAME", help="Only what this profile selects, with its severities.")
def list_checks(family: str | None, level: int | None, profile: str | None) -> None:
    """List the checks."""
    try:
        chosen = load(given({"profile": profile, "level": level}), start=Path("/"))
    except ConfigurationError as error:
        raise Refused(str(error)) from None
    listed = choose(chosen.level, chosen.only, chosen.ignore, restate=chosen.restated())
    if family is not None:
        wanted = {check.rule.code for check in choose(3, [family], [])}
        listed = [check for check in listed if check.rule.code in wanted]
    for check in listed:
        rule = check.rule
        mark = " (restated)" if check.is_restated else ""
        click.echo(f"{rule.code}  {rule.severity.value:8}  L{rule.level}  {rule.name:44} {rule.title}{mark}")


@main.command()
def profiles() -> None:
    """List the profiles."""
    for name in profile_names():
        click.echo(f"{name:18} {read_toml(PROFILES / f'{name}.toml')['title']}")


def given(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags that were given, tuples as lists."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in flags.items()
        if value is not None and value != ()
    }


def configure(target: str | None, flags: dict[str, Any]) -> Settings:
    """Settings from the command line, the environment and the file. Raises Refused."""
    values = given(flags)
    file = values.pop("config_file", None)
    if target is not None:
        values["url" if "://" in target else "app"] = target
    if values.pop("insecure", False):
        values["verify_tls"] = False
    if values.pop("no_four_file", False):
        values["policy"] = {"four_file": False}
    if name := values.pop("database_env", None):
        values["database"] = {"env": name}
    if name := values.pop("signing_key_env", None):
        values["signing"] = {"key": {"env": name}}
    try:
        return load(values, file=file)
    except ConfigurationError as error:
        raise Refused(str(error)) from None


def choose(
    level: int,
    only: Sequence[str],
    ignore: Sequence[str],
    *,
    fuzz: bool = False,
    restate: Mapping[str, Severity] | None = None,
) -> list[Check]:
    """The selected checks; codes of fuzzing are no checks. Raises Refused for a code that does not exist."""
    if fuzz:
        checks = fuzzing.without_ours(only)
        if only and not checks:
            return []
        only, ignore = checks, fuzzing.without_ours(ignore)
    try:
        return catalog.select(catalog.load(), level=level, only=only, ignore=ignore, restate=restate)
    except catalog.UnknownCodeError as error:
        raise Refused(str(error)) from None


def look(settings: Settings) -> Any:
    """Open and discover the target, without a check. Raises Refused."""
    from auth_conformance.engine import opened

    async def discovered() -> Any:
        async with opened(settings) as door:
            return door.scene.target

    try:
        return run_to_end(discovered())
    except ConfigurationError as error:
        raise Refused(str(error)) from None


def conclude(
    settings: Settings,
    app: object | None,
    files: dict[str, Any],
    *,
    quiet: bool,
) -> None:
    """Run, print, write the reports, and leave with the decision's exit code."""
    from auth_conformance.engine import conduct

    # What an application in this process logs is its own affair, unless it sets logging up itself.
    logging.getLogger().addHandler(logging.NullHandler())
    console = Console(quiet=quiet)
    checks = choose(
        settings.level, settings.only, settings.ignore, fuzz=settings.fuzz, restate=settings.restated()
    )
    try:
        then = fuzzing.searching(settings, on_progress=console.search) if settings.fuzz else None
        finished: Run = run_to_end(
            conduct(
                settings,
                checks,
                app=app,
                command=shlex.join(["auth-conformance", *without_secrets(sys.argv[1:])]),
                on_target=lambda target: console.target(target, len(checks)),
                on_result=console.progress,
                then=then,
            ),
        )
    except ConfigurationError as error:
        raise Refused(str(error)) from None
    except KeyboardInterrupt:
        click.echo("auth-conformance: interrupted before anything was decided.", err=True)
        sys.exit(INTERRUPTED)
    console.summary(finished, write_all(finished, files))
    sys.exit(finished.decision.exit_code)


for command in (afterwards.report, afterwards.baseline, afterwards.diff, afterwards.annotate):
    main.add_command(command)


if __name__ == "__main__":
    main()
