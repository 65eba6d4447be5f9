"""What the echo agent takes for a turn, to the sample, and that it says that back."""

from __future__ import annotations

import numpy as np
import pytest

from tests.engine.agent.client import Caller, caller, kinds, sound_of
from tests.engine.fakes import HastyClock
from utd_rx.engine.agent import EchoAgent, LocalAgent
from utd_rx.engine.agent.echo import LONGEST_SECONDS, PAUSE_SECONDS, EchoEar
from utd_rx.models.audio import Samples

RATE = 8_000
PIECE = RATE // 50


def tone(seconds: float, rate: int = RATE) -> Samples:
    at = np.arange(round(seconds * rate))
    loud: Samples = (8000 * np.sin(at * 0.3 + 1)).astype(np.int16)
    return loud


def quiet(seconds: float, rate: int = RATE) -> Samples:
    """A room: noise at about -55 dBFS."""
    return np.random.default_rng(1).integers(-100, 100, round(seconds * rate), np.int16)


def heard(*sounds: Samples, size: int = PIECE) -> list[Samples]:
    ear, sound = EchoEar(RATE), np.concatenate(sounds)
    pieces = (sound[at : at + size] for at in range(0, len(sound), size))
    return [turn for piece in pieces if (turn := ear.hear(piece)) is not None]


@pytest.mark.parametrize("size", [PIECE, 2 * PIECE, PIECE // 2])
def test_a_turn_is_what_lies_between_two_pauses(size: int) -> None:
    turns = heard(quiet(1), tone(0.4), quiet(0.6), tone(0.2), quiet(0.6), size=size)
    assert [len(turn) for turn in turns] == [0.4 * RATE, 0.2 * RATE]
    assert np.array_equal(turns[0], tone(0.4))


def test_a_short_pause_belongs_to_the_turn() -> None:
    said = tone(0.2), quiet(PAUSE_SECONDS - 0.02), tone(0.2)
    turns = heard(*said, quiet(1))
    assert len(turns) == 1
    assert np.array_equal(turns[0], np.concatenate(said))


def test_a_click_is_no_turn_and_neither_is_silence() -> None:
    assert heard(quiet(1), tone(0.04), quiet(1), tone(0.04), quiet(1)) == []
    assert heard(np.zeros(2 * RATE, np.int16), np.zeros(0, np.int16)) == []


def test_a_turn_without_end_ends() -> None:
    turns = heard(tone(LONGEST_SECONDS + 1), quiet(1))
    assert [len(turn) for turn in turns] == [LONGEST_SECONDS * RATE, RATE]


async def next_reply(who: Caller) -> list[dict[str, object]]:
    return await who.until("transcript", role="assistant")


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
async def test_what_is_said_comes_back_to_the_sample(rate: int) -> None:
    async with (
        LocalAgent(clock=HastyClock()) as agent,
        caller(agent, sample_rate=str(rate)) as who,
    ):
        assert (await who.hear())["sample_rate"] == rate
        await who.speak(np.concatenate([tone(0.4, rate), quiet(0.6, rate)]), rate)
        events = await next_reply(who)
    assert kinds(events) == [
        "transcript",
        "agent_start_talking",
        "agent_stop_talking",
        "transcript",
    ]
    said = [(one["type"], one["text"]) for one in events if one.get("role") == "user"]
    assert said == [
        ("transcript.delta", "You spoke for 0.1 s"),
        ("transcript", "You spoke for 0.4 s"),
    ]
    assert np.array_equal(sound_of(events), tone(0.4, rate))


async def test_what_is_typed_is_said_and_in_a_chat_without_a_sound() -> None:
    async with LocalAgent(EchoAgent(dotted=True), clock=HastyClock()) as agent:
        for mode in ("webcall", "chat"):
            async with caller(agent, mode=mode) as who:
                await who.hear()
                await who.send("input_text.send", text="good morning everybody")
                assert (await who.hear())["role"] == "user"
                events = await next_reply(who)
                assert kinds(events)[:-1] == ["agent.start_talking", "agent.stop_talking"]
                assert events[-1]["text"] == "good morning everybody"
                assert bool(len(sound_of(events))) is (mode == "webcall")


@pytest.mark.parametrize("by", ["voice", "text"])
async def test_who_speaks_over_it_interrupts_it(by: str) -> None:
    """Also when everything was sent and is still being heard."""
    clock = HastyClock()  # on which no sound is ever heard to its end by itself
    async with LocalAgent(clock=clock) as agent, caller(agent) as who:
        await who.hear()
        await who.send("input_text.send", text="one two three")
        await next_reply(who)
        if by == "voice":
            await who.speak(tone(0.1, 24_000))
        else:
            await who.send("input_text.send", text="four")
        assert (await who.hear())["type"] == "interruption"
        await clock.advance(10)
        await who.send("input_text.send", text="five")
        await who.until("transcript", role="user", text="five")
        assert "interruption" not in kinds(await next_reply(who))
