"""What waits keeps its order, and does not grow with what is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.media import outbound as module
from utd_rx.media.outbound import MANY, MAX_LINES, Outbound
from utd_rx.media.thinning import MAX_DATA, MAX_VISITS, PER_MESSAGE, size_of, thinned
from utd_rx.media.wire import Beat, ChildLog, Delivery, ForgetSink, Message, Result
from utd_rx.models import events as ev
from utd_rx.models.participant import RemoteParticipant, TrackKind, TrackPublication
from utd_rx.models.transfers import TransferInfo
from utd_rx.ports.transfers import TransferBegan


def taken(outbound: Outbound) -> list[Message]:
    """Everything that waits."""
    found = []
    while (waiting := outbound.take()) is not None:
        found.append(waiting[0])
    return found


def told(identity: str, metadata: object, sink: int = 1) -> Delivery:
    return Delivery(sink, (ev.ParticipantMetadataChanged(identity, str(metadata)),))


def test_little_is_told_as_it_came() -> None:
    outbound = Outbound()
    messages = [told("ana", n) for n in range(10)]
    for message in messages:
        outbound.put(message)
    assert taken(outbound) == messages
    assert outbound.take() is None


def test_a_storm_of_ten_thousand_leaves_the_state_of_everybody() -> None:
    outbound, most = Outbound(), 0
    for n in range(10_000):
        outbound.put(told(f"p{n % 100}", n))
        most = max(most, len(outbound))
    assert most <= MANY
    last = {
        event.identity: event.metadata
        for message in taken(outbound)
        if isinstance(message, Delivery)
        for event in message.batch
    }
    assert last == {f"p{n % 100}": str(n) for n in range(9_900, 10_000)}


@pytest.mark.parametrize("at_once", [1, 50, 10_000])
def test_data_does_not_pile_up_however_much_comes_at_once(at_once: int) -> None:
    outbound, data = Outbound(), [ev.DataReceived(b"%05d" % n * 200, "ana") for n in range(10_000)]
    for start in range(0, len(data), at_once):
        outbound.put(Delivery(1, tuple(data[start : start + at_once])))
    left = [event for one in taken(outbound) if isinstance(one, Delivery) for event in one.batch]
    heard = [event for event in left if isinstance(event, ev.DataReceived)]
    missed = sum(event.count for event in left if isinstance(event, ev.DataMissed))
    assert sum(len(event.payload) for event in heard) <= 2 * MAX_DATA
    assert heard == data[missed:]


def visits(n: int) -> list[ev.RoomEvent]:
    guest, screen = f"guest{n}", TrackPublication(f"TR_{n}", kind=TrackKind.VIDEO)
    come = ev.ParticipantConnected(RemoteParticipant(guest, metadata=str(n) * 500))
    share = ev.TrackPublished("ana", screen), ev.TrackUnpublished("ana", screen)
    return [come, *share, ev.ParticipantDisconnected(guest)]


STORMS: dict[str, Callable[[int], list[ev.RoomEvent]]] = {
    "they come and go, and screens are shared": visits,
    "each comes and goes twice": lambda n: [*visits(n), *visits(n)],
    "each says something": lambda n: [
        *visits(n)[:3],
        ev.DataReceived(b"x", f"guest{n}"),
        *visits(n)[3:],
    ],
}


@pytest.mark.parametrize("storm", STORMS)
def test_of_a_storm_that_leaves_nothing_little_waits(storm: str) -> None:
    outbound = Outbound()
    for n in range(8_000):
        outbound.put(Delivery(1, tuple(STORMS[storm](n))))
    waiting = [item for one in taken(outbound) if isinstance(one, Delivery) for item in one.batch]
    # Of each message that waits it is told that its sender came and went.
    data = 3 * sum(isinstance(one, ev.DataReceived) for one in waiting)
    assert len(waiting) - data < 4 * MAX_VISITS // PER_MESSAGE
    assert sum(map(size_of, waiting)) < 2 * (MAX_VISITS + MAX_DATA)


def test_what_is_large_is_thinned_before_it_is_many() -> None:
    outbound = Outbound()
    for n in range(300):
        outbound.put(told("ana", f"{n}".ljust(500_000)))
        assert len(outbound) <= 3


def test_who_leaves_as_a_text_of_theirs_waits_has_left() -> None:
    """Or whoever reads it would wait for the rest of it."""
    outbound = Outbound(many=8)
    outbound.put(Delivery(1, tuple(visits(0)[:1])))
    outbound.put(Delivery(2, TransferBegan(1, TransferInfo("id", "guest0", "topic"))))
    outbound.put(Delivery(1, tuple(visits(0)[-1:])))
    for n in range(1, 3_000):
        outbound.put(Delivery(1, tuple(visits(n))))
    left = taken(outbound)
    told = [
        event for one in left if isinstance(one, Delivery) and one.sink == 1 for event in one.batch
    ]
    assert told[1:2] == visits(0)[-1:]


@given(st.lists(st.sampled_from(["ana", "ben", "result"]), max_size=40))
def test_no_result_overtakes_what_was_told_before_it(what: list[str]) -> None:
    outbound, known = Outbound(many=4), dict[str, str]()
    expected = []
    for n, who in enumerate(what):
        if who == "result":
            outbound.put(Result(n, b""))
            expected.append((n, dict(known)))
        else:
            outbound.put(told(who, n))
            known[who] = str(n)
    heard, seen = {}, []
    for message in taken(outbound):
        if isinstance(message, Delivery):
            heard.update({event.identity: event.metadata for event in message.batch})
        elif isinstance(message, Result):
            seen.append((message.number, dict(heard)))
    assert seen == expected
    assert heard == known


def test_each_sink_is_told_its_own_and_what_is_no_batch_stays_apart() -> None:
    outbound = Outbound()
    for n in range(MANY):
        outbound.put(told("ana", n, sink=n % 2))
        outbound.put(Delivery(7, n))
    left = taken(outbound)
    assert [m.batch for m in left if isinstance(m, Delivery) and m.sink == 7] == list(range(MANY))
    for sink in (0, 1):
        mine = [m.batch[-1] for m in left if isinstance(m, Delivery) and m.sink == sink]
        assert mine[-1].metadata == str(MANY - 2 + sink)


def test_signs_of_life_and_the_log_do_not_pile_up_and_part_nothing() -> None:
    outbound = Outbound()
    for n in range(10_000):
        outbound.put(Beat())
        outbound.put(ChildLog("child", 30, str(n)))
        outbound.put(told("ana", n))
    left = taken(outbound)
    assert len(left) <= 1 + MAX_LINES + 2 * MANY
    assert [message for message in left if isinstance(message, Beat)] == [Beat()]
    lines = [message.text for message in left if isinstance(message, ChildLog)]
    assert lines == [str(n) for n in range(MAX_LINES)]
    outbound.put(ChildLog("child", 30, "again"))
    assert taken(outbound) == [ChildLog("child", 30, "again")]


def test_what_a_finalizer_puts_while_it_is_thinned_stays_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outbound, more = Outbound(many=8), [ForgetSink(n) for n in range(20)]
    late = iter(more)

    def thinned_meanwhile(items: Sequence[Any], minded: Set[str]) -> list[Any]:
        for one in late:
            outbound.put(one)
        return thinned(items, minded)

    monkeypatch.setattr(module, "thinned", thinned_meanwhile)
    for n in range(4):
        outbound.put(told("ana", n))
        outbound.put(Result(n, b""))
    left = taken(outbound)
    assert [m.number for m in left if isinstance(m, Result)] == [0, 1, 2, 3]
    assert [m for m in left if isinstance(m, ForgetSink)] == more


def test_what_has_descriptors_with_it_is_left_as_it_is() -> None:
    outbound = Outbound()
    outbound.put(told("ana", 0), (99,))
    for n in range(MANY + 1):
        outbound.put(told("ana", n))
    assert outbound.take() == (told("ana", 0), (99,))
