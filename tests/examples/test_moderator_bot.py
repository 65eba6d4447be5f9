"""Whatever is said in a chat, by whoever comes back: who offends is warned, kicked, banned."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.examples import moderator_bot
from tests.examples.planting import AppMachine, planted, play, story_of

NAMES: Final = ("ben", "cleo")
PEOPLE: Final = st.sampled_from(NAMES)
BAD: Final = "you fool"
WORDS: Final = st.sampled_from(["good morning", BAD, "What a FOOL"])


class ChatMachine(AppMachine):
    """A room with a moderator, and people who talk."""

    app = moderator_bot

    def __init__(self) -> None:
        super().__init__()
        self.host = self.world.join_audio_room("host", host=True, seats=2)
        self.people = {name: self.world.join_audio_room(name) for name in NAMES}
        self.warned: Counter[str] = Counter()
        self.strikes: Counter[str] = Counter()
        self.admins: set[str] = set()
        self.away: set[str] = set()
        for name, session in self.people.items():
            session.messages("warning").subscribe(lambda _, name=name: self.warned.update([name]))
        self.world.network.delay("host", 0.1)  # the moderator is not beside the chat
        self.world.spawn(self.app.ModeratorBot(self.host, frozenset(["fool"])).run())

    @rule(who=PEOPLE, text=WORDS)
    def says(self, who: str, text: str) -> None:
        if who not in self.away:
            self.world.run(self.people[who].chat.send(text))
            self.judge(who, text)
        self.world.advance(1.0)

    @rule(who=PEOPLE)
    def swears_and_leaves(self, who: str) -> None:
        if who not in self.away | self.admins:
            self.world.run(self.people[who].chat.send(BAD))
            self.world.run(self.people[who].leave())
            self.judge(who, BAD)
            self.away.add(who)
        self.world.advance(1.0)

    @rule(who=PEOPLE)
    def comes_back(self, who: str) -> None:
        if who in self.away and self.tries(self.people[who].join()):
            assert self.strikes[who] < 3, "who is banned came back"
            self.away.remove(who)

    @rule(who=PEOPLE)
    def is_made_admin(self, who: str) -> None:
        if self.tries(self.host.set_role(who, "admin")):
            self.admins.add(who)

    def check(self) -> None:
        for who, session in self.people.items():
            assert session.connected.value is (who not in self.away), who
            assert (session.banned.value is not None) is (self.strikes[who] > 2), who

    def judge(self, who: str, text: str) -> None:
        """Note what somebody deserves."""
        if "fool" in text.lower() and who not in self.admins:
            self.strikes[who] += 1
            if self.strikes[who] > 1:
                self.away.add(who)


def test_who_offends_is_warned_kicked_and_banned() -> None:
    play(ChatMachine)


@pytest.mark.long
@pytest.mark.parametrize(
    ("line", "instead", "steps"),
    [
        pytest.param("if key not in self._judged:", "if key:", 2, id="what was said counts again"),
        pytest.param(
            "key = (message.sender, message.id)",
            "key = (message.sender, message.text)",
            2,
            id="the same words count once",
        ),
        pytest.param(
            "is not UTDErrorCode.NOT_FOUND",
            "is not UTDErrorCode.CONFLICT",
            2,
            id="who left is the end",
        ),
    ],
)
def test_a_bug_is_found_in_a_short_story(line: str, instead: str, steps: int) -> None:
    story = story_of(ChatMachine, planted(moderator_bot, line, instead))
    assert 1 <= len(story) <= steps + 3, story
