"""Whatever a bad network does, when it is over everybody knows what is so."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.testing.world.party import ROOM, Guest, Party, advance, virtual
from utd_rx.engine.rules.roles import Grant
from utd_rx.errors import UTDStreamException
from utd_rx.models import events as ev
from utd_rx.protocol import roster
from utd_rx.protocol.roster import Roster
from utd_rx.testing.world.devices import VirtualMicrophone

WHO = ("anna", "ben", "cleo")

BAD = st.sampled_from(["partition", "heal", "interrupt", "start over", "delay", "reorder", "drop"])
DONE = st.sampled_from(
    ["join", "leave", "publish", "unpublish", "mute", "grant", "revoke", "remove"]
)
STEPS = st.lists(
    st.tuples(st.sampled_from(WHO), DONE | BAD, st.sampled_from([0.0, 0.1, 2.0, 17.0, 30.0])),
    max_size=30,
)


class Follower:
    """Somebody who knows the room from their snapshot and the events behind it."""

    def __init__(self, guest: Guest) -> None:
        self.guest, self.roster, self.is_connected = guest, Roster(), False
        self._is_reconnecting = False
        guest.room.listen(self._follow)

    async def join(self, token: str) -> None:
        self.guest.forget()
        snapshot = await self.guest.room.connect("", token)
        self.roster, self.is_connected = roster.from_snapshot(snapshot), True

    def _follow(self, batch: tuple[ev.RoomEvent, ...]) -> None:
        for event in batch:
            if isinstance(event, ev.Reconnecting | ev.Reconnected):
                self._is_reconnecting = isinstance(event, ev.Reconnecting)
            self.is_connected &= not isinstance(event, ev.Disconnected)
            self.roster = roster.step(self.roster, event, is_reconnecting=self._is_reconnecting)

    def tracks(self) -> list[str]:
        return [] if self.roster.local is None else [t.sid for t in self.roster.local.tracks]


async def do(party: Party, follower: Follower, what: str) -> None:
    who, room, network = follower.guest.identity, follower.guest.room, party.network
    sids = follower.tracks()
    match what:
        case "join":
            await follower.join(party.token(who))
        case "leave":
            await room.disconnect()
        case "publish":
            await room.publish(VirtualMicrophone())
        case "unpublish" if sids:
            await room.unpublish(sids[0])
        case "mute" if sids:
            local = follower.roster.local
            assert local is not None
            await room.set_muted(sids[0], not local.tracks[0].is_muted)
        case "grant" | "revoke":
            await party.sfu.set_grant(ROOM, who, Grant(can_publish=what == "grant"))
        case "remove":
            await party.sfu.remove(ROOM, who)
        case "interrupt" | "start over":
            network.interrupt(who, full=what == "start over")
        case "delay":
            network.delay(who, 0.3, jitter=0.3)
        case "partition" | "heal" | "reorder" | "drop":
            getattr(network, what)(who)


def known(view: Any) -> Any:
    """A participant as far as everybody knows the same of them."""
    tracks = tuple(evolve(track, is_subscribed=False) for track in view.tracks)
    return view.identity, view.sid, view.permission, tracks


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_everybody_knows_what_is_so_in_the_end(steps: list[tuple[str, str, float]]) -> None:
    @virtual
    async def play(party: Party) -> None:
        followers = {who: Follower(party.guest(who)) for who in WHO}
        for who, what, pause in [("anna", "join", 0.0), ("ben", "join", 0.0), *steps]:
            with suppress(UTDStreamException):  # it could not be done as things were
                await do(party, followers[who], what)
            await advance(pause)
        party.network.heal()
        await advance(120)
        there = {who.identity: who for who in await party.sfu.list_participants(ROOM)}
        connected = {who: one for who, one in followers.items() if one.is_connected}
        assert there.keys() == connected.keys()
        for who, one in connected.items():
            local = one.roster.local
            assert local is not None
            assert [t.sid for t in local.tracks] == [t.sid for t in there[who].tracks]
            assert local.sid == there[who].sid
            others = {known(other.roster.local) for name, other in connected.items() if name != who}
            assert {known(remote) for remote in one.roster.participants} == others
            assert all(t.is_subscribed for r in one.roster.participants for t in r.tracks)

    play(party=Party())
