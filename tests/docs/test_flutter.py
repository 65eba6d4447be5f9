"""What docs/flutter.md puts beside a member of the seeds is there."""

from __future__ import annotations

import re

import pytest

import utd_rx
from tests.support.pages import ROOT

PAGE = (ROOT / "docs" / "flutter.md").read_text()
SECTIONS = {
    title: re.findall(r"^\| (?!Flutter|the guide|---)(.*?) \| (.*) \|$", text, re.MULTILINE)
    for title, text in re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
}
MEMBERS = {
    "UTDStreamClient": 7,
    "UTDSession": 11,
    "UTDCallSession": 8,
    "UTDLiveStreamSession": 9,
    "UTDAudioRoomSession": 9,
    "UTDRoom": 7,
    "AtomsAgentSession": 17,
}
"""How many the seeds have of each; two bases count once."""


def test_every_class_is_there_with_all_of_its_members() -> None:
    assert {title: len(rows) for title, rows in SECTIONS.items()} == MEMBERS


@pytest.mark.parametrize("title", MEMBERS)
def test_what_stands_beside_a_member_exists(title: str) -> None:
    own = getattr(utd_rx, title)
    for theirs, ours in SECTIONS[title]:
        for name in re.findall(r"`(\w+)(?:\(.*?\))?`", ours):
            declared = any(name in vars(base).get("__annotations__", ()) for base in own.__mro__)
            assert declared or hasattr(own, name) or hasattr(utd_rx, name) or name.isupper(), theirs
