"""The machines hold against the genuine engine, and find what is wrong with an app."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, run_state_machine_as_test

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.call import UTDCallStatus
from utd_rx.models.seats import UTDSeatMode
from utd_rx.sessions.audio_room import UTDAudioRoomSession
from utd_rx.testing import pictures
from utd_rx.testing.machines import AudioRoomMachine, CallMachine, LiveStreamMachine
from utd_rx.testing.machines.base import TROUBLES

FEW = settings(
    max_examples=max(10, settings().max_examples // 5),
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],  # to explain an example takes four times as long
)


def runs(machine: type[RuleBasedStateMachine], how: settings = FEW) -> None:
    run_state_machine_as_test(machine, settings=how)


@pytest.mark.parametrize("machine", [AudioRoomMachine, CallMachine, LiveStreamMachine])
def test_the_rules_of_a_room_hold_in_any_weather(machine: type[RuleBasedStateMachine]) -> None:
    seen: list[object] = []

    class Seen(machine):  # type: ignore[misc, valid-type] # any of them
        def when_calm(self) -> None:
            super().when_calm()
            seen.append(self.world.sent[-1].call)

    runs(Seen)
    assert len(seen) >= FEW.max_examples // 2


def steps_of(failure: BaseException) -> list[str]:
    """The example that Hypothesis tells."""
    lines = [line for note in failure.__notes__ for line in note.splitlines()]
    return [line for line in lines if line.startswith("state.")]


async def approves_all_but_one(host: UTDAudioRoomSession) -> None:
    """A bot with a mistake."""
    async for requests in host.pending_requests.changes():
        for request in requests[1:]:
            with suppress(UTDStreamException):
                await host.approve_speaker(request.id)


class Approving(AudioRoomMachine):
    has_trouble = False
    modes = (UTDSeatMode.REQUEST,)
    lock_seat = setup_seats = vanish = None

    def begin(self) -> None:
        super().begin()
        self.world.spawn(approves_all_but_one(self.host))

    @invariant()
    def nobody_waits_while_there_is_a_seat(self) -> None:
        if self.people[0] in self.present:
            grid = self.host.seats.value
            is_free = any(seat.is_empty for seat in grid.seats)
            assert not (grid.requests and is_free), "somebody waits for nothing"


def test_a_mistake_of_an_app_is_found_and_the_example_is_short() -> None:
    with pytest.raises(AssertionError, match="somebody waits for nothing") as failed:
        runs(Approving, settings(FEW, max_examples=100))
    told = [line for line in steps_of(failed.value) if "nobody_waits" not in line]
    assert told == [
        "state.open(mode=UTDSeatMode.REQUEST)",
        "state.request_to_speak(who='anna')",
        "state.teardown()",
    ]
    assert "c request_to_speak()" in pictures.picture(pictures.rows())


class Impatient(CallMachine):
    """Its app says that a call never rings for more than ten seconds."""

    has_trouble = False

    def begin(self) -> None:
        super().begin()
        self.rings_since: dict[str, float] = {}

    @invariant()
    def nothing_rings_for_long(self) -> None:
        for who, session in self.sessions.items():
            if session.status.value is UTDCallStatus.INITIATING:
                since = self.rings_since.setdefault(who, self.world.now)
                assert self.world.now - since < 10, f"it rings for {who}"
            else:
                self.rings_since.pop(who, None)


def test_time_is_a_part_of_the_example() -> None:
    with pytest.raises(AssertionError, match="it rings for") as failed:
        runs(Impatient, settings(FEW, max_examples=100, phases=[Phase.generate]))
    told = steps_of(failed.value)
    assert any(line.startswith("state.call(") for line in told)
    assert any(line.startswith("state.wait(seconds=") for line in told)


def test_without_trouble_there_are_no_rules_of_it() -> None:
    assert {getattr(Approving, name) for name in TROUBLES} == {None}
    assert None not in {getattr(AudioRoomMachine, name) for name in TROUBLES}


def test_what_hangs_for_ever_is_told() -> None:
    class Hanging(AudioRoomMachine):
        def begin(self) -> None:
            super().begin()
            self.command(self.never())

        async def never(self) -> None:
            await asyncio.get_running_loop().create_future()

    with pytest.raises(AssertionError, match=r"never came to an end: .*Hanging\.never"):
        runs(Hanging, settings(FEW, max_examples=1))


def test_what_no_weather_explains_is_a_failure() -> None:
    class Broken(AudioRoomMachine):
        def begin(self) -> None:
            super().begin()
            self.command(self.broken())

        async def broken(self) -> None:
            raise UTDStreamException("what is that?", code=UTDErrorCode.MALFORMED_RESPONSE)

    with pytest.raises(AssertionError, match="what is that"):
        runs(Broken, settings(FEW, max_examples=1))
