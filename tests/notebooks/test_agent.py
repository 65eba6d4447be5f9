"""A voice agent's notebook runs, each cell twice, and is committed with what it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.notebooks.running import NOTEBOOKS, code_cells, execute, has_picture, printed, shown

NOTEBOOK = "agent.ipynb"


@pytest.mark.realtime  # it interrupts at a moment
def test_the_notebook_runs_and_shows_what_is_committed_with_it(tmp_path: Path) -> None:
    cells = execute(NOTEBOOK, tmp_path, times=2)
    assert "heard to the sample: True" in printed(cells["compare"])
    assert "(cut off)" in printed(cells["cut"])
    assert printed(cells["tool"]) == "It is sunny in Vienna.\n"
    assert printed(cells["end"]).endswith("CLOSED\nfailure: None\n")
    assert "SPEAKING -> LISTENING -> CLOSED" in printed(cells["end"])
    assert has_picture(cells["plot"])
    # How far the story came is not said twice alike.
    assert shown(cells).keys() == shown(code_cells(NOTEBOOKS / NOTEBOOK)).keys()
