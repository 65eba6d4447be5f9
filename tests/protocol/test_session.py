"""What every session type shares: one order of parts, one table for every source of its own."""

from __future__ import annotations

import pytest
from attrs import evolve

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as e
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.participant import (
    LocalParticipant,
    ParticipantPermission,
    RemoteParticipant,
    TrackPublication,
    TrackSource,
)
from utd_rx.models.role import UTDRole
from utd_rx.protocol import session as rules
from utd_rx.protocol.facts.connection import (
    CloseStarted,
    DeadlinePassed,
    DisconnectRoom,
    JoinAdmitted,
    JoinStarted,
    JoinSucceeded,
    LeaveStarted,
)
from utd_rx.protocol.facts.media import (
    CloseTrack,
    MuteTrack,
    OpenTrack,
    PublishingWanted,
    TrackOpened,
)
from utd_rx.protocol.publishing import SOURCES
from utd_rx.protocol.session import SessionState

MAY = ParticipantPermission(can_subscribe=True, can_publish=True, can_publish_data=True)
ANA = RemoteParticipant("ana", metadata='{"role": "admin"}')
SNAPSHOT = e.RoomSnapshot("room", LocalParticipant("me", permission=MAY), remotes=(ANA,))


class Driver:
    """A session's common part, joined."""

    def __init__(self, *, claims_host: bool = False) -> None:
        self.state = SessionState(is_host=claims_host, claims_host=claims_host)
        self.effects: tuple[object, ...] = ()
        self.tell(JoinStarted())

    def join(self) -> Driver:
        self.tell(JoinSucceeded(1, SNAPSHOT))
        return self

    def tell(self, fact: object, now: float = 0.0, **options: object) -> tuple[object, ...]:
        self.state, self.effects = rules.step(self.state, fact, now, **options)  # type: ignore[arg-type]
        return self.effects


def opened(source: TrackSource) -> Driver:
    driver = Driver().join()
    assert driver.tell(PublishingWanted(source, True)) == (OpenTrack(source, 0),)
    track = TrackPublication(f"TR_{source.name}", source=source)
    driver.tell(TrackOpened(source, 0, track))
    assert driver.state.publications.of(source).is_on
    return driver


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_is_published_by_the_same_table_and_alone(source: TrackSource) -> None:
    driver = opened(source)
    others = [driver.state.publications.of(other) for other in SOURCES if other is not source]
    assert all(other.track is None and not other.is_wanted for other in others)


@pytest.mark.parametrize(
    ("source", "effect"),
    [
        (TrackSource.MICROPHONE, MuteTrack(TrackSource.MICROPHONE, 0, "TR_MICROPHONE", True)),
        (TrackSource.CAMERA, MuteTrack(TrackSource.CAMERA, 0, "TR_CAMERA", True)),
        (TrackSource.SCREEN_SHARE, CloseTrack(TrackSource.SCREEN_SHARE, 0, "TR_SCREEN_SHARE")),
    ],
)
def test_what_is_switched_off_is_muted_and_a_screen_taken_down(
    source: TrackSource, effect: object
) -> None:
    assert opened(source).tell(PublishingWanted(source, False)) == (effect,)


def test_a_permission_for_one_source_ends_only_the_others() -> None:
    driver = Driver().join()
    for source in SOURCES:
        driver.tell(PublishingWanted(source, True))
        driver.tell(TrackOpened(source, 0, TrackPublication(f"TR_{source.name}", source=source)))
    only_sound = evolve(MAY, can_publish_sources=(TrackSource.MICROPHONE,))
    effects = driver.tell(e.ParticipantPermissionsChanged("me", only_sound))
    assert {effect.source for effect in effects if isinstance(effect, CloseTrack)} == {
        TrackSource.CAMERA,
        TrackSource.SCREEN_SHARE,
    }
    assert driver.state.microphone.is_on


def test_what_a_session_type_does_not_allow_is_not_granted() -> None:
    driver = Driver()
    driver.tell(JoinSucceeded(1, SNAPSHOT), allowed=frozenset({TrackSource.CAMERA}))
    granted = {source for source in SOURCES if driver.state.publications.of(source).is_granted}
    assert granted == {TrackSource.CAMERA}


def test_a_failure_of_a_track_that_is_published_is_in_the_state_and_ends_it() -> None:
    driver = opened(TrackSource.MICROPHONE)
    broken = UTDStreamException("no sound", code=UTDErrorCode.VALIDATION)
    driver.tell(e.LocalTrackFailed("TR_MICROPHONE", broken))
    microphone = driver.state.microphone
    assert (microphone.failure, microphone.track, microphone.is_wanted) == (broken, None, False)
    driver.tell(e.LocalTrackFailed("TR_other", broken))
    assert driver.state.microphone == microphone


@pytest.mark.parametrize(
    ("claims", "role", "is_host"),
    [(True, "host", True), (True, "audience", False), (True, None, True), (False, "host", True)],
)
def test_who_is_host_is_in_the_state_as_the_mint_granted(
    claims: bool, role: str | None, is_host: bool
) -> None:
    driver = Driver(claims_host=claims)
    assert driver.state.is_host is claims
    driver.tell(JoinAdmitted(7, role))
    assert driver.state.is_host is claims, "of a join that is over"
    driver.tell(JoinAdmitted(1, role))
    assert driver.state.is_host is is_host


def test_leaving_forgets_who_was_there_and_closing_does_not() -> None:
    left, closed = opened(TrackSource.MICROPHONE), opened(TrackSource.MICROPHONE)
    left.tell(LeaveStarted())
    closed.tell(CloseStarted())
    assert (dict(left.state.roles.known), left.state.roster.participants) == ({}, ())
    assert dict(closed.state.roles.known) == {"ana": UTDRole.ADMIN}
    assert closed.state.roster.participants == (ANA,)
    for driver in (left, closed):
        assert not driver.state.connection.is_joined
        assert driver.state.microphone.track is None
        assert not driver.state.microphone.is_granted


def test_a_snapshot_of_a_join_that_is_over_is_counted_and_nothing_else() -> None:
    driver = Driver()
    before = driver.state
    driver.tell(JoinSucceeded(9, SNAPSHOT))
    assert driver.state == evolve(before, connection=evolve(before.connection, late=1))


def test_a_lost_connection_suspends_what_is_wanted_until_it_is_granted_again() -> None:
    driver = opened(TrackSource.CAMERA)
    driver.tell(e.Disconnected(DisconnectReason.UNKNOWN), 10.0)
    camera = driver.state.publications.camera
    assert (camera.is_wanted, camera.track) == (True, None)
    assert rules.next_deadline(driver.state) is not None
    effects = driver.tell(e.Reconnected(SNAPSHOT), 12.0)
    assert OpenTrack(TrackSource.CAMERA, camera.epoch) in effects


def test_after_a_minute_the_room_is_taken_down_once() -> None:
    driver = Driver().join()
    driver.tell(e.Reconnecting(), 10.0)
    assert DisconnectRoom() not in driver.tell(DeadlinePassed(), 69.0)
    assert DisconnectRoom() in driver.tell(DeadlinePassed(), 70.0)
    assert DisconnectRoom() not in driver.tell(DeadlinePassed(), 71.0)
