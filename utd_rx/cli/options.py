"""What the commands' options have in common, and how a command says that it fails."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from utd_rx.models.secrets import printable

F = TypeVar("F", bound=Callable[..., Any])

PORT: Final = click.IntRange(0, 65535)

as_json: Final = click.option(
    "--json", "as_json", is_flag=True, help="For machines: lines of JSON."
)


def address(command: F) -> F:
    """Add `--host` and `--port`."""
    host = click.option("--host", default="127.0.0.1", help="Address to bind.")
    port = click.option("--port", type=PORT, default=0, metavar="N", help="0 is a free one.")
    return host(port(command))


def fail(command: str, status: int, message: str) -> int:
    """Say in one line why a command fails, and return its status."""
    print(f"utd-rx {command}: {printable(message)}", file=sys.stderr)
    return status
