"""The JSON form of a run: `to_document` and `from_document` are inverse.

The layout is published as `schema/run-1.json`; other formats can be made from it later.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from auth_conformance.model import (
    Acceptance,
    Access,
    Decision,
    Depth,
    Derivation,
    Errored,
    Exchange,
    Expectation,
    Fact,
    Failed,
    Impact,
    Inconclusive,
    Mailed,
    Masked,
    Need,
    Outcome,
    Passed,
    Provenance,
    Reply,
    Request,
    Result,
    Role,
    Rule,
    Run,
    Severity,
    Signing,
    Skipped,
    SourceLine,
    TargetSummary,
    Verdict,
    Violation,
)
from auth_conformance.references import Reference

FORMAT = "auth-conformance/run-1"

Json = dict[str, Any]


def to_document(run: Run) -> Json:
    """Return the run as JSON-able data: strings, numbers, lists and objects only."""
    pool: dict[int, Exchange] = {}
    results = [_result(result, pool) for result in run.results]
    return {
        "format": FORMAT,
        "run_id": run.run_id,
        "version": run.version,
        "started": run.started.isoformat(),
        "finished": run.finished.isoformat(),
        "command": run.command,
        "interrupted": run.interrupted,
        "level": run.level,
        "requests": run.requests,
        "decision": {
            "word": run.decision.word,
            "exit_code": run.decision.exit_code,
            "sentence": run.decision.sentence,
        },
        "summary": {
            name: run.count(name)
            for name in ("passed", "failed", "inconclusive", "skipped", "errored", "masked")
        },
        "target": {
            "kind": run.target.kind,
            "address": run.target.address,
            "title": run.target.title,
            "operations": list(run.target.operations),
            "access": [
                {
                    "operation": cell.operation,
                    "declared": cell.declared,
                    "caller": cell.caller,
                    "answer": cell.answer,
                }
                for cell in run.target.access
            ],
            "facts": [
                {
                    "name": fact.name,
                    "value": fact.value,
                    "provenance": fact.provenance.value,
                    "because": fact.because,
                }
                for fact in run.target.facts
            ],
        },
        "versions": dict(run.versions),
        "notes": list(run.notes),
        "baselined": run.baselined,
        "acceptances": [
            {
                "kind": item.kind,
                "code": item.code,
                "operation": item.operation,
                "state": item.state,
                "reason": item.reason,
                "owner": item.owner,
                "expires": item.expires.isoformat() if item.expires else None,
                "fingerprints": list(item.fingerprints),
            }
            for item in run.acceptances
        ],
        "results": results,
        "findings": [
            {
                "code": finding.code,
                "title": finding.title,
                "severity": finding.severity.value,
                "operation": finding.operation,
                "message": finding.message,
                "fingerprint": finding.fingerprint,
                "standing": run.standing(finding),
                "source": _source(finding.source),
                "evidence": [_keep(exchange, pool) for exchange in finding.evidence],
            }
            for finding in run.findings
        ],
        "exchanges": [_exchange(exchange) for _, exchange in sorted(pool.items())],
    }


def from_document(document: Json) -> Run:
    """Rebuild a run. Raises ValueError when `document` is not of this format."""
    if document.get("format") != FORMAT:
        raise ValueError(f"not a run of format {FORMAT}: format is {document.get('format')!r}")
    pool = {item["number"]: _read_exchange(item) for item in document["exchanges"]}
    target = document["target"]
    return Run(
        run_id=document["run_id"],
        version=document["version"],
        started=datetime.fromisoformat(document["started"]),
        finished=datetime.fromisoformat(document["finished"]),
        command=document["command"],
        interrupted=document["interrupted"],
        level=document["level"],
        requests=document["requests"],
        decision=Decision(document["decision"]["exit_code"], document["decision"]["sentence"]),
        target=TargetSummary(
            kind=target["kind"],
            address=target["address"],
            title=target["title"],
            operations=tuple(target["operations"]),
            access=tuple(Access(**cell) for cell in target.get("access", ())),
            facts=tuple(
                Fact(fact["name"], fact["value"], Provenance(fact["provenance"]), fact["because"])
                for fact in target["facts"]
            ),
        ),
        versions=tuple(document["versions"].items()),
        notes=tuple(document["notes"]),
        baselined=document.get("baselined", False),
        acceptances=tuple(_read_acceptance(item) for item in document.get("acceptances", ())),
        results=tuple(_read_result(item, pool) for item in document["results"]),
    )


def _read_acceptance(item: Json) -> Acceptance:
    return Acceptance(
        item["kind"],
        item["code"],
        item["operation"],
        item["state"],
        item["reason"],
        item["owner"],
        date.fromisoformat(item["expires"]) if item["expires"] else None,
        tuple(item["fingerprints"]),
    )


def _keep(exchange: Exchange, pool: dict[int, Exchange]) -> int:
    """Put an exchange into the shared list once and return its number."""
    pool[exchange.number] = exchange
    return exchange.number


def _source(line: SourceLine | None) -> Json | None:
    return None if line is None else {"path": line.path, "line": line.line, "function": line.function}


def _read_source(item: Json | None) -> SourceLine | None:
    return None if item is None else SourceLine(item["path"], item["line"], item["function"])


def _exchange(exchange: Exchange) -> Json:
    return {
        "number": exchange.number,
        "label": exchange.label,
        "role": exchange.role.value,
        "operation": exchange.operation,
        "outcome": None if exchange.outcome is None else exchange.outcome.value,
        "took": round(exchange.took, 4),
        "special": exchange.special,
        **({"together": exchange.together} if exchange.together else {}),
        "request": {
            "method": exchange.request.method,
            "url": exchange.request.url,
            "headers": [list(pair) for pair in exchange.request.headers],
            "body": exchange.request.body,
            "derived": [
                {
                    "digest": recipe.digest,
                    "base": recipe.base,
                    "parts": recipe.parts,
                    "pieces": [piece if isinstance(piece, str) else list(piece) for piece in recipe.pieces],
                    **({"signed": _signed(recipe.signed)} if recipe.signed else {}),
                    **({"case": recipe.case} if recipe.case else {}),
                }
                for recipe in exchange.request.derived
            ],
            **(
                {"mailed": [asdict(item) for item in exchange.request.mailed]}
                if exchange.request.mailed
                else {}
            ),
        },
        "reply": {
            "status": exchange.reply.status,
            "headers": [list(pair) for pair in exchange.reply.headers],
            "body": exchange.reply.body,
            "size": exchange.reply.size,
            "error": exchange.reply.error,
            "media_type": exchange.reply.media_type,
            "shape": exchange.reply.shape,
            "digest": exchange.reply.digest,
            "principal": exchange.reply.principal,
        },
    }


def _expected(expected: Expectation | None) -> Json | None:
    if expected is None:
        return None
    return {"kind": expected.kind, "name": expected.name, "value": expected.value, "about": expected.about}


def _pairs(items: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in items)


def _read_exchange(item: Json) -> Exchange:
    request, reply = item["request"], item["reply"]
    return Exchange(
        number=item["number"],
        label=item["label"],
        role=Role(item["role"]),
        operation=item["operation"],
        outcome=None if item["outcome"] is None else Outcome(item["outcome"]),
        took=item["took"],
        special=item.get("special", ""),
        together=item.get("together", 0),
        request=Request(
            request["method"],
            request["url"],
            _pairs(request["headers"]),
            request["body"],
            tuple(_read_recipe(recipe) for recipe in request.get("derived", ())),
            tuple(Mailed(**item) for item in request.get("mailed", ())),
        ),
        reply=Reply(**{**reply, "headers": _pairs(reply["headers"])}),
    )


def _read_recipe(item: Json) -> Derivation:
    pieces = tuple(piece if isinstance(piece, str) else (piece[0], piece[1]) for piece in item["pieces"])
    signed = _read_signing(item["signed"]) if item.get("signed") else None
    return Derivation(item["digest"], item["base"], pieces, item["parts"], signed, item.get("case", ""))


def _signed(signing: Signing) -> Json:
    return {
        "key": signing.key,
        "algorithm": signing.algorithm,
        "header": signing.header,
        "claims": signing.claims,
        "moments": dict(signing.moments),
        "fresh": list(signing.fresh),
        "without": list(signing.without),
        **({"respelled": [list(item) for item in signing.respelled]} if signing.respelled else {}),
        **({"repeated": [list(item) for item in signing.repeated]} if signing.repeated else {}),
        **({"own": signing.own} if signing.own else {}),
    }


def _read_signing(item: Json) -> Signing:
    return Signing(
        item["key"],
        item["algorithm"],
        item["header"],
        item["claims"],
        tuple(item["moments"].items()),
        tuple(item["fresh"]),
        tuple(item["without"]),
        tuple((name, before, case, after) for name, before, case, after in item.get("respelled", ())),
        tuple((name, source) for name, source in item.get("repeated", ())),
        item.get("own", ""),
    )


def _result(result: Result, pool: dict[int, Exchange]) -> Json:
    rule, verdict = result.rule, result.verdict
    item: Json = {
        "code": rule.code,
        "name": rule.name,
        "title": rule.title,
        "severity": result.severity.value,
        "level": rule.level,
        "verdict": result.name,
        "operation": result.operation,
        "reason": verdict.reason,
        "remedy": getattr(verdict, "remedy", ""),
        "notes": list(getattr(verdict, "notes", ())),
        "evidence": [_keep(exchange, pool) for exchange in verdict.evidence],
        "took": round(result.took, 4),
        "requests": result.requests,
        "guesses": list(result.guesses),
        "origins": [_keep(exchange, pool) for exchange in result.origins],
        "source": _source(result.source),
        "rule": _rule(rule),
    }
    match verdict:
        case Failed():
            item["violations"] = [
                {
                    "operation": violation.operation,
                    "message": violation.message,
                    "severity": None if violation.severity is None else violation.severity.value,
                    "evidence": [_keep(exchange, pool) for exchange in violation.evidence],
                    "expected": _expected(violation.expected),
                    "source": _source(violation.source),
                    "subject": violation.subject,
                }
                for violation in verdict.violations
            ]
        case Skipped():
            item["applicable"] = verdict.applicable
        case Errored():
            item["detail"] = verdict.detail
        case Masked():
            item["masked_by"] = verdict.by
        case Passed() | Inconclusive():
            pass
    return item


def _rule(rule: Rule) -> Json:
    return {
        "severity": rule.severity.value,
        "depth": rule.depth.value,
        "impact": rule.impact.value,
        "needs": [need.value for need in rule.needs],
        "references": [{"kind": ref.kind, "label": ref.label, "url": ref.url} for ref in rule.references],
        "budget": rule.budget,
        "requirement": rule.requirement,
        "why": rule.why,
        "how": rule.how,
        "fix": rule.fix,
        "masks": list(rule.masks),
        "exclusive": rule.exclusive,
    }


def _read_result(item: Json, pool: dict[int, Exchange]) -> Result:
    data = item["rule"]
    rule = Rule(
        code=item["code"],
        name=item["name"],
        title=item["title"],
        severity=Severity(data["severity"]),
        level=item["level"],
        depth=Depth(data["depth"]),
        impact=Impact(data["impact"]),
        needs=tuple(Need(need) for need in data["needs"]),
        references=tuple(Reference(ref["kind"], ref["label"], ref["url"]) for ref in data["references"]),
        budget=data["budget"],
        requirement=data["requirement"],
        why=data["why"],
        how=data["how"],
        fix=data["fix"],
        masks=tuple(data["masks"]),
        exclusive=data["exclusive"],
    )
    return Result(
        rule=rule,
        verdict=_read_verdict(item, pool),
        severity=Severity(item["severity"]),
        operation=item["operation"],
        source=_read_source(item["source"]),
        took=item["took"],
        requests=item["requests"],
        guesses=tuple(item["guesses"]),
        origins=tuple(pool[number] for number in item.get("origins", ())),
    )


def _read_verdict(item: Json, pool: dict[int, Exchange]) -> Verdict:
    evidence = tuple(pool[number] for number in item["evidence"])
    notes = tuple(item["notes"])
    match item["verdict"]:
        case "passed":
            return Passed(item["reason"], evidence, notes)
        case "failed":
            violations = tuple(
                Violation(
                    violation["operation"],
                    violation["message"],
                    None if violation["severity"] is None else Severity(violation["severity"]),
                    tuple(pool[number] for number in violation["evidence"]),
                    Expectation(**violation["expected"]) if violation.get("expected") else None,
                    _read_source(violation.get("source")),
                    violation.get("subject", ""),
                )
                for violation in item["violations"]
            )
            return Failed(violations, evidence, notes)
        case "inconclusive":
            return Inconclusive(item["reason"], item["remedy"], evidence, notes)
        case "skipped":
            return Skipped(item["reason"], item["remedy"], item["applicable"], evidence)
        case "errored":
            return Errored(item["reason"], item["detail"], evidence)
        case "masked":
            return Masked(item["masked_by"], item["reason"], evidence)
        case other:
            raise ValueError(f"unknown verdict {other!r}")
