"""A source that is no value is opened in the app, and published in the child all the same."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from reactivex import never

from tests.media.ends import ends
from tests.media.restored import turns
from tests.media.test_frames import frame, told
from tests.media.test_pictures import picture
from tests.media.test_process import descriptors
from utd_rx import ArraySource, Camera, FrameSource, MicrophoneInput, TestPattern, ToneSource
from utd_rx.audio.observed import ObservableSource
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media.lending import LARGEST, travels
from utd_rx.media.near import Near
from utd_rx.media.near_room import NearRoom
from utd_rx.models.audio import AudioFormat, AudioFrame
from utd_rx.models.video import Losable, VideoFormat, VideoFrame
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.contracts import refusal

LOST = UTDStreamException("it was pulled out", code=UTDErrorCode.NOT_FOUND)


class Own:
    """An input of an app's own, driven by a test."""

    def __init__(self, declared: Any = None, error: Exception | None = None) -> None:
        self.format = declared or AudioFormat()
        self.error = error
        self.opened = asyncio.Event()
        self.closed = 0
        self.sink: Callable[[Any], None]
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self, sink: Callable[[Any], None]) -> Own:
        self.opened.set()
        if self.error is not None:
            raise self.error
        self.sink = sink
        return self

    async def wait_ended(self) -> None:
        await asyncio.shield(self.ended)

    async def aclose(self) -> None:
        self.closed += 1


class OwnCamera(Own):
    def watch(self, tell: Callable[[UTDStreamException | None], None]) -> None:
        tell(LOST)
        self.tell = tell


class Silent(Own):
    """One that does not open."""

    async def open(self, sink: Callable[[Any], None]) -> Own:
        self.opened.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.closed += 1
        raise AssertionError


class Publishing:
    """A port that opens what it is given."""

    def __init__(self) -> None:
        self.came: list[Any] = []
        self.lost: list[Any] = []
        self.stream: Any = None
        self.source: Any = None

    async def publish(self, source: Any) -> str:
        self.source = source
        self.stream = await source.open(self.came.append)
        if isinstance(self.stream, Losable):
            self.stream.watch(self.lost.append)
        return type(source).__name__

    async def end(self) -> int:
        await self.stream.wait_ended()
        return len(self.came)

    async def close(self) -> None:
        await self.stream.aclose()

    async def drop(self) -> None:
        self.source = self.stream = None


async def until(done: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not done():  # noqa: ASYNC110 - both ends turn on this loop
            await asyncio.sleep(0)


async def test_what_the_media_process_does_not_read_in_time_is_counted() -> None:
    there, own = Publishing(), Own()
    async with ends(NearRoom, Publishing, lambda: there) as port:
        await port.publish(own)
        own.sink(frame(0))
        await until(lambda: there.came)
        for n in range(1, 251):
            own.sink(frame(n))
        await until(lambda: len(there.came) == 101)
        assert told(there.came[1:]) == told(frame(n) for n in range(151, 251))
        assert port.unread == 150
        await port.close()
        assert own.closed == 1
        assert port.unread == 150


async def test_the_frames_of_a_source_of_the_apps_arrive_until_it_ends() -> None:
    there = Publishing()
    async with ends(Near, Publishing, lambda: there) as port:
        own = Own()
        assert await port.publish(own) == "BorrowedInput"
        assert there.source.format == own.format
        sent = [frame(number, count=480 + number) for number in range(20)]
        for one in sent:
            own.sink(one)
        own.ended.set_result(None)
        assert await port.end() == 20
        assert told(there.came) == told(sent)
        await port.close()
        assert own.closed == 1
        own.sink(frame(1))
        await port.close()
        assert own.closed == 1
        assert len(there.came) == 20


async def test_pictures_arrive_and_the_loss_of_a_camera_is_told() -> None:
    there = Publishing()
    async with ends(Near, Publishing, lambda: there) as port:
        own = OwnCamera(VideoFormat())
        await port.publish(own)
        own.tell(None)
        own.sink(picture(7))
        await until(lambda: there.came and len(there.lost) == 2)
        assert isinstance(there.came[0], VideoFrame)
        assert [getattr(told, "message", None) for told in there.lost] == [LOST.message, None]
        await port.close()


class Ours(AudioFormat):
    """A format of an app's own class."""


async def test_a_format_of_an_apps_own_class_is_declared_as_what_it_is() -> None:
    there = Publishing()
    async with ends(Near, Publishing, lambda: there) as port:
        await port.publish(Own(Ours(16_000, 2)))
        assert (type(there.source.format), there.source.format) == (
            AudioFormat,
            AudioFormat(16_000, 2),
        )
        await port.close()


class CableGone(UTDStreamException):
    """A failure of an app's own, which is not there in the media process."""


class Tangled(UTDStreamException):
    """One that holds what is alive here."""

    def __init__(self) -> None:
        self.held = Tangled


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (CableGone("no cable", code=UTDErrorCode.NOT_FOUND), "NOT_FOUND: no cable"),
        (Tangled(), "UNKNOWN: the input failed: Tangled"),
    ],
)
async def test_a_loss_told_by_a_failure_of_the_apps_own_is_told_by_what_it_says(
    failure: UTDStreamException, says: str
) -> None:
    there = Publishing()
    async with ends(Near, Publishing, lambda: there) as port:
        own = OwnCamera(VideoFormat())
        await port.publish(own)
        own.tell(failure)
        await until(lambda: len(there.lost) == 2)
        assert (type(there.lost[1]), str(there.lost[1])) == (UTDStreamException, says)
        await port.close()


class Wild(Own):
    """One that does not open, and delivers all the same."""

    async def open(self, sink: Callable[[Any], None]) -> Own:
        self.sink = sink
        raise LOST


