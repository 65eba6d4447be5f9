"""The desk: all calls of one engine, what is due, and who hears of what
(docs/contract.md, "Calls").

Theory of operation: everything is decided by the book (`rules.call_book`) in one turn of the
loop: look, decide, keep, tell. Nothing is awaited in between, so that of an answer, a cancel and
a time-out at the same moment exactly one is first, without a lock. What follows for the media
server is left to the call's `CallRoom`. Only a new call waits for it: the room is opened first,
and then it is decided whether there is a call.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen

from utd_rx.engine.call_news import CallTeller, Poster
from utd_rx.engine.call_room import CallRoom
from utd_rx.engine.engine_clock import EngineClock, Timer
from utd_rx.engine.media import Media, MediaParticipant, MediaUnavailable
from utd_rx.engine.metadata import read_metadata
from utd_rx.engine.rules.call_book import CallBook, CallLimits, Changed, Dial
from utd_rx.engine.rules.calls import Call, Deed, due, party_of
from utd_rx.engine.rules.refusal import conflict
from utd_rx.engine.tasks import OwnedTasks
from utd_rx.models.call import UTDCall, UTDCallStatus
from utd_rx.protocol.wire.calls import METADATA_KEY, call_to_wire

logger: Final = logging.getLogger(__name__)


@frozen
class Admitted:
    """A call that a party is to join, with the serial of the token; `is_new`: it began with it."""

    call: Call
    serial: int
    is_new: bool = False


_EVENTS: Final[Mapping[UTDCallStatus, str]] = {
    UTDCallStatus.INITIATING: "call_initiated",
    UTDCallStatus.ACTIVE: "call_accepted",
}
"""Webhooks that are not called after the status."""

LOOK_SECONDS: Final = 30.0
"""How often it is found out whether a call's room is to be looked at."""


