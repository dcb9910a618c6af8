"""`must_show_no_credentials`: every body that the run was shown, read for credentials of others and stored ones."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from auth_conformance.model import (
    Expectation,
    Failed,
    Inconclusive,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.canary import leaked
from auth_conformance.oracles.material import stored_material
from auth_conformance.oracles.standing import flattened
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.holdings import told_once
from auth_conformance.probe.keylevels import records_in
from auth_conformance.probe.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from auth_conformance.credentials import Credential
    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Operation
    from auth_conformance.transports.recorder import Kept

# Operations that are called for what they show, besides what the run has seen anyhow.
MOST_READ = 20
# Records of people that A asks for.
_MOST_PEOPLE = 4
_PEOPLE = re.compile(r"user|account|people|person|member|profile", re.IGNORECASE)
# An e-mail address, or a number to call.
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+|\+?[\d ()/-]{7,20}")
# So many members of somebody's own record make another one theirs.
_RECORD = 2
# A shorter value may stand in a reply by chance.
TELLING = 12


class Minimal(Sessions):
    """Reads what others were answered."""

    async def must_show_no_credentials(self) -> Verdict:
        """No reply may hold stored credentials, or those of somebody else. Raises Missing or Unclear."""
        live = await self.credential()
        if self.target.witness is not None:
            baseline = await self.baseline(self.witness, live)
            await self.must_live(self.witness, live, baseline, "before")
        # Before A looks: what lists the logins of others has to have one to show.
        foreign = await self._credentials_of_b()
        around = await self._look_around(live)
        doubt, remedy = await self._personal_shown(live)
        if not doubt:
            doubt, remedy = await self._people_listed(around)
        passwords = self._passwords()
        own = {credential.value.reveal() for credential in await self._of("a")}
        private = await self._private_values()
        violations: list[Violation] = []
        read = 0
        for kept in self._replies():
            read += 1
            violations += self._in_reply(kept, foreign, passwords, own, private)
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(told_once(violations), evidence, notes)
        if doubt:
            return Inconclusive(doubt, remedy, evidence, notes)
        if not read:
            return Inconclusive("No reply with a body was seen.", "", evidence, notes)
        return Passed(
            f"{read} kinds of replies of this run show no stored credential, and none of somebody else.",
            evidence,
            notes,
        )

    async def _look_around(self, live: Credential) -> list[tuple[Operation, Answer]]:
        """Read what A may read, register somebody and log in: replies in which others have shown too much."""
        around = []
        for operation in [item for item in self.target.reads() if "{" not in item.path][:MOST_READ]:
            if all(not item.required for item in operation.parameters):
                answer = await self.call(operation, live, label=f"read {operation.name}", role=Role.CONTROL)
                around.append((operation, answer))
        with contextlib.suppress(Missing, Unclear):
            await self.log_in(await self.expendable())
        return around

    async def _people_listed(self, around: Sequence[tuple[Operation, Answer]]) -> tuple[str, str]:
        """A list that shows A the record of B with an address in it, and the lines that say who it is for.

        One member alone may be what others know somebody by: an author, a name on a list of guests.
        """
        if self.target.witness is None or "b" not in self.target.accounts:
            return "", ""
        policy = self.target.policy
        mine, theirs = (
            await self.facts_of(await self.credential()),
            await self.facts_of(await self.credential(owner="b")),
        )
        telling = {name: value for name, value in theirs.items() if value not in mine.values()}
        for operation, answer in around:
            if operation.name in policy.public_operations | policy.privileged_operations:
                continue
            for record in records_in(answer.reply.json) if answer.reply.ok else ():
                held = {str(value) for value in record.values()} if isinstance(record, dict) else set()
                found = sorted(name for name, value in telling.items() if value in held)
                addresses = [name for name in found if _ADDRESS.fullmatch(telling[name])]
                if len(found) < _RECORD or not set(addresses) - policy.shown_fields:
                    continue
                told = f"{operation.name} lists people to everybody: another user is shown {' and '.join(found)} of b"
                lines = f'privileged_operations = ["{operation.name}"]  # if only administrators may read it; else'
                named = ", ".join(f'"{name}"' for name in addresses)
                meant = f"shown_fields = [{named}]"
                return f"{told}, and nothing says whether that is meant.", f"[policy]\n{lines}\n{meant}"
        return "", ""

    async def _personal_shown(self, live: Credential) -> tuple[str, str]:
        """A asks for B's record as B does: what of B's addresses A is shown, and the lines that say whether it may be.

        What the policy calls private is judged with the other replies. A directory may be meant to show the rest.
        """
        if self.target.witness is None or "b" not in self.target.accounts:
            return "", ""
        other, private = await self.credential(owner="b"), self.target.policy.private_fields
        facts = await self.facts_of(other)
        personal = {
            name: value
            for name, value in facts.items()
            if _ADDRESS.fullmatch(value)
            and name not in private | self.target.policy.shown_fields
            and value != self.account("b").username
        }
        for operation in self._of_people() if personal or private else ():
            shown = await self._both_shown(operation, facts, set(personal.values()), (other, live))
            if not shown:
                continue
            found = sorted(name for name, value in personal.items() if value in shown)
            told = f"{operation.name} shows another user {' and '.join(found)} of its owner"
            listed = ", ".join(f'"{name}"' for name in found)
            lines = f"private_fields = [{listed}]  # if nobody else may see them; else"
            meant = f"shown_fields = [{listed}]"
            return f"{told}, and nothing says whether that is meant.", f"[policy]\n{lines}\n{meant}"
        return "", ""

    async def _both_shown(
        self, operation: Operation, facts: dict[str, str], values: set[str], people: Sequence[Credential]
    ) -> set[str]:
        """Those of `values` that B's record shows to B, and then to A."""
        names = operation.values_in(operation.path) or {}
        place = {name: value for name in names if (value := self.called(facts, name)) is not None}
        shown = values
        for who in people:
            label = f"{who.owner} asks for b's record"
            answer = await self.call(operation, who, label=label, role=Role.CONTROL, values=place)
            if not answer.reply.ok:
                return set()
            shown = shown & {str(value) for value in flattened(answer.reply.json).values()}
        return shown

    def _of_people(self) -> list[Operation]:
        """Operations that read one thing which a person may be: those that are named after people first."""
        objects = {item.read.name for item in (self.target.objects, *self.target.further) if item is not None}
        left_out = objects | self.target.policy.public_operations
        found: list[Operation] = [
            item
            for item in self.target.reads()
            if item.path.count("{") == 1 and item.path.endswith("}") and item.name not in left_out
        ]
        return sorted(found, key=lambda item: _PEOPLE.search(item.path) is None)[:_MOST_PEOPLE]

    async def _of(self, owner: str) -> list[Credential]:
        found = []
        for kind in self.kinds():
            with contextlib.suppress(Missing, Unclear):
                found.append(await self.credential(kind, owner))
        return found

    async def _credentials_of_b(self) -> list[Credential]:
        return [item for item in await self._of("b") if len(item.value.reveal()) >= TELLING]

    def _passwords(self) -> list[str]:
        accounts = [*self.target.accounts.values(), *(account for account, _ in self.scene.made_accounts)]
        texts = [account.password.reveal() for account in accounts if account.password is not None]
        return [text for text in dict.fromkeys(texts) if len(text) >= TELLING]

    async def _private_values(self) -> dict[str, str]:
        """Return B's values of the members that the policy calls private."""
        wanted = self.target.policy.private_fields
        if not wanted or self.target.witness is None:
            return {}
        other = await self.credential(owner="b")
        answer = await self.call(
            self.witness.operation, other, label="what is private of b?", role=Role.CONTROL
        )
        return {
            pointer.rsplit("/", 1)[-1]: str(value)
            for pointer, value in flattened(answer.reply.json).items()
            if pointer.rsplit("/", 1)[-1] in wanted and isinstance(value, (str, int)) and str(value)
        }

    def _replies(self) -> Iterator[Kept]:
        """Give the replies of the run that an application wrote: no documents, no pages, no failures."""
        for kept in self.scene.recorder.archive:
            status = kept.reply.status or 0
            document = kept.reply.json
            described = isinstance(document, dict) and ("openapi" in document or "swagger" in document)
            if (
                200 <= status < 500
                and kept.reply.body
                and not described
                and kept.reply.media_type != "text/html"
            ):
                yield kept

    def _in_reply(
        self,
        kept: Kept,
        foreign: list[Credential],
        passwords: list[str],
        own: set[str],
        private: dict[str, str],
    ) -> list[Violation]:
        request = kept.request
        body = (request.body or b"").decode("utf-8", "replace")
        sent = " ".join([request.url, *(str(value) for _, value in request.headers), body])
        text, name = kept.reply.text, kept.exchange.operation
        found: list[tuple[str, Severity]] = []
        for pointer, what in stored_material(kept.reply.json, text):
            if pointer and str(flattened(kept.reply.json)[pointer]) in sent:
                continue  # what was sent is only said again
            found.append((f"{what} stands at {pointer or 'some place'}", Severity.HIGH))
        # An error that repeats what was sent is ERR107's: here it is what a success shows of it.
        seen = [leaked(item, text) for item in passwords if item not in sent or kept.reply.ok]
        found += [(f"a password stands there {how}", Severity.HIGH) for how in seen if how is not None]
        if any(value in sent for value in own):
            found += [
                (f"a {credential.carrier.kind.value} credential of another user stands there", Severity.HIGH)
                for credential in foreign
                if credential.value.reveal() in text and credential.value.reveal() not in sent
            ]
            found += [
                (f"the private {member} of another user stands there", Severity.MEDIUM)
                for member, value in private.items()
                if value in {str(item) for item in flattened(kept.reply.json).values()} and value not in sent
            ]
        return [
            Violation(
                name, f"{name}: {what}.", severity, (kept.exchange,), _without(what, kept.exchange.number)
            )
            for what, severity in found[:3]
        ]


def _without(what: str, about: int) -> Expectation | None:
    """A sound answer to exchange number `about` has no such member; None where the place has no name."""
    _, found, pointer = what.partition(" stands at /")
    member = pointer.rpartition("/")[2]
    return Expectation("no text", value=f'"{member}"', about=about) if found else None
