"""`utd-rx live`: a live stream from the terminal."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import click

from utd_rx.cli.access import EngineAccess, engine_access, get_ready, guest
from utd_rx.cli.display import display
from utd_rx.cli.options import as_json
from utd_rx.cli.progress import progress
from utd_rx.cli.sound import camera as make_camera
from utd_rx.cli.sound import open_room_sound, room_sound

if TYPE_CHECKING:
    from utd_rx.cli.cockpit import Command
    from utd_rx.sessions.live_stream import UTDLiveStreamSession

HINT: Final = (
    "h raises a hand, g goes live or ends it, m mute, c camera, a or x answers a hand, "
    "s leaves the stage, text and Enter writes (a space first), q leaves"
)

WATCHED: Final = (
    *("roles", "stage", "stage_requests", "hand_raised", "live_ended", "camera_enabled"),
)


@click.command()
@click.argument("room")
@click.option("--host", "as_host", is_flag=True, help="Be the host, and go live at once.")
@click.option(
    "--camera",
    metavar="NAME",
    help="A camera; `pattern`, the default, is moving bars with a number.",
)
@engine_access
@room_sound
@as_json
def command(
    room: str,
    base_url: str | None,
    token_base_url: str | None,
    identity: str | None,
    **options: Any,
) -> int:
    """Watch a live stream, come on its stage, or go live.

    Without a terminal each line that is typed is a key or a text, and each change is a line.
    Exits with 0 after `q`, with 1 when the stream could not be joined or was lost.
    """
    access = get_ready(base_url, token_base_url)
    return asyncio.run(_live(access, identity or guest(), room, **options))


async def _live(
    access: EngineAccess,
    identity: str,
    room: str,
    *,
    microphone: str | None,
    speaker: str | None,
    camera: str | None,
    as_json: bool,
    **options: Any,
) -> int:
    from utd_rx.cli.attending import Attendance, status_of

    async with AsyncExitStack() as stack:
        with progress(f"joining {room}"):
            mouth, ear = await open_room_sound(stack, microphone, speaker)
            client = await stack.enter_async_context(access.client(microphone=mouth))
            session = await client.join_live_stream(
                identity, room, camera=make_camera(camera), **options
            )
            await stack.enter_async_context(session)
            if session.is_host:
                await _go_live(session)
        await Attendance(
            session,
            display(as_json=as_json),
            keys(session),
            HINT,
            WATCHED,
            lambda: (one.identity for one in session.stage.value),
            mouth,
            ear,
        ).last()
        return status_of(session, "live")


def keys(room: UTDLiveStreamSession) -> dict[str, Command]:
    """Return what each key does in a live stream."""

    async def hand() -> None:
        await (room.cancel_stage_request if room.hand_raised.value else room.request_stage)()

    async def go() -> None:
        is_on = room.microphone_enabled.value or room.camera_enabled.value
        await (room.stop_live() if is_on else _go_live(room))

    async def mute() -> None:
        await room.set_microphone(not room.microphone_enabled.value)

    async def film() -> None:
        await room.set_camera(not room.camera_enabled.value)

    async def invite() -> None:
        for one in room.stage_requests.value[:1]:
            await room.invite_to_stage(one.identity)

    async def dismiss() -> None:
        for one in room.stage_requests.value[:1]:
            await room.dismiss_stage_request(one.identity)

    answers: dict[str, Command] = {"a": invite, "x": dismiss}
    return {"h": hand, "g": go, "m": mute, "c": film, "s": room.leave_stage, **answers}


async def _go_live(room: UTDLiveStreamSession) -> None:
    """Go live with what there is: a machine without a microphone has pictures all the same."""
    if room.microphone_source is None:
        await room.set_camera(True)
    else:
        await room.go_live()
