"""Did this reply let the caller in? Judged only beside what a live and a wrong credential got before.

The vocabulary is checklist §1.2. Nothing here knows which attack was sent, so evidence that is read back
from a report is judged the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from auth_conformance.model import Outcome, Reply
from auth_conformance.oracles.normalise import members, same_structure

# Statuses with which applications refuse, besides 401 (checklist §1.2); others need a learned example.
_REFUSALS = {400, 403, 404, 405, 406, 409, 410, 413, 414, 415, 422, 423, 431}

# What frameworks say beside a Location is not longer than this.
_REDIRECT_BODY = 400


def kind_of(media_type: str) -> str:
    """The media type without what says which JSON it is: `application/problem+json` (RFC 9457) is JSON."""
    return "application/json" if media_type.endswith("+json") else media_type


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What an application's own answers of one status have in common."""

    status: int
    media_type: str
    members: frozenset[str] = frozenset()
    server: str = ""
    via: str = ""

    @classmethod
    def of(cls, reply: Reply) -> Fingerprint:
        """The fingerprint of a reply that came."""
        return cls(
            reply.status or 0,
            reply.media_type,
            members(reply.shape),
            reply.header("server") or "",
            reply.header("via") or "",
        )

    def akin(self, other: Fingerprint) -> bool:
        """Whether both could come from the same application: same kind of body, same way through."""
        if (self.server, self.via) != (other.server, other.via):
            return False
        if kind_of(self.media_type) != kind_of(other.media_type):
            return False
        if not self.members or not other.members:
            return self.members == other.members
        # One error body with optional members (`errors` at 422) is still one error body.
        return self.members <= other.members or other.members <= self.members


@dataclass(frozen=True, slots=True)
class Baseline:
    """What was learned about one operation with one credential, before any attack on it.

    `good` is a reply to the live credential, `anonymous` one to no credential. `principal` is who the
    service names for the live credential; None where the operation names nobody. `refusals` are the
    application's own refusals. `accepted_refusals` are the policies `envelope` and `redirect`: declared, or
    seen: redirects with `sends_strangers_away`, envelopes with `oracles.envelope`.
    """

    good: Reply
    anonymous: Reply
    principal: str | None = None
    canonical: Reply | None = None
    refusals: tuple[Fingerprint, ...] = field(default=())
    accepted_refusals: frozenset[str] = frozenset()

    @property
    def open_to_strangers(self) -> bool:
        """Whether strangers get the kind of body that the live credential gets."""
        good, stranger = self.good, self.anonymous
        same = (stranger.status, stranger.media_type) == (good.status, good.media_type)
        return same and same_structure(stranger.shape, good.shape)


@dataclass(frozen=True, slots=True)
class Judgement:
    """An outcome and why, in words for the report."""

    outcome: Outcome
    why: str


def failure(reply: Reply) -> Judgement | None:
    """CRASHED, THROTTLED or undelivered: what needs no baseline to be seen. None for an ordinary answer."""
    if reply.error is not None and reply.error.startswith("undelivered"):
        return Judgement(Outcome.INTERCEPTED, reply.error)
    if reply.status is None:
        return Judgement(Outcome.CRASHED, reply.error or "no answer")
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Judgement(Outcome.THROTTLED, "429: the service limits requests")
    if reply.status == HTTPStatus.SERVICE_UNAVAILABLE and reply.header("retry-after") is not None:
        return Judgement(Outcome.THROTTLED, "503 with Retry-After")
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Judgement(Outcome.CRASHED, f"the service answered {reply.status}")
    return None


def classify(reply: Reply, baseline: Baseline) -> Judgement:
    """What `reply` means beside `baseline`."""
    early = failure(reply)
    if early is not None:
        return early
    status = reply.status or 0
    if status < HTTPStatus.OK:
        return Judgement(Outcome.AMBIGUOUS, f"an interim status {status} as the final one")
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return _success(reply, baseline)
    if status < HTTPStatus.BAD_REQUEST:
        return _redirect(reply, baseline)
    return _refusal(reply, baseline)


