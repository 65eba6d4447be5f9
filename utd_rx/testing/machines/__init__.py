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

Every rule of a machine is a step that Hypothesis may take, and a method that may be called;
`without = (*TROUBLES, "kick")` leaves some out.
"""

from __future__ import annotations

from utd_rx.errors import needing_extra

with needing_extra("utd_rx.testing.machines", "testing"):
    from utd_rx.testing.machines.agent import AgentMachine
    from utd_rx.testing.machines.audio_room import AudioRoomMachine
    from utd_rx.testing.machines.base import TROUBLES, WorldMachine
    from utd_rx.testing.machines.call import CallMachine
    from utd_rx.testing.machines.live_stream import LiveStreamMachine
    from utd_rx.testing.machines.plain_room import PlainRoomMachine

__all__ = [
    "TROUBLES",
    "AgentMachine",
    "AudioRoomMachine",
    "CallMachine",
    "LiveStreamMachine",
    "PlainRoomMachine",
    "WorldMachine",
]
