"""What the network does to any room of the machines: late, twice, out of order, or not at all."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule


class BadWeather(RuleBasedStateMachine):
    """A machine on a `RoomWorld`; every rule does something whenever it is chosen."""

    world: Any

    @precondition(lambda self: self.absent())
    @rule(data=st.data())
    def join(self, data: st.DataObject) -> None:
        self.world.join(data.draw(st.sampled_from(self.absent())))

    @precondition(lambda self: self.having("signals"))
    @rule(data=st.data(), count=st.integers(1, 4))
    def deliver_signals(self, data: st.DataObject, count: int) -> None:
        who = data.draw(st.sampled_from(self.having("signals")))
        for _ in range(count):
            self.world.deliver_signal(who)

    @precondition(lambda self: self.having("messages"))
    @rule(data=st.data(), at=st.integers(0, 9), fate=st.sampled_from(["once", "again", "lost"]))
    def deliver_message(self, data: st.DataObject, at: int, fate: str) -> None:
        who = data.draw(st.sampled_from(self.having("messages")))
        if fate == "lost":
            self.world.clients[who].messages.pop()
        else:
            self.world.deliver_message(who, at, keep=fate == "again")

    @precondition(lambda self: self.having("tasks"))
    @rule(data=st.data(), at=st.integers(0, 9), succeeds=st.booleans())
    def finish_task(self, data: st.DataObject, at: int, succeeds: bool) -> None:
        who = data.draw(st.sampled_from(self.having("tasks")))
        self.world.do_task(who, at, succeeds=succeeds)

    def absent(self) -> list[str]:
        """Who is not in the room, nor about to be."""
        clients = self.world.clients.items()
        return [who for who, c in clients if c.state.session.connection.is_resting]

    def having(self, what: str) -> list[str]:
        """For whom there is some of it."""
        return [who for who, client in self.world.clients.items() if getattr(client, what)]
