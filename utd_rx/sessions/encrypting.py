"""Whose keys encrypt a session end to end, and changing them."""

from __future__ import annotations

import asyncio
from typing import Final, TypeVar

from utd_rx.errors import ConflictReason, UTDStreamException, invalid
from utd_rx.models.encryption import Encryption, EncryptionKey
from utd_rx.models.events import RoomSnapshot
from utd_rx.ports.room import RoomPort
from utd_rx.ports.threads import in_thread
from utd_rx.protocol.waiting import Waiting
from utd_rx.sessions.coming_back import Connect
from utd_rx.sessions.commands import command
from utd_rx.sessions.media_view import MediaView
from utd_rx.sessions.runner import Runner

St = TypeVar("St", bound=Waiting)

_NOT_THERE: Final = (ConflictReason.NOT_JOINED, ConflictReason.LEFT)


def checked_encryption(given: Encryption | None) -> Encryption | None:
    """Return what a session is encrypted with, or raise `VALIDATION`."""
    if given is None or isinstance(given, Encryption):
        return given
    raise invalid(f"encryption is an Encryption, as Encryption(key), not {type(given).__name__}")


class Encrypting(MediaView[St]):
    """The part of a session that changes keys. No state of it holds one, so no recording does."""

    _runner: Runner[St]
    _room: RoomPort
    _encryption: Encryption | None
    _connecting: asyncio.Future[None] | None = None  # until it has the keys of now

    @command
    async def set_key(
        self,
        key: str | bytes | EncryptionKey,
        *,
        index: int | None = None,
        identity: str | None = None,
        sends: bool = True,
    ) -> None:
        """Encrypt with another key from now on, here and in the joins that follow.

        While it is joined, or joined anew after an outage, it waits for that: what is published
        then is encrypted with the new key.

        Each frame tells the index of its key: who has it before it is sent with misses no word
        (docs/room.md, "Encryption").

        Args:
            key: The new one, text or bytes.
            index: Its place in the ring; None is the one after that of now.
            identity: Whose key it is, where each has one of its own.
            sends: Whether it is sent with; False is to read what comes with it.

        Raises:
            UTDStreamException: `VALIDATION`: made without encryption, no such index, or an
                identity where all share one key, or none where they do not.

        Cancelling is safe; the change is made.
        """
        key = EncryptionKey(key)
        now = self._required()
        await self._use(now.with_key(key, index=index, identity=identity, sends=sends))

    @command
    async def ratchet_key(self, identity: str | None = None) -> None:
        """Make the key that is sent with into one that does not tell the one before.

        Others follow by themselves while their `ratchet_window` is not 0. Raises as `set_key`.

        Args:
            identity: Whose key it is, where each has one of its own.

        Cancelling is safe; the change is made, or not.
        """
        while True:
            now = self._required()
            ratcheted = await in_thread(now.ratcheted, identity)
            if self._encryption is now:  # else it was changed meanwhile, which stays
                return await self._use(ratcheted)

    async def _use(self, encryption: Encryption) -> None:
        """Keep those keys, and return once the room has them, or joins with them when it does."""
        self._encryption = encryption
        connection = self._runner.session.connection
        if self._connecting is not None:
            await asyncio.wait([self._connecting])
        elif not connection.is_resting and not connection.is_lost:
            await self._tell_room(encryption)

    async def _connect_with_keys(self, connect: Connect) -> RoomSnapshot:
        """Connect; the room has keys that change meanwhile before anybody knows it is there."""
        connecting = self._connecting = asyncio.get_running_loop().create_future()
        try:
            told = self._encryption
            snapshot = await connect(told)
            while (now := self._encryption) is not told and now is not None:
                told = now
                await self._tell_room(now)
            return snapshot
        finally:
            connecting.set_result(None)
            if self._connecting is connecting:
                self._connecting = None

    async def _tell_room(self, encryption: Encryption) -> None:
        try:
            await self._room.encrypt(encryption)
        except UTDStreamException as error:
            if error.reason not in _NOT_THERE:
                raise
            # The connection is over, or there is none yet: the next one takes the keys of now.

    def _required(self) -> Encryption:
        if self._encryption is None:
            raise invalid("this session was made without encryption=, so there is no key to change")
        return self._encryption