class CallDesk:
    """Every call of one engine.

    A command raises `Refusal`, and nothing has changed then: 403, 404, 409, 422, and 503 where a
    new call's room cannot be had. Facts are of rooms by our name.

    Args:
        media: Where the rooms are.
        clock: Deadlines are its `monotonic()`.
        livekit_name: LiveKit's name of a room of ours.
        refuse: Raises for a caller and a callee who may not talk: one of them is banned.
        limits: Of every call.
        teller: Tells users.
        poster: Tells a backend.
    """

    def __init__(
        self,
        media: Media,
        clock: EngineClock,
        *,
        livekit_name: Callable[[str], str],
        refuse: Callable[[str, str], None],
        limits: CallLimits,
        teller: CallTeller,
        poster: Poster,
    ) -> None:
        self._media = media
        self._clock = clock
        self._livekit_name = livekit_name
        self._refuse = refuse
        self._teller = teller
        self._poster = poster
        # Above every serial of an engine before this one, as those of rooms.
        self._book = CallBook(limits, next_serial=int(clock.wall() * 1000))
        self._rooms: dict[str, CallRoom] = {}
        self._timers: dict[str, Timer] = {}
        self._dialling: set[str] = set()
        self._look: Timer | None = None
        self._tasks = OwnedTasks()

    async def aclose(self) -> None:
        """End timers and tasks; the rooms are left as they are. Idempotent."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._stop_looking()
        await self._tasks.aclose()

    # -- what is asked

    def find(self, call_id: str, identity: str | None) -> Call:
        """Return a call as it is now, to a party; `identity` None is a backend, which sees all."""
        self._catch_up(call_id)
        call = self._book.find(call_id)
        if identity is not None:
            party_of(call, identity)
        return call

    def calls(self) -> tuple[Call, ...]:
        """Return every call that is known."""
        self._catch_up(*self._book.live)
        return (*self._book.over.values(), *self._book.live.values())

    def ringing_for(self, identity: str) -> tuple[UTDCall, ...]:
        """Return what somebody is to answer."""
        call = self._book.ringing_for(identity)
        return () if call is None else (call.told,)

    # -- what is done

    async def dial(self, dial: Dial) -> Admitted:
        """Begin a call, or join the one that is there; answers when its room is."""
        if dial.caller in self._dialling:
            raise conflict("You are already on a call", cause="caller_busy")
        self._refuse(dial.caller, dial.callee)
        if (found := self._dialled(dial)) is not None:
            return found
        room = self._room(dial.call.call_id)
        self._dialling.add(dial.caller)
        try:
            await room.open(call_metadata_of(dial.call))
            found = self._dialled(dial)
            if found is not None:  # the other one dialled meanwhile
                return found
            self._refuse(dial.caller, dial.callee)
            changed = self._keep(self._book.dial(dial, self._clock.monotonic()))
            return Admitted(changed.call, _serial(changed), is_new=True)
        finally:
            self._dialling.discard(dial.caller)
            if dial.call.call_id not in self._book.live:
                if room.sid is None:  # there is nothing to take back
                    self._rooms.pop(dial.call.call_id, None)
                else:
                    room.want(None)

    def do(self, call_id: str, deed: Deed, identity: str, device: str) -> Call:
        """Carry out what a party asks for."""
        self._catch_up(call_id)
        return self._keep(
            self._book.do(call_id, deed, identity, device, self._clock.monotonic())
        ).call

    def accept(self, call_id: str, identity: str, device: str) -> Admitted:
        """Answer a call; once more, too, for the device that did."""
        self._catch_up(call_id)
        now = self._clock.monotonic()
        changed = self._keep(self._book.do(call_id, Deed.ACCEPT, identity, device, now))
        return Admitted(changed.call, _serial(changed))

    def join(self, call_id: str, identity: str, device: str) -> Admitted:
        """Let a device that is in a call come back to its room."""
        self._catch_up(call_id)
        changed = self._keep(self._book.join(call_id, identity, device))
        return Admitted(changed.call, _serial(changed))

    def evict(self, identity: str) -> None:
        """End the call of somebody who was banned."""
        changed = self._book.lost(identity, self._clock.monotonic())
        if changed is not None:
            self._keep(changed)

    # -- facts from the SFU

    def participant_joined(self, call_id: str, info: MediaParticipant) -> None:
        """A connection came up; whoever is not in the call is removed."""
        if call_id not in self._book.live:
            # Its token was good for a call that is over, or one that an engine before this had.
            self._room(call_id).want(None)
            return
        minted = read_metadata(info.metadata)
        serial = None if minted is None else minted.serial
        book = self._book.joined(call_id, info.identity, info.sid, serial)
        if book is None:
            self._room(call_id).expel(info.identity, info.sid)
            return
        self._become(book.heard(call_id, self._clock.monotonic()), call_id)

    def participant_left(self, call_id: str, identity: str, sid: str | None) -> None:
        """A connection ended; `sid` None is any of theirs."""
        now = self._clock.monotonic()
        self._become(self._book.left(call_id, identity, sid, now).heard(call_id, now), call_id)

    def room_started(self, call_id: str, sid: str) -> None:
        """The SFU made its half of a room; after another one, nobody is in it yet."""
        if call_id in self._book.live and self._room(call_id).sid != sid:
            self._all_left(call_id, sid)

    def room_finished(self, call_id: str, sid: str | None) -> None:
        """The SFU's half `sid` ended, None for whichever; the call goes on in another."""
        if call_id in self._book.live and sid in (None, self._room(call_id).sid):
            self._all_left(call_id, None)

    # -- the same, found out by asking (`presence`)

    def sids(self) -> dict[str, str | None]:
        """Return LiveKit's sid of every call's room, None where it is not known."""
        return {call_id: self._room(call_id).sid for call_id in self._book.live}

    async def compare(self, known: Mapping[str, str | None], running: Mapping[str, str]) -> None:
        """Take in how the SFU's call rooms differ from those `known` before it was asked.

        One without a call is closed: it is of an engine before this one.
        """
        for call_id in known.keys() - running.keys():
            self.room_finished(call_id, known[call_id])
        for call_id, sid in running.items():
            if call_id not in self._rooms:
                self._room(call_id).want(None)
                continue
            self.room_started(call_id, sid)
            # Known first, asked second: whoever is reported in between has not left.
            before = self._book.live.get(call_id)
            people = await self._media.list_participants(self._livekit_name(call_id))
            there = {who.sid for who in people}
            for party in () if before is None else before.parties:
                if party.sid is not None and party.sid not in there:
                    self.participant_left(call_id, party.identity, party.sid)
            call = self._book.live.get(call_id)
            for who in people:
                if call is not None and who.sid not in [party.sid for party in call.parties]:
                    self.participant_joined(call_id, who)

    async def look(self, quiet: tuple[str, ...]) -> None:
        """Find out whether who is said to be in the rooms of these calls is there still.

        Their media server may have died without a word: one question for all, and one more for
        each room in which it is not as it was.
        """
        known = {call_id: self._room(call_id).sid for call_id in quiet}
        try:
            rooms = {room.name: room for room in await self._media.list_rooms()}
            for call_id, sid in known.items():
                call, room = self._book.live.get(call_id), rooms.get(self._livekit_name(call_id))
                if call is None:
                    continue
                if room is None:
                    self.room_finished(call_id, sid)
                elif (room.sid, room.participant_count) != (sid, call.present):
                    await self.compare({}, {call_id: room.sid})
        except MediaUnavailable as error:
            logger.warning("who is in a call is unknown for now: %s", error)

    # -- inside

    def _look_around(self) -> None:
        """Look at what is quiet, and once more while there are calls."""
        self._look, now = None, self._clock.monotonic()
        quiet = self._book.quiet(now)
        for call_id in quiet:
            self._book = self._book.heard(call_id, now)
        if quiet:
            self._tasks.spawn(self.look(quiet), "engine-look")
        self._go_on_looking()

    def _go_on_looking(self) -> None:
        if not self._book.live:
            self._stop_looking()
        elif self._look is None:
            when = self._clock.monotonic() + LOOK_SECONDS
            self._look = self._clock.call_at(when, self._look_around)

    def _stop_looking(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _dialled(self, dial: Dial) -> Admitted | None:
        """Return the call that dialling joins, None where it is to be a new one."""
        for identity in (dial.caller, dial.callee):
            if (call := self._book.call_of(identity)) is not None:
                self._catch_up(call.id)
        changed = self._book.dial(dial, self._clock.monotonic())
        if changed.call.id == dial.call.call_id:
            return None
        return Admitted(self._keep(changed).call, _serial(changed))

    def _catch_up(self, *call_ids: str) -> None:
        """Let what is due happen first: its timer may come a moment later."""
        now = self._clock.monotonic()
        self._book = self._book.forget(now)
        for call_id in call_ids:
            if (changed := self._book.time_passed(call_id, now)) is not None:
                self._keep(changed)

    def _keep(self, changed: Changed) -> Changed:
        call = changed.call
        self._become(changed.book, call.id)
        if changed.news:
            self._room(call.id).want(call_metadata_of(call.told) if call.over_at is None else None)
            for news in changed.news:
                self._teller.tell(news.to, news.kind, call.told, except_device=news.except_device)
            event = _EVENTS.get(call.status, f"call_{call.status.value}")
            self._poster.post(event, call=call_to_wire(call.told))
        return changed

    def _become(self, book: CallBook, call_id: str) -> None:
        self._book = book
        if (timer := self._timers.pop(call_id, None)) is not None:
            timer.cancel()
        call = book.live.get(call_id)
        next_ = None if call is None else due(call)
        if next_ is not None:
            self._timers[call_id] = self._clock.call_at(next_[0], lambda: self._catch_up(call_id))
        self._go_on_looking()

    def _all_left(self, call_id: str, sid: str | None) -> None:
        for party in self._book.live[call_id].parties:
            self.participant_left(call_id, party.identity, None)
        self._room(call_id).replaced(sid)

    def _room(self, call_id: str) -> CallRoom:
        room = self._rooms.get(call_id)
        if room is None:
            name = self._livekit_name(call_id)
            room = CallRoom(
                name, self._media, self._clock, self._tasks, lambda: self._forget(call_id)
            )
            self._rooms[call_id] = room
        return room

    def _forget(self, call_id: str) -> None:
        self._rooms.pop(call_id, None)


def call_metadata_of(call: UTDCall) -> str:
    """Return the metadata of a call's room: how the call stands."""
    wire = {METADATA_KEY: call_to_wire(call)}
    return json.dumps(wire, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _serial(changed: Changed) -> int:
    assert changed.serial is not None  # whoever dials, accepts or joins gets a token
    return changed.serial
