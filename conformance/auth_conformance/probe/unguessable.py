"""`must_be_unguessable`: issued values carry enough chance (checklist TOK401, KEY107, SES107)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from auth_conformance.model import Exchange, Failed, Inconclusive, Passed, Severity, Verdict, Violation
from auth_conformance.oracles.entropy import FEWEST, Estimate, Sample, Weakness, estimate
from auth_conformance.probe.core import Core

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth_conformance.target import Account

# Weaknesses that are worse or less bad than the rule says.
_GRAVITY = {Weakness.REPEATED: Severity.CRITICAL, Weakness.UUID: Severity.LOW}


class Unguessable(Core):
    """Judges values that were collected one after the other."""

    def sample(self, value: str, account: Account, *more: str) -> Sample:
        """Note a value that was issued just now, with what is known of its owner; it is a secret."""
        return sample_of(self, value, account, *more)

    async def must_be_unguessable(
        self,
        samples: Sequence[Sample],
        what: str,
        operation: str,
        proof: Sequence[Exchange] = (),
    ) -> Verdict:
        """Values that were issued in this order show no structure and are long enough; `what` names them."""
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if len(samples) < FEWEST:
            reason = f"Only {len(samples)} {what} could be collected; fewer than {FEWEST} show nothing."
            return Inconclusive(reason, "", evidence, notes)
        found = await asyncio.to_thread(estimate, samples)
        if found.prefix:
            notes = (*notes, "they begin with a prefix that scanners for leaked secrets can recognise")
        if found.checksum:
            notes = (*notes, "they end with a checksum, which was not counted")
        if found.unsigned is not None:
            notes = (*notes, f"without what may be a signature: at most {found.unsigned:.0f} bits")
        if (violation := guessable(found, what, operation, proof)) is not None:
            return Failed((violation,), evidence, notes)
        reason = f"No structure found in {found.samples} {what}: {found.words}."
        return Passed(reason, evidence, notes)


def sample_of(core: Core, value: str, account: Account, *more: str) -> Sample:
    """A value that was issued just now, with what is known of its owner; it is a secret."""
    name = account.username
    words = (name, name.partition("@")[0], *more)
    return Sample(value, core.scene.recorder.clock.now(), tuple(dict.fromkeys(filter(None, words))))


def guessable(found: Estimate, what: str, operation: str, proof: Sequence[Exchange] = ()) -> Violation | None:
    """The finding that values of this estimate are; `what` names them. None when they carry enough chance."""
    if found.weakness is None:
        return None
    message = f"{operation} issues {what} that can be guessed ({found.samples} seen): {found.words}."
    return Violation(operation, message, _GRAVITY.get(found.weakness), tuple(proof))
