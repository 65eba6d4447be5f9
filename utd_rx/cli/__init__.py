"""`utd-rx`: the commands of the package (docs/cli.md)."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as in `utd_rx`
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final

COMMANDS: Final = {
    "demo": "a room, a call, a live stream or an agent, end to end",
    "engine": "a local engine to develop against",
    "join": "be in an audio room: sit down, speak, listen, write",
    "room": "be in any LiveKit room, with its URL and a token",
    "live": "watch a live stream, or go live",
    "call": "call somebody, or wait for a call",
    "agent": "talk to a voice agent",
    "agent-stub": "a voice agent to develop against",
    "record": "keep a room: its state, and everybody's voice",
    "replay": "what a recording holds, at any speed",
    "token": "a token to join a room with any LiveKit client",
    "devices": "the sound devices of this machine",
    "doctor": "what is wrong with this machine's sound, and how to mend it",
    "completion": "what makes a shell complete all this",
}
"""Each is the `command` of the module of its name here, `_` for `-`, loaded when asked for."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `utd-rx` and return its exit status (docs/cli.md, "Exit status")."""
    for out in (sys.stdout, sys.stderr):
        # What a terminal or a file cannot say is spelled, and no reason to fail at the end.
        if getattr(out, "errors", None) == "strict":
            out.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # a text file
    try:
        # Here, so that Ctrl-C is a word and no traceback as early as that.
        from utd_rx.cli.group import run

        return run(argv)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def missing(modules: Iterable[str]) -> list[str]:
    """Return those of `modules` that cannot be imported."""
    return [module for module in modules if not is_there(module)]


def is_there(module: str) -> bool:
    """Whether `module` can be imported; only the package it is in is, to see."""
    from importlib.util import find_spec

    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # that package
        return False
