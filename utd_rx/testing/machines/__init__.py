"""Hypothesis machines to subclass: rooms in which anything happens, for an app's own rules.

```python
class Moderated(AudioRoomMachine):
    people = ("host", "anna", "ben")

    def begin(self) -> None:
        super().begin()
        self.bot = self.world.run(start_bot(self.world.client("bot")))

    @invariant()
    def nobody_speaks_who_was_warned(self) -> None:
        assert not self.bot.warned & speakers(self.bot.session.seats.value)

TestModerated = Moderated.TestCase
```

Every rule of a machine is a step that Hypothesis may take, a method that may be called, and
overridden by a name that is no rule to leave it out: `kick = None`.
"""

from __future__ import annotations

from utd_rx.testing.machines.audio_room import AudioRoomMachine
from utd_rx.testing.machines.base import WorldMachine
from utd_rx.testing.machines.call import CallMachine
from utd_rx.testing.machines.live_stream import LiveStreamMachine

__all__ = ["AudioRoomMachine", "CallMachine", "LiveStreamMachine", "WorldMachine"]
