"""Sessions in a notebook: a live panel, timelines and marble diagrams, sound and pictures to play.

It needs the extra: `pip install 'utd-rx[notebook]'`.
"""

from __future__ import annotations

from utd_rx.errors import needing_extra

with needing_extra("utd_rx.notebook", "notebook"):
    from utd_rx.notebook.panel import Panel, watch
    from utd_rx.notebook.playing import play
    from utd_rx.notebook.streams import StreamPicture, marble, timeline

__all__ = ["Panel", "StreamPicture", "marble", "play", "timeline", "watch"]
