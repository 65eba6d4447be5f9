"""All rooms of the SFU: made by the first who names them, ended when nobody has come for long."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from livekit.protocol import models, room

from utd_rx.engine.sfu.participant_ports import SfuContext
from utd_rx.engine.sfu.sfu_room import SfuRoom

_logger = logging.getLogger(__name__)


class SfuRooms:
    def __init__(self, context: SfuContext) -> None:
        self.context = context
        self._rooms: dict[str, SfuRoom] = {}

    def __iter__(self) -> Iterator[SfuRoom]:
        return iter(tuple(self._rooms.values()))

    def get(self, name: str) -> SfuRoom | None:
        return self._rooms.get(name)

    def get_or_create(self, name: str, config: room.CreateRoomRequest | None = None) -> SfuRoom:
        """The room with that name; `config` is applied to a new room only, as its first setting."""
        if name not in self._rooms:
            self._rooms[name] = created = SfuRoom(name, self.context, self.context.now())
            if config is not None:
                created.configure(config)
            created.notify("room_started")
        return self._rooms[name]

    def close(self, target: SfuRoom, reason: models.DisconnectReason) -> None:
        if self._rooms.get(target.name) is target:
            del self._rooms[target.name]
        target.close(reason)

    def close_all(self) -> None:
        for one in self:
            self.close(one, models.DisconnectReason.SERVER_SHUTDOWN)

    def tick(self, now: float) -> None:
        """Let every room carry out what is due; one that fails does not stop the others."""
        for one in self:
            try:
                one.tick(now)
            except Exception:
                _logger.exception("room %s: tick failed", one.sid)
            if one.is_expired(now):
                self.close(one, models.DisconnectReason.ROOM_CLOSED)
