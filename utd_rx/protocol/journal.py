"""A recorded session as JSON lines: where it began, and every item since, commit by commit.

Theory of operation. The rules are pure, so the first state and the committed items with their
times are the whole session; streams are not recorded but computed again. A file is

    {"journal": 2, "type": "audio_room", "identity": …, "room": …, "started_at": …, "redacted": …}
    {"at": 12.5, "state": {…}}
    {"at": 12.7, "items": [["ParticipantConnected", {…}], …]}          one line per commit
    {"end": "closed"}

Times are the session's monotonic seconds. Reading trusts nothing: the file names types only out
of the tables here, its values have to fit their fields, its size and the length of its lines have
limits. What a crash leaves is read: a last line that is cut off is dropped. What a newer version
wrote is read as far as it is known: other items are skipped and counted, other fields ignored.
Anything else that does not fit is damage, and refused with the number of the line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import Enum
from itertools import islice
from typing import Any, Final, TypeVar, cast

from attrs import field, frozen

from utd_rx.errors import UTDStreamException, invalid
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.kinds import KINDS
from utd_rx.protocol.typed_json import DecodeError, decode, encode

T = TypeVar("T")

FORMAT: Final = 2
"""Grows when a reader of this version would misread a file: also when a default changes, because
fields that have theirs are not written."""

MAX_BYTES: Final = 64 * 2**20
"""A recording is no longer, so that it can be read; a day of an audio room is less."""

MAX_SPAN: Final = 366 * 24 * 3600.0
"""Seconds from the first to the last commit; more is not believed."""

MAX_LINE: Final = 16 * 2**20
"""A line holds at most the snapshot of a room of tens of thousands."""

ITEMS: Final[dict[str, type]] = {
    item.__name__: item for kind in KINDS.values() for item in kind.facts
}
"""Everything that sessions commit; a file can name nothing else."""


class End(Enum):
    """Why a recording ended."""

    CLOSED = "closed"
    """The session was closed."""
    STOPPED = "stopped"
    """The recording was closed before the session."""
    FULL = "full"
    """It had reached its size."""
    FAILED = "failed"
    """It could not be written on, or not fast enough."""


@frozen
class Header:
    """What a recording is of; `started_at` is ISO 8601 UTC."""

    type: UTDStreamType
    identity: str
    room: str
    started_at: str
    redacted: bool


@frozen
class Start:
    """The state at the time the recording began."""

    at: float
    state: Any


@frozen
class Commit:
    """Items that were committed together, and when."""

    at: float
    items: tuple[object, ...]


@frozen
class Journal:
    """A recording that was read.

    Args:
        header: What it is of.
        start: Where it begins.
        commits: What happened since.
        end: Why it ends, None when it was cut off.
        skipped: How many items this version does not know.
    """

    header: Header
    start: Start = field(repr=False)
    commits: tuple[Commit, ...] = field(repr=False)
    end: End | None
    skipped: int


def line_of(entry: Header | Start | Commit | End) -> bytes:
    """Return the line of an entry; `KeyError` for an item that is not in `ITEMS`."""
    match entry:
        case Header():
            wire = {"journal": FORMAT, **cast("dict[str, object]", encode(entry))}
        case Start(at=at, state=state):
            wire = {"at": at, "state": encode(state)}
        case Commit(at=at, items=items):
            wire = {"at": at, "items": [[_name(item), encode(item)] for item in items]}
        case End():
            wire = {"end": entry.value}
    # Not escaped, because two lone surrogates in somebody's name would come back as one character.
    text = json.dumps(wire, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass") + b"\n"


def _name(item: object) -> str:
    name = type(item).__name__
    if ITEMS[name] is not type(item):
        raise KeyError(name)
    return name


def read(lines: Iterable[bytes]) -> Journal:
    """Read a recording.

    Args:
        lines: Of at most `MAX_LINE` bytes each; a longer one may be cut there.

    Raises:
        UTDStreamException: `VALIDATION`: it is no recording, of a newer format, or damaged.
    """
    parsed = _parsed(lines)
    head = [*islice(parsed, 2)]
    if len(head) < 2:
        raise damage(
            "it ends before the state it was to begin with; it was cut off, or its max_bytes were "
            "too few"
        )
    wire, first = head
    if wire.get("journal") != FORMAT:
        raise damage(f"it is not of format {FORMAT}: another version of utd_rx made it")
    header = _required(Header, wire, "its first line")
    kind = KINDS.get(header.type)
    if kind is None:
        raise damage(f"this version cannot replay the type {header.type.value}")
    start = Start(_at(first), _required(kind.state, first.get("state"), "its state"))
    commits: list[Commit] = []
    end: End | None = None
    skipped = 0
    for wire in parsed:
        if "end" in wire:
            end = _required(End, wire["end"], "its end")
            break
        named = wire.get("items")
        if not isinstance(named, list):
            raise damage("a line that is neither a commit nor the end")
        items = [item for item in map(_item, named) if item is not None]
        skipped += len(named) - len(items)
        at = _at(wire)
        if not (commits[-1] if commits else start).at <= at <= start.at + MAX_SPAN:
            raise damage("its times go back, or on for more than a year")
        commits.append(Commit(at, tuple(items)))
    return Journal(header, start, tuple(commits), end, skipped)


def _parsed(lines: Iterable[bytes]) -> Iterator[dict[str, object]]:
    """Yield the objects in `lines`; a last line without its end is dropped."""
    total = 0
    for number, line in enumerate(lines, 1):
        total += len(line)
        if len(line) > MAX_LINE or total > MAX_BYTES + MAX_LINE:
            raise damage(f"line {number} is too long, or the file too large")
        if not line.endswith(b"\n"):  # the writer did not get any further
            return
        try:
            wire = json.loads(line.decode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError) as error:
            raise damage(f"line {number} is no JSON") from error
        if not isinstance(wire, dict):
            raise damage(f"line {number} is no object")
        yield wire


def _item(named: object) -> object | None:
    """Return an item, None when this version does not know it or one of its values."""
    match named:
        case [str(name), value] if name in ITEMS:
            with suppress(DecodeError):
                return decode(ITEMS[name], value)
    return None


def _required(wanted: type[T], value: object, what: str) -> T:
    try:
        return decode(wanted, value)
    except DecodeError as error:
        raise damage(f"{what} cannot be read: {error}") from error


def _at(wire: dict[str, object]) -> float:
    at = _required(float, wire.get("at"), "the time of a line")
    if not math.isfinite(at):
        raise damage("a time that is not finite")
    return at


def damage(message: str) -> UTDStreamException:
    """Return the refusal of a file that is no recording."""
    return invalid(f"not a readable recording: {message}")
