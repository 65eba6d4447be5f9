"""What is observed goes on in real time: silence where nothing comes, and an end with the last."""

from __future__ import annotations

import asyncio
import pickle

import numpy as np
import pytest
import reactivex
from reactivex import Observable
from reactivex.subject import Subject

from tests.audio.virtual_clock import VirtualClock
from utd_rx.audio.observed import ObservableSource
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame


def frame(value: int, audio_format: AudioFormat | None = None) -> AudioFrame:
    made = audio_format or AudioFormat()
    shape = (made.samples_per_frame, made.channels)
    return AudioFrame(np.full(shape, value, np.int16), made.sample_rate)


async def test_there_is_silence_until_something_comes_and_between() -> None:
    clock, frames, said = VirtualClock(), list[AudioFrame](), Subject[AudioFrame]()
    stream = await ObservableSource(said, clock=clock).open(frames.append)
    await clock.advance(0.5)
    assert len(frames) == 51
    assert not any(one.samples.any() for one in frames)
    for _ in range(20):
        said.on_next(frame(1_000))
        await clock.advance(0.01)
    assert (frames[-1].samples == 1_000).all()
    assert not frames[-1].samples.flags.writeable
    await clock.advance(1.0)
    assert not frames[-1].samples.any()
    assert [one.at for one in frames] == pytest.approx([1000 + n / 100 for n in range(len(frames))])
    await stream.aclose()
    count = len(frames)
    said.on_next(frame(1_000))
    await clock.advance(0.1)
    assert (len(frames), said.observers) == (count, [])


async def test_it_ends_with_the_observable_once_the_last_frame_has_sounded() -> None:
    clock, frames, said = VirtualClock(), list[AudioFrame](), Subject[AudioFrame]()
    stream = await ObservableSource(said, AudioFormat(48_000, 2), clock=clock).open(frames.append)
    ended = asyncio.ensure_future(stream.wait_ended())
    said.on_next(frame(700))
    said.on_completed()
    await clock.advance(0.2)
    heard = np.concatenate([one.samples for one in frames])
    assert (heard[:, 0] == heard[:, 1]).all()
    assert np.count_nonzero(heard[:, 0] == 700) >= 480
    await ended
    await stream.aclose()


@pytest.mark.parametrize("is_late", [True, False])
async def test_what_the_observable_fails_with_is_raised_to_who_waits(is_late: bool) -> None:
    clock, said = VirtualClock(), Subject[AudioFrame]()
    failing: Observable[AudioFrame] = reactivex.throw(LookupError("an app's own"))
    stream = await ObservableSource(said if is_late else failing, clock=clock).open(lambda _: None)
    said.on_error(LookupError("an app's own"))
    await clock.advance(0.2)
    with pytest.raises(LookupError):
        await stream.wait_ended()
    await stream.aclose()
    await stream.wait_ended()


async def test_a_burst_is_no_delay_for_good() -> None:
    clock, frames = VirtualClock(), list[AudioFrame]()
    burst = reactivex.from_iterable(frame(index) for index in range(1, 501))
    stream = await ObservableSource(burst, clock=clock).open(frames.append)
    await clock.advance(0.3)
    await stream.wait_ended()
    assert 400 < max(int(one.samples.max()) for one in frames) <= 500
    assert len(frames) < 20


def test_pickled_it_is_itself() -> None:
    source = ObservableSource(Subject[AudioFrame]())
    assert pickle.loads(pickle.dumps(source)) is source
    words = pickle.dumps(source)
    del source
    with pytest.raises(UTDStreamException) as caught:
        pickle.loads(words)
    assert caught.value.code is UTDErrorCode.NOT_FOUND


def test_what_is_no_observable_is_refused() -> None:
    with pytest.raises(UTDStreamException) as caught:
        ObservableSource([frame(1)])  # type: ignore[arg-type] # what is tested
    assert caught.value.code is UTDErrorCode.VALIDATION
