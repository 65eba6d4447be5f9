"""What streams told, step by step, as values in which no clock and no chance is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final, TypeAlias

from attrs import frozen

from utd_rx import TrackSource, UTDStreamException

Values: TypeAlias = tuple[Any, ...]

Told: TypeAlias = Mapping[tuple[str, str], Values]
"""By who and by stream: what it told in one step, in order."""


@frozen
class Moment:
    """What came of one step: the answer to it, and what was told."""

    answer: object
    told: Told


def _first_name(caller: str) -> str:
    """Of a caller, who is known by their room's name, too."""
    return caller.partition(".")[0]


def _failure(error: UTDStreamException | None) -> object:
    return None if error is None else (error.code.name, error.reason and error.reason.name)


def _seats(grid: Any) -> object:
    seats = ((s.identity, s.is_locked, s.reserved_for, dict(s.attributes)) for s in grid.seats)
    return grid.mode.value, grid.mode_id, tuple(seats)


COMMON: Final[Mapping[str, tuple[str, Callable[[Any], object]]]] = {
    "connection_state": ("connection_state", lambda state: state.value),
    "failure": ("failure", _failure),
    "can_publish": ("can_publish", bool),
    "microphone_enabled": ("microphone_enabled", bool),
    "microphone_failure": ("microphone_failure", _failure),
    "camera_enabled": ("camera_enabled", bool),
    "there": (
        "remote_participants",
        lambda people: tuple(sorted((_first_name(p.identity), p.name) for p in people)),
    ),
}
ROOMS: Final[Mapping[str, tuple[str, Callable[[Any], object]]]] = {
    **COMMON,
    "roles": ("roles", lambda roles: tuple(sorted((who, r.name) for who, r in roles.items()))),
    "chat_locked": ("chat_locked", bool),
    "chat_history": ("chat_history", lambda chat: tuple((m.sender, m.text) for m in chat)),
    "banned": ("banned", lambda notice: notice and (notice.reason or "banned")),
}
STREAMS: Final[Mapping[str, Mapping[str, tuple[str, Callable[[Any], object]]]]] = {
    "audio room": {
        **ROOMS,
        "seats": ("seats", _seats),
        "my_seat": ("my_seat", lambda seat: seat and seat.index),
        "pending_requests": (
            "pending_requests",
            lambda queue: tuple((asked.id, asked.identity) for asked in queue),
        ),
        "invitations": (
            "invitations",
            lambda offers: tuple((one.id, one.inviter, one.seat_index) for one in offers),
        ),
    },
    "live stream": {
        **ROOMS,
        "stage": ("stage", lambda stage: tuple((m.identity, m.name, m.role) for m in stage)),
        "stage_requests": (
            "stage_requests",
            lambda hands: tuple((asked.identity, asked.name) for asked in hands),
        ),
        "hand_raised": ("hand_raised", bool),
        "live_ended": ("live_ended", bool),
        "viewer_count": ("viewer_count", int),
    },
    "calls": {
        **COMMON,
        "status": ("status", lambda status: status and status.value),
        "end_reason": ("end_reason", lambda reason: reason and reason.value),
        "peer": ("peer", lambda peer: peer and _first_name(peer)),
        "peer_name": ("peer_name", lambda name: name),
        "answered": ("duration", lambda seconds: seconds is not None),
    },
}
"""By kind and name: the stream it is read from, and what of its values is no matter of chance."""


IN_PIECES: Final = frozenset(("there", "viewer_count"))
"""What LiveKit tells in pieces as it likes (docs/livekit.md, "News of the silent")."""

NOTHING: Final = object()


