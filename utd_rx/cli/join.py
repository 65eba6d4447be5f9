"""`utd-rx join`: an audio room from the terminal."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from utd_rx.cli.access import EngineAccess, engine_access, get_ready, guest
from utd_rx.cli.display import display
from utd_rx.cli.options import as_json
from utd_rx.cli.progress import progress
from utd_rx.cli.sound import open_room_sound, room_sound

if TYPE_CHECKING:
    from utd_rx.cli.cockpit import Command
    from utd_rx.sessions.audio_room import UTDAudioRoomSession

HINT: Final = (
    "0-9 sit, l stand up, m mute, r ask to speak, a or x answers who asks, y or n an invitation, "
    "text and Enter writes (a space first), q leaves"
)

WATCHED: Final = ("roles", "seats", "my_seat", "pending_requests", "invitations")


@click.command()
@click.argument("room")
@click.option("--host", "as_host", is_flag=True, help="Be the host: whoever is first owns it.")
@click.option("--seats", type=int, default=8, metavar="N", help="Of a new room, with --host.")
@click.option("--ask", is_flag=True, help="Of a new room, with --host: seats are asked for.")
@click.option("--seat", type=int, metavar="N", help="Sit down there at once.")
@engine_access
@room_sound
@as_json
def command(
    room: str,
    base_url: str | None,
    token_base_url: str | None,
    identity: str | None,
    seats: int,
    ask: bool,
    **options: Any,
) -> int:
    """Be in an audio room: sit down, speak, listen, write.

    Without a terminal each line that is typed is a key or a text, and each change is a line.
    Exits with 0 after `q`, with 1 when the room could not be joined or was lost.
    """
    access = get_ready(base_url, token_base_url)
    if options["as_host"]:
        options |= {"seat_count": seats, "seat_mode": "request" if ask else None}
    return asyncio.run(_join(access, identity or guest(), room, **options))


async def _join(
    access: EngineAccess,
    identity: str,
    room: str,
    *,
    seat: int | None,
    microphone: str | None,
    speaker: str | None,
    as_json: bool,
    **options: Any,
) -> int:
    from utd_rx.cli.attending import Attendance, status_of

    async with AsyncExitStack() as stack:
        with progress(f"joining {room}"):
            mouth, ear = await open_room_sound(stack, microphone, speaker)
            client = await stack.enter_async_context(access.client(microphone=mouth))
            session = await client.join_audio_room(identity, room, **options)
            await stack.enter_async_context(session)
            if seat is not None:
                await session.take_seat(seat, microphone=mouth is not None)
        await Attendance(
            session,
            display(as_json=as_json),
            keys(session, speaks=mouth is not None),
            HINT,
            WATCHED,
            lambda: (one.identity for one in session.seats.value.seats),
            mouth,
            ear,
        ).last()
        return status_of(session, "join")


def keys(room: UTDAudioRoomSession, *, speaks: bool) -> dict[str, Command]:
    """Return what each key does in a room; whoever `speaks` has a microphone."""

    async def sit(index: int) -> None:
        if room.my_seat.value is None:
            await room.take_seat(index, microphone=speaks)
        else:
            await room.move_seat(index)

    async def mute() -> None:
        await room.set_microphone(not room.microphone_enabled.value)

    async def ask() -> None:
        if room.seats.value.request_of(room.identity) is None:
            await room.request_to_speak(microphone=speaks)
        else:
            await room.cancel_request()

    async def approve() -> None:
        for one in room.pending_requests.value[:1]:
            await room.approve_speaker(one.id)

    async def reject() -> None:
        for one in room.pending_requests.value[:1]:
            await room.reject_speaker(one.id)

    async def accept() -> None:
        for one in room.invitations.value[:1]:
            await room.accept_invitation(one.id, microphone=speaks)

    async def decline() -> None:
        for one in room.invitations.value[:1]:
            await room.decline_invitation(one.id)

    sitting = {str(index): partial(sit, index) for index in range(10)}
    answers: dict[str, Command] = {"a": approve, "x": reject, "y": accept, "n": decline}
    return {**sitting, "l": room.leave_seat, "m": mute, "r": ask, **answers}
