"""A token kept from one run to the next: presented again after its end, where nothing else leads past it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from auth_conformance.credentials import Credential
from auth_conformance.model import Need
from auth_conformance.probe.core import Core, Missing, Session
from auth_conformance.secret import Secret

# Who may read the file: it holds a live token for a while.
_MODE = 0o600


class Keeping(Core):
    """Keeps one token of A in the file that the user named, and only there."""

    def kept_token(self) -> tuple[Secret, float]:
        """The token of an earlier run, and when it ended. Raises Missing."""
        kept = self._kept_tokens().get(self._owner_of_kept(), {})
        token, end = kept.get("token"), kept.get("end")
        if not isinstance(token, str) or not isinstance(end, int | float):
            hint = "a later run can use the one that is kept now" if self.target.token_cache else ""
            raise Missing(
                f"Not tested: no token of an earlier run is kept{'; ' + hint if hint else ''}.",
                "" if hint else self._remedy(Need.SIGNING_KEY),
            )
        self.scene.recorder.redactor.learn(Secret(token))
        return Secret(token), float(end)

    def keep_token(self, session: Session, end: float) -> None:
        """Keep a token for a later run, unless the one that is kept has not been used yet."""
        if self.target.token_cache is None:
            return
        kept = self._kept_tokens()
        kept[self._owner_of_kept()] = {"token": session.credential.value.reveal(), "end": end}
        path = Path(self.target.token_cache)
        # Made with its mode: there is no moment at which others could read it.
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(
            os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "w", encoding="utf-8"
        ) as file:
            json.dump(kept, file)
        fresh.replace(path)

    def as_kept(self, credential: Credential, token: Secret) -> Credential:
        """The kept token in A's carrier."""
        return credential.with_value(token.reveal())

    def _owner_of_kept(self) -> str:
        return f"{self.target.address} {self.account().username}"

    def _kept_tokens(self) -> dict[str, Any]:
        if self.target.token_cache is None:
            return {}
        try:
            data = json.loads(Path(self.target.token_cache).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return data if isinstance(data, dict) else {}
