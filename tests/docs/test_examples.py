"""Every example of the guides runs as it stands; those with a test of their own run there."""

from __future__ import annotations

import ast
import inspect
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.pages import PAGES, ROOT, Block, blocks_of
from utd_rx.testing import run_virtual

ELSEWHERE = {
    "README.md": "tests/test_readme.py",
    "docs/agent.md": "tests/test_agent_page.py",
    "docs/calls.md": "tests/test_calls_page.py",
    "docs/live.md": "tests/test_live_page.py",
    "docs/testing.md": "tests/test_testing_page.py",
    "docs/threads.md": "tests/inside/test_docs.py",
    "docs/webhooks.md": "tests/engine/test_webhooks_page.py",
}
"""The test of a page whose examples need more than a loop."""

BLOCKS = [
    block
    for page in PAGES
    if str(page.relative_to(ROOT)) not in ELSEWHERE
    for block in blocks_of(page)
]


def test_what_runs_elsewhere_has_a_test() -> None:
    for page, test in ELSEWHERE.items():
        assert page.rpartition("/")[2] in (ROOT / test).read_text()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_example(
    block: Block, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What awaits at its top runs on virtual time; tests that it defines are called."""
    if "fastapi" in block.program and "CI" not in os.environ:
        pytest.importorskip("fastapi")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UTD_APP_ID", "1234567890")
    monkeypatch.setenv("UTD_APP_KEY", "0123456789abcdef0123456789abcdef")
    path = f"{block.page}, line {block.line}"
    code = compile(block.program, path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names: dict[str, Any] = {"__name__": block.name}
    if code.co_flags & inspect.CO_COROUTINE:

        async def main() -> None:
            await eval(code, names)

        run_virtual(main())
    else:
        exec(code, names)
        for test in [one for name, one in names.items() if name.startswith("test_")]:
            test(*map(request.getfixturevalue, inspect.signature(test).parameters))
