"""Credential grammars at the witness: Hypothesis searches for what is let in, and shrinks it to its core."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, HypothesisException, StopTest

from auth_conformance.credentials import Credential, Jwt, Kind, SigningKey
from auth_conformance.model import Need, Outcome, Role, Rule, Severity, Violation
from auth_conformance.probe import Attempt, Missing
from auth_fuzz import rules
from auth_fuzz.bridge import HaltedError, OverError
from auth_fuzz.health import HEALTH
from auth_fuzz.strategies import (
    Attack,
    Material,
    authorization_attacks,
    basic_attacks,
    cookie_attacks,
    key_attacks,
    likely_attacks,
    token_attacks,
)
from auth_fuzz.strategies.jws import VALUES

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.probe import Answer
    from auth_conformance.target import Target
    from auth_fuzz.bridge import Bridge
    from auth_fuzz.budget import Budget
    from auth_fuzz.ledger import Ledger
    from auth_fuzz.world import World

Grammar = Callable[[Material], "SearchStrategy[Attack]"]
# The grammar of a kind of credential, and which rule a counterexample breaks.
GRAMMARS: dict[tuple[Kind, Rule], Grammar] = {
    (Kind.BEARER, rules.JWS): token_attacks,
    (Kind.BEARER, rules.HEADER): authorization_attacks,
    (Kind.KEY, rules.KEYS): key_attacks,
    (Kind.COOKIE, rules.COOKIES): cookie_attacks,
    (Kind.BASIC, rules.HEADER): basic_attacks,
}


# What the configuration must make known for a kind of credential to be there.
_NEEDS = {
    Kind.BEARER: Need.BEARER,
    Kind.KEY: Need.API_KEY,
    Kind.COOKIE: Need.COOKIE,
    Kind.BASIC: Need.LOGIN,
}
# What is written where discovery has no line: a ready-made credential, or the login that gives one.
_GIVEN = {
    Kind.BEARER: '[accounts.a]\ntoken = { env = "A_TOKEN" }',
    Kind.KEY: '[accounts.a]\nkey = { env = "A_KEY" }',
    Kind.COOKIE: '[accounts.a]\ncookie = { env = "A_COOKIE" }',
    Kind.BASIC: '[accounts.a]\nusername = "alice"\npassword = { env = "A_PASSWORD" }',
}
# A grammar passes when so many of its attacks were refused, and no sooner.
LEAST_ATTACKS = 25
# While there is budget a search that found nothing begins again, with other chance, so often in all.
_ROUNDS = 5
# So many draws ask for the constants of local code at least once.
_DRAWS = 100
# Longest time, in seconds, to shrink a counterexample; as that and most requests, to send it twice more.
_SHRINKING = 30.0
_SETTLING = (10.0, 20)


class FoundError(Exception):
    """The search's counterexample; Hypothesis shrinks what raises it."""


