"""Keys behind the tokens: declared, found in this process, or published by the service."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt as pyjwt
from cryptography.hazmat.primitives import hmac as cryptography_hmac

from auth_conformance.credentials import Jwt, Kind, SigningKey, verified_by
from auth_conformance.discovery.document import joined
from auth_conformance.discovery.doors import stranger
from auth_conformance.discovery.names import dangerous, mentions, names
from auth_conformance.discovery.providers import own_path, read_metadata
from auth_conformance.model import Provenance
from auth_conformance.secret import Secret
from auth_conformance.settings import ConfigurationError
from auth_conformance.target import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from auth_conformance.discovery.access import Doorman
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge

_SHORTEST = 4
# How many documented paths are asked for a key set.
_SETS = 4


def token_of(known: Knowledge) -> Jwt | None:
    """A's access token, where it is a JWT."""
    credential = known.credentials.get(("a", Kind.BEARER)) or known.credentials.get(("a", Kind.COOKIE))
    return credential.jwt if credential is not None else None


async def find_signing_keys(scout: Scout, known: Knowledge, doorman: Doorman) -> None:
    """Fill in `signing_keys`. Raises ConfigurationError when the declared key did not sign A's token."""
    token = token_of(known)
    declared = known.settings.signing
    other = known.settings.other_issuer
    if other is not None:
        theirs = SigningKey(other.algorithm, other.key.secret(), other.key_id, "your configuration")
        scout.learn_key(theirs.secret.reveal())
        known.other_issuer = other.name, theirs
    if declared is not None:
        key = SigningKey(declared.algorithm, declared.key.secret(), declared.key_id, "your configuration")
        scout.learn_key(key.secret.reveal())
        if token is not None and not key.verifies(token):
            raise ConfigurationError(
                f"The key in {declared.key.env} did not sign the tokens of this service "
                f"(they say {token.algorithm or 'no algorithm'}): check [signing], or leave it out."
            )
        known.signing_keys.append(key)
        known.say("signing key", f"{key.algorithm}, from {declared.key.env}", Provenance.DECLARED)
        return
    if token is None or known.kind != "app":
        return
    for name, text in environment_keys():
        key = SigningKey(token.algorithm, Secret(text), _key_id(token), f"environment variable {name}")
        if key.verifies(token):
            _found(scout, known, key, f"it verifies A's token, offline; {name} holds it")
            return
    await _from_library(scout, known, doorman, token)


def _found(scout: Scout, known: Knowledge, key: SigningKey, because: str) -> None:
    scout.learn_key(key.secret.reveal())
    known.signing_keys.append(key)
    known.say("signing key", f"{key.algorithm}, {key.source}", Provenance.OBSERVED, because)


def _key_id(token: Jwt) -> str | None:
    key_id = token.header.get("kid")
    return key_id if isinstance(key_id, str) else None


def environment_keys() -> Iterator[tuple[str, str]]:
    """The texts that an environment variable's value may stand for as a key: raw, stripped, decoded."""
    for name, value in os.environ.items():
        if len(value) < _SHORTEST:
            continue
        texts = [value, value.strip(), value.replace("\\n", "\n")]
        with contextlib.suppress(binascii.Error, ValueError, UnicodeDecodeError):
            texts.append(base64.b64decode(value, validate=True).decode())
        for text in dict.fromkeys(texts):
            yield name, text


async def _from_library(scout: Scout, known: Knowledge, doorman: Doorman, token: Jwt) -> None:
    """Watch HMACs being made during one login of A: keys that stand in code or files are seen there."""
    logins = {login.carrier.kind: login for login in reversed(known.logins)}
    login = logins.get(Kind.BEARER, logins.get(Kind.COOKIE))
    account = known.accounts.get("a")
    if login is None or account is None or not token.algorithm.startswith("HS"):
        return
    with _keys_seen() as seen:
        await doorman.send(login, account)
    for raw in dict.fromkeys(seen):
        with contextlib.suppress(UnicodeDecodeError):
            key = SigningKey(token.algorithm, Secret(raw.decode()), _key_id(token), "seen while A logged in")
            if key.verifies(token):
                _found(scout, known, key, "it verifies A's token, offline")
                return


