"""The sound card of the tests: PortAudio streams over PulseAudio null sinks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.audio.cable import Kept
from tests.audio.cards import Cards, fake_cards
from tests.support.pulse import Bench, is_audio_required, missing_audio
from utd_rx.audio import portaudio


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
    """Devices without PortAudio."""
    with fake_cards(monkeypatch) as made:
        yield made
