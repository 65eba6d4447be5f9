"""Numbers of one subscriber's copy: packets may be left out and streams changed, without a gap.

A number is kept for each packet that is missing, for when it comes late. Pure; time is an argument.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from attrs import define, field

from utd_rx.engine.sfu.pictures import Vp8Numbers

# A start near 65535 could put the two SRTP rollover counters out of step.
_FIRST_SEQUENCE: Final = 1000
# Kept for late packets, of one stream; a greater gap is a pause, and closed.
_MAX_MISSING: Final = 512
_REMEMBERED_PICTURES: Final = 64
# Of two streams' clocks against the time that went by; beyond, one of them is wrong.
_MAX_CLOCK_ERROR: Final = 1.0

Clock = tuple[float, int]
"""NTP seconds, and the time stamp of that moment; of a sender report."""


@define
class SequenceNumbers:
    """Sequence numbers of the stream that is forwarded, and ours for them."""

    _next: int = _FIRST_SEQUENCE
    _highest: int | None = None
    _missing: OrderedDict[int, int] = field(factory=OrderedDict)  # ours, by the stream's

    def restart(self) -> None:
        """Go on with the next number whatever the stream's next one is."""
        self._highest = None
        self._missing.clear()

    def give(self, sequence: int) -> int | None:
        """Our number for a packet; None for one that came already, or too late."""
        if not self._advance(sequence):
            return self._missing.pop(sequence, None)
        number, self._next = self._next, (self._next + 1) & 0xFFFF
        return number

    def leave_out(self, sequence: int) -> int | None:
        """Leave a packet out; our number for it where one was kept, which must be used."""
        return None if self._advance(sequence) else self._missing.pop(sequence, None)

    def _advance(self, sequence: int) -> bool:
        """Whether it is newer than all before; numbers are kept for those it has skipped."""
        highest = self._highest
        if highest is not None:
            step = (sequence - highest) & 0xFFFF
            if not 0 < step < 0x8000:
                return False
            for offset in range(1, step) if step <= _MAX_MISSING else ():
                self._missing[(highest + offset) & 0xFFFF] = self._next
                self._next = (self._next + 1) & 0xFFFF
            while len(self._missing) > _MAX_MISSING:
                self._missing.popitem(last=False)
        self._highest = sequence
        return True


@define
class Timestamps:
    """Time stamps that go on when another stream begins, whatever it counts from."""

    _rate: int
    _offset: int = 0
    _last: int | None = None
    _last_at: float = 0.0

    @property
    def last(self) -> int:
        return self._last or 0

    def restart(
        self, timestamp: int, now: float, before: Clock | None = None, after: Clock | None = None
    ) -> None:
        """Another stream begins at `timestamp`: how much later that is, their two clocks say.

        Without both of them the time that went by is taken for it.
        """
        last = self._last
        if last is None:
            return
        step = round((now - self._last_at) * self._rate)
        if before is not None and after is not None:
            theirs = (last - self._offset) & 0xFFFFFFFF
            elapsed = self._seconds(after, timestamp) - self._seconds(before, theirs)
            if abs(elapsed - step / self._rate) < _MAX_CLOCK_ERROR:
                step = round(elapsed * self._rate)
        self._offset = (last + max(1, step) - timestamp) & 0xFFFFFFFF

    def _seconds(self, clock: Clock, timestamp: int) -> float:
        at, reference = clock
        ahead = (timestamp - reference) & 0xFFFFFFFF
        return at + (ahead - (0x100000000 if ahead >= 0x80000000 else 0)) / self._rate

    def give(self, timestamp: int, now: float) -> int:
        ours = (timestamp + self._offset) & 0xFFFFFFFF
        if self._last is None or (ours - self._last) & 0xFFFFFFFF < 0x80000000:
            self._last, self._last_at = ours, now
        return ours

    def shift(self, timestamp: int) -> int:
        """Ours for that time stamp of the present stream."""
        return (timestamp + self._offset) & 0xFFFFFFFF


@define
class Vp8Counters:
    """A decoder of VP8 takes jumps of these for loss: they go on by one over each change."""

    _last: Vp8Numbers | None = None
    _is_restarted: bool = False
    _picture: int = 0  # what is added to each; not yet reduced to its width
    _tl0: int = 0
    _key: int = 0
    _left_out: int | None = None  # picture id
    _by_picture: OrderedDict[int, int] = field(factory=OrderedDict)  # `_picture`, for late ones

    def restart(self) -> None:
        """The next packet begins another stream, or the same after a pause."""
        self._is_restarted = True

    def leave_out(self, numbers: Vp8Numbers) -> None:
        """A packet of a picture that is left out; told for each packet of it."""
        if numbers.picture_id is not None and numbers.picture_id != self._left_out:
            self._left_out = numbers.picture_id
            self._picture -= 1

    def give(self, numbers: Vp8Numbers, *, is_late: bool) -> Vp8Numbers:
        theirs, last = numbers.picture_id or 0, self._last
        if self._is_restarted and last is not None:
            self._picture = (last.picture_id or 0) + 1 - theirs
            self._tl0 = (last.tl0_index or 0) + 1 - (numbers.tl0_index or 0)
            self._key = (last.key_index or 0) + 1 - (numbers.key_index or 0)
            self._by_picture.clear()
        self._is_restarted = False
        picture = self._by_picture.get(theirs, self._picture) if is_late else self._picture
        ours = numbers
        if picture or self._tl0 or self._key:
            ours = numbers._replace(
                picture_id=_added(numbers.picture_id, picture, 0x7FFF if numbers.is_wide else 0x7F),
                tl0_index=_added(numbers.tl0_index, self._tl0, 0xFF),
                key_index=_added(numbers.key_index, self._key, 0x1F),
            )
        if not is_late:
            self._last = ours
            self._remember(theirs)
        return ours

    def _remember(self, picture_id: int) -> None:
        if picture_id not in self._by_picture:
            self._by_picture[picture_id] = self._picture
            if len(self._by_picture) > _REMEMBERED_PICTURES:
                self._by_picture.popitem(last=False)


def _added(number: int | None, offset: int, mask: int) -> int | None:
    return None if number is None else (number + offset) & mask
