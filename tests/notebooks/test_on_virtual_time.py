"""The notebooks on virtual time: they run, each cell twice, and show what is committed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from tests.notebooks.running import NOTEBOOKS, Cells, code_cells, execute, has_picture, printed

# They depend on no real time, but each starts a kernel, which `make test` has no time for.
pytestmark = pytest.mark.realtime

PICTURES: Final = {
    "agent_in_room.ipynb": {"conversation", "agent"},
    "audio.ipynb": {"conversation", "look", "echo"},
    "composing.ipynb": {"combine", "evening", "held"},
    "live.ipynb": {"film", "stills", "host", "viewer"},
    "properties.ipynb": set(),
    "reconnection.ipynb": {"call", "callee", "missed", "outage", "recording"},
}
"""The cells that show one."""

TOLD: Final = {
    "agent_in_room.ipynb": [("conversation", "user: You spoke for")],
    "audio.ipynb": [("echo", "more than 25 dB softer: True")],
    "composing.ipynb": [("evening", "host: Hello, anna"), ("evening", "6.4 s: mute_participant")],
    "live.ipynb": [("broadcast", "FORBIDDEN"), ("broadcast", "vera saw 30 pictures of sara")],
    "properties.ipynb": [
        ("machine", "state.request_to_speak"),
        ("mended", "8 evenings, and nobody waits"),
        ("keep", "anna sits"),
    ],
    "reconnection.ipynb": [("call", "ended by: CALLEE_HANGUP")],
}


def pictures(cells: Cells) -> dict[str, Any]:
    """What streams did, by cell, as drawn: on virtual time it is the same each time."""
    return {
        name: output["data"]["image/svg+xml"]
        for name, cell in cells.items()
        for output in cell["outputs"]
        if "image/svg+xml" in output.get("data", {})
    }


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_it_runs_and_shows_what_is_committed_with_it(name: str, tmp_path: Path) -> None:
    cells = execute(name, tmp_path, times=2)
    committed = code_cells(NOTEBOOKS / name)
    for cell, text in TOLD[name]:
        assert text in printed(cells[cell])
    assert {cell for cell in cells if has_picture(cells[cell])} == PICTURES[name]
    assert {cell: printed(cells[cell]) for cell in cells} == {
        cell: printed(committed[cell]) for cell in committed
    }
    assert pictures(cells) == pictures(committed)
