"""Pages that show an OpenAPI document: where they say it is, and the document that stands in their script."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LINKS = re.compile(
    r"""(?:spec-url|specUrl|\burl|data-url|data-source|href|describedby)["']?\s*[:=]\s*["']([^"'<>\s]+?\.(?:json|ya?ml)[^"'<>\s]*|[^"'<>\s]*openapi[^"'<>\s]*)["']"""
)
# A page that shows a document says where it is, whatever that is called.
_VIEWER = re.compile(r"(?i)swagger-?ui|redoc|rapidoc|scalar|stoplight|elements-api")
_SHOWN = re.compile(
    r"""(?:spec-url|specUrl|\burl|data-url|apiDescriptionUrl)["']?\s*[:=]\s*["']([^"'<>\s]+)["']"""
)
# Swagger UI is told its document by a small script beside the page: swagger-ui-init.js, swagger-initializer.js.
_SCRIPTS = re.compile(r"""<script[^>]+src=["']([^"'<>\s]*init[^"'<>\s/]*\.js[^"'<>\s]*)["']""", re.IGNORECASE)
_EMBEDDED = re.compile(r"""\b(?:swaggerDoc|spec|content|definition)["']?\s*[:=]\s*(?=\{)""")
# A catalogue of interfaces says so of each (RFC 9727 §4, RFC 8631 §4.2).
_CATALOGUED = re.compile(
    r"""["']service-desc["']\s*:\s*\[\s*\{[^{}]*?["']href["']\s*:\s*["']([^"'<>\s]+)["']"""
)
_READ = 200_000
_MOST = 10


def links(text: str) -> Iterator[str]:
    """What a page or the script of a viewer says that its document is at, likeliest first."""
    text = text[:_READ]
    viewer = _VIEWER.search(text) is not None
    found = [*_SCRIPTS.finditer(text), *_SHOWN.finditer(text)] if viewer else [*_CATALOGUED.finditer(text)]
    for match in [*found, *_LINKS.finditer(text)][:_MOST]:
        name = match[1].split("?")[0]
        if match.re is _SCRIPTS or not name.endswith((".css", ".js", ".png", "manifest.json")):
            yield match[1]


def embedded(text: str, fits: Callable[[Any], bool]) -> Any:
    """The document that stands in a page or script as data, or None."""
    if _VIEWER.search(text[:_READ]) is None:
        return None
    decoder = json.JSONDecoder()
    for match in list(_EMBEDDED.finditer(text))[:_MOST]:
        try:
            value, _ = decoder.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            continue
        if fits(value):
            return value
    return None
