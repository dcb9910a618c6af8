"""`must_refuse_two_authorizations` and `must_take_tokens_from_header_only`: where a token stands."""

from __future__ import annotations

import base64
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import Exchange, Failed, Inconclusive, Passed, Role, Severity, Verdict, Violation
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.entry import Fingerprint
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.placing import Placing
from auth_conformance.probe.refusal import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from auth_conformance.credentials import Credential
    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.probe.core import Answer
    from auth_conformance.transports.message import HttpRequest

# Names under which a URL or a body may carry a token (RFC 6750 §2.2, §2.3, and habit).
NAMES = ("access_token", "token", "auth_token", "jwt", "bearer", "id_token")
_NAME = "authorization"


class Headers(Placing):
    """Presents live tokens twice, or where RFC 6750 does not want them."""

    async def must_refuse_two_authorizations(self) -> Verdict:
        """Refuse two Authorization lines of different people. Raises Missing or Unclear."""
        mine, theirs = await self.credential(Kind.BEARER), await self.credential(Kind.BEARER, "b")
        if mine.carrier.name.lower() != _NAME:
            raise Missing(f"Not applicable: bearer tokens travel in {mine.carrier}.", applicable=False)
        baseline = await self.baseline(self.witness, mine)
        await self.must_live(self.witness, mine, baseline, "before")
        deciding, telling = _two_lines(mine, theirs, self.bland(mine), self.account("b").username)
        plain = Attempt("control: one line over the raw wire", mine, wire=True)
        answers = await self.together(self.witness, [plain, *deciding, *telling], baseline, mine)
        await self.must_live(self.witness, mine, baseline, "after")
        control, answers = answers[0], answers[1:]
        if not control.accepted:
            reason = f"A live token in one line did not get in over the raw wire: {control.why}"
            return Inconclusive(reason, self._remedy_for(control), tuple(self.evidence))
        self.notes += [
            f"{attempt.label}: {answer.why}"
            for attempt, answer in zip([*deciding, *telling], answers, strict=True)
            if answer.accepted
        ]
        violations = []
        for attempt, answer in zip(deciding, answers, strict=False):
            if not answer.accepted:
                continue
            violation = await self._believed_again(attempt, answer, baseline, None)
            violations += [violation] if violation else []
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, notes)
        # A server in front that refuses two lines does so in its own words: nobody was let in.
        unclear = next(
            (
                answer
                for answer in answers[: len(deciding)]
                if not answer.rejected and answer.status not in (400, 401)
            ),
            None,
        )
        if unclear is not None:
            return Inconclusive(f"{unclear.exchange.label}: {unclear.why}", "", evidence, notes)
        return Passed(
            "Two Authorization lines of different people are refused, in both orders.", evidence, notes
        )

    async def must_take_tokens_from_header_only(self) -> Verdict:
        """Refuse tokens in URL and body, and never prefer one there to the header's. Raises Missing or Unclear."""
        live = await self.credential(Kind.BEARER)
        token = live.value.reveal()
        operation = self.witness.operation
        names = [name for name in NAMES if not self.declared_at("query", name, operation)]
        attempts = [Attempt(f"the token in the query ({name})", query=((name, token),)) for name in names]
        attempts.append(
            Attempt("the token in the query (authorization)", query=((_NAME, f"Bearer {token}"),))
        )
        bodies = [
            Attempt("the token in a form body", edit=_form(token)),
            Attempt("the token in a JSON body", edit=lambda request: request.beside({"access_token": token})),
        ]
        attempts += bodies[1:] if self.target.policy.form_token else bodies
        attempts.append(
            Attempt(
                "the token as a parameter of the path",
                edit=lambda request: replace(request, path=f"{request.path};access_token={token}"),
                core=False,
            )
        )
        junk = self.bland(live).value.reveal()
        held = Attempt(
            "control: the same names with a wrong token", query=tuple((name, junk) for name in names)
        )
        verdict = await self.must_refuse(attempts, credential=live, must_hold=(held,))
        if isinstance(verdict, Passed):
            verdict = await self._bodies_of_creations(live, verdict)
        if not isinstance(verdict, Passed) or "b" not in self.target.accounts or not names:
            return verdict
        return await self._header_beside_query(live, names[0], verdict)

    async def _bodies_of_creations(self, live: Credential, passed: Passed) -> Verdict:
        """The token in the body of a POST, and in its query: few services read bodies of a GET.

        A live token there is believed when the answer is the one that the same request gets with the header, and
        not the one that a wrong token gets: even a refusal of the body says who was let past.
        """
        found = self.target.objects or self.target.keys
        if found is None or found.create.method == "GET":
            note = "no creation is known: tokens in bodies were sent to the witness only"
            return replace(passed, notes=(*passed.notes, note))
        create, body, junk = found.create, dict(found.template), self.bland(live)
        places: list[tuple[str, Callable[..., HttpRequest]]] = [
            ("in the JSON body", partial(_beside, body)),
            ("in the query", lambda request, token: request.with_query(("access_token", token))),
        ]
        if not self.target.policy.form_token:
            places.append(("in a form body", lambda request, token: _form(token)(request)))
        for place, put in places:
            proofs: list[Exchange] = []
            for again in ("", "again: "):
                answers = [
                    await self.call(
                        create,
                        credential,
                        label=f"{again}{who} {place} of a creation",
                        role=Role.CONTROL if who.startswith("control") else Role.ATTACK,
                        body=body,
                        edit=partial(put, token=token.value.reveal()),
                    )
                    for who, credential, token in (
                        ("control: a wrong token", None, junk),
                        ("the token", None, live),
                        ("control: header and token", live, live),
                    )
                ]
                wrong, answer, twin = answers
                unclear = next((item for item in answers[:2] if item.judgement is not None), None)
                if unclear is not None:
                    reason = f"{unclear.exchange.label}: {unclear.why}"
                    return Inconclusive(reason, "", tuple(self.evidence), passed.notes)
                forms = [Fingerprint.of(item.exchange.reply) for item in answers]
                if wrong.reply.ok or forms[1] == forms[0] or not (answer.reply.ok or forms[1] == forms[2]):
                    break
                proofs += [wrong.exchange, answer.exchange, twin.exchange]
            else:
                violation = Violation(
                    create.name, f"{create.name} believes a token {place}.", None, tuple(proofs)
                )
                return Failed((violation,), tuple(self.evidence), passed.notes)
        return passed

    async def _header_beside_query(self, live: Credential, name: str, passed: Passed) -> Verdict:
        other = await self.credential(Kind.BEARER, "b")
        baseline = await self.baseline(self.witness, live)
        both = {
            f"A's token in the header and in the query ({name})": live,
            f"A's token in the header, B's in the query ({name})": other,
        }
        notes = list(passed.notes)
        for label, second in both.items():
            attempt = Attempt(label, live, query=((name, second.value.reveal()),))
            answer = await self.attempt(self.witness, attempt, baseline)
            if answer.accepted and answer.exchange.reply.principal != baseline.principal:
                violation = await self._believed_again(attempt, answer, baseline, Severity.HIGH)
                if violation is not None:
                    return Failed((violation,), tuple(self.evidence), tuple(notes))
            elif answer.accepted:
                notes.append(f"{label}: the header counts (RFC 6750 §2 would refuse both with 400)")
            elif not answer.rejected:
                return Inconclusive(f"{label}: {answer.why}", "", tuple(self.evidence), tuple(notes))
        await self.must_live(self.witness, live, baseline, "after")
        return replace(passed, evidence=tuple(self.evidence), notes=tuple(notes))

    async def _believed_again(
        self, attempt: Attempt, first: Answer, baseline: Baseline, severity: Severity | None
    ) -> Violation | None:
        again = await self.attempt(
            self.witness, replace(attempt, label=f"again: {attempt.label}"), baseline, fresh=True
        )
        if not again.accepted or by_cache(again.reply):
            raise Unclear(f"{attempt.label}: accepted once, then not, or by a cache ({again.why}).")
        message = f"{self.witness.operation.name} believes one of two tokens: {attempt.label} ({again.why})."
        return Violation(self.witness.operation.name, message, severity, (first.exchange, again.exchange))


