"""What was accepted before the run: waivers that people wrote, and a baseline that a run left.

The two mean different things. A waiver has a reason, an owner and an end; a finding under it fails nothing
until then, and a waiver whose finding has gone fails the run, so that the list never outlives its causes. A
baseline is written by a machine and says what was known at some day; `--new-only` gates on what came since.
"""

from __future__ import annotations

import fnmatch
import json
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from auth_conformance.model import Acceptance, Finding, Result, Run, Severity, TargetSummary
from auth_conformance.settings import ConfigurationError

WAIVERS = "auth-conformance-waivers.toml"
BASELINE = "auth-conformance-baseline.json"
FORMAT = "auth-conformance/baseline-1"
_WRITE = "Write one: auth-conformance baseline run.json"
# No waiver may end later than this.
LONGEST = timedelta(days=366)

_EXAMPLE = """[[waiver]]
code = "TOK110"
operation = "GET /admin/*"
reason = "legacy client, ticket 123"
owner = "ann@example.com"
expires = 2027-01-01"""


@dataclass(frozen=True, slots=True)
class Waiver:
    """One accepted finding. `operation` may hold `*`; `expires` is the first day on which it no longer holds."""

    code: str
    operation: str
    reason: str
    owner: str
    expires: date


@dataclass(frozen=True, slots=True)
class Known:
    """One finding of a baseline, and when it was first and last seen."""

    fingerprint: str
    code: str
    operation: str
    first_seen: date
    last_seen: date


@dataclass(frozen=True, slots=True)
class Baseline:
    """The findings of a baseline, and of which service: its `title`, "" in files that do not say so, and `address`."""

    findings: tuple[Known, ...] = ()
    title: str = ""
    address: str = ""

    def stranger(self, target: TargetSummary) -> str:
        """Which other service it was written for, in words; "" where it may well be the one that was tested.

        One service has many addresses, and a title of its own unless nobody gave it one.
        """
        told = {self.title, target.title}
        if len(told) < 2 or told & _NO_TITLES:
            return ""
        return f"{self.title} ({self.address})"


# What a document is called that nobody gave a title.
_NO_TITLES = frozenset({"", "FastAPI"})


