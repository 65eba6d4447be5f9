"""What tests of a world's media share."""

from __future__ import annotations

import pytest

from tests.testing.world.party import Party


@pytest.fixture
def party() -> Party:
    return Party()
