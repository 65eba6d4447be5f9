"""The host of a live stream goes, with and without a word, and comes back in time or not."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.house import PATIENCE
from tests.e2e.shows import CAMERA, MICROPHONE, Show, on_stage, sees, values, viewing
from tests.e2e.test_audio_room import refused
from tests.support.processes import asleep, descendants, kill_all
from utd_rx import UTDErrorCode, UTDLiveStreamSession

GRACE: Final = 60.0
"""Seconds for which the engine waits for a host (docs/contract.md, "Stage")."""

NOTICED: Final = 60.0
"""Seconds until a media server has given up on somebody who says nothing."""


async def vanish(show: Show, host: UTDLiveStreamSession) -> None:
    """Have the media server lose a host, as the engine sees it: nobody has said a word."""
    media = show.engine.core.media
    [room] = await media.list_rooms()
    assert await media.remove(room.name, host.identity)
    await host.connected.until(False, timeout=PATIENCE)


async def test_a_broadcast_waits_for_its_host_for_a_minute(show: Show) -> None:
    hana = await show.attend("hana", as_host=True)
    vera = await show.attend("vera")
    await hana.go_live()
    await hana.invite_to_stage("vera")
    await vera.can_publish.until(True, timeout=PATIENCE)
    await vera.set_camera(True)
    ended = values(vera.live_ended)
    with viewing(vera, "hana") as picture:
        await picture.frames()
        await vanish(show, hana)
        await show.knows("vera")
        show.clock.skip(GRACE / 2)
        await on_stage(vera, "vera")  # the host's place is gone before the broadcast ends
        show.clock.skip(GRACE / 2 - 1)
        await vera.refresh_stage()
        assert vera.camera_enabled.value
        await hana.join()
        await show.knows("hana", "vera")
        show.clock.skip(GRACE)
        await hana.go_live()
        await picture.frames()
        await vera.refresh_stage()
        await on_stage(vera, "hana", "vera")
        assert vera.camera_enabled.value
        assert ended == [False]

        await vanish(show, hana)
        await show.knows("vera")
        show.clock.skip(GRACE)
        await vera.live_ended.until(True, timeout=PATIENCE)
    await on_stage(vera)
    await vera.camera_enabled.until(False, timeout=PATIENCE)
    await vera.can_publish.until(False, timeout=PATIENCE)
    assert (await refused(vera.set_camera(True))).code is UTDErrorCode.FORBIDDEN
    await hana.join()  # the room is still there, and its host too
    await hana.go_live()
    await vera.live_ended.until(False, timeout=PATIENCE)
    await sees(vera, "hana", MICROPHONE, CAMERA)


@asynccontextmanager
async def broadcaster(show: Show, identity: str) -> AsyncIterator[Process]:
    """A host in a process of its own, live in a room of their name."""
    engine = show.engine
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("broadcaster.py")),
        *(engine.base_url, engine.app_id, engine.app_key, identity, identity),
        stdout=PIPE,
        stderr=DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            assert await process.stdout.readline() == b"live\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.realtime(waits=True)
@pytest.mark.timeout(200)
async def test_a_host_that_freezes_may_come_back_and_one_that_is_killed_may_not(
    show: Show,
) -> None:
    async with broadcaster(show, "fred") as freezes, broadcaster(show, "dora") as dies:
        of_fred = await show.attend("vera", room="fred")
        of_dora = await show.attend("wes", room="dora")
        with viewing(of_fred, "fred") as fred, viewing(of_dora, "dora") as dora:
            await asyncio.gather(fred.frames(), dora.frames())
            with asleep(freezes.pid):
                # Her media process would say goodbye for her, and her minute begin at once.
                kill_all([*descendants(dies.pid), dies.pid])
                await show.knows("vera", room="fred", patience=NOTICED)
                await show.knows("wes", room="dora", patience=NOTICED)
                show.clock.skip(GRACE - 10)
            await show.knows("fred", "vera", room="fred")
            await fred.frames()
            assert not of_dora.live_ended.value
            show.clock.skip(GRACE)
            await of_dora.live_ended.until(True, timeout=PATIENCE)
            await fred.frames()
            await of_fred.refresh_stage()
            assert not of_fred.live_ended.value
