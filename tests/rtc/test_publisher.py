"""Local tracks, by a LiveKit that answers when told to."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.rtc._proto.participant_pb2 import ParticipantPermission as Granted

from tests.rtc.bench import Tone
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as ev
from utd_rx.models.participant import ParticipantPermission, TrackSource
from utd_rx.rtc.publisher import Publisher


class Native:
    """LiveKit's local participant as far as publishing needs it."""

    def __init__(self, *, can_publish: bool = True) -> None:
        self.permissions = Granted(can_publish=can_publish)
        self.track_publications: dict[str, Any] = {}
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def publish_track(self, track: Any, options: Any) -> Any:
        self.asked.set()
        sid = await asyncio.shield(self.answer)
        made = SimpleNamespace(sid=sid, name=track.name, kind=1, source=options.source, muted=False)
        self.track_publications[sid] = made
        return made

    async def unpublish_track(self, sid: str) -> None:
        self.track_publications.pop(sid, None)


class Bench:
    """A publisher of a connection that stands until told otherwise."""

    def __init__(self, native: Native) -> None:
        self.native = native
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.told: list[ev.RoomEvent] = []
        self.unpublished: list[str] = []
        room: Any = SimpleNamespace(local_participant=native)
        self.publisher = Publisher(room, self.ended, self.told.append, self.unpublished.append)

    async def aclose(self) -> None:
        await self.publisher.aclose()
        if not self.ended.done():
            self.ended.set_result(None)
        await self.publisher.wait_tasks()


async def code_of(publishing: asyncio.Task[Any]) -> UTDErrorCode:
    with pytest.raises(UTDStreamException) as caught:
        await publishing
    return caught.value.code


async def test_a_permission_taken_while_publishing_refuses_it() -> None:
    bench, tone = Bench(Native()), Tone()
    publishing = asyncio.create_task(bench.publisher.publish(tone, TrackSource.MICROPHONE))
    await bench.native.asked.wait()
    bench.publisher.enforce(ParticipantPermission())
    assert await code_of(publishing) is UTDErrorCode.FORBIDDEN
    assert tone.open_streams == 0
    bench.native.answer.set_result("TR_late")
    await bench.aclose()
    assert bench.native.track_publications == {}  # it was taken back when it came


async def test_the_end_of_the_connection_ends_what_is_under_way() -> None:
    bench, tone = Bench(Native()), Tone()
    publishing = asyncio.create_task(bench.publisher.publish(tone, TrackSource.MICROPHONE))
    await bench.native.asked.wait()
    bench.ended.set_result(None)
    assert await code_of(publishing) is UTDErrorCode.CONFLICT
    assert tone.open_streams == 0
    await bench.aclose()
