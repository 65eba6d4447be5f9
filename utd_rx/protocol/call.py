"""A call session: one call after another, each with a media room of its own
(docs/contract.md, "Calls").

Theory of operation. How the call on hand stands is `call_lifecycle`'s; the engine says it in
replies, signal frames and the metadata of the call's room, where only it writes. Facts about
another call change nothing and are counted. A device is *in* the call when it dialled it or the
engine let it accept. Only then, and only while the call is active, it may publish; microphone and
camera are switched on by themselves, once, where the app gave them.

However the call ends, its room is left; and when the room ends first, the engine is asked how the
call stands. While there is neither a room nor the signal socket, it is asked every 3 s; when the
socket is back, at once.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from attrs import evolve, frozen

from utd_rx.errors import UTDErrorCode
from utd_rx.models import events as e
from utd_rx.models.call import UTDCall, UTDCallEndReason, UTDCallStatus
from utd_rx.models.participant import TrackSource
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol import call_lifecycle as lifecycle
from utd_rx.protocol import data
from utd_rx.protocol import session as session_rules
from utd_rx.protocol.call_lifecycle import CallOnHand
from utd_rx.protocol.deadlines import earliest
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts import calls as facts
from utd_rx.protocol.facts.connection import CloseStarted, DisconnectRoom, LeaveStarted
from utd_rx.protocol.facts.media import PublishingWanted
from utd_rx.protocol.session import SessionState
from utd_rx.protocol.waiting import Wait
from utd_rx.protocol.wire.calls import METADATA_KEY, call_from_wire, call_to_wire
from utd_rx.protocol.wire.reading import parse_object, read_object

DECODERS: Final = data.PEOPLE
"""The engine's messages that a call listens to; how it stands is in metadata."""

AUDIO: Final = frozenset({TrackSource.MICROPHONE})
VIDEO: Final = AUDIO | {TrackSource.CAMERA, TrackSource.SCREEN_SHARE}
"""What may be published in an active call."""

OPENED: Final = (TrackSource.MICROPHONE, TrackSource.CAMERA)
"""What is switched on when a call becomes active, where the app gave it."""

HEARD: Final = 16
"""How much that was told of other calls is kept: of one that is about to be on hand, too."""

_NOTHING: Final[frozenset[TrackSource]] = frozenset()


@frozen
class CallState:
    """The whole state of a call session.

    Args:
        identity: This client's.
        has_video: Whether the session makes and takes video calls.
        session: The common part.
        on_hand: The call that it is about, None before the first one.
        answering: The call that the app is accepting.
        sources: What the app gave to be published.
        is_signal_up: Whether the signal socket is.
        waits: The commands that wait.
        heard: What was told last of other calls: one that is told before the reply to what the
            app asked of it would be lost.
        strays: How many facts were about other calls.
        forged: How many engine messages a participant forged by name; they were refused.
    """

    identity: str
    has_video: bool
    session: SessionState = SessionState()
    on_hand: CallOnHand | None = None
    answering: str | None = None
    sources: tuple[TrackSource, ...] = ()
    is_signal_up: bool = False
    waits: tuple[Wait, ...] = ()
    heard: tuple[UTDCall, ...] = ()
    strays: int = 0
    forged: int = 0

    @property
    def status(self) -> UTDCallStatus | None:
        """Where the call stands."""
        return None if self.on_hand is None else self.on_hand.call.status

    @property
    def call_id(self) -> str | None:
        """Its id; None also for one that was refused."""
        return None if self.on_hand is None else self.on_hand.id or None

    @property
    def live_id(self) -> str | None:
        """The id of the call that is not over, None without one."""
        return None if self.on_hand is None or self.on_hand.is_over else self.on_hand.id

    @property
    def call(self) -> UTDCall | None:
        """The call as a whole; None also for one that was refused."""
        return None if self.on_hand is None or not self.on_hand.id else self.on_hand.call

    @property
    def peer(self) -> str | None:
        """The identity at the other end."""
        if self.on_hand is None:
            return None
        call = self.on_hand.call
        return call.callee_identity if self._is_caller else call.caller_identity

    @property
    def peer_name(self) -> str | None:
        """Their display name."""
        if self.on_hand is None:
            return None
        call = self.on_hand.call
        return call.callee_name if self._is_caller else call.caller_name

    @property
    def duration(self) -> float | None:
        """Whole seconds since the answer; in the end, what the engine says."""
        return None if self.on_hand is None else self.on_hand.duration

    @property
    def end_reason(self) -> UTDCallEndReason | None:
        """Why it is over, None while it is not."""
        return None if self.on_hand is None else self.on_hand.call.end_reason

    @property
    def publishable(self) -> frozenset[TrackSource]:
        """What may be published while it is active."""
        return VIDEO if self.has_video else AUDIO

    @property
    def _is_caller(self) -> bool:
        return self.on_hand is not None and lifecycle.is_caller(self.on_hand.call, self.identity)


