"""Several ways to sign in at one operation, each alone."""

from __future__ import annotations

import base64
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import (
    Expectation,
    Failed,
    Inconclusive,
    Need,
    Passed,
    Role,
    Verdict,
    Violation,
)
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.refusal import Attempt, Refusal
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.credentials import Carrier
    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.target import Operation, Witness

# What has to be known for a credential of a kind.
_NEEDS = {Kind.BEARER: Need.BEARER, Kind.KEY: Need.API_KEY, Kind.COOKIE: Need.COOKIE}


class Schemes(Refusal):
    """Sentences about several schemes."""

    async def must_take_each_scheme(self) -> Verdict:
        """Each declared scheme, alone and in each declared place, lets its owner in."""
        live, baseline = await self._first_that_works()
        await self.must_live(self.witness, live, baseline, "before")
        violations: list[Violation] = []
        unsure: list[str] = []
        accepted: list[str] = []
        lacking: list[Need | None] = []
        for carrier in self.target.carriers:
            where = f"{carrier} ({carrier.scheme})" if carrier.scheme else str(carrier)
            try:
                credential = await self._meant_for(carrier)
            except Missing:
                taken = await self._taken_here_too(live, carrier, baseline)
                if taken is None:
                    unsure.append(f"{where}: no credential is known")
                    lacking.append(_NEEDS.get(carrier.kind))
                    continue
                credential = taken
            except Unclear as reason:
                unsure.append(f"{where}: {reason}")
                continue
            if not any(declares(witness.operation, carrier) for witness in self.witnesses):
                # Such as the scheme of a login alone: it is not for the operations that can be asked here.
                self.notes.append(f"{where}: declared at neither operation that was asked")
                continue
            found = await self._each_alone(credential, where)
            if found[0]:
                # Or does the service refuse everybody just now?
                await self.must_live(self.witness, live, baseline, "beside")
            violations += found[0]
            unsure += found[1]
            if not found[0] and not found[1]:
                accepted.append(where)
        unsure += [
            f"{scheme}: declared, but no credential of it is known" for scheme in self._unknown_schemes()
        ]
        await self.must_live(self.witness, live, baseline, "after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, (*notes, *unsure))
        if unsure:
            more = f" (and {len(unsure) - 1} more)" if len(unsure) > 1 else ""
            needed = next((item for item in lacking if item is not None), None)
            remedy = self._remedy(needed) if needed is not None else ""
            return Inconclusive(f"{unsure[0]}{more}.", remedy, evidence, (*notes, *unsure[1:]))
        return Passed(f"Each of {len(accepted)} ways in works alone: {', '.join(accepted)}.", evidence, notes)

    async def _meant_for(self, carrier: Carrier) -> Credential:
        """A credential of the kind, in that carrier. Raises Missing where all known ones stand behind another word."""
        credential = await self.credential(carrier.kind)
        if not credential.fits(carrier):
            raise Missing("no credential of this scheme is known")
        return credential.moved_to(carrier)

    async def _taken_here_too(
        self, live: Credential, carrier: Carrier, baseline: Baseline
    ) -> Credential | None:
        """The same value in a scheme for which nothing was issued: many services take one key in several."""
        value = live.value.reveal()
        if carrier.kind is Kind.BASIC:
            value = base64.b64encode(f"{value}:".encode("utf-8", "surrogatepass")).decode()
            self.scene.recorder.redactor.learn(Secret(value))
        moved = replace(live, carrier=carrier, value=Secret(value), companions=(), crumbs=())
        attempt = Attempt(f"is the credential of A taken as {carrier}?", moved)
        answer = await self.attempt(self.witness, attempt, baseline, role=Role.CONTROL)
        same = answer.exchange.reply.principal == baseline.principal
        return moved if answer.accepted and same else None

    async def _first_that_works(self) -> tuple[Credential, Baseline]:
        """Find a credential that the witness accepts, of any kind. Raises Unclear when there is none."""
        trouble = Unclear("No credential of any kind is known.")
        for kind in self.kinds():
            try:
                live = await self.credential(kind)
                return live, await self.baseline(self.witness, live)
            except (Missing, Unclear) as reason:
                trouble = Unclear(str(reason))
        raise trouble

    def _unknown_schemes(self) -> list[str]:
        known = {carrier.scheme for carrier in self.target.carriers}
        declared = {
            scheme
            for operation in self.target.operations
            for alternative in operation.security or ()
            for scheme in alternative
        }
        return sorted(declared - known)

    async def _each_alone(self, credential: Credential, where: str) -> tuple[list[Violation], list[str]]:
        violations: list[Violation] = []
        unsure: list[str] = []
        for witness in self.witnesses:
            if not declares(witness.operation, credential.carrier):
                continue
            try:
                _, baseline = await self._baseline_by_any(witness)
            except Unclear as reason:
                unsure.append(str(reason))
                continue
            bland = await self.attempt(
                witness,
                Attempt(f"control: a wrong credential in {where}", self.bland(credential)),
                baseline,
                role=Role.CONTROL,
            )
            if bland.accepted:
                unsure.append(f"{witness.operation.name} takes a meaningless credential in {where}")
                continue
            for spelled in _spellings(credential.carrier):
                found = await self._let_in(witness, credential.moved_to(spelled), baseline, where)
                if isinstance(found, Violation):
                    violations.append(found)
                    break
                if found is not None:
                    unsure.append(found)
        written = await self._writes_with(credential, where)
        if isinstance(written, Violation):
            violations.append(written)
        elif written is not None:
            self.notes.append(written)
        return violations, unsure

    async def _let_in(
        self,
        witness: Witness,
        credential: Credential,
        baseline: Baseline,
        where: str,
    ) -> Violation | str | None:
        """Present it once; None when its owner gets in, or is known and lacks a right."""
        attempt = Attempt(f"{credential.carrier} alone", credential)
        answer = await self.attempt(witness, attempt, baseline)
        if answer.accepted and answer.exchange.reply.principal == baseline.principal:
            return None
        again = await self.attempt(
            witness,
            replace(attempt, label=f"again: {attempt.label}"),
            baseline,
            fresh=True,
        )
        if answer.rejected and again.rejected and again.status == baseline.anonymous.status:
            again = await self._still_refused(witness, attempt, baseline, again)
        found = self._not_let_in(witness.operation, where, answer, again)
        if isinstance(found, Violation) and answer.rejected and again.status != baseline.anonymous.status:
            # Who is refused otherwise than a stranger was recognised.
            self.notes.append(
                f"{witness.operation.name} with {where} answers {again.status}: it lacks a right",
            )
            return None
        return found

    async def _still_refused(
        self, witness: Witness, attempt: Attempt, baseline: Baseline, again: Answer
    ) -> Answer:
        """The refusal, seen again after another credential got in: for a moment everybody may have been refused.

        Raises Unclear.
        """
        live, _ = await self._baseline_by_any(witness)
        if attempt.credential is not None and live.value == attempt.credential.value:
            return again
        await self.must_live(witness, live, baseline, "between two parts of")
        label = f"once more: {attempt.label}"
        return await self.attempt(witness, replace(attempt, label=label), baseline, fresh=True)

    def _not_let_in(self, operation: Operation, where: str, first: Answer, second: Answer) -> Violation | str:
        name = operation.name
        if second.accepted and first.accepted:
            taken_for = second.exchange.reply.principal
            message = f"{name} takes the credential in {where} for {taken_for}."
            return Violation(name, message, None, (first.exchange, second.exchange))
        if first.rejected and second.rejected:
            message = f"{name} refuses a live credential in {where} ({second.status})."
            return Violation(name, message, None, (first.exchange, second.exchange), _recognised(second))
        return f"{name} with {where}: {second.why or second.status}"

    async def _baseline_by_any(self, witness: Witness) -> tuple[Credential, Baseline]:
        trouble = ""
        for kind in self.kinds():
            try:
                live = await self.credential(kind)
                return live, await self.baseline(witness, live)
            except (Missing, Unclear) as reason:
                trouble = str(reason)
        raise Unclear(trouble)

    async def _writes_with(self, credential: Credential, where: str) -> Violation | str | None:
        """Try one mutation: any answer but that to strangers shows that it is read there, too."""
        objects = self.target.objects
        if objects is None or not declares(objects.create, credential.carrier):
            return None
        body = dict(objects.template)
        name = objects.create.name
        answer = await self.call(objects.create, credential, label=f"{name} with {where}", body=body)
        if answer.reply.ok:
            return None
        stranger = await self.call(objects.create, label=f"{name} with nothing", role=Role.CONTROL, body=body)
        again = await self.call(
            objects.create,
            credential,
            label=f"again: {name} with {where}",
            body=body,
            fresh=True,
        )
        if answer.status == again.status == stranger.status == HTTPStatus.UNAUTHORIZED:
            message = f"{name} refuses a live credential in {where} (401)."
            return Violation(name, message, None, (answer.exchange, again.exchange), _recognised(again))
        return f"{name} with {where} answers {again.status}: it may lack a right or a CSRF token"


def declares(operation: Operation, carrier: Carrier) -> bool:
    """Tell whether the document says that this carrier alone is enough; nothing said is yes."""
    if not operation.security or not carrier.scheme:
        return True
    return frozenset({carrier.scheme}) in operation.security


def _spellings(carrier: Carrier) -> list[Carrier]:
    """Spell a header's name in other cases, too (RFC 9110 §5.1: names have none)."""
    if carrier.place != "header" or carrier.kind is not Kind.KEY:
        return [carrier]
    return [carrier, replace(carrier, name=carrier.name.upper()), replace(carrier, name=carrier.name.lower())]


def _recognised(answer: Answer) -> Expectation:
    """Whoever is known may still lack a right: only what a stranger is answered would be wrong."""
    return Expectation("no status", value=str(answer.status))
