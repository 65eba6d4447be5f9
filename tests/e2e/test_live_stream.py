"""A live stream end to end: a host, two viewers, promotions, real pictures, both SFUs."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from tests.e2e.house import PATIENCE
from tests.e2e.shows import (
    AT_ONCE,
    CAMERA,
    MICROPHONE,
    Show,
    Viewing,
    hands,
    on_stage,
    sees,
    values,
    viewing,
)
from tests.e2e.test_audio_room import refused
from utd_rx import UTDErrorCode, UTDLiveStreamSession


async def stops(clock: Viewing, *gone: Viewing) -> None:
    """Wait until nothing more of who is gone is seen while others show some frames."""
    first = seen = [len(view.eye.counters) for view in gone]
    await clock.frames()
    while (now := [len(view.eye.counters) for view in gone]) != seen:
        late = [count - before for count, before in zip(now, first, strict=True)]
        assert max(late) <= AT_ONCE
        seen = now
        await clock.frames()


async def steps_up(
    host: UTDLiveStreamSession, guest: UTDLiveStreamSession, *views: Viewing
) -> None:
    """The host has somebody come on the stage, who is seen then, without reconnecting."""
    await host.invite_to_stage(guest.identity)
    await guest.can_publish.until(True, timeout=PATIENCE)
    await guest.set_camera(True)
    await asyncio.gather(*(view.frames() for view in views))


async def test_a_broadcast_from_going_live_to_its_end(show: Show) -> None:
    hana = await show.attend("hana", as_host=True)
    vera = await show.attend("vera")
    carl = await show.attend("carl", as_host=True)
    assert (hana.is_host, carl.is_host) == (True, False), "who claims and is not the owner"
    assert (await refused(carl.go_live())).code is UTDErrorCode.FORBIDDEN
    connected = values(vera.connection_state)

    with ExitStack() as stack:
        seen = {
            (by.identity, whom): stack.enter_context(viewing(by, whom))
            for by, whom in [(vera, "hana"), (carl, "hana"), (hana, "vera"), (carl, "vera")]
        }
        of_host = seen["vera", "hana"], seen["carl", "hana"]
        of_guest = seen["hana", "vera"], seen["carl", "vera"]
        await hana.go_live()
        for session in (vera, carl):
            await sees(session, "hana", MICROPHONE, CAMERA)
            await on_stage(session, "hana")
        await hana.viewer_count.until(2, timeout=PATIENCE)
        await asyncio.gather(*(view.frames() for view in of_host))

        await vera.request_stage()
        await hands(hana, "vera")
        await steps_up(hana, vera, *of_guest)
        await vera.hand_raised.until(False, timeout=PATIENCE)
        await on_stage(carl, "hana", "vera")
        await carl.viewer_count.until(1, timeout=PATIENCE)
        await vera.set_microphone(True)
        await sees(carl, "vera", MICROPHONE, CAMERA)

        await hana.remove_from_stage("vera")
        await vera.camera_enabled.until(False, timeout=PATIENCE)
        await stops(of_host[1], *of_guest)
        for session in (hana, carl):
            await sees(session, "vera")
        assert (await refused(vera.set_camera(True))).code is UTDErrorCode.FORBIDDEN

        await steps_up(hana, vera, *of_guest)
        await vera.leave_stage()
        assert not vera.camera_enabled.value
        await stops(of_host[1], *of_guest)
        await vera.can_publish.until(False, timeout=PATIENCE)
        await on_stage(carl, "hana")

        # All that time the host was seen by everybody, and nobody came or went.
        for numbers in (view.eye.numbers for view in of_host):
            assert numbers == sorted(set(numbers))
        assert len(connected) == 1

        await steps_up(hana, vera)
        await hana.stop_live()
        for session in (vera, carl):
            await session.live_ended.until(True, timeout=PATIENCE)
            await sees(session, "hana")
            await on_stage(session, "hana")
        await vera.camera_enabled.until(False, timeout=PATIENCE)
        assert hana.connected.value
        await hana.go_live()
        for session in (vera, carl):
            await session.live_ended.until(False, timeout=PATIENCE)
        await asyncio.gather(*(view.frames() for view in of_host))

    await hana.leave()
    for session in (vera, carl):
        await session.live_ended.until(True, timeout=PATIENCE)
        assert session.connected.value
        assert session.state.value.forged == 0