def call_in_metadata(metadata: str) -> facts.CallTold | None:
    """Return the call that room metadata carries, where only the engine writes; None without."""
    wire = parse_object(metadata) if METADATA_KEY in metadata else None
    call = call_from_wire(read_object((wire or {}).get(METADATA_KEY)))
    return None if call is None else facts.CallTold(call)


CALL_IN_ROOM: Final = data.RoomKey(
    METADATA_KEY, call_in_metadata, lambda told: call_to_wire(told.call)
)


def step(state: CallState, fact: object, now: float) -> tuple[CallState, Effects]:
    """Return the state after `fact` and what it calls for; total."""
    if isinstance(fact, CloseStarted) or state.session.connection.is_closed:
        session, effects = session_rules.step(state.session, fact, now, allowed=_NOTHING)
        return evolve(state, session=session), effects
    hint = data.decode(fact, DECODERS) if isinstance(fact, e.DataReceived) else None
    before, state = state.session, _heard(state, fact, now)
    if state.on_hand is not None:
        passed = lifecycle.passed(state.on_hand, now, identity=state.identity)
        state = state if passed is state.on_hand else evolve(state, on_hand=passed)
    session, effects = session_rules.step(before, fact, now, hint=hint, allowed=_allowed(state))
    forged = state.forged + (isinstance(fact, e.DataReceived) and data.is_forged(fact))
    state = evolve(state, session=session, forged=forged)
    if state.on_hand is None:
        return state, effects
    on_hand = _in_room(state.on_hand, before, session, now)
    on_hand, session, openings = _opened(on_hand, session, now, _allowed(state))
    session, leaving = _left(on_hand, session, now)
    is_blind = not state.is_signal_up and not session.connection.is_connected
    on_hand, questions = lifecycle.asking(on_hand, now, is_blind=is_blind)
    state = evolve(state, on_hand=on_hand, session=session)
    return state, (*effects, *openings, *leaving, *questions)


def next_deadline(state: CallState) -> float | None:
    """Return when the session's timer must fire, in monotonic seconds; None for never."""
    own = None if state.on_hand is None else lifecycle.next_deadline(state.on_hand)
    return earliest(session_rules.next_deadline(state.session), own)


def _heard(state: CallState, fact: object, now: float) -> CallState:
    """Return the state as `fact` leaves the call."""
    match fact:
        case facts.CallJoined(call=call):
            return _begun(_joined(_taken(evolve(state, answering=None), call), call), call, now)
        case facts.CallAdopted(call=call):
            return _begun(_taken(state, call), call, now)
        case facts.CallTold(call=call):
            return _told(state, call, now)
        case facts.CallRefused(peer=peer) if state.live_id is None:
            return evolve(state, on_hand=_refused(state, peer))
        case facts.AcceptStarted(call_id=call_id):
            return evolve(state, answering=call_id)
        case facts.SignalChanged(is_up=is_up):
            state = evolve(state, is_signal_up=is_up)
            return _noted(state, fact, now)
        case facts.CallDisputed(call_id=call_id):
            answering = None if state.answering == call_id else state.answering
            return _noted(evolve(state, answering=answering), fact, now)
        case _:
            metadata = data.metadata_in(fact)
            told = None if metadata is None else call_in_metadata(metadata)
            return _noted(state, fact, now) if told is None else _told(state, told.call, now)


def _noted(state: CallState, fact: object, now: float) -> CallState:
    """Return the state after what tells nothing of how a call stands."""
    on_hand = state.on_hand
    call_id = getattr(fact, "call_id", None)
    if on_hand is None or on_hand.is_over or call_id not in (None, on_hand.id):
        return state if call_id is None else _stray(state)
    match fact:
        case facts.SignalChanged(is_up=True) | facts.CallDisputed():
            on_hand = evolve(on_hand, asks_at=now)
        case facts.CallEnded():
            on_hand = evolve(on_hand, is_out=True, lost_at=now)
        case facts.CallNotTold(is_last=True):
            on_hand = lifecycle.unheard(on_hand, identity=state.identity)
        case facts.CallNotTold(error=error):
            is_roomless = state.session.connection.is_resting
            on_hand = lifecycle.not_told(on_hand, error, now, is_roomless=is_roomless)
        case PublishingWanted(source=source) if source in on_hand.opens:
            # The app has said by itself what it wants.
            opens = tuple(one for one in on_hand.opens if one is not source)
            on_hand = evolve(on_hand, opens=opens)
        case _:
            return state
    return evolve(state, on_hand=on_hand)


