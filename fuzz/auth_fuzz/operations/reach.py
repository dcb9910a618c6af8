"""How far generated requests got: a handler that none of them reached has proved nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus

# With fewer requests it was the budget that ended the attempts.
_FEW = 4


@dataclass(slots=True)
class Reach:
    """How far the generated requests of one operation got."""

    operation: str
    sent: int = 0
    validated: int = 0
    served: int = 0
    statuses: Counter[int | None] = field(default_factory=Counter)

    def remedy(self, admin: str) -> str:
        """The line that would get generated requests further; `admin` is the one that makes an administrator known."""
        refused = self.statuses[HTTPStatus.UNAUTHORIZED] + self.statuses[HTTPStatus.FORBIDDEN]
        if self.statuses[HTTPStatus.TOO_MANY_REQUESTS] * 2 > self.sent:
            return "rate = 1  # requests per second"
        if self.sent < _FEW:
            return 'fuzz_budget = "5m"  # or --fuzz-budget 5m'
        if refused * 2 > self.sent:
            return (
                admin
                or f"# OpenAPI document, {self.operation}: `security` with the credentials that it takes"
            )
        return f"# OpenAPI document, {self.operation}: an `example` of each parameter and of the body that it accepts"

    def __str__(self) -> str:
        if self.validated:
            return f"{self.operation}: {self.validated} of {self.sent} past validation, {self.served} served"
        seen = ", ".join(
            f"{count} × {status or 'no answer'}" for status, count in self.statuses.most_common(3)
        )
        return f"{self.operation}: none of {self.sent} past validation ({seen})"
