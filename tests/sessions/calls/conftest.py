"""The stage of every test of a call session."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.sessions.call_stage import CallStage


@pytest.fixture
async def stage() -> AsyncIterator[CallStage]:
    stage = CallStage()
    yield stage
    stage.room.gate.set()
    stage.engine.gate.set()
    await stage.session.aclose()
    assert stage.signals.holders == {}
    assert stage.signals.sinks == []
