"""`must_be_one_principal`: one user is the same, with the same rights, by every scheme (checklist MIX102)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Exchange, Failed, Inconclusive, Passed, Role, Verdict, Violation
from auth_conformance.oracles.canary import leaked
from auth_conformance.oracles.pointer import strings
from auth_conformance.oracles.privilege import role_word
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.holdings import Holding, Holdings
from auth_conformance.probe.objects import object_of
from auth_conformance.probe.schemes import declares
from auth_conformance.probe.ways import Ways

if TYPE_CHECKING:
    from auth_conformance.target import Operation

# Members of a profile that say how the caller came in, not who they are.
_HOW = (
    "auth",
    "scheme",
    "method",
    "credential",
    "session",
    "scope",
    "last",
    "expires",
    "issued",
    "token",
    "ip",
)
MOST_GUARDED = 3


@dataclass(frozen=True, slots=True)
class Cell:
    """What one scheme got at one question: `in` twice, `refused`, or unclear (None)."""

    kind: Kind
    let_in: bool | None
    told: str
    exchange: Exchange


class Principals(Holdings):
    """Asks the same questions by every scheme."""

    async def must_be_one_principal(self) -> Verdict:
        """Identity, own objects, others' objects, privileges and state are the same by all schemes."""
        ways = Ways(self)
        lives = await self._one_per_scheme(ways)
        if len(lives) < 2:
            raise ways.too_few(" of A")
        violations: list[Violation] = []
        doubts: list[str] = []
        for what, operation, values in await self._questions_to_all(lives):
            cells = [await self._cell(live, operation, values, what) for live in lives]
            fault = await self._unequal(what, operation, cells, lives, values)
            violations += [fault] if fault else []
            doubts += [
                f"{what} by {cell.kind.value}: no clear answer" for cell in cells if cell.let_in is None
            ]
        violations += await self._lists(lives, doubts)
        violations += await self._named_apart(lives, doubts)
        violations += await self._after_disabling(doubts)
        for live in lives:
            await self.must_live(self.witness, live, await self.baseline(self.witness, live), "after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, (*notes, *doubts))
        if doubts:
            return Inconclusive(doubts[0], "", evidence, notes)
        kinds = ", ".join(live.carrier.kind.value for live in lives)
        reason = f"A is one principal by {kinds}: same identity, same rights, same state."
        return ways.settled(Passed(reason, evidence, notes))

    async def _one_per_scheme(self, ways: Ways) -> list[Credential]:
        found = []
        for kind in self.kinds():
            try:
                live = await self.credential(kind)
                baseline = await self.baseline(self.witness, live)
                await self.must_live(self.witness, live, baseline, "before")
            except (Missing, Unclear) as reason:
                ways.closed(kind.value, reason)
                continue
            found.append(live)
        return found

    async def _named_apart(self, lives: list[Credential], doubts: list[str]) -> list[Violation]:
        """Whether the schemes are told to be different people, twice."""
        first = self._identities(await self._profiles(lives, doubts))
        again = self._identities(await self._profiles(lives, doubts)) if first else []
        return [
            replace(one, evidence=(*one.evidence, *other.evidence))
            for one, other in zip(first, again, strict=False)
        ]

    async def _profiles(
        self, lives: list[Credential], doubts: list[str]
    ) -> list[tuple[Kind, dict[str, str], Exchange]]:
        """What the witness says of each; an answer in its place that is no profile names nobody, and is a doubt."""
        found = []
        for live in lives:
            answer = await self.call(self.witness.operation, live, label="the profile", role=Role.ATTACK)
            if not answer.granted:
                doubts.append(
                    f"the profile by {live.carrier.kind.value}: no clear answer ({answer.why or answer.status})"
                )
                continue
            facts = {
                pointer: str(value)
                for pointer, value in strings(answer.reply.json).items()
                if not any(word in pointer.rpartition("/")[2].lower() for word in _HOW)
            }
            found.append((live.carrier.kind, facts, answer.exchange))
        return found

    def _identities(self, profiles: list[tuple[Kind, dict[str, str], Exchange]]) -> list[Violation]:
        """Who the service says it is, whole: what names the scheme is left out."""
        if not profiles:
            return []
        first_kind, first, proof = profiles[0]
        for kind, facts, exchange in profiles[1:]:
            other = sorted(key for key in first.keys() | facts.keys() if first.get(key) != facts.get(key))
            identity = self.witness.identity
            if identity in other or (other and len(other) == len(first)):
                name = self.witness.operation.name
                message = f"{name} names another user by {kind.value} than by {first_kind.value} ({other[0]} differs)."
                return [Violation(name, message, None, (proof, exchange))]
            if other:
                self.notes.append(f"the profile differs by {kind.value} in {', '.join(other[:4])}")
        return []

    async def _questions_to_all(self, lives: list[Credential]) -> list[tuple[str, Operation, dict[str, str]]]:
        """Operations that all schemes are declared for: B's object, the list of one's own, and what is guarded."""
        found: list[tuple[str, Operation, dict[str, str]]] = []
        objects = self.target.objects
        if objects is not None:
            try:
                number = await object_of(self, "b")
                found.append(("the object of B", objects.read, self.at(number)))
            except (Missing, Unclear) as reason:
                self.notes.append(f"no object of B: {reason}")
        declared = self.target.policy.privileged_operations
        guarded = [
            operation
            for operation in self.target.reads()
            if "{" not in operation.path
            and operation.name not in self.target.policy.public_operations
            and (operation.name in declared or role_word([operation.path, operation.operation_id]))
        ]
        found += [("an operation for administrators", item, {}) for item in guarded[:MOST_GUARDED]]
        return [item for item in found if all(declares(item[1], live.carrier) for live in lives)]

    async def _lists(self, lives: list[Credential], doubts: list[str]) -> list[Violation]:
        """The list of one's objects by each scheme: what one leaves out of B's, the others must, too.

        A list that shows B's objects by every scheme is AUZ103's, and may be meant.
        """
        objects = self.target.objects
        if objects is None or objects.listing is None:
            return []
        listing, canary = objects.listing, self.canary()
        if not all(declares(listing, live.carrier) for live in lives):
            return []
        try:
            await object_of(self, "b", canary)
        except (Missing, Unclear) as reason:
            self.notes.append(f"no object of B for the list: {reason}")
            return []

        async def listed(live: Credential, again: str = "") -> Answer:
            label = f"{again}the list by {live.carrier.kind.value}"
            return await self.call(listing, live, label=label, role=Role.ATTACK, fresh=bool(again))

        answers = [(live, await listed(live)) for live in lives]
        doubts += [answer.why for _, answer in answers if answer.judgement is not None]
        telling = [(live, item) for live, item in answers if leaked(canary, item.reply.text) is not None]
        silent = [
            (live, item)
            for live, item in answers
            if item.reply.ok and leaked(canary, item.reply.text) is None
        ]
        if not telling or not silent:
            return []
        if all(live.carrier.kind is Kind.KEY for live, _ in silent) and not any(
            live.carrier.kind is Kind.KEY for live, _ in telling
        ):
            self.notes.append(f"{listing.name} lists A's own to a key and more to a login: it may do less")
            return []
        again = await listed(telling[0][0], "again: ")
        quiet = await listed(silent[0][0], "again: ")
        if leaked(canary, again.reply.text) is None or leaked(canary, quiet.reply.text) is not None:
            doubts.append(f"{listing.name} listed objects of B by one scheme and not by another, once")
            return []
        by, besides = telling[0][0].carrier.kind.value, silent[0][0].carrier.kind.value
        message = f"{listing.name} lists objects of B to A by {by}, and only A's own by {besides}."
        proof = (silent[0][1].exchange, telling[0][1].exchange, again.exchange, quiet.exchange)
        return [Violation(listing.name, message, None, proof)]

    async def _cell(
        self, live: Credential, operation: Operation, values: dict[str, str], what: str, again: str = ""
    ) -> Cell:
        answer: Answer = await self.call(
            operation,
            live,
            label=f"{again}{what} by {live.carrier.kind.value}",
            role=Role.ATTACK,
            values=values,
            fresh=bool(again),
        )
        clear = answer.judgement is None and answer.status is not None
        let_in = answer.reply.ok if clear and answer.status not in range(300, 400) else None
        return Cell(live.carrier.kind, let_in, str(answer.status), answer.exchange)

    async def _unequal(
        self,
        what: str,
        operation: Operation,
        cells: list[Cell],
        lives: list[Credential],
        values: dict[str, str],
    ) -> Violation | None:
        """One scheme gets in where another is refused: twice, or it is no proof."""
        taken = [cell for cell in cells if cell.let_in]
        refused = [cell for cell in cells if cell.let_in is False]
        if not taken or not refused:
            return None
        if less := _may_do_less(taken, refused, operation):
            self.notes.append(f"{what} is refused to A by {less} ({refused[0].told}): it may do less")
            return None
        proof = [taken[0].exchange, refused[0].exchange]
        for cell, wanted in ((taken[0], True), (refused[0], False)):
            live = next(item for item in lives if item.carrier.kind is cell.kind)
            again = await self._cell(live, operation, values, what, "again: ")
            if again.let_in is not wanted:
                return None
            proof.append(again.exchange)
        message = (
            f"{operation.name} gives {what} to A by {taken[0].kind.value} ({taken[0].told}), and refuses it by "
            f"{refused[0].kind.value} ({refused[0].told})."
        )
        return Violation(operation.name, message, None, tuple(proof))

    async def _after_disabling(self, doubts: list[str]) -> list[Violation]:
        """A disabled account is shut out by every scheme or by none; the second is LIF104's."""
        users = self.target.users
        if users is None or users.disable is None or "admin" not in self.target.accounts:
            self.notes.append(
                "the state of the account was not compared: nobody is known who can disable one"
            )
            return []
        try:
            held = await self.holdings(await self.expendable())
            facts = await self.facts_of(held[0].credential)
            answer = await self.as_administrator(
                users.disable, facts, "an administrator disables the account"
            )
        except (Missing, Unclear) as reason:
            self.notes.append(f"the state of the account was not compared: {reason}")
            return []
        if not answer.reply.ok:
            self.notes.append(f"{users.disable.operation.name} disabled nobody ({answer.status})")
            return []
        alive: list[Holding] = []
        dead: list[str] = []
        proof = [answer.exchange]
        for holding in (item for item in held if item.refresh is None):
            found = await self.presented(holding, "of the disabled account")
            if found.unclear:
                doubts.append(found.unclear)
            if found.accepted:
                alive.append(holding)
            else:
                dead.append(holding.name)
            proof += found.proofs
        if not alive or not dead:
            if alive:
                self.notes.append("a disabled account gets in by every scheme: LIF104 says more")
            return []
        # Where the account ends a moment later, whatever was asked first got in.
        again = [await self.presented(item, "of the disabled account, once more") for item in alive]
        if not all(found.accepted for found in again):
            doubts.append(
                f"what {users.disable.operation.name} ends goes on for a moment: the schemes were not compared"
            )
            return []
        proof += [item for found in again for item in found.proofs]
        message = (
            f"After {users.disable.operation.name} a disabled account gets in by "
            f"{' and '.join(item.name for item in alive)}, and not by "
            f"{' and '.join(dead)}."
        )
        return [Violation(self.witness.operation.name, message, None, tuple(proof))]


def _may_do_less(taken: list[Cell], refused: list[Cell], operation: Operation) -> str:
    """By what A is refused that has a reason for it, in words: a key beside a login, or a scope; "" without one.

    RFC 6750 §3.1: 403 says that the scope is missing. Who is let in by the key and refused by the login has none.
    """
    keys_only = all(cell.kind is Kind.KEY for cell in refused)
    scoped = bool(operation.scopes) and all(cell.told == "403" for cell in refused)
    by_login = not any(cell.kind is Kind.KEY for cell in taken)
    return refused[0].kind.value if by_login and (keys_only or scoped) else ""
