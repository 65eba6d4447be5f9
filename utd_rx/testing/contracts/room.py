"""What every room port promises.

A subclass has a fixture `bench` that gives a `RoomBench`: a room that is not connected, and its
server. They are run with pytest-asyncio.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable
from typing import Protocol, TypeVar

import numpy as np
import pytest

from utd_rx.audio.sources import ToneSource
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.devices import DeviceKey
from utd_rx.models.events import (
    Disconnected,
    LocalTrackPublished,
    LocalTrackUnpublished,
    ParticipantConnected,
    ParticipantPermissionsChanged,
    RoomEvent,
    TrackMuted,
    TrackSubscribed,
    TrackUnmuted,
)
from utd_rx.models.participant import TrackSource
from utd_rx.ports import living
from utd_rx.ports.data import MAX_DATA
from utd_rx.ports.room import RoomPort

PATIENCE = 20.0
"""Seconds to wait for what a real server is to tell; a fake takes none."""

E = TypeVar("E", bound=RoomEvent)


class RoomServer(Protocol):
    """What a suite asks of whoever is behind the port."""

    url: str
    token: str
    identity: str

    async def grant(self, can_publish: bool) -> None:
        """Grant or revoke publishing."""

    async def remove(self) -> None:
        """Throw the participant out."""

    async def speak(self) -> str:
        """Let somebody else come and publish a tone without end; return their identity."""


class RoomBench:
    """A room, its server, and everything the room said."""

    def __init__(self, room: RoomPort, server: RoomServer) -> None:
        self.room = room
        self.server = server
        self.batches: list[tuple[RoomEvent, ...]] = []
        self._news = asyncio.Event()
        room.listen(self._take)

    @property
    def events(self) -> list[RoomEvent]:
        """All of it, in order."""
        return [event for batch in self.batches for event in batch]

    async def connect(self) -> None:
        """Join."""
        await self.room.connect(self.server.url, self.server.token)

    async def seen(self, kind: type[E], count: int = 1) -> E:
        """Return the `count`-th event of a kind, when it has come."""
        async with asyncio.timeout(PATIENCE):
            while len(found := [event for event in self.events if isinstance(event, kind)]) < count:
                self._news.clear()
                await self._news.wait()
        return found[count - 1]

    async def granted(self) -> None:
        """Be granted publishing, and know it."""
        await self.server.grant(can_publish=True)
        await self.seen(ParticipantPermissionsChanged)

    async def hearing(self) -> str:
        """Let somebody speak, and return the sid of the track once it is subscribed."""
        await self.server.speak()
        return (await self.seen(TrackSubscribed)).track.sid

    def _take(self, batch: tuple[RoomEvent, ...]) -> None:
        self.batches.append(batch)
        self._news.set()


class Loudspeaker:
    """A speaker that is alive where the room is, and keeps what it is to play."""

    def __init__(self) -> None:
        self.key = DeviceKey("speaker")
        self.voices: list[KeptVoice] = []
        living.enter(self.key, self)

    def voice(self, name: str, *, gain: float = 1.0) -> KeptVoice:
        """See `LivingSpeaker`."""
        self.voices.append(KeptVoice(name, gain))
        return self.voices[-1]


class KeptVoice:
    """One voice of it."""

    def __init__(self, name: str, gain: float) -> None:
        self.name, self.gain, self.is_closed = name, gain, False
        self.frames: list[AudioFrame] = []

    def __call__(self, frame: AudioFrame) -> None:
        """Keep a frame."""
        self.frames.append(frame)

    def close(self) -> None:
        """Leave the mix."""
        self.is_closed = True


async def refusal(command: Awaitable[object]) -> UTDStreamException:
    """Await a command that must fail, and return why."""
    with pytest.raises(UTDStreamException) as raised:
        await command
    return raised.value


class RoomContract:
    """The suite; see the module."""

    async def test_the_snapshot_tells_who_one_is_and_what_one_may(self, bench: RoomBench) -> None:
        snapshot = await bench.room.connect(bench.server.url, bench.server.token)
        assert snapshot.local.identity == bench.server.identity
        assert not snapshot.local.permission.can_publish
        assert snapshot.remotes == ()
        assert pickle.loads(pickle.dumps(snapshot)) == snapshot

    async def test_publishing_without_the_grant_is_refused_at_once(self, bench: RoomBench) -> None:
        await bench.connect()
        assert (await refusal(bench.room.publish(ToneSource()))).code is UTDErrorCode.FORBIDDEN

    async def test_a_granted_track_is_published_muted_unmuted_and_unpublished(
        self, bench: RoomBench
    ) -> None:
        await bench.connect()
        await bench.granted()
        track = await bench.room.publish(ToneSource())
        assert (track.source, track.is_muted) == (TrackSource.MICROPHONE, False)
        assert (await bench.seen(LocalTrackPublished)).track == track
        await bench.room.set_muted(track.sid, True)
        muted = await bench.seen(TrackMuted)
        assert (muted.identity, muted.track.sid) == (bench.server.identity, track.sid)
        assert muted.track.is_muted
        await bench.room.set_muted(track.sid, False)
        await bench.seen(TrackUnmuted)
        await bench.room.unpublish(track.sid)
        assert (await bench.seen(LocalTrackUnpublished)).track.sid == track.sid
        await bench.room.unpublish(track.sid)
        assert len([event for event in bench.events if isinstance(event, TrackMuted)]) == 1

    async def test_losing_the_grant_unpublishes_once(self, bench: RoomBench) -> None:
        await bench.connect()
        await bench.granted()
        track = await bench.room.publish(ToneSource())
        await bench.server.grant(can_publish=False)
        assert (await bench.seen(LocalTrackUnpublished)).track.sid == track.sid
        assert (await refusal(bench.room.publish(ToneSource()))).code is UTDErrorCode.FORBIDDEN
        await bench.room.disconnect()
        gone = [event for event in bench.events if isinstance(event, LocalTrackUnpublished)]
        assert len(gone) == 1

    async def test_a_connected_room_does_not_connect_again(self, bench: RoomBench) -> None:
        await bench.connect()
        assert (await refusal(bench.connect())).reason is ConflictReason.ALREADY

    async def test_a_disconnected_room_refuses_commands_and_connects_again(
        self, bench: RoomBench
    ) -> None:
        await bench.connect()
        await bench.room.disconnect()
        await bench.room.disconnect()
        for command in (bench.room.send_data(b"x"), bench.room.publish(ToneSource())):
            assert (await refusal(command)).reason is ConflictReason.NOT_JOINED
        await bench.connect()
        await bench.room.send_data(b"x")

    async def test_the_end_is_told_before_disconnecting_returns(self, bench: RoomBench) -> None:
        await bench.connect()
        await bench.room.disconnect()
        assert bench.events[-1] == Disconnected(DisconnectReason.CLIENT_INITIATED)
        told = len(bench.events)
        await bench.connect()
        assert not [e for e in bench.events[told:] if isinstance(e, Disconnected)]

    async def test_a_message_that_is_too_large_with_its_destinations_is_refused(
        self, bench: RoomBench
    ) -> None:
        await bench.connect()
        many = [f"{n:064}" for n in range(20)]
        for data, to in ((b"x" * (MAX_DATA + 1), None), (b"x" * MAX_DATA, many)):
            sending = bench.room.send_data(data, to=to)
            assert (await refusal(sending)).code is UTDErrorCode.VALIDATION
        await bench.room.send_data(b"x" * 61_000, to=many)

    async def test_a_bare_string_is_not_several_identities_and_text_no_payload(
        self, bench: RoomBench
    ) -> None:
        await bench.connect()
        wrong = (
            bench.room.send_data(b"x", to="bob"),
            bench.room.send_data("x"),  # type: ignore[arg-type] # what is tested
            bench.room.send_data([1, 2]),  # type: ignore[arg-type] # the same
        )
        for sending in wrong:
            assert (await refusal(sending)).code is UTDErrorCode.VALIDATION

    async def test_many_messages_at_once_wait_for_their_turn(self, bench: RoomBench) -> None:
        await bench.connect()
        await asyncio.gather(*(bench.room.send_data(b"%d" % n) for n in range(1_000)))

    async def test_it_reconnects_where_it_was_joined_last(self, bench: RoomBench) -> None:
        assert (await refusal(bench.room.reconnect())).reason is ConflictReason.NOT_JOINED
        await bench.connect()
        assert (await refusal(bench.room.reconnect())).reason is ConflictReason.ALREADY
        await bench.server.remove()
        await bench.seen(Disconnected)
        snapshot = await bench.room.reconnect()
        assert snapshot.local.identity == bench.server.identity
        await bench.room.send_data(b"x")
        await bench.room.disconnect()
        snapshot = await bench.room.reconnect(bench.server.token)
        assert snapshot.local.identity == bench.server.identity

    async def test_removal_by_the_server_is_the_last_event_and_says_why(
        self, bench: RoomBench
    ) -> None:
        await bench.connect()
        await bench.server.remove()
        reason = (await bench.seen(Disconnected)).reason
        assert reason is DisconnectReason.PARTICIPANT_REMOVED
        await bench.room.disconnect()
        assert isinstance(bench.events[-1], Disconnected)
        assert (await refusal(bench.room.send_data(b"x"))).reason is ConflictReason.NOT_JOINED

    async def test_who_stops_listening_hears_nothing_more(self, bench: RoomBench) -> None:
        heard: list[tuple[RoomEvent, ...]] = []
        stop = bench.room.listen(heard.append)
        stop()
        stop()
        await bench.connect()
        await bench.granted()
        assert heard == []

    async def test_every_event_can_be_pickled_and_no_batch_is_empty(self, bench: RoomBench) -> None:
        await bench.connect()
        await bench.granted()
        await bench.hearing()
        await bench.room.publish(ToneSource())
        await bench.room.disconnect()
        assert bench.events
        assert all(bench.batches)
        assert pickle.loads(pickle.dumps(bench.events)) == bench.events

    async def test_frames_come_in_batches_until_they_are_not_wanted(self, bench: RoomBench) -> None:
        await bench.connect()
        sid = await bench.hearing()
        came: list[tuple[AudioFrame, ...]] = []
        news = asyncio.Event()

        def take(frames: tuple[AudioFrame, ...]) -> None:
            came.append(frames)
            news.set()

        reception = await bench.room.hear(sid, take)
        async with asyncio.timeout(PATIENCE):
            await news.wait()
        [first, *_] = came[0]
        assert first.samples.dtype == np.int16
        assert len(first.samples) * 100 == first.sample_rate
        await bench.room.unhear(reception)
        count = len(came)
        await bench.room.disconnect()
        assert len(came) == count
        await bench.room.unhear(reception)

    async def test_what_nobody_publishes_cannot_be_heard_or_played(self, bench: RoomBench) -> None:
        await bench.connect()
        speaker = Loudspeaker()
        for command in (
            bench.room.hear("TR_nobody", lambda _: None),
            bench.room.route("TR_nobody", speaker.key),
        ):
            assert (await refusal(command)).code is UTDErrorCode.NOT_FOUND
        assert all(voice.is_closed for voice in speaker.voices)

    async def test_a_track_is_played_on_a_speaker_past_the_app(self, bench: RoomBench) -> None:
        await bench.connect()
        sid = await bench.hearing()
        speaker = Loudspeaker()
        route = await bench.room.route(sid, speaker.key, name="ben", gain=0.5)
        [voice] = speaker.voices
        assert (voice.name, voice.gain) == ("ben", 0.5)
        async with asyncio.timeout(PATIENCE):
            while not voice.frames:  # noqa: ASYNC110 - they come on a thread of the room's
                await asyncio.sleep(0)
        await bench.room.set_gain(route, 2.0)
        assert voice.gain == 2.0
        await bench.room.unroute(route)
        assert voice.is_closed
        await bench.room.unroute(route)
        await bench.room.set_gain(route, 1.0)

    async def test_a_speaker_that_is_not_alive_plays_nothing(self, bench: RoomBench) -> None:
        await bench.connect()
        sid = await bench.hearing()
        gone = bench.room.route(sid, DeviceKey("speaker"))
        assert (await refusal(gone)).code is UTDErrorCode.NOT_FOUND

    async def test_who_comes_is_told_before_what_they_publish(self, bench: RoomBench) -> None:
        await bench.connect()
        await bench.hearing()
        kinds = [type(event) for event in bench.events]
        assert kinds.index(ParticipantConnected) < kinds.index(TrackSubscribed)
