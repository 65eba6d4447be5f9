"""Sessions in a notebook: a live panel, timelines and marble diagrams, sound and pictures to play.

It needs the extra: `pip install 'utd-rx[notebook]'`.
"""

from __future__ import annotations

try:
    from utd_rx.notebook.panel import Panel, watch
    from utd_rx.notebook.playing import play
    from utd_rx.notebook.streams import StreamPicture, marble, timeline
except ModuleNotFoundError as error:
    if (error.name or "").startswith("utd_rx"):
        raise
    raise ModuleNotFoundError(
        f"utd_rx.notebook needs {error.name}: pip install 'utd-rx[notebook]'", name=error.name
    ) from error

__all__ = ["Panel", "StreamPicture", "marble", "play", "timeline", "watch"]
