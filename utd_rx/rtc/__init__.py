"""Media rooms over LiveKit; importing this package does not load LiveKit's native library."""

from __future__ import annotations

from utd_rx.rtc.room import UTDRoom

__all__ = ["UTDRoom"]
