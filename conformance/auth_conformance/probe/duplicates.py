"""`must_not_follow_planted_cookie`: two cookies of the session's name in one request (checklist SES113)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import Inconclusive, Passed, Role, Verdict, Violation
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.cookies import SetCookie, write_cookie
from auth_conformance.probe.refusal import Attempt, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth_conformance.credentials import Credential
    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.probe.core import Answer


class Duplicates(Refusal):
    """Sends what a browser sends when another host of the site has planted a cookie."""

    async def must_not_follow_planted_cookie(self) -> Verdict:
        """Refuse two session cookies of different people; a `__Host-` name cannot be planted at all.

        Raises Missing or Unclear.
        """
        live = await self.credential(Kind.COOKIE)
        theirs = await self.credential(Kind.COOKIE, "b")
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, "before")
        bland = await self.attempt(
            self.witness, Attempt("control: a bland wrong cookie", self.bland(live)), baseline
        )
        if not bland.rejected:
            return Inconclusive(f"A bland wrong cookie was not clearly refused: {bland.why}.")
        deciding, telling = _vectors(live, theirs, self.bland(live).value.reveal())
        for who in (live, theirs):
            # Alone and by the same way each of them opens: else the refusal of both says nothing of the two.
            control = _sent(who, f"control: {who.owner.upper()}'s cookie alone", (_pair(who),))
            answer = await self.attempt(self.witness, control, baseline, role=Role.CONTROL)
            if not answer.accepted:
                return Inconclusive(f"{control.label} was not accepted on the wire: {answer.why}.")
        answers = await self.together(self.witness, [*deciding, *telling], baseline, live)
        await self.must_live(self.witness, live, baseline, "after")
        self.notes += [
            f"{attempt.label}: {answer.why}"
            for attempt, answer in zip([*deciding, *telling], answers, strict=True)
            if answer.accepted
        ]
        name = live.carrier.name
        followed = [pair for pair in zip(deciding, answers, strict=False) if pair[1].accepted]
        if SetCookie(name, "").prefix == "__Host-" and followed:
            reason = f"No other host can plant {name}; of two cookies of that name one is followed."
            return Passed(reason, tuple(self.evidence), tuple(self.notes))
        doubts = [
            f"{answer.exchange.label}: {answer.why}"
            for answer in answers
            if not (answer.accepted or answer.rejected)
        ]
        for attempt, answer in followed:
            found = await self._followed_twice(attempt, answer, baseline)
            if isinstance(found, Violation):
                return self.decided([found], [], "")
            doubts.append(f"{attempt.label}: {found}")
        return self.decided(
            [], doubts, f"Two cookies {name} of different people are refused, in every order."
        )

    async def _followed_twice(self, attempt: Attempt, first: Answer, baseline: Baseline) -> Violation | str:
        """Send it once more, past caches; what it was when it is no violation."""
        again = await self.attempt(
            self.witness, replace(attempt, label=f"again: {attempt.label}"), baseline, fresh=True
        )
        if not again.accepted:
            return "followed once of two times"
        if by_cache(again.reply):
            return "a cache answered in the application's place (Age)"
        message = f"{self.witness.operation.name} follows one of two session cookies: {attempt.label} ({again.why})."
        return Violation(self.witness.operation.name, message, None, (first.exchange, again.exchange))


def _vectors(live: Credential, theirs: Credential, junk: str) -> tuple[list[Attempt], list[Attempt]]:
    """What decides, and what tells more: cookies of two people, and one beside a wrong one (checklist SES113)."""
    mine, planted, wrong = _pair(live), _pair(theirs), (live.carrier.name, junk)
    both = f"{live.carrier.name}={mine[1]};{live.carrier.name}={planted[1]}"
    two_lines = _sent(live, "A's and B's cookie on two lines", (mine,))
    deciding = [
        _sent(live, "A's cookie, then B's", (mine, planted)),
        _sent(live, "B's cookie, then A's", (planted, mine)),
        replace(two_lines, headers=(*two_lines.headers, ("Cookie", write_cookie([planted])))),
        _sent(live, "both without blanks", both),
    ]
    telling = [
        _sent(live, "a wrong cookie, then A's", (wrong, mine)),
        _sent(live, "A's cookie, then a wrong one", (mine, wrong)),
        _sent(live, "A's cookie in quotes", ((mine[0], f'"{mine[1]}"'),)),
    ]
    return deciding, telling


def _pair(credential: Credential) -> tuple[str, str]:
    return credential.carrier.name, credential.value.reveal()


def _sent(live: Credential, label: str, cookies: Sequence[tuple[str, str]] | str) -> Attempt:
    """These session cookies with all else that A's browser sends: a CSRF token that is missing would refuse any."""
    line = cookies if isinstance(cookies, str) else write_cookie(cookies)
    if live.crumbs:
        line = f"{line}; {write_cookie(live.crumbs)}"
    return Attempt(label, headers=(("Cookie", line), *live.companions), wire=True)
