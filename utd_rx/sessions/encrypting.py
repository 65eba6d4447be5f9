"""Whose keys encrypt a session end to end, and changing them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from utd_rx.errors import invalid
from utd_rx.models.encryption import Encryption, EncryptionKey
from utd_rx.ports.room import RoomPort
from utd_rx.ports.threads import in_thread
from utd_rx.protocol.waiting import Waiting
from utd_rx.sessions.commands import command
from utd_rx.sessions.media_view import MediaView
from utd_rx.sessions.runner import Runner

St = TypeVar("St", bound=Waiting)


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
        await self._change(
            lambda now: now.with_key(key, index=index, identity=identity, sends=sends)
        )

    @command
    async def ratchet_key(self, identity: str | None = None) -> None:
        """Make the key that is sent with into one that does not tell the one before.

        Others follow by themselves while their `ratchet_window` is not 0. Raises as `set_key`.

        Args:
            identity: Whose key it is, where each has one of its own.
        """
        now = self._required()
        ratcheted = await in_thread(now.ratcheted, identity)
        await self._change(lambda _: ratcheted)

    async def _change(self, change: Callable[[Encryption], Encryption]) -> None:
        self._encryption = changed = change(self._required())
        if self._runner.session.connection.is_joined:
            await self._room.encrypt(changed)

    def _required(self) -> Encryption:
        if self._encryption is None:
            raise invalid("this session was made without encryption=, so there is no key to change")
        return self._encryption
