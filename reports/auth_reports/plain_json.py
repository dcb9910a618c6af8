"""The JSON report: the document of a run as text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from auth_conformance.document import to_document

if TYPE_CHECKING:
    from auth_conformance.model import Run


def render(run: Run) -> str:
    """Return the document of `run`, keys sorted, so that two reports can be compared line by line.

    The text is ASCII: what a target sent can then neither steer a terminal nor break an encoder.
    """
    return json.dumps(to_document(run), indent=2, sort_keys=True) + "\n"
