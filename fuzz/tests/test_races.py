"""What is to happen at once happens at once, however slowly a run asks."""

import asyncio
from dataclasses import replace
from typing import Any

from auth_conformance.credentials import Kind
from auth_conformance.demo import bundled
from auth_conformance.engine import opened
from auth_conformance.loop import run_to_end
from auth_conformance.testing import FAST_HASHING
from auth_conformance.transports.pace import Pace
from auth_fuzz.stories.cast import Troupe
from auth_fuzz.stories.model import Habits
from auth_fuzz.stories.moves import find_moves, kinds_of_login
from auth_fuzz.stories.stage import Stage
from auth_fuzz.world import World


def test_the_rate_of_a_run_does_not_spread_a_race() -> None:
    async def race(app: Any, settings: Any) -> Stage:
        async with opened(settings, app=app) as door:
            world = World(door.scene, seed=1)
            await world.meet()
            troupe = Troupe(world, kinds_of_login(world.target))
            stage = Stage(world, find_moves(world.target), Habits(refresh_rotates=True), troupe)
            # A logout that wants a body gets it in a race, too.
            ways_out = tuple(replace(one, template={"reason": "done"}) for one in world.target.logouts)
            stage.target = replace(world.target, logouts=ways_out)
            await stage.enter()
            await stage.log_in("ann", Kind.BEARER)
            await stage.log_in("bob", Kind.BEARER)
            tokens = stage.alive("refresh token")
            (session,) = stage.alive("bearer", owner="bob")
            # One request in an hour: whoever waits for their turn is not there in time.
            door.scene.recorder.pace = Pace(1 / 3600)
            async with asyncio.timeout(60):
                await stage.race_refresh(next(one for one in tokens if one.holding.owner == "ann"))
                await stage.race_logout(session, next(one for one in tokens if one.holding.owner == "bob"))
            door.scene.recorder.pace = Pace()
            return stage

    with bundled(extra=FAST_HASHING) as (app, settings):
        stage = run_to_end(race(app, settings))
    together = [exchange for exchange in stage.exchanges if exchange.together]
    assert [exchange.reply.status is not None for exchange in together] == [True] * 5
    assert not any(exchange.special for exchange in together)
    (leaving,) = (exchange for exchange in together if "logout" in exchange.operation)
    assert "reason" in (leaving.request.body or "")
