"""How a session stands, drawn for a terminal of 50 columns and more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from utd_rx.cli.agent_screen import meter
from utd_rx.models.connection import UTDConnectionState
from utd_rx.models.seats import UTDSeat
from utd_rx.models.secrets import foreign_text
from utd_rx.sessions.media_view import MediaView
from utd_rx.sessions.views import AudioRoomView, CallView, LiveStreamView, RoomView

CELL: Final = 20
"""Columns of a seat: two beside each other in a terminal of 50."""

NAME: Final = 12

MAX_PEOPLE: Final = 40
"""That are drawn; how many there are is in the title."""

NO_SEATS: Final = "no seats: they come with a host, `utd-rx join … --host`"

Level = Callable[[str], float | None]

STYLE: Final = {
    UTDConnectionState.CONNECTED: "green",
    UTDConnectionState.CONNECTING: "yellow",
    UTDConnectionState.RECONNECTING: "yellow",
    UTDConnectionState.FORCE_EXIT: "red",
}


def nobody_speaks(_: str) -> float | None:
    """Return the level of somebody in a recording, which has none."""
    return None


def audio_room(room: AudioRoomView, level: Level = nobody_speaks) -> RenderableType:
    """Draw the seats of a room, who asks for one, and this client."""
    mine = room.my_seat.value
    seats = [
        _seat(seat, seat == mine, seat.identity in room.active_speakers.value, level)
        for seat in room.seats.value.seats
    ]
    rows: list[RenderableType] = [Columns(seats, width=CELL) if seats else Text(NO_SEATS)]
    rows += _asking("asks to speak", (one.identity for one in room.pending_requests.value))
    rows += _asking("invites you to speak", (one.inviter for one in room.invitations.value))
    place = "listening" if mine is None else f"on seat {mine.index}"
    return _framed(room, rows, place)


def live_stream(room: LiveStreamView, level: Level = nobody_speaks) -> RenderableType:
    """Draw the stage of a live stream, who has raised a hand, and this client."""
    speaking = room.active_speakers.value
    stage = [_person(one.identity, "", one.identity in speaking, level) for one in room.stage.value]
    rows: list[RenderableType] = [Columns(stage, width=CELL) if stage else Text("nobody is live")]
    rows += _asking("raises a hand", (one.identity for one in room.stage_requests.value))
    if room.live_ended.value:
        rows.append(Text("the broadcast is over", style="yellow"))
    hand = "your hand is up" if room.hand_raised.value else ""
    place = hand or f"{room.viewer_count.value} watching"
    return _framed(room, rows, place)


def call(session: CallView, level: Level = nobody_speaks) -> RenderableType:
    """Draw a call: with whom, how it stands, for how long, and how loud both are."""
    status, peer, reason = session.status.value, session.peer.value, session.end_reason.value
    stands = "no call yet" if status is None else status.value
    if reason is not None:
        stands += f", {reason.value}"
    if session.duration.value is not None:
        stands += f", {session.duration.value:.0f} s"
    rows: list[RenderableType] = [Text(stands, style="green" if stands == "active" else "")]
    people = [session.identity, *([peer] if peer else [])]
    speaking = session.active_speakers.value
    rows.append(Columns([_person(who, "", who in speaking, level) for who in people], width=CELL))
    return Panel(Group(*rows), title=Text(foreign_text(peer or "utd-rx call")), title_align="left")


def plain_room(room: RoomView, level: Level = nobody_speaks) -> RenderableType:
    """Draw who is in a room without an engine, and this client."""
    speaking = room.active_speakers.value
    people = [room.identity, *(one.identity for one in room.remote_participants.value[:MAX_PEOPLE])]
    rows: list[RenderableType] = [
        Columns([_person(who, "", who in speaking, level) for who in people], width=CELL)
    ]
    return _framed(room, rows, "may speak" if room.can_publish.value else "listening")


def picture(view: object, level: Level = nobody_speaks) -> RenderableType:
    """Draw a session, or a recorded one; nothing of a kind that has no picture."""
    match view:
        case AudioRoomView():
            return audio_room(view, level)
        case LiveStreamView():
            return live_stream(view, level)
        case CallView():
            return call(view, level)
        case RoomView():
            return plain_room(view, level)
    return Text()


def typed(picture: RenderableType, line: str, keys: str) -> RenderableType:
    """Draw a picture, and below it what is typed, or else which keys do what."""
    return Group(picture, Text(f"> {line}") if line else Text(keys, style="dim"))


def _framed(room: MediaView[Any], rows: list[RenderableType], place: str) -> RenderableType:
    state = room.connection_state.value
    here = len(room.remote_participants.value) + 1
    title = Text.assemble(
        foreign_text(room.room_name),
        " · ",
        (state.value, STYLE.get(state, "dim")),
        f" · {here} here",
    )
    microphone = "microphone on" if room.microphone_enabled.value else "microphone off"
    foot = Text(f"{foreign_text(room.identity)}, {place}, {microphone}")
    return Panel(
        Group(*rows), title=title, title_align="left", subtitle=foot, subtitle_align="left"
    )


def _seat(seat: UTDSeat, is_mine: bool, is_speaking: bool, level: Level) -> Text:
    if seat.identity is None:
        empty = "locked" if seat.is_locked else "·"
        return Text(f"{seat.index} {empty}", style="dim")
    line = _person(seat.identity, str(seat.index), is_speaking, level)
    if is_mine:
        line.stylize("bold")
    return line


def _person(identity: str, mark: str, is_speaking: bool, level: Level) -> Text:
    name = Text(foreign_text(identity))
    name.truncate(NAME, overflow="ellipsis", pad=True)
    loud = meter(level(identity))[::2]  # half as wide
    line = Text.assemble(f"{mark} " if mark else "", name, " ", loud)
    if is_speaking:
        line.stylize("green")
    return line


def _asking(what: str, who: Iterable[str]) -> list[RenderableType]:
    return [Text(f"{foreign_text(one)} {what}", style="yellow") for one in who]
