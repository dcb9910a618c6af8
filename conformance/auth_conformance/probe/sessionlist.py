"""`must_show_and_end_sessions`: the list of one's logins, and what it can end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Exchange, Failed, Need, Role, Severity, Verdict, Violation
from auth_conformance.oracles.standing import flattened
from auth_conformance.probe.core import Answer, Missing, Session, Unclear
from auth_conformance.probe.holdings import NAMES, Holding, Holdings, told_once
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.target import Account, Operation, SessionManagement

# A shorter value is no credential.
TELLING = 12
MOST_VALUES = 8
# A declared limit beyond this is not tried.
MOST_LOGINS = 20


class SessionList(Holdings):
    """Opens logins of its own, lists them and ends them by what the list says."""

    async def must_show_and_end_sessions(self) -> Verdict:
        """People must see and end their logins, and only their own. Raises Missing or Unclear."""
        sessions = self.target.sessions
        if sessions is None:
            return self._none_listed()
        account = await self.disposable("session list") or self.account()
        kind = self.target.logins[0].carrier.kind
        viewer = await self._view(account, kind, [])
        ended, name, listed = await self._named(sessions, account, kind, viewer)
        kept = await self._view(account, kind, [viewer.credential, ended.credential])
        violations: list[Violation] = []
        doubts: list[str] = []
        with self.doubting(doubts):
            violations += await self._values_as_credentials(sessions, viewer)
        with self.doubting(doubts):
            violations += await self._strangers_shown(sessions, viewer, kind)
        with self.doubting(doubts):
            violations += await self._stranger_ends(sessions, viewer, kind, doubts)
        if sessions.end is None and sessions.end_all is None:
            message = f"{sessions.listing.name} lists logins, and no operation ends one."
            violations.append(Violation(sessions.listing.name, message, Severity.LOW))
        if sessions.end is not None:
            answer = await self._end(sessions.end, viewer, name, "end one login by its listed name")
            violations += await self._ended(ended, sessions.end, answer, doubts, listed)
            await self._must_be_live(kept, "after another login had ended")
        if sessions.end_all is not None and not violations:
            answer = await self.call(sessions.end_all, viewer.credential, label="end all other logins")
            if not answer.reply.ok:
                doubts.append(f"{sessions.end_all.name} ended nothing ({answer.why or answer.status})")
            else:
                violations += await self._ended(kept, sessions.end_all, answer, doubts)
        with self.doubting(doubts):
            violations += await self._administrator_ends(account, kind, doubts)
        with self.doubting(doubts):
            violations += await self._beyond_limit(sessions.listing.name, kind)
        await self._must_be_live(await self.log_in(account, kind), "at the end")
        for used in (account, self.target.accounts.get("b")):
            if used is not None and not used.expendable:
                self.forget_shared(used)
        reason = (
            f"{sessions.listing.name} shows the logins of its caller; ending them ended them, and nobody else's; "
            "what it lists is no credential."
        )
        return self.decided(told_once(violations), doubts, reason)

    def _none_listed(self) -> Verdict:
        self.must_be_for_people()
        absent = self.target.absent.get(Need.SESSION_LIST)
        if absent is None:
            raise Missing(
                "No operation is known that lists one's logins.",
                self.target.remedies.get(Need.SESSION_LIST, ""),
            )
        message = f"People cannot see or end their logins: {absent}"
        return Failed((Violation(None, message, Severity.LOW),), tuple(self.evidence))

    async def _view(self, account: Account, kind: Kind, apart: list[Credential]) -> Session:
        session = await self.sign_in(account, kind, apart)
        await self._must_be_live(session, "before")
        return session

    async def _listed(
        self, sessions: SessionManagement, session: Session, label: str
    ) -> tuple[list[dict[str, Any]], Exchange]:
        answer = await self.call(sessions.listing, session.credential, label=label, role=Role.CONTROL)
        if not answer.reply.ok:
            raise Unclear(f"{sessions.listing.name} listed nothing ({answer.why or answer.status}).")
        return _items(answer.reply.json), answer.exchange

    async def _named(
        self, sessions: SessionManagement, account: Account, kind: Kind, viewer: Session
    ) -> tuple[Session, str, Exchange]:
        """Log in once more; return that login, how the list names it (by what has been added), and the list.

        Raises Unclear.
        """
        before, _ = await self._listed(sessions, viewer, "list the logins")
        session = await self._view(account, kind, [viewer.credential])
        after, shown = await self._listed(sessions, viewer, "list the logins after another one")
        known = {str(item.get(sessions.identifier)) for item in before}
        added = [
            str(item[sessions.identifier])
            for item in after
            if item.get(sessions.identifier) is not None and str(item[sessions.identifier]) not in known
        ]
        if not added:
            raise Unclear(f"{sessions.listing.name} does not show a login that has just been made.")
        return session, added[0], shown

    async def _end(self, operation: Operation, session: Session, name: str, label: str) -> Answer:
        values = dict.fromkeys((part.split("}")[0] for part in operation.path.split("{")[1:]), name)
        return await self.call(operation, session.credential, label=label, values=values)

    async def _ended(
        self, session: Session, operation: Operation, answer: Answer, doubts: list[str], *before: Exchange
    ) -> list[Violation]:
        """Present what was ended: the credential, and its refresh token. `before` led to the ending."""
        if answer.status in (401, 403):
            doubts.append(
                f"{operation.name} asks for more than a login ({answer.status}): whether it ends one was not seen"
            )
            return []
        if not answer.reply.ok:
            doubts.append(f"{operation.name} ended nothing ({answer.why or answer.status})")
            return []
        held = [Holding(NAMES[session.credential.carrier.kind], session.credential)]
        if session.refresh is not None and self.target.refresh is not None:
            held.append(Holding("refresh token", session.credential, session.refresh))
        lived = await self.lived_on(
            held,
            f"after {operation.name} had ended its login",
            operation.name,
            doubts,
            shown=(*before, answer.exchange),
        )
        return [replace(item, severity=item.severity or Severity.HIGH) for item in lived]

    async def _values_as_credentials(self, sessions: SessionManagement, viewer: Session) -> list[Violation]:
        """Present what the list shows in place of a credential, of each kind, and of a refresh token (MIX105)."""
        listed, shown = await self._listed(sessions, viewer, "list the logins again")
        # How a login is named is presented though it is short: a number, too, may be all that it takes.
        values = [str(name) for item in listed if (name := item.get(sessions.identifier)) is not None]
        values += [
            value
            for item in listed
            for value in flattened(item).values()
            if isinstance(value, str) and len(value) >= TELLING
        ]
        values = [value for value in dict.fromkeys(values) if value and " " not in value and value.isascii()]
        if len(values) > MOST_VALUES:
            self.notes.append(
                f"of {len(values)} values in the list {MOST_VALUES} were presented as credentials"
            )
        values = values[:MOST_VALUES]
        carriers = {carrier.kind: carrier for carrier in reversed(self.target.carriers)}
        found: list[Violation] = []
        baseline = await self.baseline(self.witness, viewer.credential)
        for value in values:
            for kind, carrier in carriers.items():
                if kind is Kind.BASIC:
                    continue
                credential = replace(viewer.credential.with_value(value), carrier=carrier, companions=())
                proofs = []
                for prefix in ("", "again: "):
                    answer = await self.at_witness(
                        credential,
                        label=f"{prefix}a listed value as a {kind.value} credential",
                        role=Role.ATTACK,
                        baseline=baseline,
                        fresh=bool(prefix),
                    )
                    if not answer.accepted:
                        break
                    proofs.append(answer.exchange)
                else:
                    message = (
                        f"{sessions.listing.name} lists a value that works as a {kind.value} credential."
                    )
                    found.append(Violation(sessions.listing.name, message, Severity.HIGH, tuple(proofs)))
        return found[:1] or await self._values_as_refresh(sessions, viewer, values, shown)

    async def _values_as_refresh(
        self, sessions: SessionManagement, viewer: Session, values: list[str], shown: Exchange
    ) -> list[Violation]:
        """Present what the list shows where a refresh token is expected."""
        if self.target.refresh is None:
            self.notes.append("listed values were not presented as refresh tokens: no refresh is known")
            return []
        for value in values:
            held = Holding("listed value", viewer.credential, Secret(value))
            found = await self.presented(held, "as a refresh token")
            if found.accepted:
                message = f"{sessions.listing.name} lists a value that works as a refresh token."
                return [Violation(sessions.listing.name, message, Severity.HIGH, (shown, *found.proofs))]
            if found.unclear:
                raise Unclear(f"{found.unclear}.")
        return []

    async def _strangers_shown(
        self, sessions: SessionManagement, viewer: Session, kind: Kind
    ) -> list[Violation]:
        """Another user's new login, by the name that its owner's list gives it, must not stand in this one's list."""
        other = await self.disposable("another user") or self.target.accounts.get("b")
        if other is None or other.password is None:
            return []
        proofs: list[Exchange] = []
        for _ in range(2):
            theirs = await self._view(other, kind, [])
            before, _ = await self._listed(sessions, viewer, "list one's own logins")
            _, name, listed = await self._named(sessions, other, kind, theirs)
            after, shown = await self._listed(
                sessions, viewer, "list one's own logins once another user came"
            )
            was, now = ({str(item.get(sessions.identifier)) for item in seen} for seen in (before, after))
            if name in was or name not in now:
                return []
            proofs += [listed, shown]
        message = f"{sessions.listing.name} shows the logins of another user."
        return [Violation(sessions.listing.name, message, Severity.HIGH, tuple(proofs))]

    async def _stranger_ends(
        self, sessions: SessionManagement, viewer: Session, kind: Kind, doubts: list[str]
    ) -> list[Violation]:
        """End another user's login by its name, as this user: it must go on."""
        other = await self.disposable("another user") or self.target.accounts.get("b")
        if sessions.end is None or other is None or other.password is None:
            self.notes.append("whether one may end another's login was not seen")
            return []
        proofs = []
        for _ in range(2):
            theirs = await self._view(other, kind, [])
            session, name, listed = await self._named(sessions, other, kind, theirs)
            answer = await self._end(sessions.end, viewer, name, "end another user's login")
            after = await self._replay_once(
                self.witness, session.credential, "control: that login afterwards", Role.CONTROL
            )
            if after.accepted:
                return []
            if not after.rejected:
                doubts.append(f"another user's login, after it was to be ended: {after.why}")
                return []
            proofs += [listed, answer.exchange, after.exchange]
        message = f"{sessions.end.name} ended the login of another user."
        return [Violation(sessions.end.name, message, Severity.HIGH, tuple(proofs))]

    async def _beyond_limit(self, operation: str, kind: Kind) -> list[Violation]:
        """One login more than are meant to live: the oldest has to end, or the newest to be refused (ASVS V7.1.2)."""
        limit = self.target.policy.session_limit
        if limit is None or limit > MOST_LOGINS:
            self.notes.append(
                "how many logins one account may have is not declared"
                if limit is None
                else f"{limit} logins of one account are meant to live: too many to be opened here"
            )
            return []
        try:
            account = await self.expendable()
        except Missing as reason:
            self.notes.append(f"one login more than {limit} was not tried: {reason}")
            return []
        opened: list[Session] = []
        for number in range(limit + 1):
            try:
                opened.append(await self.sign_in(account, kind, [item.credential for item in opened]))
            except Unclear:
                if number < limit:
                    raise
        proofs: list[Exchange] = []
        for session in opened:
            answer = await self._replay_once(
                self.witness, session.credential, "is this login alive beside all others?"
            )
            if not answer.accepted:
                return []
            proofs.append(answer.exchange)
        if len(opened) <= limit:
            return []
        message = f"{len(opened)} logins of one account live at the same time; {limit} are the limit."
        logins = [session.answer.exchange for session in opened]
        return [Violation(operation, message, Severity.LOW, (*logins, *proofs[:2]))]

    async def _administrator_ends(self, account: Account, kind: Kind, doubts: list[str]) -> list[Violation]:
        users = self.target.users
        if users is None or users.end_sessions is None or "admin" not in self.target.accounts:
            self.notes.append("whether an administrator can end a user's logins was not seen")
            return []
        session = await self._view(account, kind, [])
        facts = await self.facts_of(session.credential)
        answer = await self.as_administrator(
            users.end_sessions, facts, "an administrator ends the user's logins"
        )
        return await self._ended(session, users.end_sessions.operation, answer, doubts)


def _items(document: object) -> list[dict[str, Any]]:
    if isinstance(document, list):
        return [item for item in document if isinstance(item, dict)]
    if isinstance(document, dict):
        lists = [value for value in document.values() if isinstance(value, list)]
        return _items(lists[0]) if len(lists) == 1 else []
    return []
