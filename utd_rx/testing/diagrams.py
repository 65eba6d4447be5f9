"""What a stream did over time, and marble diagrams of it.

A diagram is text in which every sign is one step of time, a second unless told otherwise:

| sign | |
| --- | --- |
| `-` | nothing |
| `a` | a value: equal letters are equal values, other letters other ones |
| `(ab)` | several within one step |
| <code>&#124;</code> | the stream completes |
| `#` | it fails, which no `StateSubject` does |
| ` 60s ` | nothing for that long, between spaces: `s`, `ms` or `m` |

A letter stands for whatever comes where it stands first, or for what `values` says. Within its step
a value may come at any time, and what a state is when recording begins counts as its first value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from string import ascii_letters
from typing import Final, NamedTuple

from utd_rx.errors import invalid
from utd_rx.state.derived import same

COMPLETED: Final = "|"
FAILED: Final = "#"

_EARLY: Final = 1e-6
"""Seconds by which sums of times may be less than what they are the sum of."""

_TOKEN: Final = re.compile(
    r"(?:^|(?<=\s))(?P<time>\d+(?:\.\d+)?)(?P<unit>ms|s|m)(?=\s|$)"
    r"|\((?P<group>[A-Za-z0-9|#]+)\)|(?P<one>[A-Za-z0-9|#-])|(?P<space>\s+)"
)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0}


class Sign(NamedTuple):
    """A sign of a diagram, and in which step it stands."""

    step: int
    text: str


class Letters:
    """Which value each letter stands for."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.known: dict[str, object] = {}
        self._values = values

    def of(self, value: object) -> str:
        """Return the letter of a value; of a new one, a letter that stands for nothing yet."""
        for letter, known in self.known.items():
            if _is(value, known):
                return letter
        for letter, known in self._values.items():
            if _is(value, known):
                self.known[letter] = known
                return letter
        letter = next((one for one in ascii_letters if not self._is_used(one)), "*")
        self.known[letter] = value
        return letter

    def could_be(self, letter: str, value: object) -> bool:
        """Whether a letter stands for a value, as it does from now on if it could."""
        if letter not in self.known and letter in self._values:
            self.known[letter] = self._values[letter]
        if letter in self.known:
            return _is(value, self.known[letter])
        is_new = not any(_is(value, known) for known in {**self._values, **self.known}.values())
        if is_new:
            self.known[letter] = value
        return is_new

    def _is_used(self, letter: str) -> bool:
        return letter in self.known or letter in self._values


def parsed(diagram: str, step: float = 1.0) -> tuple[list[Sign], int]:
    """Read a diagram: its signs, and how many steps it is long.

    Raises:
        UTDStreamException: `VALIDATION`: it is none.
    """
    signs, place, read = list[Sign](), 0, 0
    for found in _tokens(diagram):
        read = found.end()
        if (seconds := found["time"]) is not None:
            steps = float(seconds) * _UNITS[found["unit"]] / step
            if abs(steps - round(steps)) > _EARLY:
                raise invalid(f"{found[0]!r} in {diagram!r} is no whole number of {step:g} s")
            place += round(steps)
        elif found["space"] is None:
            signs += [Sign(place, text) for text in found["group"] or found["one"] if text != "-"]
            place += 1
    ends = [sign for sign in signs[:-1] if sign.text in (COMPLETED, FAILED)]
    if read < len(diagram) or ends:
        raise invalid(f"no diagram: {diagram!r} at {read}: write values as single signs, 'a-(bc)|'")
    return signs, place


def _tokens(diagram: str) -> Iterator[re.Match[str]]:
    read = 0
    while found := _TOKEN.match(diagram, read):
        yield found
        read = found.end()


def drawn(signs: list[Sign], step: float = 1.0) -> str:
    """Write a diagram of signs in the order of their steps."""
    texts = dict[int, str]()
    for place, text in signs:
        texts[place] = texts.get(place, "") + text
    diagram, place = "", 0
    for at, text in texts.items():
        gap = at - place
        diagram += "-" * gap if gap <= MAX_DASHES else f" {gap * step:g}s "
        diagram += text if len(text) == 1 else f"({text})"
        place = at + 1
    return diagram


MAX_DASHES: Final = 20
"""Where nothing happens for longer, the time is written."""


def place_of(at: float, step: float) -> int:
    """Return in which step a time lies."""
    return int(at / step + _EARLY)


def _is(value: object, known: object) -> bool:
    return bool(known(value)) if callable(known) else same(value, known)
