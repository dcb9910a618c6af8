"""How many requests a run may send where nobody says it: larger services take more of them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from auth_conformance.engine import LARGEST, PER_OPERATION, opened
from auth_conformance.settings import load


@pytest.mark.parametrize(
    ("operations", "given", "budget"),
    [
        (3, {}, LARGEST),
        (15, {}, LARGEST + 5 * PER_OPERATION),
        (200, {}, LARGEST + 150 * PER_OPERATION),
        (15, {"budget": 700}, 700),
    ],
)
def test_each_operation_beyond_ten_adds_to_the_budget(
    operations: int, given: dict[str, Any], budget: int
) -> None:
    app = FastAPI(docs_url=None, redoc_url=None)
    for number in range(operations):
        app.add_api_route(f"/things{number}", lambda: None, methods=["GET"])

    async def budgeted() -> int:
        async with opened(load({"ignore": [], **given}, start=Path("/")), app=app) as door:
            return door.scene.recorder.budget

    assert asyncio.run(budgeted()) == budget
