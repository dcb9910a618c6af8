"""`must_treat_key_id_as_index`: what a hostile `kid` could select (checklist TOK118)."""

from __future__ import annotations

import hmac
import re
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from auth_conformance.credentials import Jwt
from auth_conformance.model import Exchange, Failed, Inconclusive, Passed, Severity, Verdict, Violation
from auth_conformance.probe.core import Answer
from auth_conformance.probe.refusal import Attempt, Refusal
from auth_conformance.probe.remotekeys import keys_for

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.oracles.entry import Baseline

_DIGESTS = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
# What Linux writes into this file, whatever the machine: a key that every forger knows.
_OSTYPE = "/proc/sys/kernel/ostype"
_OSTYPE_SAYS = b"Linux\n"
# Long enough for libraries that refuse short secrets.
_WORD = "conformance-suite-selected-this-key-0123456789"
# A command that waits this long, how long a reply to it takes at least, and one to its twin at most.
_SLEEP, _SLEPT, _AWAKE = 3, 2.5, 1.0
_TRIES = 3
# What databases and file systems say, and error bodies repeat.
_TELLING = re.compile(
    r"SQL syntax|SQLSTATE|sqlite3?\.\w*Error|psycopg|near \"[^\"]*\": syntax error|unterminated quoted|"
    r"\bORA-\d{5}|No such file or directory|Is a directory|\[Errno \d+\]|embedded null byte|FileNotFoundError",
    re.IGNORECASE,
)
_MISSING = object()
_LONG = "10 kB long"


class KeyIds(Refusal):
    """Signs with what a `kid` would select."""

    async def must_treat_key_id_as_index(self) -> Verdict:
        """Refuse every token whose key its own `kid` selected. Raises Missing or Unclear."""
        live = await self.credential(self.token_kind)
        token = self.jwt_of(live)
        with _planted() as (path, content):
            vectors = [*_files(path, content), *_queries(), *_nothing(), *self._published_ids(token)]
            attempts = [
                # A long header may be refused by a server in front, which says nothing about kid.
                Attempt(
                    f"a token whose kid is {label}",
                    live.with_value(_signed(token, kid, secret).text),
                    core=label != _LONG,
                )
                for label, kid, secret in vectors
            ]
            attempts += [
                Attempt(f"a token whose kid is {label}", live.with_value(text))
                for label, text in _of_a_pair(token, path)
            ]
            # The same bytes where nobody looks: what refuses them there is a filter.
            twin = Attempt(
                "control: a forged token in an inert header",
                live,
                headers=(
                    ("X-Probe", attempts[0].credential.value.reveal() if attempts[0].credential else ""),
                ),
            )
            nobody = _signed(token, "no-such-key", secrets.token_hex(32).encode())
            held = Attempt("control: a token under a random key", live.with_value(nobody.text))
            verdict = await self.must_refuse(attempts, credential=live, twin=twin, must_hold=(held,))
        if isinstance(verdict, Failed):
            return verdict
        baseline = await self.baseline(self.witness, live)
        violations = list(self._kid_errors())
        slept = await self._kid_obeyed(live, token, baseline)
        await self.must_live(self.witness, live, baseline, "after")
        violations += [slept] if slept else []
        if violations:
            return Failed(tuple(violations), tuple(self.evidence), tuple(self.notes))
        if isinstance(verdict, Passed | Inconclusive):
            return replace(verdict, evidence=tuple(self.evidence))
        return verdict

    def _published_ids(self, token: Jwt) -> Iterator[tuple[str, object, bytes]]:
        """The identifiers of other published keys, without their keys."""
        own = token.header.get("kid")
        for jwk in self.target.public_keys[:3]:
            if (other := jwk.get("kid")) is not None and other != own:
                yield "that of another published key", other, b""

    def _kid_errors(self) -> Iterator[Violation]:
        """Error bodies in which a database or a file system speaks."""
        for exchange in self.evidence:
            found = _TELLING.search(exchange.reply.body)
            if exchange.label.startswith("a token whose kid is") and found is not None:
                message = f"{exchange.operation} repeats what handled the kid ({found[0]}): {exchange.label}."
                yield Violation(exchange.operation, message, Severity.HIGH, (exchange,))
                return

    async def _kid_obeyed(self, live: Credential, token: Jwt, baseline: Baseline) -> Violation | None:
        """Whether a command in `kid` makes the service wait, three times of three, and its twin does not."""
        for form in ("|sleep {}", "$(sleep {})", ";sleep {};", "`sleep {}`"):
            waits: list[Exchange] = []
            for _ in range(_TRIES):
                slow = await self._kid_asked(live, token, form.format(_SLEEP), baseline)
                if slow.reply.took < _SLEPT:
                    break
                quick = await self._kid_asked(live, token, form.format(0), baseline)
                if quick.reply.took >= _AWAKE:
                    break
                waits += [slow.exchange, quick.exchange]
            else:
                message = f"{self.witness.operation.name} obeyed a command in kid ({form.format(_SLEEP)})."
                return Violation(self.witness.operation.name, message, None, tuple(waits))
        return None

    async def _kid_asked(self, live: Credential, token: Jwt, kid: str, baseline: Baseline) -> Answer:
        forged = _signed(token, kid, b"x")
        attempt = Attempt(f"a token whose kid is the command {kid}", live.with_value(forged.text))
        return await self.attempt(self.witness, attempt, baseline)


