"""The target's database, read as it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.model import Need
from auth_conformance.probe.core import Core, Missing, Unclear
from auth_conformance.storage import StorageError, read

if TYPE_CHECKING:
    from auth_conformance.storage import Dump


class Opened(Core):
    """Reads the database whose URL the tester gave."""

    async def stored(self) -> Dump:
        """Read the target's database as it is now. Raises Missing or Unclear."""
        if self.target.database is None:
            raise Missing(
                "Not tested: the database of the service is not known.", self._remedy(Need.DATABASE)
            )
        try:
            return await read(self.target.database)
        except StorageError as error:
            raise Unclear(f"Not tested: {error}", error.remedy) from None
