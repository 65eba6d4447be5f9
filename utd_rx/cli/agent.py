"""`utd-rx agent`: talk to a voice agent in a terminal, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

from utd_rx.cli.serving import fail
from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid

if TYPE_CHECKING:
    from utd_rx.agent.session import AtomsAgentSession
    from utd_rx.audio.microphone import Microphone
    from utd_rx.audio.speaker import Speaker

KEY: Final = "ATOMS_API_KEY"
"""The environment variable with the key: an argument could be read by every user of the machine."""

NO_DEVICE: Final = (UTDErrorCode.NOT_FOUND, UTDErrorCode.FEATURE_DISABLED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to `parser`."""
    add = parser.add_argument
    parser.epilog = f"The API key is read from the environment variable {KEY}."
    add("agent_id", nargs="?", metavar="AGENT", help="the agent's id; not needed with --local")
    add("--local", action="store_true", help="talk to a local agent that echoes what it hears")
    add("--base-url", metavar="URL", help="the server; the vendor's unless given")
    add("--mode", choices=("webcall", "chat"), default="webcall", help="chat has no sound")
    add(
        "--sample-rate",
        type=int,
        choices=(8_000, 16_000, 24_000, 48_000),
        default=24_000,
        help="on the wire, in Hz (default: %(default)s)",
    )
    add(
        "--variable",
        action="append",
        default=[],
        metavar="NAME=TEXT",
        help="for the agent's prompt; may be repeated",
    )
    add("--microphone", metavar="NAME", help="a device of `utd-rx devices`, or a WAV file")
    add("--speaker", metavar="NAME", help="a device of `utd-rx devices`, or a WAV file to write")
    add(
        "--mute-while-agent-speaks",
        action="store_true",
        help="for loudspeakers without echo cancellation",
    )


def run(args: argparse.Namespace) -> int:
    """Talk: 0 when it was ended by either side, 1 when it failed, 2 for what makes no sense."""
    key = os.environ.get(KEY)
    if not args.local and not (key and args.agent_id):
        return fail("agent", 2, f"set {KEY} and name an agent, or take --local")
    try:
        return asyncio.run(_talk(args, key))
    except UTDStreamException as error:
        return fail("agent", 2 if error.code is UTDErrorCode.VALIDATION else 1, error.message)
    except KeyboardInterrupt:
        return 0  # before the loop had its own handler


async def _talk(args: argparse.Namespace, key: str | None) -> int:
    from utd_rx.agent.session import AtomsAgentSession

    variables = _variables(args.variable)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        where: dict[str, Any] = {} if args.base_url is None else {"base_url": args.base_url}
        agent_id = args.agent_id
        if args.local:
            from utd_rx.engine.agent import LocalAgent

            local = await stack.enter_async_context(LocalAgent())
            where, key, agent_id = {"base_url": local.base_url}, local.api_key, agent_id or "echo"
        microphone, speaker = await _devices(args, stack)
        session = await stack.enter_async_context(
            AtomsAgentSession(
                api_key=key,
                agent_id=agent_id,
                mode=args.mode,
                sample_rate=args.sample_rate,
                variables=variables,
                microphone=microphone,
                speaker=speaker,
                mute_while_agent_speaks=args.mute_while_agent_speaks,
                **where,
            )
        )
        return await _converse(session, microphone, speaker, stopped)


async def _converse(
    session: AtomsAgentSession, microphone: object, speaker: object, stopped: asyncio.Event
) -> int:
    """Start, and show and type until it is over."""
    from utd_rx.cli.agent_screen import HINT, TalkScreen
    from utd_rx.cli.conversation import Conversation
    from utd_rx.cli.keyboard import keyboard

    screen = TalkScreen(sys.stdout)
    screen.say(HINT if screen.is_live else "a line writes, a line with m alone mutes")
    conversation = Conversation(session, screen, microphone, speaker, stopped.set)
    with keyboard(conversation.typing):
        try:
            await conversation.run(stopped)
        finally:
            screen.close()
    await session.stop()
    failure = session.failure.value
    return 0 if failure is None else fail("agent", 1, f"{failure.code}: {failure.message}")


async def _devices(args: argparse.Namespace, stack: AsyncExitStack) -> tuple[Any, Any]:
    """Return the microphone and the speaker; None for one that this machine lacks."""
    if args.mode == "chat":
        return None, None
    from utd_rx.audio import WavRecorder, WavSource
    from utd_rx.audio.devices import AudioDirection, list_devices

    found = []
    try:
        found = [device.direction for device in list_devices()]
    except UTDStreamException as error:
        if error.code not in NO_DEVICE:
            raise
    microphone: WavSource | Microphone | None = None
    speaker: WavRecorder | Speaker | None = None
    if _is_wav(args.speaker):
        speaker = stack.enter_context(WavRecorder(args.speaker))
    elif args.speaker or AudioDirection.OUTPUT in found:
        from utd_rx.audio.speaker import Speaker

        speaker = await stack.enter_async_context(Speaker(args.speaker))
    if _is_wav(args.microphone):
        microphone = WavSource(args.microphone)
    elif args.microphone or AudioDirection.INPUT in found:
        from utd_rx.audio.microphone import Microphone

        microphone = Microphone(args.microphone)
        stack.push_async_callback(microphone.aclose)
    absent = [name for name, one in (("microphone", microphone), ("speaker", speaker)) if not one]
    if absent:
        print(f"no {' and no '.join(absent)} here: `utd-rx doctor` says more", file=sys.stderr)
    return microphone, speaker


def _is_wav(name: str | None) -> bool:
    return name is not None and name.lower().endswith(".wav")


def _variables(said: Sequence[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in said]
    if not all(name and sign for name, sign, _ in pairs):
        raise invalid("a variable is NAME=TEXT")
    return {name: text for name, _, text in pairs}
