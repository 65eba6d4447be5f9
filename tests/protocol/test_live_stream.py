"""A live stream's rules: who publishes, who watches, and when the broadcast is over."""

from __future__ import annotations

import json
from typing import Final

import pytest
from attrs import evolve

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as e
from utd_rx.models.participant import (
    LocalParticipant,
    ParticipantPermission,
    RemoteParticipant,
    TrackPublication,
    TrackSource,
)
from utd_rx.models.stage import Stage, UTDStageMember
from utd_rx.protocol.broadcast import HINT_SECONDS, LATE_SECONDS
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts.connection import (
    CloseStarted,
    DeadlinePassed,
    JoinAdmitted,
    JoinStarted,
    JoinSucceeded,
    LeaveStarted,
)
from utd_rx.protocol.facts.media import (
    CloseTrack,
    PublishingWanted,
    TrackClosed,
    TrackOpened,
)
from utd_rx.protocol.facts.stage import FetchStage, LiveStopped, StageFetched, StageNotFetched
from utd_rx.protocol.kinds import LIVE_STREAM
from utd_rx.protocol.live_stream import LiveStreamState, require_host
from utd_rx.protocol.publishing import require_granted
from utd_rx.protocol.wire.stage import stage_to_wire

GRANTED = ParticipantPermission(can_subscribe=True, can_publish=True, can_publish_data=True)
LISTENER = evolve(GRANTED, can_publish=False)
MIC = TrackPublication("TR_mic", source=TrackSource.MICROPHONE)
HOST_METADATA: Final = '{"role": "host"}'
SARA = RemoteParticipant("sara", metadata=HOST_METADATA)
ENDED = json.dumps({"type": "_live_ended"}).encode()
NO_ROUTE = UTDStreamException("no", code=UTDErrorCode.NOT_FOUND, status_code=404)


def metadata(*identities: str, rev: int = 1, live: bool | None = True) -> str:
    stage = Stage(tuple(UTDStageMember(who) for who in identities), rev, live)
    return json.dumps({"_stage": stage_to_wire(stage)})


def told(*identities: str, rev: int = 1, live: bool | None = True) -> e.RoomMetadataChanged:
    return e.RoomMetadataChanged(metadata(*identities, rev=rev, live=live))


class Client:
    """The rules of one client, and what they asked for."""

    def __init__(self, *, is_host: bool = False) -> None:
        self.state: LiveStreamState = LIVE_STREAM.begin("me", is_host)
        self.now = 0.0
        self.asked: list[object] = []

    def hear(self, *facts: object) -> Effects:
        every: Effects = ()
        for fact in facts:
            self.state, effects = LIVE_STREAM.step(self.state, fact, self.now)
            every = (*every, *effects)
        return every

    def join(
        self, *remotes: RemoteParticipant, room: str = "", permission: ParticipantPermission
    ) -> Effects:
        own = HOST_METADATA if self.state.session.is_host else ""
        local = LocalParticipant("me", metadata=own, permission=permission)
        snapshot = e.RoomSnapshot("r", local, metadata=room, remotes=remotes)
        return self.hear(JoinStarted(), JoinSucceeded(1, snapshot))

    @property
    def is_over(self) -> bool:
        return self.state.broadcast.is_over

    @property
    def microphone(self) -> TrackPublication | None:
        return self.state.session.microphone.track


def viewer(*remotes: RemoteParticipant, room: str | None = None) -> Client:
    client = Client()
    client.join(*(remotes or (SARA,)), room=room or metadata("sara"), permission=LISTENER)
    return client


def speaker() -> Client:
    """A viewer who was promoted, and whose microphone is on."""
    client = viewer()
    client.hear(
        e.ParticipantPermissionsChanged("me", GRANTED),
        told("sara", "me", rev=2),
        PublishingWanted(TrackSource.MICROPHONE, True),
        TrackOpened(TrackSource.MICROPHONE, 0, MIC),
    )
    assert client.microphone == MIC
    return client


