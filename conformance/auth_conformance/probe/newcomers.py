"""What the document says is for administrators, read by somebody who has just registered: who that is, is known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.model import Exchange, Expectation, Role, Violation
from auth_conformance.oracles.privilege import role_word
from auth_conformance.oracles.standing import flattened
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.naming import Naming
from auth_conformance.probe.ranks import Privileged, Ranks, parameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from auth_conformance.credentials import Credential

# Operations that are asked so; each costs up to three requests.
MOST_ASKED = 8
# An id that is shorter may stand in an answer by chance.
_TELLING = 8
# Members by which somebody's own page says what they may do.
_RIGHTS = re.compile(r"role|admin|staff|superuser|privilege|permission|group", re.IGNORECASE)
_OF_PEOPLE = re.compile(
    r"/[^/]*(?:user|account|people|person|member|customer|profile)[^/]*/\{[^}]*\}", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What somebody who is no administrator was shown of other people's accounts, where the document says so."""

    item: Privileged
    told: str
    proof: tuple[Exchange, ...]
    registered: bool

    def violation(self) -> Violation:
        """As a finding."""
        return Violation(self.item.operation.name, f"{self.told}.", None, self.proof, Expectation("refused"))


class Newcomers(Ranks):
    """Asks for what is said to be for administrators as an ordinary user of whom that is certain."""

    async def shown_to_newcomers(self, items: Sequence[Privileged]) -> list[Seen]:
        """Operations that show an ordinary user the accounts of others, twice, and strangers nothing.

        Who has just registered is ordinary. A is asked for where nobody can register, and may be more.
        """
        reading = [item for item in items if item.reads][:MOST_ASKED]
        if not reading or "b" not in self.target.accounts or self.target.witness is None:
            return []
        account = await self.disposable("newcomers")
        live = (await self.log_in(account)).credential if account is not None else await self.credential()
        # Of one account, that of A is asked for; by A that of B.
        owner = "a" if account is not None else "b"
        facts = await self.facts_of(await self.credential(owner=owner))
        people = {label: await self.telling_names(label) for label in ("a", "b")}
        found = [await self._shown_to(item, live, (owner, facts), people) for item in reading]
        return [item for item in found if item is not None]

    async def telling_names(self, owner: str) -> set[str]:
        """What nobody else is called: the names of an account, and its longer identifiers."""
        account = self.account(owner)
        names = {account.username, account.address} - {""}
        return names | {
            name for name in await Naming(self.scene, self.rule).names_of(owner) if len(name) >= _TELLING
        }

    async def _shown_to(
        self,
        item: Privileged,
        live: Credential,
        subject: tuple[str, dict[str, str]],
        people: Mapping[str, set[str]],
    ) -> Seen | None:
        operation = item.operation
        values: dict[str, str] = {}
        whose = list(people)
        if names := parameters(operation):
            owner, facts = subject
            value = self.called(facts, names[0])
            if len(names) > 1 or not _OF_PEOPLE.search(operation.path) or value is None:
                return None
            values, whose = {names[0]: value}, [owner]
        registered = live.owner not in self.target.accounts
        proofs = []
        for turn in ("", "again: "):
            answer = await self.call(
                operation,
                live,
                label=f"{turn}somebody who is no administrator at {operation.name}",
                role=Role.ATTACK,
                values=values,
                fresh=bool(turn),
            )
            if not self.shows_all(answer, [people[label] for label in whose], values):
                return None
            proofs.append(answer.exchange)
        label = f"control: a stranger calls {operation.name}"
        stranger = await self.call(operation, label=label, role=Role.CONTROL, values=values)
        if stranger.judgement is not None or stranger.reply.ok:
            return None  # open to everybody: DOC101 and AUZ112 say more
        who = "somebody who has just registered" if registered else "an ordinary user"
        told = (
            f"{operation.name} ({item.because}) shows {who} what is told of {' and '.join(map(str.upper, whose))}, "
            f"and strangers get {stranger.status}"
        )
        return Seen(item, told, (stranger.exchange, *proofs), registered)

    @staticmethod
    def shows_all(answer: Answer, people: list[set[str]], sent: dict[str, str]) -> bool:
        """Whether a success names each of these people by something that was not sent."""
        if answer.judgement is not None or not answer.reply.ok or answer.reply.soft:
            return False
        plain = {str(value) for value in flattened(answer.reply.json).values()}
        return all((names - set(sent.values())) & plain for names in people)

    async def shown_as_administrator(self, live: Credential) -> str:
        """What somebody's own page says that makes them an administrator: `role: admin`; "" where nothing does."""
        answer = await self.call(self.witness.operation, live, label="what may an ordinary user do?")
        for pointer, value in flattened(answer.reply.json).items():
            member = pointer.rpartition("/")[2]
            if not _RIGHTS.search(pointer):
                continue
            if value is True and role_word([member.replace("_", " ")]) is not None:
                return f"{member}: true"
            if isinstance(value, str) and role_word([value]) is not None:
                return f"{member}: {value}"
        return ""

    async def newcomers_credentials(self, shown: str) -> dict[str, Credential]:
        """The credential of somebody who has just registered, as the one to be refused. Raises Unclear."""
        try:
            account = await self.disposable("newcomers")
        except (Missing, Unclear):
            account = None
        if account is None:
            name = self.witness.operation.name
            raise Unclear(
                f"{name} says that A is an administrator ({shown}), and nobody is known who is none.",
                '[accounts.a]  # somebody who is no administrator; whoever was a until now: role = "admin"\n'
                'username = "alice"\npassword = { env = "A_PASSWORD" }',
            )
        live = (await self.log_in(account)).credential
        self.notes.append(
            f"{self.witness.operation.name} says {shown} of A: a newcomer was sent in A's place"
        )
        return {f"a {live.carrier.kind.value} credential": live}
