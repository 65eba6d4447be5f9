"""`utd-rx agent`: talk to a voice agent in a terminal, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click

from utd_rx.cli.options import fail
from utd_rx.cli.progress import progress
from utd_rx.cli.sound import agent_sound, open_sound
from utd_rx.errors import invalid

if TYPE_CHECKING:
    from utd_rx.agent.session import AtomsAgentSession

KEY: Final = "ATOMS_API_KEY"
"""The environment variable with the key: an argument could be read by every user of the machine."""


@click.command(epilog=f"The API key is read from the environment variable {KEY}.")
@click.argument("agent_id", metavar="[AGENT]", required=False)
@click.option("--local", is_flag=True, help="Talk to a local agent that echoes what it hears.")
@click.option("--base-url", metavar="URL", help="The server; the vendor's unless given.")
@click.option(
    "--mode", type=click.Choice(("webcall", "chat")), default="webcall", help="Chat has no sound."
)
@click.option(
    "--sample-rate",
    type=click.Choice((8_000, 16_000, 24_000, 48_000)),
    default=24_000,
    help="On the wire, in Hz.",
)
@click.option(
    "--variable",
    "variables",
    multiple=True,
    metavar="NAME=TEXT",
    help="For the agent's prompt; may be repeated.",
)
@agent_sound
@click.option(
    "--mute-while-agent-speaks", is_flag=True, help="For loudspeakers without echo cancellation."
)
def command(local: bool, agent_id: str | None, variables: Sequence[str], **options: Any) -> int:
    """Talk to a voice agent, until Ctrl-C.

    Exits with 0 when either side ended it, with 1 when it failed.
    """
    key = os.environ.get(KEY)
    if not local and not (key and agent_id):
        return fail("agent", 2, f"set {KEY} and name an agent, or take --local")
    said = _variables(variables)
    try:
        with progress("calling the agent"):
            import_module("utd_rx.agent.session")
        return asyncio.run(_talk(None if local else key, agent_id, variables=said, **options))
    except KeyboardInterrupt:
        return 0  # before the loop had its own handler


async def _talk(
    key: str | None,
    agent_id: str | None,
    *,
    base_url: str | None,
    microphone: str | None,
    speaker: str | None,
    **options: Any,
) -> int:
    """Talk to `agent_id` with `key`; without one, to a local agent."""
    from utd_rx.agent.session import AtomsAgentSession

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        if base_url is not None:
            options["base_url"] = base_url
        if key is None:
            from utd_rx.engine.agent import LocalAgent

            local = await stack.enter_async_context(LocalAgent())
            options["base_url"], key, agent_id = local.base_url, local.api_key, agent_id or "echo"
        mouth, ear = None, None
        if options["mode"] != "chat":
            mouth, ear = await open_sound(stack, microphone, speaker)
        session = await stack.enter_async_context(
            AtomsAgentSession(
                api_key=key, agent_id=agent_id, microphone=mouth, speaker=ear, **options
            )
        )
        return await _converse(session, mouth, ear, stopped)


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


def _variables(said: Sequence[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in said]
    if not all(name and sign for name, sign, _ in pairs):
        raise invalid("a variable is NAME=TEXT")
    return {name: text for name, _, text in pairs}
