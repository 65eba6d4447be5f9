"""PortAudio's adapter on devices of a test's, made in a media process."""

from __future__ import annotations

from functools import cache

import pytest

from tests.audio.cards import fake_cards
from tests.contracts.card_worlds import CardsWorld, portaudio_port

__all__ = ["portaudio_port", "world"]


@cache
def world() -> CardsWorld:
    """The one world, in which all devices that are opened from now on are fakes."""
    return CardsWorld(_patching.__enter__())


_patching = fake_cards(pytest.MonkeyPatch())
