"""Webhooks in LiveKit's format, from both servers, verified by LiveKit's own receiver."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from livekit import api
from livekit.protocol import models

from tests.engine.sfu.clients import Client, Microphone
from tests.engine.sfu.conftest import Join
from tests.support.sfu import RunningSfu, fresh_options
from utd_rx.engine.sfu.options import SfuOptions
from utd_rx.engine.sfu.webhook_sender import SfuWebhookSender

MakeMicrophone = Callable[[Client], Microphone]


class Hook:
    """A web server that takes webhooks and keeps them."""

    def __init__(self) -> None:
        self.deliveries: list[tuple[str, str]] = []
        self.failures_to_come = 0
        self.refuses_the_next = False
        self.url = ""
        self._arrived = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        if self.refuses_the_next:
            self.refuses_the_next = False
            return web.Response(status=413)
        if self.failures_to_come:
            self.failures_to_come -= 1
            return web.Response(status=503)
        self.deliveries.append((await request.text(), request.headers["Authorization"]))
        self._arrived.set()
        return web.Response()

    async def until(self, sfu: SfuOptions | RunningSfu, last: str) -> list[api.WebhookEvent]:
        """All events so far, verified, once one named `last` has arrived."""
        receiver = api.WebhookReceiver(api.TokenVerifier(sfu.api_key, sfu.api_secret))
        async with asyncio.timeout(20):
            while True:
                events = [receiver.receive(*one) for one in self.deliveries]
                if last in {one.event for one in events}:
                    return events
                self._arrived.clear()
                await self._arrived.wait()


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    made = Hook()
    app = web.Application()
    app.add_routes([web.post("/hook", made.take)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield made
    await runner.cleanup()


@pytest.fixture
def sfu_options(hook: Hook) -> SfuOptions:
    options = fresh_options()
    return SfuOptions(
        options.api_key,
        options.api_secret,
        silent_update_interval=0.1,
        webhook_urls=(hook.url,),
    )


async def test_the_life_of_a_room_is_reported(
    hook: Hook,
    sfu: RunningSfu,
    join: Join,
    admin: api.LiveKitAPI,
    microphone: MakeMicrophone,
    room_name: str,
) -> None:
    alice, bob = await join("alice"), await join("bob")
    publication = await microphone(alice).publish()
    await bob.subscribed("alice")
    await hook.until(sfu, "track_published")
    await alice.me.unpublish_track(publication.sid)
    await hook.until(sfu, "track_unpublished")
    await bob.disconnect()
    await hook.until(sfu, "participant_left")
    await admin.room.delete_room(api.DeleteRoomRequest(room=room_name))
    events = await hook.until(sfu, "room_finished")
    assert {one.room.name for one in events} == {room_name}
    assert len({one.id for one in events}) == len(events)
    assert all(one.created_at > 0 for one in events)
    seen = [(one.event, one.participant.identity, one.track.sid) for one in events]
    assert seen[0] == ("room_started", "", "")
    for expected in (
        ("participant_joined", "alice", ""),
        ("participant_joined", "bob", ""),
        ("track_published", "alice", publication.sid),
        ("track_unpublished", "alice", publication.sid),
        ("participant_left", "bob", ""),
        ("participant_left", "alice", ""),
        ("room_finished", "", ""),
    ):
        assert seen.count(expected) == 1, (expected, seen)


@pytest.mark.parametrize("sfu_kind", ["embedded"])
async def test_a_receiver_that_fails_gets_it_again_in_order(
    hook: Hook, sfu: RunningSfu, admin: api.LiveKitAPI
) -> None:
    hook.failures_to_come = 2
    name = f"room-{secrets.token_hex(4)}"
    await admin.room.create_room(api.CreateRoomRequest(name=name))
    await admin.room.delete_room(api.DeleteRoomRequest(room=name))
    events = await hook.until(sfu, "room_finished")
    assert [one.event for one in events] == ["room_started", "room_finished"]


async def test_no_end_is_lost_however_much_else_is_and_what_is_lost_is_counted(
    hook: Hook, sfu_options: SfuOptions
) -> None:
    sender = SfuWebhookSender(sfu_options, most=8)
    sender.start()
    for n in range(20):
        sender.notify("track_published", room=models.Room(name=f"X{n}"))
    for name in ("anna", "ben"):
        sender.notify("participant_left", participant=models.ParticipantInfo(identity=name))
    sender.notify("room_finished", room=models.Room(name="X"))
    events = await hook.until(sfu_options, "room_finished")
    await sender.aclose()
    published = [one for one in events if one.event == "track_published"]
    left = [one for one in events if one.event == "participant_left"]
    assert [one.participant.identity for one in left] == ["anna", "ben"]
    assert left[0].num_dropped == 20 - len(published) > 0
    assert left[1].num_dropped == 0


async def test_a_refusal_is_no_delivery_and_says_so(
    hook: Hook, sfu_options: SfuOptions, caplog: pytest.LogCaptureFixture
) -> None:
    hook.refuses_the_next = True
    sender = SfuWebhookSender(sfu_options)
    sender.start()
    sender.notify("room_started", room=models.Room(name="X"))
    sender.notify("room_finished", room=models.Room(name="X"))
    events = await hook.until(sfu_options, "room_finished")
    await sender.aclose()
    assert [one.event for one in events] == ["room_finished"]
    assert "given up after 1 tries: HTTP 413" in caplog.text


async def test_what_was_given_up_is_lost_and_counted(hook: Hook, sfu_options: SfuOptions) -> None:
    hook.refuses_the_next = True
    sender = SfuWebhookSender(sfu_options)
    sender.start()
    sender.notify("participant_left", room=models.Room(name="X"))
    sender.notify("room_started", room=models.Room(name="X"))
    await hook.until(sfu_options, "room_started")
    sender.notify("room_finished", room=models.Room(name="X"))
    events = await hook.until(sfu_options, "room_finished")
    await sender.aclose()
    assert [one.num_dropped for one in events] == [0, 1]


async def test_however_often_somebody_comes_and_goes_one_end_waits(
    hook: Hook, sfu_options: SfuOptions
) -> None:
    sender = SfuWebhookSender(sfu_options, most=2)
    sender.start()
    for n in range(20):
        left = models.ParticipantInfo(sid=f"PA_{n}", identity="anna", metadata="m" * 1000)
        sender.notify("participant_left", room=models.Room(name="X"), participant=left)
    sender.notify("participant_left", participant=models.ParticipantInfo(identity="ben"))
    sender.notify("room_finished", room=models.Room(name="X"))
    events = await hook.until(sfu_options, "room_finished")
    await sender.aclose()
    assert [one.participant.sid for one in events] == ["PA_0", "PA_1", "PA_19", "", ""]
    assert [one.num_dropped for one in events] == [0, 0, 17, 0, 0]
    assert events[2].participant.metadata == ""


async def test_a_body_that_no_engine_takes_is_short_or_counted(
    hook: Hook, sfu_options: SfuOptions
) -> None:
    sender = SfuWebhookSender(sfu_options)
    sender.start()
    # JSON writes six bytes for each.
    anna = models.ParticipantInfo(identity="anna", sid="PA_1", metadata="\1" * 500_000)
    sender.notify("participant_joined", participant=anna)
    sender.notify("participant_left", participant=anna)
    sender.notify("room_finished")
    events = await hook.until(sfu_options, "room_finished")
    await sender.aclose()
    assert [(one.event, one.num_dropped) for one in events] == [
        ("participant_left", 1),
        ("room_finished", 0),
    ]
    assert (events[0].participant.sid, events[0].participant.metadata) == ("PA_1", "")
    assert max(len(body) for body, _ in hook.deliveries) < 10_000


async def test_what_waits_is_bounded_in_bytes(hook: Hook, sfu_options: SfuOptions) -> None:
    sender = SfuWebhookSender(sfu_options, most_bytes=10_000)
    sender.start()
    large = models.ParticipantInfo(metadata="m" * 3_000)
    for _ in range(40):
        sender.notify("participant_joined", participant=large)
    sender.notify("room_finished")
    events = await hook.until(sfu_options, "room_finished")
    await sender.aclose()
    assert (len(events), events[-1].num_dropped) == (1 + 4, 40 - 4)
