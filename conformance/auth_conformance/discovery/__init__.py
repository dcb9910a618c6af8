"""Getting to know a target: from an address, a document, a process and two accounts to a `Target`.

Everything found is done once before it is believed; what is only guessed says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.discovery.asking import Scout
from auth_conformance.discovery.knowledge import Knowledge
from auth_conformance.discovery.steps import explore

if TYPE_CHECKING:
    from auth_conformance.settings import Settings
    from auth_conformance.target import Target
    from auth_conformance.transports.mailbox import Mailbox
    from auth_conformance.transports.recorder import Recorder

__all__ = ["discover"]


async def discover(
    recorder: Recorder,
    settings: Settings,
    *,
    kind: str,
    address: str,
    app: object | None,
    run_id: str,
    mailbox: Mailbox | None = None,
) -> Target:
    """Find out how this target authenticates. `kind` is `app` or `url`; `app` is the object behind an app.

    A `mailbox` is used instead of the configured one. Sends at most 300 requests, all through `recorder`.
    Names of accounts that it registers carry `run_id`. Raises ConfigurationError when the target cannot be
    reached, when a given account cannot log in, or when nothing says how to begin.
    """
    scout = Scout(recorder, settings, run_id)
    known = Knowledge(settings, kind, address, app, mailbox=mailbox)
    await explore(scout, known)
    return known.target()
