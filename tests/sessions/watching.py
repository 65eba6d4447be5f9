"""Every value of every stream, of a live session and of its replay."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.sessions.histories import plain
from utd_rx.sessions.recording import Recording
from utd_rx.sessions.replay import AudioRoomReplay, Replay, replay
from utd_rx.sessions.view import View

OF_ANY = [
    "state",
    "connected",
    "connection_state",
    "can_publish",
    "remote_participants",
    "active_speakers",
    "microphone_enabled",
    "failure",
    "roles",
    "chat_locked",
    "chat_history",
    "banned",
]

STREAMS = [
    *OF_ANY,
    "seats",
    "my_seat",
    "pending_requests",
    "invitations",
]

Seen = dict[str, list[Any]]


def watch(streams: View[Any], names: Sequence[str] = STREAMS) -> Seen:
    """Collect every value of every stream, and every event, from now on."""
    seen: Seen = {name: [] for name in names}
    for name, values in seen.items():
        getattr(streams, name).subscribe(values.append)
    seen["events"] = []
    streams.events.subscribe(seen["events"].append)
    return seen


def shown(seen: Seen, recording: Recording) -> Seen:
    """Return what was seen as the recording shows it, comparable."""
    return {name: [plain(recording.redact(v)) for v in values] for name, values in seen.items()}


def replayed(
    path: Path, names: Sequence[str] = STREAMS, kind: type[Replay[Any]] = AudioRoomReplay
) -> Seen:
    again = replay(path, kind)
    seen = watch(again, names)
    while again.step():
        pass
    return {name: [plain(value) for value in values] for name, values in seen.items()}


async def settle() -> None:
    """Let the loop do everything that is ready."""
    for _ in range(10):
        await asyncio.sleep(0)
