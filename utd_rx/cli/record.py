"""`utd-rx record`: a room as files: its state, and everybody's voice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from utd_rx.cli.access import EngineAccess, engine_access, get_ready, guest
from utd_rx.cli.display import SessionDisplay, display
from utd_rx.cli.options import as_json, fail
from utd_rx.cli.progress import progress
from utd_rx.cli.stopping import on_signals
from utd_rx.errors import invalid

if TYPE_CHECKING:
    from utd_rx.sessions.media_session import MediaSession
    from utd_rx.sessions.session import UTDSession

STATE: Final = "session.jsonl"


@click.command()
@click.argument("room")
@click.option("--live", "is_live", is_flag=True, help="A live stream, and no audio room.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="A folder for the files; one with the room's name unless given.",
)
@click.option(
    "--seconds", type=click.FloatRange(0, min_open=True), metavar="S", help="Then it ends."
)
@click.option("--no-sound", is_flag=True, help="Keep the state only.")
@engine_access
@as_json
def command(
    room: str,
    out: Path | None,
    base_url: str | None,
    token_base_url: str | None,
    identity: str | None,
    **options: Any,
) -> int:
    """Record ROOM as a listener, until Ctrl-C: its state for `utd-rx replay`, and a WAV file of
    each voice, which all begin at the same moment.

    Exits with 0 once the files are complete, after Ctrl-C, too; with 1 when the room could not be
    joined or was lost.
    """
    access = get_ready(base_url, token_base_url)
    out = out or Path(room)
    try:
        make_folder(out)
    except OSError as error:
        return fail("record", 1, f"cannot make {out}: {error.strerror}; choose --out")
    return asyncio.run(_record(access, identity or guest(), room, out, **options))


async def _record(
    access: EngineAccess,
    identity: str,
    room: str,
    out: Path,
    *,
    name: str | None,
    is_live: bool,
    seconds: float | None,
    no_sound: bool,
    as_json: bool,
) -> int:
    from utd_rx.cli.attending import status_of

    shown = display(as_json=as_json)
    async with AsyncExitStack() as stack:
        with progress(f"joining {room}"):
            client = await stack.enter_async_context(access.client())
            join = client.join_live_stream if is_live else client.join_audio_room
            session: UTDSession[Any] = await join(identity, room, name=name)
            await stack.enter_async_context(session)
        await stack.enter_async_context(recorded(session, out, shown, has_sound=not no_sound))
        await _until_over(session, seconds)
        status = status_of(session, "record")
    shown.event("written", str(out), f"written: {out}")
    return status


def make_folder(out: Path) -> None:
    """Make the folder of a recording, unless there is one: what it holds is not written over."""
    out.mkdir(parents=True, exist_ok=True)
    if (out / STATE).exists():
        raise invalid(f"{out} holds a recording: choose another folder, or move that one away")


@asynccontextmanager
async def recorded(
    session: MediaSession[Any],
    out: Path,
    shown: SessionDisplay,
    *,
    has_sound: bool,
    has_chat: bool = True,
) -> AsyncIterator[None]:
    """Record a session into the folder `out` while this is open; tell its chat, unless another
    does."""
    from utd_rx.cli.attending import tell_chat
    from utd_rx.cli.tracks import VoiceTracks
    from utd_rx.models.secrets import foreign_text
    from utd_rx.sessions.recording import record

    def opened(who: str, path: Path) -> None:
        shown.event("track", {"identity": who, "path": str(path)}, f"{foreign_text(who)}: {path}")

    state = out / STATE
    async with record(session, state):
        shown.event("state", str(state), f"state: {state}; Ctrl-C ends")
        chat = tell_chat(session, shown) if has_chat else None
        tracks = VoiceTracks(session, out, opened) if has_sound else None
        try:
            yield
        finally:
            if chat is not None:
                chat.dispose()
            if tracks is not None:
                tracks.close()


async def _until_over(session: MediaSession[Any], seconds: float | None) -> None:
    """Wait until the session is lost, a signal comes or the time is up."""
    from utd_rx.cli.attending import OVER

    stopped = asyncio.Event()
    lost = asyncio.ensure_future(session.connection_state.until(lambda state: state in OVER))
    asked = asyncio.ensure_future(stopped.wait())
    try:
        with on_signals(stopped.set):
            await asyncio.wait((lost, asked), timeout=seconds, return_when="FIRST_COMPLETED")
    finally:
        lost.cancel()
        asked.cancel()
        await asyncio.gather(lost, asked, return_exceptions=True)
