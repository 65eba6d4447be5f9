"""Where no event loop of asyncio runs, everything that needs one says so, and how to get it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from utd_rx import (
    ArraySource,
    AtomsAgentSession,
    Camera,
    Microphone,
    Screen,
    Speaker,
    Store,
    TestPattern,
    ToneSource,
    UTDApiClient,
    UTDRoom,
    UTDStreamClient,
    UTDStreamException,
)
from utd_rx.engine import LocalEngine
from utd_rx.engine.agent import LocalAgent
from utd_rx.errors import ConflictReason

CLIENT = UTDStreamClient("1", "k")
API = UTDApiClient("https://api.example.com", app_id="1", app_key="k")
SILENCE = ArraySource(np.zeros((480, 1), np.int16), 48_000)
WHAT_NEEDS_ONE: dict[str, Callable[[], object]] = {
    "an audio room": lambda: CLIENT.audio_room("ana", "lobby"),
    "a live stream": lambda: CLIENT.live_stream("ana", "lobby"),
    "an agent's session": lambda: AtomsAgentSession("key", "agent"),
    "joining": lambda: CLIENT.join_audio_room("ana", "lobby"),
    "signing in": lambda: CLIENT.authenticate("ana"),
    "closing a client": lambda: CLIENT.aclose(),
    "closing an API client": lambda: API.aclose(),
    "a media room": lambda: UTDRoom().connect("wss://media.example.com", "t"),
    "an engine": lambda: LocalEngine().start(),
    "an agent": lambda: LocalAgent().start(),
    "a microphone": lambda: Microphone().open(print),
    "closing a microphone": lambda: Microphone().aclose(),
    "a speaker": lambda: Speaker().open(),
    "a tone": lambda: ToneSource().open(print),
    "an array": lambda: SILENCE.open(print),
    "a pattern": lambda: TestPattern().open(print),
    "a camera": lambda: Camera().open(print),
    "a screen": lambda: Screen().open(print),
}


def begin(what: object) -> None:
    """Await as a plain thread does, or trio: without a loop of asyncio."""
    if isinstance(what, Awaitable):
        what.__await__().__next__()


@pytest.mark.parametrize("name", WHAT_NEEDS_ONE)
def test_it_is_refused_with_what_is_needed(name: str) -> None:
    with pytest.raises(UTDStreamException, match=r"loop of asyncio.*asyncio\.run\(\)") as raised:
        begin(WHAT_NEEDS_ONE[name]())
    assert raised.value.reason is ConflictReason.FOREIGN_LOOP


def test_so_is_waiting_for_a_value() -> None:
    number = Store(0, lambda _, item: item).select(lambda n: n)
    with pytest.raises(RuntimeError, match=r"asyncio\.run\(\) runs, or read `\.value`"):
        begin(number.until(3))
