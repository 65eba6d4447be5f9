"""`utd-rx demo [room|call|live|agent]`: a story end to end, on real parts.

Starts the local engine with its SFU in this process, connects its users over real LiveKit
connections, lets them say what a WAV file holds and show numbered pictures, and records what
others hear and see. The exit status is 0 only if sound and pictures arrived and the states came in
the promised order.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from utd_rx.cli import missing
from utd_rx.cli.options import as_json, fail
from utd_rx.cli.progress import progress
from utd_rx.errors import UTDStreamException

NEEDED: Final = ("rich", "matplotlib", "soxr", "aiortc", "livekit.api")
"""What the extra `demo` brings."""

INSTALL: Final = "pip install 'utd-rx[demo]'"


@click.command()
@click.argument("story", type=click.Choice(("room", "call", "live", "agent")), default="room")
@click.option(
    "--sfu",
    type=click.Choice(("embedded", "livekit")),
    default="embedded",
    help="The media server in this process, or the real livekit-server.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo-out"),
    metavar="DIR",
    help="Folder for the results.",
)
@click.option(
    "--wav",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What is spoken; the shipped speech unless given.",
)
@as_json
def command(story: str, sfu: str, out: Path, wav: Path | None, as_json: bool) -> int:
    """Play an audio room, a call, a live stream or a talk with a voice agent, end to end, on real
    parts.

    Leaves what was heard and seen, a report and a picture. Exits with 0 when every promise was
    kept, with 1 when one was broken, with 3 when the machine was too busy to judge.
    """
    if absent := missing(NEEDED):
        return fail("demo", 2, f"missing {', '.join(absent)}; install with: {INSTALL}")
    with progress("getting ready"):
        from utd_rx.cli.demo.runner import STORIES, run_demo

    try:
        return run_demo(STORIES[story], sfu, out, wav, as_json=as_json)
    except UTDStreamException as error:
        problem = f"failed: {error}"
    except TimeoutError as error:  # before OSError, of which it is a kind
        problem = f"failed: it waited too long: {error}"
    except BrokenPipeError:
        raise  # whoever read it has gone
    except OSError as error:
        problem = f"cannot write its results: {error}; choose --out"
    print(f"the demo {problem}", file=sys.stderr)
    return 1
