"""The commands that test one rule once more, on the target and with the means of the user's own run.

A rule is tested again only if it can be: without the accounts, the source or the leave to disturb that the run
had, it would be skipped. What a run is given that way is kept. What chooses checks, decides about findings
or writes reports is left out: one rule is wanted now, and an old report must not be overwritten.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.secret import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from auth_conformance.model import Run

# Options of the command that are kept, and the option of pytest that says the same, "" where there is none.
KEPT = {
    "--config": "--auth-config",
    "--profile": "--auth-profile",
    "--users": "--auth-users",
    "--openapi": "--auth-openapi",
    "--app-dir": "--auth-app-dir",
    "--database-env": "--auth-database-env",
    "--db": "--auth-db",
    "--source": "--auth-source",
    "--signing-key-env": "--auth-signing-key-env",
    "--rate": "",
    "--timeout": "",
    "--seed": "",
    "--budget": "",
    "--flaw": "",
    "--algorithm": "",
}
KEPT_FLAGS = {
    "--allow-disruptive": "--auth-allow-disruptive",
    "--no-four-file": "--auth-no-four-file",
    "--insecure": "",
}
# A rule of the search is tested by searching again.
SEARCH = {"--fuzz-budget": "--auth-fuzz-budget", "--fuzz-seed": "--auth-fuzz-seed"}
SEARCH_FLAGS = {"--fuzz": "--auth-fuzz"}
LEFT = frozenset(
    {
        "--only",
        "--ignore",
        "--level",
        "--fail-on",
        "--waivers",
        "--baseline",
        "--json",
        "--html",
        "--sarif",
        "--sarif-anchor",
        "--markdown",
        "--export-tests",
    }
)
LEFT_FLAGS = frozenset({"--strict", "--allow-inconclusive", "--new-only", "--quiet"})
# Of pytest's own: another choice of tests, and a report of the old run.
_PYTEST_LEFT = frozenset({"-k", "--junitxml", "--junit-xml"})
_TARGET = frozenset({"--auth-url", "--auth-app"})
_SPELLED = {"--auth-source": "--source"}


@dataclass(frozen=True, slots=True)
class Word:
    """An option with its value, None for a flag, or a word that is no option (`name` is "" then)."""

    name: str
    value: str | None = None


def again(code: str, run: Run) -> str:
    """The one command to print where there is room for one; a run by pytest is repeated by pytest."""
    return commands(code, run)[0]


def commands(code: str, run: Run) -> tuple[str, ...]:
    """The commands that test a rule again: the kind that the user typed first.

    Some targets have no name that a command could import: the demo's application, a fixture's.
    """
    program, *words = _words(run.command) or [""]
    if program == "pytest":
        plain = _by_pytest(code, words)
        known = [_plainly(word) for word in _parsed(words, pytest=True)]
        command = _by_command(code, run, [word for word in known if word.name])
        return (plain, command) if _has_name(run) else (plain,)
    parsed = list(_parsed(words[1:], pytest=False))
    if words[:1] == ["demo"]:
        return (_joined("auth-conformance", "demo", *_flat(_kept(parsed, code)), "--only", code),)
    command = _by_command(code, run, parsed)
    kept = _kept(parsed, code)
    known = [Word(_in_pytest(word.name), word.value) for word in kept]
    if not _has_name(run) or not all(word.name for word in known):
        return (command,)
    return (command, _joined("pytest", *_named(run), *_flat(known), "-k", code))


def _by_command(code: str, run: Run, parsed: Sequence[Word]) -> str:
    address = run.target.address
    # What begins with a dash is a target only after "--".
    last = ["--", address] if address.startswith("-") else []
    first = [] if last else [address]
    return _joined("auth-conformance", "run", *first, *_flat(_kept(parsed, code)), "--only", code, *last)


def _by_pytest(code: str, words: Sequence[str]) -> str:
    """The user's own command on this rule alone: files, fixtures and options that we do not know stay."""
    kept = [
        word
        for word in _parsed(words, pytest=True)
        if word.name not in _PYTEST_LEFT
        and (not word.name.startswith("--auth-") or word.name in _TARGET or _is_kept(_plainly(word), code))
    ]
    return _joined("pytest", *_flat(kept), "-k", code)


def _parsed(words: Sequence[str], *, pytest: bool) -> Iterator[Word]:
    """The words of a command line as options and others. Of pytest's options only ours and a few are known."""
    rest = iter(words)
    for word in rest:
        if word == "--":
            yield from (Word("", value) for value in rest)
            return
        name, sign, value = word.partition("=")
        if not name.startswith("-"):
            yield Word("", word)
        elif sign and name.startswith("--"):
            yield Word(name, value)
        elif _takes_value(name, pytest=pytest):
            yield Word(name, next(rest, ""))
        else:
            yield Word(word)


def _takes_value(name: str, *, pytest: bool) -> bool:
    if pytest:
        own = name.replace("--auth-", "--", 1) if name.startswith("--auth-") else ""
        return name in _TARGET | _PYTEST_LEFT or own in KEPT.keys() | SEARCH.keys() | LEFT
    return _SPELLED.get(name, name) in KEPT.keys() | SEARCH.keys() | LEFT


def _plainly(word: Word) -> Word:
    """An option of ours on pytest's command line as the command spells it; of the rest nothing is left."""
    if not word.name.startswith("--auth-") or word.name in _TARGET:
        return Word("")
    return Word(word.name.replace("--auth-", "--", 1), word.value)


def _in_pytest(name: str) -> str:
    return (KEPT | KEPT_FLAGS | SEARCH | SEARCH_FLAGS)[_SPELLED.get(name, name)]


def _kept(parsed: Sequence[Word], code: str) -> list[Word]:
    return [word for word in parsed if _is_kept(word, code)]


def _is_kept(word: Word, code: str) -> bool:
    name = _SPELLED.get(word.name, word.name)
    known = KEPT.keys() | KEPT_FLAGS.keys()
    if code.startswith("FUZ"):
        known |= SEARCH.keys() | SEARCH_FLAGS.keys()
    return name in known


def _has_name(run: Run) -> bool:
    return run.target.kind == "url" or ":" in run.target.address


def _named(run: Run) -> tuple[str, str]:
    return ("--auth-app" if run.target.kind == "app" else "--auth-url"), run.target.address


def _flat(words: Sequence[Word]) -> Iterator[str]:
    for word in words:
        if not word.name:
            yield word.value or ""
        elif word.value is None:
            yield word.name
        elif word.value.startswith("-"):
            yield f"{word.name}={word.value}"
        else:
            yield word.name
            yield word.value


def _words(command: str) -> list[str]:
    """The words of a command line; one that was not quoted as a shell wants it is cut at its blanks."""
    try:
        return without_secrets(shlex.split(command))
    except ValueError:
        return without_secrets(command.split())


def _joined(*words: str) -> str:
    return shlex.join(words)