class GrammarSearch:
    """Searches one grammar for an attack that is let in."""

    def __init__(self, world: World, ledger: Ledger, bridge: Bridge, *, seed: int, budget: Budget) -> None:
        self.world, self.ledger, self.bridge = world, ledger, bridge
        self.searcher = world.searcher
        self._seed, self._budget = seed, budget
        self._crash: tuple[Attack, Answer] | None = None
        self._best: tuple[Attack, Answer] | None = None
        self._slight_known = False

    def run(self, kind: Kind, rule: Rule, grammar: Grammar) -> None:
        """Search, and settle what was found. Blocks: for a thread of its own. Raises Unclear, HaltedError."""
        live = self.world.a.credentials[kind]
        baseline = self.bridge.run(self._learn(live))
        if baseline is None:
            return
        material = Material(
            live,
            self.world.b.credentials.get(kind) if self.world.b is not None else None,
            self._key(live.jwt),
            self.world.scene.recorder.clock.now(),
            self.searcher.target.policy.leeway,
        )
        strategy = grammar(material)
        deadline, quota = self.bridge.deadline, self.bridge.quota
        slight: tuple[Attack, Answer] | None = None
        entry = self.ledger.of(rule)
        entry.least, entry.remedy = LEAST_ATTACKS, 'fuzz_budget = "5m"  # or --fuzz-budget 5m'
        for turn in range(_ROUNDS + 1):
            if self._best is None and not self.bridge.spent:
                if not turn and rule is not rules.HEADER:
                    self._try_likely(rule, likely_attacks(material), baseline)
                    self._elsewhere(rule, material, baseline)
                elif turn:
                    self._search(rule, strategy, baseline, self._seed + turn - 1)
            if self._best is not None and self._best[0].severity is Severity.LOW and slight is None:
                # What many libraries let in must not hide what is graver: the search goes on without it.
                slight, self._best, self._slight_known = self._best, None, True
                self.bridge.resume(deadline, quota - self.bridge.sent())
        self._best = self._best or slight
        if self._best is not None:
            # What was found is settled even when the search's budget is used up: it takes four requests.
            self.bridge.resume(time.monotonic() + _SETTLING[0], _SETTLING[1])
            self.bridge.run(self._settle(rule, self._best[0], live, baseline))
        elif self._crash is not None and not self.bridge.spent:
            self.bridge.run(self._settle_crash(self._crash[0], live, baseline))
        if not self.bridge.spent:
            self.bridge.run(self._lives(live, baseline))

    def _key(self, token: Jwt | None) -> SigningKey | None:
        keys = self.searcher.target.signing_keys
        return next((key for key in keys if token is not None and key.verifies(token)), None)

    async def _learn(self, live: Credential) -> Baseline | None:
        """The controls: the live credential gets in, a meaningless one does not. Raises Unclear."""
        self.searcher.forget()
        witness = self.searcher.witness
        baseline = await self.searcher.baseline(witness, live)
        await self.searcher.must_live(witness, live, baseline, "before")
        bland = Attempt("control: a meaningless credential", self.searcher.bland(live))
        answer = await self.searcher.attempt(witness, bland, baseline, role=Role.CONTROL)
        if answer.accepted:
            self.ledger.absent("a meaningless credential is accepted already: no grammar can add to that")
            return None
        return baseline

    async def _lives(self, live: Credential, baseline: Baseline) -> None:
        await self.searcher.must_live(self.searcher.witness, live, baseline, "after")

    def _search(self, rule: Rule, strategy: SearchStrategy[Attack], baseline: Baseline, chance: int) -> None:
        @seed(chance)
        @settings(
            max_examples=self._budget.examples,
            database=None,
            deadline=None,
            derandomize=False,
            verbosity=Verbosity.quiet,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=HEALTH,
            report_multiple_bugs=False,
            print_blob=False,
        )
        @given(strategy)
        def attack_is_refused(attack: Attack) -> None:
            if self.bridge.spent:
                raise OverError
            self._try(rule, attack, baseline)

        try:
            attack_is_refused()
        except (FoundError, Flaky, HypothesisException, StopTest, OverError):
            # What was found is kept; a search that its budget cut short looks flaky to Hypothesis.
            return

    def _try_likely(self, rule: Rule, attacks: Sequence[Attack], baseline: Baseline) -> None:
        """Begin with what careless readers let in most often: a budget that is cut short has tried at least that."""
        try:
            for attack in attacks:
                self._try(rule, attack, baseline)
        except (FoundError, HaltedError):
            return  # what was found is kept

    def _elsewhere(self, rule: Rule, material: Material, baseline: Baseline) -> None:
        """The same in every other place that takes such a credential: other code may read it there."""
        live = material.live
        for carrier in self.searcher.target.carriers:
            if carrier.kind is not live.carrier.kind or carrier == live.carrier or self._best is not None:
                continue
            moved = live.moved_to(carrier)
            there = Attack(f"control: the live credential in {carrier}", moved.headers, moved.query)
            try:
                let_in = self.bridge.run(self._present(there, baseline)).accepted
            except HaltedError:
                return
            if let_in:
                self._try_likely(rule, likely_attacks(replace(material, live=moved)), baseline)

    def _try(self, rule: Rule, attack: Attack, baseline: Baseline) -> None:
        answer = self.bridge.run(self._present(attack, baseline))
        known = self._slight_known and attack.severity is Severity.LOW
        if answer.accepted and not attack.lawful and not known:
            if self._best is None:
                self.bridge.shorten(_SHRINKING, self._budget.shrinking)
            self._best = attack, answer
            raise FoundError(attack.says)
        if answer.outcome is Outcome.CRASHED:
            self._crash = attack, answer
        elif answer.rejected:
            self.ledger.tried(rule, answer.exchange)

    async def _present(
        self, attack: Attack, baseline: Baseline, *, fresh: bool = False, label: str = ""
    ) -> Answer:
        self.searcher.forget()
        attempt = Attempt(label or attack.says, None, attack.headers, attack.query)
        return await self.searcher.attempt(self.searcher.witness, attempt, baseline, fresh=fresh)

    async def _settle(self, rule: Rule, attack: Attack, live: Credential, baseline: Baseline) -> None:
        """Report the shrunk attack if it gets in twice more, between two live controls."""
        witness = self.searcher.witness
        before = await self.searcher.must_live(witness, live, baseline, "before")
        first = await self._present(attack, baseline)
        again = await self._present(attack, baseline, fresh=True, label=f"again: {attack.says}")
        await self.searcher.must_live(witness, live, baseline, "after")
        if not first.accepted or not again.accepted or again.reply.header("age") is not None:
            return
        message = f"{witness.operation.name} let in {attack.says} ({first.why})."
        evidence = (before.exchange, first.exchange, again.exchange)
        self.ledger.broken(rule, Violation(witness.operation.name, message, attack.severity, evidence))

    async def _settle_crash(self, attack: Attack, live: Credential, baseline: Baseline) -> None:
        witness = self.searcher.witness
        before = await self.searcher.must_live(witness, live, baseline, "before")
        first = await self._present(attack, baseline)
        again = await self._present(attack, baseline, fresh=True, label=f"again: {attack.says}")
        if first.outcome is Outcome.CRASHED and again.outcome is Outcome.CRASHED:
            message = f"{witness.operation.name} answers {first.status or 'nothing'} to {attack.says}."
            exchanges = (before.exchange, replace(first.exchange), again.exchange)
            self.ledger.broken(rules.CRASH, Violation(witness.operation.name, message, None, exchanges))


