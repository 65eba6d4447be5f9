"""Scripts: one for each session, in Python or from a file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.engine.agent.client import caller, kinds, sound_of
from tests.engine.fakes import HastyClock
from utd_rx.engine.agent import AgentCall, LocalAgent, ScriptedAgent
from utd_rx.engine.agent.script import VERBS, read_scripts
from utd_rx.errors import UTDErrorCode, UTDStreamException


async def test_each_session_has_its_script_and_the_last_one_all_others() -> None:
    agent = ScriptedAgent(
        [lambda call: call.fail("internal_error", "not now"), lambda call: call.close(4000)],
        [lambda call: call.create(), lambda call: call.say("hello")],
    )
    async with LocalAgent(agent) as stub:
        async with caller(stub) as first:
            assert (await first.hear())["type"] == "error"
            assert await first.end() == 4000
        for _ in range(2):
            async with caller(stub) as who:
                events = await who.until("transcript")
                assert kinds(events)[0] == "session.created"
                assert events[-1]["text"] == "hello"


async def test_a_file_says_the_same() -> None:
    scripts = read_scripts(
        '[[["create", {"sample_rate": 8000}], ["say", {"text": "a b", "cut_after": 0.1}],'
        ' ["wait", {"seconds": 0}], ["send", {"kind": "x", "y": 1}], ["finish"]]]'
    )
    async with LocalAgent(ScriptedAgent(*scripts)) as stub, caller(stub) as who:
        assert (await who.hear())["sample_rate"] == 8_000
        events = await who.until("session.closed")
        assert len(sound_of(events)) == 2_400
        assert events[-2] == {"type": "x", "y": 1}
        assert await who.end() == 1000


async def test_the_script_of_the_page_does_what_it_says() -> None:
    page = (Path(__file__).parents[3] / "docs/agent.md").read_text(encoding="utf-8")
    [script] = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    async with LocalAgent(ScriptedAgent(*read_scripts(script)), clock=HastyClock()) as stub:
        async with caller(stub) as first:
            assert (await first.hear())["code"] == "worker_not_ready"
            assert await first.end() == 4000
        async with caller(stub) as second:
            events = await second.until("session.closed")
            assert await second.end() == 1000
    assert kinds(events) == [
        *("session.created", "agent_start_talking", "agent_stop_talking", "transcript"),
        *("agent.start_talking", "interruption", "agent.stop_talking", "transcript"),
        "session.closed",
    ]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "JSON"),
        ("[" * 100_000, "JSON"),
        ("{}", "list"),
        ("[[], {}]", "list"),
        ("[]", "needs a script"),
        ("[[[]]]", "verb"),
        ("[[7]]", "verb"),
        ('[["say"]]', "verb"),
        ('[[["serve", {}]]]', "verb"),
        ('[[["say", {}]]]', "say: missing"),
        ('[[["say", {"loudly": true}]]]', "say: "),
        ('[[["cut", 7]]]', "verb"),
    ],
)
def test_a_file_that_is_no_script_is_refused(text: str, word: str) -> None:
    with pytest.raises(UTDStreamException, match=word) as caught:
        ScriptedAgent(*read_scripts(text))
    assert caught.value.code is UTDErrorCode.VALIDATION


def test_every_verb_is_a_method() -> None:
    assert [verb for verb in VERBS if not callable(getattr(AgentCall, verb, None))] == []
