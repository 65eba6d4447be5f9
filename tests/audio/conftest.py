"""The sound card of the tests: PortAudio streams over PulseAudio null sinks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.audio.cable import Kept
from tests.audio.cards import Cards, FakeInput, FakeOutput
from tests.support.pulse import Bench, is_audio_required, missing_audio
from utd_rx.audio import lookout, portaudio, supervisor
from utd_rx.audio.capture import CaptureSide
from utd_rx.audio.playback import PlaybackSide
from utd_rx.models.devices import AudioDevice, AudioDirection


@pytest.fixture(scope="session")
def _bench() -> Iterator[Bench]:
    bench = Bench()
    bench.start()
    yield bench
    bench.stop()


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest) -> Bench:
    """Two virtual cables that PortAudio finds as devices, for the whole run."""
    missing = missing_audio()
    if missing is not None:
        if is_audio_required():
            pytest.fail(missing)
        pytest.skip(missing)
    started: Bench = request.getfixturevalue("_bench")
    portaudio.refresh()  # PortAudio looked around when it was loaded, before there were cables
    return started


@pytest.fixture
async def kept() -> AsyncIterator[Kept]:
    """Open through it what the test need not close itself."""
    async with Kept() as kept:
        yield kept


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cards]:
    made = Cards()
    monkeypatch.setattr(
        CaptureSide, "connect", lambda side, choice, wake: made.hear(side, choice, wake)
    )
    monkeypatch.setattr(
        PlaybackSide, "connect", lambda side, choice, wake: made.play(side, choice, wake)
    )
    listed = tuple(AudioDevice("card", "card", way, 1, 48_000, True) for way in AudioDirection)
    monkeypatch.setattr(lookout, "look", lambda max_age=0.0: listed)
    monkeypatch.setattr(portaudio, "restart", lambda: None)
    monkeypatch.setattr(supervisor, "RETRY", 0.0)
    yield made
    made.gate.set()
    opened: list[FakeInput | FakeOutput] = [*made.inputs, *made.outputs]
    assert all(one.is_closed for one in opened)
