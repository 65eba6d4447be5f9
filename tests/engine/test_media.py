"""The port to the SFU, on both: what is not there is no error."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.sfu import RunningSfu
from utd_rx.engine.livekit_media import LiveKitMedia
from utd_rx.engine.rules.roles import Grant


@pytest.fixture
async def media(sfu: RunningSfu) -> AsyncIterator[LiveKitMedia]:
    made = LiveKitMedia(sfu.api_url, sfu.api_key, sfu.api_secret)
    yield made
    await made.aclose()


@pytest.mark.parametrize("is_room_there", [True, False])
async def test_nobody_is_false_or_empty(media: LiveKitMedia, is_room_there: bool) -> None:
    room = "friday" if is_room_there else "nowhere"
    await media.open_room("friday", "m")
    assert await media.get_participant(room, "mona") is None
    assert await media.list_participants(room) == ()
    assert not await media.remove(room, "mona")
    assert not await media.set_grant(room, "mona", Grant(can_publish=True))
    assert not await media.set_metadata(room, "mona", "m")
    assert not await media.mute(room, "mona", "TR_1", is_muted=True)
    await media.send(room, {"type": "x"}, ("mona",))
    assert await media.set_room_metadata(room, "n") is is_room_there
    assert await media.close_room(room) is is_room_there


async def test_the_metadata_of_a_room_that_is_there_stays(media: LiveKitMedia) -> None:
    opened = await media.open_room("friday", "m", 2)
    again = await media.open_room("friday", "n")
    assert (again.sid, again.metadata) == (opened.sid, "m")
    found = next(room for room in await media.list_rooms() if room.name == "friday")
    assert (found.metadata, found.max_participants) == ("m", 2)