@pytest.mark.parametrize(
    "demotion", [e.ParticipantPermissionsChanged("me", LISTENER), told("sara", rev=3)]
)
def test_who_is_demoted_stops_by_whichever_of_permission_and_roster_is_first(
    demotion: object,
) -> None:
    client = speaker()
    effects = client.hear(demotion)
    assert [type(effect) for effect in effects] == [CloseTrack]
    assert not client.state.session.microphone.is_granted


def test_an_engine_that_leaves_the_permission_does_not_keep_somebody_on_the_air() -> None:
    client = speaker()
    client.hear(told("sara", rev=3), TrackClosed(TrackSource.MICROPHONE, 1))
    assert client.microphone is None
    with pytest.raises(UTDStreamException, match="a place on the stage"):
        require_granted(client.state.session.microphone)
    client.hear(told("sara", "me", rev=4))
    require_granted(client.state.session.microphone)
    assert client.microphone is None, "nobody is suddenly heard"


def test_who_was_demoted_and_is_granted_anew_publishes_by_the_permission_alone() -> None:
    client = speaker()
    client.hear(told("sara", rev=3))
    assert client.state.is_demoted
    client.hear(e.ParticipantPermissionsChanged("me", LISTENER))
    assert not client.state.is_demoted
    client.hear(e.ParticipantPermissionsChanged("me", GRANTED))
    assert client.state.session.microphone.is_granted


def test_whom_a_backend_grants_publishes_without_being_on_the_stage() -> None:
    client = viewer()
    client.hear(e.ParticipantPermissionsChanged("me", GRANTED), told("sara", rev=2))
    assert client.state.session.microphone.is_granted
    assert client.state.session.publications.camera.is_granted


def test_a_host_is_no_viewer_and_is_never_demoted_by_a_roster() -> None:
    client = Client(is_host=True)
    client.join(permission=GRANTED)
    assert client.state.viewer_count == 0
    client.hear(told("me", rev=1), told(rev=2))
    assert (client.state.viewer_count, client.state.session.microphone.is_granted) == (0, True)


def test_viewers_are_who_is_in_the_room_and_not_on_the_stage() -> None:
    client = viewer(SARA, RemoteParticipant("ana"), RemoteParticipant("ben"))
    counts = [client.state.viewer_count]
    for fact in (
        e.ParticipantConnected(RemoteParticipant("cem")),
        told("sara", "cem", rev=2),
        told("sara", "cem", "away", rev=3),
        e.ParticipantConnected(RemoteParticipant("away")),
        e.ParticipantDisconnected("cem"),
        e.ParticipantDisconnected("ana"),
        e.ParticipantDisconnected("nobody"),
        told("sara", "away", rev=4),
        LeaveStarted(),
    ):
        client.hear(fact)
        counts.append(client.state.viewer_count)
    assert counts == [3, 4, 3, 3, 3, 3, 2, 2, 2, 0]


def test_a_viewer_count_does_not_flicker_in_an_outage() -> None:
    client = viewer(SARA, RemoteParticipant("ana"))
    client.hear(e.Reconnecting(), e.ParticipantDisconnected("sara"))
    client.hear(e.ParticipantDisconnected("ana"))
    assert client.state.viewer_count == 2
    snapshot = e.RoomSnapshot("r", LocalParticipant("me"), metadata=metadata("sara"))
    client.hear(e.Reconnected(snapshot))
    assert client.state.viewer_count == 1


def test_what_was_known_stays_readable_in_a_session_that_is_closed() -> None:
    client = viewer()
    client.hear(CloseStarted())
    assert (client.state.viewer_count, client.state.stage.stage.has("sara")) == (1, True)


def test_the_hosts_word_ends_the_broadcast_at_once_and_anybody_elses_is_forged() -> None:
    client = viewer(SARA, RemoteParticipant("eve", metadata='{"role": "admin"}'))
    client.hear(e.DataReceived(ENDED, "eve"), e.DataReceived(ENDED, "ghost"))
    assert (client.is_over, client.state.forged, client.state.refused) == (False, 2, 2)
    client.hear(e.DataReceived(ENDED, "sara"))
    assert (client.is_over, client.state.forged) == (True, 2)
    client.hear(told("sara", rev=2, live=True))
    assert client.is_over, "metadata of before says nothing new"
    client.hear(told("sara", rev=3, live=False), told("sara", rev=4, live=True))
    assert not client.is_over


