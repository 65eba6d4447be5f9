"""Data tracks of one connection: what LiveKit's words for a refusal mean."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.rtc.participant import PublishDataTrackError

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.rtc.data_tracks import DataTrackEnds


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("Data track publication limit reached", UTDErrorCode.RATE_LIMITED),
        ("SFU rejected: data track limit reached: 64", UTDErrorCode.RATE_LIMITED),
        ("Track name already taken", UTDErrorCode.CONFLICT),
        ("Track name invalid", UTDErrorCode.VALIDATION),
        ("Data track publishing unauthorized", UTDErrorCode.FORBIDDEN),
        ("SFU rejected: not today", UTDErrorCode.SERVER),
    ],
)
async def test_a_refusal_is_told_by_its_code(words: str, code: UTDErrorCode) -> None:
    async def publish(name: str) -> None:
        raise PublishDataTrackError(words)

    able = SimpleNamespace(can_publish_data=True)
    me = SimpleNamespace(permissions=able, publish_data_track=publish)
    room: Any = SimpleNamespace(local_participant=me)
    tracks = DataTrackEnds(room, asyncio.get_running_loop().create_future())
    with pytest.raises(UTDStreamException, match=words) as refused:
        await tracks.publish("pose")
    assert refused.value.code is code
