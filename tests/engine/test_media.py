"""The port to the SFU, on both: what is not there is no error."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import test_utils, web
from attrs import evolve
from livekit import api

from tests.support.sfu import RunningSfu
from utd_rx.engine.livekit_media import LiveKitMedia, participant_of
from utd_rx.engine.media import MediaUnavailable
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


def test_what_a_later_release_may_say_is_unknown() -> None:
    track = api.TrackInfo(type=99)  # type: ignore[arg-type] # of a later release
    info = api.ParticipantInfo(identity="mona", state=99, tracks=[track])  # type: ignore[arg-type] # likewise
    found = participant_of(info)
    assert (found.state, found.tracks[0].kind) == ("unknown", "unknown")
    assert participant_of(api.ParticipantInfo(state=api.ParticipantInfo.State.ACTIVE)) == evolve(
        participant_of(api.ParticipantInfo()), state="active"
    )


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (502, b"<html>"),
        (502, b'["ab"]'),
        (400, b'"ab"'),
        (400, b'{"code": ["a"], "msg": 1, "meta": 2}'),
        (404, b"[1]"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_none(status: int, body: bytes) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, content_type="application/json")

    app = web.Application()
    app.add_routes([web.post("/{path:.*}", answer)])
    async with test_utils.TestServer(app) as server:
        media = LiveKitMedia(str(server.make_url("")), "key", "s" * 32)
        try:
            with pytest.raises(MediaUnavailable):
                await media.list_participants("friday")
        finally:
            await media.aclose()
