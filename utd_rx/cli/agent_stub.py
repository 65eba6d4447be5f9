"""`utd-rx agent-stub`: a voice agent to develop against, until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from utd_rx.cli.serving import add_address, fail, serve
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to `parser`."""
    add_address(parser)
    add = parser.add_argument
    add("--api-key", metavar="KEY", help="made for this run unless given")
    add("--agent-id", action="append", metavar="ID", help="the agents there are (default: any)")
    add(
        "--script",
        type=Path,
        metavar="FILE",
        help="JSON: what it does in each session, instead of saying back what it hears",
    )
    add(
        "--speed",
        type=_speed,
        default=4.0,
        metavar="X",
        help="of an echo's sound, in real time's; inf is all at once (default: %(default)s)",
    )
    add("--dotted", action="store_true", help="spell an echo's events agent.start_talking")
    add(
        "--refuse",
        type=_status,
        action="append",
        default=[],
        metavar="STATUS",
        help="answer the first connection with an HTTP status; again, for the second, and so on",
    )
    add("--json", action="store_true", help="print one line of JSON when ready")


def run(args: argparse.Namespace) -> int:
    """Run the agent: 0 after a signal, 1 when it could not start, 2 for what makes no sense."""
    try:
        agent = _agent(args)
    except (UTDStreamException, OSError) as error:
        return fail("agent-stub", 2, str(error))
    does = f"does what {args.script} says" if args.script else "says back what it hears"

    def announcement() -> str:
        values = {name: getattr(agent, name) for name in FIELDS}
        return json.dumps(values) if args.json else SUMMARY.format(does=does, **values)

    try:
        return asyncio.run(serve(agent, announcement))
    except UTDStreamException as error:
        return fail("agent-stub", 1, error.message)
    except KeyboardInterrupt:
        return 0  # Ctrl-C before the loop had its own handler


def _agent(args: argparse.Namespace) -> LocalAgent:
    # Imported late: `utd-rx --help` needs none of it.
    from utd_rx.engine.agent import EchoAgent, LocalAgent, ScriptedAgent
    from utd_rx.engine.agent.script import read_scripts

    agent: EchoAgent | ScriptedAgent = EchoAgent(args.speed, dotted=args.dotted)
    if args.script is not None:
        agent = ScriptedAgent(*read_scripts(args.script.read_bytes()))
    where = {"host": args.host, "port": args.port}
    stub = LocalAgent(agent, api_key=args.api_key, agent_ids=args.agent_id, **where)
    stub.refusals.extend(args.refuse)
    return stub


def _speed(text: str) -> float:
    speed = float(text)
    if not speed > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return speed


def _status(text: str) -> int:
    status = int(text)
    if not 400 <= status <= 599:
        raise argparse.ArgumentTypeError("must be 400 to 599")
    return status
