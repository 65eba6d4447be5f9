"""Encrypted rooms of a world: the sessions are genuine, and so is what they make of a key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from utd_rx import (
    AudioFrame,
    Encryption,
    EncryptionState,
    KeyDerivation,
    MediaSession,
    Replay,
    RoomSession,
    UTDErrorCode,
    UTDStreamException,
    record,
    replay,
)
from utd_rx.testing import FakeWorld

KEY = "k3y-of-the-r00m"
OK, NONE, WRONG, MISSING = (
    EncryptionState.OK,
    EncryptionState.NONE,
    EncryptionState.DECRYPTION_FAILED,
    EncryptionState.MISSING_KEY,
)


def fast(key: str | None = KEY, **options: Any) -> Encryption:
    return Encryption(key, derivation=KeyDerivation.HKDF, **options)


def state_of(session: MediaSession[Any] | Replay[Any], identity: str = "ana") -> EncryptionState:
    who = session.select(lambda state: state.session.roster.find(identity)).value
    state: EncryptionState = who.encryption
    return state


class Heard:
    """How much is heard of somebody."""

    def __init__(self, session: MediaSession[Any], identity: str = "ana") -> None:
        self.loud = 0
        session.audio(identity).subscribe(self._take)

    def _take(self, frame: AudioFrame) -> None:
        self.loud += bool(np.any(frame.samples))

    def anew(self) -> bool:
        """Whether something is, since this was asked last."""
        loud, self.loud = self.loud, 0
        return loud > 0


def speak(world: FakeWorld, session: RoomSession) -> None:
    """Let somebody speak for a while."""
    world.run(session.set_microphone(True))
    world.run(world.microphone(session.identity).say(1.0))


def test_who_has_the_key_hears_and_reads_and_who_has_not_is_told_and_hears_nothing() -> None:
    with FakeWorld() as world:
        ana = world.open_room("ana", encryption=fast())
        ben = world.open_room("ben", encryption=fast())
        eve = world.open_room("eve", encryption=fast("a guess"))
        may = world.open_room("may")
        ears = [Heard(session) for session in (ben, eve, may)]
        speak(world, ana)
        assert [ear.anew() for ear in ears] == [True, False, False]
        assert [state_of(session) for session in (ana, ben, eve, may)] == [OK, OK, WRONG, MISSING]
        world.run(ana.chat.send("hello"))
        world.run(may.chat.send("in clear"))
        world.settle()
        read = [[one.text for one in session.chat_history.value] for session in (ben, eve, may)]
        assert read == [["hello", "in clear"], ["in clear"], ["in clear"]]
        world.run(eve.set_key(KEY, index=0))
        speak(world, ana)
        assert [ear.anew() for ear in ears] == [True, True, False]
        assert state_of(eve) is OK
        world.run(may.set_microphone(True))
        world.settle()
        assert state_of(ben, "may") is NONE
        assert state_of(ben, "eve") is NONE


def test_a_key_is_changed_and_nobody_misses_a_word() -> None:
    with FakeWorld() as world:
        ana = world.open_room("ana", encryption=fast())
        ben = world.open_room("ben", encryption=fast())
        ear = Heard(ben)
        speak(world, ana)
        seen: list[EncryptionState] = []
        watching = ben.select(lambda state: state.session.roster.find("ana")).subscribe(
            lambda who: seen.append(who.encryption)
        )
        back = Heard(ana, "ben")
        for sends in (False, True):
            for session in (ben, ana):
                world.run(session.set_key("the next", index=1, sends=sends))
                speak(world, ana)
                speak(world, ben)
                assert ear.anew()
                assert back.anew()
        world.run(ana.ratchet_key())
        speak(world, ana)
        assert ear.anew()
        assert set(seen) == {OK}
        watching.dispose()
        # And in the joins that follow.
        for session in (ana, ben):
            world.run(session.leave())
            world.run(session.join())
        ear = Heard(ben)
        speak(world, ana)
        assert (ear.anew(), state_of(ben)) == (True, OK)


def test_each_has_a_key_of_their_own() -> None:
    with FakeWorld() as world:
        keys = {"ana": "of ana", "ben": "of ben"}
        ana = world.open_room("ana", encryption=fast(None, keys={"ana": "of ana"}))
        ben = world.open_room("ben", encryption=fast(None, keys={"ben": "of ben"}))
        ear = Heard(ben)
        speak(world, ana)
        assert (ear.anew(), state_of(ben)) == (False, MISSING)
        world.run(ben.set_key(keys["ana"], identity="ana"))
        speak(world, ana)
        assert (ear.anew(), state_of(ben)) == (True, OK)
        with pytest.raises(UTDStreamException) as refused:
            world.run(ben.set_key("whose?"))
        assert refused.value.code is UTDErrorCode.VALIDATION


def test_an_outage_changes_nothing_of_it() -> None:
    with FakeWorld() as world:
        ana = world.open_room("ana", encryption=fast())
        ben = world.open_room("ben", encryption=fast())
        ear = Heard(ben)
        world.run(ben.set_key("the next"))
        world.run(ana.set_key("the next"))
        world.network.interrupt("ana", full=True)
        world.advance(10.0)
        speak(world, ana)
        assert (ear.anew(), state_of(ben)) == (True, OK)


def test_sessions_of_an_engine_have_it_too() -> None:
    with FakeWorld() as world:
        host = world.join_audio_room("ana", host=True, encryption=fast())
        guest = world.join_audio_room("ben", encryption=fast("a guess"))
        world.run(host.take_seat(0))
        world.settle()
        assert (state_of(host), state_of(guest)) == (OK, WRONG)
        world.run(guest.set_key(KEY, index=0))
        world.settle()
        assert state_of(guest) is OK


def test_no_recording_holds_a_key(tmp_path: Path) -> None:
    with FakeWorld() as world:
        ana = world.open_room("ana", encryption=fast())
        ben = world.open_room("ben", encryption=fast("a guess"))
        recordings = [
            record(ben, tmp_path / f"{keeps}.jsonl", keep_payloads=keeps) for keeps in (True, False)
        ]
        speak(world, ana)
        world.run(ben.set_key(KEY, index=0))
        speak(world, ana)
        for recording in recordings:
            recording.close()
        for path in tmp_path.iterdir():
            text = path.read_text()
            assert KEY not in text
            assert "a guess" not in text
            told = replay(path, Replay)
            while told.step():
                pass
            assert state_of(told) is OK


def test_what_is_no_encryption_is_refused_where_it_is_handed_over() -> None:
    with FakeWorld() as world:
        client: Any = world
        for make in (client.open_room, client.join_audio_room):
            with pytest.raises(UTDStreamException) as refused:
                make("ana", encryption=KEY)
            assert refused.value.code is UTDErrorCode.VALIDATION
            assert KEY not in str(refused.value)
        session = world.open_room("ben")
        for change in (session.set_key("key"), session.ratchet_key()):
            with pytest.raises(UTDStreamException, match="without encryption"):
                world.run(change)
