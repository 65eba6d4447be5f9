"""`utd-rx completion`: what makes a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print a script that makes SHELL complete commands and options.

    \b
    bash: eval "$(utd-rx completion bash)"         in ~/.bashrc
    zsh:  eval "$(utd-rx completion zsh)"          in ~/.zshrc
    fish: utd-rx completion fish | source          in ~/.config/fish/config.fish
    """
    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(ctx.find_root().command, {}, "utd-rx", "_UTD_RX_COMPLETE").source())
    return 0
