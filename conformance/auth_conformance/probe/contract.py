"""What the document declares protected, called without that protection: operation by operation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import (
    Failed,
    Inconclusive,
    Need,
    Outcome,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.entry import classify
from auth_conformance.oracles.normalise import members
from auth_conformance.oracles.pointer import resolve
from auth_conformance.probe.above import above_for
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.refusal import Refusal
from auth_conformance.transports.message import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from auth_conformance.credentials import Credential
    from auth_conformance.target import Account, Operation

_SAFE = {"GET", "HEAD"}
_CALLED = {"GET", "POST", "PUT", "PATCH", "DELETE"}
# Beyond this many operations a run says which ones it left out.
_MOST = 160
# Requests per operation without a full credential (checklist: at most 4).
_TRIES = 4
_REFUSED = {401, 403}
_BAD_INPUT = {400, 415, 422}


@dataclass(frozen=True, slots=True)
class _Try:
    """One way not to have what the operation demands."""

    label: str
    credentials: tuple[Credential, ...] = ()


_LEAVE = "not called without leave to disrupt"
_ALIKE = "as to every account. If it is meant for everybody, public_operations in [policy] says so."
_WITHOUT = 'ignore = ["DOC101"]  # or without this check: the other operations are refused as they declare'


class Contracts(Refusal):
    """Sentences about the document."""

    async def must_enforce_what_it_declares(self) -> Verdict:
        """Each operation that the document protects refuses nobody, junk, and part of what it demands."""
        await self.must_be_reachable()
        live = await self.credential()
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, "before")
        declared = [
            item
            for item in self.target.operations
            if item.protected
            and item.method in _CALLED
            and item.name not in self.target.policy.public_operations
        ]
        if not declared:
            raise Missing("Not applicable: the document protects no operation.", applicable=False)
        # What ends sessions and deletes accounts comes last.
        declared.sort(
            key=lambda item: (not self._is_safe(item), "{" not in item.path, item.method == "DELETE")
        )
        violations: list[Violation] = []
        unsure: list[str] = []
        remedies: dict[str, str] = {}
        proven = 0
        for operation in declared[:_MOST]:
            try:
                found = await self._enforced(operation)
                if isinstance(found, str) and _LEAVE in found:
                    remedies.setdefault("allow_disruptive = true  # or --allow-disruptive", found)
            except (Missing, Unclear) as error:
                found = str(error) if str(error).startswith(operation.name) else f"{operation.name}: {error}"
                remedies.setdefault(getattr(error.verdict, "remedy", ""), found)
            if isinstance(found, Violation):
                violations.append(found)
            elif found is not None:
                unsure.append(found)
            else:
                proven += 1
        unsure += [f"{item.name}: not called, there are too many" for item in declared[_MOST:]]
        await self.must_live(self.witness, await self.alive(), baseline, "after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, (*notes, *unsure))
        if unsure:
            # The first whose line is known: what no line would show keeps nobody from leaving the check out.
            remedy, first = next((item for item in remedies.items() if item[0]), (_WITHOUT, unsure[0]))
            shown = f"{proven} of {len(declared)} declared operations are proven. {first}"
            others = (item for item in unsure if item != first)
            return Inconclusive(shown, remedy, evidence, (*notes, *others))
        return Passed(
            f"{proven} operations refuse what they declare to refuse, and answer with a credential.",
            evidence,
            notes,
        )

    def _is_safe(self, operation: Operation) -> bool:
        """Whether a request changes nothing (RFC 9110 §9.2.1); a GET that ends a login does."""
        return operation.method in _SAFE and operation.name not in self.target.ending

    async def _enforced(self, operation: Operation) -> Violation | str | None:
        """Return a violation, what stayed unclear in words, or None when the operation is proven."""
        harmless = {item.create.name for item in (self.target.objects, self.target.keys) if item is not None}
        alone = "{" not in operation.path and not self._is_safe(operation) and operation.name not in harmless
        if alone and operation.method == "DELETE" and not self.scene.allow_disruptive:
            return f"{operation.name}: {_LEAVE}"
        tries = await self._ways_to_lack(operation)
        answers = [await self._sent_lacking(operation, item) for item in tries]
        try:
            control = await self._sent_with_credential(
                operation, [answer.status for answer in answers], alone=alone
            )
        except Missing:
            if alone and await self._refuses_before_it_reads(operation, answers):
                return None
            raise
        if control.judgement is not None:
            return f"{operation.name}: no usable answer to a credential ({control.why})"
        for item, answer in zip(tries, answers, strict=True):
            found = await self._judged_try(operation, item, answer, control)
            if found is not None:
                return found
        return None

    async def _refuses_before_it_reads(self, operation: Operation, answers: list[Answer]) -> bool:
        """Whether a body without what it requires shows the difference that a credential makes.

        Nothing is carried out then, so A can ask where nobody is expendable: A hears about the body, strangers
        hear what they heard before.
        """
        needs = operation.bodies and all(schema.get("required") for schema in operation.bodies.values())
        refused = all((answer.status or 0) in _REFUSED and answer.judgement is None for answer in answers)
        if not needs or not refused:
            return False
        request = operation.carrying(await self._sampled(operation), {})
        heard: list[Answer] = []
        for who, credentials in (("nobody", ()), ("a", await self._credentials_for(operation, "a"))):
            sent = request
            for credential in credentials:
                sent = sent.with_headers(*credential.headers).with_query(*credential.query)
            heard.append(
                await self.send(
                    sent,
                    label=f"control: {operation.name} as {who}, without what its body requires",
                    role=Role.CONTROL,
                    operation=operation.name,
                )
            )
        nobody, member = heard
        usual = {answer.status for answer in answers}
        return nobody.status in usual and member.status in _BAD_INPUT and member.status not in usual

    async def _judged_try(
        self, operation: Operation, item: _Try, answer: Answer, control: Answer
    ) -> Violation | str | None:
        status, name = answer.status or 0, operation.name
        if answer.judgement is not None:
            return f"{name}, {item.label}: {answer.why}"
        if answer.reply.ok or (answer.reply.soft and not control.reply.soft):
            if self._says_no(answer, control):
                return None
            self._must_share(f"{name}, {item.label}", answer, control)
            if not control.reply.ok or answer.reply.media_type != control.reply.media_type:
                return f"{name}, {item.label}: {status}, but not the kind of answer that a credential gets"
            again = await self._sent_lacking(
                operation, replace(item, label=f"again: {item.label}"), fresh=True
            )
            if not again.reply.ok:
                return f"{name}, {item.label}: {status} once, then {again.status}"
            if elsewhere := await self._said_elsewhere(again):
                return f"{name}, {item.label}: {elsewhere}"
            message = f"{name} declares a credential and answers {status} to {item.label}"
            return await self._open(operation, message, (answer, again), control)
        if 300 <= status < 400:
            sent_away = "redirect" in self.target.policy.refusals or await self._is_refused(answer)
            return None if sent_away else f"{name}, {item.label}: a redirect"
        if answer.reply.soft and answer.exchange.reply.digest != control.exchange.reply.digest:
            return None  # nobody is told something else than who is known
        same = (status, answer.exchange.reply.shape) == (control.status, control.exchange.reply.shape)
        # Words that the witness has for strangers, and that A does not hear, are a refusal all the same.
        told_apart = answer.exchange.reply.digest != control.exchange.reply.digest
        if same and not (told_apart and await self._is_refused(answer)):
            return f"{name}: {status} with a credential and without, so that nothing is shown"
        return None

    async def _said_elsewhere(self, answer: Answer) -> str:
        """Who else than the operation may have given this answer; "" for nobody.

        A single-page application has one page for whatever is not there, and for what is refused.
        """
        if by_cache(answer.reply):
            return "a cache answered in the application's place (Age)"
        path = f"{answer.request.path.rsplit('/', 1)[0]}/nothing-{self.word(12)}"
        nowhere = await self.send(
            HttpRequest("GET", path, fresh=True), label="control: an unknown path", role=Role.CONTROL
        )
        seen, other = answer.exchange.reply, nowhere.exchange.reply
        alike = (seen.status, seen.digest) == (other.status, other.digest)
        return f"{seen.status}, with what is answered where nothing is as well" if alike else ""

    async def _same_for_all(self, operation: Operation, answer: Answer, control: Answer) -> bool:
        """Whether nobody, A and B read the same there, and nothing of these two in it.

        That may be meant for everybody, the login being welcome and not needed: no description that FastAPI makes
        can say so. It may as well be a list that lost its lock.
        """
        known = [self.target.accounts[label] for label in ("a", "b") if label in self.target.accounts]
        same = answer.exchange.reply.digest == control.exchange.reply.digest
        if len(known) < len("ab") or not same or not self._is_safe(operation) or "{" in operation.path:
            return False
        if any(word in control.reply.text for who in known for word in (who.username, who.address)):
            return False
        request = await self._sampled(operation)
        for credential in await self._credentials_for(operation, "b"):
            request = request.with_headers(*credential.headers).with_query(*credential.query)
        label = f"control: {operation.name} with a credential of b"
        other = await self.send(request, label=label, role=Role.CONTROL, operation=operation.name)
        return other.exchange.reply.digest == control.exchange.reply.digest

    async def _open(
        self, operation: Operation, message: str, answers: Sequence[Answer], control: Answer
    ) -> Violation:
        """What was declared to be shut and was open; a low one where callers are still told from strangers."""
        proof = tuple(seen.exchange for seen in (*answers, control))
        name = operation.name
        if name in {item.operation.name for item in self.target.logouts} and not answers[-1].reply.text:
            # Nothing is told, and who brings no login has none that could end: the description is wrong, no more.
            return Violation(name, f"{message}; nobody's login ends by it.", Severity.LOW, proof)
        shown, granted = (members(seen.reply.shape) for seen in proof[-2:])
        if shown < granted:
            # A login that is optional, and described as demanded.
            kept = ", ".join(sorted(granted - shown)[:3])
            return Violation(name, f"{message}, without {kept}.", Severity.LOW, proof)
        if await self._same_for_all(operation, answers[-1], control):
            return Violation(name, f"{message}, {_ALIKE}", Severity.HIGH, proof)
        return Violation(name, f"{message}.", None, proof)

    async def _is_refused(self, answer: Answer) -> bool:
        """Whether strangers are answered here as they are at the witness."""
        if self.target.witness is None:
            return False
        baseline = await self.baseline(self.witness, await self.credential())
        return classify(answer.exchange.reply, baseline).outcome is Outcome.REJECTED

    def _says_no(self, answer: Answer, control: Answer) -> bool:
        """Whether a 2xx says no, as declared or seen, in words that a caller with a credential does not get."""
        shape = answer.exchange.reply.shape
        declared = "envelope" in self.target.policy.refusals and shape != control.exchange.reply.shape
        return declared or (answer.reply.soft and not control.reply.soft)

    @staticmethod
    def _must_share(what: str, answer: Answer, control: Answer) -> None:
        """Raises Unclear where a 2xx has no member of what a credential gets: it may well be a refusal."""
        shapes = [item.exchange.reply.shape for item in (answer, control)]
        said, granted = map(members, shapes)
        other_kind = bool(said) and shapes[1].startswith("[")
        if other_kind or (said and granted and not said & granted):
            raise Unclear(
                f"{what}: {answer.status}, with nothing of what a credential gets.",
                '[policy]\nrefusals = ["envelope"]  # if that is how this service refuses',
            )

    async def _ways_to_lack(self, operation: Operation) -> list[_Try]:
        alternatives = operation.security or ()
        tries = [_Try("no credential")]
        for alternative in alternatives:
            for scheme in sorted(alternative) if len(alternative) > 1 else ():
                part = await self._known_for(scheme)
                if part is not None and frozenset({scheme}) not in alternatives:
                    tries.append(_Try(f"{scheme} alone, of {' and '.join(sorted(alternative))}", (part,)))
        for scheme in sorted(set().union(*alternatives)):
            known = await self._known_for(scheme)
            if known is None:
                self.notes.append(f"{operation.name}: no credential of the scheme {scheme} is known")
            else:
                tries.append(_Try(f"a junk credential of {scheme}", (self.bland(known),)))
        return tries[:_TRIES]

    async def _sent_lacking(self, operation: Operation, item: _Try, *, fresh: bool = False) -> Answer:
        request = await self._sampled(operation)
        for credential in item.credentials:
            request = request.with_headers(*credential.headers).with_query(*credential.query)
        if fresh:
            request = replace(request, fresh=True).with_headers(("Cache-Control", "no-cache"))
        return await self.send(
            request, label=f"{operation.name} with {item.label}", role=Role.ATTACK, operation=operation.name
        )

    async def _sent_with_credential(
        self, operation: Operation, refusals: list[int | None], *, alone: bool
    ) -> Answer:
        """Send the same request with a credential: as A, or as somebody expendable where it may do harm."""
        if operation.name in {login.operation.name for login in self.target.logins}:
            account = await self._caller_of(operation)
            return (await self.try_login(account, account.password, role=Role.CONTROL))[0]
        refresh = self.target.refresh
        if refresh is not None and refresh.operation.name == operation.name:
            session = await self.log_in(await self._caller_of(operation))
            if session.refresh is not None:
                return await self.send(
                    refresh.request(session.refresh),
                    label=f"control: {operation.name} with a refresh token",
                    role=Role.CONTROL,
                    operation=operation.name,
                )
        request = await self._sampled(operation)
        if alone:
            owners: list[str | Account] = [await self._caller_of(operation)]
        else:
            owners = ["a", *(["admin"] if "admin" in self.target.accounts else [])]
        answer: Answer | None = None
        for owner in owners:
            sent = request
            for credential in await self._credentials_for(operation, owner):
                sent = sent.with_headers(*credential.headers).with_query(*credential.query)
            answer = await self.send(
                sent,
                label=f"control: {operation.name} with a credential",
                role=Role.CONTROL,
                operation=operation.name,
            )
            # One who may not use it proves something only where strangers are answered otherwise.
            if answer.reply.ok or answer.status not in refusals:
                return answer
        if answer is None:
            raise Unclear("nobody could be asked")
        return answer

    async def _credentials_for(self, operation: Operation, owner: str | Account) -> tuple[Credential, ...]:
        """Obtain credentials that meet one alternative, those of one scheme first. Raises Missing."""
        for alternative in sorted(operation.security or (), key=len):
            carriers = [self.target.carrier_of(scheme) for scheme in sorted(alternative)]
            found: list[Credential] = []
            for carrier in carriers:
                if carrier is None:
                    break
                try:
                    if isinstance(owner, str) or carrier.kind in owner.ready:
                        label = owner if isinstance(owner, str) else owner.label
                        credential = await self.credential(carrier.kind, label)
                    else:
                        credential = (await self.log_in(owner, carrier.kind)).credential
                except Missing:
                    if (instead := await self._in_its_stead(carrier.scheme, owner)) is None:
                        break
                    found.append(instead)
                    continue
                found.append(credential.moved_to(carrier))
            else:
                return tuple(found)
        raise Missing("no credential that it demands can be had")

    async def _caller_of(self, operation: Operation) -> Account:
        """Who may lose what the operation takes away: logins and logouts concern only what was made for them."""
        try:
            return await self._expendable_caller()
        except Missing:
            refresh = self.target.refresh
            own = {item.operation.name for item in self.target.logins}
            own |= {item.operation.name for item in self.target.logouts} | self.target.ending
            own |= {refresh.operation.name} if refresh is not None else set()
            if operation.name not in own:
                raise
            return self.account()

    async def _expendable_caller(self) -> Account:
        """Find an expendable account of this check that still exists. Raises Missing."""
        if Need.LOGIN in self.target.absent:
            return self._expendable_by_token()
        known: Account | None = getattr(self, "_expendable", None)
        if known is not None:
            try:
                await self.log_in(known)
            except Unclear:
                known = None
        if known is None:
            known = await self.expendable()
            self._expendable = known
        return known

    def _expendable_by_token(self) -> Account:
        """A declared one with a ready-made credential, where nobody logs in. Raises Missing."""
        found = next((account for account in self.target.expendables() if account.ready), None)
        if found is None:
            raise Missing(
                "nobody is expendable whose things it may change, and nobody logs in here.",
                '[accounts.victim]\ntoken = { env = "VICTIM_TOKEN" }\nrole = "expendable"',
            )
        return found

    async def _known_for(self, scheme: str) -> Credential | None:
        carrier = self.target.carrier_of(scheme)
        if carrier is None:
            return None
        try:
            credential = await self.credential(carrier.kind)
        except (Missing, Unclear):
            return await self._in_its_stead(scheme)
        return credential.moved_to(carrier) if credential.fits(carrier) else None

    async def _in_its_stead(self, scheme: str, owner: str | Account = "a") -> Credential | None:
        """The cookie that opens the witness, where the document calls it another scheme that nothing is issued for.

        FastAPI's `OAuth2PasswordBearer` is often derived from to read a cookie, and is declared as a header all the
        same: that is for DOC102 to say.
        """
        declared = frozenset[str]().union(*(self.witness.operation.security or ()))
        if scheme not in declared or self.target.kinds() != {Kind.COOKIE}:
            return None
        if isinstance(owner, str):
            return await self.credential(Kind.COOKIE, owner)
        return (await self.log_in(owner, Kind.COOKIE)).credential

    async def _sampled(self, operation: Operation) -> HttpRequest:
        """Make a request that the schemas allow; ids are unguessable, or of an object made for this."""
        sampler: Callable[..., HttpRequest] | None = self.scene.sampler
        if sampler is None:
            raise Missing("Requests cannot be made from the document here.", self._remedy(Need.OPENAPI))
        return sampler(operation, self.rng, path_values=await self._ids_for(operation))

    async def _ids_for(self, operation: Operation) -> Mapping[str, str] | None:
        objects = self.target.objects
        if objects is None:
            return None
        kept = {item.name for item in (objects.read, objects.update) if item is not None}
        if operation.name in kept:
            identifier = await self.scene.once("an object for the document", self._object_for_document)
        elif objects.delete is not None and operation.name == objects.delete.name:
            identifier = await self._object_for_document()
        else:
            return await above_for(self, operation, await self.credential()) or None
        return self.at(identifier) if identifier is not None else None

    async def _object_for_document(self) -> str | None:
        objects = self.target.objects
        if objects is None:
            return None
        answer = await self.call(
            objects.create, await self.credential(), label="create an object", body=dict(objects.template)
        )
        identifier = resolve(answer.reply.json, objects.identifier)
        return str(identifier) if answer.reply.ok and isinstance(identifier, (str, int)) else None
