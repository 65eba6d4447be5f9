"""The examples of README and guides, to be run by tests and read by type checkers.

A block of Python stands for itself. What it takes for granted stands before it in a comment that a
reader does not see, and holds for the blocks behind it, up to the next one:

    <!-- given
    async with FakeWorld.on_loop() as world:
    -->

The block goes on as deep as its last line, or deeper where that ends with a colon. After
`<!-- given above -->` each block goes on where those before it have ended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any, Final

from attrs import frozen

ROOT: Final = Path(__file__).parents[2]

PAGES: Final = (
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
)

_PARTS: Final = re.compile(
    r"^<!-- given(?: (?P<above>above) -->|\n(?P<given>.*?)^-->)"
    r"|^(?P<fence>`{3,})python\n(?P<code>.*?)^(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)


@frozen
class Block:
    """A block of Python of a page.

    Attributes:
        page: Its path in the repository.
        line: Where it stands there.
        given: What it takes for granted.
        code: What one reads.
    """

    page: str
    line: int
    given: str
    code: str

    @property
    def name(self) -> str:
        """Of the block, for people and for files."""
        return f"{self.page.removesuffix('.md').replace('/', '-')}-{self.line}"

    @property
    def program(self) -> str:
        """What runs: what is given, and the block."""
        last = self.given.rstrip().rpartition("\n")[2]
        margin = " " * (len(last) - len(last.lstrip()) + 4 * last.endswith(":"))
        return self.given + indent(self.code, margin)


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page, in their order."""
    text, given, above, goes_on = page.read_text(encoding="utf-8"), "", "", False
    name = str(page.relative_to(ROOT))
    for part in _PARTS.finditer(text):
        if part["code"] is None:
            goes_on, given = bool(part["above"]), part["given"]
        else:
            given = f"{above}# and then\n" if goes_on else given
            above += part["code"]
            yield Block(name, text.count("\n", 0, part.start()) + 1, given, part["code"])


def names_of(page: str) -> dict[str, Any]:
    """Return what the examples of `docs/<page>` define."""
    found: dict[str, Any] = {"__name__": page}
    for block in blocks_of(ROOT / "docs" / page):
        exec(compile(block.program, str(ROOT / "docs" / page), "exec"), found)
    return found
