"""A recorded session as JSON lines: where it began, and every item since, commit by commit.

The rules are pure, so these are the whole session; streams are computed again. A file is

    {"journal": 2, "type": "audio_room", "identity": …, "room": …, "started_at": …, "redacted": …}
    {"at": 12.5, "state": {…}}
    {"at": 12.7, "items": [["ParticipantConnected", {…}], …]}          one line per commit
    {"end": "closed"}

Times are the session's monotonic seconds. Reading trusts nothing: the file names types only out
of the row of its kind, its values have to fit their fields, size and lines have limits. A last line
that a crash cut off is dropped. What a newer version wrote is read as far as it is known: other
items are skipped and counted, other fields ignored. Anything else that does not fit is damage, and
refused with the number of the line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from enum import Enum
from typing import Any, Final, TypeVar, cast

from attrs import field, frozen

from utd_rx.errors import UTDStreamException, invalid
from utd_rx.models.stream_type import SessionType
from utd_rx.models.typed_json import DecodeError, decode, encode
from utd_rx.protocol.kinds import KINDS

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


class End(Enum):
    """Why a recording ended."""

    CLOSED = "closed"  # the session
    STOPPED = "stopped"  # the recording, before the session
    FULL = "full"
    FAILED = "failed"  # it could not be written on, or not fast enough


@frozen
class Header:
    """What a recording is of; `started_at` is ISO 8601 UTC."""

    type: SessionType
    identity: str
    room: str
    started_at: str
    redacted: bool


@frozen
class Start:
    at: float
    state: Any


@frozen
class Commit:
    at: float
    items: tuple[object, ...]


@frozen
class Journal:
    """A recording that was read: `end` None when cut off, `skipped` the items not known here."""

    header: Header
    start: Start = field(repr=False)
    commits: tuple[Commit, ...] = field(repr=False)
    end: End | None
    skipped: int


def line_of(entry: Header | Start | Commit | End) -> bytes:
    """Return the line of an entry; `KeyError` for an item that no kind is told."""
    match entry:
        case Header():
            wire = {"journal": FORMAT, **cast("dict[str, object]", encode(entry))}
        case Start(at=at, state=state):
            wire = {"at": at, "state": encode(state)}
        case Commit(at=at, items=items):
            wire = {"at": at, "items": [[_name_of(item), encode(item)] for item in items]}
        case End():
            wire = {"end": entry.value}
    # Not escaped, because two lone surrogates in somebody's name would come back as one character.
    text = json.dumps(wire, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass") + b"\n"


def read(lines: Iterable[bytes]) -> Journal:
    """Read lines, cut at `MAX_LINE`; `VALIDATION` when damaged, of another format, or nothing."""
    parsed = _parsed(lines)
    wire, first = next(parsed, None), next(parsed, None)
    if wire is None or first is None:
        raise damage(
            "it ends before the state it was to begin with; it was cut off, or its max_bytes were "
            "too few"
        )
    if wire.get("journal") != FORMAT:
        raise damage(f"it is not of format {FORMAT}: another version of utd_rx made it")
    header = _required(Header, wire, "its first line")
    kind = KINDS.get(header.type)
    if kind is None:
        raise damage(f"this version cannot replay the type {header.type.value}")
    start = Start(_at(first), _required(kind.state, first.get("state"), "its state"))
    known = {item.__name__: item for item in kind.facts}
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
        items = [item for one in named if (item := _item(known, one)) is not None]
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


def _name_of(item: object) -> str:
    if not any(type(item) in kind.facts for kind in KINDS.values()):
        raise KeyError(type(item))
    return type(item).__name__


def _item(known: Mapping[str, type], named: object) -> object | None:
    """Return an item, None when this version does not know it or one of its values."""
    match named:
        case [str(name), value] if name in known:
            with suppress(DecodeError):
                return decode(known[name], value)
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
