"""Whether a text that nobody can have guessed stands in another text, in whatever encoding it got there."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator


def spellings(canary: str) -> Iterator[tuple[str, str]]:
    """Every encoding in which `canary` may turn up, each with its name (checklist §1.1)."""
    raw = canary.encode("utf-8", "surrogatepass")
    yield "as it is", canary
    yield "JSON-escaped", json.dumps(canary)[1:-1]
    yield "URL-encoded", quote(raw, safe="")
    yield "URL-encoded", quote(raw)
    yield "URL-encoded", quote_plus(raw)
    yield "in hexadecimal", raw.hex()
    for skipped in range(3):
        # Base64 works on groups of three bytes: what stands before the canary shifts its letters. The
        # characters at either end depend on the neighbours as well, so they are left out.
        standard = base64.b64encode(b"\0" * skipped + raw).decode().rstrip("=")
        inner = standard[-(-skipped * 4 // 3) : len(standard) - 1]
        yield "in base64", inner
        yield "in base64url", inner.translate(str.maketrans("+/", "-_"))
    for name in ("md5", "sha1", "sha256"):
        hashed = hashlib.new(name, raw, usedforsecurity=False).digest()
        yield f"as its {name} digest", hashed.hex()
        yield f"as its {name} digest", base64.b64encode(hashed).decode().rstrip("=")


def leaked(canary: str, text: str) -> str | None:
    """How `canary` stands in `text`, such as `in base64`; None when it does not."""
    folded = text.casefold()
    for how, spelling in spellings(canary):
        # Hexadecimal digits and percent-encodings have two cases; a canary that was folded is still one.
        if spelling in text or (
            how != "in base64" and spelling.casefold() in folded and len(spelling) >= len(canary)
        ):
            return how
    return None
