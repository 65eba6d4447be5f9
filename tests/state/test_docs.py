"""Each promise of docs/state.md has an example, which tests/docs/test_examples.py runs."""

from __future__ import annotations

import re

from tests.support.pages import ROOT

TEXT = (ROOT / "docs" / "state.md").read_text()
PROMISES = re.findall(r"^### (\d)\. ", TEXT, re.MULTILINE)


def test_each_promise_has_an_example() -> None:
    assert "".join(PROMISES) == "12345678"
    for section in re.split(r"^### \d\. ", TEXT, flags=re.MULTILINE)[1:]:
        example = re.search(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
        assert example is not None
        assert len(example[1].splitlines()) <= 6
        assert "*Stock RxPY*" in section
