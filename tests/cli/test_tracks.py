"""Everybody's voice in a file of their own, all of which begin at the same moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utd_rx import AudioFrame
from utd_rx.audio import read_wav
from utd_rx.cli.tracks import VoiceTrack, VoiceTracks, file_name
from utd_rx.testing import FakeWorld

TEXT = st.text(st.sampled_from("aA./\\%~\x00é٣ "), min_size=1, max_size=128)


def frame(at: float) -> AudioFrame:
    return AudioFrame(np.full((480, 1), 1000, np.int16), 48_000, at)


def test_a_second_of_the_file_is_a_second_of_the_room(tmp_path: Path) -> None:
    track = VoiceTrack(tmp_path / "a.wav", began_at=10.0)
    for at in (11.0, 11.01, 11.05, 13.0):  # the third is late, the fourth comes after a pause
        track.hear(frame(at))
    track.close()
    _, samples = read_wav(track.path)
    loud = np.flatnonzero(samples[:, 0])
    assert loud[0] / 48_000 == pytest.approx(1.0)
    assert loud[-1] / 48_000 == pytest.approx(3.01, abs=0.001)
    assert len(loud) == 4 * 480


def test_who_said_nothing_leaves_no_file(tmp_path: Path) -> None:
    VoiceTrack(tmp_path / "a.wav", began_at=10.0).close()
    assert list(tmp_path.iterdir()) == []


@given(TEXT, TEXT)
@settings(max_examples=20)
def test_a_file_is_named_for_one_identity_and_stays_in_its_folder(one: str, other: str) -> None:
    name = file_name(one)
    assert Path(name).name == name
    assert not name.startswith(".")
    assert len(name.encode("ascii")) < 128
    assert (name == file_name(other)) == (one == other)


@pytest.mark.parametrize("identity", ["..", "a/b", "nul\x00", ".hidden", "٣" * 128])
def test_an_identity_is_no_path(identity: str) -> None:
    assert not {"/", "\\", "\x00"} & set(file_name(identity))


def test_who_speaks_gets_a_file(utd_world: FakeWorld, tmp_path: Path) -> None:
    listener = utd_world.join_audio_room("recorder", "friday")
    speaker = utd_world.join_audio_room(
        "../x", "friday", host=True, microphone=utd_world.microphone("../x")
    )
    opened: list[str] = []

    async def record() -> VoiceTracks:
        return VoiceTracks(
            listener, tmp_path, lambda who, path: opened.append(who), now=lambda: 0.0
        )

    tracks = utd_world.run(record())
    assert opened == []
    utd_world.run(speaker.take_seat(0))
    utd_world.settle()
    utd_world.run(speaker.set_microphone(False))
    utd_world.run(speaker.set_microphone(True))
    utd_world.settle()
    assert opened == ["../x"]
    utd_world.run(utd_world.microphone("../x").say(0.5))
    utd_world.settle()
    tracks.close()
    (path,) = tmp_path.iterdir()
    _, samples = read_wav(path)
    assert samples.any()


def test_who_speaks_already_gets_a_file_as_well(utd_world: FakeWorld, tmp_path: Path) -> None:
    ada = utd_world.join_audio_room("ada", "friday", host=True)
    utd_world.run(ada.take_seat(0))
    listener = utd_world.join_audio_room("recorder", "friday")

    async def record() -> VoiceTracks:
        return VoiceTracks(listener, tmp_path, lambda _, path: None, now=lambda: 0.0)

    tracks = utd_world.run(record())
    utd_world.run(utd_world.microphone("ada").say(0.5))
    utd_world.settle()
    tracks.close()
    _, samples = read_wav(tmp_path / file_name("ada"))
    assert samples.any()
