"""What a service does in the plainest case: learned once, and then demanded of every story."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_fuzz.stories.ground import OffStageError
from auth_fuzz.stories.model import Habits
from auth_fuzz.stories.stage import Stage

if TYPE_CHECKING:
    from auth_fuzz.stories.cast import Held, Troupe
    from auth_fuzz.stories.moves import Moves
    from auth_fuzz.world import World


async def learn(world: World, moves: Moves, troupe: Troupe) -> Habits:
    """Play each move once with nothing else going on. Raises Missing, Unclear, OffStageError."""
    seen = [await _of_sessions(world, moves, troupe, kind) for kind in troupe.kinds]
    habits = replace(
        seen[0],
        login_spares_others=all(item.login_spares_others for item in seen),
        logout_spares_others=all(item.logout_spares_others for item in seen),
        keys_outlive_logout=all(item.keys_outlive_logout for item in seen),
    )
    if world.target.refresh is not None and Kind.BEARER in troupe.kinds:
        habits = await _of_refresh(world, moves, troupe, habits)
    if moves.logout_all is not None:
        habits = replace(habits, everywhere_ends_own=await _everywhere_ends_own(world, moves, troupe))
    if moves.change is not None:
        habits = await _of_password(world, moves, troupe, habits)
    if moves.reset is not None:
        habits = await _of_reset(world, moves, troupe, habits)
    return habits


async def learn_restart(world: World, moves: Moves, troupe: Troupe, habits: Habits) -> Habits:
    """Whether credentials outlive a restart. Raises Missing, Unclear, OffStageError when accounts do not."""
    stage = await _stage(world, moves, troupe)
    held = [await stage.log_in("ann", kind) for kind in troupe.kinds]
    held.append(await stage.create_key("ann"))
    await stage.restart()
    outlives = all([await _lives(stage, item) for item in held if item is not None])
    await stage.log_in("ann", troupe.kinds[0])
    await stage.leave()
    return replace(habits, outlives_restart=outlives)


async def _stage(world: World, moves: Moves, troupe: Troupe) -> Stage:
    stage = Stage(world, moves, Habits(), troupe)
    await stage.enter()
    return stage


async def _lives(stage: Stage, held: Held | None) -> bool:
    if held is None or held.credential is None:
        return False
    answer = await stage.searcher.ask_witness(held.credential, "control: does it live")
    return answer.reply.ok


async def _of_sessions(world: World, moves: Moves, troupe: Troupe, kind: Kind) -> Habits:
    stage = await _stage(world, moves, troupe)
    first = await stage.log_in("ann", kind)
    if not await _lives(stage, first):
        raise OffStageError("a new login opens nothing")
    second = await stage.log_in("ann", kind)
    login_spares = await _lives(stage, first)
    key = await stage.create_key("ann")
    if second is not None:
        await stage.log_out(second)
    habits = Habits(
        login_spares_others=login_spares,
        logout_spares_others=login_spares and await _lives(stage, first),
        keys_outlive_logout=await _lives(stage, key),
    )
    await stage.leave()
    return habits


async def _everywhere_ends_own(world: World, moves: Moves, troupe: Troupe) -> bool:
    stage = await _stage(world, moves, troupe)
    own = await stage.log_in("ann", troupe.kinds[0])
    if own is not None:
        await stage.log_out_everywhere(own)
    ends = not await _lives(stage, own)
    await stage.leave()
    return ends


async def _of_refresh(world: World, moves: Moves, troupe: Troupe, habits: Habits) -> Habits:
    stage = await _stage(world, moves, troupe)
    access = await stage.log_in("ann", Kind.BEARER)
    token = next((item for item in stage.held if item.refresh is not None), None)
    if access is None or token is None:
        await stage.leave()
        return habits
    newer = await stage.refresh(token)
    spares = await _lives(stage, access)
    # A service that gives a new refresh token each time has replaced the old one (RFC 9700 §4.14.2).
    rotates = newer is not None and len({item.refresh for item in stage.held if item.refresh}) > 1
    ends = spares_others = False
    if rotates:
        other = await stage.log_in("ann", Kind.BEARER)
        await stage.renew(token, "control: a used refresh token comes back")
        ends = not await _lives(stage, newer)
        spares_others = await _lives(stage, other)
    await stage.leave()
    return replace(
        habits,
        refresh_spares_access=spares,
        refresh_rotates=rotates,
        reuse_ends_family=ends,
        reuse_spares_others=spares_others,
    )


async def _of_password(world: World, moves: Moves, troupe: Troupe, habits: Habits) -> Habits:
    spares_own = outlive = True
    ended: dict[Kind, bool] = {}
    for kind in troupe.kinds:
        stage = await _stage(world, moves, troupe)
        other = await stage.log_in("ann", kind)
        own = await stage.log_in("ann", kind)
        key = await stage.create_key("ann")
        before = stage.actor("ann").password
        if own is not None:
            await stage.change_password(own)
        if stage.actor("ann").password == before:
            # It was refused: nothing is known, and so nothing is demanded.
            await stage.leave()
            return replace(habits, change_ends_others=False)
        spares_own = spares_own and await _lives(stage, own)
        ended[kind] = not await _lives(stage, other)
        outlive = outlive and await _lives(stage, key)
        await stage.leave()
    return replace(
        habits,
        change_spares_own=spares_own,
        change_ends_others=_ends(ended, world, moves),
        keys_outlive_password=outlive,
    )


async def _of_reset(world: World, moves: Moves, troupe: Troupe, habits: Habits) -> Habits:
    outlive = True
    ended: dict[Kind, bool] = {}
    for kind in troupe.kinds:
        stage = await _stage(world, moves, troupe)
        other = await stage.log_in("ann", kind)
        key = await stage.create_key("ann")
        before = stage.actor("ann").password
        await stage.ask_reset("ann")
        for letter in [item for item in stage.held if item.mailed is not None]:
            await stage.redeem(letter)
        if stage.actor("ann").password != before:
            ended[kind] = not await _lives(stage, other)
            outlive = outlive and await _lives(stage, key)
        await stage.leave()
    return replace(habits, reset_ends_others=_ends(ended, world, moves), keys_outlive_reset=outlive)


def _ends(ended: dict[Kind, bool], world: World, moves: Moves) -> bool:
    """Whether a new password is held to end sessions, given the kinds of them that it was seen to end."""
    # Ending one kind of session and not another is no choice, unless nothing ends the other at all.
    endable = {logout.kind for logout in world.target.logouts}
    ends = any(ended.values()) and all(gone or kind in endable for kind, gone in ended.items())
    # Where users can end all sessions themselves, a password change need not do it (ASVS 7.4.3).
    return ends or moves.logout_all is None
