"""What of things told may be left out while nobody hears them: pure rules, by what they are.

State is told again as a whole by each event about it, so of those about one thing the last is
enough; a snapshot takes the place of everything before it, but for what intents of own tracks
follow. Of who came and went meanwhile, and of their tracks, no state is left: the newest is told up
to a bound. Data is no state: the newest is kept up to a bound, and what went is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import cache
from itertools import accumulate
from typing import Any, Final, TypeVar

import attrs

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media.hosted_speaker import VoiceProgress
from utd_rx.media.levels import MarkedState
from utd_rx.media.visits import visits
from utd_rx.models import events as ev
from utd_rx.models.data_tracks import DataTrackFrame
from utd_rx.models.device_state import MicrophoneState, SpeakerState
from utd_rx.models.events import RoomEvent
from utd_rx.models.methods import MethodInvocation
from utd_rx.models.participant import RemoteParticipant
from utd_rx.ports.crossing import MAX_FAILURES
from utd_rx.ports.transfers import TransferBegan, TransferEnded, TransferNews, TransferPart

T = TypeVar("T")

MAX_DATA: Final = 4 * 1024 * 1024
"""Bytes of data messages that wait, as `size_of` counts them; likewise the next two."""

MAX_VISITS: Final = 1024 * 1024
"""Bytes of what tells of people and tracks that came and went."""

MAX_CALL_BYTES: Final = 16 * 1024 * 1024
"""Bytes of calls of a method that wait."""

MAX_PARTS: Final = 16 * 1024 * 1024
"""Bytes of texts and files that wait."""

PER_MESSAGE: Final = 1024
"""Bytes that a message takes besides its own, so that empty ones count, too."""

PER_ENTRY: Final = 128
"""Bytes that each entry of a list or a map in one takes besides its own."""

MAX_CALLS: Final = 1_000
"""Calls of a method that wait."""

OWN: Final = (
    ev.LocalTrackPublished,
    ev.LocalTrackUnpublished,
    ev.LocalTrackRepublished,
    ev.LocalTrackSubscribed,
    ev.LocalAudioEnded,
    ev.LocalVideoEnded,
    ev.LocalVideoResumed,
    ev.LocalTrackFailed,
    ev.LocalVideoInterrupted,
    ev.TokenRefreshed,
)
"""What happened to the participant's own tracks, or its token, which no snapshot tells."""


def thinned(items: Sequence[Any], minded: Set[str] = frozenset()) -> list[Any]:
    """Return what of `items`, all of one sink, has to be told; `minded` are those of whom something
    waits for other sinks."""
    first = items[0] if items else None
    if isinstance(first, RoomEvent):
        return thinned_events(items, minded)
    for kind, rule in RULES.items():
        if isinstance(first, kind):
            return rule(items)
    return list(items)


DATA: Final = (
    ev.DataReceived,
    ev.TranscriptionReceived,
    DataTrackFrame,
    MethodInvocation,
    TransferBegan,
    TransferPart,
    TransferEnded,
)
"""What is no state: each has to be bounded by what it brings."""


def size_of(item: object) -> int:
    """Return the bytes, or characters, that something told brings, `PER_MESSAGE` with it where it
    is data; 0 for the state of a device, of which little is left."""
    if isinstance(item, DATA):
        return PER_MESSAGE + _held(item)
    return _held(item) if isinstance(item, RoomEvent) else 0


def whose(items: Iterable[object]) -> set[str]:
    """Return whose calls, texts and files begin in these."""
    found = set()
    for item in items:
        match item:
            case MethodInvocation(caller=identity):
                found.add(identity)
            case TransferBegan(info=info):
                found.add(info.sender)
    return found


def _held(value: object) -> int:
    """Return the bytes, or characters, in a value, at any depth."""
    kind: Any = type(value)
    return _scale(kind)(value)


@cache
def _scale(kind: Any) -> Callable[[Any], int]:
    """Return what weighs values of a kind: many are weighed in a storm."""
    if issubclass(kind, str | bytes):
        return len
    if issubclass(kind, tuple):
        return lambda value: sum([PER_ENTRY + _held(entry) for entry in value])
    if issubclass(kind, Mapping):
        return lambda value: sum(
            [PER_ENTRY + _held(key) + _held(entry) for key, entry in value.items()]
        )
    names = tuple(one.name for one in attrs.fields(kind)) if attrs.has(kind) else ()
    if not names:
        return lambda value: 0
    return lambda value: sum([_held(getattr(value, name)) for name in names])


