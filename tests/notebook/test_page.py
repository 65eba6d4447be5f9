"""The examples of docs/notebook.md run as they stand, one after the other, as cells do."""

from __future__ import annotations

import ast
import re
from inspect import isawaitable
from pathlib import Path
from typing import Any, Final

from utd_rx.notebook import Panel
from utd_rx.testing import FakeWorld, run_virtual

PAGE: Final = Path(__file__).parents[2] / "docs" / "notebook.md"


def test_the_examples_show_a_panel_and_a_picture() -> None:
    cells = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

    async def main() -> None:
        async with FakeWorld.on_loop() as world:
            names: dict[str, Any] = {"room": await world.join_audio_room("host", host=True)}
            shown = [await run(cell, names) for cell in cells]
            panel, picture = shown
            assert isinstance(panel, Panel)
            assert panel.shown["connection"] == "connected"
            assert {"seats", "my_seat"} <= {lane.name for lane in picture.lanes}
            panel.close()

    run_virtual(main())


async def run(cell: str, names: dict[str, Any]) -> Any:
    """Run a cell, and return what its last line shows."""
    *lines, last = ast.parse(cell).body
    assert isinstance(last, ast.Expr)
    for node, mode in ((ast.Module(lines, []), "exec"), (ast.Expression(last.value), "eval")):
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        shown = eval(compile(node, PAGE.name, mode, flags=flags), names)
        if isawaitable(shown):
            shown = await shown
    return shown
