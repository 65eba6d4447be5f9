"""What those who are bound to every address call themselves."""

from __future__ import annotations

import pytest

from tests.support.sfu import fresh_options
from utd_rx.engine.listening import reached_at


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.77", "::1"])
def test_who_is_bound_to_an_address_is_called_that(host: str) -> None:
    assert reached_at(host) == host


async def test_on_every_address_an_sfu_is_called_by_one_that_others_reach() -> None:
    from attrs import evolve

    from utd_rx.engine.sfu.server import EmbeddedSfu
    from utd_rx.engine.sfu.udp_mux import local_addresses

    options = evolve(fresh_options(), host="0.0.0.0")
    sfu = EmbeddedSfu(options)
    await sfu.start()
    try:
        host = sfu.url.removeprefix("ws://").rpartition(":")[0]
        assert host in (local_addresses() or ["127.0.0.1"])
        assert sfu.api_url.startswith("http://127.0.0.1:")
    finally:
        await sfu.aclose()
