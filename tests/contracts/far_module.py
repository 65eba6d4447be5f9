"""The adapter of WebRTC's device module on a module of a test's, made in a media process."""

from __future__ import annotations

import pytest

from tests.contracts import card_worlds
from tests.rtc.platform_module import patched_module
from utd_rx.ports.local import LocalAudio


def platform_port() -> LocalAudio:
    """Return a port whose module is a fake, as all of this process are from now on."""
    patched_module(pytest.MonkeyPatch())
    return card_worlds.platform_port()