async def test_what_comes_of_one_that_did_not_open_is_nothing() -> None:
    there, own = Publishing(), Wild()
    async with ends(NearRoom, Publishing, lambda: there) as port:
        await refusal(port.publish(own))
        await turns(20)
        before = descriptors()
        own.sink(frame(0))
        await turns(20)
        assert descriptors() == before


async def test_it_is_opened_as_often_as_it_is_wanted() -> None:
    there = Publishing()
    async with ends(Near, Publishing, lambda: there) as port:
        own = Own()
        await port.publish(own)
        first = there.stream
        await there.publish(there.source)
        await first.aclose()
        assert own.closed == 1
        own.sink(frame(3))
        await until(lambda: there.came)
        await port.close()
        assert own.closed == 2


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (LOST, LOST.message),
        (ValueError("no such thing"), "no such thing"),
        (type("Ours", (Exception,), {})("hm"), "the input failed: Ours"),
    ],
)
async def test_why_it_does_not_open_and_why_it_failed_is_raised(
    error: Exception, raised: str
) -> None:
    there = Publishing()
    async with ends(Near, Publishing, lambda: there) as port:
        with pytest.raises(Exception, match=raised):
            await port.publish(Own(error=error))
        own = Own()
        await port.publish(own)
        own.ended.set_exception(error)
        with pytest.raises(Exception, match=raised):
            await port.end()
        await port.close()


async def test_what_is_no_frame_arrives_as_what_is_none_and_by_its_name() -> None:
    there = Publishing()
    async with ends(Near, Publishing, lambda: there) as port:
        own = Own()
        await port.publish(own)
        own.sink(picture(1))
        await until(lambda: there.came)
        assert [type(one).__name__ for one in there.came] == ["VideoFrame"]
        assert not isinstance(there.came[0], VideoFrame | AudioFrame)
        await port.close()


async def test_a_publication_that_is_cancelled_leaves_nothing_open() -> None:
    async with ends(Near, Publishing, Publishing) as port:
        own = Silent()
        publishing = asyncio.create_task(port.publish(own))
        await own.opened.wait()
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publishing
        await until(lambda: own.closed)


async def test_a_process_that_is_gone_has_nothing_open_here() -> None:
    async with ends(Near, Publishing, Publishing) as port:
        own = Own()
        await port.publish(own)
        is_open = not own.closed
    await until(lambda: own.closed)
    assert (is_open, own.closed) == (True, 1)


class Slow(Own):
    """One that takes its time to be closed, and is opened by one at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []
        self.may_close = asyncio.Event()

    async def open(self, sink: Callable[[Any], None]) -> Own:
        self.log.append("open")
        return await super().open(sink)

    async def aclose(self) -> None:
        self.log.append("close")
        await self.may_close.wait()
        self.log.append("closed")


async def test_it_is_opened_for_the_next_process_when_it_is_closed_for_the_last() -> None:
    own = Slow()
    async with ends(Near, Publishing, Publishing) as port:
        await port.publish(own)
    async with ends(Near, Publishing, Publishing) as port:
        publishing = asyncio.create_task(port.publish(own))
        await until(lambda: "close" in own.log)
        await turns(20)
        own.may_close.set()
        await publishing
        assert own.log == ["open", "close", "closed", "open"]


class Cancelled(Own):
    """One that gives itself up."""

    async def open(self, sink: Callable[[Any], None]) -> Own:
        await super().open(sink)
        raise asyncio.CancelledError


async def test_a_source_that_gives_itself_up_does_not_open() -> None:
    async with ends(Near, Publishing, Publishing) as port:
        assert "cancelled" in (await refusal(port.publish(Cancelled()))).message


async def test_a_source_that_gives_itself_up_later_has_ended_by_that() -> None:
    async with ends(Near, Publishing, Publishing) as port:
        own = Own()
        await port.publish(own)
        own.ended.cancel()
        assert "cancelled" in (await refusal(port.end())).message


async def test_the_app_keeps_no_source_that_nobody_publishes() -> None:
    there = Publishing()
    async with ends(Near, Publishing, lambda: there) as port:
        own = Own()
        await port.publish(own)
        await port.close()

        def holders() -> list[Any]:
            gc.collect()
            return [one for one in gc.get_referrers(own) if isinstance(one, dict) and 1 in one]

        assert holders()
        await port.drop()
        await until(lambda: not holders())


async def test_a_value_crosses_as_itself() -> None:
    async with ends(Near, Publishing, Publishing) as port:
        assert await port.publish(ToneSource(duration=0.01)) == "ToneSource"


def make(index: int) -> None:
    """A function of an app's module."""


PICTURES = np.zeros((2, 16, 16, 3), np.uint8)


@pytest.mark.parametrize(
    ("source", "is_sent"),
    [
        (ToneSource, True),
        (lambda: ArraySource(np.zeros(480, np.int16), 48_000), True),
        (TestPattern, True),
        (Camera, True),
        (lambda: MicrophoneInput("usb"), True),
        (lambda: FrameSource(PICTURES), True),
        (lambda: FrameSource(make, size=(16, 16)), False),
        (lambda: FrameSource(iter(PICTURES), size=(16, 16)), False),
        (lambda: FrameSource(lambda index: None, size=(16, 16)), False),
        (lambda: ObservableSource(never()), False),
        (lambda: ToneSource(clock=FakeClock()), False),
        (lambda: FrameSource(np.zeros((1 + LARGEST // 768, 16, 16, 3), np.uint8)), False),
        (Publishing, False),
        (lambda: make, False),
    ],
)
def test_what_is_the_same_there_is_sent_and_all_else_stays(
    source: Callable[[], Any], is_sent: bool
) -> None:
    assert travels(source()) is is_sent
