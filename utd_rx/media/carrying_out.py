"""Taking one step of a restored room: what `lacking` finds, told to the room of this life."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media.lacking import (
    DescribeAgain,
    JoinAgain,
    PublishAgain,
    PublishDataAgain,
    ReceiveAgain,
    Step,
    SubscribeAgain,
)
from utd_rx.media.restoring_media import begin
from utd_rx.media.wished_parts import OwnTrack
from utd_rx.models.participant import TrackPublication
from utd_rx.ports.room import RoomPort

PUBLISH_WITHIN: Final = 3.0
"""Seconds to publish a track again. A card opens in a tenth of one, and the server answers in as
little; one that hangs, as its driver or its sound server does, holds up all that is told the room,
and would end it after `RESTORE_WITHIN`."""


async def carry_out(far: RoomPort, step: Step) -> Any:
    """Take a step in the room of this life, and return what that told; raises as the room, and
    `TIMEOUT` for what is not published in time."""
    match step:
        case JoinAgain(address=to):
            return await far.connect(
                to.url,
                to.token,
                auto_subscribe=to.auto_subscribe,
                encryption=to.encryption,
            )
        case SubscribeAgain(track_sid=sid, is_wanted=is_wanted):
            return await far.set_subscribed(sid, is_wanted)
        case PublishAgain(own=own):
            return await _published(far, own)
        case ReceiveAgain(reception=reception):
            return await begin(far, reception)
        case PublishDataAgain(own=data):
            return await far.publish_data_track(data.name)
        case DescribeAgain(description=description):
            return await far.describe(description)


async def _published(far: RoomPort, own: OwnTrack) -> TrackPublication:
    try:
        async with asyncio.timeout(PUBLISH_WITHIN):
            return await far.publish(own.source, own.track.source)
    except TimeoutError as error:
        raise UTDStreamException(
            f"its device does not open, or the server does not answer, within {PUBLISH_WITHIN:g} s",
            code=UTDErrorCode.TIMEOUT,
        ) from error
