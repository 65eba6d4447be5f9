"""`utd-rx devices`: the sound devices of this machine, as `Microphone` and `Speaker` take them."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from attrs import asdict

from utd_rx.errors import UTDStreamException

if TYPE_CHECKING:
    from utd_rx.audio.devices import AudioDevice


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to `parser`."""
    parser.add_argument("--json", action="store_true", help="print one line of JSON per device")


def run(args: argparse.Namespace) -> int:
    """List the devices: 0, 1 when there is none, 2 without PortAudio."""
    from utd_rx.audio.devices import list_devices

    try:
        devices = list_devices()
    except UTDStreamException as error:
        print(f"utd-rx devices: {error.message}", file=sys.stderr)
        return 2
    for device in devices:
        fields = {**asdict(device), "direction": device.direction.value}
        print(json.dumps(fields) if args.json else _as_text(device))
    if not devices:
        print("utd-rx devices: there is none; run `utd-rx doctor`", file=sys.stderr)
        return 1
    return 0


def _as_text(device: AudioDevice) -> str:
    mark = "*" if device.is_default else " "
    return (
        f"{mark} {device.direction.value:6}  {device.name:30}  "
        f"{device.channels:2} channels  {device.default_sample_rate:6} Hz  {device.id}"
    )
