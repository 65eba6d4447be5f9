"""The suites of a world run on virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from utd_rx.testing import VirtualLoop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], VirtualLoop]]:
    return {"virtual": VirtualLoop}
