"""Of who came and went while nobody heard of it as much is told as there is room for, and the state
is the same."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tests.media.test_thinning import ME, START, folded
from utd_rx.media.thinning import MAX_VISITS, thinned_events
from utd_rx.models import events as ev
from utd_rx.models.data_tracks import DataTrackInfo
from utd_rx.models.participant import RemoteParticipant, TrackKind, TrackPublication
from utd_rx.protocol import roster as rules
from utd_rx.protocol.roster import Roster

ANA, GUESTS = "ana", ("gus", "guy")
VOICE = TrackPublication("TR_voice", kind=TrackKind.AUDIO)
SCREEN = TrackPublication("TR_screen", kind=TrackKind.VIDEO)
DATA = DataTrackInfo("TR_data", "data")
OUTAGE = (
    ev.Reconnecting(),
    ev.Reconnected(ev.RoomSnapshot("again", ME, remotes=(RemoteParticipant("gus"),))),
    ev.RoomMoved(ev.RoomSnapshot("moved", ME)),
)
OF_ONE = [
    event
    for who in (ANA, *GUESTS)
    for event in (
        ev.ParticipantConnected(RemoteParticipant(who)),
        ev.ParticipantConnected(RemoteParticipant(who, tracks=(VOICE,))),
        ev.ParticipantDisconnected(who),
        ev.ParticipantDisconnected(who),
        ev.ParticipantActive(who),
        ev.ParticipantMetadataChanged(who, who),
        ev.DataReceived(b"", who),
        ev.DataTrackPublished(who, DATA),
        ev.DataTrackUnpublished(who, DATA),
        ev.TrackSubscriptionFailed(who, VOICE.sid, ""),
        *(
            kind(who, track)
            for track in (VOICE, SCREEN)
            for kind in (ev.TrackPublished, ev.TrackUnpublished, ev.TrackMuted)
        ),
        ev.ActiveSpeakersChanged((who,)),
    )
]
ROOMS = st.sampled_from([0, 5_000, MAX_VISITS])


def sids(roster: Roster, identity: str) -> set[str]:
    who = roster.find(identity)
    more = who.data_tracks if isinstance(who, RemoteParticipant) else ()
    return set() if who is None else {track.sid for track in (*who.tracks, *more)}


def is_news(roster: Roster, event: ev.RoomEvent, *, is_out: bool) -> bool:
    """Whether a port would tell it."""
    match event:
        case ev.Reconnecting() | ev.RoomMoved():
            return not is_out
        case ev.Reconnected():
            return is_out
        case ev.ParticipantConnected(who):
            return who.identity not in roster.remotes
        case ev.ParticipantDisconnected(identity):
            return identity in roster.remotes and not is_out
        case ev.TrackPublished() | ev.DataTrackPublished():
            is_here = event.identity in roster.remotes
            return is_here and event.track.sid not in sids(roster, event.identity)
        case ev.TrackEvent() | ev.DataTrackUnpublished():
            is_gone = is_out and isinstance(event, ev.TrackUnpublished)
            return event.track.sid in sids(roster, event.identity) and not is_gone
        case ev.ActiveSpeakersChanged(identities):
            return all(VOICE.sid in sids(roster, who) for who in identities)
        case ev.ParticipantActive() | ev.TrackSubscriptionFailed():
            return True
    whose = getattr(event, "identity", ME.identity)
    return roster.find(whose) is not None


def as_told(events: Sequence[ev.RoomEvent]) -> list[ev.RoomEvent]:
    """Return those that a port would tell, in a room that is known as `START`."""
    roster, is_out, told = START, False, list[ev.RoomEvent]()
    for event in events:
        if is_news(roster, event, is_out=is_out):
            told.append(event)
            if isinstance(event, ev.Reconnecting | ev.Reconnected):
                is_out = isinstance(event, ev.Reconnecting)
            roster = rules.step(roster, event, is_reconnecting=is_out)
    return told


def known(told: Sequence[ev.RoomEvent]) -> Roster:
    """Return the room after it."""
    roster, is_out = START, False
    for event in told:
        is_out = isinstance(event, ev.Reconnecting) or (
            is_out and not isinstance(event, ev.Reconnected)
        )
        roster = rules.step(roster, event, is_reconnecting=is_out)
    return roster


# Many of them no port tells.
TOLD = st.lists(st.sampled_from([*OUTAGE, *OF_ONE]), min_size=30, max_size=80).map(as_told)


@given(TOLD, ROOMS, st.sets(st.sampled_from(GUESTS)))
def test_what_is_left_leads_to_the_same_state(
    told: list[ev.RoomEvent], room: int, minded: set[str]
) -> None:
    left = thinned_events(told, minded, room)
    assert folded(left) == folded(told)
    assert known(left).active_speakers == known(told).active_speakers


@given(TOLD, st.lists(ROOMS, min_size=1, max_size=4), st.sets(st.sampled_from(GUESTS)))
def test_however_often_it_is_thinned(
    told: list[ev.RoomEvent], rooms: list[int], minded: set[str]
) -> None:
    left: list[ev.RoomEvent] = []
    for n, room in enumerate(rooms):
        part = told[n * len(told) // len(rooms) : (n + 1) * len(told) // len(rooms)]
        left = thinned_events([*left, *part], minded if n % 2 else set(), room)
    assert folded(left) == folded(told)


@given(TOLD)
def test_without_room_nothing_is_left_of_who_came_and_went(told: list[ev.RoomEvent]) -> None:
    lives(thinned_events(without_data(told), room=0), known(told))


@given(TOLD, st.sets(st.sampled_from(GUESTS)))
def test_nor_once_what_was_minded_is_told(told: list[ev.RoomEvent], minded: set[str]) -> None:
    left: list[ev.RoomEvent] = []
    for n in range(4):
        part = told[n * len(told) // 4 : (n + 1) * len(told) // 4]
        left = thinned_events([*left, *part], minded, room=0)
    lives(thinned_events(without_data(left), room=0), known(told))


def without_data(events: Sequence[ev.RoomEvent]) -> list[ev.RoomEvent]:
    return [event for event in events if not isinstance(event, ev.DataReceived)]


def lives(left: Sequence[ev.RoomEvent], end: Roster) -> None:
    """Nothing is told of anybody, and of any track, who was not there before, and is not now."""
    brought = {
        track.sid
        for event in left
        if isinstance(event, ev.ParticipantConnected)
        for track in event.participant.tracks
    }
    before = {*START.remotes, ME.identity}
    for event in left:
        match event:
            case ev.Reconnected() | ev.RoomMoved():
                before |= {who.identity for who in event.snapshot.remotes}
            case ev.ParticipantActive() | ev.TrackSubscriptionFailed():
                pass  # of people of whom nothing else is known
            case ev.ParticipantConnected(who):
                assert who.identity in end.remotes
            case ev.ParticipantDisconnected(identity):
                assert identity in before or identity in end.remotes
            case ev.TrackEvent() | ev.DataTrackPublished() | ev.DataTrackUnpublished():
                assert event.track.sid in brought | sids(end, event.identity)
            case _ if (whose := getattr(event, "identity", None)) is not None:
                assert whose in before or end.find(whose)


def visit(who: str, *, metadata: str = "") -> list[ev.RoomEvent]:
    come = ev.ParticipantConnected(RemoteParticipant(who, f"PA_{who}", metadata=metadata))
    return [come, ev.ParticipantActive(who), ev.ParticipantDisconnected(who)]


def test_where_there_is_room_visits_are_told_the_newest_first() -> None:
    events = [*visit("gus"), ev.RoomMetadataChanged("m"), *visit("guy")]
    assert thinned_events(events) == events
    assert thinned_events(events, room=5_000) == events[3:]
    assert thinned_events(events, room=0) == [events[3]]


def test_of_whom_something_waits_it_is_told_that_they_came_and_went() -> None:
    come, active, go = visit("gus", metadata="m" * 5_000)
    brief = ev.ParticipantConnected(RemoteParticipant("gus", "PA_gus"))
    said = ev.DataReceived(b"x", "gus")
    assert thinned_events([come, active, go], {"gus"}, 0) == [brief, go]
    assert thinned_events([come, said, active, go], room=0) == [brief, said, go]
    assert thinned_events([brief, go], room=0) == [], "once nothing of theirs waits any more"


def test_who_came_and_went_does_not_speak() -> None:
    speaking = ev.ActiveSpeakersChanged(("gus", "ana"))
    come, _, go = visit("gus")
    assert thinned_events([come, speaking, go], room=0) == [ev.ActiveSpeakersChanged(("ana",))]
    voice, silent = ev.TrackPublished("gus", VOICE), ev.TrackUnpublished("gus", VOICE)
    left = thinned_events([come, voice, speaking, silent], room=0)
    assert left == [come, ev.ActiveSpeakersChanged(("ana",))]


def test_who_was_there_before_has_gone_however_often_they_came_back() -> None:
    come, _, go = visit("ana")
    left = thinned_events([go, come, go, come, go], room=0)
    assert left == [go]
    assert thinned_events([*left, come, go], room=0) == [go]
    assert thinned_events([go, come, go, come], room=0) == [go, come]


def test_tracks_of_who_goes_go_with_them() -> None:
    screens = [
        ev.TrackPublished("ana", TrackPublication(str(n), kind=TrackKind.VIDEO)) for n in range(9)
    ]
    gone = ev.ParticipantDisconnected("ana")
    assert thinned_events([*screens, gone], room=0) == [gone]


def test_while_the_connection_is_restored_nobody_goes() -> None:
    out = [ev.Reconnecting(), *visit("gus")]
    assert thinned_events(out, room=0) == out
    assert thinned_events([*visit("gus"), *out], room=0) == out


def test_of_visits_of_one_the_last_is_told() -> None:
    assert thinned_events([*visit("gus"), *visit("gus")]) == visit("gus")
    come, _, go = visit("gus")
    brief = ev.ParticipantConnected(RemoteParticipant("gus", "PA_gus"))
    assert thinned_events([come, go, come, go], {"gus"}) == [come, go]
    assert thinned_events([come, go, come, go], {"gus"}, 0) == [brief, go]
    assert thinned_events([come, go, come], {"gus"}, 0) == [brief, go, come]


def test_a_track_that_was_there_before_has_gone_however_often_it_came_back() -> None:
    share, end = ev.TrackPublished("ana", SCREEN), ev.TrackUnpublished("ana", SCREEN)
    left = thinned_events([end, share, end, share, end])
    assert left == [end, share, end]
    assert thinned_events(left, room=0) == [end]
    assert thinned_events([share, end, share, end], room=0) == []
