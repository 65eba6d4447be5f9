"""Of what is gone nothing is wished any more."""

from __future__ import annotations

import pytest

from tests.media.restored import BEN, FACE
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media import lacking
from utd_rx.media import wished as wishes
from utd_rx.media.lacking import SubscribeAgain
from utd_rx.media.wished import Wished
from utd_rx.media.wished_parts import JoinedAt
from utd_rx.models import events as ev
from utd_rx.models.participant import LocalParticipant

NO = UTDStreamException("no", code=UTDErrorCode.SERVER)
ROOM = ev.RoomSnapshot("room", LocalParticipant("me"), remotes=(BEN,))


def unsubscribed() -> Wished:
    wished = wishes.joined(Wished(), JoinedAt("wss://x", "t"), ROOM)
    return wishes.subscribed(wished, FACE.sid, False)


@pytest.mark.parametrize(
    "gone",
    [
        ev.TrackUnpublished("ben", FACE),
        ev.ParticipantDisconnected("ben"),
        ev.Reconnected(ev.RoomSnapshot("room", LocalParticipant("me"))),
    ],
)
def test_of_a_track_that_is_gone_no_word_is_kept(gone: ev.RoomEvent) -> None:
    wished = wishes.told(unsubscribed(), gone)
    assert not wished.subscribed
    step = SubscribeAgain(FACE.sid, False)  # which was on its way
    assert lacking.done(wished, step) == lacking.refused(wished, step, NO) == wished


def test_the_word_on_a_track_outlasts_what_it_led_to() -> None:
    wished = wishes.told(unsubscribed(), ev.TrackUnsubscribed("ben", FACE))
    assert FACE.sid in wished.subscribed
