"""`utd-rx replay`: what a recording holds, at any speed."""

from __future__ import annotations

import asyncio
import math
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from utd_rx.cli.display import REDRAW, SessionDisplay, display, show
from utd_rx.cli.options import as_json
from utd_rx.cli.progress import progress

if TYPE_CHECKING:
    from rich.console import RenderableType

    from utd_rx.sessions.replay import Replay

COMMON: Final = ("connection_state", "remote_participants", "microphone_enabled", "failure")

WATCHED: Final = {
    "audio_room": (*COMMON, "seats", "my_seat", "pending_requests"),
    "live_stream": (*COMMON, "stage", "stage_requests", "live_ended"),
    "audio_call": (*COMMON, "status", "peer", "end_reason"),
    "video_call": (*COMMON, "status", "peer", "end_reason"),
    "room": (*COMMON, "room_info"),
    "voice_agent": ("status", "user_talking", "agent_talking", "muted", "failure"),
}
"""The streams that are told of each type of session."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--speed",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    metavar="X",
    help="2 is twice as fast; inf is all at once.",
)
@as_json
def command(file: Path, speed: float, as_json: bool) -> int:
    """Show what FILE, of `utd-rx record` or `utd_rx.record`, holds.

    Exits with 0 at its end, with 2 when it is no recording.
    """
    with progress("reading"):
        from utd_rx.sessions.replay import Replay, replay

        import_module("utd_rx.cli.attending")
        recorded: Replay[Any] = replay(file, Replay)
    shown = display(as_json=as_json, now=lambda: recorded.position)
    asyncio.run(play_back(recorded, shown, speed))
    return 0


async def play_back(recorded: Replay[Any], shown: SessionDisplay, speed: float) -> None:
    """Show a recording from its beginning to its end."""
    from utd_rx.cli.attending import tell_chat
    from utd_rx.sessions.media_view import MediaView

    kind = recorded.type.value
    streams = show(recorded, WATCHED[kind], shown)
    chat = tell_chat(recorded, shown) if isinstance(recorded, MediaView) else None
    running = asyncio.ensure_future(recorded.run(None if math.isinf(speed) else speed))
    try:
        while not running.done():
            shown.draw(lambda: _picture(recorded))
            await asyncio.wait((running,), timeout=REDRAW)
        running.result()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        streams.dispose()
        if chat is not None:
            chat.dispose()
        shown.close()


def _picture(recorded: Replay[Any]) -> RenderableType:
    from utd_rx.cli.pictures import picture, typed

    place = f"{recorded.position:.1f} of {recorded.length:.1f} s, Ctrl-C ends"
    return typed(picture(recorded), "", place)
