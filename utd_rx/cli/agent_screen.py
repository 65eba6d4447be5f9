"""What `utd-rx agent` shows: what was said, line by line, and below it how things stand."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Final, TextIO

from attrs import frozen

from utd_rx.models.agent import AgentRole, AgentStatus, AgentTurn
from utd_rx.models.secrets import printable

METER: Final = 10
"""Characters of a level."""

FLOOR: Final = -50.0
"""dBFS at which a meter is empty."""

NAMES: Final = {AgentRole.USER: "you", AgentRole.ASSISTANT: "agent"}

HINT: Final = "m mutes, text and Enter writes (a space first for a text with m), Ctrl-C leaves"

_ERASE: Final = "\r\x1b[2K"
_UP: Final = "\x1b[1A"


@frozen
class Look:
    """How things stand: who talks, how loud both are in dBFS if that is known, what is typed."""

    status: AgentStatus
    is_muted: bool = False
    is_user_talking: bool = False
    is_agent_talking: bool = False
    microphone: float | None = None
    speaker: float | None = None
    typed: str = ""


def spoken(turn: AgentTurn) -> str:
    """Return a turn as a line."""
    return f"{NAMES[turn.role]:>5}: {printable(turn.text)}{' —' if turn.was_cut else ''}"


def standing(look: Look) -> str:
    """Return how things stand, as a line."""
    mouth = "muted" if look.is_muted else "talks" if look.is_user_talking else ""
    agent = "talks" if look.is_agent_talking else ""
    you = f"you {meter(look.microphone)} {mouth:5}"
    return f"[{look.status.value}] {you}  agent {meter(look.speaker)} {agent:5}  > {look.typed}"


def meter(level: float | None) -> str:
    """Return a level in dBFS as a bar; nothing where it is not known."""
    if level is None:
        return " " * METER
    filled = round(METER * min(1.0, max(0.0, 1 - level / FLOOR)))
    return "#" * filled + "." * (METER - filled)


class TalkScreen:
    """Prints lines that stay, and on a terminal some below them that change.

    Args:
        out: Where to; nothing but the lines that stay unless it is a terminal.
        width: Columns; the terminal's unless given.
    """

    def __init__(self, out: TextIO, width: int | None = None) -> None:
        self._out = out
        self._width = width
        self._shown: tuple[str, ...] = ()
        self.is_live = out.isatty()

    def say(self, line: str) -> None:
        """Print a line that stays, above those that change."""
        self._write(self._wiped() + line + "\n" + self._drawn())

    def show(self, lines: Sequence[str]) -> None:
        """Change what is below; each line is cut to the width, at its beginning."""
        if not self.is_live:
            return
        width = (self._width or shutil.get_terminal_size().columns) - 1
        cut = tuple(line if len(line) <= width else f"…{line[1 - width :]}" for line in lines)
        if cut != self._shown:
            wiped, self._shown = self._wiped(), cut
            self._write(wiped + self._drawn())

    def close(self) -> None:
        """Leave the lines that stay, and nothing else."""
        self._write(self._wiped())
        self._shown = ()

    def _wiped(self) -> str:
        return (_ERASE + _UP) * (len(self._shown) - 1) + _ERASE if self._shown else ""

    def _drawn(self) -> str:
        return "\n".join(self._shown)

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
