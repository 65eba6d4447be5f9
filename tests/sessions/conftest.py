"""A stage that is closed after the test, and one on which the session has joined."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.sessions.stage import Stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    stage.room.gate.set()
    await stage.session.aclose()


@pytest.fixture
async def joined(stage: Stage) -> Stage:
    await stage.session.join()
    return stage