def _newest(items: Sequence[T], most: int) -> list[T]:
    """Return the newest of `items`, as many as `most` bytes have room for."""
    sizes = accumulate(size_of(item) for item in reversed(items))
    return list(items[len(items) - sum(size <= most for size in sizes) :])


def thinned_events(
    events: Sequence[RoomEvent], minded: Set[str] = frozenset(), room: int = MAX_VISITS
) -> list[RoomEvent]:
    """Return the events that lead to the same state of the room, data up to its bound.

    Args:
        minded: Those of whom it is told that they came and went, as something of theirs waits.
        room: As `MAX_VISITS`.
    """
    data = [n for n, event in enumerate(events) if isinstance(event, DATA)]
    heard = _newest([events[n] for n in data], MAX_DATA)
    lost = data[: len(data) - len(heard)]
    missed = len(lost) + sum(one.count for one in events if isinstance(one, ev.DataMissed))
    senders = {getattr(one, "sender", None) or getattr(one, "speaker", None) for one in heard}
    gone = _Gone(events, minded | senders, room)
    left_out, later = gone.left_out.union(lost), _Later()
    kept = [
        gone.amended(n, event)
        for n, event in reversed(list(enumerate(events)))
        if n in gone.brief or (n not in left_out and later.keeps(event))
    ]
    return [*([ev.DataMissed(missed)] if missed else []), *reversed(kept)]


class _Gone:
    """Visits that are not told, as there is no room or another one follows.

    Attributes:
        left_out: Where something tells of them that is not told.
        brief: Where those begin and end of which no more is told than that.
    """

    def __init__(self, events: Sequence[RoomEvent], minded: Set[str | None], room: int) -> None:
        self.left_out: set[int] = set()
        self.brief: set[int] = set()
        self._silent: dict[str, int] = {}
        unminded = set[str]()  # as it is told that they have gone, after that
        for visit in reversed(visits(events)):
            is_person = not visit.sid
            if not visit.came_again:
                room -= sum(PER_MESSAGE + _held(events[n]) for n in visit.told)
                if room >= 0:
                    unminded |= {visit.identity} if is_person else set()
                    continue
            self.left_out.update(visit.told)
            if is_person and visit.identity in minded and visit.identity not in unminded:
                unminded.add(visit.identity)
                self.brief |= {visit.told[0], visit.told[-1]}
                continue
            if visit.was_heard:
                self._silent.setdefault(visit.identity, visit.told[-1])

    def amended(self, n: int, event: RoomEvent) -> RoomEvent:
        """Return an event as it is told, as who is not told to have gone has not fallen silent."""
        match event:
            case ev.ParticipantConnected(who) if n in self.brief:
                return ev.ParticipantConnected(RemoteParticipant(who.identity, who.sid))
            case ev.ActiveSpeakersChanged(identities):
                speaking = (who for who in identities if self._silent.get(who, -1) < n)
                return ev.ActiveSpeakersChanged(tuple(speaking))
        return event


class _Later:
    """What is told later, while one looks at what was told before it."""

    def __init__(self) -> None:
        self._told: set[tuple[Any, ...]] = set()
        self._whole: dict[str, bool] = {}
        """Of whom all is told again, and whether it is known that they have gone before that."""
        self._again: dict[tuple[str, str], bool] = {}
        """Likewise of a track, by whose it is."""
        self._me: str | None = None
        self._has_snapshot = self._was_back = self._was_out = False

    def keeps(self, event: RoomEvent) -> bool:
        """Whether an event has to be told, though all that came later is."""
        match event:
            case ev.DataReceived() | ev.TranscriptionReceived():
                return True  # what there is room for
            case ev.DataMissed():
                return False  # told as one
        about = _about(event)
        is_first = about not in self._told
        self._told.add(about)
        if isinstance(event, OWN):
            return is_first
        if self._has_snapshot:
            return self._is_way(event) or (is_first and self._is_own_mute(event))
        match event:
            case ev.Reconnecting():  # while it is out, not all that is told counts
                self._told = {told for told in self._told if told[0] in OWN}
                self._whole.clear()
                self._again.clear()
                return True
            case ev.Reconnected(snapshot) | ev.RoomMoved(snapshot):
                self._has_snapshot, self._me = True, snapshot.local.identity
                return self._is_way(event) or isinstance(event, ev.RoomMoved)
            case ev.ParticipantConnected(who):
                return self._whole.setdefault(who.identity, False) is False and is_first
            case ev.ParticipantDisconnected(identity) if identity in self._whole:
                has_gone, self._whole[identity] = self._whole[identity], True
                return not has_gone
            case _ if getattr(event, "identity", None) in self._whole:
                return False
            case ev.TrackPublished() | ev.DataTrackPublished() if is_first:
                self._again[event.identity, event.track.sid] = False
            case ev.TrackUnpublished() | ev.DataTrackUnpublished():
                has_gone = self._again.get((event.identity, event.track.sid), not is_first)
                self._again[event.identity, event.track.sid] = True
                return not has_gone
        return is_first

    def _is_own_mute(self, event: RoomEvent) -> bool:
        """Whether it is what the participant's own intent follows, which reads no snapshot."""
        return isinstance(event, ev.TrackMuted | ev.TrackUnmuted) and event.identity == self._me

    def _is_way(self, event: RoomEvent) -> bool:
        """Whether it says that the connection was out, or back from that, before a snapshot."""
        is_back = isinstance(event, ev.Reconnected) and not (self._was_back or self._was_out)
        is_out = isinstance(event, ev.Reconnecting) and not self._was_out
        self._was_back |= is_back
        self._was_out |= is_out
        return is_back or is_out