def load_waivers(path: Path, *, today: date | None = None, codes: Iterable[str] = ()) -> list[Waiver]:
    """The waivers in a file. Raises ConfigurationError that says which entry lacks what.

    `codes` are those that exist; none means that any is taken.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}.") from None
    entries = data.pop("waiver", [])
    if data or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigurationError(f"{path} holds waivers and nothing else, each like this:\n{_EXAMPLE}")
    known = set(codes)
    return [
        _waiver(entry, f"{path.name}, waiver {number}", today or _today(), known)
        for number, entry in enumerate(entries, 1)
    ]


def _today() -> date:
    return datetime.now(UTC).date()


def _waiver(entry: dict[str, Any], where: str, today: date, codes: set[str]) -> Waiver:
    extra = entry.keys() - {"code", "operation", "reason", "owner", "expires"}
    if extra:
        raise ConfigurationError(f"{where}: unknown key {', '.join(sorted(extra))}.")
    for name in ("code", "reason", "owner"):
        if not isinstance(entry.get(name), str) or not entry[name].strip():
            raise ConfigurationError(f"{where} has no {name}; each needs all of:\n{_EXAMPLE}")
    expires = entry.get("expires")
    if isinstance(expires, datetime):
        expires = expires.date()
    if not isinstance(expires, date):
        raise ConfigurationError(
            f"{where} has no expires, a date such as 2027-01-01 without quotation marks."
        )
    if expires > today + LONGEST:
        raise ConfigurationError(f"{where} ends on {expires}: a waiver ends within a year. Renew it then.")
    # The rules of the search are another package's; a misspelt code would accept nothing and never grow stale.
    if codes and entry["code"] not in codes and not entry["code"].startswith("FUZ"):
        raise ConfigurationError(f"{where}: there is no check {entry['code']}.")
    operation = entry.get("operation", "*")
    if not isinstance(operation, str) or not operation.strip():
        raise ConfigurationError(
            f'{where}: operation is one text such as "GET /admin/*"; left out, it is every operation.'
        )
    return Waiver(entry["code"], operation, entry["reason"], entry["owner"], expires)


def load_baseline(path: Path) -> Baseline:
    """Read a baseline. Raises ConfigurationError."""
    try:
        data = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ConfigurationError(f"{path} is no baseline: it is no JSON ({error}). {_WRITE}") from None
    told = data.get("format") if isinstance(data, dict) else None
    if told != FORMAT:
        told = f"its format is {told!r}" if told else "it does not say its format"
        raise ConfigurationError(f"{path} is not a baseline of this version ({FORMAT}): {told}. {_WRITE}")
    try:
        findings = [
            Known(
                item["fingerprint"],
                item["code"],
                item["operation"],
                date.fromisoformat(item["first_seen"]),
                date.fromisoformat(item["last_seen"]),
            )
            for item in data["findings"]
        ]
    except KeyError as error:
        raise ConfigurationError(f"{path} is no whole baseline: {error} is missing. {_WRITE}") from None
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{path} is no whole baseline ({error}). {_WRITE}") from None
    return Baseline(tuple(findings), str(data.get("title", "")), str(data.get("address", "")))


def baseline_of(
    run: Run, before: Sequence[Known] = (), *, include_critical: bool = False
) -> tuple[list[Known], list[Finding]]:
    """The baseline that accepts the findings of `run`, and those that were left out for being critical.

    When `before` is given, first sightings are kept.
    """
    day = run.finished.date()
    first = {item.fingerprint: item.first_seen for item in before}
    critical = [item for item in run.findings if item.severity is Severity.CRITICAL and not include_critical]
    taken = {item.fingerprint: item for item in run.findings if item not in critical}
    known = [
        Known(mark, item.code, item.operation or "", first.get(mark, day), day)
        for mark, item in sorted(taken.items(), key=lambda pair: (pair[1].code, pair[1].operation or ""))
    ]
    return known, critical


def baseline_text(known: Sequence[Known], target: TargetSummary) -> str:
    """The file, with the name of the service that it is about."""
    findings = [
        {
            "fingerprint": item.fingerprint,
            "code": item.code,
            "operation": item.operation,
            "first_seen": item.first_seen.isoformat(),
            "last_seen": item.last_seen.isoformat(),
        }
        for item in known
    ]
    about = {"title": target.title, "address": target.address}
    return json.dumps({"format": FORMAT, **about, "findings": findings}, indent=2) + "\n"


def accept(
    results: Sequence[Result],
    waivers: Sequence[Waiver],
    baseline: Sequence[Known],
    *,
    today: date | None = None,
) -> tuple[Acceptance, ...]:
    """How waivers and baseline stand after the run."""
    day = today or _today()
    by_code = {result.rule.code: result for result in results}
    findings = [finding for result in results for finding in result.findings]
    return (
        *(_waived(waiver, findings, by_code.get(waiver.code), day) for waiver in waivers),
        *(_known(item, findings, by_code.get(item.code)) for item in baseline),
    )


def _waived(waiver: Waiver, findings: Sequence[Finding], result: Result | None, day: date) -> Acceptance:
    covered = [
        finding.fingerprint
        for finding in findings
        if finding.code == waiver.code and fnmatch.fnmatchcase(finding.operation or "", waiver.operation)
    ]
    state = "applied" if covered else _without(result)
    if covered and day >= waiver.expires:
        state = "expired"
    return Acceptance(
        "waiver",
        waiver.code,
        waiver.operation,
        state,
        waiver.reason,
        waiver.owner,
        waiver.expires,
        tuple(dict.fromkeys(covered)),
    )


def _known(item: Known, findings: Sequence[Finding], result: Result | None) -> Acceptance:
    covered = tuple({finding.fingerprint for finding in findings if finding.fingerprint == item.fingerprint})
    reason = f"known since {item.first_seen}"
    state = "applied" if covered else _without(result)
    return Acceptance("baseline", item.code, item.operation, state, reason, "", None, covered)


def _without(result: Result | None) -> str:
    """A finding that is not there has gone only if its check came to a verdict."""
    return "stale" if result is not None and result.name in {"passed", "failed"} else "undecided"


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a run is told to accept. `new_only` gates on what the baseline does not know."""

    waivers: tuple[Waiver, ...] = ()
    baseline: Baseline = Baseline()
    baselined: bool = False
    new_only: bool = False


def given(
    waivers: str | None, baseline: str | None, *, new_only: bool, folder: Path, codes: Iterable[str] = ()
) -> Accepted:
    """Read both files. The waivers beside the configuration are read without being named.

    Raises ConfigurationError.
    """
    path = folder / (waivers or WAIVERS)
    people = load_waivers(path, codes=codes) if waivers is not None or path.is_file() else []
    if new_only and baseline is None and not (folder / BASELINE).is_file():
        raise ConfigurationError(f"--new-only needs a baseline, and there is no {BASELINE} here. {_WRITE}")
    machine = baseline or (BASELINE if new_only else None)
    known = load_baseline(folder / machine) if machine is not None else Baseline()
    return Accepted(tuple(people), known, machine is not None, new_only)
