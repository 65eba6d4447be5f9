"""Video without a camera."""

from __future__ import annotations

from utd_rx.video.pattern import TestPattern, read_counter

__all__ = ["TestPattern", "read_counter"]
