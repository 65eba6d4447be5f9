"""`utd-rx call`: a call from the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import click

from utd_rx.cli.access import EngineAccess, engine_access, get_ready, guest
from utd_rx.cli.display import SessionDisplay, display
from utd_rx.cli.options import as_json, fail
from utd_rx.cli.progress import progress
from utd_rx.cli.sound import open_room_sound, room_sound
from utd_rx.errors import UTDStreamException
from utd_rx.models.secrets import foreign_text

if TYPE_CHECKING:
    from utd_rx.cli.cockpit import Command
    from utd_rx.client import UTDStreamClient
    from utd_rx.models.call import IncomingCall
    from utd_rx.sessions.call import UTDCallSession

HINT: Final = (
    "a answers, x declines, e hangs up, m mute, text and Enter writes (a space first), q leaves"
)

WATCHED: Final = ("roles", "status", "peer", "end_reason")


@click.command()
@click.argument("callee", required=False)
@engine_access
@room_sound
@as_json
def command(
    callee: str | None,
    base_url: str | None,
    token_base_url: str | None,
    identity: str | None,
    **options: Any,
) -> int:
    """Call CALLEE, or wait for calls.

    Without a terminal each line that is typed is a key or a text, and each change is a line.
    Exits with 0 when they talked, or after `q` when it waited; with 1 when nobody answered.
    """
    access = get_ready(base_url, token_base_url)
    return asyncio.run(_call(access, identity or guest(), callee, **options))


async def _call(
    access: EngineAccess,
    identity: str,
    callee: str | None,
    *,
    name: str | None,
    microphone: str | None,
    speaker: str | None,
    as_json: bool,
) -> int:
    from utd_rx.cli.attending import Attendance
    from utd_rx.models.stream_type import UTDStreamType

    shown = display(as_json=as_json)
    async with AsyncExitStack() as stack:
        with progress("calling" if callee else "waiting for calls"):
            mouth, ear = await open_room_sound(stack, microphone, speaker)
            client = await stack.enter_async_context(access.client(microphone=mouth))
            await client.authenticate(identity, name=name)
            session = client.call_session(UTDStreamType.AUDIO_CALL)
            await stack.enter_async_context(session)
        shown.event("identity", identity, f"you are {identity}")
        stack.enter_context(_ringing(client, session, shown))
        await Attendance(
            session,
            shown,
            keys(client, session),
            HINT,
            WATCHED,
            lambda: (session.peer.value,),
            mouth,
            ear,
        ).last(_talk(session, callee))
        if callee is None or session.duration.value is not None:
            return 0
        why = session.end_reason.value
        return fail("call", 1, "no answer" if why is None else f"no answer: {why.value}")


async def _talk(session: UTDCallSession, callee: str | None) -> None:
    """Call `callee`, until it is over; without one, take calls for ever."""
    if callee is None:
        await asyncio.Event().wait()
        return
    await session.start(callee)
    await session.end_reason.until(_is_given)


def keys(client: UTDStreamClient, session: UTDCallSession) -> dict[str, Command]:
    """Return what each key does about calls."""

    async def accept() -> None:
        for one in client.ringing_calls.value[:1]:
            await session.accept(one.call_id)

    async def decline() -> None:
        for one in client.ringing_calls.value[:1]:
            await session.reject(one.call_id)

    async def mute() -> None:
        await session.set_microphone(not session.microphone_enabled.value)

    return {"a": accept, "x": decline, "e": session.end, "m": mute}


@contextmanager
def _ringing(
    client: UTDStreamClient, session: UTDCallSession, shown: SessionDisplay
) -> Iterator[None]:
    """Show who calls, and tell the caller that it rings."""
    tasks: set[asyncio.Task[None]] = set()

    async def ring(call: IncomingCall) -> None:
        with suppress(UTDStreamException):  # in another call, or given up already
            await session.ringing(call.call_id)

    def tell(call: IncomingCall) -> None:
        who = foreign_text(call.caller_name or call.caller_identity)
        shown.event("incoming", call, f"{who} calls you: a answers, x declines")
        task = asyncio.ensure_future(ring(call))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    with client.incoming_calls.subscribe(tell):
        yield
    for task in tasks:
        task.cancel()


def _is_given(reason: object) -> bool:
    return reason is not None
