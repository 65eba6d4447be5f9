"""A local engine to develop against: REST on loopback and an SFU behind it (extra `engine`)."""

from __future__ import annotations

from utd_rx.engine.options import EngineOptions
from utd_rx.engine.server import LocalEngine

__all__ = ["EngineOptions", "LocalEngine"]
