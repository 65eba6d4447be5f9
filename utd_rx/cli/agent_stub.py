"""`utd-rx agent-stub`: a voice agent to develop against, until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from utd_rx.cli.options import address, as_json, fail
from utd_rx.cli.progress import progress
from utd_rx.cli.serving import serve
from utd_rx.errors import UTDStreamException

if TYPE_CHECKING:
    from utd_rx.engine.agent import LocalAgent

FIELDS: Final = ("base_url", "api_key")
"""What `--json` prints, in this order."""

SUMMARY: Final = """\
The agent is at {base_url} and {does}.

    session = AtomsAgentSession(
        api_key="{api_key}",
        agent_id="any",
        base_url="{base_url}",
        microphone=Microphone(),
        speaker=Speaker(),
    )
    await session.start()

For development and tests only: it understands nothing. Press Ctrl-C to stop."""


@click.command()
@address
@click.option("--api-key", metavar="KEY", help="Made for this run unless given.")
@click.option("--agent-id", "agent_ids", multiple=True, metavar="ID", help="The agents; else any.")
@click.option(
    "--script",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="JSON: what it does in each session, instead of saying back what it hears.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0, min_open=True),
    default=4.0,
    metavar="X",
    help="Of an echo's sound, in real time's; inf is all at once.",
)
@click.option("--dotted", is_flag=True, help="Spell an echo's events agent.start_talking.")
@click.option(
    "--refuse",
    type=click.IntRange(400, 599),
    multiple=True,
    metavar="STATUS",
    help="Answer the first connection with an HTTP status; again, for the second, and so on.",
)
@as_json
def command(script: Path | None, as_json: bool, **options: Any) -> int:
    """Run a voice agent that says back what it hears, until Ctrl-C.

    Exits with 0 after SIGINT or SIGTERM, with 1 when it cannot start.
    """
    try:
        with progress("starting the agent"):
            agent = _agent(script, **options)
    except (UTDStreamException, OSError) as error:
        return fail("agent-stub", 2, str(error))
    does = f"does what {script} says" if script else "says back what it hears"

    def announcement() -> str:
        values = {name: getattr(agent, name) for name in FIELDS}
        return json.dumps(values) if as_json else SUMMARY.format(does=does, **values)

    try:
        return asyncio.run(serve(agent, announcement))
    except KeyboardInterrupt:
        return 0  # Ctrl-C before the loop had its own handler


def _agent(
    script: Path | None,
    *,
    speed: float,
    dotted: bool,
    refuse: Sequence[int],
    agent_ids: Sequence[str],
    **where: Any,
) -> LocalAgent:
    # Imported late: `utd-rx --help` needs none of it.
    from utd_rx.engine.agent import EchoAgent, LocalAgent, ScriptedAgent
    from utd_rx.engine.agent.script import read_scripts

    agent: EchoAgent | ScriptedAgent = EchoAgent(speed, dotted=dotted)
    if script is not None:
        agent = ScriptedAgent(*read_scripts(script.read_bytes()))
    stub = LocalAgent(agent, agent_ids=agent_ids or None, **where)
    stub.refusals.extend(refuse)
    return stub
