"""Whatever is said in a chat, by whoever comes back: who offends is warned, kicked, banned."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any, Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from examples import moderator_bot
from tests.examples.planting import SHORT, AppMachine, planted, play, story_of

NAMES: Final = ("ben", "cleo")
PEOPLE: Final = st.sampled_from(NAMES)
BAD: Final = "you fool"
WORDS: Final = st.sampled_from(["good morning", BAD, "What a FOOL"])


class ChatMachine(AppMachine):
    """A room with a moderator, and people who talk."""

    app: Any = moderator_bot

    def __init__(self) -> None:
        super().__init__()
        self.host = self.world.join_audio_room("host", host=True, seats=2)
        self.people = {name: self.world.join_audio_room(name) for name in NAMES}
        self.warned: Counter[str] = Counter()
        self.deserved: set[str] = set()
        self.strikes: Counter[str] = Counter()
        self.admins: set[str] = set()
        self.away: set[str] = set()
        for name, session in self.people.items():
            session.messages("warning").subscribe(partial(self.is_warned, name))
        self.world.network.delay("host", 0.1)  # the moderator is not beside the chat
        self.world.spawn(self.app.ModeratorBot(self.host, frozenset(["fool"])).run())

    @rule(who=PEOPLE, text=WORDS)
    def says(self, who: str, text: str) -> None:
        if who not in self.away:
            self.world.run(self.people[who].chat.send(text))
            if self.judge(who, text) == 1:
                self.deserved.add(who)
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
            assert self.warned[who] == (who in self.deserved), who
        banned = {ban.identity for ban in self.world.run(self.host.bans())}
        assert banned == {who for who in NAMES if self.strikes[who] > 2}

    def is_warned(self, who: str, _: object) -> None:
        self.warned[who] += 1

    def judge(self, who: str, text: str) -> int:
        """Note what somebody deserves; say which strike it is, 0 for none."""
        if "fool" not in text.lower() or who in self.admins:
            return 0
        self.strikes[who] += 1
        if self.strikes[who] > 1:
            self.away.add(who)
        return self.strikes[who]


def test_who_offends_is_warned_kicked_and_banned() -> None:
    play(ChatMachine)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("line", "instead"),
    [
        pytest.param("if key not in self._judged:", "if key:", id="what was said counts again"),
        pytest.param(
            "key = (message.sender, message.id)",
            "key = (message.sender, message.text)",
            id="the same words count once",
        ),
        pytest.param("in (UTDRole.HOST, UTDRole.ADMIN)", "is UTDRole.HOST", id="admins mind, too"),
    ],
)
def test_a_bug_is_found_in_a_short_story(line: str, instead: str) -> None:
    story = story_of(ChatMachine, planted(moderator_bot, line, instead))
    assert 1 <= len(story) <= SHORT, story