@contextlib.contextmanager
def _keys_seen() -> Iterator[list[bytes]]:
    """The keys of all HMACs that this process makes, by the standard library or by `cryptography`."""
    seen: list[bytes] = []

    def watched(original: Callable[..., Any]) -> Callable[..., Any]:
        def make(key: Any, *args: Any, **others: Any) -> Any:
            if isinstance(key, (bytes, bytearray)):
                seen.append(bytes(key))
            return original(key, *args, **others)

        return make

    places = ((hmac, "new"), (hmac, "digest"), (cryptography_hmac, "HMAC"))
    originals = [(module, name, getattr(module, name)) for module, name in places]
    for module, name, original in originals:
        setattr(module, name, watched(original))
    try:
        yield seen
    finally:
        for module, name, original in originals:
            setattr(module, name, original)


async def find_public_keys(scout: Scout, known: Knowledge) -> None:
    """Fill in `public_keys` from key sets at usual and documented places and from OpenID metadata.

    Where what A holds is no JWT there is nothing that such keys would verify: usual places are not asked then.
    """
    if known.settings.key_set is not None:
        _given_set(known, known.settings.key_set)
        return
    await read_metadata(scout, known)
    given = own_path(known, known.provider.get("jwks_uri"))
    documented = [given] if given is not None else []
    usual = names("public_keys", "paths") if token_of(known) is not None else ()
    for path in dict.fromkeys([*documented, *_documented_sets(known), *usual]):
        if await _key_set(scout, known, path):
            return
    for path in names("public_keys", "metadata"):
        reply = await stranger(scout, known, Operation("GET", path, provenance=Provenance.GUESSED))
        place = reply.json.get("jwks_uri") if reply.ok and isinstance(reply.json, dict) else None
        parts = joined("", place) if isinstance(place, str) else None
        own = urlsplit(known.address)
        if parts is None:
            continue
        if parts[0] in ("", own.netloc) or known.kind == "app":
            await _key_set(
                scout, known, parts[1].removeprefix(own.path.rstrip("/") if known.kind == "url" else "")
            )
        else:
            known.say(
                "public keys",
                f"on another host: {parts[0]}",
                Provenance.OBSERVED,
                "other hosts are never asked",
            )


def _given_set(known: Knowledge, file: str) -> None:
    """Take the key set of somebody else who issues the tokens. Raises ConfigurationError when none of it signed A's."""
    try:
        found = json.loads(Path(file).read_text("utf-8"))
        keys = pyjwt.PyJWKSet.from_dict(found).keys
    except (OSError, ValueError, AttributeError, pyjwt.PyJWTError) as error:
        raise ConfigurationError(f"key_set = {file!r} holds no JSON Web Key Set: {error}.") from error
    token = token_of(known)
    if token is not None and not any(verified_by(item.key, token) for item in keys):
        raise ConfigurationError(
            f"No key in {file} verifies A's token: save the key set again that its issuer serves (jwks_uri)."
        )
    known.public_keys += found["keys"]
    known.say("public keys", f"{len(keys)} in {file}", Provenance.DECLARED, "your configuration")


def _documented_sets(known: Knowledge) -> list[str]:
    """The documented paths that may hold a key set, likeliest first."""
    words = names("public_keys")
    found: list[tuple[bool, str]] = []
    for operation in known.by_method("GET"):
        if "{" in operation.path or operation.protected or dangerous(operation):
            continue
        called = f"{operation.path} {operation.operation_id}"
        if "jwk" in called.lower() or mentions(called, words):
            found.append(("jwk" not in called.lower(), operation.path))
    return [path for _, path in sorted(found)][:_SETS]


async def _key_set(scout: Scout, known: Knowledge, path: str) -> bool:
    operation = known.operation(f"GET {path}")
    reply = await stranger(scout, known, operation)
    keys: Any = reply.json.get("keys") if reply.ok and isinstance(reply.json, dict) else None
    found = [key for key in keys if isinstance(key, dict) and "kty" in key] if isinstance(keys, list) else []
    private = [key for key in found if "d" in key or key.get("kty") == "oct"]
    if private:
        known.say("public keys", f"{path} publishes {len(private)} secret key(s)", Provenance.OBSERVED)
    if not found:
        return False
    known.public_keys += found
    known.key_set = operation
    known.say("public keys", f"{len(found)} at {path}", Provenance.OBSERVED, "a JSON Web Key Set")
    return True
