"""SARIF 2.1.0, as code scanning takes it: one run, one result per rule and place, stable fingerprints.

Places are lines of the target's source where they are known. Otherwise a result hangs on `anchor` (the OpenAPI
document or the configuration, when it is a file of the repository) or on a path made of host and operation:
a URI with a scheme makes code scanning refuse the whole file.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from auth_conformance.model import Errored, Inconclusive, Role, Severity, Skipped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from auth_conformance.model import Exchange, Finding, Result, Rule, Run

Json = dict[str, Any]

# A scanner drops results with more text than this (1,024 characters), and shows no more tags than this.
_LONGEST = 1000
_TAGS = 10
_RELATED = 100
_LEVELS = {
    Severity.CRITICAL: ("error", "9.5"),
    Severity.HIGH: ("error", "8.0"),
    Severity.MEDIUM: ("warning", "5.5"),
    Severity.LOW: ("note", "3.0"),
    Severity.INFO: ("note", "0.0"),
}
# As tags these make some platforms file a finding under "leaked secrets": they stay in the help text.
_MISREAD = frozenset({"CWE-256", "CWE-257", "CWE-259", "CWE-312", "CWE-319", "CWE-321", "CWE-522", "CWE-798"})
_WEAKNESSES = "CWE"


def render(run: Run, *, anchor: str | None = None, accepted: bool = False) -> str:
    """The SARIF log of `run`. `anchor` is a path in the repository for findings without a source line.

    Findings that were waived are left out, since an upload would open them again; `accepted` keeps them, with
    their suppression.
    """
    # No reader of JSON must accept half a character, which a target may send.
    whole = json.dumps(to_sarif(run, anchor=anchor, accepted=accepted), indent=2, ensure_ascii=False)
    return whole.encode("utf-8", "replace").decode("utf-8") + "\n"


def to_sarif(run: Run, *, anchor: str | None = None, accepted: bool = False) -> Json:
    """The log as data."""
    rules = {result.rule.code: result.rule for result in run.results}
    order = sorted(rules)
    cwes = sorted({label for rule in rules.values() for label in _labels(rule, "CWE")}, key=_number)
    shown = [finding for finding in run.findings if accepted or run.standing(finding) != "waived"]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "auth-conformance",
                        "version": run.version,
                        "semanticVersion": run.version,
                        "rules": [_rule(rules[code], cwes) for code in order],
                        "supportedTaxonomies": [{"name": _WEAKNESSES, "index": 0}] if cwes else [],
                    }
                },
                "automationDetails": {"id": f"auth-conformance/{_category(run)}/"},
                "invocations": [_invocation(run)],
                "taxonomies": [_taxonomy(cwes)] if cwes else [],
                "results": [
                    _result(run, group, order.index(group[0].code), anchor)
                    for group in _grouped(shown, run, anchor)
                ],
                "columnKind": "utf16CodeUnits",
            }
        ],
    }


def _category(run: Run) -> str:
    return (
        re.sub(r"[^A-Za-z0-9.-]+", "-", urlsplit(run.target.address).netloc or run.target.address) or "target"
    )


def _labels(rule: Rule, kind: str) -> list[str]:
    return [reference.label for reference in rule.references if reference.kind == kind]


def _number(label: str) -> int:
    return int(re.sub(r"\D", "", label) or 0)


def _rule(rule: Rule, cwes: Sequence[str]) -> Json:
    level, score = _LEVELS[rule.severity]
    own = _labels(rule, "CWE")
    weaknesses = [f"external/cwe/{label.lower()}" for label in own if label not in _MISREAD]
    others = [label.replace(" ", "-").lower() for label in (*_labels(rule, "ASVS"), *_labels(rule, "API"))]
    tags = ["security", "authentication", *weaknesses, *others][:_TAGS]
    links = "\n".join(f"* [{reference.label}]({reference.url})" for reference in rule.references)
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in re.split(r"\W+", rule.name)),
        "shortDescription": {"text": rule.title[:_LONGEST]},
        "fullDescription": {"text": rule.requirement[:_LONGEST]},
        "help": {
            "text": f"{rule.requirement}\n\nWhy: {rule.why}\n\nHow it is tested: {rule.how}\n\nFix: {rule.fix}",
            "markdown": f"**{rule.requirement}**\n\n{rule.why}\n\n*How it is tested:* {rule.how}\n\n"
            f"*Fix:* {rule.fix}\n\n{links}",
        },
        **({"helpUri": rule.references[0].url} if rule.references else {}),
        "defaultConfiguration": {"level": level},
        "properties": {"tags": tags, "security-severity": score, "precision": "very-high"},
        "relationships": [
            {
                "target": {
                    "id": str(_number(label)),
                    "index": cwes.index(label),
                    "toolComponent": {"name": _WEAKNESSES, "index": 0},
                },
                "kinds": ["superset"],
            }
            for label in own
            if label not in _MISREAD
        ],
    }


def _taxonomy(cwes: Sequence[str]) -> Json:
    return {
        "name": _WEAKNESSES,
        "organization": "MITRE",
        "shortDescription": {"text": "Common Weakness Enumeration"},
        "informationUri": "https://cwe.mitre.org/",
        "taxa": [
            {
                "id": str(_number(label)),
                "helpUri": f"https://cwe.mitre.org/data/definitions/{_number(label)}.html",
                "shortDescription": {"text": label},
            }
            for label in cwes
        ],
    }


def _invocation(run: Run) -> Json:
    """How the run went: what could not be decided or tested is told here, never as a result."""
    return {
        "executionSuccessful": run.decision.exit_code in (0, 1) and not run.interrupted,
        "exitCode": run.decision.exit_code,
        "exitCodeDescription": run.decision.sentence[:_LONGEST],
        "startTimeUtc": _utc(run.started),
        "endTimeUtc": _utc(run.finished),
        **({"commandLine": run.command} if run.command else {}),
        "toolExecutionNotifications": [
            notification for result in run.results if (notification := _notification(result)) is not None
        ],
    }


def _utc(when: Any) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%S}Z"


def _notification(result: Result) -> Json | None:
    verdict = result.verdict
    match verdict:
        case Inconclusive():
            level, word = "warning", "inconclusive"
        case Errored():
            level, word = "error", "broke down on our side"
        case Skipped(applicable=True):
            level, word = "note", "not tested"
        case _:
            return None
    remedy = getattr(verdict, "remedy", "")
    reason = verdict.why if isinstance(verdict, Skipped) else verdict.reason
    text = f"{result.rule.code} {word}: {reason}" + (f" Set: {remedy}" if remedy else "")
    return {
        "level": level,
        "message": {"text": text[:_LONGEST]},
        "associatedRule": {"id": result.rule.code},
    }


def _grouped(findings: Iterable[Finding], run: Run, anchor: str | None) -> list[list[Finding]]:
    """One group per rule and place: a shared dependency is one alert, with its operations."""
    found: dict[tuple[str, str, int], list[Finding]] = {}
    for finding in findings:
        uri, line, _ = _place(finding, run, anchor)
        found.setdefault((finding.code, uri, line), []).append(finding)
    return list(found.values())


def _place(finding: Finding, run: Run, anchor: str | None) -> tuple[str, int, bool]:
    """URI, line, and whether that is a real line of the repository."""
    source = finding.source
    if source is not None:
        path = PurePath(source.path.replace("\\", "/"))
        outside = path.is_absolute() or ".." in path.parts or "site-packages" in path.parts
        if not outside:
            return _uri(path.as_posix()), source.line, True
    if anchor:
        return _uri(PurePath(anchor).as_posix()), 1, False
    path_of = (finding.operation or "").partition(" ")[2]
    host = urlsplit(run.target.address).netloc or run.target.address.replace(":", "/")
    return _uri(f"{host}/{path_of.lstrip('/')}".strip("/") or "target"), 1, False


def _uri(text: str) -> str:
    return quote(text.encode("utf-8", "replace"), safe="/.-_")


def _result(run: Run, group: Sequence[Finding], index: int, anchor: str | None) -> Json:
    first = group[0]
    uri, line, real = _place(first, run, anchor)
    level, _ = _LEVELS[max(finding.severity for finding in group)]
    operations = list(dict.fromkeys(finding.operation for finding in group if finding.operation))
    more = f" Also at {', '.join(operations[1:6])}." if len(operations) > 1 else ""
    fingerprints = sorted(finding.fingerprint for finding in group)
    joined = hashlib.sha256("|".join(fingerprints).encode()).hexdigest()[:16]
    prints = {"authConformance/v1": joined if len(fingerprints) > 1 else fingerprints[0]}
    if not real:
        # Where there is no line to hash, the platform's own fingerprint would be empty.
        prints["primaryLocationLineHash"] = f"{joined}:1"
    result: Json = {
        "ruleId": first.code,
        "ruleIndex": index,
        "level": level,
        "message": {"text": _cut(first.message, _LONGEST - len(more)) + more},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": line},
                },
                "logicalLocations": [
                    {"fullyQualifiedName": operation, "kind": "resource"}
                    for operation in operations[:_RELATED]
                ]
                or [{"fullyQualifiedName": run.target.address, "kind": "resource"}],
            }
        ],
        "partialFingerprints": prints,
        "properties": {"operations": operations[:_RELATED], "severity": first.severity.value},
    }
    result |= _exchange(first.evidence)
    accepted = run.accepted(first)
    if accepted is not None and accepted.kind == "waiver":
        result["suppressions"] = [{"kind": "external", "justification": accepted.reason}]
    if run.baselined:
        result["baselineState"] = "unchanged" if run.standing(first) == "known" else "new"
    return result


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _exchange(evidence: Sequence[Exchange]) -> Json:
    """The attack and its reply, as SARIF knows them."""
    attack = next((item for item in evidence if item.role is Role.ATTACK), None)
    if attack is None:
        return {}
    request, reply = attack.request, attack.reply
    found: Json = {
        "webRequest": {
            "protocol": "HTTP",
            "version": "1.1",
            "target": request.url[:_LONGEST],
            "method": request.method,
            "headers": {name: value[:_LONGEST] for name, value in request.headers},
            **({"body": {"text": request.body[:_LONGEST]}} if request.body else {}),
        }
    }
    if reply.status is not None:
        found["webResponse"] = {
            "protocol": "HTTP",
            "version": "1.1",
            "statusCode": reply.status,
            "headers": {name: value[:_LONGEST] for name, value in reply.headers},
            **({"body": {"text": reply.body[:_LONGEST]}} if reply.body else {}),
        }
    return found
