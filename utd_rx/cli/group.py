"""The commands as one group: each is loaded when it is asked for, and fails in one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from utd_rx import __version__
from utd_rx.cli import COMMANDS
from utd_rx.cli.options import fail
from utd_rx.errors import UTDErrorCode, UTDStreamException


class Commands(click.Group):
    """A group that knows its commands by `COMMANDS`: to list them takes no import."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"utd_rx.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UTDStreamException as error:
            status = 2 if error.code is UTDErrorCode.VALIDATION else 1
            return fail(ctx.invoked_subcommand or "", status, error.message)


@click.group(
    name="utd-rx",
    cls=Commands,
    invoke_without_command=True,
    context_settings={"show_default": True, "help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__)
@click.pass_context
def commands(ctx: click.Context) -> int:
    """Audio and video sessions on LiveKit, without a user interface.

    \b
    utd-rx demo             everything, in half a minute
    utd-rx engine           a server, and in another terminal
    utd-rx join friday      a room on it
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    return 0


def run(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    try:
        status: int = commands.main(argv, prog_name="utd-rx", standalone_mode=False)
    except click.Abort:
        print("interrupted", file=sys.stderr)
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return status
