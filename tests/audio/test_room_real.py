"""From card to card through a room: a microphone is published, and played on a speaker."""

from __future__ import annotations

import pytest

from tests.audio.test_devices_real import TIMEOUT, Heard
from tests.rtc.bench import token
from tests.support.pulse import CABLE_A, CABLE_B
from tests.support.sfu import RunningSfu
from utd_rx.audio import WavSource, compare, read_wav, speech_path
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.models.events import RoomEvent, TrackSubscribed
from utd_rx.rtc.room import UTDRoom
from utd_rx.state import Store

pytestmark = pytest.mark.usefixtures("bench")


async def test_what_goes_into_one_card_comes_out_of_the_other(sfu: RunningSfu) -> None:
    talker, listener = UTDRoom(), UTDRoom()
    mouth, ear = Speaker(CABLE_A), Microphone(CABLE_B)
    microphone, speaker, heard = Microphone(CABLE_A), Speaker(CABLE_B), Heard()
    sids: Store[str | None, str] = Store(None, lambda _, sid: sid)

    def listen(event: RoomEvent) -> None:
        if isinstance(event, TrackSubscribed):
            sids.dispatch(event.track.sid)

    listener.listen(listen)
    await listener.connect(sfu.url, token(sfu, "listener"))
    await talker.connect(sfu.url, token(sfu, "talker"))
    await talker.publish_audio(microphone)
    sid = await sids.select(lambda sid: sid).until(lambda sid: sid is not None, timeout=TIMEOUT)
    assert sid is not None
    async with mouth, speaker:
        reception = await listener.receive_audio(sid, speaker.voice("talker"))
        recording = await ear.open(heard)
        speech = await WavSource(speech_path(), loop=True).open(mouth.voice("speech"))
        await heard.loud()
        await heard.more(100)  # jitter buffers settle
        heard.frames.clear()
        await heard.more(860)  # the whole speech at least once
        await speech.aclose()
        await recording.aclose()
        await reception.aclose()
    await ear.aclose()
    await talker.aclose()
    await listener.aclose()
    assert microphone.device.value is None  # the room closed it
    await microphone.aclose()
    _, sent = read_wav(speech_path())
    compared = compare(sent, heard.sound, 48_000)
    assert compared.is_match
    # Opus alone leaves 13 dB; a jitter buffer that is still settling moves the sound within the
    # pieces that are compared, which costs likeness though nothing is lost.
    assert compared.correlation > 0.6
    assert compared.lost_seconds < 0.5
