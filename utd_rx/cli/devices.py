"""`utd-rx devices`: the sound devices of this machine, as `Microphone` and `Speaker` take them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from attrs import asdict

from utd_rx.cli.options import as_json, fail
from utd_rx.errors import UTDStreamException

if TYPE_CHECKING:
    from utd_rx.audio.devices import AudioDevice


@click.command()
@as_json
def command(as_json: bool) -> int:
    """List the sound devices: a star marks the system's.

    Exits with 0, with 1 when there is none, with 2 without PortAudio.
    """
    from utd_rx.audio.devices import list_devices

    try:
        devices = list_devices()
    except UTDStreamException as error:
        return fail("devices", 2, error.message)
    for device in devices:
        fields = {**asdict(device), "direction": device.direction.value}
        print(json.dumps(fields) if as_json else _as_text(device))
    if not devices:
        return fail("devices", 1, "there is none; run `utd-rx doctor`")
    return 0


def _as_text(device: AudioDevice) -> str:
    mark = "*" if device.is_default else " "
    return (
        f"{mark} {device.direction.value:6}  {device.name:30}  "
        f"{device.channels:2} channels  {device.default_sample_rate:6} Hz  {device.id}"
    )
