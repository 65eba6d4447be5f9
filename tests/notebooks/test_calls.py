"""The notebook of a call runs, each cell twice, and is committed with what it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.notebooks.running import NOTEBOOKS, code_cells, execute, has_picture, printed, shown

NOTEBOOK = "calls.ipynb"


@pytest.mark.realtime  # it hears what was sent
def test_the_notebook_runs_and_shows_what_is_committed_with_it(tmp_path: Path) -> None:
    cells = execute(NOTEBOOK, tmp_path, times=2)
    assert "CONFLICT, BUSY; carl's call: BUSY" in printed(cells["busy"])
    end = printed(cells["end"])
    assert "anna: ENDED, CALLER_HANGUP, connected: False" in end
    assert "ben: ENDED, CALLER_HANGUP, connected: False" in end
    heard = printed(cells["compare"]).splitlines()
    assert [line.endswith("True") for line in heard] == [True, False, True, False]
    assert has_picture(cells["plot"])
    assert shown(cells) == shown(code_cells(NOTEBOOKS / NOTEBOOK))
