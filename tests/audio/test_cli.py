"""`utd-rx devices` and `utd-rx doctor` on virtual cables, and on a machine without sound."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tests.support.pulse import CABLE_A, CABLE_B, Bench
from utd_rx.audio import portaudio
from utd_rx.audio.devices import AudioDevice
from utd_rx.audio.microphone import Microphone
from utd_rx.cli import doctor, main
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.testing.contracts import refusal
from utd_rx.testing.sound import compare


def utd_rx(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own: PortAudio is one per process."""
    return subprocess.run(
        [sys.executable, "-m", "utd_rx", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_cables_are_listed(bench: Bench) -> None:
    done = utd_rx("devices", **bench.environment)
    assert done.returncode == 0
    assert CABLE_A in done.stdout
    assert "* input" in done.stdout
    lines = [json.loads(line) for line in utd_rx("devices", "--json").stdout.splitlines()]
    assert {line["direction"] for line in lines if line["name"] == CABLE_B} == {"input", "output"}


@pytest.mark.realtime
def test_the_doctor_hears_itself_over_a_cable(bench: Bench) -> None:
    done = utd_rx("doctor", "--input", CABLE_A, "--output", CABLE_A)
    assert (done.returncode, done.stdout.count("WRONG")) == (0, 0)
    assert "what was played is heard" in done.stdout
    assert "a media process is up" in done.stdout


@pytest.mark.long
def test_the_doctor_tells_a_microphone_that_hears_nothing(bench: Bench) -> None:
    done = utd_rx("doctor", "--input", CABLE_B, "--output", CABLE_A)
    assert done.returncode == 1
    assert "hears nothing" in done.stdout
    assert doctor.UNMUTE.get(sys.platform, "") in done.stdout


def test_the_doctor_tells_a_device_that_is_not_there(bench: Bench) -> None:
    done = utd_rx("doctor", "--input", "bluetooth", "--silent", UTD_RX_MEDIA="auto")
    assert done.returncode == 1
    microphone, speaker = done.stdout.splitlines()[-2:]
    assert microphone.startswith("WRONG microphone in a media process: there is no input device")
    assert speaker.startswith("ok    speaker: ")
    assert speaker.endswith(", in a media process")


async def test_the_doctor_tells_the_rate_at_which_a_device_really_runs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = portaudio.PortAudioStream

    def only_44100(device: AudioDevice, rate: int, *rest: Any) -> portaudio.PortAudioStream:
        return opened(device, 44_100, *rest)

    monkeypatch.setattr(portaudio, "PortAudioStream", only_44100)
    microphone = Microphone(CABLE_A, media="inline")
    assert await doctor.opens("microphone", microphone, microphone.open(lambda frame: None)) == 0
    await microphone.aclose()
    assert f"{CABLE_A} at 44100 Hz, in the app's process" in capsys.readouterr().out


def test_without_a_sound_server_both_say_what_to_do(bench: Bench) -> None:
    nowhere = {"PULSE_SERVER": "unix:/nowhere", "ALSA_CONFIG_PATH": "/usr/share/alsa/alsa.conf"}
    listed, examined = utd_rx("devices", **nowhere), utd_rx("doctor", **nowhere)
    assert (listed.returncode, examined.returncode) == (1, 1)
    assert "utd-rx doctor" in listed.stderr
    assert "no sound device" in examined.stdout


async def test_the_doctor_says_why_there_is_no_media_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("UTD_RX_MEDIA", raising=False)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    await doctor.media_process()
    printed = capsys.readouterr().out
    assert printed.startswith("ok    no media process, this is a frozen program")


def test_the_doctor_tells_of_a_place_for_media_that_there_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(portaudio, "version", lambda: "PortAudio")
    monkeypatch.setenv("UTD_RX_MEDIA", "bogus")
    assert main(["doctor"]) == 1
    assert "WRONG the environment's UTD_RX_MEDIA is one of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("inline", "ok    UTD_RX_MEDIA=inline: rooms and devices live in the app's process"),
        (
            "process",
            "ok    UTD_RX_MEDIA=process: rooms and devices live in a process of their own",
        ),
        ("auto", "ok    a media process is up"),
    ],
)
async def test_the_doctor_says_where_the_environment_has_media_live(
    where: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UTD_RX_MEDIA", where)
    await doctor.media_process()
    printed = capsys.readouterr().out
    assert printed.startswith(words)
    assert "a media process is up" in printed


async def test_the_doctor_tells_of_a_media_process_that_is_wanted_and_cannot_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UTD_RX_MEDIA", "process")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert (await refusal(doctor.media_process())).code is UTDErrorCode.FEATURE_DISABLED


def test_without_portaudio_both_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise UTDStreamException("install it", code=UTDErrorCode.FEATURE_DISABLED)

    monkeypatch.setattr(portaudio, "load", missing)
    assert main(["devices"]) == 2
    assert main(["doctor"]) == 1
    printed = capsys.readouterr()
    assert "install it" in printed.err
    assert "WRONG install it" in printed.out
    assert main(["doctor", "--json"]) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told == [{"is_good": False, "finding": "install it"}]


def test_a_room_with_noise_but_no_loopback_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(1)
    heard = random.normal(0, 300, (48_000, 1)).astype(np.int16)
    sent = random.normal(0, 3000, (48_000, 1)).astype(np.int16)
    assert doctor.judge(compare(sent, heard, 48_000)) == 0
    assert "headphones" in capsys.readouterr().out
