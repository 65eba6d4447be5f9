"""What of others is received: the last word, else the app's choice, else what the server does."""

from __future__ import annotations

import pytest

from utd_rx.models import events as e
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import (
    LocalParticipant,
    RemoteParticipant,
    TrackPublication,
    TrackSource,
)
from utd_rx.protocol.facts.connection import JoinSucceeded
from utd_rx.protocol.facts.subscribing import ChooseTrack, SetSubscribed, SubscriptionWanted
from utd_rx.protocol.roster import Roster, from_snapshot
from utd_rx.protocol.subscribing import Subscribing, step

MICROPHONE, CAMERA = TrackSource.MICROPHONE, TrackSource.CAMERA
SOUND = TrackPublication("TR_sound", source=MICROPHONE)
HEARD = TrackPublication("TR_heard", source=MICROPHONE, is_subscribed=True)
PICTURE = TrackPublication("TR_picture", source=CAMERA)

AUTO, NOTHING, CHOOSING = Subscribing(), Subscribing(False), Subscribing(False, chooses=True)


def room(*tracks: TrackPublication) -> Roster:
    return Roster(remotes=FrozenMap({"ana": RemoteParticipant("ana", tracks=tracks)}))


def said(subscribing: Subscribing, *words: tuple[TrackSource, bool]) -> Subscribing:
    for source, is_wanted in words:
        subscribing, _ = step(subscribing, SubscriptionWanted("ana", source, is_wanted), Roster())
    return subscribing


@pytest.mark.parametrize(
    ("before", "track", "asked"),
    [
        (AUTO, SOUND, ()),
        (NOTHING, SOUND, ()),
        (CHOOSING, SOUND, (ChooseTrack("ana", "TR_sound"),)),
        (said(AUTO, (MICROPHONE, False)), SOUND, (SetSubscribed("TR_sound", False),)),
        (said(AUTO, (MICROPHONE, False)), PICTURE, ()),
        (said(NOTHING, (MICROPHONE, True)), SOUND, (SetSubscribed("TR_sound", True),)),
        (said(CHOOSING, (MICROPHONE, False)), SOUND, ()),
        (said(CHOOSING, (MICROPHONE, False), (MICROPHONE, True)), SOUND,
         (SetSubscribed("TR_sound", True),)),
    ],
)  # fmt: skip
def test_a_track_that_comes_is_received_as_was_said(
    before: Subscribing, track: TrackPublication, asked: tuple[object, ...]
) -> None:
    come = e.TrackPublished("ana", track)
    assert step(before, come, room(track)) == (before, asked)
    connected = e.ParticipantConnected(RemoteParticipant("ana", tracks=(track,)))
    assert step(before, connected, room(track)) == (before, asked)


def test_a_word_is_about_what_is_there_and_not_so_already() -> None:
    there = room(SOUND, HEARD, PICTURE)
    word, asked = step(NOTHING, SubscriptionWanted("ana", MICROPHONE, True), there)
    assert asked == (SetSubscribed("TR_sound", True),)
    assert word.word("ana", MICROPHONE) is True
    assert word.word("ana", CAMERA) is word.word("ben", MICROPHONE) is None
    _, asked = step(word, SubscriptionWanted("ana", MICROPHONE, False), there)
    assert asked == (SetSubscribed("TR_heard", False),)


@pytest.mark.parametrize("before", [AUTO, NOTHING])
def test_what_is_received_against_the_word_is_refused_again(before: Subscribing) -> None:
    """The server was about to send it when the word came."""
    come = e.TrackSubscribed("ana", HEARD)
    unwanted = said(before, (MICROPHONE, True), (MICROPHONE, False))
    assert step(unwanted, come, room(HEARD)) == (unwanted, (SetSubscribed("TR_heard", False),))
    for fine in (before, said(before, (MICROPHONE, True)), said(before, (CAMERA, False))):
        assert step(fine, come, room(HEARD)) == (fine, ())


@pytest.mark.parametrize("kind", [e.Reconnected, e.RoomMoved, lambda now: JoinSucceeded(1, now)])
def test_in_a_new_connection_every_word_is_said_again(kind: type[e.Reconnected]) -> None:
    ana = RemoteParticipant("ana", tracks=(SOUND, HEARD, PICTURE))
    now = e.RoomSnapshot("room", LocalParticipant("me"), remotes=(ana,))
    words = said(CHOOSING, (MICROPHONE, True))
    _, asked = step(words, kind(now), from_snapshot(now))
    assert asked == (
        SetSubscribed("TR_sound", True),
        SetSubscribed("TR_heard", True),
        ChooseTrack("ana", "TR_picture"),
    )


def test_a_track_of_nobody_who_is_here_asks_nothing() -> None:
    assert step(CHOOSING, e.TrackPublished("ben", SOUND), room()) == (CHOOSING, ())
