"""Sources of video, and what is done with it; importing it loads nothing but numpy."""

from __future__ import annotations

from utd_rx.video.camera import Camera
from utd_rx.video.files import VideoFileSource
from utd_rx.video.hardware import list_cameras
from utd_rx.video.pattern import TestPattern, read_counter
from utd_rx.video.recorder import VideoRecorder
from utd_rx.video.screen import Screen
from utd_rx.video.sources import FrameSource

__all__ = [
    "Camera",
    "FrameSource",
    "Screen",
    "TestPattern",
    "VideoFileSource",
    "VideoRecorder",
    "list_cameras",
    "read_counter",
]
