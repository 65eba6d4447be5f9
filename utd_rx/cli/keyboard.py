"""What is typed, key by key on a terminal and line by line elsewhere."""

from __future__ import annotations

import asyncio
import codecs
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

_BACKSPACE: Final = ("\x7f", "\x08")
_END: Final = "\x04"  # Ctrl-D


class Typing:
    """A line that is being typed; its keys may be commands while it is empty.

    Args:
        keys: What each of these keys does, at once, on an empty line.
        enter: Takes a line, without spaces around it, that is not empty.
        leave: Is called at the end of what is typed.
    """

    def __init__(
        self,
        keys: dict[str, Callable[[], None]],
        enter: Callable[[str], None],
        leave: Callable[[], None],
    ) -> None:
        self._keys = keys
        self._enter = enter
        self._leave = leave
        self.line = ""

    def press(self, key: str) -> None:
        """Take one character."""
        if not self.line and key in self._keys:
            self._keys[key]()
        elif key == _END and not self.line:
            self._leave()
        elif key in "\r\n":
            line, self.line = self.line.strip(), ""
            if line:
                self._enter(line)
        elif key in _BACKSPACE:
            self.line = self.line[:-1]
        elif key.isprintable():
            self.line += key

    def take(self, line: str) -> None:
        """Take a whole line: a key's alone, or a text."""
        if (key := line.strip()) in self._keys:
            self._keys[key]()
        elif key:
            self._enter(key)


@contextmanager
def keyboard(typing: Typing) -> Iterator[None]:
    """Give `typing` what is typed on standard input, on the running loop, for as long as this is
    open; a terminal gives single keys meanwhile."""
    fd = sys.stdin.fileno()
    loop = asyncio.get_running_loop()
    is_terminal = os.isatty(fd)
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    rest = ""

    def read() -> None:
        nonlocal rest
        data = os.read(fd, 4096)
        if not data:
            loop.remove_reader(fd)
        text = decode(data)
        if is_terminal:
            for key in text:
                typing.press(key)
            return
        *lines, rest = (rest + text).split("\n")
        for line in lines if data else (rest,):  # the last may have no end
            typing.take(line)

    with suppress(PermissionError):  # a file, /dev/null: nothing will be typed
        loop.add_reader(fd, read)
    try:
        if is_terminal:
            with _single_keys(fd):
                yield
        else:
            yield
    finally:
        loop.remove_reader(fd)


@contextmanager
def _single_keys(fd: int) -> Iterator[None]:
    import termios
    import tty

    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
