"""Each defect of livekit 1.2.0 that a room can meet, named as in docs/livekit.md, "Absorbed"."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest
from livekit import api, rtc

from tests.rtc.abandon_joins import PANIC_AFTER
from tests.rtc.bench import (
    PATIENCE,
    Ear,
    Frames,
    Party,
    Tone,
    admin,
    eventually,
    identities,
    permit,
    subscribers,
    token,
    tone_frame,
)
from tests.rtc.proxy import proxied
from tests.rtc.switch_videos import ROUNDS
from tests.support.sfu import RunningSfu
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFormat
from utd_rx.models.participant import TrackSource
from utd_rx.rtc import publisher, streams
from utd_rx.rtc.feeder import Feeder
from utd_rx.rtc.receiver import TrackSound
from utd_rx.rtc.room import UTDRoom
from utd_rx.rtc.translate import Translator


@pytest.mark.realtime
@pytest.mark.timeout(120)
async def test_joins_given_up_leave_no_ghost_and_kill_nobody(sfu: RunningSfu) -> None:
    names = ["loop-ended", "exited", *(f"cancelled-{index}" for index in range(12))]
    async with proxied(sfu.url, delay=0.2) as slow, admin(sfu) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.rtc.abandon_joins",
            slow.url,
            *(token(sfu, name) for name in names),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            assert await process.stdout.readline() == b"cancelled\n"
            await nobody_in(server)
            assert await process.stdout.readline() == b"alive\n"
            await nobody_in(server)
            out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert (process.returncode, out) == (0, b"joined\n"), err.decode()
        assert b"panic" not in err.lower()
        await nobody_in(server)  # it left at exit
    assert PANIC_AFTER > 15


async def nobody_in(server: api.LiveKitAPI) -> None:
    """Wait until the server says that the room is empty."""
    async with asyncio.timeout(PATIENCE):
        while await identities(server):  # noqa: ASYNC110 - the server is asked, it does not tell
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("sfu_kind", ["embedded"])  # it is all on this side
async def test_what_is_asked_of_may_be_gone_or_go_meanwhile(sfu: RunningSfu) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.rtc.switch_videos",
        sfu.url,
        *(token(sfu, name) for name in ("ann", "bob")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    rounds = [f"{number}\n" for number in range(ROUNDS)]
    assert (process.returncode, out.decode()) == (0, "".join([*rounds, "gone\n"])), err.decode()
    assert b"panic" not in err.lower()


async def test_a_room_joins_again_with_others_present(party: Party) -> None:
    bob, _ = await party.join("bob")
    await bob.publish(Tone())
    ann, ear = await party.join("ann")
    for _ in range(3):
        native = ann.room
        await ann.disconnect()
        snapshot = await ann.connect(party.sfu.url, token(party.sfu, "ann"))
        assert [remote.identity for remote in snapshot.remotes] == ["bob"]
        assert ann.room is not native
    assert len(ear.of(ev.Disconnected)) == 3


async def test_a_revoked_track_ends_here_too_and_once(party: Party) -> None:
    ann, ear = await party.join("ann")
    _, other = await party.join("bob")
    server = await party.server()
    tone = Tone()
    track = await ann.publish(tone)
    await other.wait(ev.TrackSubscribed)
    await permit(server, "ann", publish=False)
    gone = await ear.wait(ev.LocalTrackUnpublished)
    assert gone.track.sid == track.sid
    assert tone.open_streams == 0
    assert ann.room is not None
    assert not ann.room.local_participant.track_publications
    kinds = [type(event) for event in ear.heard]
    assert kinds.index(ev.ParticipantPermissionsChanged) < kinds.index(ev.LocalTrackUnpublished)
    await other.wait(ev.TrackUnpublished)
    # Granted again nothing comes back by itself, and publishing works at once.
    await permit(server, "ann", publish=True)
    await ear.wait(ev.ParticipantPermissionsChanged, lambda event: event.permission.can_publish)
    again = await ann.publish(tone)
    await other.wait(ev.TrackSubscribed, lambda event: event.track.sid == again.sid)
    await ann.unpublish(again.sid)
    await other.wait(ev.TrackUnpublished, lambda event: event.track.sid == again.sid)
    ended = [event.track.sid for event in ear.of(ev.LocalTrackUnpublished)]
    assert ended == [track.sid, again.sid]


async def test_only_the_revoked_source_ends(party: Party) -> None:
    ann, ear = await party.join("ann")
    server = await party.server()
    microphone, screen = Tone(), Tone()
    await ann.publish(microphone)
    kept = await ann.publish(screen, TrackSource.SCREEN_SHARE_AUDIO)
    await server.room.update_participant(
        api.UpdateParticipantRequest(
            room="room",
            identity="ann",
            permission=api.ParticipantPermission(
                can_publish=True,
                can_subscribe=True,
                can_publish_sources=[api.TrackSource.SCREEN_SHARE_AUDIO],
            ),
        )
    )
    await ear.wait(ev.LocalTrackUnpublished)
    assert (microphone.open_streams, screen.open_streams) == (0, 1)
    assert ann.room is not None
    assert list(ann.room.local_participant.track_publications) == [kept.sid]


async def test_publishing_without_permission_is_refused_at_once(party: Party) -> None:
    ann, ear = await party.join("ann", can_publish=False)
    tone = Tone()
    with pytest.raises(UTDStreamException) as caught:
        await ann.publish(tone)
    # LiveKit itself would say so after 10 s, as a time-out.
    assert caught.value.code is UTDErrorCode.FORBIDDEN
    assert tone.open_streams == 0
    assert ear.of(ev.LocalTrackPublished) == []


async def test_a_publication_under_way_ends_with_the_connection(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that only the end of the connection can end it.
    monkeypatch.setattr(publisher, "NATIVE_TIMEOUT", 10 * PATIENCE)
    async with proxied(party.sfu.url) as proxy:
        ann = await party.room()
        await ann.connect(proxy.url, token(party.sfu, "ann"))
        proxy.freeze()  # the server never answers the publication
        tone = Tone()
        publishing = asyncio.create_task(ann.publish(tone))
        await eventually(lambda: tone.open_streams == 1)
        await ann.disconnect()
        with pytest.raises(UTDStreamException) as caught:
            async with asyncio.timeout(PATIENCE):
                await publishing
        assert caught.value.code is UTDErrorCode.CONFLICT
        assert tone.open_streams == 0


@pytest.mark.realtime
async def test_no_frame_that_arrived_is_lost_at_the_end() -> None:
    feeder = Feeder(AudioFormat(), lambda error: pytest.fail(error.message))
    feeder.start()
    track = rtc.LocalAudioTrack.create_audio_track("loop", feeder.source)
    frames = Frames()
    reception = TrackSound("loop", frames)
    reception.attach(track)
    for count in range(20):
        feeder.put(tone_frame(AudioFormat(), count))
        time.sleep(0.01)  # noqa: ASYNC251 - the loop is busy: nothing may depend on it
    deadline = time.monotonic() + PATIENCE
    while len(frames.frames) < 20 and time.monotonic() < deadline:
        time.sleep(0.01)  # noqa: ASYNC251
    heard = len(frames.frames)
    await reception.aclose()
    await feeder.aclose()
    assert heard == 20


async def test_receptions_leave_no_stream_behind(party: Party) -> None:
    ann, _ = await party.join("ann")
    bob, ear = await party.join("bob")
    track = await ann.publish(Tone())
    await ear.wait(ev.TrackSubscribed)
    listening = subscribers()
    for _ in range(50):
        await bob.unhear(await bob.hear(track.sid, lambda _: None))
    assert streams.exchange().open_streams == 0
    assert subscribers() == listening
    forgotten = await bob.hear(track.sid, lambda _: None)
    await bob.disconnect()
    await bob.unhear(forgotten)
    assert streams.exchange().open_streams == 0


async def test_a_frame_that_is_not_10_ms_never_reaches_native_code() -> None:
    audio_format = AudioFormat(48_000, 1)
    for bad in (AudioFormat(48_000, 2), AudioFormat(44_100, 2)):
        failures: list[UTDStreamException] = []
        feeder = Feeder(audio_format, failures.append)
        feeder.start()
        good = tone_frame(audio_format)
        feeder.put(type(good)(good.samples[:-1], 48_000))
        feeder.put(type(good)(good.samples[:0], 48_000))
        feeder.put(tone_frame(bad))
        feeder.put(good)  # and nothing after the end
        await eventually(lambda failures=failures: bool(failures))  # type: ignore[misc]
        assert [error.code for error in failures] == [UTDErrorCode.VALIDATION]
        await feeder.drain()
        await feeder.aclose()


async def test_no_listener_starves_another(party: Party) -> None:
    ann = await party.room()
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)

    def broken(_: tuple[ev.RoomEvent, ...]) -> None:
        raise TypeError("LiveKit would not call the listeners after this one")

    ann.listen(broken)
    ear = Ear(ann)
    await ann.connect(party.sfu.url, token(party.sfu, "ann"))
    assert ann.room is not None
    heard = asyncio.Event()
    ann.room.on("room_metadata_changed", lambda *_: heard.set())
    server = await party.server()
    await server.room.update_room_metadata(api.UpdateRoomMetadataRequest(room="room", metadata="m"))
    await ear.wait(ev.RoomMetadataChanged)
    async with asyncio.timeout(PATIENCE):
        await heard.wait()


def test_events_that_never_fire_are_not_waited_for() -> None:
    assert Translator.on_connected is Translator.on_connection_state_changed  # which tells nothing


async def test_a_mute_by_the_server_is_told_once(party: Party) -> None:
    ann, ear = await party.join("ann")
    _, other = await party.join("bob")
    server = await party.server()
    track = await ann.publish(Tone())
    await other.wait(ev.TrackSubscribed)
    await server.room.mute_published_track(
        api.MuteRoomTrackRequest(room="room", identity="ann", track_sid=track.sid, muted=True)
    )
    for side in (ear, other):
        assert (await side.wait(ev.TrackMuted)).identity == "ann"
    await ann.send_data(b"later")  # on the same loop as the second mute, and after it
    await other.wait(ev.DataReceived)
    await ann.set_muted(track.sid, False)
    await ear.wait(ev.TrackUnmuted)
    assert len(ear.of(ev.TrackMuted)) == 1


async def test_many_receptions_are_one_subscriber(party: Party) -> None:
    ann, _ = await party.join("ann")
    bob, ear = await party.join("bob")
    track = await ann.publish(Tone())
    await ear.wait(ev.TrackSubscribed)
    listening = subscribers()
    sinks = [Frames() for _ in range(8)]
    receptions = [await bob.hear(track.sid, sink.take) for sink in sinks]
    assert subscribers() <= listening + 1
    for sink in sinks:
        await sink.wait(lambda sink=sink: sink.peak > 4_000)  # type: ignore[misc]
    await asyncio.gather(*(bob.unhear(reception) for reception in receptions))


async def test_a_room_whose_sid_is_not_known_does_not_hang(sfu: RunningSfu) -> None:
    async with UTDRoom() as room:
        snapshot = await room.connect(sfu.url, token(sfu, "ann"))
        assert snapshot.sid.startswith("RM_") or snapshot.sid == ""
