"""LiveKit's events become typed values: each of them, exactly once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast, get_args

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from livekit import rtc
from livekit.rtc._proto.participant_pb2 import ParticipantPermission
from livekit.rtc.room import EventTypes

from utd_rx.models import events as ev
from utd_rx.models.connection import ConnectionQuality, DisconnectReason
from utd_rx.models.data_tracks import DataTrackInfo
from utd_rx.models.encryption import EncryptionState
from utd_rx.models.participant import TrackKind, TrackPublication, TrackSource
from utd_rx.protocol.transcribing import MAX_LABEL, MAX_SEGMENTS, MAX_WORDS
from utd_rx.rtc.translate import Translator

UNTYPED = ("sip_dtmf_received",)


def publication(
    sid: str, *, subscribed: bool = False, muted: bool = False, encryption_type: int = 0
) -> Any:
    return SimpleNamespace(
        sid=sid,
        name="mic",
        kind=1,
        source=2,
        muted=muted,
        subscribed=subscribed,
        encryption_type=encryption_type,
    )


def participant(identity: str, **fields: Any) -> Any:
    made: dict[str, Any] = {
        "identity": identity,
        "sid": f"PA_{identity}",
        "name": identity,
        "metadata": "",
        "attributes": {},
        "permissions": ParticipantPermission(can_publish=True),
        "track_publications": {},
        "connection_quality": -1,
        "disconnect_reason": 0,
    }
    return SimpleNamespace(**{**made, **fields})


class FakeRoom:
    """What the translator reads of a room."""

    def __init__(self, *remotes: Any) -> None:
        self.name, self.metadata = "room", ""
        self.local_participant = participant("me")
        self.remote_participants = {remote.identity: remote for remote in remotes}

    @property
    async def sid(self) -> str:
        return "RM_1"


class Bench:
    """A translator over a fake room."""

    def __init__(self, *remotes: Any) -> None:
        self.room = FakeRoom(*remotes)
        self.translator = Translator(cast("rtc.Room", self.room))

    def tell(self, name: str, *args: Any) -> list[ev.RoomEvent]:
        return list(self.translator.translate(name, args))


def test_every_event_of_livekit_has_a_translation_or_is_known_to_have_none() -> None:
    typed = {name for name in get_args(EventTypes) if hasattr(Translator, f"on_{name}")}
    assert typed | set(UNTYPED) == set(get_args(EventTypes))
    assert not typed & set(UNTYPED)
    known = {at.removeprefix("on_") for at in dir(Translator) if at.startswith("on_")}
    assert known == typed | {"participants_updated"}


@pytest.mark.parametrize("name", UNTYPED)
def test_an_event_without_a_type_is_named(name: str) -> None:
    assert Bench().tell(name, object(), object()) == [ev.UnknownRoomEvent(name)]


def test_what_the_snapshot_holds_is_not_announced_again() -> None:
    ann = participant("ann", track_publications={"TR": publication("TR")})
    bench = Bench(ann)
    assert bench.tell("participant_connected", ann) == []
    assert bench.tell("track_published", publication("TR"), ann) == []
    subscribed = publication("TR", subscribed=True)
    assert len(bench.tell("track_subscribed", None, subscribed, ann)) == 1
    assert bench.tell("track_subscribed", None, subscribed, ann) == []


def test_whose_message_is_not_read_is_told_until_something_of_theirs_is() -> None:
    ann, loud = participant("ann"), participant("loud")
    loud.track_publications["TR"] = publication("TR", encryption_type=1)
    bench = Bench(ann, loud)
    translator = bench.translator
    failed = EncryptionState.DECRYPTION_FAILED
    assert list(translator.message_missed("loud", has_key=True)) == []  # its track tells
    for what in ("data", "stream", "keys", "comes anew"):
        missed = list(translator.message_missed("ann", has_key=True))
        assert missed == [ev.ParticipantEncryptionChanged("ann", failed)]
        assert list(translator.message_missed("ann", has_key=True)) == []
        match what:
            case "data":
                packet = rtc.DataPacket(b"x", rtc.DataPacketKind.KIND_RELIABLE, ann, "")
                well, data = bench.tell("data_received", packet)
                assert isinstance(data, ev.DataReceived)
            case "stream":
                [well] = translator.message_read("ann")
            case "keys":
                [well] = translator.keys_changed()
            case _:
                bench.tell("participant_disconnected", ann)
                [came] = bench.tell("participant_connected", ann)
                assert isinstance(came, ev.ParticipantConnected)
                assert came.participant.encryption is EncryptionState.NONE
                continue
        assert well == ev.ParticipantEncryptionChanged("ann", EncryptionState.NONE)
    [missing] = translator.message_missed("ann", has_key=False)
    assert missing == ev.ParticipantEncryptionChanged("ann", EncryptionState.MISSING_KEY)
    assert list(translator.message_missed("nobody", has_key=True)) == []


def test_a_silent_change_is_found_and_not_told_again() -> None:
    ann = participant("ann")
    bench = Bench(ann)
    ann.name, ann.attributes = "Anna", {"a": "1"}
    assert [type(event) for event in bench.tell("participants_updated", ["ann"])] == [
        ev.ParticipantNameChanged,
        ev.ParticipantAttributesChanged,
    ]
    assert bench.tell("participant_name_changed", ann, "ann", "Anna") == []
    assert bench.tell("participant_attributes_changed", {"a": "1"}, ann) == []
    assert bench.tell("participants_updated", ["nobody"]) == []


def test_a_mute_is_told_once_for_each_change() -> None:
    ann = participant("ann", track_publications={"TR": publication("TR")})
    bench = Bench(ann)
    muted, unmuted = publication("TR", muted=True), publication("TR")
    told = [bench.tell("track_muted", ann, muted) for _ in range(2)]
    assert [len(events) for events in told] == [1, 0]
    assert isinstance(bench.tell("track_unmuted", ann, unmuted)[0], ev.TrackUnmuted)
    assert bench.tell("track_muted", ann, publication("other", muted=True)) == []


def test_the_last_command_stands_though_a_mute_of_the_server_is_told_again_after_it() -> None:
    bench = Bench()
    bench.tell("local_track_published", publication("TR"), None)
    me = participant("me")
    muted, unmuted = publication("TR", muted=True), publication("TR")
    (event,) = bench.tell("track_muted", me, muted)
    assert isinstance(event, ev.TrackMuted)
    (event,) = bench.translator.local_mute_changed(evolve(event.track, is_muted=False))
    assert bench.tell("track_muted", me, muted) == []
    assert bench.tell("track_unmuted", me, unmuted) == []
    (event,) = bench.tell("track_muted", me, muted)  # another one
    assert isinstance(event, ev.TrackMuted)


def test_a_local_track_ends_once_whoever_says_it_first() -> None:
    for first, second in ((0, 1), (1, 0)):
        bench = Bench()
        bench.tell("local_track_published", publication("TR"), None)

        def by_livekit(bench: Bench = bench) -> list[ev.RoomEvent]:
            return bench.tell("local_track_unpublished", publication("TR"))

        def by_us(bench: Bench = bench) -> list[ev.RoomEvent]:
            return list(bench.translator.local_unpublished("TR"))

        ways = (by_livekit, by_us)
        (event,) = ways[first]()
        assert isinstance(event, ev.LocalTrackUnpublished)
        assert ways[second]() == []


def test_a_republished_track_has_its_new_sid() -> None:
    bench = Bench()
    bench.tell("local_track_published", publication("old"), None)
    (event,) = bench.tell("local_track_republished", publication("new"), "old")
    assert event == ev.LocalTrackRepublished(
        TrackPublication("new", "mic", TrackKind.AUDIO, TrackSource.MICROPHONE), "old"
    )
    assert bench.tell("local_track_unpublished", publication("old")) == []
    assert len(bench.tell("local_track_unpublished", publication("new"))) == 1


def test_removals_during_a_reconnect_are_the_snapshots_to_tell() -> None:
    ann = participant("ann", track_publications={"TR": publication("TR", subscribed=True)})
    bench = Bench(ann, participant("bob"))
    assert bench.tell("reconnecting") == [ev.Reconnecting()]
    gone = publication("TR")
    assert bench.tell("track_unsubscribed", None, gone, ann) == []
    assert bench.tell("track_unpublished", gone, ann) == []
    assert bench.tell("participant_disconnected", ann) == []
    assert bench.tell("participant_connected", ann) == []
    del bench.room.remote_participants["bob"]
    (event,) = bench.tell("reconnected")
    assert isinstance(event, ev.Reconnected)
    assert [remote.identity for remote in event.snapshot.remotes] == ["ann"]
    assert len(bench.tell("participant_disconnected", ann)) == 1


def test_data_names_its_sender_when_livekit_does() -> None:
    bench = Bench()
    reliable = rtc.DataPacketKind.KIND_RELIABLE
    packet = rtc.DataPacket(data=b"x", kind=reliable, participant=None, topic="t")
    (event,) = bench.tell("data_received", packet)
    assert event == ev.DataReceived(b"x", None, "t", True)
    packet = rtc.DataPacket(data=b"x", kind=rtc.DataPacketKind.KIND_LOSSY,
                            participant=participant("ann"), topic=None)  # fmt: skip
    assert bench.tell("data_received", packet) == [ev.DataReceived(b"x", "ann", "", False)]


def test_a_data_track_is_its_participants_whenever_it_is_told() -> None:
    def track(sid: str, who: str) -> Any:
        info = SimpleNamespace(sid=sid, name="pose", uses_e2ee=False)
        return SimpleNamespace(info=info, publisher_identity=who)

    ann, ben = participant("ann"), participant("ben")
    bench = Bench(ann)
    first, second = DataTrackInfo("DTR_1", "pose"), DataTrackInfo("DTR_2", "pose")
    told = bench.tell("data_track_published", track("DTR_1", "ann"))
    assert told == [ev.DataTrackPublished("ann", first)]
    assert bench.tell("data_track_published", track("DTR_2", "ben")) == []  # nobody knows ben yet
    [came] = bench.tell("participant_connected", ben)
    assert isinstance(came, ev.ParticipantConnected)
    assert came.participant.data_tracks == (second,)
    bench.room.remote_participants["ben"] = ben
    bench.tell("reconnecting")
    [back] = bench.tell("reconnected")  # of which LiveKit's own room says nothing
    assert isinstance(back, ev.Reconnected)
    assert [who.data_tracks for who in back.snapshot.remotes] == [(first,), (second,)]
    gone = bench.tell("data_track_unpublished", "DTR_1", "DTR_2")
    assert gone == [ev.DataTrackUnpublished("ann", first), ev.DataTrackUnpublished("ben", second)]
    assert bench.tell("data_track_unpublished", "DTR_1") == []


def test_the_rest_is_what_it_says() -> None:
    ann = participant("ann")
    bench = Bench(ann)
    quality = ev.ConnectionQualityChanged("ann", ConnectionQuality.POOR)
    assert bench.tell("connection_quality_changed", ann, 0) == [quality]
    assert bench.tell("connection_quality_changed", ann, 0) == []
    assert bench.tell("connection_quality_changed", None, 0) == []
    assert bench.tell("active_speakers_changed", [ann]) == [ev.ActiveSpeakersChanged(("ann",))]
    assert bench.tell("room_metadata_changed", "", "m") == [ev.RoomMetadataChanged("m")]
    assert bench.tell("room_updated") == [ev.RoomUpdated("room", "RM_1")]
    [moved] = bench.tell("moved")
    assert isinstance(moved, ev.RoomMoved)
    assert moved.snapshot.name == "room"
    assert bench.tell("token_refreshed") == [ev.TokenRefreshed()]
    assert bench.tell("participant_active", ann) == [ev.ParticipantActive("ann")]
    failed = ev.TrackSubscriptionFailed("ann", "TR", "why")
    assert bench.tell("track_subscription_failed", ann, "TR", "why") == [failed]
    assert bench.tell("local_track_subscribed", None) == []
    track = cast("rtc.Track", SimpleNamespace(sid="TR"))
    assert bench.tell("local_track_subscribed", track) == [ev.LocalTrackSubscribed("TR")]
    assert bench.tell("disconnected", 99) == [ev.Disconnected(DisconnectReason.UNKNOWN)]
    assert bench.tell("connection_state_changed", 1) == []


NAMES = ("ann", "bob")
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["join", "leave", "publish", "unpublish", "subscribe", "unsubscribe", "mute", "unmute"]
        ),
        st.sampled_from(NAMES),
        st.sampled_from(["TR_1", "TR_2"]),
    ),
    max_size=40,
)


@given(ACTIONS)
def test_events_replayed_on_the_snapshot_are_the_room(actions: list[tuple[str, str, str]]) -> None:
    """Whatever LiveKit repeats or drops, a listener's picture stays that of its own events."""
    bench = Bench()
    living = {name: participant(name) for name in NAMES}
    seen: dict[str, dict[str, TrackPublication]] = {}
    for action, name, sid in actions:
        who = living[name]
        pub = publication(sid, subscribed=action == "subscribe", muted=action == "mute")
        args: dict[str, tuple[str, tuple[Any, ...]]] = {
            "join": ("participant_connected", (who,)),
            "leave": ("participant_disconnected", (who,)),
            "publish": ("track_published", (pub, who)),
            "unpublish": ("track_unpublished", (pub, who)),
            "subscribe": ("track_subscribed", (None, pub, who)),
            "unsubscribe": ("track_unsubscribed", (None, pub, who)),
            "mute": ("track_muted", (who, pub)),
            "unmute": ("track_unmuted", (who, pub)),
        }
        native, arguments = args[action]
        for event in bench.tell(native, *arguments):
            match event:
                case ev.ParticipantConnected(participant=come):
                    assert come.identity not in seen
                    seen[come.identity] = {}
                case ev.ParticipantDisconnected(identity=identity):
                    del seen[identity]
                case ev.TrackPublished(identity=identity, track=track):
                    assert track.sid not in seen[identity]
                    seen[identity][track.sid] = track
                case ev.TrackUnpublished(identity=identity, track=track):
                    del seen[identity][track.sid]
                case ev.TrackMuted(identity=identity, track=track):
                    assert track.sid in seen[identity]
                case ev.TrackSubscribed(identity=identity, track=track):
                    seen[identity][track.sid] = track
                case ev.TrackUnsubscribed(identity=identity, track=track):
                    assert seen[identity][track.sid].is_subscribed
                    seen[identity][track.sid] = track


def test_what_a_transcription_says_is_bounded() -> None:
    long = "x" * (MAX_WORDS + 1)
    said = [
        rtc.TranscriptionSegment(
            id=f"{n:04}{long}", text=long, start_time=0, end_time=0, language=long, final=True
        )
        for n in range(MAX_SEGMENTS + 1)
    ]
    [told] = Bench().tell("transcription_received", said, None, None)
    assert isinstance(told, ev.TranscriptionReceived)
    assert [one.id[:4] for one in told.segments] == [f"{n:04}" for n in range(MAX_SEGMENTS)]
    lengths = {(len(one.id), len(one.text), len(one.language)) for one in told.segments}
    assert lengths == {(MAX_LABEL, MAX_WORDS, MAX_LABEL)}
