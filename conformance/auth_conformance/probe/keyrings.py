"""`must_rotate_signing_keys`: a key that was removed verifies nothing any more (checklist LIF114)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from auth_conformance.model import Failed, Passed, Role, Severity, Verdict, Violation
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.holdings import told_once
from auth_conformance.probe.keyforms import verifies
from auth_conformance.probe.restart import Elsewhere, Restart
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from auth_conformance.credentials import Credential, Jwt
    from auth_conformance.target import Account

_SECRETS = """[rotation.overlap]  # a new key is current, the old one still verifies
SECRET_KEY = { env = "NEW_SECRET_KEY" }
PREVIOUS_SECRET_KEYS = { env = "SECRET_KEY" }
[rotation.after]  # the old one is gone
SECRET_KEY = { env = "NEW_SECRET_KEY" }"""

_KEY_PAIRS = """[rotation.overlap]  # a new key is current, the old one still verifies
JWT_PRIVATE_KEY = { env = "NEW_JWT_PRIVATE_KEY" }
JWT_PREVIOUS_PUBLIC_KEYS = { env = "OLD_JWT_PUBLIC_KEY" }
[rotation.after]  # the old one is gone
JWT_PRIVATE_KEY = { env = "NEW_JWT_PRIVATE_KEY" }"""


def rotation_lines(algorithm: str) -> str:
    """The lines that declare a rotation of keys for `algorithm`: of secrets, or of private keys with a public half."""
    return _SECRETS if algorithm.startswith("HS") else _KEY_PAIRS


def disagreement(published: Sequence[Mapping[str, Any]], known: Sequence[Jwt], gone: Sequence[Jwt]) -> str:
    """What a key set says otherwise than the service, which takes the tokens `known` and none of `gone`, or ""."""

    def verified(token: Jwt) -> bool:
        return any(verifies(key, token) for key in published)

    if not all(map(verified, known)):
        return "lacks a key that verifies"
    return "keeps a key that was removed" if any(map(verified, gone)) else ""


class KeyRings(Restart):
    """Starts the service with other keys, as a rotation would."""

    async def _rotation_lines(self) -> str:
        """By what A's token says of its algorithm; by the known key where there is no such token."""
        with contextlib.suppress(Missing, Unclear):
            token = (await self.credential(self.token_kind)).jwt
            if token is not None:
                return rotation_lines(token.algorithm)
        return rotation_lines(next((key.algorithm for key in self.target.signing_keys), "HS256"))

    async def must_rotate_signing_keys(self) -> Verdict:
        """New tokens take the new key, old ones live during the overlap, and a removed key verifies nothing."""
        rotation = self.target.rotation
        if rotation is None:
            raise Missing(
                "Not tested: how the signing key is rotated is not known.", await self._rotation_lines()
            )
        forge = await self.forge()
        account = await self.disposable("lifecycle") or self.account()
        session = await self.sign_in(account, self.token_kind)
        await self._must_be_live(session, "before")
        overlap, after = rotation
        violations: list[Violation] = []
        place = await self._in_another_process(overlap)
        new = await self._logged_in_there(place, account)
        violations += await self._during_overlap(place, session.credential, new)
        last = await self._in_another_process(after)
        newest = await self._logged_in_there(last, account)
        violations += await self._published(place, (session.credential, new), ())
        violations += await self._published(last, (newest,), (session.credential,))
        forged = forge.credential(self.fresh_claims(forge))
        for label, credential in (
            ("a token of the removed key", session.credential),
            ("a new one of ours with it", forged),
        ):
            violations += await self._must_be_refused_there(last, credential, label)
        for process, credential in ((place, new), (last, newest)):
            seen = await self._presents(
                process, credential, "control after: a token of its own", Role.CONTROL
            )
            if not seen.accepted:
                raise Unclear(f"{process.label.capitalize()} let nobody in at the end ({seen.why}).")
        await self._must_be_live(session, "after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(told_once(violations), evidence, notes)
        reason = "New tokens took the new key, old ones lived during the overlap, and the removed key verified nothing."
        return Passed(reason, evidence, notes)

    async def _logged_in_there(self, place: Elsewhere, account: Account) -> Credential:
        """Log in at the second process: it lives, and its own tokens get in. Raises Unclear."""
        login = self.target.login(self.token_kind)
        if login is None:
            raise Missing("No login that issues tokens is known.")
        request = login.request(account.username, account.password or Secret(""))
        answer = await self._there(place, request, "log in", Role.CONTROL)
        credential = login.read(answer.reply, account.label)
        if credential is None:
            raise Unclear(f"{place.label.capitalize()} let nobody in ({answer.why or answer.status}).")
        self.scene.recorder.redactor.learn(credential.value)
        seen = await self._presents(place, credential, "control: a token of its own", Role.CONTROL)
        if not seen.accepted:
            raise Unclear(f"{place.label.capitalize()} refused a token of its own ({seen.why}).")
        return credential

    async def _during_overlap(self, place: Elsewhere, old: Credential, new: Credential) -> list[Violation]:
        operation = self.witness.operation.name
        violations: list[Violation] = []
        answers = [
            await self._presents(place, old, f"{again}a token of the old key") for again in ("", "again: ")
        ]
        if all(answer.rejected for answer in answers):
            message = "A token of the old key was refused while that key was still to verify."
            proofs = tuple(answer.exchange for answer in answers)
            violations.append(Violation(operation, message, Severity.MEDIUM, proofs))
        elif not all(answer.accepted for answer in answers):
            why = next(answer.why for answer in answers if not answer.accepted)
            raise Unclear(f"During the overlap a token of the old key got no clear answer ({why}).")
        token = self.jwt_of(new)
        key = next((item for item in self.target.signing_keys if item.verifies(token)), None)
        if key is not None:
            message = "New tokens are signed with the old key after the rotation."
            violations.append(Violation(operation, message, Severity.MEDIUM, (answers[0].exchange,)))
            return violations
        original = self.jwt_of(old)
        mine = next(item for item in self.target.signing_keys if item.verifies(original))
        if "kid" in token.header and token.header.get("kid") != original.header.get("kid"):
            mixed = original.with_header(kid=token.header["kid"]).signed(mine, original.algorithm)
            label = "the old key under the new key's kid"
            violations += await self._must_be_refused_there(place, old.with_value(mixed.text), label)
        else:
            self.notes.append("tokens do not name their key: a wrong name could not be tried")
        return violations

    async def _published(
        self, place: Elsewhere, known: tuple[Credential, ...], gone: tuple[Credential, ...]
    ) -> list[Violation]:
        """The key set of a process holds the keys of these tokens, and none of a removed key (RFC 7517 §5).

        Others verify by it: what it lacks they refuse, and what it keeps they go on accepting.
        """
        where = self.target.key_set
        if where is None:
            return []
        proofs, sets = [], []
        for again in ("", ", again"):
            answer = await self._there(place, where.request(), f"read the key set{again}", Role.CONTROL)
            keys = answer.reply.json.get("keys") if isinstance(answer.reply.json, dict) else None
            if not answer.reply.ok or not isinstance(keys, list):
                raise Unclear(
                    f"{place.label.capitalize()} shows no key set at {where.name} ({answer.status})."
                )
            proofs.append(answer.exchange)
            sets.append([key for key in keys if isinstance(key, dict)])

        keys_seen = [key for keys in sets for key in keys]
        message = disagreement(keys_seen, [*map(self.jwt_of, known)], [*map(self.jwt_of, gone)])
        if not message:
            return []
        words = f"{where.name} {message}: who verifies by it decides otherwise than the service."
        return [Violation(where.name, words, Severity.MEDIUM, tuple(proofs))]

    async def _must_be_refused_there(
        self, place: Elsewhere, credential: Credential, label: str
    ) -> list[Violation]:
        baseline = await self._baseline_there(place, await self.credential(self.token_kind))
        request = self.witness.operation.request().with_headers(*credential.headers)
        proofs = []
        for prefix in ("", "again: "):
            answer = await self._there(place, request, prefix + label, Role.ATTACK, baseline)
            if answer.rejected:
                return []
            if not answer.accepted:
                raise Unclear(f"{place.label.capitalize()} gave no clear answer to {label} ({answer.why}).")
            proofs.append(answer.exchange)
        message = f"{place.label.capitalize()} accepted {label}."
        return [Violation(self.witness.operation.name, message, Severity.HIGH, tuple(proofs))]
