"""A call session publishes in an active call only, and leaves the room of one that is over."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from attrs import evolve

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as e
from utd_rx.models.call import UTDCall, UTDCallEndReason, UTDCallStatus
from utd_rx.models.connection import DisconnectReason, UTDConnectionState
from utd_rx.models.participant import (
    LocalParticipant,
    ParticipantPermission,
    TrackPublication,
    TrackSource,
)
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol import call as rules
from utd_rx.protocol.call import CallState
from utd_rx.protocol.facts.calls import (
    AcceptStarted,
    CallAdopted,
    CallDisputed,
    CallEnded,
    CallJoined,
    CallNotTold,
    CallRefused,
    CallTold,
    FetchCall,
    SignalChanged,
)
from utd_rx.protocol.facts.connection import (
    CloseStarted,
    DeadlinePassed,
    DisconnectRoom,
    JoinFailed,
    JoinStarted,
    JoinSucceeded,
)
from utd_rx.protocol.facts.media import MuteTrack, OpenTrack, PublishingWanted, TrackOpened
from utd_rx.protocol.wire.calls import call_to_wire

S, R = UTDCallStatus, UTDCallEndReason
AUDIO, VIDEO = UTDStreamType.AUDIO_CALL, UTDStreamType.VIDEO_CALL
MIC, CAMERA, SCREEN = TrackSource.MICROPHONE, TrackSource.CAMERA, TrackSource.SCREEN_SHARE
GRANT = ParticipantPermission(can_publish=True)
AWAY = UTDStreamException("unreachable", code=UTDErrorCode.NETWORK)
TRACK = TrackPublication("TR_1", source=MIC)


def call(
    status: UTDCallStatus, id_: str = "call_1", reason: UTDCallEndReason | None = None
) -> UTDCall:
    return UTDCall(
        id_, status, AUDIO, caller_identity="me", callee_identity="ana", end_reason=reason
    )


def incoming(status: UTDCallStatus, id_: str = "call_1") -> UTDCall:
    return evolve(call(status, id_), caller_identity="ana", callee_identity="me")


def snapshot(told: UTDCall | None = None) -> e.RoomSnapshot:
    metadata = "" if told is None else json.dumps({"_call": call_to_wire(told)})
    return e.RoomSnapshot("call_1", LocalParticipant("me", permission=GRANT), metadata=metadata)


def begin(type_: UTDStreamType = AUDIO, *sources: TrackSource) -> CallState:
    return CallState("me", type_.has_video, sources=sources or (MIC,))


def run(state: CallState, *facts: object, now: float = 0.0) -> tuple[CallState, list[object]]:
    effects: list[object] = []
    for fact in facts:
        state, more = rules.step(state, fact, now)
        effects += more
    return state, effects


def joined(status: UTDCallStatus = S.RINGING, *facts: object) -> tuple[CallState, list[object]]:
    start = (CallJoined(call(status)), JoinStarted(), JoinSucceeded(1, snapshot()))
    return run(begin(), *start, *facts)


def opened(effects: Iterable[object]) -> list[TrackSource]:
    return [effect.source for effect in effects if isinstance(effect, OpenTrack)]


def test_nothing_is_published_before_the_answer_and_then_what_the_app_gave() -> None:
    state, effects = joined()
    assert (opened(effects), state.session.microphone.is_granted) == ([], False)
    state, effects = run(state, CallTold(call(S.ACTIVE)))
    assert opened(effects) == [MIC]
    assert state.on_hand is not None
    assert state.on_hand.opens == ()


@pytest.mark.parametrize(
    ("type_", "given", "expected"),
    [
        (AUDIO, (MIC, CAMERA), [MIC]),
        (VIDEO, (MIC, CAMERA, SCREEN), [MIC, CAMERA]),
        (VIDEO, (CAMERA,), [CAMERA]),
    ],
)
def test_what_is_opened_by_itself(
    type_: UTDStreamType, given: tuple[TrackSource, ...], expected: list[TrackSource]
) -> None:
    facts = (CallJoined(call(S.ACTIVE)), JoinStarted(), JoinSucceeded(1, snapshot()))
    state, effects = run(begin(type_, *given), *facts)
    assert opened(effects) == expected
    for source in (MIC, CAMERA, SCREEN):
        is_granted = state.session.publications.of(source).is_granted
        assert is_granted is (source is MIC or type_ is VIDEO)


def test_what_the_app_switched_off_stays_off() -> None:
    _, effects = joined(S.RINGING, PublishingWanted(MIC, False), CallTold(call(S.ACTIVE)))
    assert opened(effects) == []
    state, _ = joined(S.ACTIVE, TrackOpened(MIC, 0, TRACK))
    epoch = state.session.microphone.epoch
    state, effects = run(state, PublishingWanted(MIC, False), CallJoined(call(S.ACTIVE)))
    assert effects == [MuteTrack(MIC, epoch, "TR_1", True)]
    assert not state.session.microphone.is_wanted


def test_a_second_opening_does_not_follow_a_loss_of_the_grant() -> None:
    state, _ = joined(S.ACTIVE)
    lost = e.ParticipantPermissionsChanged("me", ParticipantPermission())
    again = e.ParticipantPermissionsChanged("me", GRANT)
    assert opened(run(state, lost, again)[1]) == []


@pytest.mark.parametrize(
    "over", [S.ENDED, S.REJECTED, S.BUSY, S.MISSED], ids=lambda status: status.name
)
def test_a_call_that_is_over_is_left(over: UTDCallStatus) -> None:
    state, effects = joined(S.RINGING, CallTold(call(over, reason=R.PEER_LOST)))
    assert DisconnectRoom() in effects
    assert state.session.connection.state is UTDConnectionState.DISCONNECTED
    assert (state.status, state.end_reason, state.call_id) == (over, R.PEER_LOST, "call_1")


@pytest.mark.parametrize("where", ["join", "reconnect", "change"])
def test_the_room_s_metadata_tells_how_the_call_stands(where: str) -> None:
    start = (CallJoined(call(S.RINGING)), JoinStarted())
    told = snapshot(call(S.ACTIVE))
    facts = {
        "join": (JoinSucceeded(1, told),),
        "reconnect": (JoinSucceeded(1, snapshot()), e.Reconnecting(), e.Reconnected(told)),
        "change": (JoinSucceeded(1, snapshot()), e.RoomMetadataChanged(told.metadata)),
    }
    state, effects = run(begin(), *start, *facts[where])
    assert state.status is S.ACTIVE
    assert opened(effects) == [MIC]


@pytest.mark.parametrize("metadata", ["", "{", "_call", '{"_call": 3}', '{"_call": {}}', "[]"])
def test_metadata_without_a_call_tells_nothing(metadata: str) -> None:
    state, _ = joined()
    assert run(state, e.RoomMetadataChanged(metadata))[0].on_hand == state.on_hand


def test_facts_about_another_call_change_nothing_and_are_counted() -> None:
    state, _ = joined()
    strangers = (
        CallTold(call(S.ENDED, "call_2")),
        CallJoined(call(S.ACTIVE, "call_2")),
        CallAdopted(call(S.RINGING, "call_2")),
        CallNotTold("call_2", AWAY),
        CallEnded("call_2"),
        CallDisputed("call_2"),
    )
    after, effects = run(state, *strangers)
    assert (after.on_hand, after.strays, effects) == (state.on_hand, len(strangers), [])
    assert run(begin(), CallTold(call(S.RINGING)))[0].on_hand is None


def test_who_answers_elsewhere_takes_the_call_along() -> None:
    state, _ = run(begin(), CallAdopted(incoming(S.RINGING)))
    assert (state.status, state.peer) == (S.RINGING, "ana")
    state, _ = run(state, CallTold(incoming(S.ACTIVE)))
    assert (state.status, state.end_reason) == (S.ENDED, R.ANSWERED_ELSEWHERE)


def test_an_answer_that_is_told_before_its_reply_is_this_device_s_own() -> None:
    state, _ = run(
        begin(),
        CallAdopted(incoming(S.RINGING)),
        AcceptStarted("call_1"),
        CallTold(incoming(S.ACTIVE)),
    )
    assert state.status is S.ACTIVE
    state, _ = run(state, CallJoined(incoming(S.ACTIVE)))
    assert (state.status, state.answering) == (S.ACTIVE, None)


def test_who_hangs_up_while_answering_has_not_been_answered_elsewhere() -> None:
    state, _ = run(
        begin(),
        CallAdopted(incoming(S.RINGING)),
        AcceptStarted("call_1"),
        CallEnded("call_1"),
        CallTold(incoming(S.ACTIVE)),
        CallTold(evolve(incoming(S.ENDED), end_reason=R.CALLEE_HANGUP)),
    )
    assert (state.status, state.end_reason) == (S.ENDED, R.CALLEE_HANGUP)


def test_what_was_told_before_the_call_was_on_hand_counts() -> None:
    over = evolve(incoming(S.ENDED), end_reason=R.CALLER_CANCELLED)
    state, _ = run(begin(), CallTold(over), CallAdopted(incoming(S.RINGING)))
    assert (state.status, state.end_reason, state.strays) == (S.ENDED, R.CALLER_CANCELLED, 1)
    many = [CallTold(call(S.RINGING, f"call_{number}")) for number in range(100)]
    assert len(run(begin(), *many)[0].heard) == rules.HEARD


def test_a_refused_answer_asks_how_the_call_stands() -> None:
    state, effects = run(
        begin(), CallAdopted(incoming(S.RINGING)), AcceptStarted("call_1"), CallDisputed("call_1")
    )
    assert effects == [FetchCall("call_1")]
    state, _ = run(state, CallTold(incoming(S.ACTIVE)))
    assert state.end_reason is R.ANSWERED_ELSEWHERE


def test_who_is_refused_has_a_peer_and_no_call() -> None:
    state, effects = run(begin(), CallRefused("ana"))
    assert (state.status, state.end_reason, state.peer) == (S.BUSY, R.BUSY, "ana")
    assert (state.call_id, state.call, state.duration, effects) == (None, None, None, [])
    going, _ = joined()
    assert run(going, CallRefused("bob"))[0].on_hand == going.on_hand
    assert run(state, CallJoined(call(S.INITIATING)))[0].status is S.INITIATING


def test_the_next_call_takes_the_place_of_one_that_is_over() -> None:
    state, _ = joined(S.ACTIVE, CallTold(call(S.ENDED)))
    state, _ = run(state, CallJoined(call(S.INITIATING, "call_2")))
    assert (state.call_id, state.status, state.duration) == ("call_2", S.INITIATING, None)


def test_whoever_hung_up_is_out_at_once_and_over_when_the_engine_says_so() -> None:
    state, effects = joined(S.ACTIVE, TrackOpened(MIC, 0, TRACK))
    state, effects = run(state, CallEnded("call_1"))
    assert DisconnectRoom() in effects
    assert (state.status, state.session.connection.is_joined) == (S.ACTIVE, False)
    assert state.session.microphone.track is None
    assert not any(isinstance(effect, FetchCall) for effect in effects)
    state, _ = run(state, CallTold(call(S.ENDED, reason=R.CALLER_HANGUP)))
    assert (state.status, state.end_reason) == (S.ENDED, R.CALLER_HANGUP)


def test_a_room_that_is_deleted_is_no_failure_of_a_call_that_is_over() -> None:
    deleted, over = e.Disconnected(DisconnectReason.ROOM_DELETED), CallTold(call(S.ENDED))
    before, effects = joined(S.ACTIVE, deleted)
    assert FetchCall("call_1") in effects
    for state in (run(before, over)[0], joined(S.ACTIVE, over, deleted)[0]):
        assert state.status is S.ENDED
        assert state.session.connection.failure is None


@pytest.mark.parametrize(
    "reason", [DisconnectReason.ROOM_DELETED, DisconnectReason.PARTICIPANT_REMOVED]
)
def test_a_call_whose_room_is_lost_for_a_minute_is_lost(reason: DisconnectReason) -> None:
    state, effects = joined(S.ACTIVE, SignalChanged(True), e.Disconnected(reason))
    assert effects.count(FetchCall("call_1")) == 2
    state, effects = run(state, CallTold(call(S.ACTIVE)), now=1.0)
    assert effects == []
    state, _ = run(state, DeadlinePassed(), now=59.9)
    assert state.status is S.ACTIVE
    state, _ = run(state, DeadlinePassed(), now=60.0)
    assert (state.status, state.end_reason) == (S.ENDED, R.LOST)


def test_who_comes_back_to_the_room_is_in_the_call_and_heard_again() -> None:
    state, _ = joined(S.ACTIVE, TrackOpened(MIC, 0, TRACK))
    state, _ = run(state, e.Disconnected(DisconnectReason.PARTICIPANT_REMOVED))
    state, effects = run(state, JoinStarted(), JoinSucceeded(2, snapshot()), now=30.0)
    assert opened(effects) == [MIC]
    state, _ = run(state, DeadlinePassed(), now=100.0)
    assert state.status is S.ACTIVE


def test_a_join_that_fails_ends_nothing_by_itself() -> None:
    state, _ = run(begin(), CallJoined(call(S.INITIATING)), JoinStarted(), JoinFailed(1, AWAY))
    assert state.status is S.INITIATING
    assert state.session.connection.failure is AWAY
    state, _ = run(state, CallEnded("call_1"), CallNotTold("call_1", AWAY, True))
    assert (state.status, state.session.connection.failure) == (S.ENDED, AWAY)


def test_without_a_room_and_a_socket_the_engine_is_asked_every_three_seconds() -> None:
    state, effects = run(begin(), CallAdopted(incoming(S.RINGING)))
    asked: list[float] = []
    now = 0.0
    while now < 12.0:
        now = rules.next_deadline(state) or 99.0
        state, effects = run(state, DeadlinePassed(), now=now)
        if effects == [FetchCall("call_1")]:
            asked.append(now)
            state, _ = run(state, CallTold(incoming(S.RINGING)), now=now)
    assert asked == [3.0, 6.0, 9.0, 12.0]
    state, effects = run(state, SignalChanged(True), now=13.0)
    assert effects == [FetchCall("call_1")]
    state, _ = run(state, CallTold(incoming(S.RINGING)), now=13.0)
    assert rules.next_deadline(state) is None
    state, effects = run(state, SignalChanged(False), now=20.0)
    assert (effects, rules.next_deadline(state)) == ([], 23.0)


def test_in_the_room_the_engine_is_not_asked() -> None:
    state, _ = joined(S.RINGING, CallTold(call(S.RINGING)))
    assert rules.next_deadline(state) is None


def test_the_duration_ticks_by_deadline() -> None:
    state, _ = joined(S.ACTIVE)
    shown: list[float | None] = []
    for _ in range(3):
        shown.append(state.duration)
        state, _ = run(state, DeadlinePassed(), now=rules.next_deadline(state) or 0.0)
    assert shown == [0.0, 1.0, 2.0]
    assert state.call is not None
    assert state.call.duration_seconds is None


def test_closing_leaves_what_is_known() -> None:
    state, _ = joined(S.ACTIVE, CloseStarted())
    assert (state.status, state.call_id) == (S.ACTIVE, "call_1")
    assert not state.session.connection.is_joined


def test_a_forged_message_is_counted() -> None:
    forged = e.DataReceived(b'{"type": "_comment_lock", "locked": true}', "ana")
    assert joined(S.ACTIVE, forged)[0].forged == 1