def warm_up() -> None:
    """Let Hypothesis build its tables of characters and read the constants of local code. Blocks.

    Both take seconds, once; the second only when a draw in twenty asks for it, and then in the midst of a search.
    """

    @settings(max_examples=_DRAWS, database=None, deadline=None, suppress_health_check=HEALTH)
    @seed(0)
    @given(VALUES, st.integers(), st.text(st.characters(min_codepoint=33, max_codepoint=126)))
    def nothing(_value: object, _number: int, _text: str) -> None:
        return

    nothing()


def search_grammar(  # noqa: PLR0917 - what every search takes
    world: World, ledger: Ledger, bridge: Bridge, kind: Kind, rule: Rule, seed: int, budget: Budget
) -> None:
    """Search the grammar of a kind of credential. Blocks. Raises Missing where none is known."""
    if kind not in world.a.credentials:
        raise missing(kind, world.target)
    GrammarSearch(world, ledger, bridge, seed=seed, budget=budget).run(kind, rule, GRAMMARS[kind, rule])


def missing(kind: Kind, target: Target) -> Missing:
    """Why there is no credential of that kind: the service has none, or a line would make one known."""
    declared = any(carrier.kind is kind for carrier in target.carriers)
    absent = target.absent.get(_NEEDS[kind], "")
    if kind is Kind.BASIC and not declared and target.has_document:
        absent = "no HTTP Basic is declared."
    if absent:
        return Missing(f"Not applicable: {absent}", applicable=False)
    remedy = target.remedies.get(_NEEDS[kind]) or target.remedies.get(Need.LOGIN) or _GIVEN[kind]
    return Missing(f"no {kind.value} credential is known", remedy)
