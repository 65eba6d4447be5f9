"""What is told late leads to the same state as what was told at once, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media.hosted_speaker import VoiceProgress
from utd_rx.media.levels import MarkedState
from utd_rx.media.thinning import (
    MAX_CALL_BYTES,
    MAX_CALLS,
    MAX_DATA,
    MAX_PARTS,
    PER_MESSAGE,
    size_of,
    thinned,
)
from utd_rx.models import events as ev
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.data_tracks import DataTrackFrame
from utd_rx.models.device_state import MicrophoneState
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.methods import MethodInvocation
from utd_rx.models.participant import (
    LocalParticipant,
    RemoteParticipant,
    TrackKind,
    TrackPublication,
)
from utd_rx.models.transcript import TranscriptSegment
from utd_rx.models.transfers import TransferInfo
from utd_rx.ports.crossing import MAX_FAILURES
from utd_rx.ports.transfers import TransferBegan, TransferEnded, TransferPart
from utd_rx.protocol import roster as rules

OTHERS = ("ana", "ben")
PEOPLE = ("me", *OTHERS)
TRACKS = [
    TrackPublication(f"TR_{n}", kind=TrackKind.AUDIO, is_muted=is_muted)
    for n in (1, 2)
    for is_muted in (False, True)
]
START = rules.from_snapshot(
    ev.RoomSnapshot("room", LocalParticipant("me"), remotes=(RemoteParticipant("ana"),))
)
OF_TRACKS = (
    ev.TrackPublished,
    ev.TrackUnpublished,
    ev.TrackSubscribed,
    ev.TrackUnsubscribed,
    ev.TrackMuted,
    ev.TrackUnmuted,
)
ME = LocalParticipant("me")
EVENTS = st.lists(
    st.sampled_from(
        [
            *map(ev.ParticipantActive, OTHERS),
            *map(ev.ParticipantDisconnected, OTHERS),
            *(
                ev.ParticipantConnected(RemoteParticipant(who, name=name))
                for who in OTHERS
                for name in "ab"
            ),
            *(ev.ParticipantNameChanged(who, n) for who in PEOPLE for n in "cd"),
            *(ev.ParticipantMetadataChanged(who, n) for who in PEOPLE for n in "ef"),
            *(kind("ana", track) for track in TRACKS for kind in OF_TRACKS),
            *(
                (ev.TrackMuted if track.is_muted else ev.TrackUnmuted)("me", track)
                for track in TRACKS
            ),
            *map(ev.LocalTrackPublished, TRACKS),
            *map(ev.LocalTrackUnpublished, TRACKS),
            ev.LocalTrackRepublished(TRACKS[0], "TR_2"),
            ev.RoomMetadataChanged("m"),
            ev.RoomUpdated("n"),
            ev.RoomUpdated("", "RM"),
            ev.Reconnecting(),
            ev.Reconnected(ev.RoomSnapshot("again", ME, remotes=(RemoteParticipant("ben"),))),
            ev.RoomMoved(ev.RoomSnapshot("moved", ME)),
            ev.Disconnected(DisconnectReason.UNKNOWN),
        ]
    ),
    max_size=16,
)


def sorted_tracks(who: Any) -> Any:
    """The same without the order in which tracks came: two of one sid are nothing that comes."""
    return evolve(who, tracks=tuple(sorted(who.tracks, key=lambda track: track.sid)))


def folded(events: Sequence[ev.RoomEvent]) -> tuple[object, ...]:
    """What is known of the room, and whether the connection is out."""
    roster, is_out = START, False
    for event in events:
        match event:
            case ev.Reconnecting():
                is_out = True
            case ev.Reconnected():
                is_out = False
        roster = rules.step(roster, event, is_reconnecting=is_out)
    others = sorted(roster.remotes.values(), key=lambda who: who.identity)
    people = [sorted_tracks(who) for who in (roster.local, *others)]
    return people, roster.metadata, roster.room_name, roster.room_sid, is_out


def own_mutes(events: Sequence[ev.RoomEvent]) -> dict[str, bool]:
    """What is told of the mutes of own tracks last, as intents follow it."""
    return {
        event.track.sid: event.track.is_muted
        for event in events
        if isinstance(event, ev.TrackMuted | ev.TrackUnmuted) and event.identity == "me"
    }


@given(EVENTS)
def test_what_is_left_leads_to_the_same_state(events: list[ev.RoomEvent]) -> None:
    assert folded(thinned(events)) == folded(events)


@given(EVENTS)
@example([ev.TrackMuted("me", TRACKS[1]), ev.Reconnected(ev.RoomSnapshot("again", ME))])
@example([ev.TrackUnmuted("me", TRACKS[0]), ev.RoomMoved(ev.RoomSnapshot("moved", ME))])
def test_own_mutes_are_left_though_a_snapshot_follows(events: list[ev.RoomEvent]) -> None:
    assert own_mutes(thinned(events)) == own_mutes(events)


@given(EVENTS, EVENTS)
def test_it_may_be_thinned_again_with_what_came_since(
    before: list[ev.RoomEvent], since: list[ev.RoomEvent]
) -> None:
    once = thinned([*thinned(before), *since])
    assert folded(once) == folded([*before, *since])
    assert len(once) <= len(thinned(before)) + len(since)


def test_of_a_storm_as_much_is_left_as_there_is_state() -> None:
    storm = [
        event
        for turn in range(1_000)
        for event in (
            ev.ParticipantConnected(RemoteParticipant("ana", name=str(turn))),
            ev.ParticipantMetadataChanged("ana", str(turn)),
            ev.ActiveSpeakersChanged(("ana",) * (turn % 2)),
            ev.ParticipantDisconnected("ana"),
            ev.Reconnecting(),
            ev.Reconnected(ev.RoomSnapshot("room", LocalParticipant("me"), metadata=str(turn))),
            ev.RoomMetadataChanged(str(turn)),
        )
    ]
    left = thinned(storm)
    assert len(left) == 3
    assert folded(left) == folded(storm)


def test_a_room_that_was_moved_is_out_no_more_than_it_was() -> None:
    out, moved = ev.Reconnecting(), ev.RoomMoved(ev.RoomSnapshot("moved", ME))
    back = ev.Reconnected(ev.RoomSnapshot("again", ME))
    assert thinned([out, back, out, back, moved]) == [out, back, moved]
    assert thinned([back, out, moved]) == [out, moved]


def test_who_has_gone_and_come_back_has_gone() -> None:
    again = ev.ParticipantConnected(RemoteParticipant("ana", sid="PA_2"))
    gone = ev.ParticipantDisconnected("ana")
    told = [ev.ParticipantMetadataChanged("ana", "old"), gone, again, gone, again]
    assert thinned(told) == [gone, again]


def test_who_speaks_is_told_as_it_is_told_last() -> None:
    loud, quiet = ev.ActiveSpeakersChanged(("ana", "ben")), ev.ActiveSpeakersChanged(("ben",))
    assert thinned([loud, quiet, loud, ev.ParticipantDisconnected("ana")])[0] == loud
    assert thinned([loud, quiet]) == [quiet]


def test_own_tracks_outlast_a_snapshot_which_says_nothing_of_them() -> None:
    ended = ev.LocalAudioEnded("TR_1")
    again = ev.Reconnected(ev.RoomSnapshot("room", LocalParticipant("me")))
    assert thinned([ended, ended, ev.Reconnecting(), again]) == [ended, ev.Reconnecting(), again]


def test_a_newer_token_outlasts_a_snapshot() -> None:
    again = ev.Reconnected(ev.RoomSnapshot("room", LocalParticipant("me")))
    assert thinned([ev.TokenRefreshed(), again]) == [ev.TokenRefreshed(), again]


def test_of_data_the_newest_is_kept_and_what_went_is_counted() -> None:
    size = 60_000
    most = MAX_DATA // (size + len("ana") + PER_MESSAGE)
    data = [ev.DataReceived(b"%06d" % n + bytes(size - 6), "ana") for n in range(most + 10)]
    state = ev.RoomMetadataChanged("m")
    assert thinned([*data, state]) == [ev.DataMissed(10), *data[10:], state]
    again = thinned([*thinned([*data, state]), *data[:5]])
    assert again[0] == ev.DataMissed(15)
    assert len(again) == 1 + most + 1
    many = [ev.DataReceived(b"", "ana")] * 10_000
    assert len(thinned(many)) <= MAX_DATA // PER_MESSAGE + 1


def test_what_is_written_down_is_data_and_not_what_is_so_last() -> None:
    said = [
        ev.TranscriptionReceived("ana", "TR_1", (TranscriptSegment(str(n), "word"),))
        for n in range(3)
    ]
    assert thinned(said) == said
    missed, *left = thinned(said * 2_000)
    assert missed == ev.DataMissed(6_000 - len(left))


KNOWN = {
    "identity", "track_sid", "previous_sid", "track", "participant",  # what it is about
    "snapshot", "reason", "name", "metadata", "attributes", "permission", "quality", "error",
    "identities", "sid", "payload", "sender", "topic", "reliable", "count",
    "encryption", "speaker", "segments",
}  # fmt: skip


def test_every_event_says_what_it_is_about_by_fields_that_are_known() -> None:
    kinds = [kind for kind in vars(ev).values() if isinstance(kind, type) and attrs.has(kind)]
    events = [kind for kind in kinds if issubclass(kind, ev.RoomEvent)]
    assert len(events) > 30
    assert {field.name for kind in events for field in attrs.fields(kind)} <= KNOWN


def test_of_a_device_the_newest_state_is_left_and_every_failure() -> None:
    def state(level: float, failure: UTDStreamException | None = None) -> MicrophoneState:
        return MicrophoneState(level=level, failure=failure)

    gone = UTDStreamException("gone", code=UTDErrorCode.NOT_FOUND)
    told = [state(-1), state(-2, gone), state(-3, gone), state(-4), state(-5)]
    assert thinned(told) == [told[0], told[2], told[4]]
    marked = [MarkedState(one, n) for n, one in enumerate(told)]
    assert thinned(marked) == [marked[0], marked[2], marked[4]]
    flapping = [state(-1, gone if n % 2 else None) for n in range(100)]
    assert len(thinned(flapping)) == MAX_FAILURES
    assert thinned(flapping)[-1] is flapping[-1]


def test_all_that_data_brings_is_counted() -> None:
    long = "x" * 60_000
    attributes = FrozenMap({long: long})
    said = tuple(TranscriptSegment(str(n), "") for n in range(6_000))
    info = TransferInfo("id", "ana", long, name=long, attributes=attributes)
    for item, least in (
        (ev.DataReceived(b"", "ana", long), len(long)),
        (ev.DataReceived(b"", long), len(long)),
        (ev.TranscriptionReceived(long, long, said), 2 * len(long) + 6_000 * 100),
        (ev.TranscriptionReceived("", "", (TranscriptSegment(long, long, True, long),)), 180_000),
        (TransferBegan(1, info), 4 * len(long)),
        (TransferEnded(1, None, attributes), 2 * len(long)),
        (MethodInvocation(1, long, long, long, 1.0), 3 * len(long)),
        (DataTrackFrame(long.encode(), 1), len(long)),
        (TransferPart(1, b""), 0),
    ):
        assert least + PER_MESSAGE <= size_of(item) < 2 * least + 2 * PER_MESSAGE
    assert size_of(ev.RoomMetadataChanged(long)) == len(long)
    assert size_of(MicrophoneState()) == 0


def test_topics_and_segments_are_bounded_as_data_is() -> None:
    long = ev.DataReceived(b"", "ana", "x" * 60_000)
    many = ev.TranscriptionReceived("ana", "", tuple([TranscriptSegment("", "")] * 6_000))
    for event, count in ((long, 100), (many, 10)):
        missed, *left = thinned([event] * count)
        assert missed == ev.DataMissed(count - len(left))
        assert 0 < sum(map(size_of, left)) <= MAX_DATA


def test_texts_and_files_that_are_too_much_have_failed() -> None:
    info = TransferInfo("id", "ana", "topic")
    part = TransferPart(1, bytes(MAX_PARTS - 4 * PER_MESSAGE))
    fits = [TransferBegan(1, info), part, TransferEnded(1)]
    assert thinned(fits) == fits
    [began, other, ended] = thinned([*fits, TransferBegan(2, info), TransferPart(2, b"x")])[:3]
    assert (began, other) == (TransferBegan(1, info), TransferBegan(2, info))
    assert ended.failure is not None
    assert ended.failure.code is UTDErrorCode.TIMEOUT
    many = [TransferBegan(1, info), *[TransferPart(1, b"x")] * (MAX_PARTS // PER_MESSAGE)]
    assert len(thinned(many)) == 2


def test_of_texts_and_files_whose_names_alone_are_too_much_the_newest_are_told() -> None:
    info = TransferInfo("id", "ana", "topic", attributes=FrozenMap({"a": "x" * 60_000}))
    known = [TransferPart(0, b"x")]
    begun = [one for n in range(1, 400) for one in (TransferBegan(n, info), TransferEnded(n))]
    left = thinned([*known, *begun])
    assert 0 < sum(map(size_of, left)) <= MAX_PARTS + 2 * PER_MESSAGE
    assert {one.number for one in left} == {0, *range(400 - len(left) // 2, 400)}
    assert len(left) % 2 == 1, "of those that are told all is"


def test_of_frames_and_calls_the_newest_are_left() -> None:
    frames = [DataTrackFrame(bytes(1_000_000), n) for n in range(10)]
    left = thinned(frames)
    assert left == [attrs.evolve(frames[-4], missed=6), *frames[-3:]]
    assert thinned(frames[:2]) == frames[:2]
    again = thinned([*left, frames[0], frames[1]])  # which are no more than the oldest two
    assert again == [attrs.evolve(frames[-2], missed=8), frames[-1], *frames[:2]]
    calls = [MethodInvocation(n, "echo", "ana", "", 1.0) for n in range(MAX_CALLS + 5)]
    assert thinned(calls) == calls[5:]
    large = [MethodInvocation(n, "echo", "ana", "x" * 1_000_000, 1.0) for n in range(20)]
    assert thinned(large) == large[-(MAX_CALL_BYTES // 1_001_100) :]


@pytest.mark.parametrize("items", [[], [1, 2, 3], [object()]])
def test_of_what_it_does_not_know_everything_is_left(items: list[object]) -> None:
    assert thinned(items) == items


def test_of_how_far_a_voice_is_the_newest_is_kept() -> None:
    told = [VoiceProgress(position=n / 100) for n in range(10)]
    assert thinned(told) == told[-1:]
