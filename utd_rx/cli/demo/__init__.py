"""`utd-rx demo [room|call|live]`: a room, a call or a live stream, end to end, on real parts.

Starts the local engine with its SFU in this process, connects its users over real LiveKit
connections, lets them say what a WAV file holds and show numbered pictures, and records what
others hear and see. The exit status is 0 only if sound and pictures arrived and the states came in
the promised order.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from utd_rx.cli import missing

NEEDED: Final = ("rich", "matplotlib", "soxr", "aiortc", "livekit.api")
"""What the extra `demo` brings."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add(
        "story",
        nargs="?",
        choices=("room", "call", "live"),
        default="room",
        help="an audio room, a call of two, or a live stream with a stage (default: %(default)s)",
    )
    add(
        "--sfu",
        choices=("embedded", "livekit"),
        default="embedded",
        help="the media server: the one inside this process, or the real livekit-server",
    )
    add("--out", type=Path, default=Path("demo-out"), help="folder for the results")
    add("--wav", type=Path, help="what is spoken; the shipped speech by default")


def run(args: argparse.Namespace) -> int:
    """Run the demo and return the exit status."""
    if absent := missing(NEEDED):
        print(
            f"utd-rx demo needs {', '.join(absent)}; install it with: pip install 'utd-rx[demo]'",
            file=sys.stderr,
        )
        return 2
    from utd_rx.cli.demo.runner import STORIES, run_demo
    from utd_rx.errors import UTDStreamException

    try:
        return run_demo(STORIES[args.story], args.sfu, args.out, args.wav)
    except UTDStreamException as error:
        problem = f"failed: {error} ({error.code.name})"
    except TimeoutError as error:  # before OSError, of which it is a kind
        problem = f"failed: it waited too long: {error}"
    except OSError as error:
        problem = f"cannot write its results: {error}; choose --out"
    print(f"the demo {problem}", file=sys.stderr)
    return 1