def _taken(state: CallState, call: UTDCall) -> CallState:
    """Return the state with `call` on hand, unless that is on hand or another one goes on."""
    if state.live_id is not None or state.call_id == call.call_id:
        return state
    return evolve(state, on_hand=lifecycle.begun(call))


def _joined(state: CallState, call: UTDCall) -> CallState:
    """Return the state with this device in `call`, if that is on hand."""
    on_hand = state.on_hand
    if on_hand is None or on_hand.id != call.call_id or on_hand.is_over or on_hand.is_joined:
        return state
    given = state.publishable & set(state.sources)
    opens = tuple(source for source in OPENED if source in given)
    return evolve(state, on_hand=evolve(on_hand, is_joined=True, opens=opens))


def _begun(state: CallState, call: UTDCall, now: float) -> CallState:
    """Return the state after the reply about a call, and what overtook the reply."""
    state = _told(state, call, now)
    for heard in state.heard:
        if heard.call_id == call.call_id == state.call_id:
            state = _told(state, heard, now)
    return state


def _told(state: CallState, call: UTDCall, now: float) -> CallState:
    if state.on_hand is None or state.on_hand.id != call.call_id:
        return _stray(evolve(state, heard=(*state.heard, call)[-HEARD:]))
    is_answering = state.answering == call.call_id
    on_hand = lifecycle.told(
        state.on_hand, call, now, identity=state.identity, is_answering=is_answering
    )
    return evolve(state, on_hand=on_hand)


def _refused(state: CallState, peer: str) -> CallOnHand:
    call = UTDCall(
        "",
        UTDCallStatus.BUSY,
        UTDStreamType.VIDEO_CALL if state.has_video else UTDStreamType.AUDIO_CALL,
        caller_identity=state.identity,
        callee_identity=peer,
        end_reason=UTDCallEndReason.BUSY,
    )
    return CallOnHand(call)


def _stray(state: CallState) -> CallState:
    return evolve(state, strays=state.strays + 1)


def _allowed(state: CallState) -> Set[TrackSource]:
    on_hand = state.on_hand
    is_in = on_hand is not None and on_hand.is_ours
    return state.publishable if is_in and state.status is UTDCallStatus.ACTIVE else _NOTHING


def _in_room(
    on_hand: CallOnHand, before: SessionState, session: SessionState, now: float
) -> CallOnHand:
    """Return the call after what became of its room."""
    connection = session.connection
    if not on_hand.is_ours:
        return on_hand
    if connection.is_connected and on_hand.lost_at is not None:
        return evolve(on_hand, lost_at=None)
    if before.connection.is_joined and connection.is_resting:
        wanted = [one for one in OPENED if before.publications.of(one).is_wanted]
        opens = tuple(one for one in OPENED if one in wanted or one in on_hand.opens)
        return evolve(on_hand, lost_at=now, asks_at=now, opens=opens)
    return on_hand


def _opened(
    on_hand: CallOnHand, session: SessionState, now: float, allowed: Set[TrackSource]
) -> tuple[CallOnHand, SessionState, Effects]:
    """Switch on what is to be, where it may be published now."""
    effects: Effects = ()
    waiting = on_hand.opens
    for source in OPENED:
        if source in waiting and session.publications.of(source).is_granted:
            wanted = PublishingWanted(source, True)
            session, more = session_rules.step(session, wanted, now, allowed=allowed)
            effects = (*effects, *more)
            waiting = tuple(one for one in waiting if one is not source)
    if waiting is not on_hand.opens:
        on_hand = evolve(on_hand, opens=waiting)
    return on_hand, session, effects


def _left(on_hand: CallOnHand, session: SessionState, now: float) -> tuple[SessionState, Effects]:
    """Leave the room of a call that is over, or that the app has hung up."""
    if not (on_hand.is_over or on_hand.is_out):
        return session, ()
    if not session.connection.is_resting:
        session, effects = session_rules.step(session, LeaveStarted(), now, allowed=_NOTHING)
        return session, (*effects, DisconnectRoom())
    failure = session.connection.failure
    if on_hand.is_over and failure is not None and failure.code is UTDErrorCode.NOT_FOUND:
        # The engine deletes the room of a call that is over: nothing has failed.
        return evolve(session, connection=evolve(session.connection, failure=None)), ()
    return session, ()