def _about(event: RoomEvent) -> tuple[Any, ...]:
    """What an event is about: a later one about the same takes its place."""
    whose = (getattr(event, name, None) for name in ("identity", "track_sid", "previous_sid"))
    track, who = getattr(event, "track", None), getattr(event, "participant", None)
    more: object = None
    match event:
        case ev.UnknownRoomEvent(name):
            more = name
        case ev.RoomUpdated(name, sid):  # what is empty in it stays as it is
            more = bool(name), bool(sid)
    return type(event), *whose, getattr(track, "sid", None), getattr(who, "identity", None), more


def thinned_states(
    states: Sequence[MicrophoneState | SpeakerState | MarkedState],
) -> list[MicrophoneState | SpeakerState | MarkedState]:
    """Return the newest state, and before it each of another failure; see `StatesSink`."""
    kept = list(states[-1:])
    for state in reversed(states[:-1]):
        if state.failure is not kept[-1].failure and state.failure != kept[-1].failure:
            kept.append(state)
    return kept[:MAX_FAILURES][::-1]


def thinned_transfers(news: Sequence[TransferNews]) -> list[TransferNews]:
    """Return what of texts and files waits; when it is too much, those that wait have failed, and
    of the oldest of them nobody hears when that alone is too much."""
    if sum(map(size_of, news)) <= MAX_PARTS:
        return list(news)
    failure = UTDStreamException(
        "more of it came than is kept for an app that stands still", code=UTDErrorCode.TIMEOUT
    )
    over = {
        one.number: TransferEnded(one.number, failure)
        for one in news
        if isinstance(one, TransferPart)
    }
    begun = [one for one in news if isinstance(one, TransferBegan) or one.number not in over]
    left = [*begun, *over.values()]
    brought = {one.number: 0 for one in left if isinstance(one, TransferBegan)}
    for one in left:
        if one.number in brought:
            brought[one.number] += size_of(one)
    sizes = accumulate(reversed(brought.values()))
    many = sum(size > MAX_PARTS for size in sizes)
    forgotten = set(list(brought)[:many])
    return [one for one in left if one.number not in forgotten]


def thinned_frames(frames: Sequence[DataTrackFrame]) -> list[DataTrackFrame]:
    """Return the newest, as many as a bound has room for; the first of them says how many are
    missed before it."""
    left = _newest(frames, MAX_DATA)
    gone = frames[: len(frames) - len(left)]
    if not gone or not left:
        return left
    missed = len(gone) + sum(one.missed for one in (*gone, left[0]))
    return [attrs.evolve(left[0], missed=missed), *left[1:]]


def thinned_calls(calls: Sequence[MethodInvocation]) -> list[MethodInvocation]:
    """Return the newest, as many as two bounds have room for; who called before them has given up,
    or will."""
    return _newest(calls[-MAX_CALLS:], MAX_CALL_BYTES)


RULES: Final[dict[Any, Callable[[Any], list[Any]]]] = {
    MicrophoneState | SpeakerState | MarkedState: thinned_states,
    TransferNews: thinned_transfers,
    DataTrackFrame: thinned_frames,
    MethodInvocation: thinned_calls,
    VoiceProgress: lambda told: list(told[-1:]),
}
"""By the kind of what is told, where it is no event; of anything else everything has to be."""
