"""The origins whose pages may use the service: declared, or named by its own document and seen to work."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING

from auth_conformance.model import Role
from auth_conformance.oracles.cors import may_read
from auth_conformance.probe.core import Core

if TYPE_CHECKING:
    from collections.abc import Iterator

_ORIGIN = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?(?=[/\"?#\\]|$)")
# Where a document names addresses of those who run the service, and of its pages (OpenAPI 3.1 §4.8).
_PARTS = ("servers", "info", "externalDocs", "components")
# So many of them are tried.
_MOST = 6


async def listed_origins(probe: Core) -> tuple[str, ...]:
    """Every origin that is declared; where none is, those that the service names itself and lets read. Once per run."""
    if probe.target.policy.origins or probe.target.witness is None:
        return tuple(probe.target.policy.origins)
    return await probe.scene.once("listed origins", lambda: _that_work(Core(probe.scene, probe.rule)))


async def _that_work(probe: Core) -> tuple[str, ...]:
    found = []
    for origin in islice(_named(probe), _MOST):
        answer = await probe.call(
            probe.witness.operation,
            label=f"does the service list {origin}, which it names itself?",
            role=Role.CONTROL,
            headers=(("Origin", origin),),
        )
        # A "*" is said to everybody: it lists nobody.
        everybody = answer.reply.header("access-control-allow-origin") == "*"
        if not everybody and may_read(origin, answer.reply, credentials=False):
            found.append(origin)
    return tuple(found)


def _named(probe: Core) -> Iterator[str]:
    """The service's own origin, and those of the addresses in its document."""
    documents = [item.raw for item in probe.target.documents[:1]]
    said = json.dumps([[raw.get(part) for part in _PARTS] for raw in documents], default=str)
    yield from dict.fromkeys((probe.scene.origin, *_ORIGIN.findall(said)))
