"""`utd-rx`: the commands of the package."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Final

COMMANDS: Final = {
    "agent": "talk to a voice agent",
    "agent-stub": "a voice agent to develop against",
    "demo": "an audio room or a call, end to end, with a picture of what happened",
    "devices": "the sound devices of this machine",
    "doctor": "what is wrong with this machine's sound, and how to mend it",
    "engine": "a local engine to develop against",
}
"""Each command is the module of its name here, `_` for `-`, with `add_arguments(parser)` and
`run(args)`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `utd-rx` and return its exit status."""
    parser = argparse.ArgumentParser(prog="utd-rx", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    try:
        for name, summary in COMMANDS.items():
            command = commands.add_parser(name, help=summary, description=summary)
            _module(name).add_arguments(command)
        args = parser.parse_args(argv)
        status: int = _module(args.command).run(args)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return status


def _module(command: str) -> ModuleType:
    return import_module(f"utd_rx.cli.{command.replace('-', '_')}")


def missing(modules: Iterable[str]) -> list[str]:
    """Return those of `modules` that cannot be imported."""
    return [module for module in modules if not is_there(module)]


def is_there(module: str) -> bool:
    """Whether `module` can be imported; only the package it is in is, to see."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # that package
        return False