class Watch:
    """Notes what everybody's streams tell, and says when it is what was expected.

    Args:
        kind: Of the play.
        stirred: Called whenever something was told.

    Attributes:
        only_ends: Whether now several things happen at once, so that of each stream only where
            they lead is the same everywhere.
    """

    def __init__(self, kind: str, stirred: Callable[[], None]) -> None:
        self._streams = STREAMS[kind]
        self._stirred = stirred
        self._told: dict[tuple[str, str], list[Any]] = {}
        self._last: dict[tuple[str, str], object] = {}
        self._before: dict[tuple[str, str], object] = {}
        self._calls: dict[str, int] = {}
        self._numbers = count(1)
        self._held: set[tuple[str, str]] = set()
        self._due: set[tuple[str, str]] = set()
        self.only_ends = False

    def follow(self, who: str, client: Any, session: Any) -> None:
        """Note what a session tells from now on, and of calls what rings."""
        for name, (stream, read) in self._streams.items():
            self._note_from(getattr(session, stream), (who, name), read)
        for source in (TrackSource.MICROPHONE, TrackSource.CAMERA):
            self._note_each(session.remote_participants, who, source)
        if hasattr(session, "call_id"):
            self._note_from(session.call_id, (who, "call_id"), self._numbered)
            self._note_from(
                client.ringing_calls,
                (who, "ringing"),
                lambda ringing: tuple(
                    (self._numbered(call.call_id), _first_name(call.caller_identity))
                    for call in ringing
                ),
            )
        else:
            got: list[Any] = []

            def received(message: Any) -> None:
                got.append((message.sender, message.topic, message.payload))
                self._note((who, "data"), tuple(got))

            session.data.subscribe(received)
        if hasattr(session, "invitation_answers"):
            answers: list[Any] = []

            def answered(answer: Any) -> None:
                offer = answer.invitation
                answers.append((offer.id, offer.target, offer.seat_index, answer.is_accepted))
                self._note((who, "invitation_answers"), tuple(answers))

            session.invitation_answers.subscribe(answered)

    def begin(self, who: str, verb: str) -> None:
        """Somebody is about to do something.

        Who joins is told the stage in one step or in two: they read it in the room's metadata, and
        a host is on it from when the engine has heard of the join. Whichever is first, so that the
        stage without them is told before that with them or not at all, each is the engine's word,
        and leads to the same stage.
        """
        self._due = set()
        if verb == "join":
            self._due = {(who, "stage"), *(self._held & {(who, "banned")})}
            self._held -= self._due

    def kicked(self, who: str) -> None:
        """Hold back whether somebody who was kicked is banned, until they are about to join.

        A session that was removed asks the engine whether it is banned. Where that comes true next,
        the answer is of before or of after: they hear of it now, or when they are refused at the
        door. It is the same ban, and leads to the same.
        """
        self._held.add((who, "banned"))

    def take(self, answer: object) -> Moment:
        """Return what was told since the last time."""
        moment = Moment(answer, self.told)
        before = {key: self._before.get(key, NOTHING) for key in self._held}
        self._told = {key: values for key, values in self._told.items() if key in self._held}
        self._before = {**self._last, **before}
        return moment

    @property
    def told(self) -> Told:
        """What was told since the last `take`; of what comes in any pieces, where it led."""
        return {
            key: tuple(values[-1:] if self._is_in_pieces(key) else values)
            for key, values in self._told.items()
            if key not in self._held
            if not self._is_in_pieces(key) or values[-1] != self._before.get(key, NOTHING)
        }

    def _is_in_pieces(self, key: tuple[str, str]) -> bool:
        return self.only_ends or key[1] in IN_PIECES or key in self._due

    def _note_from(self, stream: Any, key: tuple[str, str], read: Callable[[Any], object]) -> None:
        stream.subscribe(lambda value: self._note(key, read(value)))

    def _note_each(self, stream: Any, who: str, source: TrackSource) -> None:
        """Note of each of the others by themselves who can be heard or seen: when several begin or
        end at once, whoever is first is chance."""
        known: set[str] = set()

        def note(people: Any) -> None:
            tracks = ((_first_name(one.identity), one.track(source)) for one in people)
            now = {
                name
                for name, track in tracks
                if track is not None and not track.is_muted and track.is_subscribed
            }
            known.update(now)
            for name in known:
                self._note((who, f"{source.name.lower()} of {name}"), name in now)

        stream.subscribe(note)

    def _note(self, key: tuple[str, str], value: object) -> None:
        if key in self._last and self._last[key] == value:
            return
        self._last[key] = value
        self._told.setdefault(key, []).append(value)
        self._stirred()

    def _numbered(self, call_id: str | None) -> int | None:
        """A call by its number: ids are drawn at random."""
        if call_id is None:
            return None
        if call_id not in self._calls:
            self._calls[call_id] = next(self._numbers)
        return self._calls[call_id]
