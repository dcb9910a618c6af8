"""Those who hold no valid credential, or not all that is demanded: nothing may be served to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.model import Outcome, Role, Rule, Severity
from auth_conformance.oracles.entry import Baseline, classify
from auth_conformance.oracles.normalise import same_structure
from auth_fuzz import rules
from auth_fuzz.operations.dressing import Dressing
from auth_fuzz.operations.forging import Forgery, forgeries
from auth_fuzz.operations.ground import SAFE, Ground

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.probe import Answer
    from auth_conformance.transports.message import HttpRequest

# A request as it is.
_PLAIN = Dressing("")
# How often a dressed request carries a meaningless credential: a guard may begin where there is one.
_WITH_ONE = 0.25


class Strangers(Ground):
    """Attacks without a credential, with a wrong one, a forged one, and a part of what is demanded."""

    async def _as_stranger(
        self,
        request: HttpRequest,
        good: Answer,
        credentials: tuple[Credential, ...],
        label: str,
        rule: Rule,
        *,
        odd: bool = False,
        dressed: Dressing = _PLAIN,
        severity: Severity | None = None,
    ) -> None:
        """Somebody without a valid credential sends the same request: it must not be served."""
        if self.ledger.found(rule, self.operation.name):
            return  # told already
        mine = dressed(await self._fresh(request))
        answer = await self._send(mine, credentials, label)
        if not credentials and self._anonymous is None:
            self._anonymous = answer
        if answer.outcome is Outcome.CRASHED and dressed is _PLAIN:
            await self._crashed(mine, credentials, answer, odd=odd)
            return
        if answer.outcome is not None:
            return
        shown = self._shows(answer, self._caller)
        if not self._let_in(answer, good, with_credential=bool(credentials)) and not shown:
            self.ledger.tried(rule, answer.exchange)
            if odd:
                self.ledger.tried(rules.CRASH, answer.exchange)
            return
        again = await self._send(
            dressed(await self._fresh(request)), credentials, f"again: {label}", fresh=True
        )
        if not (
            self._let_in(again, good, with_credential=bool(credentials)) or self._shows(again, self._caller)
        ):
            return
        if again.reply.header("age") is not None:
            return
        what = "what only its owner may see" if shown else f"as it serves {self._who()}"
        self._broken(
            rule,
            f"{self.operation.name} serves {label} ({answer.status}), {what}.",
            (good, answer, again),
            severity,
        )

    def _let_in(self, answer: Answer, good: Answer, *, with_credential: bool) -> bool:
        """Whether a stranger got what the live credential gets, at an operation that demands one."""
        if not self._guarded or not answer.reply.ok:
            return False
        if not with_credential or self._anonymous is None:
            return self._same_kind(answer, good)
        return (
            classify(
                answer.exchange.reply,
                Baseline(
                    good.exchange.reply,
                    self._anonymous.exchange.reply,
                    accepted_refusals=self.searcher.target.policy.refusals,
                    canonical=self.world.canonical,
                ),
            ).outcome
            is Outcome.ACCEPTED
        )

    def _same_kind(self, answer: Answer, good: Answer) -> bool:
        seen, served, refusal = answer.exchange.reply, good.exchange.reply, self.world.canonical
        if (
            "envelope" in self.searcher.target.policy.refusals
            and refusal is not None
            and refusal.shape == seen.shape
        ):
            return False
        return (seen.status, seen.media_type) == (served.status, served.media_type) and same_structure(
            seen.shape, served.shape
        )

    async def _crashed(
        self, request: HttpRequest, credentials: tuple[Credential, ...], answer: Answer, *, odd: bool
    ) -> None:
        """A crash that only the credential can have caused: the live one does not crash, this one does again."""
        control = await self._send(
            await self._fresh(request), self._live(), f"control: {self._who()}", Role.CONTROL
        )
        if control.outcome is Outcome.CRASHED:
            return
        again = await self._send(request, credentials, f"again: {answer.exchange.label}", fresh=True)
        if again.outcome is Outcome.CRASHED:
            kind = "a malformed" if odd else "a wrong"
            got = f"{self.operation.name} answers {answer.status or 'nothing'}"
            message = f"{got} to {kind} credential: {answer.exchange.label}."
            self._broken(rules.CRASH, message, (control, answer, again))

    async def _dressed(self, request: HttpRequest, live: tuple[Credential, ...], good: Answer) -> None:
        """Nobody, or somebody with a meaningless credential, whose request wears what guards may be careless about."""
        if self._anonymous is None or self.operation.name in self.world.exercised:
            return
        dressing = self.world.wardrobe.one(self.operation)
        wrong = tuple(self.searcher.bland(item) for item in live) if self._rng.random() < _WITH_ONE else ()
        if dressing.parts:
            wrong, dressing = (), await self._what_counts(request, good, dressing)
        label = f"{'a meaningless' if wrong else 'no'} credential with {dressing.says}"
        await self._as_stranger(request, good, wrong, label, rules.STRANGER, dressed=dressing)

    async def _what_counts(self, request: HttpRequest, good: Answer, dressing: Dressing) -> Dressing:
        """The piece that lets a stranger in, where all pieces together do; else all of them."""
        for item in (dressing, *dressing.parts):
            answer = await self._send(item(await self._fresh(request)), (), f"no credential with {item.says}")
            inside = answer.outcome is None and self._let_in(answer, good, with_credential=False)
            if inside and item is not dressing:
                return item
            if not inside and item is dressing:
                break
        return dressing

    async def _forged(self, request: HttpRequest, live: tuple[Credential, ...], good: Answer) -> None:
        if not live:
            return
        leg = self._rng.randrange(len(live))
        other = self.world.b.credentials.get(live[leg].carrier.kind) if self.world.b is not None else None
        choice = self._deal(forgeries(live[leg], self._rng, other), str(live[leg].carrier))
        presented = (*live[:leg], choice.credential, *live[leg + 1 :])
        await self._as_stranger(
            request, good, presented, choice.label, rules.FORGED, odd=choice.odd, severity=choice.severity
        )

    async def _ended(self, request: HttpRequest, good: Answer) -> None:
        """What was ended, and what is no credential here: the witness refuses it, and so must every operation."""
        declared = {scheme for alternative in self.operation.security or () for scheme in alternative}
        carriers = map(self.searcher.target.carrier_of, declared)
        taken = {(item.place, item.name.lower()) for item in carriers if item is not None}
        for label, credential in self.world.ended:
            if not taken or (credential.carrier.place, credential.carrier.name.lower()) in taken:
                await self._as_stranger(request, good, (credential,), label, rules.FORGED)

    def _deal(self, made: list[Forgery], way: str) -> Forgery:
        """A forgery that was not sent here before by that way, until all have been; the sharp ones come first."""
        known = {item.label: item for item in made}
        for odd in (False, True):
            pending = self._dealt.get((way, odd))
            if pending is None:
                pending = [item.label for item in made if item.odd is odd]
                self._rng.shuffle(pending)
                # The last is sent first; what is slight to let in ends the search here as well.
                slight = {item.label for item in made if item.severity is not None}
                pending.sort(key=lambda label: label not in slight)
                self._dealt[way, odd] = pending
            while pending:
                label = pending.pop()
                if label in known:
                    return known[label]
        del self._dealt[way, False], self._dealt[way, True]
        return self._rng.choice(made)

    async def _refused_everywhere(self, request: HttpRequest, live: tuple[Credential, ...]) -> None:
        """Nobody is served: wrong credentials must at least be refused in an orderly way."""
        wrong = [self.searcher.bland(item) for item in live]
        if live:
            wrong.append(self._rng.choice(forgeries(live[0], self._rng)).credential)
        for item in wrong[:2]:
            answer = await self._send(request, (item,), "a wrong credential")
            if answer.outcome is Outcome.CRASHED:
                await self._crashed(request, (item,), answer, odd=True)

    # What the document declares.

    async def _alternatives(self, request: HttpRequest, good: Answer) -> None:
        """Each declared alternative works by itself; a leg of a combined one does not."""
        if self._joined:
            return  # the document is known to say less than is asked for
        singles = {frozenset(item) for item in self.operation.security or () if len(item) == 1}
        for alternative in self.operation.security or ():
            held = self.world.holding(self._caller, alternative)
            if held is None or not alternative:
                continue
            if len(alternative) > 1:
                for number, scheme in enumerate(sorted(alternative)):
                    if frozenset({scheme}) not in singles:
                        await self._as_stranger(
                            request, good, (held[number],), f"{scheme} alone", rules.ALTERNATIVE
                        )
            elif self.operation.method in SAFE and not self.operation.scopes:
                await self._declared(request, good, held, next(iter(alternative)))

    async def _declared(
        self, request: HttpRequest, good: Answer, held: tuple[Credential, ...], scheme: str
    ) -> None:
        answer = await self._send(request, held, f"{self._caller.label} by {scheme} alone", Role.CONTROL)
        if answer.status != 401:
            self.ledger.tried(rules.ALTERNATIVE, answer.exchange)
            return
        alive = await self.searcher.ask_witness(held[0], f"control: the {scheme} credential lives")
        again = await self._send(request, held, f"again: by {scheme} alone", fresh=True)
        if alive.reply.ok and again.status == 401:
            message = f"{self.operation.name} declares {scheme} as enough, and refuses it (401)."
            self._broken(rules.ALTERNATIVE, message, (good, alive, answer, again), Severity.LOW)
