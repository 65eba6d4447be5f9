"""The seat grid as a client sees it (docs/contract.md, "Seats").

Theory of operation. The engine is the only writer of seats; this is the only writer of the
client's copy. A grid comes in three ways, which are not equally good:

| way | worth |
| --- | --- |
| room metadata `_seats` | news: only the engine can write it |
| `GET`, asked for here | true when it was asked |
| a push: seats, queue, mode | a hint: it has no sender, nor has a newcomer's, for 3 s |

News begins a new *generation*, and a `GET` counts only in the one in which it was asked. Where the
engine numbers its grids (`revision`), an older number never replaces a newer one. Where it does
not, of two `GET`s that overlapped the first answer counts, and when the other one differs the
engine is asked again: it alone can say which is older.

A hint of something other than what is known makes the copy *stale*: the engine is asked, once at a
time, and once more when hints came meanwhile; so a forger costs one request under way, and moves
nobody. Nor is anything optimistic: taking a seat changes nothing until the engine says so.
"""

from __future__ import annotations

from attrs import evolve, frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.seats import UTDSeatGrid
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts import seats as facts
from utd_rx.protocol.wire.seats import keep_attributes


@frozen
class Seats:
    """The client's copy of the grid.

    It `is_known` once the engine has told it in this join, `is_stale` when there may be a newer
    one, and `is_hinted` when nothing but hints made it so, or ask. `generation` counts the news,
    `answers` the `GET`s that replaced it, `late` the grids that were older and dropped, and
    `disproved` the requests that only hints had caused and that brought nothing new.
    """

    grid: UTDSeatGrid = UTDSeatGrid()
    is_known: bool = False
    is_stale: bool = False
    is_asked: bool = False
    generation: int = 0
    answers: int = 0
    failure: UTDStreamException | None = None
    late: int = 0
    is_hinted: bool = False
    disproved: int = 0


def step(seats: Seats, fact: object) -> Seats:
    """Return the copy after `fact`; total, anything but a grid changes nothing."""
    match fact:
        case facts.SeatGridReceived(grid=told):
            grid = keep_attributes(told, seats.grid)
            if seats.is_known and grid == seats.grid:
                return seats
            if _is_older(grid, seats):
                return evolve(seats, late=seats.late + 1)
            return evolve(seats, grid=grid, is_known=True, generation=seats.generation + 1)
        case facts.SeatGridHinted(grid=told):
            grid = keep_attributes(told, seats.grid)
            is_news = grid != seats.grid and not _is_older(grid, seats)
            return _hinted(seats) if is_news else seats
        case facts.QueueHinted(request_id=request_id, is_pending=is_pending):
            is_news = seats.grid.is_pending(request_id) is not is_pending
            return _hinted(seats) if is_news else seats
        case facts.ModeHinted(mode_id=mode_id, seat_count=count):
            known = (seats.grid.mode_id, seats.grid.count)
            is_news = known != (mode_id, seats.grid.count if count is None else count)
            return _hinted(seats) if is_news else seats
        case facts.SeatGridFetched(grid=told, generation=generation, answers=answers):
            grid = keep_attributes(told, seats.grid)
            is_disproof = seats.is_known and seats.is_hinted and grid == seats.grid
            seats = evolve(
                seats, is_asked=False, failure=None, is_hinted=seats.is_hinted and seats.is_stale
            )
            if generation != seats.generation or _is_older(grid, seats):
                return evolve(seats, late=seats.late + 1)
            if grid.revision is None and answers not in (None, seats.answers):
                overlapped = evolve(seats, late=seats.late + 1)
                return overlapped if grid == seats.grid else stale(overlapped)
            return evolve(
                seats,
                grid=grid,
                is_known=True,
                answers=seats.answers + 1,
                disproved=seats.disproved + is_disproof,
            )
        case facts.SeatsNotFetched(error=error):
            # Not asked again at once: whatever keeps the engine from answering needs time, and
            # the next hint or reconnect asks.
            return evolve(seats, is_asked=False, is_stale=False, failure=error)
    return seats


def stale(seats: Seats) -> Seats:
    """Return the copy that is to be asked for anew."""
    return evolve(seats, is_stale=True, is_hinted=False)


def _hinted(seats: Seats) -> Seats:
    """Return the copy that is to be asked for because of a message that proves nothing."""
    has_reason = (seats.is_stale or seats.is_asked) and not seats.is_hinted
    return evolve(seats, is_stale=True, is_hinted=not has_reason)


def forgotten(seats: Seats) -> Seats:
    """Return the copy while there is no connection: what the engine says now is not heard."""
    blank = Seats(generation=seats.generation, late=seats.late, disproved=seats.disproved)
    return blank if seats == blank else evolve(blank, generation=seats.generation + 1)


def follow_up(seats: Seats) -> tuple[Seats, Effects]:
    """Ask for the grid when the copy is stale and no request is under way."""
    if not seats.is_stale or seats.is_asked:
        return seats, ()
    asking = evolve(seats, is_stale=False, is_asked=True)
    return asking, (facts.FetchSeats(seats.generation, seats.answers),)


def _is_older(grid: UTDSeatGrid, seats: Seats) -> bool:
    known = seats.grid.revision if seats.is_known else None
    return known is not None and grid.revision is not None and grid.revision < known
