"""The README's example runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_example_runs_and_is_on_air() -> None:
    examples = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 1
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", examples[0]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "['ada', None" in done.stdout
    assert "on air: True" in done.stdout


def test_on_a_package_index_no_link_leads_into_the_repository() -> None:
    project = tomllib.loads((README.parent / "pyproject.toml").read_text(encoding="utf-8"))
    shown = README.read_text(encoding="utf-8")
    assert re.search(r"\]\((?!https?:)", shown)
    for made in project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        shown = re.sub(made["pattern"], made["replacement"], shown)
    assert not re.search(r"\]\((?!https?:)", shown)
    assert "docs/state.md what a stream promises" in shown


def test_the_first_screen_holds_both_commands_and_what_to_type_without_make() -> None:
    first_screen = "\n".join(README.read_text(encoding="utf-8").splitlines()[:24])
    for command in ("make demo", "make test", "utd-rx demo", "-m pytest"):
        assert command in first_screen
