"""The roster is the snapshot plus every event after it, and does not flicker."""

from __future__ import annotations

import pytest
from attrs import evolve

from utd_rx.models import events as e
from utd_rx.models.connection import ConnectionQuality
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import (
    LocalParticipant,
    ParticipantPermission,
    RemoteParticipant,
    TrackKind,
    TrackPublication,
    TrackSource,
)
from utd_rx.protocol import roster as rules
from utd_rx.protocol.roster import Roster

ANA = RemoteParticipant("ana", name="Ana")
ME = LocalParticipant("me")
VOICE = TrackPublication("TR_1", kind=TrackKind.AUDIO, source=TrackSource.MICROPHONE)
START = rules.from_snapshot(e.RoomSnapshot("room", ME, metadata="{}", remotes=(ANA,)))
MAY_PUBLISH = ParticipantPermission(can_publish=True)


def after(*events: object, is_reconnecting: bool = False, start: Roster = START) -> Roster:
    roster = start
    for event in events:
        roster = rules.step(roster, event, is_reconnecting=is_reconnecting)
    return roster


def ana(*events: object) -> RemoteParticipant:
    return after(*events).remotes["ana"]


def test_people_come_and_go() -> None:
    bob = RemoteParticipant("bob")
    assert after(e.ParticipantConnected(bob)).participants == (ANA, bob)
    gone = after(e.ActiveSpeakersChanged(("ana", "me")), e.ParticipantDisconnected("ana"))
    assert (gone.participants, gone.active_speakers) == ((), ("me",))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (e.ParticipantNameChanged("ana", "A."), evolve(ANA, name="A.")),
        (e.ParticipantMetadataChanged("ana", "{1}"), evolve(ANA, metadata="{1}")),
        (
            e.ParticipantAttributesChanged("ana", FrozenMap({"hand": "up"})),
            evolve(ANA, attributes=FrozenMap({"hand": "up"})),
        ),
        (e.ParticipantPermissionsChanged("ana", MAY_PUBLISH), evolve(ANA, permission=MAY_PUBLISH)),
        (
            e.ConnectionQualityChanged("ana", ConnectionQuality.POOR),
            evolve(ANA, connection_quality=ConnectionQuality.POOR),
        ),
        (e.TrackPublished("ana", VOICE), evolve(ANA, tracks=(VOICE,))),
    ],
)
def test_each_change_changes_its_field_alone(
    event: e.RoomEvent, expected: RemoteParticipant
) -> None:
    assert ana(event) == expected


def test_a_track_is_subscribed_muted_and_gone() -> None:
    heard, muted = evolve(VOICE, is_subscribed=True), evolve(VOICE, is_muted=True)
    published = e.TrackPublished("ana", VOICE)
    assert ana(published, e.TrackSubscribed("ana", heard)).tracks == (heard,)
    assert ana(published, e.TrackMuted("ana", muted)).tracks == (muted,)
    assert ana(published, e.TrackUnpublished("ana", VOICE)).tracks == ()


MUSIC, FACE = evolve(VOICE, sid="TR_2"), TrackPublication("TR_3", kind=TrackKind.VIDEO)
SPOKE = e.ActiveSpeakersChanged(("ana", "bob"))


@pytest.mark.parametrize(
    ("published", "unpublished", "speaking"),
    [
        ((VOICE,), VOICE, ("bob",)),
        ((VOICE, FACE), VOICE, ("bob",)),
        ((VOICE, MUSIC), VOICE, ("ana", "bob")),
        ((VOICE, FACE), FACE, ("ana", "bob")),
    ],
)
def test_who_has_no_sound_left_speaks_no_more(
    published: tuple[TrackPublication, ...],
    unpublished: TrackPublication,
    speaking: tuple[str, ...],
) -> None:
    bob = e.ParticipantConnected(RemoteParticipant("bob"))
    heard = (e.TrackPublished("ana", track) for track in published)
    remote = after(bob, *heard, SPOKE, e.TrackUnpublished("ana", unpublished))
    assert remote.active_speakers == speaking
    mine = (e.LocalTrackPublished(track) for track in published)
    i_am_ana = evolve(START, local=LocalParticipant("ana"), remotes=FrozenMap())
    local = after(bob, *mine, SPOKE, e.LocalTrackUnpublished(unpublished), start=i_am_ana)
    assert local.active_speakers == speaking


def test_events_about_me_change_me() -> None:
    assert after(e.ParticipantPermissionsChanged("me", MAY_PUBLISH)).permission == MAY_PUBLISH
    mine = after(
        e.LocalTrackPublished(VOICE), e.LocalTrackRepublished(evolve(VOICE, sid="TR_2"), "TR_1")
    )
    assert mine.local is not None
    assert [track.sid for track in mine.local.tracks] == ["TR_2"]


def test_an_event_about_nobody_changes_nothing() -> None:
    assert (
        after(e.ParticipantNameChanged("nobody", "x"), e.TrackPublished("nobody", VOICE)) == START
    )
    assert after(e.RoomUpdated(), object()) == START


def test_while_reconnecting_nobody_leaves_and_the_snapshot_decides() -> None:
    held = after(
        e.TrackUnpublished("ana", VOICE), e.ParticipantDisconnected("ana"), is_reconnecting=True
    )
    assert held == START
    back = after(e.Reconnected(e.RoomSnapshot("room", ME)), is_reconnecting=True)
    assert back.participants == ()


def test_an_ended_connection_leaves_nobody_and_grants_nothing() -> None:
    over = rules.emptied(after(e.ParticipantPermissionsChanged("me", MAY_PUBLISH)))
    assert (over.participants, over.permission) == ((), ParticipantPermission())
    assert over.local is not None
