"""What every room port promises of what is encrypted end to end."""

from __future__ import annotations

import numpy as np
import pytest

from utd_rx.audio.sources import ToneSource
from utd_rx.errors import ConflictReason, UTDErrorCode
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFrame
from utd_rx.models.encryption import Encryption, EncryptionState, KeyDerivation
from utd_rx.testing.contracts import Batches, refusal
from utd_rx.testing.contracts.room_bench import RoomBench

RIGHT = Encryption("right", ratchet_window=0, derivation=KeyDerivation.HKDF)
WRONG = Encryption("wrong", ratchet_window=0, derivation=KeyDerivation.HKDF)


def is_silent(frame: AudioFrame) -> bool:
    """Whether nothing is heard in it."""
    return not np.any(frame.samples)


@pytest.mark.asyncio
class RoomEncryptionPromises:
    """This part of the suite of room ports."""

    async def test_who_has_the_key_hears_what_is_encrypted(self, bench: RoomBench) -> None:
        await bench.connect(RIGHT)
        sid = await bench.hearing(RIGHT)
        heard = Batches[AudioFrame]()
        await bench.room.hear(sid, heard.take)
        await heard.until(lambda frame: not is_silent(frame))
        await judged(bench, EncryptionState.OK)
        assert (await bench.seen(ev.TrackPublished)).track.is_encrypted
        await bench.granted()
        assert (await bench.room.publish(ToneSource())).is_encrypted

    async def test_a_wrong_key_is_told_and_is_silence_until_it_is_another(
        self, bench: RoomBench
    ) -> None:
        await bench.connect(WRONG)
        sid = await bench.hearing(RIGHT)
        heard = Batches[AudioFrame]()
        await bench.room.hear(sid, heard.take)
        await judged(bench, EncryptionState.DECRYPTION_FAILED)
        silent = len(heard.told)
        await heard.until(lambda frame: True, after=silent)
        assert all(map(is_silent, heard.told))
        await bench.room.encrypt(RIGHT)
        await judged(bench, EncryptionState.OK)
        await heard.until(lambda frame: not is_silent(frame))

    async def test_without_a_key_what_is_encrypted_is_silence(self, bench: RoomBench) -> None:
        await bench.connect()
        sid = await bench.hearing(RIGHT)
        heard = Batches[AudioFrame]()
        await bench.room.hear(sid, heard.take)
        await judged(bench, EncryptionState.MISSING_KEY)
        for _ in range(10):
            await heard.until(lambda frame: True, after=len(heard.told))
        assert all(map(is_silent, heard.told))

    async def test_only_keys_change_and_only_while_joined(self, bench: RoomBench) -> None:
        for_each = Encryption(keys={"ana": "a key"})
        assert (await refusal(bench.room.encrypt(RIGHT))).reason is ConflictReason.NOT_JOINED
        await bench.connect(RIGHT)
        await bench.room.encrypt(RIGHT.with_key("next"))
        for other in (for_each, Encryption("right")):
            assert (await refusal(bench.room.encrypt(other))).code is UTDErrorCode.VALIDATION
        await bench.room.disconnect()
        await bench.room.reconnect()
        await bench.room.encrypt(RIGHT)
        await bench.room.disconnect()
        await bench.room.reconnect(encryption=for_each)
        assert (await refusal(bench.room.encrypt(RIGHT))).code is UTDErrorCode.VALIDATION
        await bench.room.encrypt(for_each.with_key("next", identity="ana"))
        await bench.room.disconnect()
        await bench.connect()
        assert (await refusal(bench.room.encrypt(RIGHT))).code is UTDErrorCode.VALIDATION


async def judged(bench: RoomBench, state: EncryptionState) -> None:
    """Wait until that is told of the other's tracks."""
    await bench.until(
        lambda event: (
            isinstance(event, ev.ParticipantEncryptionChanged)
            and (event.identity, event.encryption) == (bench.server.other, state)
        )
    )
