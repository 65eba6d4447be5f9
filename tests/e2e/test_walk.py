"""The walk of a value through the code is as long as docs/architecture.md says, and no longer."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import utd_rx
from tests.e2e.house import PATIENCE, House
from utd_rx.models.seats import UTDSeatGrid

PAGE = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()
HERE = f"{Path(utd_rx.__file__).parent}/"  # a clone may be called so, too


def stack(frame: FrameType | None) -> tuple[str, ...]:
    """Return the functions of the client on the stack, the outermost first; no engine's."""
    found = list[str]()
    while frame is not None:
        _, _, path = frame.f_code.co_filename.rpartition(HERE)
        if HERE in frame.f_code.co_filename and not path.startswith(("engine/", "testing/")):
            found.append(f"{path}: {frame.f_code.co_qualname}")
        frame = frame.f_back
    return tuple(reversed(found))


def watching(walks: dict[str, tuple[str, ...]]) -> Callable[[FrameType, str, object], None]:
    """Return what notes how the seat's request and its news get to the ends of their ways."""

    def profile(frame: FrameType, event: str, _: object) -> None:
        code, told = frame.f_code, frame.f_locals
        if event != "call" or HERE not in code.co_filename:
            return
        match code.co_qualname:
            case "UTDApiClient.request" if str(told["path"]).endswith("/take"):
                walks.setdefault("asked", stack(frame))
            case "LiveRoom._tell" if "metadata" in str(told["event"]):
                walks.setdefault("heard", stack(frame))
            case "step" if code.co_filename.endswith("protocol/seats.py") and any(
                seat.identity for seat in getattr(getattr(told["fact"], "grid", None), "seats", ())
            ):
                walks.setdefault("judged", stack(frame))

    return profile


async def test_the_walk_of_a_seat_is_as_the_page_says(house: House) -> None:
    session = await house.join("me", as_host=True, seat_count=4)
    walks = dict[str, tuple[str, ...]]()

    def show(grid: UTDSeatGrid) -> None:
        if grid.seats[1].identity:
            walks.setdefault("shown", stack(sys._getframe()))

    session.seats.subscribe(show)
    sys.setprofile(watching(walks))
    try:
        await session.take_seat(1, microphone=False)
        await session.seats.until(lambda grid: grid.seats[1].identity == "me", timeout=PATIENCE)
    finally:
        sys.setprofile(None)
    back = {*walks["heard"], *walks["judged"], *walks["shown"]}
    files = {call.partition(":")[0] for call in back}
    told = re.search(r"(\d+) calls out, (\d+) in (\d+) files back", PAGE)
    assert told is not None
    found = len(walks["asked"]), len(back), len(files)
    assert found == tuple(map(int, told.groups())), "\n".join([*walks["asked"], *sorted(back)])
