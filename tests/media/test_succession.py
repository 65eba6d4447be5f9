"""One process after another: who is waited for, who is not, and what becomes of no process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.media.hosts import FakeHost
from tests.media.restored import Restored, turns
from tests.media.test_house import Street, needs
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.media.restoring_audio import RestoringAudio
from utd_rx.media.restoring_room import RestoringRoom
from utd_rx.media.succession import DEVICES_WITHIN
from utd_rx.models import events as ev
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.devices import DeviceKey
from utd_rx.ports.audio import DeviceState, SpeakerSettings
from utd_rx.testing.audio import FakeAudio
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.contracts import Batches, refusal

FULL = OSError(24, "Too many open files")
REFUSED = UTDStreamException("no file descriptor is left", code=UTDErrorCode.FEATURE_DISABLED)


class Hanging(FakeAudio):
    """Devices of which some do not open, nor fail to, until the test says so."""

    def __init__(self, clock: FakeClock, *keys: DeviceKey) -> None:
        super().__init__(clock)
        self.hangs = {key: asyncio.Event() for key in keys}

    async def open(self, key: DeviceKey) -> None:
        if key in self.hangs:
            await self.hangs[key].wait()
        await super().open(key)


class Desk:
    """Two speakers that are open and a room that is joined, over the same processes."""

    card, other = DeviceKey("speaker", "card"), DeviceKey("speaker", "other")

    def __init__(self) -> None:
        self.stage = Restored()
        self.audios: list[Hanging] = []
        self.hangs: tuple[DeviceKey, ...] = ()
        self.told = {key: Batches[DeviceState]() for key in (self.card, self.other)}
        abilities = FakeAudio(self.stage.clock).abilities
        self.audio = RestoringAudio(self.stage.succession, self._make, abilities)

    def _make(self, host: FakeHost) -> Any:
        self.audios.append(Hanging(self.stage.clock, *self.hangs))
        return host.near(self.audios[-1])

    async def opened(self) -> Desk:
        await self.stage.joined()
        for key in self.told:
            self.audio.add(key, SpeakerSettings())
            self.audio.listen(key, self.told[key].take)
            await self.audio.open(key)
        return self


async def test_a_card_that_hangs_keeps_neither_rooms_out_nor_other_devices() -> None:
    desk = await Desk().opened()
    desk.hangs = (desk.card,)
    desk.stage.die()
    await turns(20)
    assert desk.told[desk.other].told[-1].failure is None
    assert not desk.stage.now.is_connected  # it may want to play on the card
    desk.stage.clock.advance(DEVICES_WITHIN)
    await desk.stage.until(lambda event: isinstance(event, ev.Reconnected))
    failure = desk.told[desk.card].told[-1].failure
    assert failure is not None
    assert failure.code is UTDErrorCode.NETWORK
    desk.audios[-1].hangs[desk.card].set()
    await turns()
    state = desk.told[desk.card].told[-1]
    assert state.device is not None
    assert state.failure is None


async def test_a_process_that_dies_while_a_card_hangs_has_a_successor() -> None:
    desk = await Desk().opened()
    desk.hangs = (desk.card,)
    desk.stage.die()
    await turns(20)
    desk.stage.clock.advance(DEVICES_WITHIN)
    await desk.stage.until(lambda event: isinstance(event, ev.Reconnected))
    desk.hangs = ()
    desk.stage.die()
    await desk.stage.again(1)
    await turns()
    assert desk.told[desk.card].told[-1].device is not None
    assert len(desk.stage.hosts) == 3


@pytest.mark.parametrize("error", [FULL, REFUSED], ids=["foreign", "typed"])
async def test_a_successor_that_cannot_be_started_is_tried_again_as_after_a_death(
    error: Exception,
) -> None:
    stage = await Restored().joined()
    stage.errors = [error]
    stage.die()
    await turns()
    assert stage.errors == []
    assert len(stage.hosts) == 1
    await stage.again(0.5)
    assert stage.succession.deaths == 1


@pytest.mark.parametrize("error", [FULL, REFUSED], ids=["foreign", "typed"])
async def test_one_that_cannot_be_started_at_all_ends_the_room_and_says_why(
    error: Exception,
) -> None:
    stage = await Restored().joined()
    stage.errors = [error] * 2
    stage.die()
    later = asyncio.create_task(stage.room.send_data(b"x"))
    await turns()
    stage.clock.advance(0.5)
    await turns()
    assert stage.told[-1] == ev.Disconnected(DisconnectReason.MEDIA_FAILURE)
    for command in (later, stage.room.reconnect()):
        failed = await refusal(command)
        assert failed.code is UTDErrorCode.FEATURE_DISABLED
        reason = error.message if isinstance(error, UTDStreamException) else "OSError"
        assert reason in failed.message
    stage.clock.advance(60)
    await stage.room.reconnect()
    assert len(stage.hosts) == 2


@pytest.mark.parametrize("error", [FULL, REFUSED], ids=["foreign", "typed"])
async def test_a_first_one_that_cannot_be_started_is_told_who_asks_and_counts_nothing(
    error: Exception,
) -> None:
    stage = Restored()
    stage.errors = [error] * 3
    for _ in range(3):
        failed = await refusal(stage.room.connect("wss://x", "t"))
        assert failed.code is UTDErrorCode.FEATURE_DISABLED
    await stage.joined()


@pytest.mark.parametrize("error", [FULL, REFUSED], ids=["foreign", "typed"])
async def test_a_later_one_that_cannot_be_started_is_tried_again_for_who_needs_it(
    error: Exception,
) -> None:
    stage = await Restored().joined()
    await stage.room.disconnect()
    await stage.succession.rest()
    stage.errors = [error] * 2
    joining = asyncio.create_task(stage.room.connect("wss://x", "t"))
    await turns()
    assert not joining.done()
    stage.clock.advance(0.5)
    await joining
    assert stage.errors == []
    assert (len(stage.hosts), stage.succession.deaths) == (2, 0)


@pytest.mark.parametrize("error", [FULL, REFUSED], ids=["foreign", "typed"])
async def test_later_ones_that_cannot_be_started_at_all_are_given_up_with_the_reason(
    error: Exception,
) -> None:
    stage = await Restored().joined()
    await stage.room.disconnect()
    await stage.succession.rest()
    stage.errors = [error] * 9
    joining: list[asyncio.Task[Any]] = [
        asyncio.create_task(stage.room.connect("wss://x", "t")),
        asyncio.create_task(stage.room.send_data(b"x")),
    ]
    await turns()
    stage.clock.advance(0.5)
    for command in joining:
        failed = await refusal(command)
        assert failed.code is UTDErrorCode.FEATURE_DISABLED
        reason = error.message if isinstance(error, UTDStreamException) else "OSError"
        assert reason in failed.message
    assert len(stage.errors) == 6


async def test_a_house_is_held_while_a_later_process_cannot_be_started() -> None:
    clock = FakeClock()
    street = Street(clock)
    await street.house.hold().release()
    street.errors = [FULL]
    room = street.house.room(needs)
    await room.connect("wss://x", "t")
    assert len(street.hosts) == 2
    await room.aclose()
    assert street.hosts[1].is_closed


async def test_a_house_whose_process_cannot_be_started_is_not_held() -> None:
    street = Street()
    street.errors = [FULL]
    with pytest.raises(UTDStreamException):
        street.house.hold()
    await street.house.hold().release()
    assert street.hosts[0].is_closed


async def test_a_room_that_is_closed_before_the_successor_is_due_has_none() -> None:
    clock = FakeClock()
    street = Street(clock)
    room = street.house.room(needs)
    await room.connect("wss://x", "t")
    street.hosts[-1].die()
    await turns(20)
    street.hosts[-1].die()
    await turns()
    await room.aclose()
    clock.advance(1)
    await turns()
    assert len(street.hosts) == 2
    assert street.house.succession.current is None


async def test_devices_that_are_closed_before_the_successor_is_due_have_none() -> None:
    desk = await Desk().opened()
    await desk.stage.room.disconnect()
    for seconds in (0.0, 1.0):
        desk.stage.die()
        await turns()
        if seconds:
            for key in desk.told:
                await desk.audio.close(key)
        desk.stage.clock.advance(seconds)
        await turns(20)
    assert len(desk.stage.hosts) == 2


async def test_who_is_closed_while_it_waits_to_join_starts_no_process() -> None:
    clock = FakeClock()
    street = Street(clock)
    room = street.house.room(needs)
    for _ in range(2):
        await room.connect("wss://x", "t")
        await room.disconnect()
        street.hosts[-1].die()
        await turns()
    joining = asyncio.create_task(room.connect("wss://x", "t"))
    await turns()
    await room.aclose()
    clock.advance(1)
    assert (await refusal(joining)).reason is ConflictReason.CLOSED
    assert len(street.hosts) == 2


@pytest.mark.parametrize("news", ["attach", "lost", "given_up"])
async def test_an_heir_that_raises_keeps_neither_the_others_nor_the_successor_from_coming(
    news: str, caplog: pytest.LogCaptureFixture
) -> None:
    desk = await Desk().opened()

    def raise_it(failure: UTDStreamException) -> None:
        raise RuntimeError("an heir's own")

    setattr(desk.audio, news, raise_it)  # which is told before the room
    if news == "given_up":
        desk.stage.errors = [FULL] * 3
        desk.stage.die()
        for _ in range(3):
            await turns(20)
            desk.stage.clock.advance(1)
        await desk.stage.until(lambda event: isinstance(event, ev.Disconnected))
    else:
        desk.stage.die()
        await desk.stage.again()
    assert "an heir of a media process raised: RuntimeError" in caplog.text


async def test_who_cannot_be_served_is_told_so_and_nobody_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk = await Desk().opened()

    def raise_it(*_: object) -> None:
        raise RuntimeError("a port's own")

    for served in (desk.audio, desk.stage.room):
        monkeypatch.setattr(served, "_make", raise_it)
    desk.stage.die()
    await desk.stage.until(lambda event: isinstance(event, ev.Disconnected))
    for command in (desk.audio.open(desk.card), desk.stage.room.send_data(b"x")):
        assert "cannot be served" in (await refusal(command)).message
    assert "an heir of a media process raised: RuntimeError" in caplog.text


async def test_who_could_not_join_is_no_heir(caplog: pytest.LogCaptureFixture) -> None:
    stage = await Restored().joined()

    def raise_it(host: object) -> None:
        raise RuntimeError("a port's own")

    with pytest.raises(RuntimeError):
        RestoringRoom(stage.succession, raise_it)  # type: ignore[arg-type] # a fake
    stage.die()
    await stage.again()
    assert "RuntimeError" not in caplog.text
