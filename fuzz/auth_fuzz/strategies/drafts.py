"""A token while it is edited: the changes, and what is wrong with the outcome in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from auth_conformance.credentials import Jwt, SigningKey, b64url, compact_json
from auth_conformance.model import Severity
from auth_fuzz.strategies.attack import Attack, Material


@dataclass(frozen=True, slots=True)
class Draft:
    """A token while it is edited. `signature` is None while it is the live one's."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signature: bytes | None = None
    header_json: str | None = None
    claims_json: str | None = None
    resigned: bool = False


@dataclass(frozen=True, slots=True)
class Edit:
    """One change. `unlawful` says that a correctly signed token with it must still be refused.

    `severity` is how bad it is that one is accepted: only who has the key can make it.
    """

    says: str
    apply: Callable[[Draft], Draft] = field(compare=False)
    unlawful: bool = False
    severity: Severity = Severity.MEDIUM


def composed(material: Material, token: Jwt, edits: list[Edit]) -> Attack:
    """The token after these edits, and what is wrong with it; signed last."""
    draft = Draft(token.header, token.claims)
    ordered = sorted(edits, key=lambda edit: edit.says.startswith("signed"))
    for edit in ordered:
        draft = edit.apply(draft)
    # A later edit may have undone an earlier one: what is no longer there makes no token unlawful.
    left = [edit for edit in ordered if _parts(edit.apply(draft)) == _parts(draft)]
    text = _text(draft, token, material.key)
    headers, query = material.bearing(text)
    grave = [edit.severity for edit in left if edit.unlawful]
    lawful = text == token.text or (draft.resigned and not grave)
    severity = max(grave) if draft.resigned and grave else None
    return Attack(" and ".join(edit.says for edit in left), headers, query, lawful, severity)


def _parts(draft: Draft) -> tuple[str, ...]:
    """Header and payload as they will be written."""
    plain = compact_json(dict(draft.header)), compact_json(dict(draft.claims))
    return (*plain, draft.header_json or "", draft.claims_json or "")


def _text(draft: Draft, token: Jwt, key: SigningKey | None) -> str:
    header = token.header_text
    if draft.header_json is not None or draft.header != token.header:
        header = b64url(
            (draft.header_json or compact_json(dict(draft.header))).encode("utf-8", "surrogatepass")
        )
    payload = token.payload_text
    if draft.claims_json is not None or draft.claims != token.claims:
        payload = b64url(
            (draft.claims_json or compact_json(dict(draft.claims))).encode("utf-8", "surrogatepass")
        )
    if draft.resigned and key is not None:
        try:
            signature = b64url(key.sign(f"{header}.{payload}".encode()))
        except ValueError:
            signature = ""
    else:
        signature = token.signature_text if draft.signature is None else b64url(draft.signature)
    return f"{header}.{payload}.{signature}"


def signed_with(key: SigningKey, draft: Draft) -> Draft:
    """The draft as its service would sign it; `none` is no algorithm to sign with."""
    header = dict(draft.header)
    if isinstance(header.get("alg"), str) and header["alg"].upper() == "NONE":
        header["alg"] = key.algorithm
    return Draft(header, draft.claims, None, draft.header_json, draft.claims_json, resigned=True)