def test_a_message_without_a_sender_makes_the_engine_decide() -> None:
    client = viewer()
    effects = client.hear(e.DataReceived(ENDED, None))
    assert (client.is_over, [type(effect) for effect in effects]) == (False, [FetchStage])
    copy = client.state.stage
    still = StageFetched(copy.stage, None, copy.generation, copy.answers)
    client.hear(still, e.ParticipantDisconnected("sara"))
    assert (client.is_over, client.state.refused) == (False, 1)
    client.hear(told(rev=2, live=False))
    assert client.is_over


@pytest.mark.parametrize("answer", ["stage", "nothing"])
def test_an_engine_that_says_nothing_of_it_is_believed_with_the_hosts_absence(answer: str) -> None:
    client = viewer(room=metadata("sara", live=None))
    client.hear(e.DataReceived(ENDED, None))
    copy = client.state.stage
    told_nothing = StageFetched(copy.stage, None, copy.generation, copy.answers)
    client.hear(told_nothing if answer == "stage" else StageNotFetched(NO_ROUTE))
    assert not client.is_over
    client.hear(e.ParticipantDisconnected("sara"))
    assert client.is_over


def test_a_claim_without_a_sender_does_not_outlast_its_time() -> None:
    client = viewer(room=metadata("sara", live=None))
    client.hear(e.DataReceived(ENDED, None), StageNotFetched(NO_ROUTE))
    assert LIVE_STREAM.next_deadline(client.state) == HINT_SECONDS
    client.now = HINT_SECONDS
    client.hear(DeadlinePassed(), e.ParticipantDisconnected("sara"))
    assert (client.is_over, client.state.broadcast.disproved) == (False, 1)


@pytest.mark.parametrize("event", [e.TrackPublished, e.TrackUnmuted])
def test_the_broadcast_goes_on_when_the_host_publishes_again(event: type[e.TrackEvent]) -> None:
    client = viewer(SARA, RemoteParticipant("ana"), room=metadata("sara", live=None))
    client.hear(e.DataReceived(ENDED, "sara"), event("ana", MIC))
    assert client.is_over
    client.hear(event("sara", MIC))
    assert not client.is_over


@pytest.mark.parametrize(
    ("events", "goes_on"),
    [
        ((), True),
        ((e.TrackMuted("sara", evolve(MIC, is_muted=True)),), True),
        ((e.ParticipantDisconnected("sara"),), False),
        ((e.TrackUnpublished("sara", MIC), told("sara", rev=2, live=False)), False),
    ],
)
def test_a_hosts_word_that_comes_late_ends_no_broadcast_that_goes_on(
    events: tuple[object, ...], goes_on: bool
) -> None:
    client = viewer()
    client.hear(e.DataReceived(ENDED, "sara"), e.TrackPublished("sara", MIC))
    assert not client.is_over
    client.hear(e.DataReceived(ENDED, "sara"))
    assert client.is_over
    client.hear(*events)
    client.now = LATE_SECONDS
    client.hear(DeadlinePassed())
    assert client.is_over is not goes_on
    assert LIVE_STREAM.next_deadline(client.state) is None


@pytest.mark.parametrize(
    ("events", "goes_on"),
    [
        ((), True),
        ((e.TrackMuted("sara", evolve(MIC, is_muted=True)),), True),
        ((e.TrackUnpublished("sara", MIC),), False),
        ((e.TrackUnpublished("sara", MIC), e.ParticipantDisconnected("sara")), False),
    ],
)
def test_a_track_that_comes_after_the_hosts_word_and_goes_begins_nothing(
    events: tuple[object, ...], goes_on: bool
) -> None:
    client = viewer(room=metadata("sara", live=False))
    client.hear(e.DataReceived(ENDED, "sara"), e.TrackPublished("sara", MIC), *events)
    assert not client.is_over
    client.now = LATE_SECONDS
    client.hear(DeadlinePassed())
    assert client.is_over is not goes_on
    assert LIVE_STREAM.next_deadline(client.state) is None


