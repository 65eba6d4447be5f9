"""A row of `KINDS` names everything that a kind of session is told, asks for and waits for."""

from __future__ import annotations

import inspect
from importlib import import_module
from pkgutil import iter_modules

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sessions.histories import values_of
from utd_rx.models import agent_events, events
from utd_rx.protocol import facts, live_promises, promises, room_promises
from utd_rx.protocol.agent import promises as agent_promises
from utd_rx.protocol.kinds import KINDS, Kind
from utd_rx.protocol.waiting import EndWait, Promise, WaitDropped, WaitStarted

NOUNS = [
    import_module(f"{facts.__name__}.{module.name}")
    for module in iter_modules(facts.__path__)
    if module.name != "signalling"  # no session's: the client's own machine
]


def classes_of(module: object) -> set[type]:
    """The attrs classes that a module defines."""
    name = module.__name__  # type: ignore[attr-defined] # a module
    members = (kind for _, kind in inspect.getmembers(module, inspect.isclass))
    return {kind for kind in members if attrs.has(kind) and kind.__module__ == name}


def test_every_fact_and_effect_is_in_a_row_and_is_not_both() -> None:
    declared = set().union(*map(classes_of, NOUNS))
    told = {fact for kind in KINDS.values() for fact in kind.facts}
    effects = {effect for kind in KINDS.values() for effect in kind.effects}
    listed = (told | effects) - {WaitStarted, WaitDropped, EndWait}
    listed -= classes_of(events) | classes_of(agent_events)
    assert len(NOUNS) >= 5
    assert listed == declared
    assert not told & effects


TOLD = {
    events.RoomEvent: classes_of(events) - {events.RoomEvent, events.RoomSnapshot},
    # The agent's voice goes past the rules, and is in no recording.
    agent_events.AgentEvent: classes_of(agent_events)
    - {agent_events.AgentEvent, agent_events.AgentAudio},
}


def test_every_event_of_a_room_or_an_agent_is_heard() -> None:
    assert all(TOLD[kind.events] <= set(kind.facts) for kind in KINDS.values())
    assert {kind.events for kind in KINDS.values()} == TOLD.keys()


def test_every_promise_is_in_a_row() -> None:
    declared = set().union(
        *map(classes_of, (promises, room_promises, live_promises, agent_promises))
    )
    declared -= {promises.GridPromise, live_promises.StagePromise}
    assert declared == {promise for kind in KINDS.values() for promise in kind.promises}
    assert all(issubclass(promise, Promise) for promise in declared)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.type.name)
def test_a_kind_is_total_and_asks_for_nothing_outside_its_row(kind: Kind[object]) -> None:  # type: ignore[type-var]
    any_fact = st.one_of([values_of(fact) for fact in kind.facts])

    @given(st.lists(any_fact, max_size=6), st.booleans())
    def asks(told: list[object], claims_host: bool) -> None:
        state = kind.begin("me", claims_host)
        for now, fact in enumerate(told):
            if isinstance(fact, WaitStarted) and type(fact.promise) not in kind.promises:
                continue  # nobody of this kind waits for it
            state, effects = kind.step(state, fact, float(now))
            assert {type(effect) for effect in effects} <= set(kind.effects)
            kind.next_deadline(state)

    asks()