def _success(reply: Reply, baseline: Baseline) -> Judgement:
    if reply.principal is not None:
        if reply.principal == baseline.principal:
            return Judgement(Outcome.ACCEPTED, f"accepted as {reply.principal}")
        return Judgement(Outcome.ACCEPTED, f"accepted as {reply.principal}, not {baseline.principal}")
    if _is_envelope(reply, baseline):
        return Judgement(Outcome.REJECTED, "refused by the declared envelope")
    if baseline.principal is not None:
        if reply.digest == baseline.good.digest and reply.size:
            return Judgement(Outcome.ACCEPTED, "the same body as the live credential gets")
        return Judgement(Outcome.AMBIGUOUS, f"{reply.status}, but the body names no caller")
    # Without an identity only a body that the live credential gets and a stranger does not is a proof.
    good = baseline.good
    same_kind = (reply.status, reply.media_type) == (good.status, good.media_type) and same_structure(
        reply.shape, good.shape
    )
    if not reply.shape:
        # A text without structure is known by its words only: any other text has the same media type.
        same_kind = same_kind and reply.digest == good.digest
    stranger = baseline.anonymous
    distinct = (stranger.status or 0) >= HTTPStatus.BAD_REQUEST or stranger.digest != reply.digest
    if same_kind and distinct:
        return Judgement(
            Outcome.ACCEPTED, "the kind of body that the live credential gets, and strangers do not"
        )
    return Judgement(Outcome.AMBIGUOUS, f"{reply.status}, but not the body that the live credential gets")


def _is_envelope(reply: Reply, baseline: Baseline) -> bool:
    if "envelope" not in baseline.accepted_refusals or baseline.canonical is None:
        return False
    said, known, good = (members(item.shape) for item in (reply, baseline.canonical, baseline.good))
    # One envelope with optional members (which field was wrong) is still one envelope.
    akin = bool(known) and said != good and (said <= known or known <= said)
    return reply.shape != baseline.good.shape and (akin or reply.shape == baseline.canonical.shape)


def _redirect(reply: Reply, baseline: Baseline) -> Judgement:
    canonical = baseline.canonical
    if "redirect" in baseline.accepted_refusals and canonical is not None and canonical.status is not None:
        place = _destination(reply)
        # A page that travels in the body of a redirect is shown all the same (CWE-698).
        empty = reply.size <= canonical.size + _REDIRECT_BODY
        if place and place == _destination(canonical) and empty:
            return Judgement(Outcome.REJECTED, f"redirected to {place}, where strangers are sent")
    return Judgement(Outcome.AMBIGUOUS, f"a redirect ({reply.status})")


def sends_strangers_away(good: Reply, anonymous: Reply, junk: Reply, *, path: str, origin: str) -> bool:
    """Whether an operation refuses by a redirect: nobody and a wrong credential are sent to one other page.

    That has to be a page of this origin by the way that the honest answer came: where another host or something
    in front sends people to its own login, nothing is shown about the service.
    """
    place = _destination(anonymous)
    away = all(300 <= (reply.status or 0) < 400 for reply in (anonymous, junk))
    parts, own = urlsplit(place), urlsplit(origin)
    here = (not parts.netloc) or (parts.scheme, parts.netloc) == (own.scheme, own.netloc)
    elsewhere = parts.path.rstrip("/") != path.rstrip("/")
    voice = {(reply.header("server"), reply.header("via")) for reply in (good, anonymous, junk)}
    served = 200 <= (good.status or 0) < 300
    return (
        away
        and served
        and bool(place)
        and place == _destination(junk)
        and here
        and elsewhere
        and len(voice) == 1
    )


def _destination(reply: Reply) -> str:
    return (reply.header("location") or "").split("?")[0]


def _refusal(reply: Reply, baseline: Baseline) -> Judgement:
    seen = Fingerprint.of(reply)
    learned = [known for known in baseline.refusals if known.status == seen.status] or list(baseline.refusals)
    if seen.status == HTTPStatus.UNAUTHORIZED:
        # 401 is the protocol's own refusal; only another sender or another kind of body speaks against it.
        for known in baseline.refusals:
            alike = kind_of(known.media_type) == kind_of(seen.media_type)
            if (known.server, known.via) == (seen.server, seen.via) and alike:
                return Judgement(Outcome.REJECTED, "401")
        return Judgement(Outcome.INTERCEPTED, "a 401 that looks unlike this application's own")
    if seen.status in _REFUSALS and any(seen.akin(known) for known in learned):
        return Judgement(Outcome.REJECTED, f"{seen.status} with the application's own error body")
    return Judgement(
        Outcome.INTERCEPTED,
        f"a {seen.status} that looks unlike this application's own refusals: something in front may have answered",
    )
