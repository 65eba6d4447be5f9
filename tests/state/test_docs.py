"""Every Python block of docs/state.md runs as it stands there."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from tests.sessions.stage import Stage
from tests.state.virtual import run
from utd_rx.state import Store

TEXT = (Path(__file__).parents[2] / "docs" / "state.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
PROMISES = re.findall(r"^### (\d)\. ", TEXT, re.MULTILINE)


def test_each_promise_has_an_example() -> None:
    assert "".join(PROMISES) == "12345678"
    for section in re.split(r"^### \d\. ", TEXT, flags=re.MULTILINE)[1:]:
        example = re.search(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
        assert example is not None
        assert len(example[1].splitlines()) <= 5
        assert "*Stock RxPY*" in section


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[-1])
def test_block(block: str, tmp_path: Path) -> None:
    import asyncio

    store: Store[Any, Any] = Store(0, lambda state, item: item)
    names: dict[str, Any] = {
        "Store": Store,
        "asyncio": asyncio,
        "log": [],
        "number": store.select(lambda n: n, name="number"),
        "path": tmp_path / "session.jsonl",
        "pytest": pytest,
        "store": store,
    }
    code = compile(block, "docs/state.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    async def main() -> None:
        stage = Stage()
        async with stage.session as names["session"]:
            result = eval(code, names)
            if inspect.isawaitable(result):
                await result

    if code.co_flags & inspect.CO_COROUTINE:
        run(main())
    else:
        exec(code, names)
