"""From card to card through a room: a microphone is published, and played on a speaker."""

from __future__ import annotations

import pytest

from tests.audio.cable import TIMEOUT, Heard, Kept
from tests.rtc.bench import token
from tests.support.pulse import CABLE_A, CABLE_B
from tests.support.sfu import RunningSfu
from utd_rx.audio import WavSource, read_wav, speech_path
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.media.choice import Media
from utd_rx.models.events import RoomEvent, TrackSubscribed
from utd_rx.rtc.room import UTDRoom
from utd_rx.state import Store
from utd_rx.testing.sound import compare

pytestmark = [pytest.mark.usefixtures("bench"), pytest.mark.realtime]


TRIES = 3
"""A stall that the witness does not see costs likeness for some seconds."""


@pytest.mark.parametrize("sfu_kind", ["embedded"])  # the sound cards are what is tried
@pytest.mark.parametrize("media", ["inline", "process"])
async def test_what_goes_into_one_card_comes_out_of_the_other(
    sfu: RunningSfu, kept: Kept, media: Media
) -> None:
    """Also where the app makes a `UTDRoom` by hand, beside devices that live apart."""
    mouth, ear = kept(Speaker(CABLE_A)), kept(Microphone(CABLE_B))
    microphone, speaker = (
        kept(Microphone(CABLE_A, media=media)),
        kept(Speaker(CABLE_B, media=media)),
    )
    heard = Heard()
    talker, listener = kept(UTDRoom()), kept(UTDRoom())
    sids: Store[str | None, str] = Store(None, lambda _, sid: sid)

    def listen(events: tuple[RoomEvent, ...]) -> None:
        for event in events:
            if isinstance(event, TrackSubscribed):
                sids.dispatch(event.track.sid)

    listener.listen(listen)
    await listener.connect(sfu.url, token(sfu, "listener"))
    await talker.connect(sfu.url, token(sfu, "talker"))
    await talker.publish(microphone)
    sid = await sids.select(lambda sid: sid).until(lambda sid: sid is not None, timeout=TIMEOUT)
    assert sid is not None
    await mouth.open()
    await speaker.open()
    await listener.route(sid, speaker.key, name="talker")
    await ear.open(heard)
    kept(await WavSource(speech_path(), loop=True).open(mouth.voice("speech")))
    await heard.loud()
    await heard.more(100)  # jitter buffers settle
    _, sent = read_wav(speech_path())
    for _ in range(TRIES):
        heard.frames.clear()
        await heard.more(860)  # the whole speech at least once
        compared = compare(sent, heard.sound, 48_000)
        if compared.is_match and compared.correlation > 0.6 and compared.lost_seconds < 0.5:
            break
    # Opus alone leaves 13 dB; a jitter buffer that is still settling moves the sound within the
    # pieces that are compared, which costs likeness though nothing is lost.
    assert compared.is_match
    assert compared.correlation > 0.6
    assert compared.lost_seconds < 0.5
    await talker.aclose()
    assert microphone.device.value is None  # the room closed it
