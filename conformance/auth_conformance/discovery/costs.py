"""Which collections are tried unasked: an order costs money, an invitation writes to somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.discovery.names import mentions, names
from auth_conformance.transports.loopback import is_loopback

if TYPE_CHECKING:
    from auth_conformance.discovery.knowledge import Knowledge


def left_out(known: Knowledge, path: str) -> bool:
    """Whether no object is made at `path`: it is no collection of people's own, or to make one may cost them.

    Who allows what locks, deletes or floods has allowed this as well. In this process, and on this machine, a
    service is a trial of one's own: an order is no order there. Mail that leaves it may arrive all the same.
    """
    if mentions(path, names("objects", "avoid")):
        return True
    if known.settings.allow_disruptive or known.kind == "app":
        return False
    if mentions(path, names("objects", "reaching")):
        return True
    return mentions(path, names("objects", "costly")) and not is_loopback(known.address)
