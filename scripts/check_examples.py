"""Hold the examples of pages and of `examples/` against mypy --strict and pyright: `make check`.

Each block becomes a file of its own, with what its page takes for granted (`tests/support/pages.py`
says how that is written). What a type checker says of one is told with the page and line.

    python scripts/check_examples.py [PAGE …]
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from textwrap import indent
from typing import Final

ROOT: Final = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.pages import PAGES, Block, blocks_of  # noqa: E402 - the line above finds it

RULES: Final = {
    "typeCheckingMode": "standard",
    "pythonVersion": "3.11",
    "reportMissingModuleSource": False,  # as mypy's `ignore_missing_imports`
}


def source(block: Block) -> str:
    """Return the block as a module; what awaits at its top is put into a coroutine function."""
    program = block.program
    try:
        compile(program, block.name, "exec")
    except SyntaxError:
        return f"async def example() -> None:\n{indent(program, '    ')}\n"
    return program


def main(names: list[str]) -> int:
    pages = [ROOT / name for name in names] or PAGES
    with TemporaryDirectory() as folder:
        files = {}
        for block in (found for page in pages for found in blocks_of(page)):
            path = Path(folder, block.name.replace("-", "_").replace(".", "_") + ".py")
            path.write_text(source(block), encoding="utf-8")
            files[path.name] = f"{block.page}:{block.line} +"
        for example in [] if names else sorted(ROOT.glob("examples/*.py")):
            copy(example, folder)
            files[example.name] = f"examples/{example.name}:"
        Path(folder, "pyrightconfig.json").write_text(json.dumps(RULES), encoding="utf-8")
        mypy = ["mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"), folder]
        pyright = ["pyright", "--pythonpath", sys.executable, "--project", folder]
        results = [
            subprocess.run(
                [sys.executable, "-m", *tool], cwd=ROOT, capture_output=True, text=True, check=False
            )
            for tool in (mypy, pyright)
        ]
    for result in results:
        told = result.stdout + result.stderr * bool(result.returncode)
        for file, place in files.items():
            told = told.replace(f"{folder}/{file}", place)
        print(told, end="")
    print(f"{len(files)} examples")
    return max(result.returncode for result in results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
