"""The machines hold against the genuine engine, and find what is wrong with an app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, run_state_machine_as_test

from tests.machines.test_plain_machine import EncryptedRoomMachine
from utd_rx.engine.rules import calls, room_state, seat_state
from utd_rx.engine.rules.effects import PublishSeats
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.call import UTDCallStatus
from utd_rx.sessions.incoming_streams import IncomingTransfer
from utd_rx.sessions.methods import MethodCalls
from utd_rx.testing.machines import (
    TROUBLES,
    AgentMachine,
    AudioRoomMachine,
    CallMachine,
    LiveStreamMachine,
    PlainRoomMachine,
)

pytestmark = pytest.mark.long

FEW = settings(max_examples=max(10, settings().max_examples // 5), stateful_step_count=50)

SAME = settings(
    max_examples=100,
    stateful_step_count=50,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
)
"""The same examples each time, until one fails."""


def runs(machine: type[RuleBasedStateMachine], how: settings = SAME) -> None:
    run_state_machine_as_test(machine, settings=how)


@pytest.mark.timeout(3_600 if FEW.max_examples > 100 else 120)
@pytest.mark.parametrize(
    "machine",
    [
        AgentMachine,
        AudioRoomMachine,
        CallMachine,
        EncryptedRoomMachine,
        LiveStreamMachine,
        PlainRoomMachine,
    ],
)
def test_the_rules_of_a_room_hold_in_any_weather(machine: type[RuleBasedStateMachine]) -> None:
    seen: list[object] = []

    class Seen(machine):  # type: ignore[misc, valid-type] # any of them
        def when_calm(self) -> None:
            super().when_calm()
            seen.append(self.world.now)

    runs(Seen, FEW)
    assert len(seen) >= FEW.max_examples // 2


def steps_of(failure: BaseException) -> list[str]:
    """The example that Hypothesis tells."""
    lines = [line for note in failure.__notes__ for line in note.splitlines()]
    return [line for line in lines if line.startswith("state.")]


def tells_nobody(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A grid that changes, and is written nowhere."""

    def commit(*of: Any) -> tuple[Any, tuple[object, ...]]:
        seats, effects = rule(*of)
        return seats, tuple(one for one in effects if not isinstance(one, PublishSeats))

    return commit


def grants_for_ever(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Who could publish once may go on."""
    may: set[str] = set()

    def grant_of(room: Any, who: str) -> Any:
        grant = rule(room, who)
        may.update([who] if grant.can_publish else [])
        return evolve(grant, can_publish=who in may)

    return grant_of


def loses_parts(rule: Callable[..., Any]) -> Callable[..., Any]:
    """What comes in several parts is never whole."""
    return lambda item, data: None if len(data) > 1_000 else rule(item, data)


def answers_anybody(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Whoever asks is told what the first one was."""
    first: list[Any] = []

    def answer(calls: Any, function: Any, invocation: Any) -> Any:
        first.append(invocation)
        return rule(calls, function, evolve(first[0], number=invocation.number))

    return answer


MISTAKES: dict[str, tuple[type[RuleBasedStateMachine], object, str, Any, str]] = {
    "seats that nobody is told of": (
        AudioRoomMachine, seat_state, "commit", tells_nobody, "knows",
    ),
    "a grant that stays": (
        LiveStreamMachine, room_state, "grant_of", grants_for_ever, "is granted otherwise",
    ),
    "a call that rings for ever": (
        CallMachine, calls, "due", lambda rule: lambda call: None, "it still rings for",
    ),
    "parts that are lost": (
        PlainRoomMachine, IncomingTransfer, "part", loses_parts, "times the text of",
    ),
    "an answer to another question": (
        PlainRoomMachine, MethodCalls, "_answer", answers_anybody, " to ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_of_the_engine_is_found(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, module, name, wrong, told = MISTAKES[mistake]
    monkeypatch.setattr(module, name, wrong(getattr(module, name)))
    with pytest.raises(AssertionError, match=told):
        runs(machine)


class Impatient(CallMachine):
    """Its app says that a call never rings for more than ten seconds."""

    without = (*TROUBLES, "accept", "decline", "switch_microphone", "join")

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
        runs(Impatient)
    told = steps_of(failed.value)
    assert any(line.startswith("state.call(") for line in told)
    assert any(line.startswith("state.wait(seconds=") for line in told)


def test_rules_are_left_out_by_name() -> None:
    assert {getattr(Impatient, name) for name in Impatient.without} == {None}
    assert None not in {getattr(CallMachine, name) for name in Impatient.without}
    with pytest.raises(UTDStreamException, match="Odd has no rule 'kcik' to be left out"):
        type("Odd", (AudioRoomMachine,), {"without": ("kcik",)})


def test_what_hangs_for_ever_is_told() -> None:
    class Hanging(AudioRoomMachine):
        def begin(self) -> None:
            super().begin()
            self.command(self.never())

        async def never(self) -> None:
            await asyncio.get_running_loop().create_future()

    with pytest.raises(AssertionError, match=r"never came to an end: .*Hanging\.never"):
        runs(Hanging, settings(SAME, max_examples=1))


def test_what_no_weather_explains_is_a_failure() -> None:
    class Broken(AudioRoomMachine):
        def begin(self) -> None:
            super().begin()
            self.command(self.broken())

        async def broken(self) -> None:
            raise UTDStreamException("what is that?", code=UTDErrorCode.MALFORMED_RESPONSE)

    with pytest.raises(AssertionError, match="what is that"):
        runs(Broken, settings(SAME, max_examples=1))
