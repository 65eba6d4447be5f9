"""The network of a world does what its verbs say, in order, and the same again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.testing.world.party import advance, now, virtual
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.testing import Network, run_virtual
from utd_rx.testing.world.network import OVERTAKEN, Lane, LinkNews


class Mail:
    """A lane, and what arrived on it and when."""

    def __init__(self, network: Network, *, is_data: bool = False, keeps: bool = True) -> None:
        self.lane = Lane(network.link("ben"), is_data=is_data, keeps=keeps)
        self.arrived: list[tuple[int, float]] = []

    def send(self, *numbers: int) -> None:
        for number in numbers:
            self.lane.send(partial(self._arrive, number))

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.arrived]

    def _arrive(self, number: int) -> None:
        self.arrived.append((number, now()))


@virtual
async def test_without_trouble_a_message_arrives_at_once() -> None:
    mail = Mail(Network())
    mail.send(1, 2)
    assert mail.arrived == [(1, 0.0), (2, 0.0)]


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0)), max_size=8)
)
def test_however_the_delay_changes_nothing_overtakes_and_nothing_is_early(
    sends: list[tuple[float, float, float]],
) -> None:
    async def main() -> None:
        network = Network()
        mail, earliest = Mail(network), []
        for number, (pause, delay, jitter) in enumerate(sends):
            await advance(pause)
            network.delay("ben", delay, jitter=jitter)
            mail.send(number)
            earliest.append(now() + delay)
        await advance(10)
        assert mail.numbers == list(range(len(sends)))
        assert all(
            at >= first - 1e-6 for (_, at), first in zip(mail.arrived, earliest, strict=True)
        )

    run_virtual(main())


@virtual
async def test_in_a_partition_nothing_arrives_and_only_media_is_lost() -> None:
    network = Network()
    mail, media = Mail(network), Mail(network, is_data=True, keeps=False)
    network.delay("ben", 0.5)
    mail.send(1)
    media.send(1)
    network.partition("ben")
    mail.send(2)
    media.send(2)
    await advance(60)
    assert mail.arrived == media.arrived == []
    network.heal("ben")
    mail.send(3)
    media.send(3)
    await advance(0)
    assert mail.numbers == [1, 2, 3]
    assert media.numbers == [3]


@virtual
async def test_what_may_be_lost_is_lost_by_its_share_and_again_the_same() -> None:
    def losses(share: float) -> list[int]:
        network = Network(seed=7)
        data, calls = Mail(network, is_data=True), Mail(network)
        network.drop("ben", share)
        data.send(*range(200))
        calls.send(*range(200))
        assert calls.numbers == list(range(200))
        return data.numbers

    assert losses(1.0) == []
    assert 80 < len(losses(0.5)) < 120
    assert losses(0.5) == losses(0.5)


@virtual
async def test_reordered_data_comes_whole_and_in_another_order() -> None:
    network = Network()
    data, calls = Mail(network, is_data=True), Mail(network)
    network.reorder("ben")
    data.send(*range(10))
    calls.send(*range(10))
    assert calls.numbers == list(range(10))
    await advance(OVERTAKEN)
    assert sorted(data.numbers) == list(range(10)) != data.numbers


@virtual
async def test_a_process_that_is_gone_sends_nothing_more_and_its_name_gets_a_new_link() -> None:
    network = Network()
    link, mail = network.link("ben"), Mail(network)
    network.delay("ben", 1.0)
    mail.send(1)
    trip = asyncio.create_task(link.trip())
    told: list[LinkNews] = []
    link.watch(told.append)
    await advance(0.5)
    link.cut()
    network.heal()
    mail.send(2)
    await advance(60)
    assert mail.arrived == []
    assert not trip.done()
    trip.cancel()
    assert told == [LinkNews.CUT]
    assert not link.is_open
    assert network.link("ben") is not link
    assert network.link("ben").is_clear


@virtual
async def test_a_trip_takes_as_long_as_the_way_and_waits_for_the_end_of_a_partition() -> None:
    network = Network()
    link = network.link("ben")
    await link.trip()
    assert now() == 0.0
    network.delay("ben", 0.25)
    await link.trip()
    assert now() == pytest.approx(0.25)
    anna = network.link("anna")
    network.partition("ben", "anna")
    asyncio.get_running_loop().call_later(9.0, network.heal)
    await link.trip()
    assert now() == pytest.approx(9.25)
    assert anna.is_open


@virtual
async def test_who_watches_a_link_is_told_until_it_stops() -> None:
    network, told = Network(), list[LinkNews]()
    stop = network.link("ben").watch(told.append)
    for _ in range(2):
        network.partition("ben")  # the second is no news
    network.heal()
    network.interrupt("ben")
    network.interrupt("ben", full=True)
    stop()
    network.partition("ben")
    assert told == [LinkNews.CLOSED, LinkNews.OPENED, LinkNews.BROKEN, LinkNews.RESTARTED]


@virtual
async def test_verbs_act_where_the_world_says() -> None:
    acts = list[object]()
    network = Network(act=acts.append)
    link = network.link("ben")
    network.partition("ben")
    assert link.is_open
    assert len(acts) == 1


def test_numbers_out_of_range_are_refused() -> None:
    network = Network()
    network.link("ben")
    wrong: list[Callable[[], None]] = [
        lambda: network.drop("ben", 1.5),
        lambda: network.delay("ben", -1.0),
        lambda: network.delay("ben", 1.0, jitter=-1.0),
    ]
    for command in wrong:
        with pytest.raises(UTDStreamException) as refused:
            command()
        assert refused.value.code is UTDErrorCode.VALIDATION


VERBS: Final[tuple[Callable[[Network, str], None], ...]] = (
    Network.drop,
    Network.reorder,
    Network.interrupt,
    Network.heal,
    lambda network, who: network.delay(who, 1.0),
    lambda network, who: network.partition("ben", who),
)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_about_nobody_is_refused_and_does_nothing(
    verb: Callable[[Network, str], None],
) -> None:
    network = Network()
    ben = network.link("ben")
    network.link("anna").cut()
    for nobody in ("anna", "bne"):
        with pytest.raises(UTDStreamException, match=f"nobody here is called '{nobody}', but ben:"):
            verb(network, nobody)
    assert ben.is_clear
