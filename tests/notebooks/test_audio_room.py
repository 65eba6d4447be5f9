"""The first room runs from top to bottom, each cell twice, and is committed with what it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.notebooks.running import NOTEBOOKS, code_cells, execute, has_picture, printed, shown

NOTEBOOK = "audio_room.ipynb"


@pytest.mark.realtime  # it hears what was sent
def test_the_notebook_runs_hears_what_was_sent_and_replays_what_it_saw(tmp_path: Path) -> None:
    cells = execute(NOTEBOOK, tmp_path, times=2)
    assert "refused: FORBIDDEN" in printed(cells["refusal"])
    assert "the comparison is a match: True" in printed(cells["compare"])
    assert has_picture(cells["plot"])
    assert has_picture(cells["replay"])
    equal = printed(cells["equal"])
    assert "can_publish: [True, False, True]" in equal
    assert "the replay equals the live values: True" in equal
    assert "sami is connected: False" in printed(cells["close"])
    assert "the folder is there: False" in printed(cells["close"])
    # What happens again is seen again.
    again, committed = shown(cells), shown(code_cells(NOTEBOOKS / NOTEBOOK))
    for cell in ("selected", "equal"):
        del again[cell], committed[cell]
    assert again == committed