class _planted:  # noqa: N801 - used as a function
    """A file with content that only we know: for applications on this machine."""

    def __enter__(self) -> tuple[Path, bytes]:
        self._folder = tempfile.TemporaryDirectory(prefix="auth-conformance-")
        path = Path(self._folder.name) / "key"
        content = secrets.token_hex(32).encode()
        path.write_bytes(content)
        return path, content

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _signed(token: Jwt, kid: object, secret: bytes) -> Jwt:
    name = token.algorithm if token.algorithm in _DIGESTS else "HS256"
    forged = (token.without_header("kid") if kid is _MISSING else token.with_header(kid=kid)).with_header(
        alg=name
    )
    return forged.with_signature(hmac.digest(secret, forged.signing_input, _DIGESTS[name]))


def _files(path: Path, content: bytes) -> Iterator[tuple[str, object, bytes]]:
    for depth in range(3, 9):
        up = "../" * depth
        yield f"{up}dev/null, its key empty", f"{up}dev/null", b""
        yield f"{up}dev/null, its key a NUL", f"{up}dev/null", b"\0"
    yield "/dev/null, its key empty", "/dev/null", b""
    yield "/dev/null, its key a NUL", "/dev/null", b"\0"
    # What is above the root is the root: eight steps up are enough from anywhere.
    up = "../" * 8
    for label, where, secret in (
        ("a file of the kernel", _OSTYPE, _OSTYPE_SAYS),
        ("a file that was put there", str(path), content),
    ):
        yield f"the path of {label}", where, secret
        yield f"the path of {label}, from below", up + where[1:], secret
        if secret.strip() != secret:
            yield f"the path of {label}, its content stripped", up + where[1:], secret.strip()
    yield "a path with escaped dots", ("%2e%2e%2f" * 8) + _OSTYPE[1:], _OSTYPE_SAYS
    yield "a path with four dots a step", ("....//" * 8) + _OSTYPE[1:], _OSTYPE_SAYS
    yield "a path that ends at a NUL", f"{up}{_OSTYPE[1:]}\0.pem", _OSTYPE_SAYS


def _queries() -> Iterator[tuple[str, object, bytes]]:
    secret = _WORD.encode()
    for kid in (
        f"x' UNION SELECT '{_WORD}'-- ",
        f"x' UNION SELECT '{_WORD}','{_WORD}'-- ",
        f"x' UNION SELECT '{_WORD}'#",
        f'x" UNION SELECT "{_WORD}"-- ',
        f"x') UNION SELECT '{_WORD}'-- ",
        f"x' UNION SELECT CAST('{_WORD}' AS bytea)-- ",
        f"x' UNION SELECT x'{secret.hex()}'-- ",
        f"0 UNION SELECT '{_WORD}'",
    ):
        yield f"SQL ({kid.replace(_WORD, '…')})", kid, secret


def _of_a_pair(token: Jwt, path: Path) -> Iterator[tuple[str, str]]:
    """What would select a public key of ours, where the service verifies with public keys."""
    if token.algorithm in _DIGESTS:
        return
    key = next((key for key in keys_for(token) if key.algorithm == token.algorithm), None)
    if key is None:
        return
    private = serialization.load_pem_private_key(key.secret.reveal().encode(), password=None)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = private.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    file = path.with_name("key.pem")
    file.write_text(pem)
    selected = {
        "the path of a public key that was put there": str(file),
        "the path of a public key that was put there, from below": "../" * 8 + str(file)[1:],
    }
    for query in ("x' UNION SELECT '{}'-- ", "x' UNION SELECT '{0}','{0}'-- ", "x') UNION SELECT '{}'-- "):
        selected[f"SQL for a public key ({query.format('…')})"] = query.format(pem)
    for label, kid in selected.items():
        yield label, token.with_header(kid=kid).signed(key).text


def _nothing() -> Iterator[tuple[str, object, bytes]]:
    """Identifiers that select no key: what is then left to verify with is known to everybody."""
    odd: Sequence[tuple[str, object]] = (
        ("missing", _MISSING),
        ("empty", ""),
        ("null", None),
        ("unknown", "no-such-key"),
        ("0", 0),
        ("a list", []),
        ("an object", {}),
    )
    for label, kid in odd:
        yield f"{label}, its key empty", kid, b""
        yield f"{label}, its key the word None", kid, b"None"
    yield _LONG, "k" * 10_000, b""
    yield "a NUL", "\0", b""
