"""The adapters of both backends, and devices of a test's for PortAudio's."""

from __future__ import annotations

from tests.audio.cards import Cards
from utd_rx.audio.adapter import ABILITIES
from utd_rx.audio.hearing import HearingDevice
from utd_rx.audio.playing import PlayingDevice
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.ports.local import LocalAudio
from utd_rx.rtc import platform_audio
from utd_rx.rtc.platform_audio import PlatformMicrophone, PlatformSpeaker


def portaudio_port() -> LocalAudio:
    return LocalAudio(ABILITIES, HearingDevice, PlayingDevice)


def platform_port() -> LocalAudio:
    return LocalAudio(platform_audio.ABILITIES, PlatformMicrophone, PlatformSpeaker)


class CardsWorld:
    """Devices whose callbacks are made here, in the place of PortAudio's."""

    first, second = "first", "second"

    def __init__(self, cards: Cards) -> None:
        self._cards = cards

    async def lose(self) -> None:
        self._cards.refusal = UTDStreamException("gone", code=UTDErrorCode.NOT_FOUND)
        for stream in (*self._cards.inputs, *self._cards.outputs):
            stream.is_active = False

    take_away = lose

    async def bring_back(self) -> None:
        self._cards.refusal = None

    async def sound(self) -> None:
        self._cards.inputs[-1].hears(5)