@pytest.mark.parametrize("live", [True, False, None])
@pytest.mark.parametrize(
    "back",
    [
        e.ParticipantConnected(SARA),
        e.Reconnected(e.RoomSnapshot("r", LocalParticipant("me"), "", "", (SARA,))),
    ],
    ids=["alone", "over an outage"],
)
def test_a_host_may_come_back_to_a_broadcast_that_the_engine_kept(
    back: e.RoomEvent, live: bool | None
) -> None:
    client = viewer(room=metadata("sara", live=live))
    client.hear(e.DataReceived(ENDED, "sara"), e.ParticipantDisconnected("sara"))
    client.now = LATE_SECONDS
    client.hear(DeadlinePassed())
    assert client.is_over
    client.hear(back)
    assert client.is_over
    client.now = 2 * LATE_SECONDS
    client.hear(DeadlinePassed())
    assert client.is_over is not (live is True)
    assert LIVE_STREAM.next_deadline(client.state) is None


def test_who_left_looks_at_no_host_any_more() -> None:
    client = viewer(room=metadata("sara", live=None))
    client.hear(e.DataReceived(ENDED, None), e.DataReceived(ENDED, "sara"))
    assert LIVE_STREAM.next_deadline(client.state) == LATE_SECONDS
    client.hear(LeaveStarted())
    assert (client.is_over, LIVE_STREAM.next_deadline(client.state)) == (True, None)


def test_an_outage_in_which_the_host_came_back_leaves_no_end_behind() -> None:
    client = viewer()
    client.hear(e.DataReceived(ENDED, "sara"), e.Reconnecting())
    muted = evolve(SARA, tracks=(evolve(MIC, is_muted=True),))
    local = LocalParticipant("me")
    client.hear(e.Reconnected(e.RoomSnapshot("r", local, "", metadata("sara"), (muted,))))
    assert client.is_over
    on_air = evolve(SARA, tracks=(MIC,))
    client.hear(e.Reconnected(e.RoomSnapshot("r", local, "", metadata("sara"), (on_air,))))
    assert not client.is_over


def test_an_end_is_remembered_until_the_next_join() -> None:
    client = viewer()
    client.hear(e.DataReceived(ENDED, "sara"), LeaveStarted())
    assert client.is_over
    snapshot = e.RoomSnapshot("r", LocalParticipant("me"), metadata=metadata("sara"))
    client.hear(JoinStarted(), JoinSucceeded(1, snapshot))
    assert client.is_over, "of a join that is over"
    client.hear(JoinSucceeded(2, snapshot))
    assert not client.is_over


def test_a_host_broadcasts_from_the_first_track_until_it_is_stopped() -> None:
    client = Client(is_host=True)
    assert not client.state.is_broadcasting
    client.join(permission=GRANTED)
    assert not client.state.is_broadcasting
    client.hear(
        PublishingWanted(TrackSource.MICROPHONE, True), TrackOpened(TrackSource.MICROPHONE, 0, MIC)
    )
    assert client.state.is_broadcasting
    client.hear(LiveStopped())
    assert (client.is_over, client.state.is_broadcasting) == (True, False)
    client.hear(e.LocalTrackPublished(MIC))
    assert (client.is_over, client.state.is_broadcasting) == (False, True)


def test_a_claimed_host_who_was_clamped_is_none() -> None:
    client = Client(is_host=True)
    client.hear(JoinStarted(), JoinAdmitted(1, "audience"))
    with pytest.raises(UTDStreamException, match="only the host") as raised:
        require_host(client.state.session)
    assert raised.value.code is UTDErrorCode.FORBIDDEN
    client.hear(JoinAdmitted(1, "host"))
    require_host(client.state.session)
