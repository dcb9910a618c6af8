"""Bodies that a page may send to another site without asking first (Fetch standard, CORS-safelisted requests)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote, urlencode

from auth_conformance.transports.message import HttpRequest

_BOUNDARY = "----auth-conformance-5e1f"


@dataclass(frozen=True, slots=True)
class Simple:
    """A body that browsers send without asking first: how it is called, its type, and how it is written."""

    label: str
    media: tuple[str, ...]
    form: str = "json"
    core: bool = True


# What a page can send without a preflight (Fetch §2.2.2), and an untyped Blob, which has no type at all.
SIMPLE = (
    Simple("JSON as text/plain", ("text/plain",)),
    Simple("JSON as text/plain;application/json", ("text/plain;application/json",)),
    Simple("JSON as urlencoded", ("application/x-www-form-urlencoded",)),
    Simple("JSON as the name of a field", ("application/x-www-form-urlencoded",), "name"),
    Simple("JSON in a multipart form", (f"multipart/form-data; boundary={_BOUNDARY}",), "multipart"),
    Simple("JSON without a content type", ()),
    Simple("JSON with an empty content type", ("",)),
    Simple("JSON with application/json on a second line", ("text/plain", "application/json")),
)


def shaped(request: HttpRequest, shape: Simple, body: Mapping[str, object]) -> HttpRequest:
    """Return the request with the body in that shape."""
    text = json.dumps(dict(body))
    types = tuple(("Content-Type", media) for media in shape.media)
    match shape.form:
        case "name":
            # `{"a":"b","x":"=` … `"}` is how a form writes JSON; here the whole of it is the name of a field.
            data = quote(text).encode()
        case "multipart":
            part = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="json"\r\n\r\n{text}\r\n--{_BOUNDARY}--\r\n'
            data = part.encode()
        case "application/x-www-form-urlencoded":
            data = urlencode({key: str(value) for key, value in body.items()}).encode()
        case form if form.startswith("multipart"):
            parts = "".join(
                f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
                for key, value in body.items()
            )
            types = (("Content-Type", f"multipart/form-data; boundary={_BOUNDARY}"),)
            data = (parts + f"--{_BOUNDARY}--\r\n").encode()
        case _:
            data = text.encode()
    return replace(request, headers=(*request.headers, *types), body=data)
