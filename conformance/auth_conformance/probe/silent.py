"""Caches that say nothing of themselves: the answer is an old one, and no Age tells so (RFC 9111 §5.1 wants it).

What a cache gives to the holder of a credential that has ended is not the service's word. It is seen by asking in
another way, which no cache has an answer for. A cache that gives it to everybody is left to the checks: whoever asks
gets what is somebody's own, and that is a finding whoever answers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.model import Outcome, Role
from auth_conformance.oracles.entry import Judgement

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential, Kind
    from auth_conformance.model import Exchange
    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.probe.answers import Answer
    from auth_conformance.probe.core import Core

WHY = (
    "a cache in front answers in the service's place: asked in a way that is new, "
    "the service refuses this credential"
)
_JUDGEMENT = Judgement(Outcome.INTERCEPTED, WHY)


async def unless_kept(
    probe: Core,
    answer: Answer,
    credential: Credential,
    baseline: Baseline,
    pointer: str | None,
    *,
    moved: float = 0.0,
) -> Answer:
    """The same answer, INTERCEPTED where a cache kept it for the holder of this credential.

    That the service refuses has to look as for a wrong credential, and the old answer has to come again. Once
    seen, that is not asked again for this credential and path. At most five requests, which are the run's.
    """
    refused, request = baseline.canonical, answer.request
    if request.method != "GET" or refused is None or answer.exchange.role is not Role.ATTACK:
        return answer

    async def twin(label: str, changed: Credential, *query: tuple[str, str]) -> Answer:
        # Where the credential stands is taken out, and the other one put in.
        names = {name.lower() for name, _ in credential.headers}
        kept = tuple(pair for pair in request.headers if pair[0].lower() not in names)
        pairs = tuple(pair for pair in request.query if pair not in credential.query)
        asked = replace(request, headers=kept, query=pairs, before=(), then=(), fresh=True)
        asked = asked.with_headers(*changed.headers).with_query(*changed.query, *query)
        sent = await probe.send(
            asked,
            label=f"control: {label}",
            role=Role.CONTROL,
            operation=answer.exchange.operation,
            baseline=baseline,
            pointer=pointer,
            moved=moved,
        )
        asides.append(sent.exchange)
        return sent

    asides: list[Exchange] = []

    # The same one for both: a service that takes one spelling only refuses the living as well.
    spelling = _spelling(probe, credential.carrier.prefix)

    async def unknown(who: Credential, label: str) -> Answer | None:
        """Asked with the same credential in other words: a cache that looks at no query knows that as little."""
        other = _reworded(who, spelling, probe.word(12))
        return None if other is None else await twin(f"{label}, asked in other words", other)

    def says_no(told: Answer | None) -> bool:
        return told is not None and told.rejected and told.status == refused.status

    async def ask() -> bool:
        new = await twin("the same, asked in a way that no cache knows", credential, ("_", probe.word(12)))
        if not says_no(new):
            if not new.accepted or not says_no(await unknown(credential, "the same")):
                return False
            # Other words count where they let a living credential in.
            living = await _alive_by(probe, credential.carrier.kind, moved)
            known = await unknown(living, "a living credential")
            if living.value == credential.value or known is None or not known.accepted:
                return False
        wrong = await twin("a wrong credential, asked as before", probe.bland(credential))
        again = await twin("the same, asked as before", credential)
        return wrong.rejected and again.accepted

    key = ("silent cache", credential.value, request.path)
    if not await probe.scene.once(key, ask):
        probe.scene.forget(key)  # while it was alive, there was nothing to see
        # Where no cache answers these prove nothing, and are no part of what a finding is made again by.
        probe.evidence[:] = [item for item in probe.evidence if not any(item is aside for aside in asides)]
        return answer
    exchange = replace(answer.exchange, outcome=_JUDGEMENT.outcome)
    probe.evidence[:] = [exchange if item is answer.exchange else item for item in probe.evidence]
    return replace(answer, exchange=exchange, judgement=_JUDGEMENT)


async def _alive_by(probe: Core, kind: Kind, moved: float) -> Credential:
    """A credential of A's that lives by the moved clock: the shared one may be over by then, as the old one is."""
    if moved > 0 and probe.target.login(kind) is not None:
        return (await probe.log_in(probe.account(), kind, moved=moved)).credential
    return await probe.credential(kind)


def _spelling(probe: Core, prefix: str) -> str:
    """Another case for each letter, drawn by chance; the last letter's is never as it was."""
    letters = [probe.rng.choice((letter.lower(), letter.upper())) for letter in prefix[:-1]]
    return "".join((*letters, prefix[-1:].swapcase()))


def _reworded(credential: Credential, spelling: str, word: str) -> Credential | None:
    """The same credential in bytes that were hardly sent before; None where there are no others.

    The case of a scheme's name means nothing (RFC 9110 §11.1), nor does one cookie more: a key has no scheme.
    """
    carrier = credential.carrier
    if carrier.place == "header" and carrier.prefix:
        return credential.moved_to(replace(carrier, prefix=spelling))
    if carrier.place in {"header", "cookie"}:
        return replace(credential, crumbs=(*credential.crumbs, ("visited", word)))
    return None
