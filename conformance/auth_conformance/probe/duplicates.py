"""`must_not_follow_planted_cookie`: two cookies of the session's name in one request (checklist SES113)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import Failed, Inconclusive, Passed, Verdict, Violation
from auth_conformance.oracles.cookies import SetCookie, write_cookie
from auth_conformance.probe.refusal import Attempt, Refusal

if TYPE_CHECKING:
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
        name = live.carrier.name
        mine, planted, junk = (
            live.value.reveal(),
            theirs.value.reveal(),
            self.bland(live).value.reveal(),
        )
        deciding = [
            Attempt("A's cookie, then B's", headers=_cookies((name, mine), (name, planted)), wire=True),
            Attempt("B's cookie, then A's", headers=_cookies((name, planted), (name, mine)), wire=True),
            Attempt(
                "A's and B's cookie on two lines",
                headers=(*_cookies((name, mine)), *_cookies((name, planted))),
                wire=True,
            ),
            Attempt(
                "both without blanks", headers=(("Cookie", f"{name}={mine};{name}={planted}"),), wire=True
            ),
        ]
        telling = [
            Attempt("a wrong cookie, then A's", headers=_cookies((name, junk), (name, mine)), wire=True),
            Attempt("A's cookie, then a wrong one", headers=_cookies((name, mine), (name, junk)), wire=True),
            Attempt("A's cookie in quotes", headers=_cookies((name, f'"{mine}"')), wire=True),
        ]
        answers = await self.together(self.witness, [*deciding, *telling], baseline, live)
        await self.must_live(self.witness, live, baseline, "after")
        self.notes += [
            f"{attempt.label}: {answer.why}"
            for attempt, answer in zip([*deciding, *telling], answers, strict=True)
            if answer.accepted
        ]
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        protected = SetCookie(name, mine).prefix == "__Host-"
        unclear = next(
            (answer for answer in answers[: len(deciding)] if not answer.accepted and not answer.rejected),
            None,
        )
        if protected and any(answer.accepted for answer in answers[: len(deciding)]):
            reason = f"No other host can plant {name}; of two cookies of that name one is followed."
            return Passed(reason, evidence, notes)
        for attempt, answer in zip(deciding, answers, strict=False):
            if (
                answer.accepted
                and (violation := await self._followed_twice(attempt, answer, baseline)) is not None
            ):
                return Failed((violation,), evidence, notes)
        if unclear is not None:
            return Inconclusive(f"{unclear.exchange.label}: {unclear.why}", "", evidence, notes)
        return Passed(f"Two cookies {name} of different people are refused, in every order.", evidence, notes)

    async def _followed_twice(self, attempt: Attempt, first: Answer, baseline: Baseline) -> Violation | None:
        again = await self.attempt(
            self.witness, replace(attempt, label=f"again: {attempt.label}"), baseline, fresh=True
        )
        if not again.accepted:
            return None
        message = f"{self.witness.operation.name} follows one of two session cookies: {attempt.label} ({again.why})."
        return Violation(self.witness.operation.name, message, None, (first.exchange, again.exchange))


def _cookies(*pairs: tuple[str, str]) -> tuple[tuple[str, str | bytes], ...]:
    return (("Cookie", write_cookie(pairs)),)
