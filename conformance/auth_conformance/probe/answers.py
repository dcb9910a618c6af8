"""What a sentence works with: a judged answer, a session, and the two ways in which it can not go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.model import Exchange, Inconclusive, Outcome, Skipped, Verdict

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.oracles.entry import Judgement
    from auth_conformance.secret import Secret
    from auth_conformance.target import Account
    from auth_conformance.transports.message import HttpRequest, RawReply


class Unclear(Exception):  # noqa: N818 - a conclusion, not an error
    """Raised where a sentence cannot go on: a control failed. The runner turns it into Inconclusive."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.remedy = remedy
        self.verdict: Verdict = Inconclusive(reason, remedy)


class Shut(Unclear):
    """Raised where the service knows its answer and says no: this credential is not for this door."""


class Missing(Exception):  # noqa: N818 - a conclusion, not an error
    """Raised where something is needed that this target lacks. The runner turns it into Skipped."""

    def __init__(self, reason: str, remedy: str = "", *, applicable: bool = True) -> None:
        super().__init__(reason)
        self.remedy = remedy
        self.applicable = applicable
        self.verdict: Verdict = Skipped(reason, remedy, applicable)


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply, judged. `request` is what was sent, so that it can be sent again."""

    request: HttpRequest
    reply: RawReply
    exchange: Exchange
    judgement: Judgement | None = None

    @property
    def outcome(self) -> Outcome | None:
        """What the reply means; None where no baseline applies."""
        return self.judgement.outcome if self.judgement else None

    @property
    def why(self) -> str:
        """The reason for the outcome."""
        return self.judgement.why if self.judgement else ""

    @property
    def broke(self) -> bool:
        """Whether the service broke over it. No answer in time is not that: it may just be busy."""
        return self.outcome is Outcome.CRASHED and not self.reply.late

    @property
    def granted(self) -> bool:
        """Whether a change was granted as far as its answer tells: 2xx, or a redirect as browsers get it.

        A form that asks for a password once more was refused, whatever its status.
        """
        return self.reply.granted and self.judgement is None and not self.reply.asks_for_password

    @property
    def accepted(self) -> bool:
        """Whether the caller got in."""
        return self.outcome is Outcome.ACCEPTED

    @property
    def rejected(self) -> bool:
        """Whether the application refused."""
        return self.outcome is Outcome.REJECTED

    @property
    def status(self) -> int | None:
        """The status; None when no reply came."""
        return self.reply.status


@dataclass(frozen=True, slots=True)
class Session:
    """What one login issued: the credential, the refresh token, and the answer it came in."""

    account: Account
    credential: Credential
    refresh: Secret | None
    answer: Answer
