"""A device lives where it was wished to, and in the app where something of the app's has to be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media.devices import bring
from utd_rx.models.audio import AudioFrame
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports import living


class Hall:
    """An echo reference of an app's own."""

    def listen(self, sink: Callable[[AudioFrame], None]) -> Callable[[], None]:
        return lambda: None


async def test_a_microphone_whose_reference_is_the_apps_lives_with_it() -> None:
    cancelling = VoiceProcessing(echo_cancellation=True)
    auto = Microphone(reference=Hall(), processing=cancelling, media="auto")
    assert not bring(auto.key)
    assert living.is_here(auto.key)
    here = Speaker(media="inline")
    assert not bring(Microphone(reference=here, processing=cancelling, media="auto").key)
    apart = Microphone(reference=Hall(), processing=cancelling, media="process")
    with pytest.raises(UTDStreamException, match="cannot be heard in the media process") as raised:
        bring(apart.key)
    assert raised.value.code is UTDErrorCode.FEATURE_DISABLED
