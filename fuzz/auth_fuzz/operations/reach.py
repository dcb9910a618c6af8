"""How far generated requests got: a handler that none of them reached has proved nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Reach:
    """How far the generated requests of one operation got."""

    operation: str
    sent: int = 0
    validated: int = 0
    served: int = 0
    statuses: Counter[int | None] = field(default_factory=Counter)

    def __str__(self) -> str:
        if self.validated:
            return f"{self.operation}: {self.validated} of {self.sent} past validation, {self.served} served"
        seen = ", ".join(
            f"{count} × {status or 'no answer'}" for status, count in self.statuses.most_common(3)
        )
        return f"{self.operation}: none of {self.sent} past validation ({seen})"