def _form(token: str) -> Callable[[HttpRequest], HttpRequest]:
    return lambda request: request.with_form((("access_token", token),))


def _beside(body: dict[str, object], request: HttpRequest, token: str) -> HttpRequest:
    return request.with_json({**body, "access_token": token})


def _two_lines(
    mine: Credential, theirs: Credential, junk: Credential, name: str
) -> tuple[Sequence[Attempt], Sequence[Attempt]]:
    """The pairs that decide, and those that only tell how the service reads them."""

    def lines(*values: str | bytes) -> tuple[tuple[str, str | bytes], ...]:
        return tuple(("Authorization", value) for value in values)

    def text(credential: Credential) -> str:
        return f"{credential.carrier.prefix} {credential.value.reveal()}".strip()

    a, b, wrong = text(mine), text(theirs), text(junk)
    basic = "Basic " + base64.b64encode(f"{name}:x".encode()).decode()
    deciding = [
        Attempt("two lines, A's token and B's", headers=lines(a, b), wire=True),
        Attempt("two lines, B's token and A's", headers=lines(b, a), wire=True),
    ]
    telling = [
        Attempt("two lines, a wrong token and A's", headers=lines(wrong, a), wire=True),
        Attempt("two lines, A's token and a wrong one", headers=lines(a, wrong), wire=True),
        Attempt("two lines, A's token and B's name as Basic", headers=lines(a, basic), wire=True),
        Attempt("A's and B's token in one line", headers=lines(f"{a}, {b}"), wire=True),
        Attempt("B's token in a folded line", headers=lines(f"{a}\r\n {b}".encode()), wire=True),
    ]
    return deciding, telling
