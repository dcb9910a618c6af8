"""Which of the exchanges of a finding a test repeats before the attack."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auth_conformance.model import Outcome, Role
from auth_reports.regression.marks import asked, headers_of, ids_in, leaves, read_json, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth_conformance.model import Exchange, Finding

# The mark of a token in three parts.
_TOKENS = re.compile(r"‹jwt [^‹›\n]{0,2000}?sha256:([0-9a-f]{12})›")
# A word of a request that may name an account, or a part of a path.
_WORD = re.compile(r"[\w.+@-]{8,254}")


def steps_to(attack: Exchange, finding: Finding) -> list[Exchange]:
    """What has to be repeated before the attack, oldest first."""
    named = finding.expected is not None and bool(finding.expected.about)
    # What an expectation is about may come after the attack: then the attack is a step on the way to it.
    # What the answer is compared with is one more.
    twin = finding.expected.value if finding.expected is not None else ""
    before = [
        item
        for item in finding.evidence
        if item.number < attack.number
        and (_prepares(item) or str(item.number) == twin or (named and item.role is Role.ATTACK))
    ]
    origins = _needed([item for item in finding.origins if item not in before], [*before, attack])
    steps = _repeatable(
        sorted({item.number: item for item in (*origins, *before)}.values(), key=lambda item: item.number)
    )
    return _lived(attack, steps) if finding.code.startswith("LIF") else steps


def _needed(origins: Sequence[Exchange], wanting: Sequence[Exchange]) -> list[Exchange]:
    """Of the origins of all that a check found, those from which this finding's exchanges take something."""
    kept: list[Exchange] = []
    # What later replies of an operation give: an account that was deleted and registered again is registered once.
    given: dict[str, set[str]] = {}
    wanted = set[str]().union(*(_wants(item) for item in wanting))
    asked_for = {letter.asked for item in wanting for letter in item.request.mailed}
    for origin in sorted(origins, key=lambda item: -item.number):
        confirms = any(letter.asked in {item.number for item in origins} for letter in origin.request.mailed)
        gives = _gives(origin)
        newer = given.setdefault(origin.operation, set())
        if origin.number in asked_for or confirms or (gives & wanted) - newer:
            kept.append(origin)
            # Not the secrets that it takes: a change of password takes what the change before it gave.
            newer |= gives - (asked(origin) - wanted)
            wanted |= _wants(origin)
            asked_for |= {letter.asked for letter in origin.request.mailed}
    return kept


def _wants(exchange: Exchange) -> set[str]:
    """The secrets that a request presents, and its words: ids in paths, names of accounts."""
    request = exchange.request
    texts = [request.url, request.body or "", *(value for _, value in request.headers)]
    return asked(exchange) | {word for text in texts for word in _WORD.findall(text)} | set(ids_in(exchange))


def _gives(exchange: Exchange) -> set[str]:
    """What later requests may have from an exchange: secrets and ids of its reply; what a registration chose."""
    told = {str(value) for _, value in leaves(read_json(exchange.reply.body)) if not isinstance(value, bool)}
    place = urlsplit(exchange.request.url).path.rstrip("/")
    told |= {f"{place} {value}" for value in told} if exchange.request.method != "GET" else set()
    return shown(exchange) | told | (_wants(exchange) if exchange.role is Role.SETUP else set())


def _lived(attack: Exchange, steps: list[Exchange]) -> list[Exchange]:
    """The steps, and between what issued the attack's credential and what ended it a use of it.

    A credential that never lived is refused as well; and some services remember only what they have seen.
    """
    presented = headers_of(attack)
    if attack.request.method != "GET" or "{" in attack.operation or not presented:
        return steps
    place = next((index for index, step in enumerate(steps) if presented <= shown(step)), None)
    ended = place is not None and place + 1 < len(steps)
    if place is None or not ended or any(step.together for step in steps):
        return steps
    use = replace(attack, role=Role.CONTROL, label=f"control: {attack.operation} with it, before")
    return [*steps[: place + 1], use, *steps[place + 1 :]]


def _repeatable(steps: Sequence[Exchange]) -> list[Exchange]:
    """The steps without controls that show a token of our own, which no test can make.

    Where a service issues tokens, one that no reply issued was written by the run, and would have expired.
    """
    issued: set[str] = set()
    kept: list[Exchange] = []
    for step in steps:
        recipes = {recipe.digest for recipe in step.request.derived}
        presented = {digest for _, value in step.request.headers for digest in _TOKENS.findall(value)}
        if step.role is not Role.CONTROL or not issued or not presented - issued - recipes:
            kept.append(step)
        issued |= {
            digest
            for text in (step.reply.body, *(value for _, value in step.reply.headers))
            for digest in _TOKENS.findall(text)
        }
    return kept


def _prepares(exchange: Exchange) -> bool:
    """Whether the attack needs it: a setup, or a control that shows that the honest twin gets in."""
    refused = exchange.outcome is not None and exchange.outcome is not Outcome.ACCEPTED
    refused = refused or (exchange.role is Role.CONTROL and (exchange.reply.status or 0) >= 400)
    return exchange.role is not Role.ATTACK and not refused
